"""Faults that are planted in a converted model: `migrate validate` tells each, and nothing of the model as it was.

The model has what a call does not show: line 3000 of a vocabulary, row 4321 of a table, a number in a branch that is
taken for large inputs alone, defaults, a sparse input, an input that is a Python keyword, warm-up requests.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

import migrate  # noqa: E402
from migrate import cli  # noqa: E402
from migrate.errors import InputError  # noqa: E402
from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.model.file_checks import candidate_read  # noqa: E402
from migrate.model.graph_steps import graph_steps  # noqa: E402
from migrate.model.study import study  # noqa: E402
from migrate.records import (  # noqa: E402
    Converted,
    Mismatched,
    ModelReport,
    Options,
    Unverified,
    Validated,
    outcome_name,
)
from migrate.verify.contract import Candidate  # noqa: E402
from tests.conversions import QUIET  # noqa: E402

_BUILD = """
import sys, pathlib, tensorflow as tf
from tensorflow.python.ops import lookup_ops
v1 = tf.compat.v1
v1.disable_eager_execution()
v1.disable_resource_variables()
place = pathlib.Path(sys.argv[2])
for name, start in (("words", 0), ("labels", 4)):
    (place / f"{name}.txt").write_text("".join(f"word {n + start * (n > 2900)}\\n" for n in range(4000)))
with tf.Graph().as_default(), v1.Session() as session:
    tokens = v1.placeholder(tf.string, [None], name="tokens")
    word = v1.placeholder(tf.string, [None], name="word")
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    keep = v1.placeholder_with_default(tf.constant(0.5), [], name="keep")
    weights = v1.sparse_placeholder(tf.float32, [None, 4], name="weights")
    # Small numbers, so that the variable's name comes first.
    w = v1.get_variable("w", initializer=tf.reshape(tf.range(6, dtype=tf.float32) / 7, [3, 2]))
    v = v1.get_variable("v", initializer=tf.reshape(tf.range(8, dtype=tf.float32) / 7, [4, 2]))
    one = lookup_ops.index_table_from_file(str(place / "words.txt"), name="words")
    two = lookup_ops.index_table_from_file(str(place / "labels.txt"), name="labels")
    rows = tf.constant([n * 0.5 for n in range(5000)], name="rows")
    ids = tf.stop_gradient(one.lookup(tokens), name="ids")
    first = tf.gather(rows, tf.maximum(two.lookup(tokens), 0), name="first")
    y = tf.identity(v1.cond(tf.reduce_max(x) > 20000.0, lambda: x @ w * tf.constant(3.0, name="far"),
                            lambda: x @ w * keep), name="y")
    s = v1.sparse_tensor_dense_matmul(weights, v, name="s")
    session.run([v1.global_variables_initializer(), v1.tables_initializer()])
    predict = v1.saved_model.signature_def_utils.predict_signature_def
    builder = v1.saved_model.Builder(sys.argv[1])
    builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={
        "serving_default": predict({"x": x, "keep": keep}, {"y": y}),
        "look_up": predict({"class": tokens}, {"ids": ids, "first": first}),
        "sparse": predict({"weights": weights}, {"s": s}),
        "classify": v1.saved_model.signature_def_utils.classification_signature_def(
            tokens, None, tf.expand_dims(first, 1)),
    }, assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS), main_op=v1.tables_initializer())
    builder.save()
"""

_OPTIONS = Options(timeout=200)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    place = tmp_path_factory.mktemp("source")
    path = place / "model"
    environment = {**os.environ, **QUIET}
    command = [sys.executable, "-c", _BUILD, str(path), str(place)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "notes.txt").write_text("of the source\n")
    return path


@pytest.fixture(scope="module")
def new(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("new") / "model"
    (report,) = migrate.convert(str(source), str(path), _OPTIONS).models
    assert isinstance(report.outcome, Converted), report
    return path


@pytest.fixture
def damaged(new, tmp_path):
    """A copy to be changed. Its fingerprint is not there: that one tells every change of saved_model.pb."""
    shutil.copytree(new, tmp_path / "model")
    (tmp_path / "model" / "fingerprint.pb").unlink()
    return tmp_path / "model"


def _change(path: pathlib.Path, plant) -> None:
    """Has a fault planted in a model: in its MetaGraphDef, or in its files."""
    if plant in _OF_FILES:
        plant(path)
        return
    file = path / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    plant(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())


def _contract(source, candidate):
    """The differences without TensorFlow, of which `migrate validate` reports each."""
    with study(str(source), _OPTIONS, is_whole=True) as studied:
        steps = graph_steps(studied.graph, str(source), _OPTIONS, None)
        with candidate_read(str(candidate), _OPTIONS) as read:
            return steps.contract(Candidate(str(candidate), read.meta_graphs))


def _validate(source, candidate, options=_OPTIONS) -> ModelReport:
    (report,) = migrate.validate(str(candidate), against=str(source), options=options).models
    return report


def _bodies(graph):
    return [graph.graph_def.node, *(function.node_def for function in graph.graph_def.library.function)]


def _node(graph, name):
    """The nodes of a name, wherever they are."""
    return [node for nodes in _bodies(graph) for node in nodes if node.name == name]


def _named(graph, part):
    return [node for nodes in _bodies(graph) for node in nodes if part in node.name]


def _function(graph, key):
    objects = graph.object_graph_def
    (signatures,) = (child.node_id for child in objects.nodes[0].children if child.local_name == "signatures")
    (place,) = (child.node_id for child in objects.nodes[signatures].children if child.local_name == key)
    function = objects.nodes[place].bare_concrete_function
    return function, objects.concrete_functions[function.concrete_function_name]


def _fields(concrete):
    return concrete.canonicalized_input_signature.tuple_value.values[1].dict_value.fields


def _row(graph):
    for node in _node(graph, "rows"):
        values = bytearray(node.attr["value"].tensor.tensor_content)
        values[4321 * 4 + 1] ^= 1
        node.attr["value"].tensor.tensor_content = bytes(values)


def _far(graph):
    for node in _named(graph, "far"):
        if node.op == "Const":
            node.attr["value"].tensor.float_val[0] = 4.0


def _swap_assets(graph):
    first, second = graph.asset_file_def
    first.filename, second.filename = second.filename, first.filename


def _swap_python_assets(graph):
    kinds = [node for node in graph.object_graph_def.nodes if node.WhichOneof("kind") == "asset"]
    first, second = (node.asset for node in kinds)
    first.asset_file_def_index, second.asset_file_def_index = second.asset_file_def_index, first.asset_file_def_index


def _swap_session_assets(graph):
    first, second = graph.asset_file_def
    first.tensor_info.name, second.tensor_info.name = second.tensor_info.name, first.tensor_info.name


def _vocabulary_size(graph):
    for node in _named(graph, "InitializeTableFromTextFileV2"):
        node.attr["vocab_size"].i = 3000


def _column(graph):
    for node in _named(graph, "InitializeTableFromTextFileV2"):
        node.attr["delimiter"].s = b" "


def _rename_argument(graph):
    function, concrete = _function(graph, "serving_default")
    keywords = [name if name != "x" else "z" for name in function.argument_keywords]
    function.argument_keywords[:] = keywords
    fields = _fields(concrete)
    fields["z"].CopyFrom(fields["x"])
    fields["z"].tensor_spec_value.name = "z"
    del fields["x"]


def _rename_result(graph):
    _, concrete = _function(graph, "serving_default")
    fields = concrete.output_signature.dict_value.fields
    fields["output_0"].CopyFrom(fields["y"])
    del fields["y"]


def _narrow_argument(graph):
    _, concrete = _function(graph, "serving_default")
    _fields(concrete)["x"].tensor_spec_value.shape.dim[0].size = 2


def _batch(graph):
    for node in _node(graph, "serving_default_x"):
        node.attr["shape"].shape.dim[0].size = 2


def _session_default(graph):
    for node in _node(graph, "serving_default_keep/default"):
        node.attr["value"].tensor.float_val[:] = [0.25]


def _ref(graph):
    function = graph.graph_def.library.function.add()
    function.signature.name = "nobody_calls_it"
    function.node_def.add(name="v", op="VariableV2").attr["dtype"].type = 1


def _ref_dtype(graph):
    function = graph.graph_def.library.function.add()
    function.signature.name = "nobody_calls_it"
    function.signature.input_arg.add(name="v", type=101)


def _task(graph):
    graph.graph_def.library.function[0].node_def[0].device = "/job:ps/task:3"


def _line(path):
    file = path / "assets" / "words.txt"
    lines = file.read_text().splitlines(keepends=True)
    lines[2999] = "other\n"
    file.write_text("".join(lines))


def _last_line(path):
    file = path / "assets" / "labels.txt"
    file.write_bytes(file.read_bytes()[:-1])


def _no_asset(path):
    (path / "assets" / "words.txt").unlink()


def _no_notes(path):
    (path / "assets.extra" / "notes.txt").unlink()


def _other_notes(path):
    (path / "assets.extra" / "notes.txt").write_text("of somebody else\n")


def _warm_up(path):
    (path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")


def _text_graph(path):
    (path / "saved_model.pbtxt").write_text("saved_model_schema_version: 1\n")


def _escape(graph):
    graph.asset_file_def[0].filename = "../assets.extra/notes.txt"


_OF_FILES = {_line, _last_line, _no_asset, _no_notes, _other_notes, _warm_up, _text_graph}
FAULTS = [
    (_row, "constant-differs"),
    (_far, "constant-differs"),
    (_swap_assets, "table-differs"),
    (_swap_python_assets, "table-differs"),
    (_swap_session_assets, "table-differs"),
    (_vocabulary_size, "table-differs"),
    (_column, "table-differs"),
    (_rename_argument, "argument-renamed"),
    (_rename_result, "result-missing"),
    (_narrow_argument, "argument-form-differs"),
    (_batch, "shape-differs"),
    (_session_default, "default-differs"),
    (_ref, "ref-op-left"),
    (_ref_dtype, "ref-op-left"),
    (_task, "device-pinned"),
    (_line, "asset-differs"),
    (_last_line, "asset-differs"),
    (_no_asset, "asset-lost"),
    (_no_notes, "extra-file-missing"),
    (_other_notes, "extra-file-differs"),
    (_warm_up, "extra-file-added"),
    (_text_graph, "graph-file-added"),
    (_escape, "asset-differs"),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("plant", "code"), FAULTS, ids=[plant.__name__ for plant, _ in FAULTS])
def test_a_fault_that_is_planted_in_a_converted_model_is_told(source, new, damaged, plant, code):
    assert _contract(source, new) == ()
    _change(damaged, plant)
    found = _contract(source, damaged)
    assert code in {difference.code for difference in found if difference.clients}, found


def test_the_model_as_it_is_is_validated(source, new):
    report = _validate(source, new)
    assert isinstance(report.outcome, Validated), report
    assert report.verification.mismatches == ()


@pytest.mark.parametrize("plant", [_row, _swap_python_assets, _narrow_argument, _text_graph], ids=lambda p: p.__name__)
def test_validate_reports_what_the_contract_tells(source, damaged, plant):
    _change(damaged, plant)
    report = _validate(source, damaged)
    assert isinstance(report.outcome, Mismatched), report
    assert report.verification.breaking[0].path == "contract"


def test_a_file_that_nobody_reads_is_a_note(source, damaged):
    (damaged / "notes.txt").write_text("of nobody\n")
    report = _validate(source, damaged)
    assert isinstance(report.outcome, Validated), report
    assert [(d.code, d.output, d.clients) for d in report.verification.mismatches] == [("file-added", "notes.txt", ())]


# What a candidate says of itself counts for nothing.


def _lie(path, **said):
    file = path / "assets.extra" / "migration.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **said}))


def test_names_that_a_candidate_says_of_itself_are_not_believed(source, damaged):
    _lie(damaged, arguments={"serving_default": {"x": "keep", "keep": "x"}, "look_up": {"class": None}}, results={})
    report = _validate(source, damaged)
    assert isinstance(report.outcome, Validated), report


def test_a_renamed_argument_is_told_although_the_candidate_says_so(source, damaged):
    _change(damaged, _rename_argument)
    _lie(damaged, arguments={"serving_default": {"x": "z", "keep": "keep"}})
    assert "argument-renamed" in {difference.code for difference in _contract(source, damaged)}


# Candidates that are broken.


def _garbage(path):
    (path / "saved_model.pb").write_bytes(b"\x00\x01no proto")


def _meta_graph_alone(path):
    model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    (path / "saved_model.pb").write_bytes(model.meta_graphs[0].SerializeToString())


def _graph_alone(path):
    model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    (path / "saved_model.pb").write_bytes(model.meta_graphs[0].graph_def.SerializeToString())


def _nothing(path):
    (path / "saved_model.pb").write_bytes(b"")


def _no_graph(path):
    (path / "saved_model.pb").unlink()


def _damaged_provenance(path):
    (path / "assets.extra" / "migration.json").write_text('{"variables": ')


def _nested_provenance(path):
    (path / "assets.extra" / "migration.json").write_text("[" * 1_000_000)


def _large_provenance(path):
    (path / "assets.extra" / "migration.json").write_bytes(b'{"variables": {"w": "' + b"x" * (100 << 20) + b'"}}')


def _large_list_provenance(path):
    text = b'{"source": {"sha256": ""}, "x": [' + b"0," * (50 << 20) + b"0]}"
    (path / "assets.extra" / "migration.json").write_bytes(text)


def _damaged_fingerprint(path):
    (path / "fingerprint.pb").write_bytes(b"\xff\xff\xff")


def _unlike_fingerprint(path):
    from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef
    from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

    fingerprint = FingerprintDef.FromString(fingerprinting.CreateFingerprintDef(str(path)))
    fingerprint.signature_def_hash += 1
    (path / "fingerprint.pb").write_bytes(fingerprint.SerializeToString())


_OF_FILES |= {_garbage, _meta_graph_alone, _graph_alone, _nothing, _no_graph, _damaged_provenance}
_OF_FILES |= {_nested_provenance, _large_provenance, _large_list_provenance, _damaged_fingerprint, _unlike_fingerprint}


def _cycle(graph):
    nodes = graph.graph_def.node
    call = next(node for node in nodes if node.op == "StatefulPartitionedCall")
    call.input.append("^last")
    nodes.add(name="last", op="NoOp", input=[f"^{call.name}"])


def _cycle_in_a_function(graph):
    for node in _node(graph, "rows"):
        node.input.append("^first")


def _recursion(graph):
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "StatefulPartitionedCall":
                node.attr["f"].func.name = function.signature.name


def _without_functions(graph):
    del graph.graph_def.library.function[:]


def _without_objects(graph):
    graph.ClearField("object_graph_def")


def _without_signatures(graph):
    graph.signature_def.clear()


def _objects_in_a_circle(graph):
    for node in graph.object_graph_def.nodes:
        node.children.add(local_name="again", node_id=0)


def _objects_that_are_not_there(graph):
    graph.object_graph_def.nodes[0].children.add(local_name="gone", node_id=1 << 30)


def _unknown_op(graph):
    graph.graph_def.library.function[0].node_def[0].op = "NoSuchOp"


@pytest.mark.sampled(3)
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("plant", "outcomes"),
    [
        (_meta_graph_alone, (Mismatched,)),
        (_graph_alone, (Mismatched,)),
        (_damaged_provenance, (Unverified, Validated)),
        (_nested_provenance, (Unverified, Validated)),
        (_large_provenance, (Unverified, Validated)),
        (_large_list_provenance, (Unverified, Validated)),
        (_damaged_fingerprint, (Mismatched,)),
        (_unlike_fingerprint, (Mismatched,)),
        (_cycle, (Mismatched,)),
        (_cycle_in_a_function, (Mismatched,)),
        (_recursion, (Mismatched,)),
        (_without_functions, (Mismatched,)),
        (_without_objects, (Mismatched,)),
        (_without_signatures, (Mismatched,)),
        (_objects_that_are_not_there, (Mismatched,)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_candidate_is_told_and_never_passes(source, damaged, plant, outcomes):
    _change(damaged, plant)
    report = _validate(source, damaged)
    assert isinstance(report.outcome, outcomes), report
    assert outcome_name(report.outcome) != "crashed" and "Traceback" not in str(report)
    if isinstance(report.outcome, Mismatched):
        assert report.verification is not None and report.verification.breaking, report


@pytest.mark.parametrize("plant", [_garbage, _nothing, _no_graph], ids=lambda plant: plant.__name__)
def test_what_is_no_model_is_told_in_a_line(source, damaged, plant, capsys):
    _change(damaged, plant)
    with pytest.raises(InputError):
        _validate(source, damaged)
    assert cli.main(["migrate", "validate", str(damaged), f"--against={source}"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("migrate: ") and err.count("\n") == 1


def test_objects_may_refer_to_each_other_in_a_circle(source, damaged):
    _change(damaged, _objects_in_a_circle)
    report = _validate(source, damaged)
    assert outcome_name(report.outcome) in ("validated", "mismatched", "failed"), report
