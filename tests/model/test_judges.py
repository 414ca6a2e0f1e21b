"""judges.py: who answers for a source, by what there is and what was asked for."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.errors import InputError
from migrate.model import judges as module
from migrate.model.judges import BOTH, Judges, chosen, install_hint, unasked, without_a_graph
from migrate.records import Confined, Failed, Judgement, Options
from migrate.tf1_runtime.place import Runtime
from tests.model.recorded import GOLDEN

_RUNTIME = Runtime("/cache", "1.15.5", 1, 1, 1)
_CONFINED = Confined(7, True)
_HALF = Confined(0, True, "the kernel has no Landlock")


def _chosen(judge, is_listed=True, side_effects=False, confined=_CONFINED, unsupported=None, installed=_RUNTIME):
    def find():
        if isinstance(installed, Exception):
            raise installed
        return installed

    return chosen(judge, is_listed, side_effects, confined, unsupported, find)


def test_auto_is_both_where_all_holds():
    assert _chosen("auto") == Judges(BOTH, _RUNTIME, False, True)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"installed": None}, ""),
        ({"unsupported": "it is for Linux"}, ""),
        ({"is_listed": False}, "run only where they are allowed"),
        ({"confined": _HALF}, "the kernel has no Landlock"),
        ({"confined": Confined(7, False, "no seccomp")}, "no seccomp"),
        ({"side_effects": True}, "--allow_side_effects lifts confinement"),
        ({"installed": InputError("others may write there")}, "others may write there"),
    ],
)
def test_else_auto_is_tf2_and_says_why_where_tf1_is_installed(facts, reason):
    found = _chosen("auto", **facts)
    assert (found.names, found.runtime) == (("tf2",), None)
    assert reason in found.reason and bool(reason) == bool(found.reason)


@pytest.mark.parametrize(("judge", "names"), [("tf1", ("tf1",)), ("both", BOTH)])
@pytest.mark.parametrize(
    ("facts", "is_confined"),
    [({}, True), ({"is_listed": False}, True), ({"confined": _HALF}, False), ({"side_effects": True}, False)],
)
def test_what_is_asked_for_is_done_and_said(judge, names, facts, is_confined):
    assert _chosen(judge, **facts) == Judges(names, _RUNTIME, True, is_confined)


@pytest.mark.parametrize("judge", ["tf1", "both"])
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"installed": None}, "TensorFlow 1.15.5 is not installed; migrate runtime install"),
        ({"unsupported": "it is for Linux"}, "it is for Linux"),
        ({"installed": InputError("others may write there")}, "others may write there"),
    ],
)
def test_what_is_asked_for_and_cannot_be_done_fails(judge, facts, reason):
    assert _chosen(judge, **facts) == Failed(f"--judge={judge}: {reason}")


def test_tf2_asks_for_nothing():
    assert _chosen("tf2", installed=RuntimeError()) == Judges()


def test_what_is_no_tf1_graph():
    """It is judged as before, and the report says so where another judge was asked for."""
    for judge in ("auto", "tf2"):
        assert without_a_graph(GOLDEN, Options(judge=judge), "a Keras file") is GOLDEN
    for judge in ("tf1", "both"):
        found = without_a_graph(GOLDEN, Options(judge=judge), "a Keras file")
        assert found.tf1.judges == ("tf2",) and found.tf1.reason == "a Keras file is no graph of TensorFlow 1"
        assert found.answers == GOLDEN.answers
        assert without_a_graph(Failed("no"), Options(judge=judge), "a Keras file") == Failed("no")


_OPS = ("Dead",)
_NO_KERNEL = ("no synthesised call is accepted: InvalidArgumentError: No OpKernel was registered to support Op 'Dead'",)


@pytest.fixture
def machine(monkeypatch):
    """Sets what `judges` finds on this machine, and why it has no runtime."""

    def is_such(found, unsupported=None):
        monkeypatch.setattr(module, "judges", lambda options, is_listed: found)
        monkeypatch.setattr(module, "reason_against", lambda: unsupported)

    return is_such


@pytest.mark.parametrize("found", [Judges(BOTH, _RUNTIME), Failed("--judge=tf1: it is not installed")])
def test_somebody_can_be_asked_or_must_answer(found, machine):
    machine(found)
    assert unasked(Options(), _OPS, True) is None


@pytest.mark.parametrize(
    ("judge", "found", "unsupported", "told", "hint"),
    [
        ("auto", Judges(), None, "TensorFlow 1.15.5 is not installed", "`migrate runtime install`"),
        ("auto", Judges(), "it is for Linux", "it is for Linux", "--golden"),
        ("auto", Judges(reason="not confined"), None, "is not asked: not confined", "--judge=tf1"),
        ("tf2", Judges(), None, "nobody else is asked", "--judge=auto"),
    ],
)
def test_nobody_can_be_asked_for_what_tensorflow_2_does_not_have(judge, found, unsupported, told, hint, machine):
    machine(found, unsupported)
    finding = unasked(Options(judge=judge), _OPS, True)
    assert finding.code == "unverified" and finding.nodes == _OPS
    assert "TensorFlow 2 has no Dead" in finding.message and told in finding.message
    assert hint in finding.hint and "--allow_unverified" in finding.hint
    assert ("install" in finding.hint) == (hint == "`migrate runtime install`")


@pytest.mark.parametrize("found", [Judges(), Judges(BOTH, _RUNTIME), Judges(reason="it would not be confined")])
def test_what_runs_on_a_gpu_alone_is_asked_of_nobody(found, machine):
    machine(found)
    finding = unasked(Options(), ("CudnnRNN",), True)
    assert "CudnnRNN runs on a GPU alone" in finding.message and "TensorFlow 2 has no" not in finding.message
    assert "--golden" in finding.hint and "install" not in finding.hint
    machine(dataclasses.replace(found, is_asked_for=True))
    assert unasked(Options(judge="tf1"), ("CudnnRNN",), True) is None


def test_a_runtime_that_has_the_kernel_is_named(machine):
    machine(Judges())
    assert "migrate runtime install" in install_hint(Judgement(), _NO_KERNEL, Options())
    for judgement, reasons, options in (
        (Judgement(), ("every answer was empty",), Options()),
        (Judgement(BOTH), _NO_KERNEL, Options()),
        (Judgement(reason="not confined"), _NO_KERNEL, Options()),
        (Judgement(), _NO_KERNEL, Options(judge="tf2")),
    ):
        assert install_hint(judgement, reasons, options) == ""
    machine(Judges(), "it is for Linux")
    assert install_hint(Judgement(), _NO_KERNEL, Options()) == ""
