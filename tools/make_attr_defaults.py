"""Writes migrate/graph/attr_defaults.tsv: the defaults of the attributes of TensorFlow's ops, by release.

Run it once under each release that the table is to know, in any order; a run replaces its own release's column and
leaves the others as they are:

    python tools/make_attr_defaults.py

A row is one attribute of one op. A cell is the default (a serialized AttrValue, in hexadecimal), `-` where the release
knows the attribute and it has no default, and empty where the release does not know the op or the attribute. A node
without the attribute has the default (NodeDef, node_def.proto; AddDefaultsToNodeDef, node_def_util.cc).

The proof of a conversion reads it, so it knows TF 1.15, too, whose graphs it compares.
"""

import os
import pathlib

RELEASES = ("1.15", "2.15", "2.21")
TABLE = pathlib.Path(__file__).parent.parent / "migrate" / "graph" / "attr_defaults.tsv"


def registry():
    """(release, OpList) of the TensorFlow that runs this."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    return ".".join(tf.__version__.split(".")[:2]), _op_list()


def _op_list():
    try:
        from tensorflow.python.client import pywrap_tf_session as session
    except ImportError:
        from tensorflow.python import pywrap_tensorflow as session
    from tensorflow.core.framework import op_def_pb2

    buffer = session.TF_GetAllOpList()
    data = session.TF_GetBuffer(buffer)
    ops = op_def_pb2.OpList()
    ops.ParseFromString(data)
    return ops


def main():
    """Fills in the column of this release."""
    release, ops = registry()
    if release not in RELEASES:
        raise SystemExit(f"not one of the releases of the table: {release}")
    rows = {}
    if TABLE.exists():
        header, *lines = TABLE.read_text().splitlines()
        names = header.split("\t")[2:]
        for line in lines:
            op, attr, *cells = line.split("\t")
            rows[op, attr] = dict(zip(names, cells))  # noqa: B905 (Python 3.7 runs this for TF 1.15)
    for known in rows.values():
        known.pop(release, None)
    for op in ops.op:
        for attr in op.attr:
            has = attr.HasField("default_value")
            cell = attr.default_value.SerializeToString().hex() if has else "-"
            # An empty message is a default, too: a list of nothing.
            rows.setdefault((op.name, attr.name), {})[release] = cell or "0a00"
    lines = ["\t".join(("op", "attr", *RELEASES))]
    for key in sorted(rows):
        cells = [rows[key].get(name, "") for name in RELEASES]
        if any(cells):
            lines.append("\t".join((*key, *cells)))
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
