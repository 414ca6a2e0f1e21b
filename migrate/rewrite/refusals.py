"""Ref ops that no rule claims, and why: a law of TensorFlow's, not a lack of work."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.frozen import frozen


@frozen
class Refused:
    """Why an op cannot be rewritten, and the ops that work on what it makes, which cannot for the same reason."""

    reason: str
    users: tuple[str, ...] = ()


REFUSED: Mapping[str, Refused] = {
    "Barrier": Refused(
        "a barrier's handle is a string that its kernels look up; TensorFlow has no resource form of it",
        tuple(f"Barrier{name}" for name in ("Close", "IncompleteSize", "InsertMany", "ReadySize", "TakeMany")),
    ),
    "LMDBReader": Refused(
        "LMDB support is removed from TensorFlow: its kernel fails, in a v1 Session too (lmdb_reader_op.cc)"
    ),
    "MutableDenseHashTable": Refused(
        "its kernel asks for the input deleted_key, which the op does not have, so that it fails in every TensorFlow "
        "since 1.13, in a v1 Session too (lookup_table_op.cc)"
    ),
    "NegTrain": Refused(
        "it draws its negative samples inside the kernel, which takes refs only; nothing else draws the same"
    ),
    "SparseConditionalAccumulator": Refused(
        "TensorFlow has no resource form of it (sparse_conditional_accumulator_op.cc)",
        ("SparseAccumulatorApplyGradient", "SparseAccumulatorTakeGradient"),
    ),
}

MADE_BY: Mapping[str, str] = {user: maker for maker, refused in REFUSED.items() for user in refused.users}
"""The op that makes what such a user works on."""

TEST_OPS = frozenset(
    {
        "RefIn", "RefInputFloatInput", "RefInputFloatInputIntOutput", "RefInputIntInput", "RefOut", "RefOutput",
        "RefOutputFloatOutput", "TwoRefsIn",
    }
)  # fmt: skip
"""Ref ops that TensorFlow registers for its own unit tests."""


def why_refused(op: str) -> str:
    """Why no rule claims a ref op, as the rest of a sentence."""
    if op in MADE_BY:
        return f"it works on a {MADE_BY[op]}, and {REFUSED[MADE_BY[op]].reason}"
    return REFUSED[op].reason if op in REFUSED else "it is new to this tool, which knows no rule for it"
