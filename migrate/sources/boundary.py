"""Where the files of a model may be: below its directory. A link that leads elsewhere is not followed.

Model stores, hub caches and Kubernetes volumes are built of links, so the path that the user names is resolved first. A
link below it is part of the model, which may come from a stranger: it could name any file that the user may read.
Hard links are files like any other and cannot be seen.
"""

from __future__ import annotations

import os

from migrate.errors import InputError
from migrate.frozen import frozen


class LinkError(InputError):
    """A link leads out of the model that it is a part of."""


@frozen
class Boundary:
    """The places in which the files of one model may be.

    Attributes:
      paths: real paths, each of a directory with all that is below it, or of one file.
    """

    paths: tuple[str, ...]

    def holds(self, real: str) -> bool:
        """Whether a real path is one of the places or below one."""
        return any(real == path or real.startswith(path.rstrip(os.sep) + os.sep) for path in self.paths)

    def check(self, handle: int, path: str) -> None:
        """Checks where an open file is, so that a link that is put there meanwhile changes nothing.

        Args:
          handle: descriptor of the open file.
          path: under which it was opened.

        Raises:
          LinkError: the file is outside.
        """
        try:
            if self.holds(os.readlink(f"/proc/self/fd/{handle}")):
                return
        except OSError:
            pass  # No /proc.
        real = os.path.realpath(path)
        try:
            # Some file systems have several spellings of one path, and realpath gives another one than the kernel.
            if self.holds(real) and os.path.samestat(os.stat(real), os.fstat(handle)):
                return
        except OSError:
            pass
        raise LinkError(f"{path}: a link to {real}, outside of the model; --follow_links reads it")


def boundary_of(path: str) -> Boundary:
    """The boundary of the model that a path means.

    A directory is its own boundary. A file or a checkpoint's prefix has the directory that it is in, and a file that is
    a link may be where the link leads: the user has named it.
    """
    if os.path.isdir(path):
        return Boundary((os.path.realpath(path),))
    folder = os.path.realpath(os.path.dirname(path) or os.curdir)
    return Boundary((folder, os.path.realpath(path)) if os.path.isfile(path) else (folder,))
