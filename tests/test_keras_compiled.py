"""What a Keras model was compiled with, in every way to say it: the new model evaluates as Keras loads the file."""

from __future__ import annotations

import pytest

import migrate
from migrate.records import Converted, Options
from tests.conversions import run_child

pytestmark = pytest.mark.tensorflow

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
