"""What is proved, as the verdict takes it."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.model.proofs import is_proved, proved, structure_alone, unexplained, with_structure
from migrate.proof.records import CHECKS_DIFFER
from migrate.records import Structure
from migrate.sources.saved_model import read_saved_model
from migrate.verify.contract import Candidate
from migrate.verify.differences import mismatch
from tests.conversions import MODELS
from tests.model.recorded import PASSED

WHOLE = Structure(("s/y", "s/z", "t/a/b"), 3, 2, 2)
LEFT = {"s/z": "an op that nobody knows", "t": "no edge orders", "w": "another value"}
HALF = Structure(("s/y", "t/a/b"), 3, 1, 2, LEFT)


@pytest.mark.parametrize("what", ["s", "s/y", "s/z", "s/z/values", "t", "t/a/b", "variables"])
def test_all_of_a_model_that_is_proved(what):
    assert is_proved(WHOLE, what)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("s/y", True),
        ("s", False),
        ("s/z", False),
        # What a call leaves behind is what the next one begins with.
        ("t/a/b", False),
        ("t", False),
        ("variables", False),
        ("nothing", False),
        ("s/yy", False),
    ],
)
def test_what_is_proved_of_a_model_in_part(what, expected):
    assert is_proved(HALF, what) is expected


def test_other_nodes_are_no_difference_where_all_is_proved():
    told = (
        mismatch("node-differs", "contract", "it is given by another"),
        mismatch("tag-set-differs", "contract", "other"),
    )
    assert unexplained(told, WHOLE) == told[1:]
    for structure in (None, HALF, Structure((), 0, 0, 0)):
        assert unexplained(told, structure) == told


def test_nothing_is_proved_where_loading_is_not():
    assert not is_proved(dataclasses.replace(WHOLE, not_proved={"loading": "the init op differs"}), "s/y")
    assert not is_proved(Structure((), 0, 0, 0), "variables")


def test_what_tf1_leaves_open_is_shown_where_each_answer_is_one_of_its_own():
    found = Structure(("s/y",), 3, 1, 1, {"s/w": "another op"}, ("s/z",), {"s/z": "no edge orders", "__call__/z": "so"})
    assert found.outputs_shown == ("s/y", "s/z")
    assert is_proved(found, "s/z") and not is_proved(found, "s/w") and not is_proved(found, "s")
    whole = dataclasses.replace(found, not_proved={}, outputs=2)
    assert is_proved(whole, "s") and structure_alone(whole, "proof").passed
    nothing = dataclasses.replace(PASSED, values=0, unverified={"s/z": "TF1 gives it no defined answer"})
    assert with_structure(nothing, whole).passed
    alone = Structure((), 1, 0, 0, {}, ("s/z",), {"s/z": "no edge orders"})
    assert structure_alone(alone, "proof").passed


def test_what_no_call_compares_is_taken_from_the_proof():
    nothing = dataclasses.replace(PASSED, values=0, unverified={"s/y": "empty", "s/z": "empty"})
    found = with_structure(nothing, HALF)
    assert found.unverified == {"s/z": "empty"}
    assert not found.passed
    assert with_structure(nothing, WHOLE).passed
    assert with_structure(nothing, None) is nothing


def test_a_check_that_the_candidate_lacks_is_unverified_though_all_answers_are_equal():
    differs = dataclasses.replace(WHOLE, not_proved={"s": f"session: {CHECKS_DIFFER}"})
    found = with_structure(PASSED, differs)
    assert found.unverified == {"s": f"session: {CHECKS_DIFFER}"}
    assert not found.passed
    unknown = dataclasses.replace(WHOLE, not_proved={"s": "an op that nobody knows"})
    assert with_structure(PASSED, unknown).passed


def test_a_model_that_is_not_run_is_worth_what_is_proved():
    assert structure_alone(WHOLE, "proof").passed
    found = structure_alone(HALF, "proof")
    assert (found.passed, found.unverified) == (False, LEFT)
    called = Structure(("s/y",), 1, 0, 0, {"__call__/y": "no graph"})
    assert structure_alone(called, "proof").passed


def test_a_source_is_not_its_own_conversion():
    source = read_saved_model(str(MODELS / "simple_save"))
    found = proved(source, source.meta_graphs[0], Candidate(source.path, source.meta_graphs), is_run=True)
    assert found.outputs == 1
    assert found.outputs_proved == ()
    assert "no objects" in found.not_proved["serving_default/y"]
    several = Candidate(source.path, (*source.meta_graphs, *source.meta_graphs))
    assert "several" in proved(source, source.meta_graphs[0], several, is_run=True).not_proved["loading"]
