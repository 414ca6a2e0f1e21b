"""Of the real models: no loop and no cond stays v1 control flow."""

from __future__ import annotations

import os

import pytest

import migrate
from migrate.records import Convertible, Options

pytestmark = [pytest.mark.corpus, pytest.mark.process, pytest.mark.slow]

_CORPUS = os.environ.get("MIGRATE_CORPUS", "")


def test_each_loop_and_cond_is_functional():
    if not _CORPUS:
        pytest.skip("MIGRATE_CORPUS is not set")
    models = migrate.audit(_CORPUS, Options(take_proposals=True, control_flow="functional")).models
    convertible = [model for model in models if isinstance(model.outcome, Convertible)]
    with_flow = [model for model in convertible if any(facts.control_flow_nodes for facts in model.meta_graphs)]
    assert len(with_flow) > 15
    kept = {
        model.source: (finding.code, finding.nodes)
        for model in convertible
        for finding in model.findings
        if finding.code in ("control-flow-kept", "tensor-array-kept")
    }
    assert not kept
