"""What a Keras model was compiled with, in every way to say it: the new model evaluates as Keras loads the file."""

from __future__ import annotations

import pathlib

import pytest

import migrate
from migrate.records import Converted, Options
from tests.conversions import ROOT, run_child
from tests.sampling import EVERY

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

LAYERS = str(ROOT / "testdata")
_ASSUMED = "keras-metric-assumed"

_MAKE = """
import sys, numpy as np, tf_keras as k
X = np.random.RandomState(0).uniform(size=[8, 3]).astype("float32")
Y = (np.arange(8) % 2).astype("float32")[:, None], np.ones([8, 1], "float32")

def one():
    return k.Sequential([k.Input([3], name="x"), k.layers.Dense(1, "sigmoid", name="a")])

def two():
    x = k.Input([3], name="x")
    return k.Model(x, [k.layers.Dense(1, "sigmoid", name="a")(x), k.layers.Dense(1, name="b")(x)])

def ways():
    auc, squared = k.metrics.AUC(name="auc"), k.metrics.MeanSquaredError(name="squared")
    yield "string", one, "mse", ["mae"], None
    yield "objects", one, k.losses.Huber(), [auc, "accuracy", "mae"], [squared]
    yield "alike", two, "mse", ["mae", "accuracy"], ["mse"]
    yield "by_name", two, {"a": "mse", "b": k.losses.Huber()}, {"a": [auc, "accuracy"], "b": "mae"}, {"b": [squared]}
    yield "by_place", two, ["binary_crossentropy", "mse"], [[auc], ["mae"]], [["mse"], ["mae"]]

for kind, optimizers in {"legacy": k.optimizers.legacy, "untrained": k.optimizers.legacy, "new": k.optimizers}.items():
    for name, make, loss, metrics, weighted in ways():
        model = make()
        model.compile(optimizers.Adam(0.01), loss, metrics, weighted_metrics=weighted)
        if kind != "untrained":
            model.fit(X, list(Y) if make is two else Y[0], verbose=0)
        model.save(f"{sys.argv[1]}/{name}_{kind}.h5")
"""

_JUDGE = """
import pathlib, sys, numpy as np, tf_keras as k
X = np.random.RandomState(0).uniform(size=[8, 3]).astype("float32")
Y = (np.arange(8) % 2).astype("float32")[:, None], np.ones([8, 1], "float32")
files = sorted(pathlib.Path(sys.argv[1]).iterdir())
for file in files:
    models = [k.models.load_model(path) for path in (file, pathlib.Path(sys.argv[2], file.stem))]
    wanted = list(Y) if len(models[0].outputs) == 2 else Y[0]
    expected, found = (model.evaluate(X, wanted, verbose=0, return_dict=True) for model in models)
    assert list(expected) == list(found), (file.name, list(expected), list(found))
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-6, err_msg=file.name)
print(len(files))
"""


def test_every_way_to_compile_is_kept(tmp_path):
    (tmp_path / "old").mkdir()
    run_child(["-c", _MAKE, str(tmp_path / "old")])
    report = migrate.convert(str(tmp_path / "old"), str(tmp_path / "new"), Options(verify=False))
    for model in report.models:
        assert isinstance(model.outcome, Converted), model
        assert "keras-not-compiled" not in [finding.code for finding in model.findings]
    assert run_child(["-c", _JUDGE, str(tmp_path / "old"), str(tmp_path / "new")]).endswith("15\n")


# What `accuracy` means is decided at the first batch, so an archive does not say it.
_MAKE_ARCHIVES = """
import sys, keras_models as mine, tf_keras as k
k.utils.set_random_seed(7)
L, SHORT = k.layers, ["accuracy", "acc", "crossentropy", "ce", "mae"]

def one(size, activation="softmax", shape=(3,)):
    return k.Sequential([k.Input(shape, name="x"), L.Dense(size, activation, name="a")])

def two(keys=None):
    x = k.Input([3], name="x")
    ends = [L.Dense(1, "sigmoid", name="p")(x), L.Dense(3, "softmax", name="q")(x)]
    return k.Model(x, dict(zip(keys, ends)) if keys else ends)

def called(model):
    model(k.backend.zeros([1, 3]))
    return model

sparse, own = "sparse_categorical_crossentropy", k.losses.SparseCategoricalCrossentropy()
places = ["mse", sparse]
for name, model, loss, metrics, weighted in [
    ("sparse", one(3), sparse, SHORT, ["accuracy", "ce"]),
    ("objects", one(3), own, ["Accuracy", k.metrics.SparseCategoricalAccuracy()], ["acc"]),
    ("categorical", one(3), "categorical_crossentropy", SHORT, ["accuracy", "ce"]),
    ("binary", one(1, "sigmoid"), "binary_crossentropy", SHORT, ["accuracy"]),
    ("labels", one(3, "sigmoid"), "binary_crossentropy", SHORT, ["accuracy"]),
    ("steps", one(3, shape=(2, 3)), sparse, ["accuracy", "ce"], None),
    ("unbuilt", called(k.Sequential([L.Dense(3, "softmax")])), sparse, ["accuracy"], None),
    ("by_name", two(), {"p": "mse", "q": own}, {"p": ["acc"], "q": ["accuracy", "ce"]}, {"q": ["accuracy"]}),
    ("by_place", two(), places, [["acc", "mae"], ["ce"]], None),
    ("alike", two(), places, ["accuracy"], ["acc"]),
    ("keys", two("uv"), {"u": "mse", "v": sparse}, {"u": ["acc"], "v": "acc"}, None),
    ("called", called(mine.Scores(name="called")), sparse, ["accuracy"], ["accuracy"]),
    ("pair", called(mine.ScoresOfTwo(name="pair")), places, ["accuracy"], ["accuracy"]),
    ("own_binary", one(1, "sigmoid"), mine.own_loss, ["accuracy", "mae"], None),
    ("own", one(3), mine.own_loss, ["mae", "accuracy"], ["ce"]),
    ("lossless", two(), {"p": "mse"}, {"p": "accuracy", "q": ["accuracy", "mae"]}, None),
]:
    model.compile("adam", loss, metrics, weighted_metrics=weighted)
    model.save(f"{sys.argv[1]}/{name}.keras")
"""

_JUDGE_ARCHIVES = """
import pathlib, sys, keras_models as mine, numpy as np, tf_keras as k
X = np.random.RandomState(0).uniform(size=[12, 3]).astype("float32")
NUMBERS = np.arange(12) % 3
BITS, ONE_HOT = (NUMBERS > 0).astype("float32")[:, None], np.eye(3, dtype="float32")[NUMBERS]
WANTED = {"categorical": ONE_HOT, "labels": ONE_HOT, "own": ONE_HOT, "binary": BITS, "own_binary": BITS}
WANTED.update(dict.fromkeys(["by_name", "by_place", "alike", "lossless"], [BITS, NUMBERS]))
WANTED.update(keys={"u": BITS, "v": NUMBERS}, pair=(BITS, NUMBERS), steps=np.stack([NUMBERS, NUMBERS[::-1]], 1))
OWN = {"Scores": mine.Scores, "ScoresOfTwo": mine.ScoresOfTwo, "own_loss": mine.own_loss}
DROPPED = {"own": {"accuracy", "ce"}, "lossless": {"q_accuracy"}}
weights = np.arange(1, 13, dtype="float32")
files = sorted(pathlib.Path(sys.argv[1]).iterdir())
for file in files:
    models = [k.models.load_model(p, custom_objects=OWN) for p in (file, pathlib.Path(sys.argv[2], file.stem))]
    given = (np.stack([X, X[::-1]], 1) if file.stem == "steps" else X), WANTED.get(file.stem, NUMBERS)
    for sample_weight in None, weights:
        each = sample_weight if len(models[0].outputs or "1") == 1 else [sample_weight] * 2
        if file.stem in ("keys", "pair"):
            each = None  # Keras takes none that are nested otherwise than the outputs.
        expected, found = (model.evaluate(*given, 12, 0, each, return_dict=True) for model in models)
        dropped = DROPPED.get(file.stem, set())
        assert dropped <= expected.keys()
        expected = {name: value for name, value in expected.items() if name not in dropped}
        assert list(expected) == list(found), (file.name, list(expected), list(found))
        np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-6, err_msg=file.name)
print(len(files))
"""


@pytest.mark.skipif(not EVERY, reason="make test-every runs it")
def test_what_accuracy_means_is_what_it_would_mean_at_the_first_batch(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", LAYERS, prepend=":")
    monkeypatch.setenv("KERAS_MODELS_OF", "tf_keras")
    (tmp_path / "old").mkdir()
    run_child(["-c", _MAKE_ARCHIVES, str(tmp_path / "old")])
    own = ("keras_models:Scores", "keras_models:ScoresOfTwo", "keras_models:own_loss")
    options = Options(verify=False, custom_objects=own)
    report = migrate.convert(str(tmp_path / "old"), str(tmp_path / "new"), options)
    told = {}
    for model in report.models:
        assert isinstance(model.outcome, Converted), model
        name = pathlib.Path(model.source).stem
        told.update({(name, f.code): f for f in model.findings if f.code in ("keras-not-compiled", _ASSUMED)})
    dropped = {name: finding.nodes for (name, code), finding in told.items() if code == "keras-not-compiled"}
    assert dropped == {
        "own": (
            "'accuracy' of 'a' (its loss 'own_loss' is not Keras' own)",
            "'ce' of 'a' (its loss 'own_loss' is not Keras' own)",
        ),
        "lossless": ("'accuracy' of 'q' (the output has no loss)",),
    }
    assert {name for name, code in told if code == _ASSUMED} == {"labels"}
    assert run_child(["-c", _JUDGE_ARCHIVES, str(tmp_path / "old"), str(tmp_path / "new")]).endswith("16\n")
