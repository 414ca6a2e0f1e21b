"""Which Sessions on a source are other ones."""

from __future__ import annotations

import dataclasses

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

from migrate.graph.contract import signatures  # noqa: E402
from migrate.graph.protos import MetaGraphDef  # noqa: E402
from migrate.sources.saved_model import read_saved_model  # noqa: E402
from migrate.verify import golden_job  # noqa: E402
from migrate.verify.further import alter  # noqa: E402
from migrate.verify.loads import Loads  # noqa: E402
from migrate.verify.variables import reader  # noqa: E402
from tests.conversions import MODELS  # noqa: E402


def _job(name, change=lambda meta_graph: None):
    source = read_saved_model(str(MODELS / name))
    (meta_graph,) = source.meta_graphs
    job = golden_job(source, meta_graph, signatures(meta_graph), (), 10.0)
    changed = MetaGraphDef.FromString(job.meta_graph)
    change(changed)
    return dataclasses.replace(job, meta_graph=changed.SerializeToString())


def _altered(loads, names):
    """The Session before and after its variables were altered, and what they hold."""
    with loads.session() as first:
        before = reader(tf, first, names)()
        alter(tf, first, names)
        assert reader(tf, first, names)() != before
        loads.let_alter()
    with loads.session(other=True) as second:
        assert reader(tf, second, names)() == before
        return first, second


def test_variables_get_their_values_back_from_the_restore_op():
    with Loads(tf, _job("simple_save")) as loads:
        first, second = _altered(loads, ["w", "b"])
        assert second is first and loads.is_refilled
        with loads.session(other=True) as third:
            assert third is first


def test_what_calls_change_is_loaded_again():
    job = _job("counter")
    graph = MetaGraphDef.FromString(job.meta_graph).graph_def
    names = [node.name for node in graph.node if node.op in ("VariableV2", "VarHandleOp")]
    with Loads(tf, job) as loads:
        first, second = _altered(loads, names)
        assert second is not first and not loads.is_refilled


def test_a_restore_op_that_fails_is_not_how_the_model_is_loaded():
    def rename(meta_graph):
        meta_graph.saver_def.restore_op_name = "gone"

    with Loads(tf, _job("simple_save", rename)) as loads:
        first, second = _altered(loads, ["w", "b"])
        assert second is not first and not loads.is_refilled
