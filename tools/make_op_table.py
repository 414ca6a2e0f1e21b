"""Writes migrate/graph/ops.tsv: all ops that TensorFlow registers, one row per op.

Run it once under each release that the table is to know, in any order; a run replaces its own release's facts and
leaves the others as they are:

    python tools/make_op_table.py

Two sources are joined. The registry of the TensorFlow that runs this says what an op takes and gives and which
devices have a kernel: an op is what `TF_GetAllOpList` lists after `import tensorflow`, and a kernel what
`kernels.get_all_registered_kernels` lists (tensorflow/python/framework/kernels.py). Device type DEFAULT is
for every device, the CPU too (core/framework/op_kernel.cc, FindKernelRegistration).
tools/op_classes.tsv says what the op's kernel does, as somebody has read it; nothing is derived from a name or from
OpDef.is_stateful. An op without a row there, and a row without an op, is an error.
"""

from __future__ import annotations

import collections
import pathlib
import sys
from collections.abc import Iterable, Mapping

TOOLS = pathlib.Path(__file__).parent
CLASSES = TOOLS / "op_classes.tsv"
sys.path.insert(0, str(TOOLS.parent))

from migrate.checks.side_effects import HARMLESS  # noqa: E402
from migrate.graph.op_table import EFFECTS, SHARES, TABLE_FILE  # noqa: E402

TABLE = pathlib.Path(TABLE_FILE)

# Letters of an op's facts; migrate/graph/op_table.py reads them.
REGISTERED, CPU, OTHER_DEVICE, STATEFUL, REF = "r", "c", "o", "s", "f"

RELEASES = ("2.15", "2.21")
"""The releases that the table is to know."""

CLASS_COLUMNS = ("effect", "writes", "shares", "kernel")
LAST_COLUMNS = ("dtypes", "outputs", "deprecated")

Row = dict[str, str]


class StaleClassesError(Exception):
    """tools/op_classes.tsv and the registry do not name the same ops."""


def read_rows(lines: Iterable[str]) -> dict[str, Row]:
    """Reads a table whose first line names its columns: its rows by their op."""
    header, *body = (line.rstrip("\n") for line in lines if not line.startswith("#"))
    names = header.split("\t")
    found: dict[str, Row] = {}
    for line in body:
        row = dict(zip(names, line.split("\t"), strict=True))
        if row["op"] in found:
            raise StaleClassesError(f"two rows for {row['op']}")
        found[row["op"]] = row
    return found


def read_classes(text: str) -> dict[str, Row]:
    """Reads tools/op_classes.tsv, and checks its words and its order."""
    rows = read_rows(text.splitlines())
    if list(rows) != sorted(rows):
        raise StaleClassesError("the rows are not sorted by op")
    for op, row in rows.items():
        if row["effect"] not in EFFECTS:
            raise StaleClassesError(f"{op}: no such effect: {row['effect']}")
        if row["shares"] not in SHARES:
            raise StaleClassesError(f"{op}: {row['shares']!r} is none of {', '.join(SHARES)}")
        if (row["effect"] != "unread" or row["shares"] == "copies") and row["kernel"] == "-":
            raise StaleClassesError(f"{op}: no kernel is named")
        if row["writes"] != "-" and not all(part.isdigit() for part in row["writes"].split(",")):
            raise StaleClassesError(f"{op}: these are no positions: {row['writes']}")
    return rows


def join(
    release: str, registry: Mapping[str, Row], classes: Mapping[str, Row], known: Mapping[str, Row]
) -> tuple[tuple[str, ...], dict[str, Row]]:
    """Joins one release's registry and the classes with what the table has of other releases.

    Args:
      release: of the registry (`2.21`).
      registry: the columns `facts`, `dtypes`, `outputs` and `deprecated` of each op, and whether it `calls` functions.
      classes: the rows of tools/op_classes.tsv.
      known: the rows of the table as it is.

    Returns:
      The names of the table's columns, and its rows by op.

    Raises:
      StaleClassesError: an op has no row, a row no op, or an op has an effect that it cannot have.
    """
    if release not in RELEASES:
        raise StaleClassesError(f"the table is to know {', '.join(RELEASES)}, not {release}")
    others = {op for op, row in known.items() if any(row.get(r) for r in RELEASES if r != release)}
    complete = all(r == release or any(row.get(r) for row in known.values()) for r in RELEASES)
    unclassed = sorted(registry.keys() - classes.keys())
    if unclassed:
        raise StaleClassesError(f"{CLASSES.name} has no row for {', '.join(unclassed)}")
    calling = sorted(
        op for op, row in registry.items() if row["calls"] and classes[op]["effect"] in HARMLESS - {"calls"}
    )
    if calling:
        raise StaleClassesError(
            f"{CLASSES.name} says of ops that take functions that they call none: {', '.join(calling)}"
        )
    gone = sorted(classes.keys() - registry.keys() - others)
    if gone and complete:
        raise StaleClassesError(
            f"{CLASSES.name} has rows for what is no op of {', '.join(RELEASES)}: {', '.join(gone)}"
        )
    rows = {}
    for op in sorted(registry.keys() | others):
        old, made = known.get(op, {}), registry.get(op, {})
        facts = {r: made.get("facts", "") if r == release else old.get(r, "") for r in RELEASES}
        newest = next(r for r in reversed(RELEASES) if facts[r])
        source = made if newest == release else old
        rows[op] = {
            "op": op,
            **facts,
            **{c: classes[op][c] for c in CLASS_COLUMNS},
            **{c: source[c] for c in LAST_COLUMNS},
        }
    return ("op", *RELEASES, *CLASS_COLUMNS, *LAST_COLUMNS), rows


def written(columns: tuple[str, ...], rows: Mapping[str, Row]) -> str:
    """The table as its file has it."""
    lines = ["\t".join(columns), *("\t".join(row[column] for column in columns) for row in rows.values())]
    return "\n".join(lines) + "\n"


def read_registry() -> dict[str, Row]:
    """What the TensorFlow that runs this says of each of its ops."""
    import tensorflow as tf
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session
    from tensorflow.python.framework import kernels

    def facts(op: op_def_pb2.OpDef, devices: set[str]) -> str:
        on_cpu = bool(devices & {"CPU", "DEFAULT"})
        return "".join(
            letter
            for letter, holds in (
                (REGISTERED, True),
                (CPU, on_cpu),
                (OTHER_DEVICE, bool(devices) and not on_cpu),
                (STATEFUL, op.is_stateful),
                (REF, any(arg.is_ref for arg in (*op.input_arg, *op.output_arg))),
            )
            if holds
        )

    def dtypes(op: op_def_pb2.OpDef) -> str:
        """What an op gives, as `checks.tensors.output_dtypes` reads it: `N*@T|int32 @T=float32`."""
        given = []
        used = set()
        for arg in op.output_arg:
            kind = f"@@{arg.type_list_attr}" if arg.type_list_attr else f"@{arg.type_attr}" if arg.type_attr else ""
            used.update({arg.type_list_attr, arg.type_attr, arg.number_attr})
            number = f"{arg.number_attr}*" if arg.number_attr else ""
            given.append(number + (kind or tf.dtypes.as_dtype(arg.type).base_dtype.name))
        defaults = [
            f"@{attr.name}={tf.dtypes.as_dtype(attr.default_value.type).name}"
            for attr in op.attr
            if attr.name in used and attr.default_value.type
        ]
        return " ".join(["|".join(given), *defaults])

    def outputs(op: op_def_pb2.OpDef) -> str:
        """Names of an op's outputs; one that is several tensors with the attribute that says how many (`y*N`)."""
        lengths = (arg.number_attr or arg.type_list_attr for arg in op.output_arg)
        return " ".join(f"{arg.name}*{n}" if n else arg.name for arg, n in zip(op.output_arg, lengths, strict=True))

    devices = collections.defaultdict(set)
    for kernel in kernels.get_all_registered_kernels().kernel:
        devices[kernel.op].add(kernel.device_type)
    buffer = pywrap_tf_session.TF_GetAllOpList()
    found = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(buffer)).op
    return {
        op.name: {
            "facts": facts(op, devices[op.name]),
            "dtypes": dtypes(op),
            "outputs": outputs(op),
            "calls": "yes" if any("func" in attr.type for attr in op.attr) else "",
            "deprecated": f"{op.deprecation.version} {op.deprecation.explanation}" if op.deprecation.version else "",
        }
        for op in found
    }


def running_release() -> str:
    """The release of the TensorFlow that runs this (`2.21`)."""
    import tensorflow as tf

    return ".".join(tf.__version__.split(".")[:2])


def counted(rows: Mapping[str, Row]) -> str:
    """How many ops have each effect, and on which side of buffer sharing they are."""
    effects = collections.Counter(row["effect"] for row in rows.values())
    sides = collections.Counter(row["shares"] for row in rows.values())
    told = ", ".join(f"{count} {effect}" for effect, count in effects.most_common())
    return f"{len(rows)} ops: {told}; {sides['copies']} are known to copy, {sides['may']} may share a buffer"


def known_rows() -> dict[str, Row]:
    """The rows of the table as it is."""
    return read_rows(TABLE.read_text().splitlines()) if TABLE.exists() else {}


def main() -> int:
    """Replaces this release's facts in the table."""
    try:
        columns, rows = join(running_release(), read_registry(), read_classes(CLASSES.read_text()), known_rows())
    except StaleClassesError as error:
        print(error, file=sys.stderr)
        return 1
    TABLE.write_text(written(columns, rows))
    print(counted(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
