"""What a loaded Keras model says of itself."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.tensorflow
pytest.importorskip("tf_keras")

from migrate.keras_loader.model import load  # noqa: E402
from migrate.keras_loader.request import Request  # noqa: E402
from migrate.model.keras_study import study_keras  # noqa: E402
from migrate.records import Options  # noqa: E402
from migrate.sources.discover import place_of  # noqa: E402
from migrate.sources.keras_source import Runtime  # noqa: E402
from migrate.verify.keras_facts import (  # noqa: E402
    agreed_layers,
    flagged_of,
    layers_of,
    losses_of,
    nested_names,
    optimizer_of,
    takes_mode,
)
from tests.conversions import ROOT  # noqa: E402


def _loaded(name, with_optimizer=True):
    path = str(ROOT / "testdata" / name)
    _, source = study_keras(place_of(path), path, Options())
    return load(Request(source, (), False), with_optimizer)


@pytest.fixture(scope="module")
def functional():
    return _loaded("keras/functional")


def test_layers_are_described_as_load_model_reads_them(functional):
    layers = layers_of(functional, Runtime.TF_KERAS)
    root = json.loads(layers[""])
    assert root["identifier"] == "_tf_keras_network"
    assert root["metadata"]["training_config"]["optimizer_config"]["config"]["learning_rate"] == pytest.approx(0.01)
    assert json.loads(layers["layer_with_weights-1"])["metadata"]["config"]["activation"] == "relu"
    assert layers_of(functional, Runtime.KERAS) == {}
    # A load that is not compiled says the same but for the training.
    assert agreed_layers(layers, layers_of(_loaded("keras/functional", False), Runtime.TF_KERAS)) == layers
    assert agreed_layers(layers, {**layers, "layer-0": layers["layer-2"]}).keys() == layers.keys() - {"layer-0"}


def test_variables_of_an_optimizer_go_by_their_paths(functional):
    found = optimizer_of(functional, Runtime.TF_KERAS)
    assert {"optimizer/_learning_rate", "optimizer/_iterations"} < set(found)
    assert len(found) == 1 + 19  # The learning rate is not among the 19 that the file stores.
    assert optimizer_of(_loaded("keras/functional", False), Runtime.TF_KERAS) == {}


def test_slots_of_an_old_optimizer():
    found = optimizer_of(_loaded("keras_tf1/trained"), Runtime.TF_KERAS)
    slots = {path for path in found if "SLOT" in path}
    assert slots == {f"variables/{number}/.OPTIMIZER_SLOT/{slot}" for number in range(7) for slot in "mv"}
    assert set(found) - slots == {
        f"optimizer/{name}" for name in ("iter", "beta_1", "beta_2", "decay", "learning_rate")
    }


def test_penalties_flags_and_how_it_is_called(functional):
    assert len(losses_of(functional, Runtime.TF_KERAS)) == 1
    assert len(flagged_of(functional)) == 9
    assert json.loads(nested_names(functional, Runtime.TF_KERAS)) == ["ids", "x"]
    assert takes_mode(functional, Runtime.TF_KERAS)
