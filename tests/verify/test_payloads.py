"""Bytes that TensorFlow's decoding ops accept."""

from __future__ import annotations

import base64
import io
import struct
import wave

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.graph.data_protos import Example, SequenceExample
from migrate.verify import images, payloads
from migrate.verify.payloads import Feature

_SEEDS = st.integers(0, 1000)


@given(st.integers(0, 500), _SEEDS)
def test_a_wav_is_what_pythons_reader_takes(samples, seed):
    data = payloads.wav(samples, seed)
    assert struct.unpack("<4sI", data[:8]) == (b"RIFF", len(data) - 8)
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (1, 2, 16000, samples)
        assert len(file.readframes(samples + 1)) == 2 * samples


_FEATURES = (
    Feature("i", "int64", 4, payloads.WORDS.__getitem__),
    Feature("f", "float32", None, payloads.WORDS.__getitem__),
    Feature("s", "string", 2, lambda n: b"%d" % n),
    Feature("l", "int64", None, payloads.WORDS.__getitem__, in_list=True),
)


@settings(max_examples=40)
@given(st.integers(0, 100), st.integers(1, 3))
def test_an_example_has_as_many_values_as_its_features_must_have(number, longest):
    found = Example.FromString(payloads.example(_FEATURES[:3], number, longest=longest)).features.feature
    assert len(found["i"].int64_list.value) == 4
    assert found["s"].bytes_list.value == [b"%d" % number, b"%d" % (number + 1)]
    assert len(found["f"].float_list.value) == min((1, 1, 2, 0)[number % 4], longest)


def test_examples_are_ordinary_then_zeros_then_large_then_extreme():
    series = [Example.FromString(payloads.example(_FEATURES[:1], n)).features.feature["i"].int64_list for n in range(4)]
    assert set(series[1].value) == {0}
    assert all(0 <= value <= 3 for value in series[0].value) and all(0 <= value <= 24 for value in series[2].value)


def test_a_sequence_has_two_steps_of_its_lists_and_the_rest_in_its_context():
    found = SequenceExample.FromString(payloads.example(_FEATURES, 0, sequence=True))
    assert sorted(found.context.feature) == ["f", "i", "s"]
    (steps,) = found.feature_lists.feature_list.values()
    assert [len(step.int64_list.value) for step in steps.feature] == [1, 1]


def test_without_features_it_is_empty():
    assert payloads.example((), 0) == Example().SerializeToString()


def test_variants_of_an_example_lack_a_feature_each():
    features = [payloads.Feature("a", "float32", 1, lambda n: b""), payloads.Feature("b", "int64", 2, lambda n: b"")]
    found = payloads.others(payloads.example(features, 0))
    keys = [set(Example.FromString(text).features.feature) for text in found["absent features"]]
    assert keys == [{"b"}, {"a"}, set()]
    (several,) = found["several values of a feature"]
    assert len(Example.FromString(several).features.feature["b"].int64_list.value) == 4
    numbers = [Example.FromString(text).features.feature for text in found["values of features"]]
    assert any(n["b"].int64_list.value[0] > 2**31 for n in numbers)
    assert any(n["a"].float_list.value[0] != n["a"].float_list.value[0] for n in numbers)


def test_variants_of_base64_are_base64():
    image = images.png(8, 0)
    found = payloads.others(base64.urlsafe_b64encode(image).rstrip(b"="))
    decoded = {kind: tuple(base64.urlsafe_b64decode(v + b"==") for v in variants) for kind, variants in found.items()}
    assert decoded == images.variants(image)


def test_an_image_in_a_feature_has_all_variants():
    image = images.png(8, 0)
    features = [Feature("a", "float32", 1, payloads.WORDS.__getitem__), Feature("image", "string", 1, lambda n: image)]
    found = payloads.others(payloads.example(features, 0))
    for kind, variants in images.variants(image).items():
        given = [Example.FromString(text).features.feature for text in found[f"{kind} in a feature"]]
        assert [feature["image"].bytes_list.value[0] for feature in given] == list(variants)
        assert all(len(feature["a"].float_list.value) == 1 for feature in given)


@pytest.mark.parametrize("text", [b"", b"plain words", b"\x00\xff", b"a" * 64])
def test_plain_text_has_no_variants(text):
    assert "image formats" not in payloads.others(text)
    assert "absent features" not in payloads.others(text)
