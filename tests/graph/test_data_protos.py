from __future__ import annotations

import sys

import pytest

from migrate.graph import data_protos, protos


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("Example", "tensorflow.Example"),
        ("SequenceExample", "tensorflow.SequenceExample"),
        ("SavedTensorSlices", "tensorflow.SavedTensorSlices"),
        ("WhileContextDef", "tensorflow.WhileContextDef"),
        ("CondContextDef", "tensorflow.CondContextDef"),
    ],
)
def test_each_class_is_the_one_that_tensorflow_uses(name, full):
    assert name in data_protos.__all__
    made = getattr(data_protos, name)
    assert made.DESCRIPTOR.full_name == full
    assert getattr(sys.modules[made.__module__], name) is made
    assert made.__module__.startswith("tensorflow.core.")


def test_no_class_of_a_model_is_among_them():
    assert not set(data_protos.__all__) & set(protos.__all__)


def test_an_example_survives_its_bytes():
    example = data_protos.Example()
    example.features.feature["x"].float_list.value.extend([0.5, -1.0])
    again = data_protos.Example.FromString(example.SerializeToString())
    assert [*again.features.feature["x"].float_list.value] == [0.5, -1.0]
