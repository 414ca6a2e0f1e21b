"""The two object graphs of a SavedModel, as TensorFlow's loaders read them. No TensorFlow."""

from __future__ import annotations

from migrate.graph.protos import MetaGraphDef, TrackableObjectGraph
from migrate.verify.object_graph import handles, named, places, restored_keys


def _graph(*nodes, names=()):
    """Each node is {attribute: number}; those with a name are variables."""
    meta_graph = MetaGraphDef()
    graph = meta_graph.object_graph_def
    names = dict(names)
    for number, children in enumerate(nodes):
        node = graph.nodes.add()
        for name, child in children.items():
            node.children.add(local_name=name, node_id=child)
        if number in names:
            node.variable.name = names[number]
        else:
            node.user_object.identifier = "_generic_user_object"
    return meta_graph


def _stored(*nodes, keys=()):
    graph = TrackableObjectGraph()
    for number, children in enumerate(nodes):
        node = graph.nodes.add()
        for name, child in children.items():
            node.children.add(local_name=name, node_id=child)
        if number in dict(keys):
            node.attributes.add(name="VARIABLE_VALUE", checkpoint_key=dict(keys)[number])
    return graph


_OURS = _graph({"variables": 2, "vars": 1}, {"a/b": 3, "c": 4}, {"0": 3}, {}, {}, names={3: "a/b:0", 4: "other:0"})


def test_names_are_the_keys_of_vars():
    found = named(_OURS.object_graph_def)
    assert {name: (place.node, place.name) for name, place in found.items()} == {"a/b": (3, "a/b"), "c": (4, "other")}


def test_without_vars_names_are_those_of_the_objects_or_their_attributes():
    graph = _graph({"w": 1, "u": 2, "t": 3}, {}, {}, {}, names={1: "kernel", 2: "same", 3: "same"})
    found = named(graph.object_graph_def)
    assert {name: place.node for name, place in found.items()} == {"w": 1, "u": 2, "t": 3, "kernel": 1}


def test_a_variable_has_the_shortest_path_and_circles_end():
    graph = _graph({"self": 0, "deep": 1, "near": 2}, {"v": 2, "up": 0, "out": 99}, {}, names={2: "v"})
    (place,) = places(graph.object_graph_def)
    assert place.path == ("near",)
    assert places(MetaGraphDef().object_graph_def) == () and named(MetaGraphDef().object_graph_def) == {}


def test_keys_are_those_of_the_object_that_the_loader_comes_to():
    stored = _stored({"vars": 1}, {"a/b": 3, "c": 2}, {}, {}, keys={2: "second", 3: "first"})
    assert restored_keys(_OURS.object_graph_def, stored) == {3: "first", 4: "second"}
    swapped = _stored({"vars": 1}, {"a/b": 2, "c": 3}, {}, {}, keys={2: "second", 3: "first"})
    assert restored_keys(_OURS.object_graph_def, swapped) == {3: "second", 4: "first"}
    assert restored_keys(_OURS.object_graph_def, TrackableObjectGraph()) == {}


def test_handles_are_what_calls_capture():
    graph = MetaGraphDef()
    graph.CopyFrom(_OURS)
    graph.object_graph_def.concrete_functions["f"].bound_inputs.extend([3, 4])
    for name in ("first", "second"):
        graph.graph_def.node.add(name=name, op="VarHandleOp")
    graph.graph_def.node.add(name="x", op="Placeholder")
    call = graph.graph_def.node.add(name="call", op="StatefulPartitionedCall", input=["x", "first", "second:0", "^x"])
    call.attr["f"].func.name = "f"
    assert handles(graph) == {3: {"first"}, 4: {"second"}}
    call.attr["f"].func.name = "g"
    assert handles(graph) == {}
