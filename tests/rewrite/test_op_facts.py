from __future__ import annotations

import pytest

from migrate.rewrite.op_facts import EVERY, Gives, Op, OpFacts


@pytest.mark.parametrize(
    ("refs", "inputs", "taken"),
    [
        (range(0), 3, []),
        (range(1), 3, [0]),
        (range(2), 1, [0]),
        (range(1, EVERY), 4, [1, 2, 3]),
        (range(1, EVERY), 1, []),
    ],
)
def test_the_refs_that_a_node_has(refs, inputs, taken):
    assert list(Op(refs=refs).taken(inputs)) == taken


def test_the_ops_that_give_a_ref_of_their_own_and_those_that_write():
    facts = OpFacts({"Variable": Op(gives=Gives.VARIABLE), "Assign": Op(writes=True, gives=Gives.REF), "Neg": Op()})
    assert (facts.sources, facts.writers) == ({"Variable"}, {"Assign"})
