"""The contract of a candidate: every fault that is planted is told, and nothing of a faithful one."""

from __future__ import annotations

import pathlib

import pytest

from migrate.graph.protos import MetaGraphDef, TensorProto, TensorShapeProto
from migrate.verify.contract import PATH, Asked, Candidate, Files, contract_differences, keras_differences

_FLOAT, _INT64, _STRING, _REF = 1, 9, 7, 101


def _info(info, name, dtype, *sizes):
    info.name, info.dtype = name, dtype
    info.tensor_shape.SetInParent()
    for size in sizes:
        info.tensor_shape.dim.add(size=size)


def _model(*, ref_output: bool = False) -> MetaGraphDef:
    graph = MetaGraphDef()
    graph.meta_info_def.tags.append("serve")
    nodes = graph.graph_def.node
    for name, op in (("x", "Placeholder"), ("k", "PlaceholderWithDefault"), ("k/c", "Const"), ("y", "Mul")):
        node = nodes.add(name=name, op=op)
        if op != "Mul":
            node.attr["dtype"].type = _FLOAT
    nodes[0].attr["shape"].shape.dim.add(size=-1)
    nodes[1].input.append("k/c")
    nodes[2].attr["value"].tensor.dtype = _FLOAT
    nodes[2].attr["value"].tensor.float_val.append(0.5)
    nodes[3].input.extend(["x", "k"])
    nodes[3].device = "/device:CPU:0"
    signature = graph.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    _info(signature.inputs["x"], "x:0", _FLOAT, -1)
    _info(signature.inputs["k"], "k:0", _FLOAT)
    _info(signature.outputs["y"], "y:0", _REF if ref_output else _FLOAT, -1)
    sparse = graph.signature_def["sparse"]
    _info(sparse.inputs["s"], "", _INT64, -1, -1)
    parts = sparse.inputs["s"].coo_sparse
    parts.values_tensor_name, parts.indices_tensor_name, parts.dense_shape_tensor_name = "v:0", "i:0", "d:0"
    for name in ("v", "i", "d"):
        nodes.add(name=name, op="Placeholder")
    _info(sparse.outputs["y"], "y:0", _FLOAT, -1)
    return graph


def _converted(source: MetaGraphDef) -> MetaGraphDef:
    """As the exporter writes it: other tensor names, a default beside the signature, an init op."""
    new = MetaGraphDef()
    new.CopyFrom(source)
    signature = new.signature_def["serving_default"]
    signature.inputs["x"].name = "serving_default_x:0"
    signature.outputs["y"].name = "StatefulPartitionedCall:0"
    signature.outputs["y"].dtype = _FLOAT
    signature.defaults["k"].CopyFrom(source.graph_def.node[2].attr["value"].tensor)
    new.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "NoOp"
    new.graph_def.library.function.add().signature.name = "f"
    return new


def _compare(source, new, tmp_path, **asked):
    files = Files(str(tmp_path / "old"), str(tmp_path / "extra"))
    return contract_differences(source, files, Candidate(str(tmp_path), [new]), Asked(**asked))


@pytest.mark.parametrize("ref_output", [False, True])
def test_a_faithful_candidate_has_no_difference(tmp_path, ref_output):
    source = _model(ref_output=ref_output)
    assert _compare(source, _converted(source), tmp_path) == ()


def _serving(new):
    return new.signature_def["serving_default"]


def _replace_key(new):
    new.signature_def["other"].CopyFrom(_serving(new))
    del new.signature_def["serving_default"]


def _rename_input(new):
    _serving(new).inputs["z"].CopyFrom(_serving(new).inputs["x"])
    del _serving(new).inputs["x"]


def _set(change):
    return lambda new: change(_serving(new))


FAULTS = {
    "another method name": (
        lambda new: setattr(_serving(new), "method_name", "tensorflow/serving/classify"),
        [("serving_default", "", "method name")],
    ),
    "another key": (
        _replace_key,
        [("serving_default", "", "the candidate does not have"), ("other", "", "the source does not have")],
    ),
    "an extra signature": (
        lambda new: new.signature_def["more"].CopyFrom(_serving(new)),
        [("more", "", "the source does not have")],
    ),
    "another name of an input": (
        _rename_input,
        [
            ("serving_default", "x", "the candidate does not have this input"),
            ("serving_default", "z", "the source does not have this input"),
        ],
    ),
    "an extra output": (
        lambda new: _serving(new).outputs["more"].CopyFrom(_serving(new).outputs["y"]),
        [("serving_default", "more", "the source does not have this output")],
    ),
    "another dtype of an input": (
        lambda new: setattr(_serving(new).inputs["x"], "dtype", _INT64),
        [("serving_default", "x", "expected the dtype float32, found int64")],
    ),
    "a ref dtype": (
        lambda new: setattr(_serving(new).outputs["y"], "dtype", _REF),
        [("serving_default", "y", "found float32 ref")],
    ),
    "a fixed batch": (
        lambda new: setattr(_serving(new).inputs["x"].tensor_shape.dim[0], "size", 1),
        [("serving_default", "x", "expected the shape [?], found [1]")],
    ),
    "a shape of unknown rank": (
        lambda new: setattr(_serving(new).outputs["y"].tensor_shape, "unknown_rank", True),
        [("serving_default", "y", "found of unknown rank")],
    ),
    "a dense input in the place of a sparse one": (
        lambda new: _info(new.signature_def["sparse"].inputs["s"], "s:0", _INT64),
        [("sparse", "s", "encoding")],
    ),
    "a lost default": (
        lambda new: _serving(new).defaults.clear(),
        [("serving_default", "k", "the source has a default value")],
    ),
    "another default": (
        lambda new: _serving(new).defaults["k"].float_val.append(1.0),
        [("serving_default", "k", "its default value differs")],
    ),
    "a default where there is none": (
        lambda new: _serving(new).defaults["x"].CopyFrom(_serving(new).defaults["k"]),
        [("serving_default", "x", "the source has no default value")],
    ),
    "a ref op in a function that nothing calls": (
        lambda new: new.graph_def.library.function[0].node_def.add(name="v", op="VariableV2"),
        [("", "v", "VariableV2 in the function 'f' works on a ref")],
    ),
    "a pin to a GPU": (
        lambda new: setattr(new.graph_def.node[3], "device", "/device:GPU:0"),
        [("", "y", "pins it to '/device:GPU:0'")],
    ),
    "another tag": (
        lambda new: new.meta_info_def.tags.append("gpu"),
        [("", "", "expected one MetaGraphDef of the tags ['serve'], found {gpu, serve}")],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_told(tmp_path, fault):
    plant, wanted = FAULTS[fault]
    source = _model()
    new = _converted(source)
    plant(new)
    found = _compare(source, new, tmp_path)
    assert {(m.signature, m.output) for m in found} >= {(key, name) for key, name, _ in wanted}, found
    for key, name, reason in wanted:
        assert any((m.signature, m.output) == (key, name) and reason in m.reason for m in found), found
    assert {m.path for m in found} == {PATH}


def test_a_second_meta_graph_is_told(tmp_path):
    source = _model()
    new = _converted(source)
    (difference,) = contract_differences(source, Files("", ""), Candidate(str(tmp_path), [new, new]))
    assert "expected one MetaGraphDef" in difference.reason


def test_a_signature_may_be_dropped_where_the_user_asked_for_it_and_it_cannot_be_converted(tmp_path):
    source = _model()
    new = _converted(source)
    del new.signature_def["sparse"]
    dropped = frozenset({"sparse"})
    assert _compare(source, new, tmp_path, drop_signatures=True, dropped=dropped) == ()
    assert _compare(source, new, tmp_path, drop_signatures=True)
    assert _compare(source, new, tmp_path, dropped=dropped)


def test_a_tensor_info_that_its_own_placeholder_contradicts_says_nothing(tmp_path):
    source = _model()
    info = source.signature_def["serving_default"].inputs["x"]
    info.dtype = _STRING
    del info.tensor_shape.dim[:]
    new = _converted(_model())
    assert _compare(source, new, tmp_path) == ()


def test_kept_names(tmp_path):
    source = _model()
    new = _converted(source)
    assert _compare(source, new, tmp_path, keep_tensor_names=True) == ()
    for node in new.graph_def.node:
        if node.name in ("y", "i"):
            node.name += "_renamed"
    lost = _compare(source, new, tmp_path, keep_tensor_names=True)
    assert {(m.signature, m.output) for m in lost} == {("serving_default", "y"), ("sparse", "y"), ("sparse", "s")}
    assert _compare(source, new, tmp_path) == ()


def test_files_beside_the_model(tmp_path):
    source = _model()
    new = _converted(source)
    for folder in ("extra/sub", "assets.extra/sub"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "tf_serving_warmup_requests").write_bytes(b"requests")
    (tmp_path / "extra" / "migration.json").write_text("{}")  # A converted model that is converted again.
    assert _compare(source, new, tmp_path) == ()
    copy = tmp_path / "assets.extra" / "sub" / "tf_serving_warmup_requests"
    copy.write_bytes(b"Requests")
    (difference,) = _compare(source, new, tmp_path)
    assert difference.reason == "this file differs"
    copy.unlink()
    (difference,) = _compare(source, new, tmp_path)
    assert difference.output == "assets.extra/sub/tf_serving_warmup_requests"


def _table(rows: int, changed: int | None = None) -> TensorProto:
    values = [row * 0.5 for row in range(rows)]
    if changed is not None:
        values[changed] += 0.25
    return TensorProto(dtype=_FLOAT, tensor_shape=TensorShapeProto(dim=[{"size": rows}]), float_val=values)


def _with_table(new, table):
    node = new.graph_def.library.function[0].node_def.add(name="table", op="Const")
    node.attr["value"].tensor.CopyFrom(table)


def test_a_row_of_a_constant_that_no_call_reaches(tmp_path):
    source = _model()
    source.graph_def.node.add(name="table", op="Const").attr["value"].tensor.CopyFrom(_table(5000))
    new = _converted(source)
    _with_table(new, _table(5000))
    assert _compare(source, new, tmp_path) == ()
    bad = _converted(source)
    _with_table(bad, _table(5000, changed=4321))
    (difference,) = _compare(source, bad, tmp_path)
    assert difference.output == "table" and "none of the source's" in difference.reason
    # What the user feeds and what the training graph holds become constants of the candidate.
    assert _compare(source, bad, tmp_path, feeds={"x:0": _table(5000, changed=4321)}) == ()
    train = MetaGraphDef()
    train.graph_def.node.add(name="table", op="Const").attr["value"].tensor.CopyFrom(_table(5000, changed=4321))
    assert _compare(source, bad, tmp_path, train=train) == ()


def test_names_in_a_checkpoint_are_new(tmp_path):
    source = _model()
    new = _converted(source)
    body = new.graph_def.library.function[0].node_def
    names = TensorProto(
        dtype=_STRING, tensor_shape=TensorShapeProto(dim=[{"size": 9}]), string_val=[b"variables/1"] * 9
    )
    body.add(name="names", op="Const").attr["value"].tensor.CopyFrom(names)
    body.add(name="save", op="SaveV2", input=["prefix", "names:output:0"])
    assert _compare(source, new, tmp_path) == ()
    body.add(name="look", op="LookupTableFindV2", input=["handle", "names:output:0"])
    (difference,) = _compare(source, new, tmp_path)
    assert difference.output == "names"


def test_a_line_of_a_vocabulary_that_no_call_reaches(tmp_path):
    source = _model()
    new = _converted(source)
    new.asset_file_def.add(filename="words.txt")
    words = [b"word %d\n" % line for line in range(4000)]
    for folder in ("old", "assets"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "words.txt").write_bytes(b"".join(words))
    assert _compare(source, new, tmp_path) == ()
    words[2999] = b"other\n"
    (tmp_path / "assets" / "words.txt").write_bytes(b"".join(words))
    (difference,) = _compare(source, new, tmp_path)
    assert (difference.output, difference.reason) == ("assets/words.txt", "this file differs")
    (tmp_path / "assets" / "words.txt").unlink()
    (difference,) = _compare(source, new, tmp_path)
    assert "does not have this file" in difference.reason


def test_an_asset_whose_name_was_taken(tmp_path):
    source = _model()
    new = _converted(source)
    new.asset_file_def.add(filename="words_1.txt")
    for name in ("old/a/words.txt", "assets/words_1.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"a\nb\n")
    assert _compare(source, new, tmp_path) == ()


def test_warm_up_requests_of_somebody_else(tmp_path):
    source = _model()
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")
    (difference,) = _compare(source, _converted(source), tmp_path)
    assert difference.reason == "the source has no such file"


def test_keras_metadata(tmp_path: pathlib.Path):
    candidate = Candidate(str(tmp_path), [_converted(_model())])
    assert keras_differences(candidate, has_metadata=False) == ()
    (difference,) = keras_differences(candidate, has_metadata=True)
    assert difference.output == "keras_metadata.pb"
    (tmp_path / "keras_metadata.pb").touch()
    assert keras_differences(candidate, has_metadata=True) == ()
