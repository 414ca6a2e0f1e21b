"""Whatever is in a file, the proof ends and does not say that it is proved."""

from __future__ import annotations

import random

import pytest

from migrate.graph.op_table import load_op_table
from migrate.graph.protos import MetaGraphDef
from migrate.proof.prove import Files, prove
from migrate.proof.records import Proved
from migrate.sources.saved_model import read_saved_model
from tests.conversions import MODELS
from tests.proof.graphs import call, const, function, node

FILES = Files(None, "")


def graph(*nodes, functions=(), output="out:0", inputs=("x:0",)):
    made = MetaGraphDef()
    made.graph_def.node.extend(nodes)
    made.graph_def.library.function.extend(functions)
    signature = made.signature_def["serving_default"]
    signature.outputs["out"].name = output
    for name in inputs:
        signature.inputs[name.partition(":")[0]].name = name
    return made


X = node("Placeholder", "x", dtype="float32")
GOOD = graph(X, node("Neg", "out", "x", T="float32"))


def proof(candidate, source=GOOD, tmp_path="/nonexistent"):
    return prove(source, FILES, candidate, str(tmp_path))


def in_a_branch(depth):
    nodes = [X, node("Placeholder", "p", dtype="bool")]
    for k in range(depth):
        nodes.append(node("Switch", f"s{k}", f"s{k - 1}:1" if k else "x", f"n{k - 1}" if k else "p", T="float32"))
        nodes.append(node("LogicalNot", f"n{k}", f"n{k - 1}" if k else "p"))
    return [*nodes, node("Neg", "out", f"s{depth - 1}", T="float32")]


HOSTILE = {
    "empty": MetaGraphDef(),
    "a circle": graph(X, node("AddV2", "out", "x", "out", T="float32")),
    "a circle of controls": graph(X, node("Neg", "out", "x", "^b", T="float32"), node("NoOp", "b", "^out")),
    "a loop that is none": graph(X, node("Merge", "out", "x", "n", T="float32"), node("NextIteration", "n", "out")),
    "an exit of no loop": graph(X, node("Exit", "out", "x", T="float32")),
    "a temporary variable on a circle": graph(
        X,
        node("TemporaryVariable", "t", dtype="float32"),
        node("Assign", "a", "t", "x", "^out", T="float32"),
        node("DestroyTemporaryVariable", "out", "a", T="float32", var_name=b"t"),
    ),
    "the end of no temporary variable": graph(X, node("DestroyTemporaryVariable", "out", "x", T="float32")),
    "a ref selected among itself": graph(X, node("RefSelect", "out", "x", "out", "out", T="float32", N=2)),
    "an array packed into itself": graph(X, node("TensorArrayPack", "out", "out", "out", dtype="float32")),
    "weights that are shrunk by nothing": graph(X, node("SdcaShrinkL1", "out", "x", l1=b"1", l2=True)),
    "a slice of handles that are none": graph(
        X, node("Pack", "p", "x", "x", T="float32", N=2), node("StridedSlice", "out", "p", "p", "p", "p", T="float32")
    ),
    "no such node": graph(X, output="nothing:0"),
    "no such output": graph(X, node("Neg", "out", "x", T="float32"), output="out:9"),
    "a name that is none": graph(X, output=""),
    "an output without a name": graph(X, output=":"),
    "two nodes of a name": graph(X, X, node("Neg", "out", "x", T="float32")),
    "no inputs": graph(X, node("Neg", "out", T="float32")),
    "too many": graph(X, node("Neg", "out", "x", "x", T="float32")),
    "attributes of other types": graph(X, node("Neg", "out", "x", T=b"float32", dtype=3, _class=2.0)),
    "a constant without value": graph(X, node("Const", "out", dtype="float32")),
    "a switch of one input": graph(X, node("Switch", "out", "x", T="float32")),
    "a merge of nothing": graph(X, node("Merge", "out", T="float32")),
    "a reshape of nothing": graph(X, node("Reshape", "out", T="float32")),
    "a write of nothing": graph(X, node("Assign", "out", T="float32")),
    "a write of a value": graph(X, node("AssignAdd", "out", "x", "x", T="float32")),
    "a read of a value": graph(X, node("ReadVariableOp", "out", "x", dtype="float32")),
    "an If without branches": graph(X, node("If", "out", "x")),
    "a While of nothing": graph(X, node("While", "out")),
    "a function that calls itself": graph(
        X, call("out", "f", "x"), functions=[function("f", ["a"], [call("n", "f", "a")], r="n:output:0")]
    ),
    "functions that call one another": graph(
        X,
        call("out", "f", "x"),
        functions=[
            function("f", ["a"], [call("n", "g", "a")], r="n:output:0"),
            function("g", ["a"], [call("n", "f", "a")], r="n:output:0"),
        ],
    ),
    "two functions of a name": graph(X, call("out", "f", "x"), functions=[function("f", ["a"], [], r="a")] * 2),
    "a function with two nodes of a name": graph(
        X, call("out", "f", "x"), functions=[function("f", ["a"], [const("n", 1.0), const("n", 2.0)], r="n:output:0")]
    ),
    "a missing function": graph(X, call("out", "f", "x")),
    "branches in branches": graph(*in_a_branch(2000), inputs=("x:0", "p:0")),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_nothing_is_proved_of_a_bad_candidate(hostile):
    found = proof(hostile)
    assert not found.is_whole
    assert "the proof failed" not in found.problem


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_nothing_is_proved_of_a_bad_source(hostile):
    found = proof(GOOD, hostile)
    assert not found.is_whole or not found.outputs
    assert "the proof failed" not in found.problem


def test_a_bad_pair_is_not_proved_because_both_are_alike():
    for name, hostile in HOSTILE.items():
        found = proof(hostile, hostile)
        assert not found.is_whole or not found.outputs, name


@pytest.mark.slow
def test_a_large_candidate_takes_no_long():
    chain = [X, *[node("Neg", f"n{k}", f"n{k - 1}" if k else "x", T="float32") for k in range(300_000)]]
    large = graph(*chain, node("Neg", "out", "n299999", T="float32"))
    found = proof(large)
    assert not found.is_whole
    assert not found.problem


def _damage(graph, draw):
    """One random fault of the kinds that files have."""
    bodies = [graph.graph_def.node, *(function.node_def for function in graph.graph_def.library.function)]
    nodes = draw.choice([body for body in bodies if body])
    chosen, other = draw.choice(nodes), draw.choice(nodes)
    kind = draw.randrange(9)
    if kind == 0 and chosen.attr:
        chosen.attr[draw.choice(sorted(chosen.attr))].Clear()
    elif kind == 1 and chosen.attr:
        value = chosen.attr[draw.choice(sorted(chosen.attr))]
        value.Clear()
        getattr(value, draw.choice(["list", "shape", "tensor", "func"])).SetInParent()
    elif kind == 2 and chosen.input:
        odd = ["", "^", "^^", ":0", "a:b:c", chosen.name, f"^{chosen.name}", f"{other.name}:-1", f"{other.name}:7"]
        chosen.input[draw.randrange(len(chosen.input))] = draw.choice(odd)
    elif kind == 3:
        chosen.op = draw.choice(sorted(load_op_table()))
    elif kind == 4:
        del chosen.input[:]
    elif kind == 5:
        chosen.input.append(other.name)
    elif kind == 6:
        nodes.add().CopyFrom(chosen)
    elif kind == 7:
        del nodes[draw.randrange(len(nodes))]
    else:
        graph.saver_def.restore_op_name = draw.choice(["", "nothing", chosen.name])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["alias", "folded_conds", "training_adam", "uninitialized", "vocabulary", "while_loop"]
)
def test_random_damage_is_no_failure_of_the_proof(name):
    model = read_saved_model(str(MODELS / name))
    files = Files(model.checkpoint, model.assets_dir, model.boundary)
    draw = random.Random(name)
    for _ in range(25):
        source, candidate = MetaGraphDef(), MetaGraphDef()
        source.CopyFrom(model.meta_graphs[0])
        candidate.CopyFrom(model.meta_graphs[0])
        for _ in range(draw.randrange(1, 4)):
            _damage(draw.choice([source, candidate]), draw)
        found = prove(source, files, candidate, str(MODELS / name))
        assert "the proof failed" not in found.problem
        # A TF1 model has no objects, so it is never a conversion.
        assert not any(isinstance(result, Proved) for result in found.outputs.values())
