"""What a child with large constants gives back between two loads, and that a small one is left alone."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify import memory
from migrate.verify.calls import Call
from migrate.verify.memory import LARGE, asked_apart, is_large, kernels_apart, let_go


@pytest.fixture
def steps(monkeypatch):
    found: list[str] = []
    monkeypatch.setattr(memory.gc, "collect", lambda: found.append("collect"))
    monkeypatch.setattr(memory, "_forget_kernels", lambda: found.append("forget"))
    return found


def _model(size: int) -> MetaGraphDef:
    model = MetaGraphDef()
    node = model.graph_def.library.function.add().node_def.add(name="c", op="Const")
    node.attr["value"].tensor.tensor_content = bytes(size)
    return model


def test_constants_in_functions_count():
    assert is_large(_model(LARGE))
    assert not is_large(_model(LARGE - 1))
    assert not is_large(MetaGraphDef())


def test_a_small_model_gives_nothing_back(steps):
    with kernels_apart(False):
        steps.append("call")
    let_go(False)
    assert steps == ["call"]


def test_a_large_model_has_the_kernels_of_one_way_at_a_time(steps):
    with pytest.raises(ValueError, match="no"), kernels_apart(True):
        steps.append("call")
        raise ValueError("no")
    assert steps == ["collect", "forget", "call", "collect", "forget"]


def test_calls_are_made_apart(steps):
    asked = asked_apart(lambda call: {"y": steps.append(call.signature)})
    assert asked(Call("s", {})) == {"y": None}
    assert steps == ["collect", "forget", "s", "collect", "forget"]


def test_a_session_has_no_kernels_of_functions(steps):
    let_go(True, is_eager=False)
    assert steps == ["collect"]
