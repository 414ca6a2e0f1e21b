"""requests.py and contents.py on hand-made graphs. No TensorFlow."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest

from migrate.graph.data_protos import Example, SequenceExample
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef
from migrate.records import Signature, TensorSpec
from migrate.verify import images, payloads
from migrate.verify.contents import Contents
from migrate.verify.requests import synthesise

FLOAT, INT32, STRING, INT64, BOOL = map(dtype_value, ("float32", "int32", "string", "int64", "bool"))


def _graph(*nodes) -> MetaGraphDef:
    """A MetaGraphDef of (name, op, inputs, attrs); an attr is a callable that fills an AttrValue."""
    meta_graph = MetaGraphDef()
    for name, op, inputs, attrs in nodes:
        node = meta_graph.graph_def.node.add(name=name, op=op, input=inputs)
        for key, fill in attrs.items():
            fill(node.attr[key])
    return meta_graph


def _placeholder(name, dtype, shape=None):
    def fill(attr):
        if shape is None:
            attr.shape.unknown_rank = True
        for size in shape or ():
            attr.shape.dim.add(size=-1 if size is None else size)

    return (name, "Placeholder", [], {"dtype": _type(dtype), "shape": fill})


def _type(number):
    return lambda attr: setattr(attr, "type", number)


def _types(*numbers):
    return lambda attr: attr.list.type.extend(numbers)


def _int(number):
    return lambda attr: setattr(attr, "i", number)


def _texts(*items):
    return lambda attr: attr.list.s.extend(items)


def _shapes(*shapes):
    def fill(attr):
        for shape in shapes:
            proto = attr.list.shape.add()
            for size in shape:
                proto.dim.add(size=size)

    return fill


def _const(name, *items):
    def fill(attr):
        attr.tensor.dtype = STRING
        attr.tensor.string_val.extend(items)
        if len(items) != 1:
            attr.tensor.tensor_shape.dim.add(size=len(items))

    return (name, "Const", [], {"value": fill})


def _signature(**inputs):
    return Signature("serving_default", "", inputs, {"y": TensorSpec("y:0", "float32", None)})


def _families(meta_graph, signature, **kwargs):
    (calls,) = synthesise(meta_graph, [signature], **kwargs)
    return list(calls.families)


def _contents(*nodes):
    return Contents(_graph(_placeholder("s", STRING, [None]), *nodes)).of("s:0")


def test_known_shapes_make_one_family_of_batches_of_one_and_three_before_those_of_multiples():
    spec = TensorSpec("x:0", "float32", (None, 4))
    family, *multiples = _families(_graph(_placeholder("x", FLOAT, [None, 4])), _signature(x=spec))
    assert {call.inputs["x"].shape for call in family} == {(1, 4), (3, 4)}
    assert all(
        {len(c.inputs["x"]) for c in other} == {n, 2 * n} for other, n in zip(multiples, (2, 4, 5), strict=False)
    )
    assert all(call.inputs["x"].dtype == np.float32 for call in family)
    assert any(not call.inputs["x"].any() for call in family)
    assert any(call.inputs["x"].max() >= 1e4 and call.inputs["x"].min() <= -1e4 for call in family)


def test_calls_are_the_same_every_time():
    arguments = _graph(_placeholder("x", FLOAT, [None, None])), _signature(x=TensorSpec("x:0", "float32", (None, None)))
    for one, other in zip(_families(*arguments), _families(*arguments), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.inputs["x"], b.inputs["x"])


@pytest.mark.slow
def test_unknown_sizes_and_ranks_come_in_alternatives():
    shapes = [
        f[0].inputs["x"].shape
        for f in _families(_graph(_placeholder("x", FLOAT)), _signature(x=TensorSpec("x:0", "float32", None)))
    ]
    assert {len(s) for s in shapes} == {0, 1, 2, 3, 4}
    sizes = {
        f[0].inputs["x"].shape[1]
        for f in _families(
            _graph(_placeholder("x", FLOAT, [None, None])), _signature(x=TensorSpec("x:0", "float32", (None, None)))
        )
    }
    assert {1, 2, 3, 8, 16, 28, 32, 64, 224} <= sizes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("producer", "op", "stated", "expected"),
    [
        (0, "Placeholder", (), {(3,), ()}),
        (21, "Placeholder", (), {(3,), ()}),
        (21, "Placeholder", (None,), {(3,), (8,)}),
        (21, "PlaceholderWithDefault", (), {()}),
        (22, "Placeholder", (), {()}),
        (27, "Placeholder", None, {()}),
        # A Session asks the placeholder.
        (27, "Placeholder", (None,), {()}),
    ],
)
def test_a_placeholder_without_dimensions_is_a_scalar_since_graph_version_22(producer, op, stated, expected):
    name, _, inputs, attrs = _placeholder("x", FLOAT, [])
    graph = _graph((name, op, inputs, attrs))
    graph.graph_def.versions.producer = producer
    families = _families(graph, _signature(x=TensorSpec("x:0", "float32", stated)))
    shapes = {family[0].inputs["x"].shape for family in families}
    assert shapes == expected if len(expected) == 1 else expected <= shapes and (() in shapes) == (() in expected)


def test_sizes_of_weights_are_tried():
    weights = ("w", "VariableV2", [], {"shape": lambda a: [a.shape.dim.add(size=s) for s in (37, 5)]})
    spec = TensorSpec("x:0", "float32", (None, None))
    families = _families(_graph(_placeholder("x", FLOAT, [None, None]), weights), _signature(x=spec))
    assert (3, 37) in {f[0].inputs["x"].shape for f in families}


_DROPOUT = (
    ("uniform", "RandomUniform", ["sizes"], {}),
    ("sum", "Add", ["p", "uniform"], {}),
    ("scaled", "RealDiv", ["x", "p"], {}),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (_DROPOUT, {1.0}),
        ([("uniform", "RandomUniform", ["sizes"], {}), ("kept", "GreaterEqual", ["uniform", "p"], {})], {0.0}),
    ],
    ids=["the probability to keep", "the probability to drop"],
)
def test_dropout_drops_nothing(nodes, expected):
    specs = {"x": TensorSpec("x:0", "float32", None), "p": TensorSpec("p:0", "float32", None)}
    graph = _graph(_placeholder("x", FLOAT), _placeholder("p", FLOAT), *nodes)
    families = _families(graph, _signature(**specs))
    assert {call.inputs["p"].item() for family in families for call in family} == expected
    assert {call.inputs["p"].shape for family in families for call in family} == {()}
    assert len({family[0].inputs["x"].shape for family in families}) > 5


def test_a_number_that_more_than_dropout_reads_takes_all_values():
    specs = {"x": TensorSpec("x:0", "float32", None), "p": TensorSpec("p:0", "float32", ())}
    graph = _graph(_placeholder("x", FLOAT), _placeholder("p", FLOAT, []), *_DROPOUT, ("y", "Mul", ["x", "p"], {}))
    values = {call.inputs["p"].ravel()[0] for family in _families(graph, _signature(**specs)) for call in family}
    assert len(values) > 2


def test_two_names_on_one_tensor_get_one_value():
    spec = TensorSpec("x:0", "float32", (None, 2))
    for family in _families(_graph(_placeholder("x", FLOAT, [None, 2])), _signature(a=spec, b=spec)):
        for call in family:
            np.testing.assert_array_equal(call.inputs["a"], call.inputs["b"])


def test_bools_take_both_values_and_ints_stay_small():
    meta_graph = _graph(_placeholder("b", BOOL, [None]), _placeholder("i", INT32, [None]))
    signature = _signature(b=TensorSpec("b:0", "bool", (None,)), i=TensorSpec("i:0", "int32", (None,)))
    family, *_ = _families(meta_graph, signature)
    assert {bool(v) for call in family for v in call.inputs["b"]} == {True, False}
    assert all(-1 <= v <= 100 for call in family for v in call.inputs["i"])


def test_placeholder_corrects_a_wrong_tensor_info():
    spec = TensorSpec("x:0", "float32", ())
    families = _families(_graph(_placeholder("x", STRING)), _signature(x=spec))
    assert families[0][0].inputs["x"].dtype == object
    assert {f[0].inputs["x"].ndim for f in families} >= {0, 1}


def test_sparse_input_is_sorted_and_within_its_shape():
    spec = TensorSpec("", "float32", (None, None), "coo_sparse", ("v:0", "i:0", "d:0"))
    meta_graph = _graph(
        _placeholder("v", FLOAT, [None]), _placeholder("i", INT64, [None, 2]), _placeholder("d", INT64, [2])
    )
    for family in _families(meta_graph, _signature(x=spec))[:5]:
        for call in family:
            value = call.inputs["x"]
            assert len(value.indices) == len(value.values)
            assert (value.indices < value.dense_shape).all()
            assert value.indices.tolist() == sorted(value.indices.tolist())


def test_inputs_that_the_graph_computes_are_derived():
    meta_graph = _graph(_placeholder("x", FLOAT, [None]), ("z", "Identity", ["x"], {}))
    signature = _signature(x=TensorSpec("x:0", "float32", (None,)), z=TensorSpec("z:0", "float32", (None,)))
    assert synthesise(meta_graph, [signature])[0].derived == ("z",)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (TensorSpec("x:0", "resource", ()), "resource"),
        (TensorSpec("", "float32", None, "composite", ("x:0",)), "composite"),
    ],
)
def test_what_cannot_be_given_has_a_reason(spec, words):
    (calls,) = synthesise(_graph(), [_signature(x=spec)])
    assert not list(calls.families) and words in calls.reason


def test_signature_without_inputs_is_called_once():
    (family,) = _families(_graph(), _signature())
    assert [dict(call.inputs) for call in family] == [{}]


def test_words_come_from_tables_and_assets(tmp_path):
    meta_graph = _graph(
        _placeholder("s", STRING, [None]),
        _const("keys", b"red", b"green"),
        ("import", "LookupTableImportV2", ["table", "keys", "values"], {}),
        ("find", "LookupTableFindV2", ["table", "s", "default"], {}),
    )
    asset = meta_graph.collection_def["saved_model_assets"].any_list.value.add()
    asset.value = b"\x12\x05vocab"  # AssetFileDef.filename
    (tmp_path / "vocab").write_bytes(b"blue\nwhite\n")
    families = _families(meta_graph, _signature(s=TensorSpec("s:0", "string", (None,))), assets_directory=str(tmp_path))
    words = {word for call in families[0] for word in call.inputs["s"]}
    assert words & {b"red", b"green"} and words & {b"blue", b"white"} and words - {b"red", b"green", b"blue", b"white"}


# What a parser or decoder gets


_EXAMPLE_ATTRS = {
    "Nsparse": _int(1),
    "Ndense": _int(2),
    "num_sparse": _int(1),
    "sparse_types": _types(INT64),
    "Tdense": _types(FLOAT, STRING),
    "dense_shapes": _shapes([2, 2], []),
}
_KEYS = [_const("k", b"a"), _const("k1", b"b"), _const("k2", b"c"), _const("kd", b"b", b"c"), _const("none")]
_EXAMPLE_NODES = {
    "ParseExample": (["s", "names", "k", "k1", "k2", "d", "d"], _EXAMPLE_ATTRS),
    "ParseExampleV2": (["s", "names", "k", "kd", "none", "d", "d"], _EXAMPLE_ATTRS),
    "ParseSingleExample": (
        ["s", "d", "d"],
        {**_EXAMPLE_ATTRS, "sparse_keys": _texts(b"a"), "dense_keys": _texts(b"b", b"c")},
    ),
}


@pytest.mark.parametrize("op", _EXAMPLE_NODES)
@pytest.mark.parametrize("number", range(8))
def test_examples_hold_every_fixed_feature(op, number):
    inputs, attrs = _EXAMPLE_NODES[op]
    content = _contents(*_KEYS, ("parse", op, inputs, attrs))[0]
    features = Example.FromString(content(number)).features.feature
    assert set(features) == {"a", "b", "c"}
    assert len(features["b"].float_list.value) == 4
    assert len(features["c"].bytes_list.value) == 1
    assert len(features["a"].int64_list.value) == (1, 1, 2, 0)[number % 4]


_SEQUENCE_ATTRS = {
    "Ncontext_sparse": _int(1),
    "Ncontext_dense": _int(0),
    "Nfeature_list_sparse": _int(0),
    "Nfeature_list_dense": _int(1),
    "context_sparse_types": _types(INT64),
    "Tcontext_dense": _types(),
    "feature_list_dense_types": _types(FLOAT),
    "feature_list_dense_shapes": _shapes([3]),
    "context_sparse_keys": _texts(b"a"),
    "feature_list_dense_keys": _texts(b"b"),
}
_SEQUENCE_NODES = {
    "ParseSequenceExample": ["s", "debug"],
    "ParseSequenceExampleV2": ["s", "debug", "k", "none", "none", "none", "k1", "none", "none"],
    "ParseSingleSequenceExample": ["s", "missing", "k", "k1", "debug"],
}


@pytest.mark.parametrize("op", _SEQUENCE_NODES)
def test_sequence_examples_hold_context_and_steps(op):
    content = _contents(*_KEYS, ("parse", op, _SEQUENCE_NODES[op], _SEQUENCE_ATTRS))[0]
    parsed = SequenceExample.FromString(content(0))
    assert len(parsed.context.feature["a"].int64_list.value) == 1
    steps = parsed.feature_lists.feature_list["b"].feature
    assert [len(step.float_list.value) for step in steps] == [3, 3]


def test_image_within_an_example():
    attrs = {"Nsparse": _int(0), "Ndense": _int(1), "Tdense": _types(STRING), "dense_shapes": _shapes([])}
    content = _contents(
        *_KEYS,
        ("parse", "ParseExample", ["s", "names", "k", "d"], attrs),
        ("row", "Reshape", ["parse", "shape"], {}),
        ("decode", "DecodeJpeg", ["row"], {}),
    )[0]
    (image,) = Example.FromString(content(0)).features.feature["a"].bytes_list.value
    assert image.startswith(b"\x89PNG")


def _raw(number):
    return {"out_type": _type(number)}


@pytest.mark.parametrize(
    ("op", "attrs", "check"),
    [
        ("DecodeJpeg", {}, lambda c: c.startswith(b"\x89PNG")),
        ("DecodePng", {}, lambda c: c.startswith(b"\x89PNG")),
        ("DecodeBmp", {}, lambda c: c.startswith(b"BM")),
        ("DecodeAndCropJpeg", {}, lambda c: c == images.JPEG),
        ("DecodeWav", {}, lambda c: c.startswith(b"RIFF")),
        ("DecodeBase64", {}, lambda c: base64.urlsafe_b64decode(c + b"==") in payloads.WORDS),
        ("DecodeCompressed", {"compression_type": lambda a: setattr(a, "s", b"ZLIB")}, zlib.decompress),
        ("DecodeRaw", _raw(FLOAT), lambda c: len(c) == 16),
        ("StringToNumber", _raw(FLOAT), lambda c: float(c) == 1.5),
        ("StringToNumber", _raw(INT64), lambda c: int(c) == 0),
        ("DecodeCSV", {"OUT_TYPE": _types(FLOAT, INT32, STRING)}, lambda c: len(c.split(b",")) == 3),
    ],
)
def test_decoders_get_what_they_decode(op, attrs, check):
    assert check(_contents(("decode", op, ["s"], attrs))[0](0))


def test_raw_bytes_fill_the_reshape_behind():
    def fill(attr):
        attr.tensor.dtype = INT32
        attr.tensor.tensor_shape.dim.add(size=2)
        attr.tensor.tensor_content = np.int32([-1, 12]).tobytes()

    content = _contents(
        ("decode", "DecodeRaw", ["s"], _raw(FLOAT)),
        ("shape", "Const", [], {"value": fill}),
        ("rows", "Reshape", ["decode", "shape"], {}),
    )[0]
    assert len(content(0)) == 48


def test_json_example():
    attrs = {"Nsparse": _int(0), "Ndense": _int(1), "Tdense": _types(FLOAT), "dense_shapes": _shapes([2])}
    content = _contents(
        *_KEYS, ("json", "DecodeJSONExample", ["s"], {}), ("parse", "ParseExample", ["json", "names", "k", "d"], attrs)
    )[0]
    assert set(json.loads(content(0))["features"]["feature"]) == {"a"}


def test_decoder_is_found_through_a_map_over_a_tensor_array():
    content = _contents(
        ("array", "TensorArrayV3", ["size"], {}),
        ("scatter", "TensorArrayScatterV3", ["array", "range", "s", "array:1"], {}),
        ("enter", "Enter", ["array"], {}),
        ("read", "TensorArrayReadV3", ["enter", "index", "flow"], {}),
        ("squeeze", "Squeeze", ["read"], {}),
        ("decode", "DecodePng", ["squeeze"], {}),
    )[0]
    assert content(0).startswith(b"\x89PNG")


def test_decoder_is_found_in_a_function_body():
    meta_graph = _graph(
        _placeholder("s", STRING, [None]),
        ("call", "PartitionedCall", ["other", "s"], {"f": lambda a: setattr(a.func, "name", "body")}),
    )
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = "body"
    for name in ("a", "b"):
        function.signature.input_arg.add(name=name)
    function.node_def.add(name="same", op="Identity", input=["b"])
    function.node_def.add(name="decode", op="DecodePng", input=["same:output:0"])
    assert Contents(meta_graph).of("s:0")[0](0).startswith(b"\x89PNG")


def test_no_decoder_means_words():
    (content,) = _contents(("same", "Identity", ["s"], {}))
    assert {content(n) for n in range(8)} >= {b"", b"1"}


def test_wider_calls_look_up_every_row():
    table = ("w", "VariableV2", [], {"shape": lambda a: [a.shape.dim.add(size=s) for s in (70, 5)]})
    graph = _graph(_placeholder("i", INT64, [None]), table, ("y", "GatherV2", ["w", "i", "axis"], {}))
    (calls,) = synthesise(graph, [_signature(i=TensorSpec("i:0", "int64", (None,)))])
    family = next(iter(calls.families))
    assert all(0 <= value < 70 for call in family for value in call.inputs["i"])
    (found,) = [one.call.inputs["i"] for one in calls.wider(family, 1000) if one.kind == "many rows"]
    assert set(found.tolist()) == set(range(70))
