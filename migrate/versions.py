"""The version and the name of this distribution, said once, and the versions that a report names.

setup.cfg reads `VERSION` from here.
"""

from __future__ import annotations

from typing import Any

VERSION = "0.2.0"
DISTRIBUTION = "tf1-migrate"
"""What pip installs. The package and the command are `migrate`; on the index that name is somebody else's."""

_TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tf-nightly")
"""The distributions that bring the module `tensorflow`."""


def tool() -> dict[str, Any]:
    """Says which versions wrote a report; TensorFlow is looked up, not imported."""
    import platform  # An audit that prints text needs none of it.

    return {
        "name": "migrate",
        "version": VERSION,
        "python": platform.python_version(),
        "tensorflow": next(filter(None, map(_version, _TENSORFLOW)), None),
    }


def _version(distribution: str) -> str | None:
    import importlib.metadata  # A fifth of the time that `audit` takes; the text report does not need it.

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
