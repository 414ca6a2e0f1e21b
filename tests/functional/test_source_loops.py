"""Functions of a source that read variables in their outermost loops, as text before and after."""

from __future__ import annotations

import pytest

from migrate.functional.library import Library
from migrate.functional.source_loops import OuterReads
from migrate.graph.protos import FunctionDef
from migrate.rewrite.engine import Rewritten
from tests.functional.pairs import shown_function
from tests.rewrite.texts import function, run, shown_result

_GRAPH = """x = Placeholder() dtype=float32 shape=()
v = VarHandleOp() dtype=float32 shape=(2) shared_name='v'
loop = While(x, v) T=[float32, resource] body=@outer cond=@more output_shapes=[(), ()]
y = Identity(loop) T=float32
fetch y:0"""
_MORE = function("more", "x h", "l = Less(x, x) T=float32", go="l:z:0")
_INNER = "inner = While(x, h) T=[float32, resource] body=@body cond=@more output_shapes=[(), ()]"
_OUTER = function("outer", "x h", _INNER, y="inner:output:0", v="h")


def _body(*lines: str, **results: str) -> FunctionDef:
    return function("body", "x h", *lines, **(results or {"y": "m:z:0", "v": "h"}))


_READS = _body("r = ReadVariableOp(h) dtype=float32", "m = Mul(x, r:value:0, ^r) T=float32")


def _converted(functions: list[FunctionDef], graph: str = _GRAPH) -> tuple[Rewritten, Rewritten, Library]:
    taken = run(graph)
    before = Rewritten(taken, taken.graph, {tensor: tensor for tensor in taken.fetches})
    library = Library([FunctionDef.FromString(each.SerializeToString()) for each in functions])
    contents = {name: each.SerializeToString(deterministic=True) for name, each in library.functions.items()}
    made = OuterReads(library).convert(before)
    assert (
        contents.items() <= {n: f.SerializeToString(deterministic=True) for n, f in library.functions.items()}.items()
    )
    return before, made, library


def _text(functions: list[FunctionDef], graph: str = _GRAPH) -> list[str]:
    _, made, library = _converted(functions, graph)
    parts = [shown_result(made), *map(shown_function, library.made.values())]
    return "\n".join(parts).splitlines()


def test_the_outer_loop_reads_and_the_inner_one_takes_the_value() -> None:
    assert _text([_OUTER, _READS, _MORE]) == [
        "x = Placeholder() dtype=float32 shape=()",
        "v = VarHandleOp() dtype=float32 shape=(2) shared_name='v'",
        "loop = While(x, v) T=[float32, resource] body=@outer_with_reads cond=@more output_shapes=[(), ()]",
        "y = Identity(loop) T=float32",
        "fetch y:0",
        "more_of_values(x: float32, h: float32) -> l:z:0",
        "  l = Less(x, x) T=float32",
        "body_of_values(x: float32, h: float32) -> m:z:0, h",
        "  r = Identity(h) T=float32",
        "  m = Mul(x, r:output:0, ^r) T=float32",
        "outer_with_reads(x: float32, h: resource) -> inner:output:0, h",
        "  inner = While(x, h/value:value:0) T=[float32, float32] body=@body_of_values cond=@more_of_values "
        "output_shapes=[(), (2)]",
        "  h/value = ReadVariableOp(h) dtype=float32",
    ]


def test_an_argument_has_the_shape_of_the_value() -> None:
    _, _, library = _converted([_OUTER, _READS, _MORE])
    (shape,) = library.functions["body_of_values"].arg_attr[1].attr["_output_shapes"].list.shape
    assert [dim.size for dim in shape.dim] == [2]


def test_lookups_are_in_the_value() -> None:
    lookups = _body(
        "r = ResourceGather(h, x) Tindices=int32 _class='loc:@h' batch_dims=0 dtype=float32 validate_indices=true",
        "n = ResourceGatherNd(h, x) Tindices=int32 dtype=float32",
        "m = Mul(r:output:0, n:output:0) T=float32",
    )
    text = _text([_OUTER, lookups, _MORE])
    assert "  r = Gather(h, x) Tindices=int32 Tparams=float32 validate_indices=true" in text
    assert "  n = GatherNd(h, x) Tindices=int32 Tparams=float32" in text


def test_branches_and_calls_in_a_loop_take_the_value() -> None:
    branch = "b = If(p, x, h) Tcond=bool Tin=[float32, resource] Tout=[float32] then_branch=@reads else_branch=@not"
    outer = function("outer", "x h p", branch, "i = Identity(h) T=resource", y="b:output:0", v="i:output:0", p="p")
    calling = function(
        "reads", "x h", "c = PartitionedCall/body(x, h) Tin=[float32, resource] Tout=[float32]", y="c:output:0"
    )
    body = _body("r = ReadVariableOp(h) dtype=float32", "m = Mul(x, r:value:0) T=float32", y="m:z:0")
    other = function("not", "x h", y="x")
    text = _text([outer, calling, body, other, _MORE])
    assert "  b = If(p, x, h/value:value:0) Tcond=bool Tin=[float32, float32] Tout=[float32] " in "\n".join(text)
    assert "then_branch=@reads_of_values" in "\n".join(text) and "else_branch=@not_of_values" in "\n".join(text)
    assert "  c = PartitionedCall(x, h) Tin=[float32, float32] Tout=[float32] f=@body_of_values" in text
    assert "  r = Identity(h) T=float32" in text


def test_a_loop_in_a_function_that_is_called_outside_of_loops() -> None:
    graph = _GRAPH.replace(
        "loop = While(x, v) T=[float32, resource] body=@outer cond=@more output_shapes=[(), ()]",
        "loop = PartitionedCall/calls(x, v) Tin=[float32, resource] Tout=[float32]",
    )
    calls = function("calls", "x h", _INNER.replace("@body", "@outer").replace("inner =", "w ="), y="w:output:0")
    text = _text([calls, _OUTER, _READS, _MORE], graph)
    assert "loop = PartitionedCall(x, v) Tin=[float32, resource] Tout=[float32] f=@calls_with_reads" in text
    assert "outer_with_reads(x: float32, h: resource) -> inner:output:0, h" in text


def test_what_an_inner_loop_hands_on_is_the_handle_again() -> None:
    outer = function(
        "outer", "x h", _INNER, "r = ReadVariableOp(inner:output:1) dtype=float32", y="r:value:0", v="inner:output:1"
    )
    text = _text([outer, _READS, _MORE])
    assert "outer_with_reads(x: float32, h: resource) -> r:value:0, h" in text
    assert "  r = ReadVariableOp(h) dtype=float32" in text


_GATHER = "r = ResourceGather(h, x) Tindices=int32 batch_dims=1 dtype=float32"
_WRITE = "w = AssignAddVariableOp(h, x) dtype=float32"
_READ, _PRODUCT = "r = ReadVariableOp(h) dtype=float32", "m = Mul(x, r:value:0) T=float32"


@pytest.mark.parametrize(
    "body",
    [
        _body(_READ, _WRITE, _PRODUCT),
        _body(_READ, _PRODUCT, "s = VariableShape(h) out_type=int32"),
        _body(_GATHER, "m = Mul(x, r:output:0) T=float32"),
        _body("r = ReadVariableOp(h) dtype=int32", _PRODUCT),
        _body(_READ, _PRODUCT, "o = Switch(h, x)"),
        _body(_READ, _PRODUCT, y="m:z:0", v="x"),
        _body(_READ, _PRODUCT, "c = PartitionedCall/body(x, h)"),
        _body(_READ, _PRODUCT, "c = PartitionedCall/unknown(x, h)"),
    ],
    ids=["written", "shape", "batches", "dtype", "v1", "another handle", "calls itself", "unknown function"],
)
def test_loops_that_stay(body: FunctionDef) -> None:
    before, made, library = _converted([_OUTER, body, _MORE])
    assert made is before and not library.made


def test_a_loop_whose_dtypes_its_caller_gives_stays() -> None:
    outer = FunctionDef.FromString(_OUTER.SerializeToString())
    outer.node_def[0].attr["T"].Clear()
    outer.node_def[0].attr["T"].placeholder = "T"
    before, made, _ = _converted([outer, _READS, _MORE])
    assert made is before


@pytest.mark.parametrize("shape", ["(...)", "()", "(?)", "(2, 0)"])
def test_a_lookup_in_a_variable_of_another_shape_stays(shape: str) -> None:
    body = _body("r = ResourceGather(h, x) Tindices=int32 dtype=float32", "m = Mul(x, r:output:0) T=float32")
    before, made, _ = _converted([_OUTER, body, _MORE], _GRAPH.replace("shape=(2)", f"shape={shape}"))
    assert made is before
    before, made, _ = _converted([_OUTER, _READS, _MORE], _GRAPH.replace("shape=(2)", f"shape={shape}"))
    assert made is not before


@pytest.mark.parametrize("name", ["outer", "body", "more"])
def test_a_function_in_whose_place_another_may_be_put_stays(name: str) -> None:
    functions = [FunctionDef.FromString(each.SerializeToString()) for each in (_OUTER, _READS, _MORE)]
    (tied,) = [each for each in functions if each.signature.name == name]
    tied.attr["api_implements"].s = b"lstm"
    before, made, _ = _converted(functions)
    assert made is before


def test_a_call_with_a_gradient_of_its_own_stays() -> None:
    call = "c = PartitionedCall/calls(x, h) Tin=[float32, resource] Tout=[float32] _gradient_op_type='mine'"
    inner = _INNER.replace("inner =", "w =")
    outer = function("outer", "x h", call, y="c:output:0", v="h")
    calls = function("calls", "x h", inner, y="w:output:0")
    before, made, _ = _converted([outer, calls, _READS, _MORE])
    assert made is before


def test_a_variable_that_the_graph_writes_beside_the_loop_stays() -> None:
    graph = _GRAPH.replace("fetch", "write = AssignAddVariableOp(v, x) dtype=float32\ntarget write\nfetch")
    before, made, _ = _converted([_OUTER, _READS, _MORE], graph)
    assert made is before


def test_a_loop_with_no_loop_or_branch_within_stays() -> None:
    before, made, _ = _converted([_READS, _MORE], _GRAPH.replace("@outer", "@body"))
    assert made is before
