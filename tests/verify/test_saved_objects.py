"""What the object graph of a candidate says of itself. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.saved_objects import attribute_differences, root_differences, root_function_differences

_LISTS = {"variables": ("v", "m"), "trainable_variables": ("v",), "regularization_losses": ()}


def _source():
    graph = MetaGraphDef()
    for name in ("v", "m"):
        node = graph.graph_def.node.add(name=name, op="VariableV2")
        node.attr["shared_name"].s = b""
    from migrate.graph.protos import VariableDef

    listed = graph.collection_def["trainable_variables"].bytes_list
    listed.value.append(VariableDef(variable_name="v:0").SerializeToString())
    graph.signature_def["serving_default"].outputs["y"].name = "y:0"
    return graph


def _candidate(lists=None, root="_generic_user_object", trainable=("v",), call=True):
    lists = _LISTS if lists is None else lists
    graph = MetaGraphDef()
    objects = graph.object_graph_def.nodes
    objects.add().user_object.identifier = root
    numbers = {}
    for name in ("v", "m"):
        numbers[name] = len(objects)
        variable = objects.add().variable
        variable.name, variable.trainable = name, name in trainable
    for attribute, names in (("vars", ("v", "m")), *lists.items()):
        objects[0].children.add(local_name=attribute, node_id=len(objects))
        holder = objects.add()
        holder.user_object.identifier = "trackable_dict_wrapper"
        for position, name in enumerate(names):
            key = name if attribute == "vars" else str(position)
            holder.children.add(local_name=key, node_id=numbers[name])
    if call:
        objects[0].children.add(local_name="__call__", node_id=len(objects))
        objects.add().function.SetInParent()
    return graph


def _told(candidate):
    return [m.output for m in attribute_differences(_source(), None, candidate, "contract")]


def test_a_faithful_candidate_has_all_attributes():
    assert _told(_candidate()) == []
    assert list(root_differences(_source(), _candidate(), "contract")) == []


@pytest.mark.parametrize("gone", _LISTS)
def test_an_attribute_that_is_gone_is_told(gone):
    assert set(_told(_candidate({name: found for name, found in _LISTS.items() if name != gone}))) == {gone}


@pytest.mark.parametrize(
    ("candidate", "told"),
    [
        (_candidate(call=False), ["__call__"]),
        (_candidate({**_LISTS, "variables": ("v",)}), ["variables"]),
        (_candidate({**_LISTS, "trainable_variables": ("v", "m")}), ["trainable_variables"]),
        (_candidate({**_LISTS, "trainable_variables": ()}, trainable=()), ["v"]),
        (_candidate({**_LISTS, "trainable_variables": ("v", "m")}, trainable=("v", "m")), ["m"]),
    ],
)
def test_lists_and_flags(candidate, told):
    assert _told(candidate) == told


@pytest.mark.parametrize(("droppable", "call", "told"), [((), True, "__call__"), (("bad",), True, None)])
def test_call_answers_the_only_signature_that_is_left(droppable, call, told):
    source, candidate = _source(), _candidate(call=call)
    for key in ("good", "bad"):
        source.signature_def[key].CopyFrom(source.signature_def["serving_default"])
    del source.signature_def["serving_default"]
    candidate.signature_def["good"].CopyFrom(source.signature_def["good"])
    found = attribute_differences(source, None, candidate, "contract", droppable)
    assert [m.output for m in found] == ([told] if told else [])


def test_a_signature_that_need_not_be_there_counts_where_it_is():
    source, candidate = _source(), _candidate(call=False)
    source.signature_def["bad"].CopyFrom(source.signature_def["serving_default"])
    source.signature_def["good"].CopyFrom(source.signature_def["serving_default"])
    del source.signature_def["serving_default"]
    for key in ("good", "bad"):
        candidate.signature_def[key].CopyFrom(source.signature_def[key])
    assert list(attribute_differences(source, None, candidate, "contract", ("bad",))) == []


def test_a_model_of_another_exporter_has_attributes_of_its_own():
    assert _told(_candidate({}, call=False)) == []
    assert list(root_differences(_source(), _candidate(root="_tf_keras_model"), "contract")) == []


@pytest.mark.parametrize("root", ["", "trackable_dict_wrapper", "optimizer", "_generic_user_object2"])
def test_a_root_of_another_kind_is_told(root):
    assert [m.output for m in root_differences(_source(), _candidate(root=root), "contract")] == ["root"]


def _objects(candidate, source=None):
    return [(m.code, m.output) for m in root_function_differences([source or _source()], candidate, "contract")]


def _variable(candidate, name):
    return next(node.variable for node in candidate.object_graph_def.nodes if node.variable.name == name)


def test_a_function_that_answers_nothing_of_the_source_is_told():
    candidate = _candidate()
    assert _objects(candidate) == []
    graph = candidate.object_graph_def
    for kind in ("function", "bare_concrete_function"):
        graph.nodes[0].children.add(local_name=f"a_{kind}", node_id=len(graph.nodes))
        getattr(graph.nodes.add(), kind).SetInParent()
    assert _objects(candidate) == [
        ("attribute-added", "a_function"),
        ("attribute-added", "a_bare_concrete_function"),
    ]
    graph.nodes[0].children.add(local_name="nothing", node_id=99)
    assert len(_objects(candidate)) == 2
    assert _objects(_candidate({}, call=False), MetaGraphDef()) == []


@pytest.mark.parametrize(("field", "value"), [("synchronization", 3), ("aggregation", 1)])
def test_replicas_are_kept_as_the_sources(field, value):
    candidate, source = _candidate(), _source()
    setattr(_variable(candidate, "v"), field, value)
    assert _objects(candidate) == [("run-setting-differs", "v")]
    from migrate.graph.protos import VariableDef

    listed = VariableDef(variable_name="v:0", **{field: value}).SerializeToString()
    source.collection_def["variables"].bytes_list.value.append(listed)
    source.collection_def["trainable_variables"].bytes_list.value[:] = []
    assert _objects(candidate, source) == []
    setattr(_variable(candidate, "v"), field, 0)
    assert _objects(candidate, source) == []


def test_a_variable_on_a_device_is_told():
    candidate = _candidate()
    _variable(candidate, "m").device = "/GPU:0"
    assert _objects(candidate) == [("device-pinned", "m")]
