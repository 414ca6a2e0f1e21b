"""A graph of very many nodes is audited from its bytes, and said to be what it is said to be otherwise."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
import textwrap

import pytest

from migrate.checks.proposals import propose
from migrate.errors import InputError
from migrate.graph.protos import FunctionDef, GraphDef, MetaGraphDef, SavedModel, copied
from migrate.model.study import audit_model, study
from migrate.records import Convertible, Options, Refused, Unreadable
from migrate.sources import parse, stored
from migrate.sources.budget import Excess
from migrate.sources.stored import read_stored
from migrate.sources.watch import Watch
from tests.conversions import MODELS, ROOT
from tests.sources.wire_bytes import length

pytestmark = pytest.mark.timeout(300)

MB = 1 << 20
FORMS = ROOT / "testdata" / "forms"


def _chain(count, name="scope/a/n{}"):
    """A placeholder and a chain of nodes, each of which takes the one before."""
    graph = GraphDef()
    graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    for number in range(count):
        before = name.format(number - 1) if number else "x"
        graph.node.add(name=name.format(number), op="Relu", input=[before]).attr["T"].type = 1
    return graph


def _saved_model(graph, output):
    proto = SavedModel(saved_model_schema_version=1)
    meta_graph = proto.meta_graphs.add(graph_def=graph)
    meta_graph.meta_info_def.tags.append("serve")
    signature = meta_graph.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    signature.inputs["x"].name, signature.inputs["x"].dtype = "x:0", 1
    signature.outputs["y"].name, signature.outputs["y"].dtype = output, 1
    return proto


def _read(graph):
    return read_stored("FILE", graph.SerializeToString(), Watch(), "too large")


@pytest.fixture
def always(monkeypatch):
    """Has every graph stored that can be; gives those that were."""
    found = []

    def note(*arguments):
        found.append(read_stored(*arguments))
        return found[-1]

    monkeypatch.setattr(parse, "over_budget", lambda *_: Excess("a lot", 1, False))
    monkeypatch.setattr(stored, "read_stored", note)
    return found


def _told(path, options):
    report = audit_model(str(path), options)
    return dataclasses.replace(report, seconds={})


@pytest.mark.slow
@pytest.mark.parametrize("options", [Options(), Options(take_proposals=True)], ids=["", "proposals"])
def test_every_model_is_said_to_be_the_same(options, monkeypatch, request):
    paths = sorted(path for folder in (MODELS, FORMS) for path in folder.iterdir())
    expected = {path: _told(path, options) for path in paths}
    found = request.getfixturevalue("always")
    told = {path: _told(path, options) for path in paths}
    assert sum(one is not None for one in found) > 40
    copies = [path.name for path in paths if told[path] != expected[path]]
    # What changes a graph before it is planned needs it as a whole, and says so.
    assert copies == (["unfed_training"] if options.take_proposals else [])
    for path in paths:
        if path.name in copies:
            assert "allow more with --graph_memory" in told[path].outcome.reason


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("form", ["saved_model.pb", "graph.pb"])
def test_very_many_nodes_take_little_memory(form, tmp_path):
    count = 200_000
    proto = _chain(count)
    if form == "saved_model.pb":
        proto = _saved_model(proto, f"scope/a/n{count - 1}:0")
    data = proto.SerializeToString()
    (tmp_path / form).write_bytes(data)
    program = textwrap.dedent(
        f"""
        from migrate.model.study import audit_model
        from migrate.records import Options
        report = audit_model({str(tmp_path)!r}, Options(graph_memory_bytes=200 << 20))
        print(type(report.outcome).__name__, [f.code for f in report.findings], report.meta_graphs[0].nodes)
        print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) >> 10)
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    said, peak = found.stdout.splitlines()
    expected = "Refused ['no-signature']" if form == "graph.pb" else "Convertible []"
    assert said == f"{expected} {count + 1}"
    assert int(peak) <= 200 + 4 * len(data) / MB  # Parsed, it takes more.


@pytest.mark.slow
def test_the_value_that_the_message_names_suffices(tmp_path):
    (tmp_path / "graph.pb").write_bytes(_chain(200_000).SerializeToString())
    reason = audit_model(str(tmp_path), Options(graph_memory_bytes=100 * MB)).outcome.reason
    assert "about" in reason and "for 200,001 nodes in memory" in reason
    enough = int(reason.partition("--graph_memory=MEGABYTES (")[2].partition(" suffices)")[0])
    assert enough > 100
    assert isinstance(audit_model(str(tmp_path), Options(graph_memory_bytes=enough * MB)).outcome, Refused)


@pytest.mark.slow
def test_converting_has_the_graph_as_a_whole(tmp_path):
    proto = _saved_model(_chain(200_000), "scope/a/n199999:0")
    (tmp_path / "saved_model.pb").write_bytes(proto.SerializeToString())
    options = Options(graph_memory_bytes=200 * MB)
    assert isinstance(audit_model(str(tmp_path), options).outcome, Convertible)
    with study(str(tmp_path), options, is_whole=True) as studied:
        assert isinstance(studied.report.outcome, Convertible)
        assert isinstance(studied.graph.meta_graph, MetaGraphDef)
        assert len(studied.graph.meta_graph.graph_def.node) == 200_001
    changed = Options(graph_memory_bytes=200 * MB, keep_tensor_names=True)
    assert isinstance(audit_model(str(tmp_path), changed).outcome, Unreadable)


# What can be stored.


def test_what_cannot_be_told_apart_or_has_functions_is_parsed():
    assert _read(_chain(3)) is not None
    twice = _chain(3)
    twice.node.append(twice.node[2])
    unnamed = _chain(3)
    unnamed.node.add(op="NoOp")
    without_op = _chain(3)
    without_op.node.add(name="a")
    functions = _chain(3)
    functions.library.function.append(FunctionDef())
    for graph in (GraphDef(), twice, unnamed, without_op, functions):
        assert _read(graph) is None
    whole = _saved_model(_chain(3), "x:0")
    assert _read(whole) is not None
    two = SavedModel(saved_model_schema_version=1, meta_graphs=[*whole.meta_graphs, *whole.meta_graphs])
    objects = SavedModel.FromString(whole.SerializeToString())
    objects.meta_graphs[0].object_graph_def.nodes.add()
    for proto in (two, objects, whole.meta_graphs[0], SavedModel(saved_model_schema_version=1)):
        assert _read(proto) is None


def test_a_node_that_swells_when_it_is_parsed_is_none():
    attrs = b"\x2a\x00" * MB
    node = b"\x0a\x01n\x12\x02Op" + attrs
    data = _chain(3).SerializeToString() + b"\x0a" + length(len(node)) + node
    assert read_stored("FILE", data, Watch(), "too large") is None


@pytest.mark.parametrize("form", ["graph", "saved model"])
def test_damage_is_no_graph(form):
    proto = _chain(20) if form == "graph" else _saved_model(_chain(20), "x:0")
    data = proto.SerializeToString()
    chance = random.Random(0)
    for _ in range(500):
        broken = bytearray(data[: chance.randrange(1, len(data) + 1)])
        for _ in range(chance.randrange(3)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        found = read_stored("FILE", bytes(broken), Watch(), "too large")
        whole = type(proto)()
        if found is not None:
            whole.ParseFromString(bytes(broken))  # TensorFlow's own reader takes it as well.
            graph = whole if form == "graph" else whole.meta_graphs[0].graph_def
            assert list(found[0].graph_def.node) == list(graph.node)


def test_a_copy_is_refused_with_the_flag():
    meta_graph, _ = _read(_chain(3))
    with pytest.raises(InputError, match="too large"):
        copied(meta_graph)
    with pytest.raises(InputError, match="too large"):
        meta_graph.SerializeToString()
    whole = MetaGraphDef(graph_def=_chain(3))
    assert copied(whole) == whole and copied(whole) is not whole


# What is asked of a run.


@pytest.mark.parametrize("kind", ["cycle", "dangling", "two signatures", "an inner tensor is fed"])
def test_graphs_that_no_bundled_model_has(kind, tmp_path, request):
    graph = _chain(10)
    if kind == "cycle":
        graph.node[2].input.append("^scope/a/n8")
    elif kind == "dangling":
        graph.node[2].input.append("nowhere")
    proto = _saved_model(graph, "scope/a/n9:0")
    signatures = proto.meta_graphs[0].signature_def
    if kind == "two signatures":
        signatures["other"].CopyFrom(signatures["serving_default"])
        signatures["other"].outputs["y"].name = "scope/a/n4:0"
    elif kind == "an inner tensor is fed":
        signatures["serving_default"].inputs["x"].name = "scope/a/n4:0"
    (tmp_path / "saved_model.pb").write_bytes(proto.SerializeToString())
    expected = _told(tmp_path, Options())
    found = request.getfixturevalue("always")
    assert _told(tmp_path, Options()) == expected
    assert len(found) == 1 and found[0] is not None
    assert isinstance(expected.outcome, Refused if kind in ("cycle", "dangling") else Convertible)


@pytest.mark.slow
def test_where_memory_is_short_no_signature_is_looked_for():
    """310 bytes a node are counted for that, and 130 for all else."""
    data = _chain(1_000_000, "n{}").SerializeToString()
    watch = Watch(250 * MB)
    watch.has_read(len(data))
    found = read_stored("FILE", data, watch, "too large")
    assert found is not None
    meta_graph, _ = found
    assert propose(meta_graph) == ()
    generous = Watch(800 * MB)
    generous.has_read(len(data))
    assert read_stored("FILE", data, generous, "too large")[0].may_propose
    short = Watch(1 * MB)
    short.has_read(len(data))
    with pytest.raises(InputError, match="--graph_memory"):
        read_stored("FILE", data, short, "too large")
