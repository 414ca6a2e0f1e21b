"""Constants of a candidate, by their names and by what takes them."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef, TensorProto, TensorShapeProto
from migrate.sources.tensor_values import TensorValues
from migrate.verify.constants import constant_differences
from tests.conversions import ROOT
from tests.verify.pairs import FLOAT, STRING, candidate, constant, source, table


def _scalar(value: float | int | str | bool) -> TensorProto:
    found = TensorProto(tensor_shape=TensorShapeProto())
    if isinstance(value, bool):
        found.dtype = 10
        found.bool_val.append(value)
    elif isinstance(value, int):
        found.dtype = 3
        found.int_val.append(value)
    elif isinstance(value, float):
        found.dtype = FLOAT
        found.float_val.append(value)
    else:
        found.dtype = STRING
        found.string_val.append(value.encode())
    return found


def _body(new: MetaGraphDef):
    (found,) = (f.node_def for f in new.graph_def.library.function if f.signature.name == "body_serving_default")
    return found


def _told(before, new, feeds=None, train=None, checkpoint=None):
    return [d.output for d in constant_differences(before, new, feeds or {}, train, checkpoint, "contract")]


@pytest.mark.parametrize("value", [3.0, 7, "unknown", True])
def test_a_small_constant_keeps_its_value(value):
    before = source()
    constant(before.graph_def.node, "branch/far", _scalar(value))
    assert _told(before, candidate(before)) == []
    changed = {3.0: 4.0, 7: 8, "unknown": "other", True: False}[value]
    for name in ("branch/far", "source/branch/far"):
        bad = candidate(before)
        for node in _body(bad):
            if node.name == "branch/far":
                node.name = name
                node.attr["value"].tensor.CopyFrom(_scalar(changed))
            elif node.name == "branch/far/taken":
                node.input[:] = [name]
        assert _told(before, bad) == [name]


@pytest.mark.parametrize(
    ("value", "is_told"),
    [
        (0, False),
        (-1, False),
        (True, False),
        (0.0, False),
        (0.25, True),
        ("a word", True),
        (table(3), True),
        (table(5000), True),
        (TensorProto(dtype=3, tensor_shape=TensorShapeProto(dim=[{"size": 2}]), int_val=[1, 2]), False),
        (TensorProto(dtype=3, tensor_shape=TensorShapeProto(dim=[{"size": 900}]), int_val=[1, 2]), True),
    ],
    ids=str,
)
def test_a_constant_of_a_new_name_is_a_small_whole_number_or_one_of_the_sources(value, is_told):
    before = source()
    new = candidate(before)
    proto = value if isinstance(value, TensorProto) else _scalar(value)
    constant(_body(new), "made", proto)
    assert _told(before, new) == (["made"] if is_told else [])
    constant(before.graph_def.node, "somewhere/else", proto)
    assert _told(before, new) == []


def test_a_value_that_the_user_feeds():
    before = source()
    new = candidate(before)
    constant(_body(new), "x", _scalar(0.25))
    assert _told(before, new) == ["x"]
    written_otherwise = TensorProto(dtype=FLOAT, tensor_shape=TensorShapeProto(), tensor_content=b"\0\0\x80>")
    assert _told(before, new, {"x:0": written_otherwise}) == []


def test_what_no_node_takes_is_a_result_and_no_constant_of_the_source():
    before = source()
    new = candidate(before)
    for taker in ("Identity", "IdentityN"):
        constant(_body(new), f"given_{taker}", _scalar("done"), taker)
    assert _told(before, new) == []
    _body(new).add(name="use", op="StringUpper", input=["given_IdentityN/taken:output:0"])
    assert _told(before, new) == ["given_IdentityN"]


def test_the_savers_names_are_new():
    before = source()
    new = candidate(before)
    saver = new.graph_def.library.function.add()
    saver.signature.name = "traced_save"
    constant(saver.node_def, "names", TensorProto(dtype=STRING, string_val=[b"vars/0"]), "SaveV2")
    new.graph_def.node.add(name="save", op="StatefulPartitionedCall").attr["f"].func.name = "traced_save"
    assert _told(before, new) == []
    # Once a signature calls it, it is no longer the saver's.
    _body(new).add(name="call", op="PartitionedCall").attr["f"].func.name = "traced_save"
    assert _told(before, new) == ["names"]


def test_a_function_of_an_object_counts_although_nothing_calls_it():
    before = source()
    new = candidate(before)
    function = new.graph_def.library.function.add()
    function.signature.name = "another"
    constant(function.node_def, "made", _scalar(0.25))
    assert _told(before, new) == []
    new.object_graph_def.concrete_functions["another"].SetInParent()
    assert _told(before, new) == ["made"]


def test_the_branch_for_training():
    before, train = source(), MetaGraphDef()
    constant(train.graph_def.node, "rate", _scalar(0.25))
    new = candidate(before)
    constant(_body(new), "rate", _scalar(0.25))
    assert _told(before, new) == ["rate"]
    assert _told(before, new, train=train) == []


def test_functions_that_make_a_resource_have_names_of_their_own():
    before = source()
    constant(before.graph_def.node, "Const", _scalar(0.25))
    constant(before.graph_def.node, "empty_key", _scalar("*"))
    new = candidate(before)
    creator = new.graph_def.library.function.add()
    creator.signature.name = "creator"
    constant(creator.node_def, "Const", _scalar("*"), "MutableDenseHashTableV2")
    objects = new.object_graph_def
    objects.concrete_functions["creator"].SetInParent()
    assert _told(before, new) == ["Const"]
    resource = objects.nodes.add()
    resource.resource.SetInParent()
    resource.children.add(local_name="_create_resource", node_id=len(objects.nodes))
    objects.nodes.add().function.concrete_functions.append("creator")
    assert _told(before, new) == []
    creator.node_def[0].attr["value"].tensor.string_val[:] = [b"other"]
    assert _told(before, new) == ["Const"]
    creator.node_def[0].attr["value"].tensor.string_val[:] = [b"*"]
    # A function that a signature calls is the source's, whatever else it is.
    _body(new).add(name="call", op="PartitionedCall").attr["f"].func.name = "creator"
    assert _told(before, new) == ["Const"]


def test_what_fills_a_table_is_in_the_sources_checkpoint_however_small_it_is():
    before = source()
    before.graph_def.node.add(name="import", op="LookupTableImportV2")
    new = candidate(before)
    constant(new.graph_def.node, "Const", _scalar(7), "StatefulPartitionedCall")
    new.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "Const/taken"
    assert _told(before, new) == ["Const"]
    constant(before.graph_def.node, "somewhere", _scalar(7))
    assert _told(before, new) == []


@pytest.mark.parametrize(
    ("op", "value", "is_told"),
    [
        ("BucketizeWithInputBoundaries", "Expected sorted boundaries", False),
        ("SparseFeatureCross", "_X_", False),
        ("SparseFeatureCross", "_Y_", True),
        ("SparseFeatureCrossV2", "_X_", True),
        ("Resampler", -1.0, False),
        ("Resampler", -2.0, True),
        ("BatchNormWithGlobalNormalization", "farmhash64", True),
        ("CudnnRNNV3", "Invalid input_h shape", False),
        ("CudnnRNN", 1.0, False),
        ("CudnnRNN", 2.0, True),
    ],
)
def test_what_the_form_of_an_op_has_that_is_gone(op, value, is_told):
    before = source()
    new = candidate(before)
    constant(_body(new), "made", _scalar(value))
    assert _told(before, new) == ["made"]
    before.graph_def.node.add(name="gone", op=op)
    assert _told(before, new) == (["made"] if is_told else [])


_EPSILON = 0.1234


def _with_constant(before, value):
    found = candidate(before)
    constant(_body(found), "made/value", value)
    return found


@pytest.mark.parametrize("epsilon", [_EPSILON, 0.777])
def test_the_attribute_of_an_op_of_tf1_becomes_a_constant(epsilon):
    """BatchNormWithGlobalNormalization has its epsilon in an attribute; arithmetic has it in a constant."""
    before = source()
    node = before.graph_def.node.add(name="norm", op="BatchNormWithGlobalNormalization")
    node.attr["variance_epsilon"].f = _EPSILON
    new = _with_constant(before, _scalar(epsilon))
    assert _told(before, new) == ([] if epsilon == _EPSILON else ["made/value"])


@pytest.mark.parametrize(
    ("op", "key"),
    [("AudioSummary", "sample_rate"), ("QuantizeAndDequantize", "input_min"), ("QuantizeAndDequantize", "input_max")],
)
def test_an_attribute_that_is_an_input_now(op, key):
    before = source()
    before.graph_def.node.add(name="old", op=op).attr[key].f = _EPSILON
    assert _told(before, _with_constant(before, _scalar(_EPSILON))) == []
    assert _told(before, _with_constant(before, _scalar(0.777))) == ["made/value"]


@pytest.mark.parametrize("count", [8, 9])
def test_what_the_bits_of_a_byte_are_worth(count):
    before = source()
    worth = TensorProto(dtype=3, tensor_shape=TensorShapeProto(dim=[{"size": count}]), int_val=range(900, 900 + count))
    new = _with_constant(before, worth)
    assert _told(before, new) == ["made/value"]
    before.graph_def.node.add(name="old", op="CompareAndBitpack")
    assert _told(before, new) == ([] if count == 8 else ["made/value"])


@pytest.mark.parametrize(("norm", "told"), [(5.371920351148152, []), (5.371920351148153, ["made/value"])])
def test_a_norm_in_double_precision(norm, told):
    before = source()
    new = _with_constant(before, TensorProto(dtype=2, tensor_shape=TensorShapeProto(), double_val=[norm]))
    assert _told(before, new) == ["made/value"]
    assert _told(_with(before, "MatrixExponential"), new) == told


def _with(before: MetaGraphDef, op: str) -> MetaGraphDef:
    """The source with a node of TensorFlow 1's in whose place there are constants."""
    found = MetaGraphDef.FromString(before.SerializeToString())
    found.graph_def.node.add(name="old", op=op)
    return found


@pytest.mark.parametrize("op", ["BoostedTreesPredict", "GradientTreesPrediction", "TreePredictionsV4"])
def test_what_is_below_a_prediction_of_trees_is_for_the_proof(op):
    before = source()
    for name, told in (("old/values", []), ("other/values", ["other/values"])):
        new = candidate(before)
        constant(_body(new), name, table(5000))
        assert _told(_with(before, op), new) == told
        assert _told(before, new) == [name]


def test_boundaries_of_buckets_are_the_checkpoints():
    before = _with(source(), "BoostedTreesQuantileStreamResourceGetBucketBoundaries")
    new = candidate(source())
    constant(_body(new), "old/boundaries_0", table(7))
    assert _told(before, new) == ["old/boundaries_0"]
    prefix = str(ROOT / "testdata" / "dead_ops" / "boosted_classifier" / "variables" / "variables")
    new = candidate(source())
    stored = TensorValues(prefix).read("boosted_trees/QuantileAccumulator:0_bucket_boundaries_0")
    constant(_body(new), "old/boundaries_0", stored)
    assert _told(before, new, checkpoint=prefix) == []
