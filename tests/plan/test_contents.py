"""Resources whose content is read from the checkpoint: what becomes of them, and when they stay."""

from __future__ import annotations

import pytest

from migrate.errors import InputError
from migrate.graph.protos import MetaGraphDef, TensorProto
from migrate.plan.plan import make_plan
from tests.plan.graphs import meta_graph

TREES = """
x = Placeholder() dtype=int32 shape=(?)
t = BoostedTreesEnsembleResourceHandleOp() container='' shared_name='trees'
stamp = Const() dtype=int64 value=int64:0
none = Const() dtype=string value=string:''
create = BoostedTreesCreateEnsemble(t, stamp, none)
y = BoostedTreesPredict(t, x) logits_dimension=1 num_bucketized_features=1
"""
RESTORED = """
save/Const = Const() dtype=string value=string:'model'
save/names = Const() dtype=string value=string:['s', 'trees']
save/slices = Const() dtype=string value=string:['', '']
save/RestoreV2 = RestoreV2(save/Const, save/names, save/slices) dtypes=[int64, string]
save/fill = BoostedTreesDeserializeEnsemble(t, save/RestoreV2, save/RestoreV2:1, ^create)
save/restore_all = NoOp(^save/fill)
"""


OTHERS = [
    TREES + RESTORED.replace("'trees'", "'other'"),  # What the checkpoint does not have.
    TREES + RESTORED.replace("'', ''", "'', '3 0,1'"),  # A slice.
    TREES + RESTORED + "init = NoOp(^save/fill)\n",  # The init op fills it, too.
    TREES.replace("(t, x)", "(t, x, ^save/fill)") + RESTORED,  # So does a call.
    TREES.replace("(t, x)", "(t, x, ^create)") + RESTORED,
    TREES.replace("(t, x)", "(t, x, ^u)") + "u = BoostedTreesSerializeEnsemble(t)\n" + RESTORED,
    TREES,  # Nothing fills it.
    TREES + RESTORED.replace("save/RestoreV2:1", "both") + "both = StringJoin(save/RestoreV2:1) N=1\n",
    TREES
    + RESTORED.replace("^save/fill", "^save/fill, ^again")
    + "again = BoostedTreesDeserializeEnsemble(t, save/RestoreV2, save/RestoreV2:1, ^create)\n",
]
"""Graphs in which something else may be in the resource."""


ADDITIVE = """
x = Placeholder() dtype=float32 shape=(?, 1)
t = DecisionTreeEnsembleResourceHandleOp() container='' shared_name='trees'
stamp = Const() dtype=int64 value=int64:0
none = Const() dtype=string value=string:''
seed = Const() dtype=int64 value=int64:-1
create = CreateTreeEnsembleVariable(t, stamp, none)
now = TreeEnsembleStampToken(t)
stats = TreeEnsembleStats(t, now)
y = GradientTreesPrediction(t, seed, x, ^stats) apply_averaging=true apply_dropout=false center_bias=false \
learner_config='\x08\x02' num_dense_float_features=1 num_sparse_float_features=0 num_sparse_int_features=0 \
reduce_dim=true
z = Identity(now) T=int64
""".replace("\\\n", "")
ADDITIVE_RESTORED = RESTORED.replace("BoostedTreesDeserializeEnsemble", "TreeEnsembleDeserialize")
"""The same for tf.contrib's trees, of which a call asks for the stamp, too."""


def graph(text: str) -> MetaGraphDef:
    return meta_graph(text, s=({"x": "x:0"}, {"y": "y:0"}))


def tree(key: str) -> TensorProto:
    if key == "s":
        stamp = TensorProto(dtype=9, int64_val=[7])
        stamp.tensor_shape.SetInParent()
        return stamp
    if key != "trees":
        raise InputError(f"no {key}")
    proto = TensorProto(dtype=7, string_val=[b""])
    proto.tensor_shape.SetInParent()
    return proto


def _codes(text: str) -> set[str]:
    return {f.code for f in make_plan(graph(text), read=tree).findings}


def test_a_tree_of_the_checkpoint_is_a_constant_of_the_plan():
    made = graph(TREES + RESTORED)
    before = made.SerializeToString(deterministic=True)
    plan = make_plan(made, read=tree)
    assert not plan.refused
    (signature,) = plan.signatures
    assert signature.run.graph.nodes["y"].op == "Fill"
    assert plan.restore is not None and not plan.restore.findings
    assert made.SerializeToString(deterministic=True) == before


def test_without_a_checkpoint_it_is_not_known():
    assert {"restore-op-effect", "trees-unsound"} <= {f.code for f in make_plan(graph(TREES + RESTORED)).findings}


def test_a_tree_that_an_init_op_makes_of_a_constant_is_known():
    plan = make_plan(graph(TREES + "init = NoOp(^create)\n"), read=tree)
    assert not plan.refused
    assert plan.init is None  # Nothing is left to do.


@pytest.mark.parametrize("changed", OTHERS)
def test_what_else_may_be_in_it_makes_it_unknown(changed):
    assert "resource-content-unknown" in _codes(changed)


def test_two_handles_of_one_name_are_one_resource():
    other = "u = BoostedTreesEnsembleResourceHandleOp() container='' shared_name='trees'\n"
    assert not make_plan(graph(TREES.replace("Predict(t", "Predict(u") + other + RESTORED), read=tree).refused


def test_what_no_call_reads_is_left_out_of_the_restore_op():
    text = """
f = FertileStatsResourceHandleOp() container='' shared_name='f'
c = Const() dtype=string value=string:''
made = CreateFertileStatsVariable(f, c) params=''
"""
    saver = (
        RESTORED.replace("^save/fill)", "^save/fill, ^more)")
        + "more = FertileStatsDeserialize(f, save/RestoreV2:1, ^made)\n"
    )
    assert not make_plan(graph(TREES + text + saver), read=tree).refused
    used = TREES.replace("(t, x)", "(t, x, ^u)") + "u = FertileStatsSerialize(f)\n"
    assert "resource-content-unknown" in _codes(used + text + saver)


def test_boundaries_are_vectors_of_the_checkpoint():
    text = """
x = Placeholder() dtype=float32 shape=(?)
q = BoostedTreesQuantileStreamResourceHandleOp() container='' shared_name='q'
e = Const() dtype=float32 value=float32:0.1
n = Const() dtype=int64 value=int64:1
create = BoostedTreesCreateQuantileStreamResource(q, e, n)
b = BoostedTreesQuantileStreamResourceGetBucketBoundaries(q) num_features=1
y = AddV2(x, b) T=float32
"""
    saver = RESTORED.replace(
        "BoostedTreesDeserializeEnsemble(t, save/RestoreV2, save/RestoreV2:1",
        "BoostedTreesQuantileStreamResourceDeserialize(q, save/RestoreV2",
    )

    def read(key: str) -> TensorProto:
        proto = TensorProto(dtype=1, float_val=[1.0, 2.0])
        proto.tensor_shape.dim.add(size=2)
        return proto

    plan = make_plan(graph(text + saver), read=read)
    assert not plan.refused
    nodes = plan.signatures[0].run.graph.nodes
    assert nodes["b"].op == "IdentityN" and list(nodes["b/boundaries_0"].attr["value"].tensor.float_val) == [1.0, 2.0]


def test_the_stamp_of_additive_trees_is_the_checkpoints():
    made = meta_graph(ADDITIVE + ADDITIVE_RESTORED, s=({"x": "x:0"}, {"y": "y:0", "z": "z:0"}))
    plan = make_plan(made, read=tree)
    assert not plan.refused
    nodes = plan.signatures[0].run.graph.nodes
    assert list(nodes["now"].attr["value"].tensor.int64_val) == [7]
    assert (nodes["y"].op, nodes["stats"].op) == ("IdentityN", "IdentityN")
    assert plan.restore is not None and not plan.restore.findings


def test_a_stamp_that_is_no_number_of_64_bits_makes_it_unknown():
    def read(key: str) -> TensorProto:
        return tree("trees") if key == "s" else tree(key)

    made = meta_graph(ADDITIVE + ADDITIVE_RESTORED, s=({"x": "x:0"}, {"y": "y:0", "z": "z:0"}))
    assert "resource-content-unknown" in {finding.code for finding in make_plan(made, read=read).findings}


def test_a_call_that_fills_additive_trees_makes_them_unknown():
    made = meta_graph(
        ADDITIVE.replace("^stats", "^stats, ^save/fill") + ADDITIVE_RESTORED, s=({"x": "x:0"}, {"y": "y:0"})
    )
    assert "resource-content-unknown" in {finding.code for finding in make_plan(made, read=tree).findings}
