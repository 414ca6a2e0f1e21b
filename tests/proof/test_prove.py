"""Conversions of the test models are proved, and no fault in one of them is."""

from __future__ import annotations

import dataclasses
import re

import pytest

from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.proof import calls
from migrate.proof.prove import Asked, Files, prove
from migrate.proof.records import NotProved, Proof, Proved, ProvedUnordered
from migrate.proof.settling import settle
from migrate.sources.read import opened, read_source
from migrate.sources.source import choose_meta_graph, training_meta_graph
from tests import conversions
from tests.proof import mutations

pytestmark = pytest.mark.tensorflow

_UNORDERED = "left open: 'accuracy/total': no edge orders"
_NOT_PROVED = {
    # TF1 itself leaves open what it is.
    "estimator_all_modes@eval": {"eval/metrics/accuracy/value": _UNORDERED},
    "estimator_all_modes@train": {"train/metrics/accuracy/value": _UNORDERED},
    # The user lets it go.
    "unfed_placeholder@good": {"bad/y": "does not have this signature", "bad": "does not have this signature"},
}
"""What is not proved of the cases, with a part of the reason."""


@dataclasses.dataclass(frozen=True)
class Pair:
    source: MetaGraphDef
    files: Files
    candidate: MetaGraphDef
    directory: str
    asked: Asked

    def proof(self, candidate: MetaGraphDef | None = None) -> Proof:
        new = self.candidate if candidate is None else candidate
        return prove(self.source, self.files, new, self.directory, self.asked)


def _pair(converted: conversions.Conversions, case: conversions.Case) -> Pair:
    with opened(str(conversions.MODELS / case.model)) as place:
        source = read_source(place, case.model)
    meta_graph = choose_meta_graph(source, frozenset(case.tags))
    directory = converted.path(case.name)
    candidate = SavedModel.FromString((directory / "saved_model.pb").read_bytes()).meta_graphs[0]
    files = Files(source.checkpoint, source.assets_dir, source.boundary)
    return Pair(meta_graph, files, candidate, str(directory), Asked({}, train=training_meta_graph(source, meta_graph)))


def _left(proof: Proof) -> dict[str, str]:
    results = {f"{name.signature}/{name.output}": result for name, result in proof.outputs.items()}
    results |= {**proof.effects, **proof.variables, **proof.losses, "loading": proof.loading}
    left = {what: result.why for what, result in results.items() if isinstance(result, NotProved)}
    return left | {what: f"left open: {r.why}" for what, r in results.items() if isinstance(r, ProvedUnordered)}


@pytest.mark.parametrize("case", conversions.CASES, ids=[case.name for case in conversions.CASES])
def test_every_output_is_proved(converted, case):
    proof = _pair(converted, case).proof()
    assert not proof.problem
    assert proof.outputs
    left, expected = _left(proof), _NOT_PROVED.get(case.name, {})
    assert left.keys() == expected.keys(), left
    assert all(why in left[what] for what, why in expected.items()), left


def test_the_training_branch_is_proved(converted):
    proof = _pair(converted, conversions.BY_NAME["hub_module@"]).proof()
    assert {name.signature for name in proof.calls} == {"__call__", "__call__(training=True)"}
    assert all(isinstance(result, Proved) for result in (*proof.calls.values(), *proof.losses.values()))
    assert proof.losses


@pytest.mark.parametrize(("name", "is_again"), [("alias", False), ("hub_module@", True)])
def test_a_call_of_the_object_that_calls_what_a_signature_does_is_not_looked_at_again(
    converted, monkeypatch, name, is_again
):
    """A training branch is another call, and so is what a function of the object does beside that."""
    pair = _pair(converted, conversions.BY_NAME[name])
    seen = []
    monkeypatch.setattr(calls, "settle", lambda *sides: seen.append(sides) or settle(*sides))
    before = pair.proof().calls
    assert before and all(isinstance(result, Proved) for result in before.values())
    assert len(seen) == is_again
    other = MetaGraphDef.FromString(pair.candidate.SerializeToString())
    number = next(c.node_id for c in other.object_graph_def.nodes[0].children if c.local_name == "__call__")
    node = other.object_graph_def.nodes[number]
    known = [node.bare_concrete_function.concrete_function_name, *node.function.concrete_functions]
    for function in other.graph_def.library.function:
        if function.signature.name in known:
            function.node_def.add(name="more", op="Abort")
    assert pair.proof(other).calls != before


_HARMLESS = (
    # An order that another edge keeps, or that is between things which do not meet.
    "drops ^",
    # One of the two inputs is as good as the other, or nothing takes what it gives.
    "(Merge)",
    "/ref (Identity)",
    "LogicalNot/Switch (Switch)",
    "(ParseExampleV2)",
    "(StridedSlice)",
    # Values that nothing takes, and what two aliases of one variable give.
    "/Const (Const)",
    "/Const_1 (Const)",
    "is_training/input (Const)",
    # The variable's first value has the right shape anyway.
    "changes validate_shape",
    "Less/Identity/RefEnter (Enter)",
)
"""Parts of the descriptions of faults among which there are some that change nothing."""
_ALIKE = {
    "alias": ("swaps the results", "swaps the outputs r and w of serving_default"),
    # A Switch that no call reaches. It is in the false branch of `is_training` and takes the false branch of
    # `not is_training`: it is dead. With data of the true branch, its predicate is dead where its data is there.
    "folded_conds": (r"takes the other branch at 0 of \S+/cond/cond/Switch_1 \(Switch\)",),
    "tensor_names": ("swaps the results", "swaps the outputs plain and seen of count"),
    # A function that nothing calls.
    "vocabulary": ("swaps the results identity and identity_1 of __inference_function_",),
}
"""The same by model, as patterns: of outputs that give one variable, and of what no call reaches."""


def _is_harmless(name: str, what: str) -> bool:
    return any(part in what for part in _HARMLESS) or any(re.search(part, what) for part in _ALIKE.get(name, ()))


def _shown(proof: Proof) -> object:
    calls = {name: isinstance(result, Proved) for name, result in proof.calls.items()}
    is_open = [what for what, why in _left(proof).items() if why.startswith("left open")]
    return _left(proof).keys(), is_open, calls, proof.problem


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "alias",
        "cond",
        "cond_counter",
        "counter",
        "folded_conds",
        "loop_counter",
        "renaming_saver",
        "simple_save",
        "sparse_signature",
        "subset_saver",
        "tensor_names",
        "training",
        "uninitialized",
        "vocabulary",
        "while_loop",
    ],
)
def test_no_fault_is_proved(converted, name):
    pair = _pair(converted, conversions.BY_NAME[name])
    before = _shown(pair.proof())
    survivors = []
    count = 0
    for what, change in (*mutations.in_bodies(pair.candidate), *mutations.elsewhere(pair.candidate)):
        faulty = MetaGraphDef.FromString(pair.candidate.SerializeToString())
        change(faulty)
        count += 1
        if not _is_harmless(name, what) and _shown(pair.proof(faulty)) == before:
            survivors.append(what)
    assert count > 10
    assert survivors == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("alias", "makes AssignSubVariableOp of"),
        ("alias", "drops ^"),
        ("vocabulary", "drops ^"),
        ("counter", "changes the value of"),
        ("cond_counter", "takes the other branch at 0 of"),
        ("folded_conds", "changes is_constant of"),
        ("renaming_saver", "restores two variables from each other's values"),
        ("renaming_saver", "swaps the captures 0 and 1 of __inference_signature_wrapper"),
        ("simple_save", "swaps w_"),
        ("simple_save", "swaps inputs 0 and 1 of"),
        ("simple_save", "takes unknown_0 for unknown at"),
        ("sparse_signature", "swaps inputs 0 and 1 of"),
        ("tensor_names", "swaps the outputs"),
        ("training", "takes unknown_0 for unknown at"),
        ("uninitialized", "takes the other branch at 0 of"),
        ("vocabulary", "swaps HashTableV2 and HashTableV2_1 at"),
        ("vocabulary", "changes key_index of"),
        ("vocabulary", "swaps the captures 2 and 3 of __inference__initializer"),
        ("while_loop", "changes is_constant of"),
        ("while_loop", "makes Greater of"),
        ("while_loop", "swaps inputs 0 and 1 of"),
        ("cond", "takes unknown_0 for unknown at"),
        ("two_init_ops", "changes the value of"),
    ],
)
def test_faults_of_a_kind_are_found(converted, name, fault):
    pair = _pair(converted, conversions.BY_NAME[name])
    before = _shown(pair.proof())
    faults = (*mutations.in_bodies(pair.candidate), *mutations.elsewhere(pair.candidate))
    changes = [(what, change) for what, change in faults if what.startswith(fault)]
    assert changes
    found = 0
    for what, change in changes:
        faulty = MetaGraphDef.FromString(pair.candidate.SerializeToString())
        change(faulty)
        found += _shown(pair.proof(faulty)) != before
        if not _is_harmless(name, what):
            assert _shown(pair.proof(faulty)) != before, what
    assert found


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "other"])
@pytest.mark.parametrize("name", ["folded_conds", "odd_names"])
def test_another_default_of_an_input_is_found(converted, name, is_lost):
    pair = _pair(converted, conversions.BY_NAME[name])
    faulty = MetaGraphDef.FromString(pair.candidate.SerializeToString())
    nodes = {node.name: node for node in faulty.graph_def.node}
    given = [node for node in nodes.values() if node.op == "PlaceholderWithDefault"]
    assert given
    for node in given:
        if is_lost:
            node.op = "Placeholder"
            del node.input[:]
        else:
            tensor = nodes[node.input[0].partition(":")[0]].attr["value"].tensor
            assert tensor.bool_val or tensor.float_val
            tensor.bool_val[:] = [not value for value in tensor.bool_val]
            tensor.float_val[:] = [value + 1 for value in tensor.float_val]
    left = _left(pair.proof(faulty))
    assert any("leaves the input" in why for why in left.values()), left
