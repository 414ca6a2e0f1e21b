"""The outputs of each op that has several: a function's body names them, a graph counts them (function.proto).

The facts lie in op_outputs.json, which tools/make_op_table.py writes.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping

_FILE = os.path.join(os.path.dirname(__file__), "op_outputs.json")


@functools.cache
def load_op_outputs() -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Reads the table, once: (output name, attribute that says how many tensors it is, or "") pairs by op."""
    with open(_FILE, encoding="utf-8") as stream:
        table: dict[str, str] = json.load(stream)
    return {op: tuple(_pair(output) for output in outputs.split(" ")) for op, outputs in table.items()}


def _pair(output: str) -> tuple[str, str]:
    name, _, length = output.partition("*")
    return name, length
