from __future__ import annotations

from migrate.functional.draft import Draft
from migrate.functional.library import Library
from migrate.functional.tensor_lists import convert
from tests.rewrite.texts import node, shown

_ARRAY = (
    "n = Const() dtype=int32 value=int32:2",
    "i = Const() dtype=int32 value=int32:1",
    "x = Placeholder() dtype=float32 shape=()",
    "a = TensorArrayV3(n) dtype=float32 element_shape=()",
    "w = TensorArrayWriteV3(a, i, x, a:1) T=float32",
    "r = TensorArrayReadV3(a, i, w) dtype=float32",
)


def _converted(*lines: str, results: tuple[str, ...] = ("r:0",)) -> tuple[list[str], list[tuple[str, ...]]]:
    draft = Draft(map(node, lines), Library(()), set())
    kept = convert(draft, results)
    return shown(draft.nodes.values()).splitlines(), [one.nodes for one in kept]


def test_an_array_becomes_a_list() -> None:
    lines, kept = _converted(*_ARRAY)
    assert not kept and not any("TensorArray" in line for line in lines)
    ops = {line.partition(" = ")[0]: line.partition(" = ")[2].partition("(")[0] for line in lines}
    assert (ops["a"], ops["w"], ops["r"]) == ("TensorListReserve", "TensorListSetItem", "TensorListGetItem")
    assert any(line.startswith("w = TensorListSetItem(a, i, x)") for line in lines)
    assert any(line.startswith("r = TensorListGetItem(w, i, ") for line in lines)


def test_an_array_whose_handle_goes_elsewhere_stays() -> None:
    gradient = "g = TensorArrayGradV3(a, w) source='gradients'"
    lines, kept = _converted(*_ARRAY, gradient)
    assert kept == [("a", "g")] and lines == [*_ARRAY, gradient]


def test_an_array_that_is_given_to_the_caller_stays() -> None:
    for result in ("a:0", "w:0"):
        lines, kept = _converted(*_ARRAY, results=(result,))
        assert kept == [("a", result[0])] and lines == list(_ARRAY)


def test_the_flow_of_another_array_keeps_both() -> None:
    other = "b = TensorArrayV3(n) dtype=float32 element_shape=()"
    mixed = _ARRAY[4].replace("a:1", "b:1")
    lines, kept = _converted(*_ARRAY[:4], other, mixed, _ARRAY[5])
    assert {nodes[0] for nodes in kept} == {"a", "b"}
    assert lines == [*_ARRAY[:4], other, mixed, _ARRAY[5]]


def test_without_arrays_nothing_changes() -> None:
    assert _converted(*_ARRAY[:3]) == (list(_ARRAY[:3]), [])
