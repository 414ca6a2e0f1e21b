from __future__ import annotations

import pytest

from migrate.checks.keras_calls import find_calls, load_symbols

_X = [[["x", 0, 0, {}]]]


def _found(class_name, config, nodes=_X):
    return list(find_calls(class_name, {"config": config, "inbound_nodes": nodes}, "layer"))


def _op(op, constants=(), inputs=("x",), **attrs):
    return {"node_def": {"name": "n", "op": op, "input": list(inputs), "attr": attrs}, "constants": dict(constants)}


@pytest.mark.parametrize(
    ("class_name", "config"),
    [
        ("TFOpLambda", {"function": "nn.relu"}),
        ("SlicingOpLambda", {"function": "__operators__.getitem"}),
        ("ClassMethod", {"cls_symbol": "RaggedTensor", "method_name": "from_row_splits"}),
        ("InstanceProperty", {"attr_name": "values"}),
        ("InstanceMethod", {"attr_name": "nrows"}),
        ("TensorFlowOpLayer", _op("AddV2", {"1": 2.0}, ("x", "two"))),
        ("TensorFlowOpLayer", _op("RandomUniform")),
    ],
)
def test_what_only_computes(class_name, config):
    assert _found(class_name, config) == []


@pytest.mark.parametrize(
    ("class_name", "config", "says"),
    [
        ("TFOpLambda", {"function": "io.read_file"}, "tf.io.read_file"),
        ("TFOpLambda", {"function": ["nn.relu"]}, "tf.['nn.relu']"),
        ("TFOpLambda", {}, "tf.None"),
        ("SlicingOpLambda", {"function": "py_function"}, "tf.py_function"),
        ("ClassMethod", {"cls_symbol": "RaggedTensor", "method_name": "__init__"}, "tf.RaggedTensor.__init__"),
        ("InstanceProperty", {"attr_name": "graph"}, "InstanceProperty graph"),
        ("InstanceMethod", {"attr_name": "values"}, "InstanceMethod values"),
        ("InstanceMethod", {}, "InstanceMethod"),
        ("TensorFlowOpLayer", {}, "a node_def that cannot be read"),
        ("TensorFlowOpLayer", {"node_def": {"op": 1}}, "a node_def that cannot be read"),
        ("TensorFlowOpLayer", {"node_def": "\xff"}, "a node_def that cannot be read"),
        ("TensorFlowOpLayer", _op("Stranger"), "the op 'Stranger', which no TensorFlow 2 knows"),
        ("TensorFlowOpLayer", _op("ReadFile"), "the op 'ReadFile', which does more than compute"),
        ("TensorFlowOpLayer", _op("Neg", f={"func": {"name": "f"}}), "the op 'Neg' with a function"),
        ("TensorFlowOpLayer", _op("Neg", {"0": 1.0}), "the op 'Neg' with constants alone"),
        ("TensorFlowOpLayer", _op("AddV2", {"0": 1.0}, ("x", "^after")), "the op 'AddV2' with constants alone"),
    ],
)
def test_what_may_do_more_is_named_with_its_layer(class_name, config, says):
    (found,) = _found(class_name, config)
    assert found.startswith(f"layer: {says}")


@pytest.mark.parametrize(
    ("nodes", "with_a_tensor"),
    [
        (None, True),  # A Sequential model's layer has no such entry.
        ([], True),
        ([["x", 0, 0, {"y": 1}]], True),
        ([[["_CONSTANT_VALUE", -1, [1.0], {"y": ["x", 0, 0]}]]], True),
        ([{"a": ["x", 0, 0]}], True),
        ([[["_CONSTANT_VALUE", -1, [1.0], {"y": 2}]]], False),
        ([[["_CONSTANT_VALUE", 0, 0, {}]]], False),
        ([["x", 0, 0], [[1.0]]], False),
        ([5], False),
    ],
)
def test_a_call_of_constants_alone_would_be_made_on_loading(nodes, with_a_tensor):
    found = _found("TFOpLambda", {"function": "nn.relu"}, nodes)
    assert bool(found) is not with_a_tensor
    if found:
        assert found == ["layer: tf.nn.relu with constants alone, which loading would evaluate"]


def test_no_name_on_the_list_is_empty():
    symbols = load_symbols()
    for names in (symbols.functions, symbols.class_methods, symbols.properties, symbols.methods):
        assert names and "" not in names
