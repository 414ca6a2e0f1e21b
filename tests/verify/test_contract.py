"""The contract of a candidate: every fault that is planted is told by its code, and nothing of a faithful one."""

from __future__ import annotations

import pathlib
import shutil

import pytest

from migrate.finding_codes import explanations_of
from migrate.graph.protos import MetaGraphDef
from migrate.verify.contract import PATH, Asked, Candidate, Files, contract_differences, keras_differences
from migrate.verify.signature_defs import signature_differences
from tests.conversions import ROOT
from tests.verify.pairs import FLOAT, INT64, REF, STRING, candidate, constant, info, source, table


def _compare(before, new, tmp_path, **asked):
    files = Files(str(tmp_path / "old"), str(tmp_path / "extra"), str(tmp_path / "source"))
    return contract_differences(before, files, Candidate(str(tmp_path / "new"), [new]), Asked(**asked))


def _codes(found):
    return {difference.code for difference in found}


@pytest.mark.parametrize("ref_output", [False, True])
def test_a_faithful_candidate_has_no_difference(tmp_path, ref_output):
    before = source(ref_output=ref_output)
    assert _compare(before, candidate(before), tmp_path) == ()


def _serving(new):
    return new.signature_def["serving_default"]


def _nodes(new):
    return {node.name: node for node in new.graph_def.node}


def _functions(new):
    return {function.signature.name: function for function in new.graph_def.library.function}


def _function(new, key="serving_default"):
    """The object that `loaded.signatures[key]` is, and its concrete function."""
    objects = new.object_graph_def
    (place,) = (child.node_id for child in objects.nodes[1].children if child.local_name == key)
    function = objects.nodes[place].bare_concrete_function
    return function, objects.concrete_functions[function.concrete_function_name]


def _fields(concrete):
    return concrete.canonicalized_input_signature.tuple_value.values[1].dict_value.fields


def _rename(infos, old, new):
    infos[new].CopyFrom(infos[old])
    del infos[old]


def _replace_key(new):
    new.signature_def["other"].CopyFrom(_serving(new))
    del new.signature_def["serving_default"]


def _rename_argument(new):
    function, concrete = _function(new)
    function.argument_keywords[1] = "z"
    _rename(_fields(concrete), "x", "z")


def _swap_arguments(new):
    function, _ = _function(new)
    function.argument_keywords[:] = ["x", "k"]


def _drop_argument(new):
    function, concrete = _function(new)
    del function.argument_keywords[1], _fields(concrete)["x"]
    del _nodes(new)["serving_default_call"].input[1]


def _swap_sparse_parts(new):
    parts = new.signature_def["sparse"].inputs["s"].coo_sparse
    parts.values_tensor_name, parts.indices_tensor_name = parts.indices_tensor_name, "v_of_no_call:0"


def _circle(new):
    nodes = _functions(new)["body_serving_default"].node_def
    nodes.add(name="a", op="Mul", input=["b:z:0", "b:z:0"])
    nodes.add(name="b", op="Mul", input=["a:z:0", "a:z:0"])


def _main_circle(new):
    _nodes(new)["serving_default_call"].input.append("^last")
    new.graph_def.node.add(name="last", op="NoOp", input=["^serving_default_call"])


def _recursion(new):
    call = _functions(new)["body_sparse"].node_def.add(name="again", op="StatefulPartitionedCall")
    call.attr["f"].func.name = "wrapper_sparse"


def _lose_function(new):
    library = new.graph_def.library.function
    kept = [function for function in library if function.signature.name != "body_sparse"]
    saved = [type(function).FromString(function.SerializeToString()) for function in kept]
    del library[:]
    library.extend(saved)


# By code: what is planted, what the difference is about, and a part of the reason.
FAULTS = [
    (
        "method-name-differs",
        lambda new: setattr(_serving(new), "method_name", "tensorflow/serving/classify"),
        ("serving_default", "", "tensorflow/serving/classify"),
    ),
    ("signature-missing", _replace_key, ("serving_default", "", "")),
    ("signature-added", _replace_key, ("other", "", "")),
    ("python-signature-missing", _replace_key, ("other", "", "")),
    ("python-signature-added", _replace_key, ("serving_default", "", "")),
    ("signature-added", lambda new: new.signature_def["more"].CopyFrom(_serving(new)), ("more", "", "")),
    ("input-missing", lambda new: _rename(_serving(new).inputs, "x", "z"), ("serving_default", "x", "")),
    ("input-added", lambda new: _rename(_serving(new).inputs, "x", "z"), ("serving_default", "z", "")),
    (
        "input-added",
        lambda new: _serving(new).inputs["more"].CopyFrom(_serving(new).inputs["x"]),
        ("serving_default", "more", ""),
    ),
    ("output-missing", lambda new: _rename(_serving(new).outputs, "y", "z"), ("serving_default", "y", "")),
    (
        "output-added",
        lambda new: _serving(new).outputs["more"].CopyFrom(_serving(new).outputs["y"]),
        ("serving_default", "more", ""),
    ),
    (
        "dtype-differs",
        lambda new: setattr(_serving(new).inputs["x"], "dtype", INT64),
        ("serving_default", "x", "expected the dtype float32, found int64"),
    ),
    (
        "dtype-differs",
        lambda new: setattr(_serving(new).outputs["y"], "dtype", REF),
        ("serving_default", "y", "found float32 ref"),
    ),
    (
        "dtype-differs",
        lambda new: setattr(_nodes(new)["serving_default_x"].attr["dtype"], "type", INT64),
        ("serving_default", "x", "expected a placeholder of the dtype float32, found int64"),
    ),
    (
        "shape-differs",
        lambda new: setattr(_serving(new).inputs["x"].tensor_shape.dim[0], "size", 1),
        ("serving_default", "x", "expected the shape [?], found [1]"),
    ),
    (
        "shape-differs",
        lambda new: setattr(_serving(new).outputs["y"].tensor_shape, "unknown_rank", True),
        ("serving_default", "y", "found of unknown rank"),
    ),
    (
        "shape-differs",
        lambda new: setattr(_nodes(new)["serving_default_x"].attr["shape"].shape.dim[0], "size", 1),
        ("serving_default", "x", "expected a placeholder of the shape [?], found [1]"),
    ),
    (
        "encoding-differs",
        lambda new: info(new.signature_def["sparse"].inputs["s"], "s:0", INT64),
        ("sparse", "s", "expected the encoding coo_sparse, found name"),
    ),
    ("argument-missing", _swap_sparse_parts, ("sparse", "s", "")),
    ("default-differs", lambda new: _serving(new).defaults.clear(), ("serving_default", "k", "a default value")),
    (
        "default-differs",
        lambda new: _serving(new).defaults["k"].float_val.append(1.0),
        ("serving_default", "k", "its default value differs"),
    ),
    (
        "default-differs",
        lambda new: _serving(new).defaults["x"].CopyFrom(_serving(new).defaults["k"]),
        ("serving_default", "x", "the source has no default value"),
    ),
    (
        "default-differs",
        lambda new: _nodes(new)["serving_default_k/default"].attr["value"].tensor.float_val.insert(0, 1.0),
        ("serving_default", "k", "its default value in a Session differs"),
    ),
    (
        "default-differs",
        lambda new: setattr(_nodes(new)["serving_default_k"], "op", "Placeholder"),
        ("serving_default", "k", "its default value in a Session differs"),
    ),
    ("argument-renamed", _rename_argument, ("serving_default", "x", "is called 'z'")),
    ("argument-renamed", _swap_arguments, ("serving_default", "x", "is called 'k'")),
    ("argument-missing", _drop_argument, ("serving_default", "x", "")),
    (
        "argument-form-differs",
        lambda new: _fields(_function(new)[1])["x"].tensor_spec_value.shape.dim[0].__setattr__("size", 1),
        ("serving_default", "x", "the function takes the shape [1], and a Session [?]"),
    ),
    (
        "argument-form-differs",
        lambda new: setattr(_fields(_function(new)[1])["x"].tensor_spec_value, "dtype", INT64),
        ("serving_default", "x", "the function takes int64, and a Session float32"),
    ),
    (
        "result-missing",
        lambda new: _rename(_function(new)[1].output_signature.dict_value.fields, "y", "output_0"),
        ("serving_default", "y", ""),
    ),
    (
        "ref-op-left",
        lambda new: new.graph_def.library.function.add().node_def.add(name="v", op="VariableV2"),
        ("", "v", "VariableV2"),
    ),
    (
        "ref-op-left",
        lambda new: setattr(new.graph_def.node.add(name="v", op="Identity").attr["T"], "type", REF),
        ("", "v", "Identity in the main graph"),
    ),
    (
        "ref-op-left",
        lambda new: setattr(_functions(new)["body_sparse"].signature.input_arg[0], "is_ref", True),
        ("", "body_sparse", "takes or gives a ref"),
    ),
    *(
        (
            "device-pinned",
            lambda new, pin=pin: setattr(new.graph_def.node[1], "device", pin),
            ("", "serving_default_call", pin),
        )
        for pin in (
            "/device:GPU:0",
            "/gpu:1",
            "/device:CPU:1",
            "/job:ps/task:3",
            "/job:localhost/replica:0/device:TPU:0",
        )
    ),
    (
        "device-pinned",
        lambda new: setattr(_functions(new)["body_sparse"].node_def[0], "device", "/device:GPU:0"),
        ("", "k/c", "the function 'body_sparse'"),
    ),
    ("tag-set-differs", lambda new: new.meta_info_def.tags.append("gpu"), ("", "", "found {gpu, serve}")),
    ("graph-unloadable", _circle, ("", "a", "a circle")),
    ("graph-unloadable", _main_circle, ("", "serving_default_call", "a circle")),
    ("graph-unloadable", _recursion, ("", "wrapper_sparse, body_sparse", "call themselves")),
    ("graph-unloadable", _lose_function, ("", "body_sparse", "not in the library")),
    (
        "graph-unloadable",
        lambda new: _nodes(new)["serving_default_call"].input.append("nowhere"),
        ("", "serving_default_call", "not there"),
    ),
    (
        "graph-unloadable",
        lambda new: new.object_graph_def.nodes[0].children.add(local_name="x", node_id=99),
        ("", "", "a child that is not there"),
    ),
    (
        "graph-unloadable",
        lambda new: _function(new)[1].bound_inputs.append(99),
        ("", "wrapper_serving_default", "binds an object"),
    ),
    ("object-graph-missing", lambda new: new.ClearField("object_graph_def"), ("", "", "no object graph")),
]


@pytest.mark.parametrize(("code", "plant", "told"), FAULTS, ids=[f"{f[0]}-{i}" for i, f in enumerate(FAULTS)])
def test_a_planted_fault_is_told(tmp_path, code, plant, told):
    before = source()
    new = candidate(before)
    plant(new)
    found = _compare(before, new, tmp_path)
    (key, name, reason) = told
    same = [d for d in found if (d.code, d.signature, d.output) == (code, key, name) and reason in d.reason]
    assert same, found
    assert {d.path for d in found} == {PATH}
    assert same[0].clients == explanations_of("verify")[code].clients


def test_a_tag_that_a_model_without_tags_is_given_is_told(tmp_path):
    before = source()
    del before.meta_info_def.tags[:]
    new = candidate(before)
    assert _compare(before, new, tmp_path) == ()
    new.meta_info_def.tags.append("serve")
    assert _codes(_compare(before, new, tmp_path)) == {"tag-set-differs"}


def test_a_second_meta_graph_is_told(tmp_path):
    before = source()
    new = candidate(before)
    (difference,) = contract_differences(before, Files("", ""), Candidate(str(tmp_path), [new, new]))
    assert difference.code == "tag-set-differs" and "expected one MetaGraphDef" in difference.reason
    (difference,) = keras_differences(Candidate(str(tmp_path), [new, new]), has_metadata=False)
    assert difference.code == "tag-set-differs"


def test_a_signature_may_be_dropped_where_the_user_asked_for_it_and_it_cannot_be_converted(tmp_path):
    before = source()
    kept = MetaGraphDef()
    kept.CopyFrom(before)
    del kept.signature_def["sparse"]
    new = candidate(kept)
    dropped = frozenset({"sparse"})
    assert _compare(before, new, tmp_path, drop_signatures=True, dropped=dropped) == ()
    assert _codes(_compare(before, new, tmp_path, drop_signatures=True)) == {"signature-missing"}
    assert _codes(_compare(before, new, tmp_path, dropped=dropped)) == {"signature-missing"}


def test_a_tensor_info_that_its_own_placeholder_contradicts_says_nothing(tmp_path):
    before = source()
    new = candidate(before)
    told = before.signature_def["serving_default"].inputs["x"]
    told.dtype = STRING
    del told.tensor_shape.dim[:]
    assert _compare(before, new, tmp_path) == ()


def test_a_placeholder_that_takes_more_than_the_sources_is_none(tmp_path):
    before = source()
    new = candidate(before)
    _nodes(new)["serving_default_x"].attr["shape"].shape.unknown_rank = True
    # What the function takes is another matter.
    assert _codes(_compare(before, new, tmp_path)) == {"argument-form-differs"}


def _with_kept_names(before):
    """The inputs and outputs of a candidate under their names in the source."""
    new = candidate(before)
    for key, names in (("serving_default", {"serving_default_x": "x", "serving_default_k": "k"}), ("sparse", {})):
        for old, kept in names.items():
            _nodes(new)[old].name = kept
            for node in new.graph_def.node:
                node.input[:] = [kept if taken == old else taken for taken in node.input]
            for given in new.signature_def[key].inputs.values():
                given.name = f"{kept}:0" if given.name == f"{old}:0" else given.name
    for old, kept in (("indices", "i"), ("values", "v"), ("dense_shape", "d")):
        _nodes(new)[f"sparse_s_{old}"].name = kept
        call = _nodes(new)["sparse_call"]
        call.input[:] = [kept if taken == f"sparse_s_{old}" else taken for taken in call.input]
        setattr(new.signature_def["sparse"].inputs["s"].coo_sparse, f"{old}_tensor_name", f"{kept}:0")
    new.graph_def.node.add(name="y", op="Identity", input=["serving_default_call"])
    _serving(new).outputs["y"].name = "y:0"
    return new


def test_kept_names(tmp_path):
    before = source()
    assert _compare(before, _with_kept_names(before), tmp_path, keep_tensor_names=True) == ()
    new = candidate(before)
    assert _compare(before, new, tmp_path) == ()
    lost = _compare(before, new, tmp_path, keep_tensor_names=True)
    assert {(d.code, d.signature, d.output) for d in lost} == {
        ("tensor-name-lost", "serving_default", "k"),
        ("tensor-name-lost", "serving_default", "x"),
        ("tensor-name-lost", "serving_default", "y"),
        ("tensor-name-lost", "sparse", "s"),
    }
    left_out = frozenset({"k:0", "x:0", "y:0", "i:0", "v:0", "d:0"})
    assert _compare(before, new, tmp_path, keep_tensor_names=True, not_kept=left_out) == ()


def test_a_kept_name_of_another_tensor_is_told(tmp_path):
    before = source()
    new = _with_kept_names(before)
    _serving(new).outputs["y"].name = "serving_default_call:0"
    (difference,) = _compare(before, new, tmp_path, keep_tensor_names=True)
    assert (difference.code, difference.output) == ("tensor-name-lost", "y")


def _body(new):
    return _functions(new)["body_serving_default"].node_def


def test_a_row_of_a_constant_that_no_call_reaches(tmp_path):
    before = source()
    constant(before.graph_def.node, "rows", table(5000))
    assert _compare(before, candidate(before), tmp_path) == ()
    bad = candidate(before)
    for node in _body(bad):
        if node.name == "rows":
            node.attr["value"].tensor.float_val[4321] += 0.25
    (difference,) = _compare(before, bad, tmp_path)
    assert (difference.code, difference.output) == ("constant-differs", "rows")
    # What the user feeds and what the training graph holds become constants of the candidate.
    changed = table(5000, changed=4321)
    assert _compare(before, bad, tmp_path, feeds={"x:0": changed}) == ()
    train = MetaGraphDef()
    constant(train.graph_def.node, "rows", changed)
    assert _compare(before, bad, tmp_path, train=train) == ()


_KERAS = ROOT / "testdata" / "keras" / "saved_model" / "keras_metadata.pb"


@pytest.mark.parametrize(
    "damage",
    [lambda d: b"", lambda d: d[:-40], lambda d: d[:9], lambda d: b"{}", lambda d: d.replace(b'{"', b'["', 1)],
)
def test_damaged_keras_metadata(tmp_path, damage):
    (tmp_path / "new").mkdir()
    kept = Candidate(str(tmp_path / "new"), [candidate(source())])
    (tmp_path / "new" / "keras_metadata.pb").write_bytes(damage(_KERAS.read_bytes()))
    (difference,) = keras_differences(kept, has_metadata=True)
    assert (difference.code, difference.output) == ("keras-metadata-damaged", "keras_metadata.pb")


def test_a_keras_model_keeps_its_metadata(tmp_path):
    before = source()
    for folder in ("source", "new"):
        (tmp_path / folder).mkdir()
    shutil.copy(_KERAS, tmp_path / "source" / "keras_metadata.pb")
    assert _codes(_compare(before, candidate(before), tmp_path)) == {"keras-metadata-missing"}
    shutil.copy(_KERAS, tmp_path / "new" / "keras_metadata.pb")
    assert _compare(before, candidate(before), tmp_path) == ()


def test_keras_metadata(tmp_path: pathlib.Path):
    (tmp_path / "new").mkdir()
    kept = Candidate(str(tmp_path / "new"), [candidate(source())])
    assert keras_differences(kept, has_metadata=False) == ()
    (difference,) = keras_differences(kept, has_metadata=True)
    assert (difference.code, difference.output) == ("keras-metadata-missing", "keras_metadata.pb")
    shutil.copy(_KERAS, tmp_path / "new" / "keras_metadata.pb")
    assert keras_differences(kept, has_metadata=True) == ()
    pinned = candidate(source())
    pinned.graph_def.node[0].device = "/device:GPU:0"
    assert _codes(keras_differences(Candidate(kept.directory, [pinned]), has_metadata=True)) == {"device-pinned"}


def test_the_name_of_a_node_is_not_that_of_a_tensor():
    """With an input and an output of one name, as Hub modules have."""
    before = source()
    info(before.signature_def["serving_default"].outputs["x"], "y:0", FLOAT, -1)
    after = candidate(before)
    assert "tensor-name-lost" not in {told.code for told in signature_differences(before, after, (), "contract")}
    after.signature_def["serving_default"].outputs["y"].name = "y"
    told = [(found.code, found.output) for found in signature_differences(before, after, (), "contract")]
    assert ("tensor-name-lost", "y") in told


def test_a_keras_models_own_metadata_is_kept(tmp_path):
    before = source()
    for folder in ("source", "new"):
        (tmp_path / folder).mkdir()
        shutil.copy(_KERAS, tmp_path / folder / "keras_metadata.pb")
    changed = _KERAS.read_bytes().replace(b'"tanh"', b'"relu"')
    (tmp_path / "new" / "keras_metadata.pb").write_bytes(changed)
    differences = _compare(before, candidate(before), tmp_path)
    assert {d.code for d in differences} == {"keras-metadata-differs"}
    assert "keras_metadata.pb: root.layer_with_weights-0" in {d.output for d in differences}
    (tmp_path / "source" / "keras_metadata.pb").write_bytes(b"")
    assert _compare(before, candidate(before), tmp_path) == ()
