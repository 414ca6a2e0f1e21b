from __future__ import annotations

import random

import pytest
from google.protobuf import text_format

from migrate.checks.given_signatures import add_signatures
from migrate.checks.proposals import _differentiated, _telling, propose
from migrate.errors import UsageError
from migrate.graph.dtypes import dtype_name
from migrate.graph.nodes import reachable
from migrate.graph.protos import MetaGraphDef
from migrate.records import GivenSignature
from migrate.signature_flag import as_flag, parse_signature

_F = 'attr { key: "T" value { type: DT_FLOAT } }'
_D = 'attr { key: "dtype" value { type: DT_FLOAT } }'


def _meta_graph(*nodes: str) -> MetaGraphDef:
    text = "\n".join(f"node {{ {node} }}" for node in nodes)
    return text_format.Parse(f"graph_def {{ {text} }}", MetaGraphDef())


_TRAINING = _meta_graph(
    f'name: "x" op: "Placeholder" {_D}',
    f'name: "labels" op: "Placeholder" {_D}',
    f'name: "w" op: "VariableV2" {_D}',
    f'name: "scope/logits" op: "MatMul" input: "x" input: "w" {_F}',
    f'name: "scope/loss" op: "Sub" input: "scope/logits" input: "labels" {_F}',
    f'name: "summary" op: "ScalarSummary" input: "scope/loss" {_F}',
    f'name: "gradients/loss_grad/Neg" op: "Neg" input: "scope/loss" {_F}',
    f'name: "train" op: "ApplyGradientDescent" input: "w" input: "x" input: "gradients/loss_grad/Neg" {_F}',
)


def test_a_flag_there_and_back():
    text = "s:inputs=a=x:0,b=scope/y:1;outputs=c=z:0"
    given = parse_signature(text)
    assert given == GivenSignature("s", (("a", "x:0"), ("b", "scope/y:1")), (("c", "z:0"),))
    assert as_flag(given) == text
    assert parse_signature("s:outputs=scope/z") == GivenSignature("s", (), (("z", "scope/z:0"),))
    text += ";method=tensorflow/serving/classify"
    assert as_flag(parse_signature(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "s", "s:", ":outputs=y", "s:inputs=x", "s:outputs=y:one", "s:outputs=a=y,a=z", "s:out=y", "s:outputs==y"],
)
def test_what_is_no_signature_says_how_one_is_written(text):
    with pytest.raises(UsageError, match="NAME:inputs=a=x:0"):
        parse_signature(text)


def test_training_parts_are_not_proposed():
    assert [as_flag(proposal) for proposal in propose(_TRAINING)] == [
        "serving_default:inputs=x=x:0;outputs=logits=scope/logits:0",
        "signature_2:inputs=labels=labels:0,x=x:0;outputs=loss=scope/loss:0",
    ]


def test_the_parts_of_an_input_pipeline_are_inputs_of_their_own():
    both = 'attr { key: "output_types" value { list { type: [DT_FLOAT, DT_FLOAT] } } }'
    meta_graph = _meta_graph(
        f'name: "it" op: "IteratorGetNext" input: "handle" {both}',
        'name: "handle" op: "IteratorV2"',
        f'name: "w" op: "VariableV2" {_D}',
        f'name: "y" op: "MatMul" input: "it" input: "w" {_F}',
        f'name: "loss" op: "Sub" input: "y" input: "it:1" {_F}',
    )
    first, second = propose(meta_graph)
    assert as_flag(first) == "serving_default:inputs=it=it:0;outputs=y=y:0"
    assert second.outputs == (("loss", "loss:0"),)


def _replicas(*more):
    """Two replicas with weights of their own, whose losses are scaled, differentiated and added up."""
    both = 'attr { key: "output_types" value { list { type: [DT_FLOAT, DT_FLOAT] } } }'
    nodes = ['name: "handle" op: "IteratorV2"', f'name: "half" op: "Const" {_F}']
    for r in ("", "replica_1/"):
        nodes += [
            f'name: "{r}it" op: "IteratorGetNext" input: "handle" {both}',
            f'name: "{r}w" op: "VariableV2" {_D}',
            f'name: "{r}y" op: "MatMul" input: "{r}it" input: "{r}w" {_F}',
            f'name: "{r}value" op: "Sub" input: "{r}y" input: "{r}it:1" {_F}',
            f'name: "{r}scaled" op: "Mul" input: "{r}value" input: "half" {_F}',
            f'name: "{r}gradients/Fill" op: "Fill" {_F}',
            f'name: "{r}gradients/{r}scaled_grad/Mul" op: "Mul" input: "{r}gradients/Fill" input: "half" {_F}',
        ]
    total = f'name: "total" op: "AddN" input: "value" input: "replica_1/value" {_F}'
    return _meta_graph(*nodes, total, f'name: "out" op: "Identity" input: "total" {_F}', *more)


def test_the_loss_of_all_replicas_is_proposed_last():
    proposals = [as_flag(proposal).partition(":")[2] for proposal in propose(_replicas())]
    assert proposals[0] == "inputs=it=it:0;outputs=y=y:0"
    assert proposals[1] == "inputs=it=replica_1/it:0;outputs=y=replica_1/y:0"
    assert proposals[2].endswith("outputs=out=out:0")


def test_what_is_computed_of_more_than_losses_is_no_loss():
    more = f'name: "both" op: "AddN" input: "out" input: "y" {_F}'
    first, *_ = propose(_replicas(more))
    assert first.outputs == (("both", "both:0"),)


def test_what_is_listed_as_a_loss_comes_last():
    meta_graph = _replicas()
    propose(meta_graph)
    assert "losses" not in meta_graph.collection_def
    meta_graph.collection_def["losses"].node_list.value.append("y:0")
    assert propose(meta_graph)[0].outputs != (("y", "y:0"),)


def test_a_graph_with_nothing_to_call_gets_no_proposal():
    assert propose(_meta_graph('name: "init" op: "NoOp"')) == ()


def test_added_signatures():
    given = parse_signature("s:inputs=x;outputs=logits=scope/logits")
    result = MetaGraphDef.FromString(_TRAINING.SerializeToString())
    assert add_signatures(result, ()) == ()
    assert result == _TRAINING
    assert add_signatures(result, (given,)) == ()
    assert result.graph_def == _TRAINING.graph_def
    info = result.signature_def["s"].outputs["logits"]
    assert (info.name, dtype_name(info.dtype), info.tensor_shape.unknown_rank) == ("scope/logits:0", "float32", True)
    (finding,) = add_signatures(result, (given,))
    assert finding.code == "signature-exists"
    (finding,) = add_signatures(result, (parse_signature("t:inputs=x;outputs=scope/logits"),) * 2)
    assert finding.code == "signature-exists"
    assert list(result.signature_def) == ["s"]


@pytest.mark.parametrize(
    ("output", "says", "hint"),
    [
        ("logits:0", "which the graph does not have", "scope/logits:0"),
        ("scope/logit:0", "which the graph does not have", "scope/logits:0"),
        ("scope/logits:1", "gives outputs 0 to 0", ""),
        ("train_op", "which the graph does not have", "train:0"),
    ],
)
def test_a_tensor_that_is_not_there(output, says, hint):
    (finding,) = add_signatures(_TRAINING, (parse_signature(f"s:inputs=x;outputs={output}"),))
    assert finding.code == "signature-tensor-missing"
    assert says in finding.message and hint in finding.hint
    assert not _TRAINING.signature_def


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_given_signatures_of_one_name_are_told_as_that(overwrite):
    meta_graph = MetaGraphDef()
    meta_graph.CopyFrom(_TRAINING)
    given = parse_signature("s:outputs=scope/logits:0")
    (finding,) = add_signatures(meta_graph, (given, given), overwrite)
    assert finding.message == "two of the signatures that were given have the name 's'"
    assert finding.hint == "give one of them another name"
    assert not meta_graph.signature_def


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
