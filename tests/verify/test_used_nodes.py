"""The nodes of a candidate that its calls and its loading run. No TensorFlow."""

from __future__ import annotations

from migrate.graph.protos import MetaGraphDef
from migrate.verify.used_nodes import used_nodes


def _candidate():
    """A signature that calls `f`, an init op that calls the function of a table, and functions that nobody calls."""
    graph = MetaGraphDef()
    for name, called in (("call", "f"), ("init", "fill")):
        graph.graph_def.node.add(name=name, op="StatefulPartitionedCall").attr["f"].func.name = called
    graph.graph_def.node.add(name="other", op="Neg")
    graph.signature_def["s"].outputs["y"].name = "call:0"
    for name in ("f", "fill", "make", "nobody's"):
        function = graph.graph_def.library.function.add()
        function.signature.name = name
        function.node_def.add(name=f"in_{name}", op="Neg")
    objects = graph.object_graph_def.nodes
    objects.add()
    table = objects.add()
    table.resource.SetInParent()
    for number, (attribute, name) in enumerate((("_initialize", "fill"), ("_create_resource", "make"))):
        table.children.add(local_name=attribute, node_id=2 + number)
        objects.add().function.concrete_functions.append(name)
        graph.object_graph_def.concrete_functions[name].SetInParent()
    return graph


def _used(graph):
    return {
        used.where: ([node.name for node in used.nodes], used.has_names, used.of_resource) for used in used_nodes(graph)
    }


def test_functions_of_resources_have_names_of_their_own():
    assert _used(_candidate()) == {
        "the main graph": (["call"], False, False),
        "the function 'f'": (["in_f"], True, False),
        "the function 'fill'": (["in_fill"], False, True),
        "the function 'make'": (["in_make"], False, True),
    }


def test_one_that_a_session_calls_may_have_the_sources():
    graph = _candidate()
    graph.signature_def["__saved_model_init_op"].outputs["init"].name = "init"
    assert _used(graph)["the function 'fill'"] == (["in_fill"], True, True)
