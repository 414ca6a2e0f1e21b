"""What is written without TensorFlow's exporter is what it writes, field by field."""

from __future__ import annotations

import dataclasses
import os

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.private_api]

tf = pytest.importorskip("tensorflow")

from migrate.export import direct, patch  # noqa: E402 (starts TensorFlow)
from migrate.export.graph_job import with_stubs  # noqa: E402
from migrate.export.module import build  # noqa: E402
from migrate.model.study import study  # noqa: E402
from migrate.records import Options  # noqa: E402
from tests.conversions import MODELS  # noqa: E402
from tests.export.comparison import comparable  # noqa: E402

OTHERS = frozenset(
    {
        # A table, an init op, an asset, or things for training.
        *("estimator_all_modes", "estimator_vocabulary_column", "hub_module", "two_init_ops", "vocabulary"),
        *("vocabulary_v1_ops",),
    }
)
"""Models that have more than variables and signatures."""

FEW = ("alias", "counter", "odd_names", "sparse_signature", "tensor_names", "uninitialized", "while_loop")
"""Reads and writes, several signatures with and without inputs, names that are renamed, sparse tensors, names that are
kept, a variable without a value, a loop."""


def _built(path, options=Options()):  # noqa: B008 (frozen)
    with study(str(path), options, is_whole=True) as studied:
        graph = studied.graph
        if graph is None or graph.plan.refused:
            return None
        plan = with_stubs(graph.plan)
        return build(plan, graph.source.assets_dir, {}), plan


def _both(built, plan, directory):
    """What both write, with the names of the source."""
    found = []
    for name, writer in (("ours", direct), ("theirs", patch)):  # Theirs adds functions to what was built.
        path = str(directory / name)
        os.mkdir(path)
        keys = writer.save(built, plan, path)
        patch.patch(path, plan, built.names, "digest")
        found.append((comparable(path), keys, sorted({*os.listdir(path)} - {"fingerprint.pb"})))
    return found


@pytest.mark.parametrize("name", FEW)
def test_it_is_what_tensorflow_writes(name, tmp_path):
    built, plan = _built(MODELS / name)
    assert direct.can_save(built, plan)
    ours, theirs = _both(built, plan, tmp_path)
    assert ours == theirs


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted([*MODELS.iterdir(), *(MODELS.parent / "forms").iterdir()]), ids=lambda path: path.name
)
def test_of_every_model_it_is_what_tensorflow_writes(path, tmp_path):
    made = _built(path, Options(drop_signatures=True, take_proposals=True))
    if made is None:
        pytest.skip("it is not converted")
    if not direct.can_save(*made):
        assert path.name in OTHERS or path.name.startswith(("frozen_table", "saver_tables", "session_bundle"))
        return
    ours, theirs = _both(*made, tmp_path)
    assert ours == theirs


def test_what_has_more_than_variables_and_signatures_is_left_to_tensorflow():
    assert not direct.can_save(*_built(MODELS / "hub_module"))
    built, plan = _built(MODELS / "counter")
    assert direct.can_save(built, plan)
    twice = dataclasses.replace(plan, variables=plan.variables * 2)
    assert not direct.can_save(built, twice)


def test_a_release_whose_exporter_nobody_has_compared_is_left_to_tensorflow(monkeypatch):
    built, plan = _built(MODELS / "counter")
    monkeypatch.setattr(tf, "__version__", "2.99.0")
    assert not direct.can_save(built, plan)
