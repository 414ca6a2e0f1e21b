from __future__ import annotations

from migrate.graph.op_table import load_ref_ops
from migrate.rewrite.refusals import MADE_BY, REFUSED, TEST_OPS, why_refused


def test_every_refusal_is_of_an_op_that_is_there():
    assert load_ref_ops().issuperset({*REFUSED, *MADE_BY, *TEST_OPS})
    assert len(TEST_OPS) == 8


def test_each_user_is_known_by_what_makes_its_handle():
    assert MADE_BY["BarrierTakeMany"] == "Barrier" and len(MADE_BY) == 7
    assert REFUSED.keys() >= set(MADE_BY.values())
    assert not REFUSED.keys() & MADE_BY.keys()


def test_why_refused():
    assert why_refused("NegTrain") == REFUSED["NegTrain"].reason
    assert "SparseConditionalAccumulator, and TensorFlow has no" in why_refused("SparseAccumulatorTakeGradient")
    assert why_refused("Unheard").startswith("it is new")
