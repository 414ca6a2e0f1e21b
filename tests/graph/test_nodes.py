from __future__ import annotations

from migrate.graph.nodes import (
    Located,
    by_op,
    called_functions,
    callers_of,
    giver,
    labels,
    locate,
    named_functions,
    show_counts,
)
from migrate.graph.protos import FunctionDefLibrary, NodeDef


def _library(**bodies: list[NodeDef]) -> FunctionDefLibrary:
    library = FunctionDefLibrary()
    for name, nodes in bodies.items():
        function = library.function.add()
        function.signature.name = name
        function.node_def.extend(nodes)
    return library


def test_a_graph_without_calls_is_its_nodes():
    nodes = [NodeDef(name="a", op="Add"), NodeDef(name="b", op="Neg")]
    assert locate(nodes, _library(unused=[NodeDef(name="x", op="PyFunc")])) == tuple(Located(n) for n in nodes)


def test_bodies_of_called_functions_are_included_once():
    call = NodeDef(name="call", op="StatefulPartitionedCall")
    call.attr["f"].func.name = "outer"
    case = NodeDef(name="case", op="Case")
    case.attr["branches"].list.func.add(name="inner")
    case.attr["branches"].list.func.add(name="outer")
    direct = NodeDef(name="direct", op="inner")
    body = _library(outer=[case, direct], inner=[NodeDef(name="x", op="ReadFile")], unused=[NodeDef(op="PyFunc")])
    found = locate([call], body)
    assert labels(found) == ("call", "outer/case", "outer/direct", "inner/x")


def test_a_function_that_may_run_in_the_place_of_a_called_one_is_included():
    library = _library(
        called=[NodeDef(name="x", op="Neg")],
        twin=[NodeDef(name="w", op="WriteFile")],
        other=[NodeDef(name="o", op="PyFunc")],
        gradient=[NodeDef(name="g", op="ReadFile")],
    )
    for function, interface in zip(library.function, b"112", strict=False):
        function.attr["api_implements"].s = bytes([interface])
    library.gradient.add(function_name="called", gradient_func="gradient")
    call = NodeDef(name="call", op="PartitionedCall")
    call.attr["f"].func.name = "called"
    assert set(labels(locate([call], library))) == {"call", "called/x", "twin/w", "gradient/g"}


def test_a_function_that_calls_itself_ends():
    again = NodeDef(name="again", op="f")
    assert labels(locate([NodeDef(name="n", op="f")], _library(f=[again]))) == ("n", "f/again")


def test_groups_and_counts():
    nodes = [Located(NodeDef(name=name, op=op)) for name, op in (("1", "B"), ("2", "A"), ("3", "B"))]
    assert {op: labels(group) for op, group in by_op(nodes).items()} == {"A": ("2",), "B": ("1", "3")}
    assert show_counts({"A": 1, "B": 2}) == "A (1), B (2)"


def test_functions_that_one_node_calls_are_met_in_the_order_of_their_attributes():
    names = [f"f{number:02}" for number in range(40)]
    call = NodeDef(name="n", op="Case")
    for name in names[::-1]:
        call.attr[name].func.name = name
    assert called_functions([call], dict.fromkeys(names, ())) == tuple(names)


def test_a_function_in_an_attribute_of_a_function_is_called():
    call = NodeDef(name="n", op="StatefulPartitionedCall")
    outer = call.attr["f"].func
    outer.name = "a"
    outer.attr["x"].func.name = "b"
    outer.attr["x"].func.attr["y"].list.func.add(name="c").attr["z"].func.name = "d"
    call.attr["g"].list.func.add(name="e").attr["x"].func.name = "f"
    assert list(named_functions(call)) == ["a", "e", "b", "f", "c", "d"]
    assert called_functions([call], dict.fromkeys("abcdef", ())) == ("a", "e", "b", "f", "c", "d")
    assert callers_of(["d"], {"caller": [call], **dict.fromkeys("abcdef", ())}) == {"d", "caller"}


def test_the_gradient_of_a_called_function_is_called():
    library = _library(f=[], g=[NodeDef(name="x", op="h")], h=[])
    library.gradient.add(function_name="f", gradient_func="g")
    assert labels(locate([NodeDef(name="n", op="f")], library)) == ("n", "g/x")
    assert called_functions([NodeDef(op="f")], {"f": (), "g": ()}) == ("f",)


def test_the_giver_of_a_tensor():
    inputs = {"a": ["^w"], "b": ["^w", "a:1"], "c": ["b:out:0"], "d": ["e"], "e": ["d:0"], "f": ["none"]}
    nodes = {name: NodeDef(name=name, op="Identity", input=taken) for name, taken in inputs.items()}
    passed = {"Identity"}
    assert giver(nodes, "c:0").name == "c"
    assert giver(nodes, "c:0", passed).name == giver(nodes, "a", passed).name == "a"  # Which takes no tensor.
    assert [giver(nodes, name, passed) for name in ("d", "f", "none")] == [None, None, None]


def test_an_engine_calls_what_it_was_made_of():
    engine = NodeDef(name="engine", op="TRTEngineOp")
    engine.attr["segment_funcdef_name"].s = b"segment"
    assert called_functions([engine], {"segment": [], "other": []}) == ("segment",)
