from __future__ import annotations

import pytest

from migrate.checks.given_signatures import add_signatures
from migrate.graph.dtypes import dtype_name
from migrate.graph.protos import MetaGraphDef
from migrate.signature_flag import parse_signature
from tests.checks.graphs import TRAINING


def test_added_signatures():
    given = parse_signature("s:inputs=x;outputs=logits=scope/logits")
    result = MetaGraphDef.FromString(TRAINING.SerializeToString())
    assert add_signatures(result, ()) == ()
    assert result == TRAINING
    assert add_signatures(result, (given,)) == ()
    assert result.graph_def == TRAINING.graph_def
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
        ("scope/logits:1", "gives output 0 alone", ""),
        ("train_op", "which the graph does not have", "train:0"),
    ],
)
def test_a_tensor_that_is_not_there(output, says, hint):
    (finding,) = add_signatures(TRAINING, (parse_signature(f"s:inputs=x;outputs={output}"),))
    assert finding.code == "signature-tensor-missing"
    assert says in finding.message and hint in finding.hint
    assert not TRAINING.signature_def


def test_an_output_of_a_node_that_does_not_say_how_many_it_has_is_refused():
    meta_graph = MetaGraphDef()
    meta_graph.graph_def.node.add(name="y", op="Split")
    (finding,) = add_signatures(meta_graph, (parse_signature("s:outputs=y:7"),))
    assert finding.code == "signature-tensor-missing"
    assert "Split 'y' does not say how many outputs it gives" in finding.message


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_given_signatures_of_one_name_are_told_as_that(overwrite):
    meta_graph = MetaGraphDef()
    meta_graph.CopyFrom(TRAINING)
    given = parse_signature("s:outputs=scope/logits:0")
    (finding,) = add_signatures(meta_graph, (given, given), overwrite)
    assert finding.message == "two of the signatures that were given have the name 's'"
    assert finding.hint == "give one of them another name"
    assert not meta_graph.signature_def
