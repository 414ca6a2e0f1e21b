"""TensorFlow 1.15.5 itself: what it takes, what it answers, and what of that reaches a report."""

from __future__ import annotations

import dataclasses
import json
import shutil

import ml_dtypes
import numpy as np
import pytest
from google.protobuf import text_format

import migrate
from migrate.graph.contract import signatures
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.model.graph_steps import graph_steps
from migrate.model.study import study
from migrate.processes.fresh import FreshInterpreters
from migrate.records import Converted, Crashed, Failed, Mismatched, Options
from migrate.sources.saved_model_files import WARM_UP
from migrate.tf1_runtime import place
from migrate.verify import golden_job
from migrate.verify.bounds import ABSOLUTE, RELATIVE
from migrate.verify.calls import Call, Golden
from migrate.verify.compare import nondeterministic
from migrate.verify.compare_tf1 import compare_with_tf1
from migrate.verify.golden import load_golden
from migrate.verify.messages import GoldenJob, Tf1Answers
from migrate.verify.sessions import LOST
from migrate.verify.tf1 import Tf1Source, ask_tf1, golden_of_tf1
from testdata import prediction_logs
from tests.conversions import MODELS, ROOT, migrate_command
from tests.sampling import few
from tests.verify.old_pythons import PYTHONS, RECORDER

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]

FORMS = ROOT / "testdata" / "forms"
_OPTIONS = Options(take_proposals=True, drop_signatures=True, judge="both", timeout=300.0)


@pytest.fixture(autouse=True)
def _installed(tf1_cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", tf1_cache)


def _of_forms(name):
    return pytest.param(FORMS / name, id=name)


def _of_models(name):
    return pytest.param(MODELS / name, id=name)


def _agree(path, nursery, options=_OPTIONS):
    with study(str(path), options, is_whole=True) as studied:
        golden = graph_steps(studied.graph, str(path), options, nursery, True).golden()
    assert isinstance(golden, Golden), golden
    assert golden.tf1.judges == ("tf2", "tf1") and golden.tf1.version == "1.15.5" and golden.calls
    end = golden.ordinary
    shaky = nondeterministic(golden.calls[:end], golden.answers[:end], golden.again[:end])
    outputs = compare_with_tf1(golden.calls, golden.tf1.answers, {"tf2": golden.answers}, (ABSOLUTE, RELATIVE), shaky)
    assert any(output.values for output in outputs)
    assert [output for output in outputs if output.beyond] == []


@pytest.mark.parametrize(
    "path",
    [
        _of_models("vocabulary_v1_ops"),  # tables of TF1, assets, strings
        _of_models("sparse_signature"),
        _of_models("hub_module"),  # variables of both kinds, and no restore op
        _of_models("counter"),
        _of_forms("saver_v1_sharded"),
        _of_forms("session_bundle"),
        _of_forms("frozen_table"),
    ],
)
def test_both_answer_alike(path, nursery):
    _agree(path, nursery)


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        *map(_of_forms, ("frozen", "frozen_text", "saver_empty_prefix", "saver_signatures", "saver_steps")),
        *map(_of_forms, ("saver_tables", "saver_v1")),
        *map(_of_models, ("base64_csv", "cond", "keras_v1", "loop_counter", "mixed_variables", "moving_average")),
        *map(_of_models, ("odd_names", "odd_version", "partitioned", "pbtxt", "pinned", "renaming_saver", "sharded")),
        *map(_of_models, ("stale_output_shapes", "subset_saver", "training_adam", "two_init_ops", "unfed_training")),
        *map(_of_models, ("vocabulary", "warmup", "while_loop", "wrong_tensor_info")),
    ],
)
def test_all_others_answer_alike(path, nursery):
    _agree(path, nursery)


@pytest.mark.slow
@pytest.mark.parametrize("tags", ["serve", "train"])
def test_each_tag_set(tags, nursery):
    with study(str(MODELS / "multi_tags"), _OPTIONS) as studied:
        known = [set(facts.tags) for facts in studied.report.meta_graphs]
    for found in known:
        _agree(MODELS / "multi_tags", nursery, dataclasses.replace(_OPTIONS, tags=frozenset(found)))


# Graphs that are made here.


def _source(graph, inputs, outputs, **arguments):
    """A job on a graph: text, and (name, tensor, number of the dtype) of what a signature takes and gives."""
    meta_graph = MetaGraphDef()
    text_format.Parse(graph, meta_graph.graph_def)
    meta_graph.graph_def.versions.producer = 100
    definition = meta_graph.signature_def["serving_default"]
    for infos, named in ((definition.inputs, inputs), (definition.outputs, outputs)):
        for name, tensor, dtype in named:
            infos[name].name = tensor
            infos[name].dtype = dtype
    job = GoldenJob(None, meta_graph.SerializeToString(), signatures(meta_graph), None, "", (), 60.0, {}, **arguments)
    return Tf1Source(place.directory(), job)


_RUNNER = FreshInterpreters(variables=place.VARIABLES)
_VALUES = {
    "float16": np.array([1.5, -2], np.float16),
    "bfloat16": np.array([1.5, -2], ml_dtypes.bfloat16),
    "float32": np.array([[1.5, np.nan]], np.float32),
    "float64": np.array(0.1),
    "complex64": np.array([1 + 2j], np.complex64),
    "complex128": np.array([1 - 2j]),
    "int8": np.array([-128, 127], np.int8),
    "int16": np.array([-(2**15)], np.int16),
    "int32": np.array([], np.int32),
    "int64": np.array([2**62]),
    "uint8": np.array([255], np.uint8),
    "uint16": np.array([2**16 - 1], np.uint16),
    "uint32": np.array([2**32 - 1], np.uint32),
    "uint64": np.array([2**64 - 1], np.uint64),
    "bool": np.array([True, False]),
    "qint8": np.array([-1], np.int8),
    "quint8": np.array([200], np.uint8),
    "qint16": np.array([-5], np.int16),
    "quint16": np.array([50000], np.uint16),
    "qint32": np.array([-70000], np.int32),
    "string": np.array([[b"", b"a\0b"], [b"x" * 200, "Gr\u00f6\u00dfe".encode()]], object),
}


def test_every_dtype_goes_in_and_comes_out():
    """And a graph without an op library, a restore op or an init op."""
    graph, infos = "", []
    for name in _VALUES:
        kind = f'attr {{ key: "%s" value {{ type: {dtype_value(name)} }} }}'
        graph += f'node {{ name: "{name}" op: "Placeholder" {kind % "dtype"} }}'
        graph += f'node {{ name: "{name}_out" op: "Identity" input: "{name}" {kind % "T"} }}'
        infos.append((name, dtype_value(name)))
    inputs = [(name, f"{name}:0", number) for name, number in infos]
    outputs = [(name, f"{name}_out:0", number) for name, number in infos]
    found = ask_tf1(_RUNNER, _source(graph, inputs, outputs), (Call("serving_default", _VALUES),), 120)
    assert isinstance(found, Tf1Answers), found
    (answer,) = found.answers
    assert not answer.error, answer
    for name, value in _VALUES.items():
        got = answer.outputs[name]
        assert (got.dtype, got.shape) == (value.dtype, value.shape), name
        assert got.tolist() == value.tolist() if value.dtype == object else got.tobytes() == value.tobytes(), name


_BUCKETS = """
  node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
    attr { key: "shape" value { shape { dim { size: -1 } } } } }
  node { name: "edges" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
    attr { key: "value" value {
      tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: 0 float_val: 1 } } } }
  node { name: "y" op: "BucketizeWithInputBoundaries" input: "x" input: "edges"
    attr { key: "T" value { type: DT_FLOAT } } }
"""


def test_a_model_that_no_tensorflow_2_runs():
    """An op of tf.contrib: its library is loaded, and TensorFlow 1 finds calls and answers them alone."""
    golden = golden_of_tf1(_RUNNER, _source(_BUCKETS, [("x", "x:0", 1)], [("y", "y:0", 3)]), 120)
    assert isinstance(golden, Golden), golden
    assert golden.calls and not golden.skipped and golden.tf_version == "1.15.5" and golden.coverage.reached
    for call, answer in zip(golden.calls, golden.answers, strict=True):
        if not answer.error:
            expected = np.searchsorted(np.array([0, 1], np.float32), call.inputs["x"], side="right")
            keep = ~np.isnan(call.inputs["x"])
            assert answer.outputs["y"][keep].tolist() == expected[keep].tolist()


def test_an_op_that_it_does_not_have():
    graph = 'node { name: "y" op: "NewestOp" }'
    found = ask_tf1(_RUNNER, _source(graph, [], [("y", "y:0", 3)]), (), 120)
    assert found == Failed("it has no op NewestOp")


def test_an_op_that_ends_the_process_costs_its_call():
    """A division by zero in the kernel, which TensorFlow 2 refuses: the other calls are answered."""
    graph = """
      node { name: "indices" op: "Placeholder" attr { key: "dtype" value { type: DT_INT32 } } }
      node { name: "dims" op: "Placeholder" attr { key: "dtype" value { type: DT_INT32 } } }
      node { name: "y" op: "UnravelIndex" input: "indices" input: "dims" attr { key: "Tidx" value { type: DT_INT32 } } }
    """
    inputs = [("indices", "indices:0", 3), ("dims", "dims:0", 3)]

    def call(dims):
        return Call("serving_default", {"indices": np.array([3], np.int32), "dims": np.array(dims, np.int32)})

    calls = (call([2, 2]), call([0, 0]), call([2, 2]))
    found = ask_tf1(_RUNNER, _source(graph, inputs, [("y", "y:0", 3)]), calls, 120)
    assert isinstance(found, Tf1Answers), found
    assert [answer.error for answer in found.answers] == ["", LOST, ""]


def test_a_call_that_it_refuses():
    graph = """
      node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
      node { name: "y" op: "CheckNumerics" input: "x" attr { key: "T" value { type: DT_FLOAT } }
        attr { key: "message" value { s: "odd" } } }
    """
    calls = tuple(Call("serving_default", {"x": np.array(value, np.float32)}) for value in (1.0, np.nan))
    found = ask_tf1(_RUNNER, _source(graph, [("x", "x:0", 1)], [("y", "y:0", 1)]), calls, 120)
    assert [answer.error for answer in found.answers] == ["", "InvalidArgumentError"]
    assert "odd" in found.answers[1].message


def test_a_runtime_that_is_damaged(tmp_path):
    asked = dataclasses.replace(_source(_BUCKETS, [], [("y", "y:0", 3)]), runtime=str(tmp_path))
    found = ask_tf1(_RUNNER, asked, (), 120)
    assert isinstance(found, Failed | Crashed) and "migrate runtime install" in str(found)


# The program.


@pytest.mark.parametrize("judge", ["tf1", "both"])
def test_convert_says_who_has_judged(judge, tmp_path):
    model = MODELS / "vocabulary"
    arguments = ["convert", str(model), str(tmp_path / "new"), f"--judge={judge}", "--format=json"]
    done = migrate_command(*arguments)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["models"]
    judgement = found["verification"]["judgement"]
    assert found["outcome"] == "converted" and found["verification"]["passed"]
    assert judgement["judges"] == (["tf1"] if judge == "tf1" else ["tf2", "tf1"]) and judgement["version"] == "1.15.5"
    outputs = {(o["signature"], o["output"]): o for o in judgement["outputs"]}
    assert {("serving_default", "ids"), ("serving_default", "vectors"), ("labels", "labels")} <= outputs.keys()
    assert all(not o["beyond"] and o["values"] for o in outputs.values())


def test_a_difference_beyond_the_bounds_is_a_warning(tmp_path):
    """Where TensorFlow 2 answers alike for both, and TensorFlow 1 a little differently."""
    bounds = ["--max_absolute=0", "--max_relative=1e-14"]
    path = MODELS / "while_loop"
    done = migrate_command("convert", str(path), str(tmp_path / "new"), "--judge=both", "--format=json", *bounds)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["models"]
    assert found["outcome"] == "converted" and found["verification"]["bitwise_equal"]
    (told,) = [finding for finding in found["findings"] if finding["code"] == "kernels-changed"]
    assert told["severity"] == "warning" and "1.15.5 answers differently, beyond the bounds" in told["message"]


DEAD_OPS = ROOT / "testdata" / "dead_ops"
NAMES = sorted(path.parent.name for path in DEAD_OPS.glob("*/saved_model.pb"))


def _dead_ops(path, *arguments):
    """What `convert` says of the models with ops that TensorFlow 2 does not have, by name."""
    done = migrate_command("convert", str(DEAD_OPS), str(path / "new"), "--format=json", *arguments)
    return {model["source"].rpartition("/")[2]: model for model in json.loads(done.stdout)["models"]}


@pytest.mark.slow
def test_tensorflow_1_judges_alone_what_tensorflow_2_does_not_run(tmp_path):
    tried = set(few(NAMES, 4))
    found = _dead_ops(tmp_path, *(f"--include={name}" for name in sorted(tried)))
    assert {name: model["outcome"] for name, model in found.items()} == dict.fromkeys(tried, "converted")
    by_proof = {name for name, m in found.items() if not m["verification"]["calls"]}
    # TensorFlow 1.15 does not take these three; of the others no made-up call is answered.
    assert by_proof >= {"forest_classifier", "forest_regressor", "old_beams"} & tried
    # "deprecated" has transforms of Fourier under names that only a GPU has.
    not_asked = {"components", "crosses", "deprecated", "gradient_by_hand", "period", "periods", "resampler", "yiq"}
    not_asked |= {"fused_bytes", "slices"}
    assert by_proof <= {"forest_classifier", "forest_regressor", "old_beams", *not_asked}
    asked = {name: m for name, m in found.items() if name not in by_proof}
    alone = {name: m["verification"]["judgement"] for name, m in asked.items() if not _answers_in_tf2(m)}
    bounds = {"fed_boundaries", "upper_bounds", "lower_bounds", "falling_lower_bounds", "quantiles"}
    boosted = {"gradient_classes", "gradient_classifier", "gradient_regressor", "gradient_vectors"}
    assert alone and alone.keys() >= (bounds | boosted) & tried
    for judgement in alone.values():
        assert judgement["judges"] == ["tf1"] and judgement["confined"]
        assert "TensorFlow 2 has no " in judgement["reason"] or "No OpKernel" in judgement["reason"]
        assert all(output["values"] and not output["beyond"] for output in judgement["outputs"])


def _answers_in_tf2(model):
    return "tf2" in model["verification"]["judgement"]["judges"]


def _exponential(directory, size):
    """A model of TensorFlow 1.8 with a MatrixExponential of float32, of which TensorFlow 2 still has a kernel."""
    saved = SavedModel(saved_model_schema_version=1)
    graph = saved.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.meta_info_def.tensorflow_version = "1.8.0"
    graph.graph_def.versions.producer = 26
    node = graph.graph_def.node.add(name="x", op="Placeholder")
    node.attr["dtype"].type = 1
    graph.graph_def.node.add(name="y", op="MatrixExponential", input=["x"]).attr["T"].type = 1
    signature = graph.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    for infos, key in ((signature.inputs, "x"), (signature.outputs, "y")):
        infos[key].name, infos[key].dtype = f"{key}:0", 1
        for shape in (infos[key].tensor_shape, node.attr["shape"].shape):
            del shape.dim[:]
            shape.dim.add(size=size)
            shape.dim.add(size=size)
    directory.mkdir()
    (directory / "saved_model.pb").write_bytes(saved.SerializeToString())
    return directory


@pytest.mark.parametrize(
    ("size", "judge", "outcome"),
    [(7, "auto", "converted"), (7, "tf1", "converted"), (30, "auto", "mismatched"), (30, "tf1", "converted")],
)
def test_a_matrix_exponential_has_the_bits_of_its_kernel_up_to_25_rows(size, judge, outcome, tmp_path):
    model = _exponential(tmp_path / "old", size)
    done = migrate_command("convert", str(model), str(tmp_path / "new"), f"--judge={judge}", "--format=json")
    (found,) = json.loads(done.stdout)["models"]
    assert found["outcome"] == outcome, found["verification"]
    codes = [finding["code"] for finding in found["findings"]]
    assert ("rounds-differently" in codes) == (size > 25)
    if outcome == "converted":
        judgement = found["verification"]["judgement"]
        assert judgement["judges"] == (["tf1"] if judge == "tf1" else ["tf2", "tf1"])
        (output,) = judgement["outputs"]
        assert output["values"] and not output["beyond"] and output["bitwise_equal"] == (size < 26)


@pytest.mark.slow
def test_without_the_runtime_the_report_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    for name, model in _dead_ops(tmp_path).items():
        assert model["outcome"] in ("converted", "unverified"), name
        if model["outcome"] == "unverified":
            (finding,) = (f for f in model["findings"] if f["code"] == "unverified")
            assert "migrate runtime install" in finding["hint"], name


@pytest.mark.slow
def test_what_is_no_graph_of_tensorflow_1_is_judged_as_before(tmp_path):
    source = tmp_path / "tree"
    source.mkdir()
    for model in (ROOT / "testdata" / "keras" / "functional", MODELS / "tf2", MODELS / "counter"):
        (source / model.name).symlink_to(model)
    done = migrate_command(
        "convert", str(source), str(tmp_path / "new"), "--judge=tf1", "--follow_links", "--format=json"
    )
    found = {model["source"].split("/tree/")[1].split("/")[0]: model for model in json.loads(done.stdout)["models"]}
    assert {name: model["outcome"] for name, model in found.items()} == {
        "functional": "converted",
        "tf2": "unchanged",
        "counter": "converted",
    }
    assert found["counter"]["verification"]["judgement"]["judges"] == ["tf1"]
    judgement = found["functional"]["verification"]["judgement"]
    assert judgement["judges"] == ["tf2"] and judgement["reason"] == "a Keras file is no graph of TensorFlow 1"


# The model's own requests, and recording.


def _golden_of_tf1(path, nursery):
    options = dataclasses.replace(_OPTIONS, judge="tf1")
    with study(str(path), options, is_whole=True) as studied:
        golden = graph_steps(studied.graph, str(path), options, nursery, True).golden()
    assert isinstance(golden, Golden), golden
    assert golden.tf1.judges == ("tf1",)
    return golden


def test_floats_that_calls_compute_into_variables_are_kept(nursery):
    golden = _golden_of_tf1(MODELS / "subset_saver", nursery)  # A signature multiplies `scale`.
    assert golden.moved and all(value.dtype == np.float32 for value in golden.moved.values())
    assert golden.moved.keys().isdisjoint(golden.states)


def test_the_models_own_requests_come_first(tmp_path, nursery):
    rows = prediction_logs.floats((1, 2, 3), (4, 5, 6))
    model = tmp_path / "warmup"
    shutil.copytree(MODELS / "warmup", model)
    (model / "assets.extra" / WARM_UP).write_bytes(
        prediction_logs.file(prediction_logs.predict(x=rows), prediction_logs.predict(x=prediction_logs.floats((1,))))
    )
    golden = _golden_of_tf1(model, nursery)
    for call, answer in zip(golden.calls[:2], golden.answers[:2], strict=True):
        assert call.inputs["x"].tolist() == [[1, 2, 3], [4, 5, 6]] and not answer.error
    (note,) = (note for note in golden.notes if WARM_UP in note)
    assert "record 1" in note
    (model / "assets.extra" / WARM_UP).unlink()
    assert len(_golden_of_tf1(model, nursery).calls) < len(golden.calls)


def test_requests_that_name_tensors_are_asked_of_it(tmp_path):
    """The same calls, with the file of requests and without it; then a new model without the names."""
    rows = prediction_logs.floats((1, 2, 3), (4, 5, 6))
    model, file = tmp_path / "warmup", WARM_UP
    shutil.copytree(MODELS / "warmup", model)
    (model / "assets.extra" / file).unlink()
    options = Options(judge="tf1")
    plain = migrate.convert(str(model), str(tmp_path / "plain"), options).models[0]
    logs = prediction_logs.file(
        prediction_logs.session_run({"x:0": rows}, ("y:0",)),
        prediction_logs.session_run({"x:0": rows}, (), ("y",)),  # The new graph has no such target: a note.
        prediction_logs.session_run({"x:0": prediction_logs.floats((1,))}, ("y:0",)),  # The source refuses it.
    )
    (model / "assets.extra" / file).write_bytes(logs)
    named = migrate.convert(str(model), str(tmp_path / "named"), options).models[0]
    for report in (plain, named):
        assert isinstance(report.outcome, Converted), report.outcome
        assert report.verification.judgement.judges == ("tf1",)
    # One way of asking, twice.
    assert named.verification.compared == plain.verification.compared + 2
    told = [f.message for f in named.findings if "SessionRun" in f.message]
    assert len(told) == 2 and "it runs 'y'" in told[0] + told[1] and "the source itself ends in" in told[0] + told[1]
    shutil.copytree(tmp_path / "plain", tmp_path / "nameless")
    (tmp_path / "nameless" / "assets.extra" / file).write_bytes(logs)
    differs = migrate.validate(str(tmp_path / "nameless"), against=str(model), options=options).models[0]
    assert isinstance(differs.outcome, Mismatched)
    assert {m.signature for m in differs.verification.mismatches} == {"SessionRun record 0"}


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["tf1", "both"])
def test_requests_of_the_users_file_that_name_tensors(judge, tmp_path):
    """Beside a call of a signature; the new model has the names."""
    rows = prediction_logs.floats((1, 2, 3))
    model, log = tmp_path / "warmup", tmp_path / "log"
    shutil.copytree(MODELS / "warmup", model)
    (model / "assets.extra" / WARM_UP).unlink()
    named = prediction_logs.session_run({"x:0": rows}, ("y:0",))
    found = {}
    for name, logs in (
        ("plain", [prediction_logs.predict(x=rows)]),
        ("named", [prediction_logs.predict(x=rows), named]),
    ):
        log.write_bytes(prediction_logs.file(*logs))
        options = Options(judge=judge, inputs=str(log))
        (report,) = migrate.convert(str(model), str(tmp_path / name), options).models
        assert isinstance(report.outcome, Converted), report.outcome
        assert not [finding for finding in report.findings if "SessionRun" in finding.message]
        found[name] = report.verification.compared
    assert found["named"] == found["plain"] + 2
    shutil.copytree(tmp_path / "plain", tmp_path / "nameless")
    (differs,) = migrate.validate(str(tmp_path / "nameless"), against=str(model), options=options).models
    assert isinstance(differs.outcome, Mismatched)
    assert {m.signature for m in differs.verification.mismatches} == {"SessionRun record 1 of log"}


@pytest.mark.slow
def test_record_asks_tensorflow_1_alone(tmp_path):
    file = tmp_path / "golden.npz"
    done = migrate_command("record", MODELS / "counter", "--judge=tf1", f"--output={file}")
    assert done.returncode == 0, done.stderr
    recorded = load_golden(str(file))
    assert recorded.runtime["tensorflow"] == "1.15.5" and recorded.calls
    done = migrate_command("convert", MODELS / "counter", tmp_path / "new", f"--golden={file}", "--format=json")
    (found,) = json.loads(done.stdout)["models"]
    assert found["outcome"] == "converted" and found["verification"]["golden"]["calls"]


def test_record_of_a_model_that_no_tensorflow_2_runs(tmp_path):
    model, file = DEAD_OPS / "fed_boundaries", tmp_path / "golden.npz"
    done = migrate_command("record", model, f"--output={file}")
    assert done.returncode == 2 and not file.exists()
    assert "TensorFlow 2 has no BucketizeWithInputBoundaries" in done.stderr and "--judge=tf1" in done.stderr
    done = migrate_command("record", model, "--judge=tf1", f"--output={file}")
    assert done.returncode == 0, done.stderr
    assert load_golden(str(file)).calls


@pytest.mark.parametrize("model", [MODELS / "tf2", ROOT / "testdata" / "keras" / "functional" / "model.h5"])
def test_record_of_what_is_no_graph_of_tensorflow_1(model, tmp_path):
    done = migrate_command("record", model, "--judge=tf1", f"--output={tmp_path / 'golden.npz'}")
    assert done.returncode == 2 and "it is not a graph of TensorFlow 1" in done.stderr


def _answers_of_both(path, file):
    """The calls that the recorder makes in the real Python of 1.15.5, its answers, and the runtime's to the same."""
    (python,) = (old for old in PYTHONS if old.release == "1.15.5")
    script = file.with_name("record.py")  # Beside the script Python looks for modules.
    shutil.copyfile(RECORDER, script)
    done = python.run(script, path, f"--output={file}")
    assert done.returncode == 0, done.stderr
    recorded = load_golden(str(file))
    with study(str(path), _OPTIONS, is_whole=True) as studied:
        graph = studied.graph
        called = [part.signature for part in graph.plan.signatures]
        job = golden_job(graph.source, graph.judged, called, (), 60.0, graph.feeds)
        found = ask_tf1(_RUNNER, Tf1Source(place.directory(), job), recorded.calls, 300)
    assert isinstance(found, Tf1Answers), found
    return recorded, found


# Models that have no attributes of later releases, which that Python refuses.
@pytest.mark.slow
@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "name",
    [
        *("cond", "counter", "loop_counter"),
        *("moving_average", "partitioned", "sharded", "simple_save", "sparse_signature", "training_adam"),
        *("vocabulary", "vocabulary_v1_ops", "warmup", "while_loop"),
    ],
)
def test_it_answers_as_the_real_python_of_tensorflow_1_15(name, tmp_path):
    recorded, found = _answers_of_both(MODELS / name, tmp_path / "golden.npz")
    shaky = contradicted(recorded)
    outputs = compare_with_tf1(recorded.calls, recorded.answers, {"c_api": found.answers}, (0.0, 0.0), (), shaky)
    assert any(output.values for output in outputs)
    assert [output for output in outputs if not output.bitwise_equal] == []


def contradicted(recorded):
    """The outputs on which two loads in that Python contradict each other, by the call's position."""
    return {
        (number, output)
        for number, (call, first, again) in enumerate(
            zip(recorded.calls, recorded.answers, recorded.again, strict=True)
        )
        for _, output in nondeterministic((call,), (first,), (again,))
    }


def _reads(given, wanted):
    """The greatest index that PeriodicResample reads, place by place as its kernel does (periodic_resample_op.h)."""
    (free,) = [q for q, size in enumerate(wanted) if size < 1]
    others = int(np.prod([size for size in wanted if size >= 1]))
    target = [size if size >= 1 else int(np.prod(given)) // others for size in wanted]
    shares = [int(np.ceil(np.float32(t) / np.float32(g))) for t, g in zip(target, given, strict=True)]
    strides = [int(np.prod(given[q + 1 :])) for q in range(len(given))]
    greatest = -1
    for output in np.ndindex(*target):
        moved = sum(int(np.prod(shares[:q])) * (output[q] % shares[q]) for q in range(len(given)) if q != free)
        at = [moved * target[q] + output[q] if q == free else output[q] // shares[q] for q in range(len(given))]
        greatest = max(greatest, sum(stride * index for stride, index in zip(strides, at, strict=True)))
    return greatest


_PERIODS = {
    (-1, 4): [(4, 2), (8, 4), (6, 2), (8, 3), (7, 3), (4, 1), (5, 3)],
    (4, -1): [(3, 4), (2, 5), (4, 9), (3, 8)],
    (-1, 3, 5): [(9, 2, 3), (9, 2, 4), (15, 1, 1), (16, 3, 2)],
    (3, -1, 5): [(2, 7, 3), (2, 9, 2), (3, 5, 5), (1, 30, 4)],
}


def test_what_periodic_resample_reads_behind_its_input_has_no_answer():
    """Of some shapes the kernel reads memory that is not the input's; all others are answered."""
    seen = set()
    for wanted, shapes in _PERIODS.items():
        graph = 'node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }'
        dims = " ".join(f"dim {{ size: {size} }}" for size in wanted)
        graph += (
            'node { name: "y" op: "PeriodicResample" input: "x" attr { key: "T" value { type: DT_FLOAT } }'
            f'attr {{ key: "shape" value {{ shape {{ {dims} }} }} }} }}'
        )
        calls = tuple(
            Call("serving_default", {"x": np.arange(np.prod(s), dtype=np.float32).reshape(s)}) for s in shapes
        )
        found = ask_tf1(_RUNNER, _source(graph, [("x", "x:0", 1)], [("y", "y:0", 1)]), calls, 120)
        assert isinstance(found, Tf1Answers), found
        for shape, answer in zip(shapes, found.answers, strict=True):
            is_within = _reads(shape, wanted) < np.prod(shape)
            seen.add((len(shape), is_within))
            assert bool(answer.error) != is_within, (wanted, shape, answer)
            if is_within:
                assert answer.outputs["y"].max() <= np.prod(shape) - 1
            else:
                assert "read memory behind its input" in answer.message
    assert seen == {(2, False), (2, True), (3, False), (3, True)}
