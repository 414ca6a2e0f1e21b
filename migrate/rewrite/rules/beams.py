"""GatherTree of tf.contrib.seq2seq, which follows beams back through their parents."""

from __future__ import annotations

from migrate.graph.graph import control_inputs, data_inputs
from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.loop_builder import SHORT, LoopBuilder
from migrate.rewrite.new_nodes import BOOL, INT32, Edit, new_node, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope

_WITHOUT_END = 3
"""Inputs in TensorFlow 1.4 and before, which had a length for each beam and no end_token."""


def _gather_tree(node: NodeDef, scope: Scope) -> Edit:
    """From each beam's last step back to the first, the step of the beam that the parents lead to.

    contrib/seq2seq/kernels/beam_search_ops.cc: up to TF 1.4 what is behind a beam's length is -1; since then it is
    end_token, and so is all that follows an end_token. A parent that is no beam is an error.
    """
    b = Builder(scope, node, T=INT32)
    is_old = len(data_inputs(node)) == _WITHOUT_END
    steps, parents, given = b.value(0), b.value(1), b.value(2)
    steps = b.shaped(steps, "steps", INT32, [-1] * 3)
    parents = b.shaped(parents, "parents", INT32, [-1] * 3)
    beside = producer(steps)
    fill = b.constant("fill", -1, beside) if is_old else b.shaped(b.value(3), "end", INT32)
    lengths = b.shaped(given, "lengths", INT32, [-1] * (2 if is_old else 1))
    zero, one = b.constant("zero", 0, beside), b.constant("one", 1, beside)
    shape = b.Shape(steps, T=INT32, out_type=INT32)
    sizes = b.node("Unpack", [shape], "sizes", {"num": 3}, T=INT32)
    time, batch, width = sizes, f"{sizes}:1", f"{sizes}:2"
    same = b.Equal(shape, b.Shape(parents, name="parents_shape", T=INT32, out_type=INT32), name="same")
    parts = [batch, width] if is_old else [batch]
    wanted = b.node("Pack", parts, "wanted", {"N": len(parts)}, T=INT32)
    fits = b.Equal(wanted, b.Shape(lengths, name="lengths_shape", T=INT32, out_type=INT32), name="fits")
    checks = (
        b.all_hold("shapes_check", same, b"step_ids.shape must match parent_ids.shape"),
        b.all_hold("lengths_check", fits, b"batch size dimensions of step_ids and the sequence lengths must match"),
    )
    if not is_old:
        lengths = b.ExpandDims(b.Minimum(lengths, time, name="shorter"), one, name="by_batch", T=INT32, Tdim=INT32)
    grid = b.node("Pack", [batch, width], "grid", {"N": 2}, T=INT32)
    own = b.BroadcastTo(b.Range(zero, width, one, Tidx=INT32), grid, name="own", T=INT32, Tidx=INT32)
    filled = b.Fill(shape, fill, *(f"^{check}" for check in checks), name="filled", T=INT32, index_type=INT32)
    # No step at all where there is no beam.
    count = b.Minimum(time, b.Size(steps, T=INT32, out_type=INT32), name="count")
    beams = _followed(b, node, steps, parents, lengths, own, filled, b.Sub(count, one, name="last"))
    if is_old:
        return b.edit(replaced(node, "Identity", [beams]))
    ended = b.Cast(b.Equal(beams, fill, name="ends"), name="ended", SrcT=BOOL, DstT=INT32)
    before = new_node("Cumsum", b.name("before"), [ended, zero], T=INT32, Tidx=INT32)
    before.attr["exclusive"].b = True
    is_over = b.Greater(b.add(before), zero, name="is_over")
    return b.edit(replaced(node, "SelectV2", [is_over, fill, beams]))


def _followed(
    b: Builder, node: NodeDef, steps: str, parents: str, lengths: str, own: str, filled: str, last: str
) -> str:
    """The loop from the last step to the first; gives the beams."""
    loop = LoopBuilder(b, f"{node.name}/beams", [f"^{name}" for name in control_inputs(node)], SHORT)
    fixed = loop.constants({"steps": (steps, INT32), "parents": (parents, INT32), "lengths": (lengths, INT32)})
    merged = loop.merged({"level": (last, INT32), "at": (own, INT32), "beams": (filled, INT32)})
    least = b.constant("least", 0, merged["level"])
    now = loop.inside(b.GreaterEqual(merged["level"], least, name="is_left", T=INT32))
    level, at, beams = now["level"], now["at"], now["beams"]
    axis, row = b.constant("axis", 0, level), b.constant("row", 1, level)
    found = {}
    for name in ("steps", "parents"):
        here = b.GatherV2(fixed[name], level, axis, name=f"{name}_now", Tparams=INT32, Tindices=INT32, Taxis=INT32)
        found[name] = b.node(
            "GatherV2", [here, at, row], f"{name}_found", {"batch_dims": 1}, Tparams=INT32, Tindices=INT32, Taxis=INT32
        )
    is_in = b.Less(level, fixed["lengths"], name="is_in", T=INT32)
    old = b.GatherV2(beams, level, axis, name="old", Tparams=INT32, Tindices=INT32, Taxis=INT32)
    chosen = b.SelectV2(is_in, found["steps"], old, name="chosen", T=INT32)
    place = b.Reshape(level, b.constant("place_shape", [1, 1], level), name="place", T=INT32, Tshape=INT32)
    update = b.ExpandDims(chosen, axis, name="update", T=INT32, Tdim=INT32)
    after = {
        "level": b.Sub(level, row, name="level_less", T=INT32),
        "at": b.SelectV2(is_in, found["parents"], at, name="at_parent", T=INT32),
        "beams": b.TensorScatterUpdate(beams, place, update, name="beams_set", T=INT32, Tindices=INT32),
    }
    return loop.left(after, ["beams"])["beams"]


GATHER_TREE = Rule("gather_tree", {"GatherTree": Op(fewest=_WITHOUT_END)}, _gather_tree)
