"""Keras files of every form, converted and judged by Keras' own predictions."""

from __future__ import annotations

import json
import pickle
import shutil

import h5py
import numpy as np
import pytest

import migrate
from migrate.records import Converted, Failed, Mismatched, Options, Refused, Validated
from tests.conversions import ROOT, migrate_command, run_child, same

pytestmark = pytest.mark.tensorflow

MODELS = ROOT / "testdata" / "keras"
LAYERS = str(ROOT / "testdata")
# Verified by the tool as well; the others are judged by Keras alone, which takes less time.
VERIFIED = ("functional", "recurrent_3", "json_names", "tf_ops", "op_layers")
PLAIN = ("archive_2", "archive_3", "dict_3", "hdf5_3", "json_3", "json_hdf5", "json_objects", "old_adam", "recurrent")
NAMES = (*VERIFIED, *PLAIN, "custom")
OPTIMIZERS = {"functional": 19, "old_adam": 19, "archive_2": 19, "archive_3": 20}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The new models' directory, and the reports by name."""
    work = tmp_path_factory.mktemp("keras")
    reports = {}
    for names, verify in ((VERIFIED, True), (PLAIN, False)):
        source = work / f"source{verify}"
        for name in names:
            shutil.copytree(MODELS / name, source / name)
        report = migrate.convert(str(source), str(work / "new"), Options(verify=verify))
        reports.update({model.source.rpartition("/")[2]: model for model in report.models})
        shutil.rmtree(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", LAYERS, prepend=":")
        options = Options(verify=False, custom_objects=("keras_layers:Scale",))
        (reports["custom"],) = migrate.convert(str(MODELS / "custom"), str(work / "new" / "custom"), options).models
    return work / "new", reports


def _answers(way, directory, work):
    file = work / f"{way}.pickle"
    run_child([str(ROOT / "tests" / "keras_answers.py"), way, str(directory), str(file)])
    return pickle.loads(file.read_bytes())


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    return _answers("source", MODELS, tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def found(converted, tmp_path_factory):
    return _answers("new", converted[0], tmp_path_factory.mktemp("found"))


@pytest.mark.parametrize("name", NAMES)
def test_outcome(name, converted):
    report = converted[1][name]
    assert isinstance(report.outcome, Converted), report
    assert (report.verification is not None) is (name in VERIFIED)
    if report.verification is not None:
        assert report.verification.bitwise_equal
        assert report.verification.variables_compared


@pytest.mark.parametrize("way", ["tf2", "session"])
@pytest.mark.parametrize("name", NAMES)
def test_the_new_model_answers_as_keras_predicts(name, way, golden, found):
    expected, answers = golden[name], found[name][way]
    assert set(answers) == set(expected)
    for output, value in expected.items():
        assert value.size
        assert same(value, answers[output]), output


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_reusable(name, converted):
    content = json.loads((converted[0] / name / "assets.extra" / "migration.json").read_text())
    assert content["source"]["sha256"]
    signature = converted[1][name].keras.signature
    assert set(content["arguments"]["serving_default"]) == set(signature.inputs)
    dtypes = {"tf.strings.join": "string"}
    assert all(spec.dtype == dtypes.get(name, "float32") for name, spec in signature.outputs.items())


_REUSED = """
import sys, tensorflow as tf
for name in sys.argv[2:]:
    model = tf.saved_model.load(f"{sys.argv[1]}/{name}")
    x, ids = tf.ones([4, 2]), tf.ones([4, 3], tf.int32)
    given = {"ids": ids, "x": x} if name.endswith("_3") else [ids, x]
    def answer(training):
        found = model(given, training=training)
        return found["scores"] if isinstance(found, dict) else found[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(answer(True)[:, 0]) + tf.add_n([f() for f in model.regularization_losses])
    gradients = tape.gradient(loss, model.trainable_variables)
    assert len(model.variables) == 11 and len(gradients) == 9
    assert sum(g is not None for g in gradients) == 9, name
    # In training the statistics of the batch take part, and the moving ones are updated.
    assert not bool(tf.reduce_all(answer(True) == answer(False))), name
"""


_MASKED = """
import sys, numpy as np, tensorflow as tf, tf_keras
new, source = sys.argv[1:]
x = np.random.RandomState(0).uniform(-1, 1, [2, 4, 3]).astype("float32")
x[0, 2:], x[1, 1] = 0, 0
expected = tf_keras.models.load_model(source)(x).numpy()
assert np.array_equal(tf.saved_model.load(new)(x, training=False).numpy(), expected)
assert np.array_equal(tf_keras.models.load_model(new)(x).numpy(), expected)
"""


def test_the_model_pays_heed_to_masks_where_it_is_called(converted):
    run_child(["-c", _MASKED, str(converted[0] / "recurrent"), str(MODELS / "recurrent" / "model.h5")])


def test_the_model_can_be_trained(converted):
    run_child(["-c", _REUSED, str(converted[0]), "functional", "archive_3"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_optimizer_is_kept(name, converted):
    codes = [finding.code for finding in converted[1][name].findings]
    assert "keras-optimizer-kept" in codes
    content = json.loads((converted[0] / name / "assets.extra" / "migration.json").read_text())
    assert content["optimizer"] == {"kept": "Adam", "lost": ""}


_RESTORED = """
import sys, h5py, numpy as np, tensorflow as tf, tf_keras
new, sources = sys.argv[1:]
for name, build in (("functional", "build"), ("old_adam", "_create_all_weights")):
    model = tf_keras.models.load_model(f"{new}/{name}")
    getattr(model.optimizer, build)(model.trainable_variables)
    tf.train.Checkpoint(model).restore(f"{new}/{name}/variables/variables").expect_partial()
    held = model.optimizer.variables
    held = held() if callable(held) else held
    with h5py.File(f"{sources}/{name}/model.h5") as file:
        group = file["optimizer_weights"]
        stored = [np.asarray(group[key]) for key in group.attrs["weight_names"]]
    assert len(stored) == len(held) == 19
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(stored, held)), name
    assert any(np.any(a) for a in stored[2:])
"""


def test_keras_gets_its_optimizer_back(converted):
    run_child(["-c", _RESTORED, str(converted[0]), str(MODELS)])


@pytest.fixture
def changed(tmp_path):
    """`json_hdf5` with one weight changed by one part in ten million."""
    source = tmp_path / "changed"
    shutil.copytree(MODELS / "json_hdf5", source)
    with h5py.File(source / "model.h5", "r+") as file:
        kernel = file["hidden/hidden/kernel:0"]
        kernel[0, 0] = np.nextafter(kernel[0, 0], np.float32(9))
    return source


def test_validate_tells_a_weight_that_differs(converted, changed):
    candidate = str(converted[0] / "json_hdf5")
    (good,) = migrate.validate(candidate, against=str(MODELS / "json_hdf5")).models
    assert isinstance(good.outcome, Validated)
    (bad,) = migrate.validate(candidate, against=str(changed)).models
    assert isinstance(bad.outcome, Mismatched)
    assert "hidden/kernel" in [m.output for m in bad.verification.mismatches]


_LACKING = {"json_names": ["added/gamma"], "json_objects": ["hidden/bias", "(2,)", "(3,)"]}


@pytest.mark.parametrize("name", _LACKING)
def test_a_checkpoint_that_lacks_a_weight_is_told(name, tmp_path):
    source = tmp_path / name
    shutil.copytree(MODELS / name, source)
    config = json.loads((source / "model.json").read_text())
    # Audit does not know what weights a layer of this class has; Keras does.
    config["config"]["layers"].insert(1, {"class_name": "LayerNormalization", "config": {"name": "added"}})
    (source / "model.json").write_text(json.dumps(config))
    (report,) = migrate.convert(str(source), str(tmp_path / "new"), Options(verify=False)).models
    assert isinstance(report.outcome, Failed), report.outcome
    # An object-based checkpoint goes by numbers: the layer that was added gets what the next one had.
    assert all(word in report.outcome.reason for word in _LACKING[name]), report.outcome
    assert not (tmp_path / "new").exists()


_MAKE_CHECKPOINTS = """
import os, shutil, sys, numpy as np, tf_keras as k, keras_layers
def model(count, *more):
    dense = [k.layers.Dense(4) for _ in range(count)]
    return k.Sequential([k.Input([4], name="x"), *more, *dense])
def save(name, small, large):
    os.makedirs(f"{sys.argv[1]}/{name}")
    with open(f"{sys.argv[1]}/{name}/model.json", "w") as file:
        file.write(small.to_json())
    large.save_weights(f"{sys.argv[1]}/{name}/weights")
trained = model(2)
trained.compile("adam", "mse", ["mae"])
trained.fit(np.ones([4, 4]), np.ones([4, 4]), verbose=0)
save("trained", model(2), trained)
save("larger", model(1, keras_layers.Nameless()), model(2, keras_layers.Nameless()))
trained.step = k.backend.variable(3.0)
trained.save(f"{sys.argv[1]}/saved", save_format="tf")
save("of_saved", model(2), trained)
for file in os.listdir(f"{sys.argv[1]}/saved/variables"):
    new = f"{sys.argv[1]}/of_saved/{file.replace('variables', 'weights')}"
    shutil.copy(f"{sys.argv[1]}/saved/variables/{file}", new)
shutil.rmtree(f"{sys.argv[1]}/saved")
"""


@pytest.mark.slow
def test_what_a_checkpoint_holds_beside_the_model(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", LAYERS, prepend=":")
    run_child(["-c", _MAKE_CHECKPOINTS, str(tmp_path / "old")])
    options = Options(custom_objects=("keras_layers:Nameless",), verify=False)
    report = migrate.convert(str(tmp_path / "old"), str(tmp_path / "new"), options)
    found = {model.source.rpartition("/")[2]: model for model in report.models}
    # The layer whose class is the user's may have weights, so that audit cannot count them; Keras' assert_consumed can.
    assert isinstance(found["larger"].outcome, Failed), found["larger"]
    told = (
        "2 of its tensors are of no layer of the architecture (layer_with_weights-1/bias, layer_with_weights-1/kernel)"
    )
    assert told in found["larger"].outcome.reason
    for name in ("trained", "of_saved"):  # With the state of an optimizer and of metrics.
        assert isinstance(found[name].outcome, Converted), found[name]
    unused = {name: [f for f in model.findings if f.code == "keras-weights-unused"] for name, model in found.items()}
    assert unused["trained"] == []
    assert "1 tensor is of no layer of the architecture, and left out (step)" in unused["of_saved"][0].message


_MAKE_WITHIN = """
import os, sys, importlib, numpy as np
os.environ["KERAS_BACKEND"] = "tensorflow"
k = importlib.import_module(sys.argv[2])
def save(name, small, large):
    os.makedirs(f"{sys.argv[1]}/{name}")
    with open(f"{sys.argv[1]}/{name}/model.json", "w") as file:
        file.write(small.to_json())
    large.save_weights(f"{sys.argv[1]}/{name}/model.weights.h5")
def chain(*layers):
    x = k.Input([3, 4], name="x")
    y = x
    for layer in layers:
        y = layer(y)
    return k.Model(x, y)
def dense(count, *shape):
    return k.Sequential([k.Input(shape), *[k.layers.Dense(4) for _ in range(count)]])
wrapped = k.layers.TimeDistributed
for name, count in (("same", 1), ("larger", 2)):
    save(f"{name}_nested", chain(dense(1, 3, 4)), chain(dense(count, 3, 4)))
    save(f"{name}_wrapped", chain(wrapped(dense(1, 4))), chain(wrapped(dense(count, 4))))
attend = k.layers.MultiHeadAttention(2, 4, dropout=0.1)
ordinary = chain(
    k.layers.Normalization(), k.layers.GaussianNoise(0.1), lambda x: attend(x, x), k.layers.BatchNormalization(),
    k.layers.Bidirectional(k.layers.LSTM(3, dropout=0.1, return_sequences=True)), k.layers.PReLU(),
    k.layers.Dropout(0.2), k.layers.SimpleRNN(3), k.layers.Dense(2),
)
save("same_ordinary", ordinary, ordinary)
"""


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("keras", ["keras", "tf_keras"])
def test_weights_of_a_larger_model_within_a_model_are_refused(keras, tmp_path):
    run_child(["-c", _MAKE_WITHIN, str(tmp_path / "old"), keras])
    report = migrate.convert(str(tmp_path / "old"), str(tmp_path / "new"), Options(verify=False))
    outcomes = {model.source.rpartition("/")[2]: model.outcome for model in report.models}
    for name in ("nested", "wrapped", "ordinary"):
        assert isinstance(outcomes[f"same_{name}"], Converted), outcomes
    # Audit knows the layers of a model, and not those of a layer that wraps one; the export counts them.
    assert isinstance(outcomes["larger_nested"], Refused), outcomes
    assert isinstance(outcomes["larger_wrapped"], Failed), outcomes
    assert "has 4 tensors, and the architecture has places for 2 of them" in outcomes["larger_wrapped"].reason


_MAKE_LAMBDA = """
import sys, tf_keras
model = tf_keras.Sequential([tf_keras.Input([3], name="x"), tf_keras.layers.Lambda(lambda x: x * 2, name="twice")])
model.save(sys.argv[1])
"""


@pytest.mark.slow
def test_a_lambda_layer_runs_only_with_trust(tmp_path):
    # Bytecode is Python's own from release to release, so a committed file would serve one of them.
    file = str(tmp_path / "model.h5")
    run_child(["-c", _MAKE_LAMBDA, file])
    (report,) = migrate.convert(file, str(tmp_path / "new")).models
    assert isinstance(report.outcome, Refused)
    done = migrate_command("convert", file, tmp_path / "new", "--trust")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit for bit" in done.stdout
    assert "keras-lambda" in done.stdout


def test_a_custom_object_that_cannot_be_imported_is_told(tmp_path):
    done = migrate_command("convert", MODELS / "custom", tmp_path / "new", "--custom_objects=nowhere:Scale")
    assert done.returncode == 1
    assert "nowhere:Scale: cannot be imported: ModuleNotFoundError" in " ".join(done.stdout.split())


_MAKE_NAMELESS = """
import sys, tf_keras, keras_layers
x = tf_keras.Input([3], name="x")
scaled = keras_layers.Scale(name="scale")(x)
tf_keras.Model(x, [keras_layers.Nameless()(scaled), keras_layers.Nameless()(x)]).save(sys.argv[1])
"""


@pytest.mark.slow
def test_outputs_whose_names_keras_makes_up(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", LAYERS, prepend=":")
    file = str(tmp_path / "model.h5")
    run_child(["-c", _MAKE_NAMELESS, file])
    options = Options(custom_objects=("keras_layers:Scale", "keras_layers:Nameless"))
    (report,) = migrate.convert(file, str(tmp_path / "new"), options).models
    assert isinstance(report.outcome, Converted), report
    assert report.verification.bitwise_equal
    assert list(report.keras.signature.outputs) == ["nameless", "nameless_1"]
    done = migrate_command("audit", file, *(f"--custom_objects={entry}" for entry in options.custom_objects))
    assert "keras-output-unnamed" in done.stdout
    for model in (report, *migrate.audit(file, options).models):
        (told,) = [f for f in model.findings if f.code == "keras-output-unnamed"]
        assert told.message.startswith("the layers of 2 outputs keep no name in the file (nameless, nameless_1)")


_SAVE_LATER = """
import sys, tf_keras, keras_layers
for _ in range(10):
    keras_layers.Nameless()  # Names go on from here.
given = {"Scale": keras_layers.Scale, "Nameless": keras_layers.Nameless}
model = tf_keras.models.load_model(sys.argv[1], custom_objects=given)
model.save(sys.argv[2], save_format="tf")
assert sorted(model.output_names) == ["nameless_10", "nameless_11"], model.output_names
"""


@pytest.mark.slow
def test_outputs_of_made_up_names_are_compared_by_their_place(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", LAYERS, prepend=":")
    file = str(tmp_path / "model.h5")
    run_child(["-c", _MAKE_NAMELESS, file])
    run_child(["-c", _SAVE_LATER, file, str(tmp_path / "new")])
    options = Options(custom_objects=("keras_layers:Scale", "keras_layers:Nameless"))
    (report,) = migrate.validate(str(tmp_path / "new"), against=file, options=options).models
    assert isinstance(report.outcome, Validated), report
    assert report.verification.variables_compared == 1  # By its place in the list: Keras itself writes no names.
    assert report.verification.bitwise_equal
    assert {output.output for output in report.verification.outputs} == {"nameless_10", "nameless_11"}
    (told,) = [f for f in report.findings if f.code == "keras-output-unnamed"]
    assert told.message.endswith("such outputs are compared by their place")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["new.h5", "new.hdf5", "new.keras"])
def test_a_destination_may_have_any_name(name, tmp_path):
    (report,) = migrate.convert(str(MODELS / "json_hdf5"), str(tmp_path / name), Options(verify=False)).models
    assert isinstance(report.outcome, Converted), report
    assert (tmp_path / name / "saved_model.pb").is_file()
    assert (tmp_path / name / "variables" / "variables.index").is_file()


def test_a_directory_of_a_callbacks_files_is_a_tree(tmp_path):
    (tmp_path / "run").mkdir()
    for step in ("model-01.h5", "model-02.h5"):
        shutil.copy(MODELS / "functional" / "model.h5", tmp_path / "run" / step)
        with h5py.File(tmp_path / "run" / step, "r+") as file:
            file["model_weights/value/value/bias:0"][0] = int(step[-4])
    report = migrate.convert(str(tmp_path / "run"), str(tmp_path / "new"), Options(verify=False))
    assert [type(model.outcome) for model in report.models] == [Converted, Converted], report
    assert [model.destination for model in report.models] == [str(tmp_path / "new" / f"model-0{n}") for n in (1, 2)]
    assert all("destination-renamed" in [f.code for f in model.findings] for model in report.models)
    again = migrate.convert(str(tmp_path / "run"), str(tmp_path / "new"), Options(verify=False))
    assert all(model.skipped for model in again.models)


_MAKE_COMPILED = """
import json, sys, h5py, numpy as np, tf_keras
kind, file = sys.argv[1:]
legacy = kind in ("legacy", "tf1")
x = tf_keras.Input([3], name="x")
model = tf_keras.Model(x, tf_keras.layers.Dense(2, "softmax", name="scores")(x))
optimizer = tf_keras.optimizers.legacy.Adam(0.01) if legacy else tf_keras.optimizers.Adam(0.01)
top = tf_keras.metrics.SparseTopKCategoricalAccuracy(1)
model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy", top])
data = np.random.RandomState(1).uniform(size=[8, 3]).astype("float32"), np.arange(8) % 2
if kind != "untrained":
    model.fit(*data, verbose=0)
model.save(file)
if legacy:  # As TensorFlow 2.10 and before, and TF 1.15 in its name scope, wrote it.
    with h5py.File(file, "r+") as content:
        training = json.loads(content.attrs["training_config"])
        training["optimizer_config"]["config"].pop("is_legacy_optimizer", None)
        content.attrs["training_config"] = json.dumps(training)
        if kind == "tf1":
            group = content["optimizer_weights"]
            names = [name if isinstance(name, str) else name.decode() for name in group.attrs["weight_names"]]
            values = [np.asarray(group[name]) for name in names]
            del content["optimizer_weights"]
            group = content.create_group("optimizer_weights")
            group.attrs["weight_names"] = [f"training/{name}".encode() for name in names]
            for name, value in zip(names, values):
                group[f"training/{name}"] = value
"""

# Loads the source and the new model with Keras, trains each for three more steps, and compares the results. Keras does
# not restore an optimizer from a SavedModel: with the line that the report gives the later steps are the same, too.
_CONTINUED = """
import sys, numpy as np, tensorflow as tf, tf_keras
data = np.random.RandomState(2).uniform(size=[8, 3]).astype("float32"), np.arange(8) % 2
kind, source, new = sys.argv[1:]
found = []
for path in (source, new, new):
    model = tf_keras.models.load_model(path)
    before = model.evaluate(*data, verbose=0, return_dict=True)
    assert set(before) == {"loss", "accuracy", "sparse_top_k_categorical_accuracy"}, before
    if len(found) == 2:
        tf.train.Checkpoint(model).restore(path + "/variables/variables")
    found.append((before, model.fit(*data, epochs=3, batch_size=8, shuffle=False, verbose=0).history))
assert found[0][0] == found[1][0] == found[2][0], found
for name, values in found[0][1].items():
    np.testing.assert_allclose(values[0], found[1][1][name][0], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(values, found[2][1][name], rtol=1e-6, err_msg=name)
if kind != "untrained":
    assert not np.allclose(found[0][1]["loss"], found[1][1]["loss"], rtol=1e-6), "Keras restores it now"
"""


@pytest.mark.slow
@pytest.mark.sampled(4)
@pytest.mark.parametrize("kind", ["trained", "legacy", "tf1", "untrained"])
def test_training_goes_on_where_the_source_would(kind, tmp_path):
    file, new = str(tmp_path / "model.h5"), str(tmp_path / "new")
    run_child(["-c", _MAKE_COMPILED, kind, file])
    (report,) = migrate.convert(file, new, Options(verify=False)).models
    assert isinstance(report.outcome, Converted), report
    codes = [finding.code for finding in report.findings]
    assert "keras-not-compiled" not in codes
    (kept,) = [finding for finding in report.findings if finding.code == "keras-optimizer-kept"]
    assert 'tf.train.Checkpoint(model).restore(PATH + "/variables/variables")' in kept.hint
    run_child(["-c", _CONTINUED, kind, file, new])


def test_a_loss_that_nobody_has_is_told(tmp_path):
    file = tmp_path / "model.h5"
    shutil.copy(MODELS / "functional" / "model.h5", file)
    with h5py.File(file, "r+") as content:
        training = json.loads(content.attrs["training_config"])
        content.attrs["training_config"] = json.dumps({**training, "loss": "my_own_loss"})
    (report,) = migrate.convert(str(file), str(tmp_path / "new"), Options(verify=False)).models
    assert isinstance(report.outcome, Converted), report
    (told,) = [finding for finding in report.findings if finding.code == "keras-not-compiled"]
    assert "not Keras' own (my_own_loss); give them with --custom_objects=MODULE:NAME" in told.message


_MAKE_JSON_3 = """
import pathlib, sys, numpy as np, keras
x = keras.Input([3], name="x")
model = keras.Model(x, keras.layers.Dense(2, name="scores")(x))
model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
model.fit(np.ones([4, 3], "float32"), np.ones([4, 2], "float32"), verbose=0)
folder = pathlib.Path(sys.argv[1])
(folder / "model.json").write_text(model.to_json())
model.save_weights(folder / "model.weights.h5")
"""


@pytest.mark.slow
def test_the_optimizer_of_a_json_file_of_keras_3_is_kept(tmp_path):
    (tmp_path / "source").mkdir()
    run_child(["-c", _MAKE_JSON_3, str(tmp_path / "source")], KERAS_BACKEND="tensorflow")
    (report,) = migrate.convert(str(tmp_path / "source"), str(tmp_path / "new"), Options(verify=False)).models
    assert isinstance(report.outcome, Converted), report
    assert "keras-optimizer-kept" in [finding.code for finding in report.findings], report.findings


_MAKE_VOCABULARY = """
import sys, tf_keras
layer = tf_keras.layers.StringLookup(name="lookup")
layer.adapt(["a", "b", "b"])
x = tf_keras.Input([], dtype="string", name="x")
tf_keras.Model(x, layer(x)).save(sys.argv[1])
"""


@pytest.mark.slow
def test_a_vocabulary_of_the_archive_s_own_is_loaded(tmp_path):
    file = str(tmp_path / "model.keras")
    run_child(["-c", _MAKE_VOCABULARY, file])
    (report,) = migrate.convert(file, str(tmp_path / "new")).models
    assert isinstance(report.outcome, Converted), report


@pytest.mark.private_api
def test_keras_2_files_load_on_this_release(tmp_path):
    """tf_keras' legacy optimizers, and what its SavedModels call their variables."""
    (report,) = migrate.convert(str(MODELS / "old_adam"), str(tmp_path / "new"), Options(verify=False)).models
    assert isinstance(report.outcome, Converted), report.outcome
    assert "keras-optimizer-kept" in [finding.code for finding in report.findings]


_MAKE_SATURATED = """
import sys, numpy as np, tf_keras
x = tf_keras.Input([2], name="x")
model = tf_keras.Model(x, tf_keras.layers.Dense(3, "softmax", name="scores")(x))
model.set_weights([np.asarray([[0, 91, 95], [0, 0, 0]], "float32"), np.zeros([3], "float32")])
model.save(sys.argv[1])
"""


@pytest.mark.slow
def test_denormal_answers_are_flushed_on_both_sides(tmp_path):
    """A saturated softmax: the calling thread of a v1 Session keeps what TensorFlow's own threads flush to zero."""
    file = str(tmp_path / "model.h5")
    run_child(["-c", _MAKE_SATURATED, file])
    calls = tmp_path / "calls.npz"
    np.savez(calls, **{"serving_default/x": np.asarray([[1, 0], [0.5, 0]], "float32")})
    (report,) = migrate.convert(file, str(tmp_path / "new"), Options(inputs=str(calls))).models
    assert isinstance(report.outcome, Converted), report
    assert report.verification.bitwise_equal
