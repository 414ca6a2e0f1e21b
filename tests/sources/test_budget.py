"""A graph that takes more memory than it may is refused before it is in memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import textwrap

import pytest

from migrate.errors import InputError
from migrate.graph.protos import BundleEntryProto, BundleHeaderProto, GraphDef, MetaGraphDef, SavedModel
from migrate.model.study import audit_model
from migrate.records import Options, Unreadable
from migrate.sources.budget import small_bytes
from migrate.sources.bundle import Entry, Slice, index_file, read_bundle, write_index
from migrate.sources.parse import parse_file
from migrate.sources.watch import MEMORY_BYTES, SECONDS, Watch
from tests.conversions import MODELS, ROOT
from tests.sources.wire_bytes import length

pytestmark = pytest.mark.timeout(120)

MB = 1 << 20


def _why(path, options=None):
    outcome = audit_model(str(path), options or Options()).outcome
    assert isinstance(outcome, Unreadable), outcome
    return outcome.reason


def _start():
    graph = GraphDef()
    graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    return graph.SerializeToString()


def _field(number, content):
    return bytes([number << 3 | 2]) + length(len(content)) + content


# Two bytes each, and a hundred in memory.
EMPTY_NODES = b"\x0a\x00" * (4 * MB)
EMPTY_ATTRS = _field(1, _field(1, b"n") + _field(2, b"Op") + b"\x2a\x00" * (16 * MB))
EMPTY_SHAPES = _field(1, _field(1, b"n") + _field(2, b"Op") + _field(5, _field(2, _field(1, b"\x3a\x00" * (16 * MB)))))
EMPTY_FUNCTIONS = _field(2, b"\x0a\x00" * (4 * MB))


@pytest.mark.slow
@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("form", "name"),
    [("graph.pb", n) for n in ("nodes", "attrs", "shapes", "functions", "nodes cut off")]
    + [("saved_model.pb", "attrs"), ("saved_model.pb", "nodes"), ("model.meta", "nodes")],
)
def test_messages_without_content(form, name, tmp_path):
    content = {
        "nodes": EMPTY_NODES,
        "attrs": EMPTY_ATTRS,
        "shapes": EMPTY_SHAPES,
        "functions": EMPTY_FUNCTIONS,
        "nodes cut off": EMPTY_NODES + b"\x0a\xff",
    }[name]
    graph = _start() + content
    if form == "saved_model.pb":
        graph = b"\x08\x01" + _field(2, _field(2, graph))
    elif form == "model.meta":
        graph = _field(1, b"") + _field(2, graph)
    (tmp_path / form).write_bytes(graph)
    program = textwrap.dedent(
        f"""
        import resource
        from migrate.model.study import audit_model
        from migrate.records import Options
        print(audit_model({str(tmp_path)!r}, Options()).outcome.reason)
        # Not getrusage, which counts what the process that started this one held before.
        own = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
        print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) >> 10)
        """
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    *reason, peak = found.stdout.splitlines()
    assert "allow more with --graph_memory=MEGABYTES" in reason[0]
    assert int(peak) <= 500 + 4 * (len(graph) >> 20)


@pytest.mark.slow
def test_the_flag_that_raises_it(tmp_path):
    (tmp_path / "graph.pb").write_bytes(_start() + EMPTY_NODES)
    # In a process of its own: one that has memory to spare from before takes less for it.
    program = textwrap.dedent(
        f"""
        from migrate.model.study import audit_model
        from migrate.records import Options
        print(audit_model({str(tmp_path)!r}, Options()).outcome.reason)
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert "--graph_memory" in found.stdout
    assert "that cannot be parsed as one" in _why(tmp_path, Options(graph_memory_bytes=4000 * MB))


def test_many_ordinary_nodes(tmp_path):
    graph = GraphDef.FromString(_start())
    for number in range(30_000):
        node = graph.node.add(name=f"scope/of/a/layer_{number}/Relu", op="Relu", input=["x"])
        node.attr["T"].type = 1
        node.attr["_output_shapes"].list.shape.add().dim.add(size=-1)
    data = graph.SerializeToString()
    (tmp_path / "graph.pb").write_bytes(data)
    assert len(parse_file(str(tmp_path / "graph.pb"), "GraphDef").node) == 30_001
    with pytest.raises(InputError, match=r"30,001 nodes|more than"):
        parse_file(str(tmp_path / "graph.pb"), "GraphDef", None, Watch(40 * MB))


@pytest.mark.slow
def test_constants_are_as_large_in_memory_as_on_the_disk(tmp_path):
    """They are not tried, whatever their bytes look like."""
    graph = GraphDef.FromString(_start())
    for content in (os.urandom(20 * MB), bytes(20 * MB), b"\x01" * (20 * MB), b"words " * (3 * MB)):
        node = graph.node.add(name=f"c{len(graph.node)}", op="Const")
        node.attr["dtype"].type = 4
        tensor = node.attr["value"].tensor
        tensor.dtype, tensor.tensor_content = 4, content
        tensor.tensor_shape.dim.add(size=len(content))
    data = graph.SerializeToString()
    assert small_bytes(data, 1 << 40) < MB
    (tmp_path / "graph.pb").write_bytes(data)
    assert len(parse_file(str(tmp_path / "graph.pb"), "GraphDef", None, Watch(300 * MB)).node) == 5


def test_what_counts_as_small():
    assert small_bytes(b"", 10) == 0
    assert small_bytes(_start(), 1000) == len(_start())
    assert small_bytes(EMPTY_NODES, 1000) == 1000
    large = _field(1, bytes(1 << 17))
    assert small_bytes(large, 1000) < 20
    assert small_bytes(_field(2, _field(2, EMPTY_NODES[: 1 << 18])), 1 << 30) == (1 << 18) + 8
    assert small_bytes(b"\x0a\xff\xff\xff\x7f" + b"\x0a\x00" * 10, 1000) >= 20  # Cut off: what is there counts.


@pytest.mark.parametrize("proto", [SavedModel, MetaGraphDef, GraphDef])
def test_memory_that_is_not_there_is_no_damage(proto, tmp_path, monkeypatch):
    data = (MODELS / "counter" / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(data)

    def fail(message, _):
        raise MemoryError

    monkeypatch.setattr("migrate.sources.parse._parses", fail)
    assert "takes more memory than this process may use" in _why(tmp_path)


# Checkpoints.


def _entries(count):
    return [Entry(f"{n:07}", "float32", (), 0, 0, 4, 0) for n in range(count)]


def test_an_index_of_more_tensors_than_any(tmp_path, monkeypatch):
    monkeypatch.setattr("migrate.sources.bundle._MOST_ENTRIES", 1000)
    write_index(str(tmp_path / "a"), _entries(900), 1)
    assert len(read_bundle(str(tmp_path / "a")).entries) == 900
    write_index(str(tmp_path / "b"), _entries(1500), 1)
    with pytest.raises(InputError, match=r"b\.index: more than 1,\d\d\d tensors and slices"):
        read_bundle(str(tmp_path / "b"))


def test_an_entry_of_more_slices_than_any(tmp_path):
    from migrate.sources.leveldb import write_table

    header = BundleHeaderProto(num_shards=1)
    entry = BundleEntryProto(dtype=1).SerializeToString() + b"\x3a\x00" * MB
    table = write_table([(b"", header.SerializeToString()), (b"v", entry)])
    (tmp_path / "a.index").write_bytes(table)
    assert os.path.exists(index_file(str(tmp_path / "a")))
    with pytest.raises(InputError, match=r"the entry of tensor 'v' has 2,097,154 bytes"):
        read_bundle(str(tmp_path / "a"))


def test_slices_count_like_tensors(tmp_path, monkeypatch):
    monkeypatch.setattr("migrate.sources.bundle._MOST_ENTRIES", 100)
    from migrate.sources.leveldb import write_table

    header = BundleHeaderProto(num_shards=1)
    entry = BundleEntryProto(dtype=1)
    entry.shape.dim.add(size=400)
    for number in range(400):
        entry.slices.add().extent.add(start=number, length=1)
    (tmp_path / "a.index").write_bytes(
        write_table([(b"", header.SerializeToString()), (b"v", entry.SerializeToString())])
    )
    assert Slice((0,), (1,)).resolved((400,)) == Slice((0,), (1,))
    with pytest.raises(InputError, match="tensors and slices"):
        read_bundle(str(tmp_path / "a"))


def test_the_limit_is_the_one_that_is_written_down():
    assert Options().graph_memory_bytes == MEMORY_BYTES == 500 * MB
    assert Options().audit_seconds == SECONDS == 30.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
