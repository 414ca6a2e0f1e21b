"""Feeds the readers of model files with bytes that coverage guides (Atheris), to find what random mutation does not.

    python -m tools.explore --seconds=120 index v1 proto sniff keras archive

Needs `pip install atheris`. Every reader may raise InputError and nothing else; what it dies of is kept in a file whose
name is printed, and the same command with `--again=FILE` shows the traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence

_TESTDATA = pathlib.Path(__file__).parent.parent / "testdata"
_LARGEST_BYTES = 20_000
_MEMORY_MB = 2048
_SLOW_SECONDS = 5


def _index(file: str) -> None:
    from migrate.sources.bundle import check_shards, read_bundle

    for _ in check_shards(read_bundle(file.removesuffix(".index"))):
        pass


def _v1(file: str) -> None:
    from migrate.sources.v1_checkpoint import is_foreign_table, read_v1_checkpoint

    is_foreign_table(file)
    read_v1_checkpoint(file)


def _proto(file: str) -> None:
    from migrate.graph.protos import MetaGraphDef
    from migrate.sources.graph_file import from_graph_def, from_meta_graph
    from migrate.sources.parse import parse
    from migrate.sources.session_bundle import is_session_bundle, signatures

    parsed = parse(file, "GraphDef")
    if parsed.holder is not None:
        from_graph_def(parsed.holder)
    if isinstance(parsed.proto, MetaGraphDef):
        _, meta_graph = from_meta_graph(parsed.proto)
        if is_session_bundle(meta_graph):
            signatures(meta_graph)


def _sniff(file: str) -> None:
    from migrate.sources.discover import find_models

    find_models(os.path.dirname(file))


def _keras(file: str) -> None:
    from migrate.checks.keras_loading import find_keras
    from migrate.model.keras_study import facts
    from migrate.sources.keras_source import KerasFiles, read_keras

    source = read_keras(KerasFiles(file, file, ""))
    for _ in find_keras(source, (), False):
        pass
    facts(source)


def _archive(file: str) -> None:
    from migrate.sources.archive import holds_name, unpacked
    from migrate.sources.forms import ENDS

    holds_name(file, ENDS)
    with unpacked(file):
        pass


TARGETS: dict[str, tuple[str, Callable[[str], None], tuple[str, ...]]] = {
    "index": ("model.index", _index, ("**/*.index",)),
    "v1": ("model.ckpt", _v1, ("forms/*/model.ckpt", "forms/*/*-of-00002", "forms/*/export-*")),
    "proto": ("graph.pb", _proto, ("models/*/saved_model.pb", "models/*/*.pbtxt", "forms/**/*.meta", "forms/**/*.pb")),
    "sniff": ("model", _sniff, ("forms/**/*", "keras/*/*")),
    "keras": ("model.json", _keras, ("keras/**/*.json",)),
    "archive": ("model.zip", _archive, ("keras/*/*.keras",)),
}
"""By name: what the file is called, what reads it, and where sound ones lie."""


def main(argv: Sequence[str] | None = None) -> int:
    """Explores each target in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--found", default="found", help="directory for what a reader dies of")
    parser.add_argument("--again", help="a file that one target died of")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all, where none is named")
    options = parser.parse_args(argv)
    targets = options.targets or list(TARGETS)
    if options.again:
        with _scratch(targets[0]) as read, open(options.again, "rb") as stream:
            read(stream.read())
        return 0
    if options.alone:
        _explore(targets[0], options.seconds, options.found)
        return 0
    os.makedirs(options.found, exist_ok=True)
    code = 0
    for target in targets:
        command = [sys.executable, "-m", "tools.explore", f"--seconds={options.seconds}", f"--found={options.found}"]
        code |= subprocess.run([*command, "--alone", target], check=False).returncode
    return int(bool(code))


class _Right:
    """A checksum that equals any other."""

    def __ne__(self, other: object) -> bool:
        return False


def _explore(target: str, seconds: int, found: str) -> None:
    import atheris

    with atheris.instrument_imports(
        include=["migrate.sources", "migrate.checks.keras_loading", "migrate.model.keras_study"]
    ):
        import migrate.checks.keras_loading
        import migrate.model.keras_study
        import migrate.sources.archive
        import migrate.sources.discover
        import migrate.sources.leveldb
        import migrate.sources.read
    # A checksum that is wrong would be the end of nearly every try.
    migrate.sources.leveldb.masked_crc32c = lambda data: _Right()  # type: ignore[assignment,return-value]
    with tempfile.TemporaryDirectory(prefix="explore-") as corpus, _scratch(target) as read:
        _seed(target, corpus)
        arguments = (
            f"-max_total_time={seconds}",
            f"-max_len={_LARGEST_BYTES}",
            f"-rss_limit_mb={_MEMORY_MB}",
            f"-timeout={_SLOW_SECONDS}",
            f"-artifact_prefix={found}/{target}-",
            "-verbosity=0",
            "-print_final_stats=1",
        )
        atheris.Setup([sys.argv[0], corpus, *arguments], read)
        atheris.Fuzz()


@contextlib.contextmanager
def _scratch(target: str) -> Iterator[Callable[[bytes], None]]:
    """A function that has a target read bytes from a file."""
    from migrate.errors import InputError

    name, reader, _ = TARGETS[target]
    with tempfile.TemporaryDirectory(
        prefix="explore-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
    ) as folder:
        file = os.path.join(folder, name)

        def read(data: bytes) -> None:
            with open(file, "wb") as stream:
                stream.write(data)
            with contextlib.suppress(InputError):
                reader(file)

        yield read


def _seed(target: str, corpus: str) -> None:
    number = 0
    for pattern in TARGETS[target][2]:
        for path in sorted(_TESTDATA.glob(pattern)):
            if path.is_file() and path.stat().st_size <= _LARGEST_BYTES:
                (pathlib.Path(corpus) / str(number)).write_bytes(path.read_bytes())
                number += 1
    if target == "archive":
        from tools.mutant_files import pack

        for kind in ("zip", "tar", "tar.gz"):
            pack(str(_TESTDATA / "models" / "counter"), os.path.join(corpus, kind), kind)
    if target == "keras":
        (pathlib.Path(corpus) / "small").write_text(json.dumps({"class_name": "Sequential", "config": []}))


if __name__ == "__main__":
    sys.exit(main())
