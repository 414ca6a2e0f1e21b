"""Mutants of what makes a conversion are caught by the proof alone: nothing is run."""

from __future__ import annotations

import functools
import pathlib
import tempfile

import pytest

from migrate.plan.records import PlanOptions
from migrate.proof.records import Proof
from tests import conversions
from tests.proof.rewriter_mutants import MUTANTS, convert, fingerprint, lost, results
from tests.sampling import few

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

_CAUGHT_IN = {
    "a_read_waits_for_nothing": ("alias", "folded_conds"),
    "a_read_drops_one_control_edge": ("alias", "folded_conds"),
    "a_handle_does_not_wait_for_its_write": ("cond_counter", "uninitialized"),
    "a_fetched_variable_is_read_before_the_call_ends": ("alias",),
    "one_read_serves_all": ("alias", "cond_counter", "folded_conds"),
    "a_fetch_takes_its_neighbour": ("alias", "folded_conds", "vocabulary"),
    "an_addition_becomes_a_subtraction": ("alias", "cond_counter", "folded_conds"),
    "a_subtraction_becomes_an_addition": ("hub_module@",),
    "an_assignment_becomes_an_addition": ("folded_conds", "training_adam", "counter"),
    "a_write_loses_its_attributes": ("folded_conds", "training_adam", "counter"),
    "an_optimizer_takes_two_slots_for_each_other": ("training_adam",),
    "an_update_takes_another_operand": ("training_adam",),
    "a_write_takes_what_it_writes": ("alias", "cond_counter", "folded_conds"),
    "the_branch_that_runs_is_left_out": ("folded_conds",),
    "every_predicate_is_taken_for_true": ("cond_counter", "folded_conds", "cond"),
    "every_predicate_is_taken_for_false": ("cond_counter", "folded_conds", "cond"),
    "two_handles_swap_their_variables": ("folded_conds", "training_adam", "partitioned"),
    "two_handles_swap_their_tables": ("vocabulary", "vocabulary_v1_ops"),
    "a_key_of_the_checkpoint_is_its_neighbours": ("folded_conds", "partitioned", "renaming_saver"),
    "a_slice_is_its_neighbours": ("partitioned",),
    "two_variables_swap_their_values": ("folded_conds", "training_adam", "partitioned"),
    "the_bytes_of_a_tensor_are_its_neighbours": ("folded_conds", "training_adam", "partitioned"),
    "values_that_are_written_are_zeros": ("alias", "cond_counter", "folded_conds"),
    "two_variables_swap_their_keys_in_the_new_checkpoint": ("folded_conds", "training_adam", "partitioned"),
    "a_constant_that_becomes_a_variable_has_another_value": ("constant_weights@variables",),
    "the_init_op_is_dropped": ("vocabulary", "two_init_ops", "subset_saver"),
    "one_of_several_init_ops_is_run": ("two_init_ops",),
    "the_init_op_waits_for_no_target": ("vocabulary", "two_init_ops", "subset_saver"),
    "assets_are_swapped": ("vocabulary",),
    "a_table_keeps_another_default": ("vocabulary", "vocabulary_v1_ops"),
    "a_call_runs_no_target": ("vocabulary", "two_init_ops", "subset_saver", "hub_module@"),
    "results_of_a_signature_are_swapped": ("alias", "folded_conds", "vocabulary"),
    "arguments_of_a_signature_are_swapped": ("odd_names", "tensor_names", "tensor_names@names"),
    "outputs_of_a_session_are_swapped": ("folded_conds", "vocabulary", "odd_names"),
    "an_input_loses_its_default": ("folded_conds", "odd_names"),
    "an_input_has_another_default": ("folded_conds", "odd_names"),
    "training_leaves_its_updates_out": ("hub_module@",),
    "training_is_inference": ("hub_module@",),
    "a_sparse_tensor_has_its_parts_in_another_order": ("sparse_signature",),
    "kept_names_are_those_of_other_tensors": ("tensor_names@names",),
    "an_axis_is_another_one": ("folded_conds", "vocabulary", "tensor_names"),
}
"""For each mutant the models of testdata/ in whose conversion it does harm."""
_HANDLE = "the handle that the read takes comes from a node that waits for the write itself"
_LAST = "the one read takes the handle that the last write gives, and waits for it by that"
_READS_LATE = (
    "cond_counter",
    "counter",
    "hub_module@",
    "loop_counter",
    "subset_saver",
    "training",
    "training_adam",
    "uninitialized",
)
_HARMLESS: dict[str, tuple[str, tuple[str, ...]]] = {
    "a_handle_does_not_wait_for_its_write": (
        "each read of the handle waits for the write by an edge of its own",
        (
            "alias",
            "counter",
            "folded_conds",
            "hub_module@",
            "subset_saver",
            "tensor_names",
            "tensor_names@names",
            "training",
            "training_adam",
            "two_init_ops",
        ),
    ),
    "a_read_waits_for_nothing": (_HANDLE, _READS_LATE),
    "a_read_drops_one_control_edge": (_HANDLE, _READS_LATE),
    "a_fetched_variable_is_read_before_the_call_ends": (_HANDLE, ("cond_counter", "counter", "subset_saver")),
    "one_read_serves_all": (
        _LAST,
        ("counter", "hub_module@", "loop_counter", "subset_saver", "training", "training_adam", "uninitialized"),
    ),
    "a_replaced_node_waits_for_nothing": (
        "what it waited for gives a handle alone, or the reads that it takes wait for the same",
        ("alias", "training_adam"),
    ),
    "a_write_waits_for_nothing": ("what it waited for gives a handle, and reads nothing", ("alias",)),
    "a_write_loses_its_attributes": (
        "use_locking keeps calls apart that run side by side, and an Assign that compares no shapes does not fail",
        ("training", "two_init_ops"),
    ),
    "outputs_of_a_session_are_swapped": ("both outputs are the variable as the call leaves it", ("alias",)),
}
"""For each mutant why a conversion that it changes computes the same, and the models for which this holds."""
_OPTIONS = {
    "constant_weights@variables": PlanOptions(variables=True),
    "tensor_names@names": PlanOptions(keep_tensor_names=True),
}


def _converted(name: str, directory: pathlib.Path) -> Proof:
    model = name.partition("@")[0]
    tags = None if name == "hub_module@" else frozenset({"serve"})
    return convert(str(conversions.MODELS / model), directory, tags, _OPTIONS.get(name, PlanOptions()))


def _proof(name: str) -> Proof:
    with tempfile.TemporaryDirectory() as directory:
        return _converted(name, pathlib.Path(directory))


@functools.cache
def _before(name: str) -> Proof:
    return _proof(name)


_MODELS = sorted(
    {*(case.model for case in conversions.CASES), *_OPTIONS, "hub_module@"}
    - {"hub_module", "multi_tags", "unfed_placeholder"}
)
"""Models whose tags are `serve`, and what is converted in another way."""
_TRIED = few(_MODELS, 12)
"""All mutants on all models take half an hour."""


def test_each_mutant_has_a_model() -> None:
    # In no model does a write, or what takes the place of an op, wait for something that nothing else waits for.
    assert MUTANTS.keys() - _CAUGHT_IN.keys() == {"a_replaced_node_waits_for_nothing", "a_write_waits_for_nothing"}
    assert len(MUTANTS) >= 20


@pytest.mark.parametrize("name", sorted({name for names in _CAUGHT_IN.values() for name in names}))
def test_without_a_mutant_all_is_proved(name: str) -> None:
    found = results(_before(name))
    assert [what for what, good in found.items() if not good] == []
    assert lost(_before(name), _proof(name)) == []


@pytest.mark.parametrize(("mutant", "name"), [(mutant, name) for mutant, names in _CAUGHT_IN.items() for name in names])
def test_a_mutant_is_caught(mutant: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _before(name)
    MUTANTS[mutant](monkeypatch)
    assert lost(before, _proof(name)) != []


@pytest.mark.parametrize("name", _TRIED)
def test_what_a_mutant_changes_is_caught_or_harmless(name: str, tmp_path: pathlib.Path) -> None:
    before = _converted(name, tmp_path / "before")
    digest = fingerprint(tmp_path / "before")
    silent = set()
    for mutant, mutate in MUTANTS.items():
        with pytest.MonkeyPatch.context() as patch:
            mutate(patch)
            try:
                after = _converted(name, tmp_path / mutant)
            except Exception:  # A mutant that makes no model makes no wrong one.
                continue
        if fingerprint(tmp_path / mutant) != digest and not lost(before, after):
            silent.add(mutant)
    known = {mutant for mutant, (_, models) in _HARMLESS.items() if name in models}
    # Of what is not proved anyway nothing can be lost.
    assert silent == known or (known <= silent and not before.is_whole)


@pytest.mark.parametrize(
    ("mutant", "name"),
    [(mutant, name) for mutant, (_, names) in _HARMLESS.items() for name in sorted({*names} & {*_TRIED})],
)
def test_what_is_called_harmless_answers_alike(
    mutant: str, name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow runs both from the disk, as a function and in a Session, call after call."""
    from tests.rewrite.differential import ask_saved, differences

    tags = () if name == "hub_module@" else ("serve",)
    model = name.partition("@")[0]
    calls = [(key, given) for known, key, given in conversions.calls.CALLS[model] if known == tags] * _TIMES
    assert calls
    _converted(name, tmp_path / "before")
    MUTANTS[mutant](monkeypatch)
    _converted(name, tmp_path / "after")
    assert fingerprint(tmp_path / "before") != fingerprint(tmp_path / "after")
    found = [ask_saved(str(tmp_path / which), calls) for which in ("before", "after")]
    assert differences(*found) == []


_TIMES = 8
"""A call may be answered right by chance where an edge is missing."""
