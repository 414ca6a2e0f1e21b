"""A graph with one random edit is not proved to be the graph without it: attributes, inputs, constants, ops."""

from __future__ import annotations

import functools
import random
import re

import hypothesis
import pytest
from hypothesis import strategies

from tests.conversions import MODELS
from tests.proof.edits import Edit, Given, edited, same_value

_NAMES = (
    "alias",
    "base64_csv",
    "cond",
    "cond_counter",
    "constant_weights",
    "counter",
    "estimator_custom",
    "estimator_linear_regressor",
    "folded_conds",
    "hub_module",
    "image_decode",
    "keras_v1",
    "mixed_variables",
    "odd_names",
    "partitioned",
    "renaming_saver",
    "sparse_signature",
    "subset_saver",
    "tensor_names",
    "training",
    "training_adam",
    "two_init_ops",
    "vocabulary",
    "vocabulary_v1_ops",
    "while_loop",
)
_KINDS = ("an_attribute", "a_constant", "an_input", "two_inputs", "an_op")
"""Edges that give an order are in the test of what TensorFlow computes: which of them are needed, no list says."""

_SAY_NOTHING = {
    # By what name the process knows a resource; the saver finds a variable by its node.
    "container",
    "shared_name",
    "use_node_name_sharing",
    "debug_name",
    # How calls that run side by side, and threads, are kept apart.
    "use_locking",
    "parallel_iterations",
    "config_proto",
    "_has_manual_control_dependencies",
    # A feed takes the place of a placeholder; its shape is in the signature, which verification compares.
    ("Placeholder", "shape"),
}
_ALIKE = (
    # An input that is there counts, whatever its place is.
    ("two_inputs", "Merge", ""),
    # Two counters that begin at zero and go in ones are one.
    ("two_inputs", "LogicalAnd", "map/while/LogicalAnd"),
    # Nothing takes their values; they are there, or not, as before.
    ("an_input", "Identity", r".*/switch_[tf]"),
    ("an_op", "Identity", r".*/switch_[tf]"),
    ("an_op", "Identity", r".*/while/(Less|add)/Identity"),
    ("an_input", "RefEnter", r".*/while/Less/Identity/RefEnter"),
    # The predicate is a constant, and so what the branch that trains takes is never there.
    ("an_input", "", "batch_normalization/.*"),
    # It assigns the same value twice.
    ("an_input", "Assign", "reset"),
    # Of a cond in a cond whose predicate is the same.
    ("an_input", "", "cond/cond/.*"),
    ("an_input", "Switch", "cond/LogicalNot/Switch"),
    ("an_input", "Identity", "cond(_[0-9])?/(Identity_1|pred_id)"),
    # It reads the same variable, in the branch that a predicate of constants takes.
    ("an_input", "Identity", "linear/linear_model/size/weights"),
    # LoopCond hands its input on.
    ("an_input", "Switch", "while/Switch_1"),
)
"""(kind, op, node) of edits that change nothing."""


@functools.cache
def _given(name: str) -> Given:
    found = Given(MODELS / name)
    assert found.left(found.meta_graph) == []
    return found


def _is_harmless(given: Given, edit: Edit) -> bool:
    if edit.kind == "an_attribute":
        return edit.what[0] in _SAY_NOTHING or (edit.op, edit.what[0]) in _SAY_NOTHING
    if edit.kind in ("an_input", "two_inputs") and same_value(given, *edit.what):
        return True
    return any(
        kind == edit.kind and op in ("", edit.op) and (not name or re.fullmatch(name, edit.node))
        for kind, op, name in _ALIKE
    )


@pytest.mark.parametrize("name", _NAMES)
def test_what_is_proved_without_an_edit(name: str) -> None:
    assert _given(name).left(_given(name).meta_graph) == []


@pytest.mark.slow
@hypothesis.settings(max_examples=500, derandomize=True)
@hypothesis.given(strategies.sampled_from(_NAMES), strategies.integers(0, 10**6))
def test_an_edit_of_what_a_signature_needs_is_not_proved(name: str, seed: int) -> None:
    given = _given(name)
    edit = edited(given, random.Random(seed), _KINDS)
    hypothesis.assume(edit is not None)
    assert given.left(edit.candidate) or _is_harmless(given, edit), str(edit)
