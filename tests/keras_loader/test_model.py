"""A Keras file in memory: what it is called, what it answers, and what is refused."""

from __future__ import annotations

import functools

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

from migrate.errors import InputError  # noqa: E402 (starts TensorFlow)
from migrate.keras_loader.model import ask, custom_objects, load, stored_optimizer, weights  # noqa: E402
from migrate.keras_loader.request import Request  # noqa: E402
from migrate.sources.discover import place_of  # noqa: E402
from migrate.sources.keras_source import read_keras  # noqa: E402
from migrate.sources.read import files_of  # noqa: E402
from tests.conversions import ROOT  # noqa: E402


def _request(name, *custom):
    return Request(read_keras(files_of(place_of(str(ROOT / "testdata" / "keras" / name)))), custom, trust=False)


@functools.cache
def _loaded():
    return load(_request("functional"), with_optimizer=True)


def test_a_model_is_loaded_with_its_optimizer():
    loaded, source = _loaded(), _request("functional").source
    assert (loaded.optimizer, loaded.lost, loaded.compiled) == ("Adam", "", True)
    assert list(loaded.signature.inputs) == sorted(loaded.signature.inputs)
    assert len(weights(loaded.model)) == len(source.weights)
    assert len(stored_optimizer(source)) == len(source.optimizer)


def test_without_its_optimizer_it_is_not_compiled():
    loaded = load(_request("functional"), with_optimizer=False)
    assert (loaded.optimizer, loaded.lost, loaded.compiled) == ("", "", False)


def test_it_answers_by_the_names_of_its_signature():
    loaded = _loaded()
    given = {n: tf.ones([2, *s.shape[1:]], s.dtype) for n, s in loaded.signature.inputs.items()}
    found = ask(loaded, given)
    assert found.keys() == loaded.signature.outputs.keys()
    again = ask(loaded, given)
    assert all(np.array_equal(found[name], again[name]) for name in found)


def test_what_was_not_allowed_is_not_loaded():
    with pytest.raises(InputError, match="asks for what was not allowed"):
        load(_request("custom"), with_optimizer=False)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("layers", "expected MODULE:NAME"),
        (":Own", "expected MODULE:NAME"),
        ("layers:", "expected MODULE:NAME"),
        ("no_such_module:Own", "cannot be imported: ModuleNotFoundError"),
        ("json:Own", "cannot be imported: AttributeError"),
    ],
)
def test_code_of_the_users_that_is_not_there_is_told(entry, told):
    with pytest.raises(InputError, match=f"^--custom_objects={entry}: {told}"):
        custom_objects([entry])


def test_code_of_the_users_is_found_by_its_name():
    import json

    assert custom_objects([]) == {}
    assert custom_objects(["json:loads", "json:dumps"]) == {"loads": json.loads, "dumps": json.dumps}
