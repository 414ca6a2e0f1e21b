"""Outputs that Keras names anew at each load are paired by their place."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.sources.keras_config import unnamed_outputs
from migrate.verify.calls import Answer, Call, Golden
from migrate.verify.made_up_names import paired


def _golden(*names):
    answer = Answer({name: np.array(number) for number, name in enumerate(names)})
    failed = Answer({}, "ValueError", "of another call")
    calls = (Call("serving_default", {}),) * 2
    return Golden(calls, (failed, answer), (failed, answer), {}, {}, "tf_keras", "2.21.0")


@pytest.mark.parametrize(
    ("source", "named", "candidate", "values"),
    [
        (["a", "a_1"], [], ["a_8", "a_9"], {"a_8": 0, "a_9": 1}),
        (["a_9", "a_10"], [], ["a_100", "a_99"], {"a_99": 0, "a_100": 1}),
        (["a", "scores"], ["scores"], ["scores", "a_3"], {"a_3": 0, "scores": 1}),
        (["a", "b"], [], ["b_2", "a_7"], {"a_7": 0, "b_2": 1}),
    ],
)
def test_names_that_count_up_are_paired(source, named, candidate, values):
    found = paired(_golden(*source), named, len(source) - len(named), candidate)
    for answers in (found.answers, found.again):
        assert {name: int(value) for name, value in answers[1].outputs.items()} == values
        assert answers[0].error == "ValueError"


@pytest.mark.parametrize(
    ("source", "named", "unnamed", "candidate"),
    [
        (["a"], ["a"], 0, ["b"]),  # Kept in the file.
        (["a"], [], 1, ["b"]),
        (["a", "a_1"], [], 2, ["a_1"]),
        (["a", "a_1"], [], 1, ["a", "a_2"]),
        (["a"], [], 1, []),
    ],
)
def test_other_names_stay_as_they_are(source, named, unnamed, candidate):
    golden = _golden(*source)
    assert paired(golden, named, unnamed, candidate) is golden


def _entry(layer, **config):
    return {"class_name": "Mine", "name": layer, "config": config}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"layers": [_entry("a", name="a"), _entry("b")], "output_layers": [["b", 0, 0]]}, ("b",)),
        ({"layers": [_entry("a"), _entry("b", name="b")], "output_layers": [["b", 0, 0]]}, ()),
        ({"layers": [_entry("a"), _entry("b")], "output_layers": [["b", 0, 0], ["a", 0, 0]]}, ("b", "a")),
        ({"layers": [_entry("a")], "output_layers": ["a", 0, 0]}, ("a",)),
        ({"layers": [_entry("a")], "output_layers": {"key": ["a", 0, 0]}}, ()),
        ({"layers": [_entry("a", name="a"), {"class_name": "Mine", "config": {}}]}, ("Mine",)),
        ([{"class_name": "Mine", "config": {}}, _entry("a", name="a")], ()),
        ({"units": 3}, ()),
        ({"layers": [3, None]}, ()),
    ],
)
def test_a_layer_without_a_name_in_its_config_has_none(config, names):
    assert unnamed_outputs({"class_name": "Functional", "config": config}) == names
