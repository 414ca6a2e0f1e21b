"""Writes migrate/graph/seeded_ops.tsv: the ops whose random sequence the attributes `seed` and `seed2` determine.

    python tools/make_seeded_ops.py

They come from TensorFlow's registry: stateful ops with both attributes that migrate/graph/ops.tsv calls random. What
has the attributes and other state beside the sequence (RandomShuffleQueue), or takes seeds only where another attribute
says so (FractionalMaxPool), is not among them.
"""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
TABLE = ROOT / "migrate" / "graph" / "seeded_ops.tsv"
sys.path.insert(0, str(ROOT))

from migrate.graph.op_table import load_op_table  # noqa: E402

SEEDS = frozenset({"seed", "seed2"})


def seeded_ops() -> list[str]:
    """The ops of the TensorFlow that is installed, in the order of the alphabet."""
    from tensorflow.core.framework.op_def_pb2 import OpList
    from tensorflow.python.client import pywrap_tf_session

    known = load_op_table()
    found = []
    buffer = pywrap_tf_session.TF_GetAllOpList()
    for op in OpList.FromString(pywrap_tf_session.TF_GetBuffer(buffer)).op:
        whole = {attr.name for attr in op.attr if attr.type == "int"}
        if whole >= SEEDS and op.is_stateful and op.name in known and known[op.name].effect == "random":
            found.append(op.name)
    return sorted(found)


def main() -> None:
    """Writes the table."""
    TABLE.write_text("".join(f"{name}\n" for name in ["op", *seeded_ops()]), encoding="utf-8")


if __name__ == "__main__":
    main()
