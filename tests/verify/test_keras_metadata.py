"""What is read from keras_metadata.pb, and what counts as a difference in it. No TensorFlow."""

from __future__ import annotations

import json

import pytest

from migrate.graph.protos import SavedModel
from migrate.verify.keras_metadata import (
    at,
    described,
    is_same,
    layer_differences,
    normalised,
    objects_of,
    slot_of,
    slot_path,
)
from tests.conversions import ROOT

_SAVED = ROOT / "testdata" / "keras" / "saved_model"
_TEXT = '{"class_name": "Dense", "config": {"units": 3, "activation": "relu"}, "shared_object_id": 4, "layers": [1, 2]}'


def _graph():
    return SavedModel.FromString((_SAVED / "saved_model.pb").read_bytes()).meta_graphs[0].object_graph_def


def test_objects_of_a_file():
    found = list(objects_of((_SAVED / "keras_metadata.pb").read_bytes()))
    assert found[0][:3] == (0, "root", "_tf_keras_sequential")
    assert {path for _, path, _, _ in found} >= {"root", "root.layer_with_weights-0"}
    assert all(isinstance(json.loads(text), dict) for _, _, _, text in found)


@pytest.mark.parametrize("data", [b"\x0a\x02\x10", b"\x0a\x05\x1a\x09ab", b"\x0a\x02\x1d\x00", b"\x0a\x02\x18\x01"])
def test_what_is_no_such_file(data):
    with pytest.raises(ValueError, match=r"not an object|not a message"):
        list(objects_of(data))


def test_layers_go_by_the_object_graph(tmp_path):
    (tmp_path / "keras_metadata.pb").write_bytes((_SAVED / "keras_metadata.pb").read_bytes())
    graph = _graph()
    found = described(graph, str(tmp_path), ["", "layer_with_weights-0", "layer-77"])
    assert set(found) == {"", "layer_with_weights-0"}
    hidden = json.loads(found["layer_with_weights-0"])
    assert hidden["metadata"]["config"]["activation"] == "tanh"
    swapped = {"layer_with_weights-0": "layer_with_weights-1", "layer_with_weights-1": "layer_with_weights-0"}
    for child in graph.nodes[0].children:
        child.local_name = swapped.get(child.local_name, child.local_name)
    assert described(graph, str(tmp_path), list(found))["layer_with_weights-0"] != found["layer_with_weights-0"]


def _lookup(vocabulary, copied):
    config = {"name": "words", "vocabulary": vocabulary, "has_input_vocabulary": True}
    inner = {"class_name": "StringLookup", "config": {"name": "words"} | copied}
    return normalised("", json.dumps({"config": config, "model_config": {"config": {"layers": [inner]}}}))


def test_a_copy_of_a_vocabulary_in_the_text_of_an_outer_layer_depends_on_the_order():
    written = {"vocabulary": None, "has_input_vocabulary": True}
    assert _lookup(None, written) == _lookup(None, {"vocabulary": ["a"]}) == _lookup(None, {})
    assert _lookup(None, written) != _lookup(["a"], written)


@pytest.mark.parametrize("data", [None, b"", b"{}", b"\x0a\x05\x1a\x09ab"])
def test_a_file_that_describes_nothing(tmp_path, data):
    if data is not None:
        (tmp_path / "keras_metadata.pb").write_bytes(data)
    assert described(_graph(), str(tmp_path), [""]) == {}


def test_a_path_leads_nowhere():
    graph = _graph()
    assert at(graph, ()) == 0
    assert at(graph, ("nothing", "0")) is None
    assert at(SavedModel().meta_graphs.add().object_graph_def, ()) is None
    graph.nodes[0].children.add(local_name="beyond", node_id=10**6)
    assert at(graph, ("beyond",)) is None


def test_slots():
    assert slot_of(slot_path(3, "m")) == (("variables", "3"), "m")
    assert slot_of("optimizer/_variables/1") == (("optimizer", "_variables", "1"), "")


def test_texts_are_the_same_whatever_numbers_their_objects_have():
    first = normalised("_tf_keras_layer", _TEXT)
    assert first == normalised("_tf_keras_layer", _TEXT.replace('"shared_object_id": 4', '"shared_object_id": 9'))
    assert first != normalised("_tf_keras_model", _TEXT)
    assert is_same(first, first, ())
    assert not is_same(first, "", ())
    other = normalised("_tf_keras_layer", _TEXT.replace("[1, 2]", "[1]"))
    assert not is_same(first, other, ())
    assert is_same(first, other, ("layers",))


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ('"relu"', '"tanh"', 'metadata.config.activation: expected "relu", found "tanh"'),
        ('"Dense"', '"Dens"', 'metadata.class_name: expected "Dense", found "Dens"'),
        ("3", "3.0", "metadata.config.units: expected 3, found 3.0"),
        ("3", "true", "metadata.config.units: expected 3, found true"),
        ("[1, 2]", "[1, 3]", "metadata.layers[1]: expected 2, found 3"),
        ("[1, 2]", "[1]", "metadata.layers: expected [1, 2], found [1]"),
        ('"units": 3, ', "", "metadata.config.units: expected 3, found nothing"),
        ('"units": 3', '"units": 3, "more": 1', "metadata.config.more: expected nothing, found 1"),
        ('"shared_object_id": 4', '"shared_object_id": 5', ""),
        ('"class_name": "Dense", ', "", 'metadata.class_name: expected "Dense", found nothing'),
    ],
)
def test_differences(before, after, place):
    assert before in _TEXT
    wanted = {"layer-1": normalised("_tf_keras_layer", _TEXT)}
    found = {"layer-1": normalised("_tf_keras_layer", _TEXT.replace(before, after, 1))}
    expected = [("layer-1", place)] if place else []
    assert list(layer_differences(wanted, found, True)) == expected
    # Another release of Keras may write further entries, and no other values.
    assert list(layer_differences(wanted, found, False)) == ([] if "nothing" in place else expected)


def test_layers_that_are_not_described():
    text = normalised("_tf_keras_layer", _TEXT)
    assert list(layer_differences({"": text, "layer-1": text}, {"": text}, True)) == [
        ("layer-1", "it does not describe this layer")
    ]
    assert list(layer_differences({"": text, "layer-1": text}, {}, True)) == [
        ("root", "it describes none of the source's 2 layers")
    ]
    assert list(layer_differences({}, {"": text}, True)) == []
