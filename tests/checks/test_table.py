"""The table of checks: no check is forgotten, and a report has the findings in its order."""

from __future__ import annotations

import importlib
import pkgutil

from migrate import checks
from migrate.checks.subject import Subject
from migrate.checks.table import CHECKS, run_checks
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.records import Kind, Options
from migrate.sources.source import Source


def _subject(*nodes: NodeDef, version: str = "") -> Subject:
    meta_graph = MetaGraphDef()
    meta_graph.meta_info_def.tensorflow_version = version
    meta_graph.graph_def.node.extend(nodes)
    source = Source("m", Kind.FROZEN_GRAPH, "m/graph.pb", (meta_graph,), None, "m/assets", "m/assets.extra")
    return Subject(source, meta_graph, tuple(meta_graph.graph_def.node), None, 0, (), False, Options())


def test_every_check_is_in_the_table_once():
    names = [module.name for module in pkgutil.iter_modules(checks.__path__)]
    modules = [importlib.import_module(f"{checks.__name__}.{name}") for name in names]
    found = [module.check for module in modules if hasattr(module, "check")]
    assert len(CHECKS) == len(set(CHECKS)) and set(CHECKS) == set(found)


def test_a_model_of_which_there_is_nothing_to_say():
    assert list(run_checks(_subject(NodeDef(name="a", op="NoOp")))) == []


def test_the_findings_are_in_the_order_of_the_table():
    lost = NodeDef(name="lost", op="Tanh")
    lost.attr["_gradient_op_type"].s = b"Mine"
    nodes = (lost, NodeDef(name="pin", op="NoOp", device="/gpu:1"), NodeDef(name="draw", op="RandomUniform"))
    found = run_checks(_subject(*nodes, NodeDef(name="read", op="ReadFile"), version="not one"))
    expected = ["version-unreadable", "touches-files", "random-op", "device-pin", "custom-gradient-lost"]
    assert [finding.code for finding in found] == expected
