"""TensorFlow's own functionaliser finds the loops and conds that the new models have, nested alike."""

from __future__ import annotations

import os
import pathlib

import pytest

import migrate
from migrate.processes.nursery import Nursery
from tools import second_opinion

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.timeout(1500)]

pytest.importorskip("tensorflow")

ROOT = pathlib.Path(__file__).parents[2]
MODELS = ("cond", "cond_counter", "folded_conds", "image_decode", "loop_counter", "while_loop")
CORPUS = ("frozen_kws_CRNN", "pipelineai_keras_lstm_securitai_0", "sts_deep_image_model_1")


@pytest.fixture(scope="module")
def nursery():
    with migrate.keep_warm(), Nursery(path=(ROOT,)) as made:
        yield made


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", MODELS)
def test_of_test_data(nursery, name):
    found = second_opinion.ask(str(ROOT / "testdata" / "models" / name), nursery)
    assert not found.refused
    assert any(found.ours.values()) and not found.differences


@pytest.mark.corpus
@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", CORPUS)
def test_of_the_corpus(nursery, name):
    corpus = os.environ.get("MIGRATE_CORPUS", "")
    if not corpus:
        pytest.skip("MIGRATE_CORPUS is not set")
    found = second_opinion.ask(os.path.join(corpus, name), nursery)
    assert not found.refused
    assert any(found.ours.values()) and not found.differences
