"""Ops that TensorFlow 2 does not have: what the rewrite makes of them is proved, and nothing else is."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator, Sequence

import pytest

from migrate.graph.nodes import behind
from migrate.graph.op_table import load_ref_ops
from migrate.graph.protos import AttrValue, FunctionDef, NodeDef
from migrate.proof import (
    additive_trees,
    components,
    dead_ops,
    dead_predecessors,
    exponentials,
    fused,
    numbering,
    slices,
    trees,
)
from migrate.proof.difference import difference
from migrate.proof.records import PROVED
from migrate.proof.settling import messages, settle
from migrate.proof.shared import Shared
from migrate.proof.states import fetched
from migrate.rewrite.engine import rewrite
from tests.proof import graphs as made
from tests.proof.edits import a_constant
from tests.proof.graphs import compared, model, side
from tests.rewrite.pairs import FOLDER, read
from tests.rewrite.texts import run

_CROSSED = """
i = Placeholder() dtype=int64
v = Placeholder() dtype=string
s = Placeholder() dtype=int64
d = Placeholder() dtype=int64
y = {op}(i, v, s, d) N=1 dense_types=[int64] hashed_output={hashed} internal_type=int64 num_buckets=7 \
out_type={out} sparse_types=[string]{key}
feed i:0 int64
feed v:0 string
feed s:0 int64
feed d:0 int64
fetch y:0
fetch y:1
fetch y:2
"""
_BUCKETS = """
x = Placeholder() dtype={dtype}
{boundaries}
y = BucketizeWithInputBoundaries(x, b) T={dtype}
feed x:0 {dtype}
fetch y:0
"""
_NORM = """
x = Placeholder() dtype={dtype}
m = Placeholder() dtype={dtype}
v = Placeholder() dtype={dtype}
beta = Placeholder() dtype={dtype}
gamma = Placeholder() dtype={dtype}
y = BatchNormWithGlobalNormalization(x, m, v, beta, gamma) T={dtype} scale_after_normalization={scaled} \
variance_epsilon=0.5
feed x:0 {dtype}
feed m:0 {dtype}
feed v:0 {dtype}
feed beta:0 {dtype}
feed gamma:0 {dtype}
fetch y:0
"""
_BEAMS = """
s = Placeholder() dtype=int32
p = Placeholder() dtype=int32
l = Placeholder() dtype=int32
{end}
y = GatherTree(s, p, l{more}) T=int32
feed s:0 int32
feed p:0 int32
feed l:0 int32
fetch y:0
"""
_RESAMPLED = """
x = Placeholder() dtype={dtype}
w = Placeholder() dtype={dtype}
y = Resampler(x, w) T={dtype}
feed x:0 {dtype}
feed w:0 {dtype}
fetch y:0
"""
GRAPHS = {
    "joined": _CROSSED.format(op="SparseFeatureCross", hashed="false", out="string", key=""),
    "hashed": _CROSSED.format(op="SparseFeatureCross", hashed="true", out="int64", key=""),
    "joined_2": _CROSSED.format(op="SparseFeatureCrossV2", hashed="false", out="string", key=" hash_key=5"),
    "hashed_2": _CROSSED.format(op="SparseFeatureCrossV2", hashed="true", out="int64", key=" hash_key=5"),
    "buckets": _BUCKETS.format(dtype="float32", boundaries="b = Const() dtype=float32 value=float32:[0.5, 1.0]"),
    "fed_buckets": _BUCKETS.format(dtype="int64", boundaries="b = Placeholder() dtype=float32\nfeed b:0 float32"),
    "unsorted": _BUCKETS.format(dtype="float32", boundaries="b = Const() dtype=float32 value=float32:[1.0, 0.5]"),
    "estimator_buckets": """
x = Placeholder() dtype=float32
b = Placeholder() dtype=float32
c = Const() dtype=float32 value=float32:[0.5, 1.0]
z = Placeholder() dtype=float32
y = BoostedTreesBucketize(x, z, b, c) num_features=2
feed x:0 float32
feed b:0 float32
feed z:0 float32
fetch y:0
fetch y:1
""",
    "norm": _NORM.format(dtype="float32", scaled="true"),
    "plain_norm": _NORM.format(dtype="float16", scaled="false"),
    "beams": _BEAMS.format(more=", e", end="e = Placeholder() dtype=int32\nfeed e:0 int32"),
    "old_beams": _BEAMS.format(more="", end=""),
    "resampler": _RESAMPLED.format(dtype="float32"),
    "resampler_16": _RESAMPLED.format(dtype="float16"),
    "transform": """
x = Placeholder() dtype=uint8
t = Placeholder() dtype=float32
y = ImageProjectiveTransform(x, t) dtype=uint8 interpolation='BILINEAR'
feed x:0 uint8
feed t:0 float32
fetch y:0
""",
    "adjust": """
x = Placeholder() dtype=float32
h = Placeholder() dtype=float32
s = Placeholder() dtype=float32
v = Placeholder() dtype=float32
y = AdjustHsvInYiq(x, h, s, v) T=float32
feed x:0 float32
feed h:0 float32
feed s:0 float32
feed v:0 float32
fetch y:0
""",
    "periodic": """
x = Placeholder() dtype=int32
y = PeriodicResample(x) T=int32 shape=(6, ?, 4)
feed x:0 int32
fetch y:0
""",
}
_OLD = ("audio", "bitpack", "contrast", "convolution", "eigen", "exponential", "poisson", "quantize", "reduce_slice")
for rule in (*_OLD, "boosted_trees", "forest", "additive_trees", "partition", "tree_stats", "components", "quantiles"):
    examples = read(FOLDER / f"{rule}.txt")
    GRAPHS.update((f"{rule} {pair.title[2:]}", pair.before) for pair in examples if "refused" not in pair.title)
GRAPHS["bytes"] = next(pair.before for pair in read(FOLDER / "fused_convolution.txt") if "qint8" in pair.before)
GRAPHS["eigen of a batch"] = GRAPHS["eigen The values are a row above the vectors."].replace("Self", "BatchSelf")
EXPANDED = {
    **dead_ops.EXPANDED,
    **dead_predecessors.EXPANDED,
    **trees.EXPANDED,
    **additive_trees.EXPANDED,
    **components.EXPANDED,
    **exponentials.EXPANDED,
    **fused.EXPANDED,
    **slices.EXPANDED,
}
_OTHER_OPS = {
    "Cumsum": "Cumprod",
    "Equal": "NotEqual",
    "Greater": "GreaterEqual",
    "GreaterEqual": "Greater",
    "LessEqual": "Less",
    "LogicalAnd": "LogicalOr",
    "NotEqual": "Equal",
    "RealDiv": "Mul",
    "AddV2": "Sub",
    "Sub": "AddV2",
    "Mul": "RealDiv",
    "Rsqrt": "Sqrt",
    "UpperBound": "LowerBound",
    "LowerBound": "UpperBound",
    "Minimum": "Maximum",
    "Maximum": "Minimum",
    "LeftShift": "RightShift",
    "RightShift": "LeftShift",
    "BitwiseXor": "BitwiseOr",
    "FloorMod": "FloorDiv",
    "Less": "LessEqual",
    "Any": "All",
    "LogicalNot": "Identity",
    "ImageProjectiveTransformV2": "ImageProjectiveTransformV3",
}


_MOST_MUTANTS = 40
"""Each graph has some that are tried quickly."""


@dataclasses.dataclass(frozen=True)
class _Graphs:
    """A source, its candidate, and what a call of each takes and gives."""

    source: Sequence[NodeDef]
    candidate: Sequence[NodeDef]
    fed: dict[str, tuple[str, str, int]]
    fetches: Sequence[tuple[str, str]]

    def proved(self, candidate: Sequence[NodeDef]) -> bool:
        """Whether all outputs, and all that may fail, are proved to be the same."""
        shared = Shared()
        one, first = side(model("source", shared, self.source), [name for name, _ in self.fetches], fed=self.fed)
        other, second = side(model("candidate", shared, candidate), [name for _, name in self.fetches], fed=self.fed)
        settle(one, other)
        compared = [
            difference(shared.terms, fetched(one, before), fetched(other, after), one.origins, other.origins)
            for before, after in zip(first, second, strict=True)
        ]
        return set(compared) == {PROVED} and messages(one) == messages(other)


def _graphs(text: str) -> _Graphs:
    before = run(text.replace("\\\n", "").strip())
    after = rewrite(before, load_ref_ops())
    reached = behind(after.graph.nodes, after.fetches.values())
    return _Graphs(
        [*before.graph.nodes.values()],
        [after.graph.nodes[name] for name in after.graph.nodes if name in reached],
        {tensor: ("argument", tensor, 0) for tensor in before.feeds},
        [*after.fetches.items()],
    )


def _mutants(nodes: Sequence[NodeDef]) -> Iterator[tuple[str, list[NodeDef]]]:
    """Each fault of one node."""
    for place, node in enumerate(nodes):
        if node.op == "Placeholder":
            continue

        def mutant(changed: NodeDef, place: int = place) -> list[NodeDef]:
            return [*nodes[:place], changed, *nodes[place + 1 :]]

        copy = NodeDef.FromString(node.SerializeToString())
        if a_constant(copy, {}, random.Random(0)):
            yield f"constant {node.name}", mutant(copy)
        data = [i for i, text in enumerate(node.input) if text[0] != "^"]
        for one, other in itertools.pairwise(data):
            if node.input[one] != node.input[other] and node.op != "Merge":
                copy = NodeDef.FromString(node.SerializeToString())
                copy.input[one], copy.input[other] = node.input[other], node.input[one]
                yield f"inputs {one} and {other} of {node.name}", mutant(copy)
        if node.op in _OTHER_OPS:
            copy = NodeDef.FromString(node.SerializeToString())
            copy.op = _OTHER_OPS[node.op]
            yield f"op of {node.name}", mutant(copy)
        for key in node.attr.keys() - {"parallel_iterations"}:
            kind = node.attr[key].WhichOneof("value")
            copy = NodeDef.FromString(node.SerializeToString())
            value = copy.attr[key]
            if kind == "i":
                value.i += 1
            elif kind == "b":
                value.b = not value.b
            elif kind == "type":
                value.type = 2 if value.type != 2 else 10
            elif kind == "s":
                value.s += b"x"
            else:
                continue
            yield f"{key} of {node.name}", mutant(copy)


@pytest.mark.parametrize("name", GRAPHS)
def test_what_the_rewrite_makes_is_proved(name):
    graphs = _graphs(GRAPHS[name])
    assert graphs.proved(graphs.candidate)


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
def test_no_mutant_is_proved(name):
    graphs = _graphs(GRAPHS[name])
    mutants = list(_mutants(graphs.candidate))
    assert mutants
    some = mutants[:: 1 + len(mutants) // _MOST_MUTANTS]
    assert [what for what, mutant in some if graphs.proved(mutant)] == []


_COMPONENTS = next(name for name in GRAPHS if name.startswith("components "))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["beams", "resampler", _COMPONENTS])
def test_no_mutant_of_a_large_graph_is_proved(name):
    graphs = _graphs(GRAPHS[name])
    assert [what for what, mutant in _mutants(graphs.candidate) if graphs.proved(mutant)] == []


def test_each_op_that_is_taken_apart_is_in_some_graph():
    assert {op for op in EXPANDED if any(f"= {op}(" in text for text in GRAPHS.values())} == set(EXPANDED)


def test_boundaries_that_may_fall_are_checked():
    graphs = _graphs(GRAPHS["unsorted"])
    assert any(node.op == "Assert" for node in graphs.candidate)
    without = [
        NodeDef(name=node.name, op=node.op, input=[i for i in node.input if "check" not in i], attr=node.attr)
        for node in graphs.candidate
        if node.op != "Assert"
    ]
    assert not graphs.proved(without)


@pytest.mark.parametrize("op", EXPANDED)
@pytest.mark.parametrize("inputs", [0, 1, 3])
def test_a_node_without_its_attributes_is_no_failure(op, inputs):
    one, places = side(model("source", Shared(), [NodeDef(op=op, name="out", input=["x"] * inputs)]), ["out"])
    numbering.run(one, is_first=True)
    assert one.terms.doubtful(fetched(one, places[0]))


def _engine_of(mode: bytes, **attrs: object) -> list[NodeDef]:
    engine = made.node("TRTEngineOp", "out", "x", precision_mode=mode, **attrs)
    engine.attr["InT"].list.type.append(1)
    engine.attr["OutT"].list.type.append(1)
    return [made.node("Placeholder", "x", dtype="float32"), engine]


def _segment(op: str) -> FunctionDef:
    function = FunctionDef()
    function.signature.name = "segment"
    function.signature.input_arg.add(name="given", type=1)
    function.signature.output_arg.add(name="result", type=1)
    function.node_def.append(made.node(op, "inner", "given", T="float32"))
    function.ret["result"] = "inner:y:0"
    return function


def test_an_engine_is_the_function_that_it_was_made_of():
    called = AttrValue()
    called.func.name = "segment"
    candidate = [made.node("Placeholder", "x", dtype="float32"), made.node("Neg", "out", "x", T="float32")]
    forms = ({"segment_funcdef_name": b"segment"}, {"segment_func": called})
    for form in forms:
        assert compared(_engine_of(b"FP32", **form), candidate, functions=[_segment("Neg")]) == PROVED
        assert compared(_engine_of(b"FP32", **form), candidate, functions=[_segment("Exp")]) != PROVED
        assert compared(_engine_of(b"FP16", **form), candidate, functions=[_segment("Neg")]) != PROVED
    assert compared(_engine_of(b"FP32", segment_funcdef_name=b"gone"), candidate, functions=[_segment("Neg")]) != PROVED
