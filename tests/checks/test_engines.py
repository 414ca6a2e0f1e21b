from __future__ import annotations

import pytest

from migrate.checks.engines import find_reduced_precision
from migrate.graph.nodes import Located
from migrate.graph.protos import NodeDef


def _engine(op: str, mode: bytes | None) -> Located:
    node = NodeDef(name="engine", op=op)
    if mode is not None:
        node.attr["precision_mode"].s = mode
    return Located(node)


@pytest.mark.parametrize(("op", "mode"), [("TRTEngineOp", b"FP32"), ("TRTEngineOp", None), ("Add", b"FP16")])
def test_no_finding(op, mode):
    assert find_reduced_precision([_engine(op, mode)]) == ()


@pytest.mark.parametrize("mode", [b"FP16", b"INT8", b"int8"])
def test_an_engine_of_less_precision(mode):
    (finding,) = find_reduced_precision([_engine("TRTEngineOp", b"FP32"), _engine("TRTEngineOp", mode)])
    assert finding.code == "reduced-precision"
    assert mode.decode().upper() in finding.message
    assert finding.nodes == ("engine",)
