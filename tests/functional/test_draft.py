from __future__ import annotations

import pytest

from migrate.functional.draft import ARGUMENT, RESOURCE, Draft, UnknownTensorError, argument, argument_name, to_function
from migrate.functional.library import Library
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import NodeDef
from tests.functional.pairs import shown_function
from tests.rewrite.texts import node

_FLOAT = dtype_value("float32")


def _draft(*lines: str, more: tuple[NodeDef, ...] = ()) -> Draft:
    return Draft([*map(node, lines), *more], Library(()), set())


def test_nodes_are_replaced_and_removed() -> None:
    draft = _draft("a = Neg(x) T=float32", "b = Neg(a) T=float32")
    draft.put(node("b = Abs(x) T=float32"))
    draft.remove(["a"])
    assert list(draft.nodes) == list(draft.wires) == ["b"] == list(draft.graph().nodes)
    assert draft.wires["b"].op == "Abs"


def test_names_are_given_once() -> None:
    draft = _draft("a = Neg(x) T=float32")
    assert [draft.unique("a"), draft.unique("a"), draft.unique("c"), draft.unique("c")] == ["a_1", "a_2", "c", "c_1"]
    draft.remove(["a"])
    assert draft.unique("a") == "a_3"


def test_dtypes() -> None:
    draft = _draft("l = Less(x, y) T=float32", "n = NobodyKnows()", more=(argument("h", RESOURCE),))
    assert (draft.dtype("l:0"), draft.dtype("h:0")) == (dtype_value("bool"), RESOURCE)
    for tensor in ("n:0", "l:1"):
        with pytest.raises(UnknownTensorError):
            draft.dtype(tensor)


def test_a_handle_is_found_through_what_hands_it_on() -> None:
    draft = _draft(
        "v = VarHandleOp() dtype=float32 shape=()",
        "e = Enter(v) T=resource",
        "i = Identity(e) T=resource",
        "m = Merge(i, i) T=resource",
        "n = Neg(v) T=float32",
    )
    found = [draft.handle(tensor) for tensor in ("v:0", "i:0", "m:0", "n:0", "gone:0")]
    assert [each and each.name for each in found] == ["v", "v", None, None, None]


def test_names_of_arguments() -> None:
    assert [argument_name(name) for name in ("Scope/X", "a__B", "//")] == ["scope_x", "a__b", "argument"]


def test_a_function() -> None:
    handle = node("v = VarHandleOp() dtype=float32 shape=(2)")
    given = (argument("X", _FLOAT), argument("H", RESOURCE, handle))
    draft = _draft(
        "r = ReadVariableOp(H, ^X) dtype=float32",
        "s = Split(d, r) T=float32 num_split=2",
        "d = Const() dtype=int32 value=int32:0",
        "y = Add(s:1, X) T=float32",
        more=given,
    )
    made = to_function(draft, ["X", "H"], ["y:0", "s:0", "H:0"])
    made.signature.name = "f"
    assert shown_function(made).splitlines() == [
        "f(x: float32, h: resource) -> y:z:0, s:output:0, h ^r",
        "  r = ReadVariableOp(h) dtype=float32",
        "  s = Split(d:output:0, r:value:0) T=float32 num_split=2",
        "  d = Const() dtype=int32 value=int32:0",
        "  y = Add(s:output:1, x) T=float32",
    ]
    assert made.signature.is_stateful and made.signature.input_arg[1].handle_data[0].dtype == _FLOAT
    assert made.signature.output_arg[2].handle_data[0].shape.dim[0].size == 2


def test_arguments_that_would_be_called_alike_are_numbered() -> None:
    draft = _draft("y = Add(A, a) T=float32", more=(argument("A", _FLOAT), argument("a", _FLOAT)))
    made = to_function(draft, ["A", "a"], ["y:0"])
    assert [each.name for each in made.signature.input_arg] == ["argument_0", "argument_1"]
    assert list(made.node_def[0].input) == ["argument_0", "argument_1"]


def test_an_unknown_op_has_no_names_for_its_outputs() -> None:
    with pytest.raises(UnknownTensorError):
        to_function(_draft("n = NobodyKnows()", "y = Neg(n) T=float32"), [], ["y:0"])
    assert ARGUMENT == "_Arg"
