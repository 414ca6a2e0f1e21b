"""An audit that takes more time or memory than it may is ended, wherever it is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile

import pytest

from migrate.errors import InputError
from migrate.graph.protos import SavedModel
from migrate.model import study
from migrate.model.study import audit_model
from migrate.records import Convertible, Options, Unreadable
from migrate.sources.parse import parse_file
from migrate.sources.watch import BYTES_A_SECOND, NODES_A_SECOND, OWN_BYTES, OverBoundsError, Watch
from tests.conversions import ROOT
from tests.sources.wire_bytes import length

pytestmark = pytest.mark.timeout(120)

MB = 1 << 20


class Now:
    """A clock or a measure of memory that says what a test says."""

    def __init__(self, value=0):
        self.value = value

    def __call__(self):
        return self.value


def _watch(**bounds):
    clock, memory = Now(100.0), Now(70 * MB)
    return Watch(**bounds, clock=clock, memory=memory), clock, memory


def _model(nodes=1):
    model = SavedModel(saved_model_schema_version=1)
    meta_graph = model.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    previous = "x"
    placeholder = meta_graph.graph_def.node.add(name="x", op="Placeholder")
    placeholder.attr["dtype"].type = 1
    placeholder.attr["shape"].shape.unknown_rank = True
    for number in range(nodes):
        node = meta_graph.graph_def.node.add(name=f"n{number}", op="Relu", input=[previous])
        node.attr["T"].type = 1
        previous = node.name
    definition = meta_graph.signature_def["serving_default"]
    definition.method_name = "predict"
    definition.inputs["x"].name, definition.inputs["x"].dtype = "x:0", 1
    definition.outputs["y"].name, definition.outputs["y"].dtype = f"{previous}:0", 1
    return model


def _write(model, folder):
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return str(folder)


def test_time_is_thirty_seconds_and_what_nodes_and_bytes_are_worth():
    watch, clock, _ = _watch()
    clock.value += 30
    watch.check()
    watch.has_nodes(50_000)
    clock.value += 10
    watch.check()
    watch.has_read(100 * MB)
    clock.value += 5
    watch.check()
    clock.value += 0.1
    with pytest.raises(OverBoundsError):
        watch.check()
    assert watch.excess == (
        "takes more than 45 s of processor time, where 30 s, 1 s for each 5,000 of its 50,000 nodes and 1 s for each "
        "20 MB are the most; allow more with --audit_seconds=SECONDS (60, or more)"
    )


def test_memory_is_what_was_taken_since_it_began():
    watch, _, memory = _watch()
    memory.value += 400 * MB
    watch.check()
    watch.has_read(100 * MB)
    memory.value = 70 * MB + 800 * MB
    watch.check()
    memory.value = 70 * MB + 900 * MB - OWN_BYTES + 1
    with pytest.raises(OverBoundsError):
        watch.check()
    assert watch.excess == (
        "takes more than 900 MB in memory, where 500 MB and 4 times its 104,857,600 bytes are the most; allow more "
        "with --graph_memory=MEGABYTES (2000, or more)"
    )


def test_flags_raise_both():
    watch, clock, memory = _watch(memory_bytes=5000 * MB, seconds=300.0)
    clock.value += 299
    memory.value += 4000 * MB
    watch.check()


def test_what_was_found_once_is_found_again():
    """An exception that something swallowed, such as a finaliser, is raised once more."""
    watch, clock, _ = _watch()
    clock.value += 31
    for _ in range(2):
        with pytest.raises(OverBoundsError):
            watch.check()
        clock.value = 100.0


def _compute(swallow):
    """Computes until it is ended."""
    while True:
        with contextlib.suppress(swallow):
            sum(range(1000))


@pytest.mark.parametrize("swallow", [Exception, ValueError])
def test_a_walk_without_end_is_ended(swallow):
    watch, clock, _ = _watch()
    clock.value += 31
    reason = r"^m: takes more than 30 s of processor time.*--audit_seconds=SECONDS \(60, or more\)$"
    with pytest.raises(InputError, match=reason), watch.running("m"):
        _compute(swallow)
    assert signal.getsignal(signal.SIGPROF) == signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_what_it_was_raised_in_may_make_another_error_of_it():
    watch, clock, _ = _watch()
    clock.value += 31

    def walk():
        try:
            _compute(ValueError)
        finally:
            raise RuntimeError("while it was being ended")

    with pytest.raises(InputError, match="takes more than 30 s"), watch.running("m"):
        walk()


def test_an_error_of_the_model_stays_what_it_is():
    watch, _, _ = _watch()
    with pytest.raises(ValueError, match="own"), watch.running("m"):
        raise ValueError("own")


def test_what_runs_within_its_bounds_is_not_touched():
    looked = []
    watch = Watch(clock=lambda: float(bool(looked.append(1))), memory=lambda: 70 * MB)
    with watch.running("m"):
        while len(looked) < 6:  # Once when it begins, and at each tick.
            sum(range(1000))
    assert signal.getsignal(signal.SIGPROF) == signal.SIG_DFL


def test_a_handler_of_somebody_else_stays():
    """So does the timer of a profiler: this one is not interrupted, and looks where it is asked to."""
    told = []
    before = signal.signal(signal.SIGPROF, lambda *_: told.append(1))
    try:
        watch, clock, _ = _watch()
        clock.value += 31
        with watch.running("m"):
            signal.raise_signal(signal.SIGPROF)
        assert told == [1]
        with pytest.raises(InputError, match="takes more than 30 s"), watch.running("m"):
            watch.check()
    finally:
        signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("disposition", [signal.SIG_IGN, signal.SIG_DFL])
def test_an_inherited_disposition_is_put_back(disposition):
    before = signal.signal(signal.SIGPROF, disposition)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF])
    try:
        watch, clock, _ = _watch()
        clock.value += 31
        with pytest.raises(InputError, match="takes more than 30 s"), watch.running("m"):
            _compute(ValueError)
        assert signal.getsignal(signal.SIGPROF) == disposition
        assert signal.SIGPROF in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGPROF, before)


def _no_time(options, is_whole=False):
    """What `study.watch_over` gives, with less time than none."""
    return Watch(options.graph_memory_bytes, -1.0)


def test_another_thread_takes_no_signal_over(tmp_path, monkeypatch):
    """It looks between the steps."""
    path = _write(_model(), tmp_path)
    seen = []

    def audit():
        seen.append(audit_model(path, Options()).outcome)
        monkeypatch.setattr(study, "watch_over", _no_time)
        seen.append(audit_model(path, Options()).outcome)
        seen.append(signal.getsignal(signal.SIGPROF))

    thread = threading.Thread(target=audit)
    thread.start()
    thread.join()
    good, ended, handler = seen
    assert isinstance(good, Convertible)
    assert isinstance(ended, Unreadable) and "--audit_seconds" in ended.reason
    assert handler == signal.SIG_DFL


def test_an_audit_says_what_it_took(tmp_path, monkeypatch):
    path = _write(_model(), tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(study, "watch_over", _no_time)
        ended = audit_model(path, Options()).outcome
    assert isinstance(ended, Unreadable)
    assert ended.reason.startswith(f"{path}: takes more than")
    assert isinstance(audit_model(path, Options()).outcome, Convertible)


def _peak(path, *flags, form="json"):
    """Exit code, output and peak memory, in megabytes, of the program."""
    program = textwrap.dedent(
        f"""
        import os, sys
        from migrate.cli import main
        code = main(["migrate", "audit", {str(path)!r}, "--format={form}", *{list(flags)!r}])
        own = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
        sys.stderr.write(f"{{code}} {{own >> 10}}")
        sys.stdout.flush()
        os._exit(0)
        """
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    code, peak = found.stderr.split()[-2:]
    return int(code), found.stdout, int(peak)


def _with_field(model, content):
    body = model.meta_graphs[0].SerializeToString() + content
    return b"\x08\x01\x12" + length(len(body)) + body


def _named(number, count):
    """So many entries of a map, each with a name and nothing else."""
    return b"".join(bytes([number << 3 | 2, 10, 10, 8]) + b"%08x" % i for i in range(count))


@pytest.mark.sampled(2)
@pytest.mark.slow
@pytest.mark.parametrize("shape", ["assets", "signatures", "signatures of tensors", "outputs", "outputs as text"])
def test_what_swells_in_the_report_or_on_the_way_there(shape, tmp_path):
    model = _model()
    file = "saved_model.pb"
    if shape == "assets":
        data = _with_field(model, b"\x32\x00" * 3_000_000)
    elif shape == "signatures":
        data = _with_field(model, _named(5, 500_000))
    else:
        definitions = model.meta_graphs[0].signature_def
        one = definitions["serving_default"]
        if shape == "signatures of tensors":
            for number in range(60_000):
                definitions[f"s{number}"].CopyFrom(one)
        else:
            for number in range(200_000 if shape == "outputs" else 20_000):
                one.outputs[f"y{number}"].CopyFrom(one.outputs["y"])
        data = model.SerializeToString()
        if shape == "outputs as text":
            from google.protobuf import text_format

            file, data = "saved_model.pbtxt", text_format.MessageToString(model).encode()
    (tmp_path / file).write_bytes(data)
    flags = ["--graph_memory=120"] if shape == "outputs as text" else []
    code, said, peak = _peak(tmp_path, *flags)
    assert code == 1
    assert "allow more with --graph_memory=MEGABYTES" in said
    assert peak <= (120 if flags else 500) + 4 * (len(data) >> 20)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a:\n", "line 3: not a GraphDef as text"),
        ("node{}\n", "allow more with --graph_memory=MEGABYTES"),
        ("node{}", "allow more with --graph_memory=MEGABYTES"),
        ("\U0001f600\n", "line 2: not a GraphDef as text"),
    ],
)
def test_a_text_swells(line, says, tmp_path):
    """Its lines may take twenty times their bytes, and its letters four times."""
    data = ("node { name: 'x' op: 'NoOp' }\n" + line * (12_000_000 // len(line.encode()))).encode()
    (tmp_path / "graph.pbtxt").write_bytes(data)
    code, said, peak = _peak(tmp_path, "--graph_memory=120", "--audit_seconds=1000")
    assert code == 1
    assert says in said
    assert peak <= 120 + 4 * (len(data) >> 20)


@pytest.mark.parametrize("line", ["# node { node { node {\n", 'producer: "node {"\n', "node {}\n"])
def test_a_text_gains_no_time_by_saying_node(line, tmp_path):
    """A node has a name and an op; what is in comments and strings is none."""
    data = ("node { name: 'x' op: 'NoOp' }\n" + line * 10_000 + "nothing that parses").encode()
    (tmp_path / "graph.pbtxt").write_bytes(data)
    watch, _, _ = _watch()
    with pytest.raises(InputError):
        parse_file(str(tmp_path / "graph.pbtxt"), "GraphDef", watch=watch)
    bytes_worth = len(data) / BYTES_A_SECOND
    assert watch.seconds_allowed - 30 - bytes_worth <= len(data) / 25 / NODES_A_SECOND


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize("part", ["[],", "{},", '{"a":0},'])
@pytest.mark.parametrize(("megabytes", "says"), [(15, "cannot be read as HDF5"), (17, "which no config has")])
def test_a_keras_config_swells(part, megabytes, says, tmp_path):
    """What a config is in memory is known to be some 25 times its text, so its text is limited."""
    filler = part * ((megabytes << 20) // len(part))
    config = f'{{"class_name": "Functional", "config": {{"layers": [], "x": [{filler}0]}}}}'
    with zipfile.ZipFile(tmp_path / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.0.0"}')
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", b"")
    code, said, peak = _peak(tmp_path / "model.keras")
    assert code == 1
    assert says in said
    assert peak <= 500 + 4 * megabytes


@pytest.mark.slow
def test_what_is_just_within_is_reported(tmp_path):
    model = _model()
    one = model.meta_graphs[0].signature_def["serving_default"]
    for number in range(40_000):
        one.outputs[f"y{number}"].CopyFrom(one.outputs["y"])
    _write(model, tmp_path)
    code, said, peak = _peak(tmp_path)
    assert code == 0
    assert '"y39999"' in said
    assert peak <= 500
