"""A plan in a child process is the plan of its parent."""

from __future__ import annotations

import pathlib
import pickle
import subprocess
import sys

import pytest

from migrate.graph.graph import Graph
from migrate.model.study import study
from migrate.plan.pickling import packed
from migrate.plan.records import Plan
from migrate.records import Options
from tests.conversions import MODELS
from tests.waiting import PATIENCE_SECONDS

_FORMS = MODELS.parent / "forms"
_ALL = sorted(path for folder in (MODELS, _FORMS) for path in folder.iterdir())
_OPTIONS = {
    "": Options(),
    "all": Options(drop_signatures=True, variables=True, keep_tensor_names=True, take_proposals=True),
}


def _told(value):
    """A plan, or what is in one, as values that can be compared: graphs as their nodes and wires, in order."""
    if isinstance(value, Graph):
        return [list(value.nodes.items()), list(value.wires.items())]
    if isinstance(value, (tuple, list)):
        return [_told(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        names = value.__dataclass_fields__.keys() - ({"nodes"} if isinstance(value, Plan) else ())
        return {name: _told(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items()}
    return value


def _plan(path: pathlib.Path, options: Options) -> Plan | None:
    with study(str(path), options, is_whole=True) as studied:
        return None if studied.graph is None else studied.graph.plan


@pytest.mark.parametrize("options", _OPTIONS.values(), ids=_OPTIONS)
def test_every_plan_is_the_same_on_the_other_side(options):
    plans = [plan for path in _ALL if (plan := _plan(path, options)) is not None]
    assert len(plans) > 50
    for plan in plans:
        assert _told(pickle.loads(pickle.dumps(plan))) == _told(plan)


def test_runs_share_what_they_shared():
    plan = _plan(MODELS / "hub_module", Options())
    other = pickle.loads(pickle.dumps(plan))

    def shared(plan):
        graphs = [graph for run in plan.runs for graph in (run.graph, run.run.graph)]
        nodes = [node for graph in graphs for node in graph.nodes.values()]
        return [graphs.index(graph) for graph in graphs], len({id(node) for node in nodes}), len(nodes)

    assert shared(other) == shared(plan)
    _, each_once, _ = shared(plan)
    assert len(packed({**vars(plan), "nodes": None})[1]["NodeDef"]) < each_once + len(plan.restore.run.graph.nodes) + 1


def test_tensorflow_is_not_imported_for_it():
    code = (
        "import pickle, sys\n"
        "from migrate.model.study import study\n"
        "from migrate.records import Options\n"
        f"with study({str(MODELS / 'hub_module')!r}, Options()) as studied:\n"
        "    pickle.loads(pickle.dumps(studied.graph.plan))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=PATIENCE_SECONDS, check=True)
