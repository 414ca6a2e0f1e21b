from __future__ import annotations

import random

import pytest

from migrate.checks.proposals import _differentiated, _telling, propose
from migrate.graph.dtypes import dtype_value
from migrate.graph.nodes import reachable
from migrate.graph.protos import GraphDef, MetaGraphDef
from migrate.signature_flag import as_flag, parse_signature
from tests.checks.graphs import TRAINING, D, F, meta_graph_of


def test_training_parts_are_not_proposed():
    assert [as_flag(proposal) for proposal in propose(TRAINING)] == [
        "serving_default:inputs=x=x:0;outputs=logits=scope/logits:0",
        "signature_2:inputs=labels=labels:0,x=x:0;outputs=loss=scope/loss:0",
    ]


def test_the_parts_of_an_input_pipeline_are_inputs_of_their_own():
    both = 'attr { key: "output_types" value { list { type: [DT_FLOAT, DT_FLOAT] } } }'
    meta_graph = meta_graph_of(
        f'name: "it" op: "IteratorGetNext" input: "handle" {both}',
        'name: "handle" op: "IteratorV2"',
        f'name: "w" op: "VariableV2" {D}',
        f'name: "y" op: "MatMul" input: "it" input: "w" {F}',
        f'name: "loss" op: "Sub" input: "y" input: "it:1" {F}',
    )
    first, second = propose(meta_graph)
    assert as_flag(first) == "serving_default:inputs=it=it:0;outputs=y=y:0"
    assert second.outputs == (("loss", "loss:0"),)


def _replicas(*more):
    """Two replicas with weights of their own, whose losses are scaled, differentiated and added up."""
    both = 'attr { key: "output_types" value { list { type: [DT_FLOAT, DT_FLOAT] } } }'
    nodes = ['name: "handle" op: "IteratorV2"', f'name: "half" op: "Const" {F}']
    for r in ("", "replica_1/"):
        nodes += [
            f'name: "{r}it" op: "IteratorGetNext" input: "handle" {both}',
            f'name: "{r}w" op: "VariableV2" {D}',
            f'name: "{r}y" op: "MatMul" input: "{r}it" input: "{r}w" {F}',
            f'name: "{r}value" op: "Sub" input: "{r}y" input: "{r}it:1" {F}',
            f'name: "{r}scaled" op: "Mul" input: "{r}value" input: "half" {F}',
            f'name: "{r}gradients/Fill" op: "Fill" {F}',
            f'name: "{r}gradients/{r}scaled_grad/Mul" op: "Mul" input: "{r}gradients/Fill" input: "half" {F}',
        ]
    total = f'name: "total" op: "AddN" input: "value" input: "replica_1/value" {F}'
    return meta_graph_of(*nodes, total, f'name: "out" op: "Identity" input: "total" {F}', *more)


def test_the_loss_of_all_replicas_is_proposed_last():
    proposals = [as_flag(proposal).partition(":")[2] for proposal in propose(_replicas())]
    assert proposals[0] == "inputs=it=it:0;outputs=y=y:0"
    assert proposals[1] == "inputs=it=replica_1/it:0;outputs=y=replica_1/y:0"
    assert proposals[2].endswith("outputs=out=out:0")


def test_what_is_computed_of_more_than_losses_is_no_loss():
    more = f'name: "both" op: "AddN" input: "out" input: "y" {F}'
    first, *_ = propose(_replicas(more))
    assert first.outputs == (("both", "both:0"),)


def test_what_is_listed_as_a_loss_comes_last():
    meta_graph = _replicas()
    propose(meta_graph)
    assert "losses" not in meta_graph.collection_def
    meta_graph.collection_def["losses"].node_list.value.append("y:0")
    assert propose(meta_graph)[0].outputs != (("y", "y:0"),)


def test_a_graph_with_nothing_to_call_gets_no_proposal():
    assert propose(meta_graph_of('name: "init" op: "NoOp"')) == ()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gradients/loss_grad/Neg", ("gradients/", "loss")),
        ("a/gradients_12/b/mean_grad/Mul", ("a/gradients_12/", "b/mean")),
        ("gradients/a/gradients_1/b_grad/Mul", ("gradients/a/gradients_1/", "b")),
        ("gradients/gradients_grad/Mul", ("gradients/", "gradients")),
        ("a/gradients_grad/Mul", ("", "")),
        ("gradients/loss_grad/", ("", "")),
        ("gradients/loss/Neg", ("", "")),
        ("gradients_x/loss_grad/Neg", ("", "")),
        ("gradients/_grad/Neg", ("", "")),
        ("loss_grad/Neg", ("", "")),
        ("gradients/Fill", ("", "")),
    ],
)
def test_the_op_whose_gradient_a_node_is_part_of(name, found):
    assert _differentiated(name) == found


@pytest.mark.parametrize("seed", range(40))
def test_outputs_that_need_a_part_of_anothers_weights_are_no_answers(seed):
    """As a comparison of each with each has it, loops included."""
    draw = random.Random(seed)
    names = [f"n{number}" for number in range(30)]
    givers = {
        name: tuple(draw.sample(names[:number] if draw.random() < 0.95 else names, min(number, draw.randrange(3))))
        for number, name in enumerate(names)
    }
    weights = dict.fromkeys(draw.sample(names[:15], 6))
    tensors = [f"{name}:{output}" for name in draw.sample(names[10:], 8) for output in range(draw.randrange(1, 3))]
    needed = {tensor: reachable([tensor.partition(":")[0]], givers.get) & weights.keys() for tensor in tensors}
    expected = [t for t in tensors if not any(needed[t] < other for other in needed.values())]
    assert _telling(givers, tensors, weights) == expected


_FLOAT = dtype_value("float32")


def test_names_that_clash_get_names_of_their_own():
    """`a/b` and `a_b` have one short name and one long name."""
    graph = GraphDef()
    for name in ("a/b", "a_b", "c/a/b"):
        graph.node.add(name=name, op="Placeholder").attr["dtype"].type = _FLOAT
    graph.node.add(name="y", op="AddN", input=["a/b", "a_b", "c/a/b"]).attr["T"].type = _FLOAT
    graph.node[-1].attr["N"].i = 3
    (proposal,) = propose(MetaGraphDef(graph_def=graph))
    assert len(dict(proposal.inputs)) == 3
    assert parse_signature(as_flag(proposal)) == proposal
