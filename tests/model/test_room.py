"""A model that is larger than memory or the disk is refused before the work starts."""

from __future__ import annotations

import dataclasses
import resource
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from migrate.errors import InputError
from migrate.graph.dtypes import dtype_value
from migrate.graph.large_constants import constant_bytes
from migrate.graph.protos import GraphDef, MetaGraphDef
from migrate.model import jobs, room
from migrate.model.messages import ConvertJob
from migrate.model.room import check_memory, memory_bytes, memory_needed
from migrate.records import Failed, Options

_MEGABYTES = 4
_ASKED = Options(signature="s:inputs=x=x:0;outputs=y=y:0")


def _graph() -> GraphDef:
    graph_def = GraphDef()
    x = graph_def.node.add(name="x", op="Placeholder")
    x.attr["dtype"].type = dtype_value("float32")
    constant = graph_def.node.add(name="c", op="Const")
    constant.attr["dtype"].type = constant.attr["value"].tensor.dtype = dtype_value("float32")
    constant.attr["value"].tensor.tensor_shape.dim.add(size=_MEGABYTES << 18)
    constant.attr["value"].tensor.tensor_content = bytes(_MEGABYTES << 20)
    y = graph_def.node.add(name="y", op="AddV2", input=["x", "c"])
    y.attr["T"].type = dtype_value("float32")
    return graph_def


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    file = tmp_path_factory.mktemp("room") / "frozen.pb"
    file.write_bytes(_graph().SerializeToString())
    return file


class _Nobody:
    """Runs no job."""

    def run(self, *arguments: object) -> object:
        raise AssertionError("a child was started")

    begin = run


def _said(line: str) -> None:
    assert line == "reading", line


def _convert(file, destination, options=_ASKED):
    return jobs.convert_model(ConvertJob(str(file), str(destination), options), _Nobody(), _said)


def test_a_graph_that_is_too_large_for_memory_is_refused_before_the_work(frozen, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "memory_bytes", lambda: (448 << 20) - 1)
    report = _convert(frozen, tmp_path / "new")
    assert isinstance(report.outcome, Failed)
    reason = report.outcome.reason
    assert "4,194,304 bytes, for which 469,762,048 bytes of memory are needed" in reason
    assert "there are 469,762,047" in reason
    assert "--variables=large" in reason and "--verify=proof" in reason
    assert not list(tmp_path.iterdir())


def test_a_graph_that_is_too_large_for_the_disk_is_refused_before_the_work(frozen, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    report = _convert(frozen, tmp_path / "new")
    assert isinstance(report.outcome, Failed)
    assert "takes 4,194,304 bytes" in report.outcome.reason and "1,048,576 free" in report.outcome.reason
    assert not list(tmp_path.iterdir())


_TWICE = Options(signature=("s:inputs=x=x:0;outputs=y=y:0", "t:inputs=x=x:0;outputs=z=y:0"))


def test_what_several_signatures_need_is_written_for_each(frozen, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=6 << 20))
    report = _convert(frozen, tmp_path / "new", _TWICE)
    assert isinstance(report.outcome, Failed)
    assert "takes 8,388,608 bytes" in report.outcome.reason
    with pytest.raises(AssertionError, match="taking golden answers"):  # A variable is written once.
        _convert(frozen, tmp_path / "new", dataclasses.replace(_TWICE, variables="large"))
    assert not list(tmp_path.iterdir())


def test_a_constant_that_no_signature_needs_takes_no_room(tmp_path, monkeypatch):
    graph = _graph()
    graph.node.add().CopyFrom(graph.node[1])
    graph.node[-1].name = "data"
    (tmp_path / "frozen.pb").write_bytes(graph.SerializeToString())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=6 << 20))
    with pytest.raises(AssertionError, match="taking golden answers"):
        _convert(tmp_path / "frozen.pb", tmp_path / "new")


def test_a_graph_that_no_loader_reads_is_refused_before_the_work(frozen, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_PROTO_BYTES", 6 << 20)
    report = _convert(frozen, tmp_path / "new", _TWICE)
    assert isinstance(report.outcome, Failed)
    assert "8,388,608 bytes in saved_model.pb, of which TensorFlow reads at most 6,291,456" in report.outcome.reason
    assert "--variables=large" in report.outcome.reason
    for fewer in (_ASKED, dataclasses.replace(_TWICE, variables="large")):
        with pytest.raises(AssertionError, match="taking golden answers"):
            _convert(frozen, tmp_path / "new", fewer)
    assert not list(tmp_path.iterdir())


def test_what_is_needed_depends_on_what_is_asked_for():
    held = 100 << 20
    for mapped, wanted in ((0, (4, 4, 12, 6)), (held, (4, 4, 4, 4)), (held // 2, (4, 4, 7, 4))):
        options = [Options(verify=v, variables=w) for v in ("none", "full") for w in (False, "large")]
        needed = [memory_needed(held, mapped, one) for one in options]
        assert needed == [(400 << 20) + copies * held for copies in wanted], mapped


def test_only_flags_that_suffice_are_proposed(monkeypatch):
    held, said = 100 << 20, []
    for mapped, megabytes in ((0, 900), (0, 1100), (held, 700)):
        monkeypatch.setattr(room, "memory_bytes", lambda there=megabytes << 20: there)
        with pytest.raises(InputError) as refused:
            check_memory(held, mapped, "m", Options())
        said.append([flag for flag in ("--variables=large", "--verify=proof") if flag in str(refused.value)])
    assert said == [["--verify=proof"], ["--variables=large", "--verify=proof"], []]


@pytest.mark.parametrize("there", [None, 448 << 20])
def test_a_graph_that_has_room_is_not_refused(there, monkeypatch):
    monkeypatch.setattr(room, "memory_bytes", lambda: there)
    check_memory(constant_bytes(MetaGraphDef(graph_def=_graph())), 0, "m", Options())


def test_weights_in_a_checkpoint_need_no_memory(monkeypatch):
    monkeypatch.setattr(room, "memory_bytes", lambda: 1)
    check_memory(constant_bytes(MetaGraphDef()), 0, "m", Options())


def test_the_memory_of_this_machine_is_known_or_unknown():
    there = memory_bytes()
    assert there is None or there > 1 << 20


def _refused(file, destination, *before: str, **settings: object) -> str:
    """What a conversion in a process of its own says, which fails and leaves nothing behind."""
    command = [*before, sys.executable, "-m", "migrate", "convert", str(file), str(destination)]
    command.append("--signature=serving_default:inputs=x=x:0;outputs=y=y:0")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **settings)
    assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
    return " ".join(done.stdout.split())


@pytest.mark.process
def test_a_limit_of_the_address_space_is_too_small_for_a_graph(frozen, tmp_path):
    most = (448 << 20) - 4096
    limits = (resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
    said = _refused(frozen, tmp_path / "new", preexec_fn=lambda: resource.setrlimit(*limits))
    assert "469,762,048 bytes of memory are needed, and there are 469,757,952" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.process
def test_a_file_system_is_too_small_for_a_graph(frozen, tmp_path):
    mount = 'mount -t tmpfs -o size=2m none "$0" && '
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*apart, mount + "true", str(tmp_path)], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this machine lets nobody mount")
    left = '"$@"; code=$?; echo "left: $(ls -A $0)."; exit $code'
    said = _refused(frozen, tmp_path / "new", *apart, mount + left, str(tmp_path))
    assert "takes 4,194,304 bytes, and" in said and "has 2,097,152 free" in said
    assert said.endswith("left: ."), said
