"""ImageConnectedComponents of tf.contrib.image: pixels that are neighbours and have the same value."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrate.graph.graph import attribute, control_inputs
from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import BOOL, INT32, INT64, Edit, new_node
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope


def _components(node: NodeDef, scope: Scope) -> Edit:
    """1 + the number of the pixel that is its component's root, and 0 for a pixel that is zero.

    contrib/image/kernels/segmentation_ops.h: blocks of 2, 4, 8, .. pixels are each put together of four. First the
    pixels on both sides of the vertical seam are joined, from the top down, then those of the horizontal one, from the
    left. Of two roots the one with the lower rank stays one, and of two with one rank the second, whose rank rises. No
    block touches another, so the n-th pairs of all blocks are joined in one step.
    """
    b = Builder(scope, node, T=INT64)
    dtype = attribute(node, "dtype").type
    images = b.shaped(b.value(0), "images", dtype, [-1] * 3)
    beside = producer(images)
    zero, one, two = (b.constant(f"n{k}", k, beside, dtype=INT64) for k in range(3))
    vector, stack = b.constant("vector", [-1], beside), b.constant("stack", [-1, 1, 1], beside)
    shape = b.Shape(images, T=dtype, out_type=INT64)
    sizes = b.node("Unpack", [shape], "sizes", {"num": 3})
    pages, height, width = sizes, f"{sizes}:1", f"{sizes}:2"
    flat = b.Reshape(images, vector, name="flat", T=dtype, Tshape=INT32)
    is_some = b.NotEqual(flat, b.ZerosLike(flat, name="nothing", T=dtype), name="is_some", T=dtype)
    count = b.Size(images, T=dtype, out_type=INT64)
    order = b.Range(zero, count, one, name="order", Tidx=INT64)
    every = b.Range(zero, b.AddV2(count, one, name="more"), one, name="every", Tidx=INT64)
    plane = b.Mul(height, width, name="plane")
    starts = b.Mul(b.Range(zero, pages, one, name="numbers", Tidx=INT64), plane, name="places")
    side = b.Minimum(b.Maximum(height, width, name="longest"), count, name="side")
    loop = _Loop(
        b,
        node,
        {
            "flat": (flat, dtype),
            "some": (is_some, BOOL),
            "every": (every, INT64),
            "nobody": (count, INT64),
            "height": (height, INT64),
            "width": (width, INT64),
            "starts": (b.Reshape(starts, stack, name="starts", T=INT64, Tshape=INT32), INT64),
            "end": (b.Mul(side, two, name="end"), INT64),
        },
        {"size": two, "step": zero, "roots": order, "ranks": b.ZerosLike(every, name="ranks")},
    )
    roots = loop.run(
        lambda state: b.Less(state["size"], loop.fixed["end"], name="is_left"),
        lambda s: _joined(b, loop.fixed, dtype, s),
        "roots",
    )
    numbers = b.SelectV2(is_some, b.AddV2(roots, one, name="number"), zero, name="numbered")
    last = NodeDef(name=node.name, op="Reshape", input=[numbers, shape])
    last.input.extend(name for name in node.input if name.startswith("^"))
    last.attr["T"].type = last.attr["Tshape"].type = INT64
    return b.edit(last)


def _joined(b: Builder, fixed: Mapping[str, str], dtype: int, state: Mapping[str, str]) -> Mapping[str, str]:
    """The state after one pair of pixels of each block."""
    size, step, roots, ranks = (state[name] for name in ("size", "step", "roots", "ranks"))
    zero, one, two = (b.constant(f"in_{k}", k, size, dtype=INT64) for k in range(3))
    axis, last = b.constant("axis", 0, size), b.constant("last", -1, size)
    vector = b.constant("in_vector", [-1], size)
    before = b.Sub(b.FloorDiv(size, two, name="half"), one, name="before")
    is_right = b.Less(step, size, name="is_right")
    right, down = b.SelectV2(is_right, one, zero, name="right"), b.SelectV2(is_right, zero, one, name="down")
    top = b.SelectV2(is_right, step, before, name="top")
    left = b.SelectV2(is_right, before, b.Sub(step, size, name="along"), name="left")
    lines = []
    for name, first, length, beyond in (("rows", top, "height", down), ("columns", left, "width", right)):
        end = b.Maximum(first, b.Sub(fixed[length], beyond, name=f"{name}_end"), name=f"{name}_limit")
        lines.append(b.Range(first, end, size, name=name, Tidx=INT64))
    line = b.ExpandDims(b.Mul(lines[0], fixed["width"], name="line"), last, name="lines", T=INT64, Tdim=INT32)
    page = b.AddV2(line, lines[1], name="on_page")
    at = b.Reshape(b.AddV2(page, fixed["starts"], name="at_all"), vector, name="at", T=INT64, Tshape=INT32)
    other = b.AddV2(at, b.AddV2(b.Mul(down, fixed["width"], name="below"), right, name="away"), name="other")

    def found(name: str, table: str, place: str, kind: int) -> str:
        return b.GatherV2(table, place, axis, name=name, Tparams=kind, Tindices=INT64, Taxis=INT32)

    pixels = (found("pixel", fixed["flat"], at, dtype), found("neighbour", fixed["flat"], other, dtype))
    is_same = b.Equal(*pixels, name="is_same", T=dtype)
    first, second = found("first", roots, at, INT64), found("second", roots, other, INT64)
    conditions = [found("is_pixel", fixed["some"], at, BOOL), is_same]
    both = b.add(new_node("LogicalAnd", b.name("both"), conditions))
    joins = b.add(new_node("LogicalAnd", b.name("joins"), [both, b.NotEqual(first, second, name="is_apart")]))
    lower = b.Less(
        found("first_rank", ranks, first, INT64), found("second_rank", ranks, second, INT64), name="is_lower"
    )
    parent = b.SelectV2(lower, first, second, name="parent")
    child = b.SelectV2(lower, second, first, name="child")
    parents, children = (
        b.SelectV2(joins, tensor, fixed["nobody"], name=f"{name}_or_none")
        for name, tensor in (("parent", parent), ("child", child))
    )
    parent_rows, child_rows = (
        b.ExpandDims(tensor, last, name=f"{name}_rows", T=INT64, Tdim=INT32)
        for name, tensor in (("parent", parents), ("child", children))
    )
    is_not = b.add(new_node("LogicalNot", b.name("is_not_lower"), [lower]))
    rises = b.Cast(is_not, name="rises", SrcT=BOOL, DstT=INT64)
    moved = b.TensorScatterUpdate(fixed["every"], child_rows, parents, name="moved", T=INT64, Tindices=INT64)
    after, double = b.AddV2(step, one, name="after"), b.Mul(size, two, name="double")
    is_done = b.Equal(after, double, name="is_done")
    return {
        "size": b.SelectV2(is_done, double, size, name="next_size"),
        "step": b.SelectV2(is_done, zero, after, name="next_step"),
        "roots": found("next_roots", moved, roots, INT64),
        "ranks": b.TensorScatterAdd(ranks, parent_rows, rises, name="next_ranks", T=INT64, Tindices=INT64),
    }


class _Loop:
    """A while loop.

    Attributes:
      fixed: what is the same in each round, by its name.
    """

    def __init__(
        self, b: Builder, node: NodeDef, fixed: Mapping[str, tuple[str, int]], state: Mapping[str, str]
    ) -> None:
        """Enters the loop with some tensors: those that stay, with their dtypes, and the state, which is int64."""
        self._b, self._node = b, node
        self.fixed = {name: self._entered(name, tensor, dtype, stays=True) for name, (tensor, dtype) in fixed.items()}
        self._entries = {name: self._entered(name, tensor, INT64, stays=False) for name, tensor in state.items()}

    def _entered(self, name: str, tensor: str, dtype: int, *, stays: bool) -> str:
        waits = [f"^{name}" for name in control_inputs(self._node)]
        made = new_node("Enter", self._b.name(f"{name}_enter"), [tensor, *waits], T=dtype)
        made.attr["frame_name"].s = f"{self._node.name}/blocks".encode()
        made.attr["is_constant"].b = stays
        made.attr["parallel_iterations"].i = 10
        return self._b.add(made)

    def run(
        self,
        goes_on: Callable[[Mapping[str, str]], str],
        step: Callable[[Mapping[str, str]], Mapping[str, str]],
        result: str,
    ) -> str:
        """The last value of one part of the state."""
        b = self._b
        merges = {
            name: b.node("Merge", [entry, b.name(f"{name}_next")], f"{name}_merge", {"N": 2})
            for name, entry in self._entries.items()
        }
        going = b.add(new_node("LoopCond", b.name("going"), [goes_on(merges)]))
        switches = {name: b.Switch(merge, going, name=f"{name}_switch") for name, merge in merges.items()}
        now = {name: b.Identity(f"{switch}:1", name=f"{name}_now") for name, switch in switches.items()}
        for name, tensor in step(now).items():
            b.NextIteration(tensor, name=f"{name}_next")
        return b.Exit(switches[result], name=f"{result}_exit")


COMPONENTS = Rule("components", {"ImageConnectedComponents": Op()}, _components)
