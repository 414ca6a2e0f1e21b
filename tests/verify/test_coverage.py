"""coverage.py: what a Session says of its runs, summed up. No TensorFlow."""

from __future__ import annotations

from types import SimpleNamespace

from migrate.graph.protos import MetaGraphDef
from migrate.records import Coverage, Signature, TensorSpec
from migrate.verify.coverage import Needed, coverage_of, needed_nodes, trace_of


def _stats(**nodes):
    def shape(sizes):
        dims = [SimpleNamespace(size=size) for size in sizes]
        return SimpleNamespace(tensor_description=SimpleNamespace(shape=SimpleNamespace(dim=dims)))

    found = [SimpleNamespace(node_name=name, output=[shape(sizes)]) for name, sizes in nodes.items()]
    return SimpleNamespace(dev_stats=[SimpleNamespace(node_stats=found)])


def test_work_grows_with_what_is_computed():
    ops = {"a": "Add", "b": "MatMul"}
    small, large = (trace_of(_stats(a=(rows, 8), b=(rows, 4)), ops) for rows in (1, 100))
    assert small.nodes == large.nodes == {"a", "b"}
    assert large.work > 10 * small.work
    assert trace_of(_stats(b=(50, 4)), ops).work > trace_of(_stats(a=(50, 4)), ops).work


def _model(*nodes):
    meta_graph = MetaGraphDef()
    for name, op, inputs in nodes:
        meta_graph.graph_def.node.add(name=name, op=op, input=inputs)
    return meta_graph


def _signature():
    return Signature("s", "", {"x": TensorSpec("x:0", "float32", None)}, {"y": TensorSpec("y:0", "float32", None)})


def test_what_a_call_needs_is_behind_its_outputs():
    model = _model(("x", "Placeholder", []), ("w", "Const", []), ("y", "Mul", ["x", "w"]), ("other", "Neg", ["x"]))
    assert needed_nodes(model, [_signature()]) == Needed({"s": frozenset({"w", "y"})}, {}, frozenset())


def test_writes_of_variables_are_state_and_those_of_tensor_arrays_are_not():
    array = _model(("x", "Placeholder", []), ("y", "TensorArrayWriteV3", ["x"]))
    variable = _model(("x", "Placeholder", []), ("y", "AssignAdd", ["x"]))
    unknown = _model(("x", "Placeholder", []), ("y", "NoSuchOp", ["x"]))
    found = [needed_nodes(model, [_signature()]).keeps_state for model in (array, variable, unknown)]
    assert found == [frozenset(), {"s"}, {"s"}]


def test_nodes_of_functions_are_counted_under_the_functions_name():
    model = _model(("x", "Placeholder", []), ("y", "PartitionedCall", ["x"]))
    model.graph_def.node[1].attr["f"].func.name = "f"
    function = model.graph_def.library.function.add()
    function.signature.name = "f"
    for name in ("sin", "cos"):
        function.node_def.add(name=name, op=name.title())
    needed = needed_nodes(model, [_signature()])
    assert coverage_of(needed, {"s": {"call/f/_1/sin"}}) == Coverage(2, 1, ("f/cos",))


def test_a_node_is_reached_where_a_call_of_a_signature_that_needs_it_has_executed_it():
    needed = Needed({"a": frozenset({"n", "m"}), "b": frozenset({"m"})}, {}, frozenset())
    assert coverage_of(needed, {"a": {"n"}, "b": {"m", "n"}}) == Coverage(2, 2, ())
    assert coverage_of(needed, {"b": {"n"}}) == Coverage(2, 0, ("m", "n"))
