"""The recurrent networks of cuDNN, as loops over time.

A CudnnRNN takes its weights in one vector whose order only cuDNN knows. Where that vector was made of weights that are
known (`plan/cudnn.py`), the new graph has an order of its own: for each layer, and in it for each direction, the
weights of the input and those of the state; then all biases in the same order. The gates of each follow one another,
and the matrix of a gate has a row for each unit (contrib/cudnn_rnn/python/ops/cudnn_rnn_ops.py,
CudnnOpaqueParamsSaveable).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import attribute, control_inputs, data_inputs
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.loop_builder import LoopBuilder
from migrate.rewrite.new_nodes import BOOL, DT_RESOURCE, FLOAT, INT32, Edit, new_node
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope

LAYERS = "_migrate_layers"
"""Attribute with the number of layers of a node whose weights are known; `plan/cudnn.py` sets it."""

_INT8 = dtype_value("int8")
GATES = {b"lstm": 4, b"gru": 3, b"rnn_tanh": 1, b"rnn_relu": 1}
"""By rnn_mode. In order: input, forget, new memory and output; reset, update and new memory."""

_RESULTS = 3
"""Outputs that an inference uses: what each step gives, and the last h and c."""
_HINT = (
    "export the model with tf.contrib.cudnn_rnn.CudnnCompatible* cells, or keep serving it with TensorFlow 1 on a GPU"
)


def _recurrent(node: NodeDef, scope: Scope) -> Edit | Finding:
    """Layer by layer a loop over time in the equations of cuDNN's guide, which CudnnCompatible* cells compute, too.

    core/kernels/cudnn_rnn_ops.cc calls cuDNN; contrib/cudnn_rnn/python/ops/cudnn_rnn_ops.py has the cells.

    With W x + bW of the input and R h + bR of the state, lstm has i, f, o = sigmoid(W x + bW + R h + bR),
    c' = f * c + i * tanh(..) and h' = o * tanh(c'); gru has r, u = sigmoid(..), n = tanh(W x + bW + r * (R h + bR)) and
    h' = (1 - u) * n + u * h; the others have h' = tanh or relu of the sum. The second direction goes backwards, and its
    outputs are beside those of the first. Behind a sequence's length outputs are zero, and the state stays.
    """
    what = f"{scope.aliases.run.key}: {node.op} {node.name!r}"
    other = _other_form(node, scope)
    if other is not None:
        return refusal("cudnn-form", f"{what} {other}", (node.name,), _HINT)
    if LAYERS not in node.attr:
        why = "takes its weights in cuDNN's own order, which cuDNN alone knows: they come from no canonical weights"
        return refusal("cudnn-weights-opaque", f"{what} {why}", (node.name,), _HINT)
    return _Network(node, scope).edit()


def _other_form(node: NodeDef, scope: Scope) -> str | None:
    """What a node does that no loop in its place does; None where there is a loop."""
    if attribute(node, "num_proj").i:
        return "projects its state (num_proj)"
    if attribute(node, "rnn_mode").s not in GATES and "rnn_mode" in node.attr:
        return f"has the mode {attribute(node, 'rnn_mode').s.decode('utf-8', 'replace')!r}"
    if "input_mode" in node.attr and attribute(node, "input_mode").s != b"linear_input":
        return "may give the input to the first layer without weights (input_mode)"
    layers = attribute(node, LAYERS).i
    is_trained = attribute(node, "is_training").b if "is_training" in node.attr else True
    if is_trained and attribute(node, "dropout").f and layers > 1:
        return "drops values between its layers at random (dropout with is_training)"
    if "time_major" in node.attr and not node.attr["time_major"].b and layers * directions(node) > 1:
        return "has several states beside time_major=false, whose order its kernel confuses"
    graph = scope.aliases.run.graph
    used = {int(tensor.rpartition(":")[2]) for tensor in graph.consumers if tensor.rpartition(":")[0] == node.name}
    used |= {int(t.rpartition(":")[2]) for t in scope.aliases.run.fetches if t.rpartition(":")[0] == node.name}
    if any(number >= _RESULTS for number in used):
        return "gives what cuDNN reserves for training"
    return None


def directions(node: NodeDef) -> int:
    """In how many directions a network, or what its weights are put together for, goes over time."""
    return 2 if attribute(node, "direction").s == b"bidirectional" else 1


@frozen
class _Sizes:
    """Scalars of a call.

    Attributes:
      time: steps of the longest sequence.
      batch: sequences.
      units: of a state.
      rows: of a matrix: the units of all gates.
      lengths: vector with the steps of each sequence; empty where all are as long.
      waits: control inputs of what must come after the checks of the shapes.
    """

    time: str
    batch: str
    units: str
    rows: str
    lengths: str
    waits: tuple[str, ...]


class _Network:
    """The nodes of one CudnnRNN."""

    def __init__(self, node: NodeDef, scope: Scope) -> None:
        self._node, self._scope = node, scope
        self._dtype = attribute(node, "T").type
        self._mode = attribute(node, "rnn_mode").s or b"lstm"
        self._directions = directions(node)
        self._states = attribute(node, LAYERS).i * self._directions
        self._by_batch = "time_major" in node.attr and not node.attr["time_major"].b
        self._b = Builder(scope, node, T=self._dtype)

    def edit(self) -> Edit:
        """All nodes."""
        b = self._b
        given, h, params = b.value(0), b.value(1), b.value(3)
        beside = producer(given)
        given, h = b.shaped(given, "given", self._dtype, [-1] * 3), b.shaped(h, "h", self._dtype, [-1] * 3)
        if self._by_batch:
            given, h = self._swapped(given, "given_by_time", beside), self._swapped(h, "h_by_time", beside)
        shape = b.Shape(given, T=self._dtype, out_type=INT32)
        dims = b.node("Unpack", [shape], "dims", {"num": 3}, T=INT32)
        sizes, cells = self._sizes(dims, h, beside)
        states = b.node("Unpack", [h], "states", {"num": self._states})
        weights = self._weights(params, f"{dims}:2", sizes, beside)
        results, last = given, []
        for layer in range(self._states // self._directions):
            outputs = []
            for direction in range(self._directions):
                place = layer * self._directions + direction
                start = [_at(tensor, place) for tensor in (states, cells) if tensor]
                cell = _Cell(self._node, self._scope, self._mode, place, sizes, is_backward=bool(direction))
                taken = [_at(weights, 2 * (k * self._states + place) + n) for k in range(2) for n in range(2)]
                output, ends = cell.run(results, self._width(layer, f"{dims}:2", sizes, beside), taken, start)
                b.nodes += cell.nodes
                outputs.append(output)
                last.append(ends)
            results = outputs[0]
            if self._directions > 1:
                axis = b.constant(f"along_units_{layer}", 2, beside)
                both = [*outputs, axis]
                results = b.node("ConcatV2", both, f"layer_{layer}", {"N": 2}, T=self._dtype, Tidx=INT32)
        return self._edit(results, last, beside)

    def _swapped(self, tensor: str, name: str, beside: str) -> str:
        perm = self._b.constant(f"{name}_perm", [1, 0, 2], beside)
        return self._b.Transpose(tensor, perm, name=name, T=self._dtype, Tperm=INT32)

    def _sizes(self, dims: str, h: str, beside: str) -> tuple[_Sizes, str]:
        """The sizes of the call, and the cells' states; other shapes than the kernel takes are an error."""
        b = self._b
        shape = b.Shape(h, name="h_shape", T=self._dtype, out_type=INT32)
        units = f"{b.node('Unpack', [shape], 'h_dims', {'num': 3}, T=INT32)}:2"
        count = b.constant("count", self._states, beside)
        wanted = b.node("Pack", [count, f"{dims}:1", units], "wanted", {"N": 3}, T=INT32)
        checks = [b.all_hold("h_check", b.Equal(shape, wanted, name="h_fits", T=INT32), b"Invalid input_h shape")]
        cells = lengths = ""
        if self._mode == b"lstm":
            c = b.shaped(b.value(2), "c", self._dtype, [-1] * 3)
            if self._by_batch:
                c = self._swapped(c, "c_by_time", beside)
            same = b.Equal(shape, b.Shape(c, name="c_shape", T=self._dtype, out_type=INT32), name="c_fits", T=INT32)
            checks.append(b.all_hold("c_check", same, b"input_h and input_c must have the same shape"))
            cells = b.node("Unpack", [c], "cells", {"num": self._states})
        if len(data_inputs(self._node)) > _LENGTHS:
            lengths = b.shaped(b.value(_LENGTHS), "lengths", INT32, [-1])
        rows = b.Mul(b.constant("gates", GATES[self._mode], beside), units, name="rows", T=INT32)
        waits = tuple(f"^{check}" for check in checks)
        return _Sizes(dims, f"{dims}:1", units, rows, lengths, waits), cells

    def _width(self, layer: int, given: str, sizes: _Sizes, beside: str) -> str:
        """How many values a layer takes for each step of a sequence."""
        if not layer:
            return given
        if self._directions == 1:
            return sizes.units
        two = self._b.constant("directions", self._directions, beside)
        return self._b.Mul(two, sizes.units, name="width", T=INT32)

    def _weights(self, params: str, given: str, sizes: _Sizes, beside: str) -> str:
        """The node that gives all parts of the weights: those of the input and the state, then their biases."""
        b = self._b
        parts = []
        for place in range(self._states):
            width = self._width(place // self._directions, given, sizes, beside)
            for name, columns in (("input", width), ("state", sizes.units)):
                parts.append(b.Mul(sizes.rows, columns, name=f"{name}_weights_{place}", T=INT32))
        parts += [sizes.rows] * (2 * self._states)
        count = len(parts)
        packed = b.node("Pack", parts, "sizes", {"N": count}, T=INT32)
        vector = b.shaped(params, "params", self._dtype, [-1])
        axis = b.constant("along_params", 0, beside)
        ints = {"num_split": count}
        return b.node("SplitV", [vector, packed, axis, *sizes.waits], "weights", ints, T=self._dtype, Tlen=INT32)

    def _edit(self, results: str, last: Sequence[Sequence[str]], beside: str) -> Edit:
        b = self._b
        columns = enumerate(zip(*last, strict=True))
        ends = [b.node("Pack", each, f"last_{n}", {"N": self._states}) for n, each in columns]
        if self._by_batch:
            results = self._swapped(results, "results_by_batch", beside)
            ends = [self._swapped(end, f"{end.rpartition('/')[2]}_by_batch", beside) for end in ends]
        # Of what an inference does not use the kernel gives one value that nothing says.
        unused = b.typed("unused", 0.0, self._dtype, beside)
        outputs, dtypes = [results, *ends], [self._dtype] * _ALL_OUTPUTS[self._node.op]
        outputs += [unused] * (len(dtypes) - len(outputs))
        if len(dtypes) > _RESULTS + 1:
            dtypes[-1] = _INT8
            outputs[-1] = b.Cast(unused, name="unused_bytes", SrcT=self._dtype, DstT=_INT8)
        result = NodeDef(name=self._node.name, op="IdentityN", input=outputs)
        result.input.extend(f"^{name}" for name in control_inputs(self._node))
        result.attr["T"].list.type.extend(dtypes)
        return b.edit(result)


def _at(node: str, number: int) -> str:
    return f"{node}:{number}" if number else node


class _Cell:
    """The loop of one layer in one direction.

    Attributes:
      nodes: what it is made of.
    """

    def __init__(
        self, node: NodeDef, scope: Scope, mode: bytes, place: int, sizes: _Sizes, *, is_backward: bool
    ) -> None:
        self._dtype = attribute(node, "T").type
        self._frame = f"{node.name}/cell_{place}/over_time"
        self._b = Builder(scope, node, f"{node.name}/cell_{place}", T=self._dtype)
        self._controls = [f"^{name}" for name in control_inputs(node)]
        self._mode, self._sizes, self._is_backward = mode, sizes, is_backward
        self.nodes = self._b.nodes

    def run(self, given: str, width: str, weights: Sequence[str], start: Sequence[str]) -> tuple[str, Sequence[str]]:
        """What each step gives, and the last states.

        Args:
          given: a matrix for each step.
          width: its columns.
          weights: of the input and the state, then the biases of both.
          start: the states before the first step.
        """
        b, sizes = self._b, self._sizes
        beside = producer(weights[0])
        if self._is_backward:
            given = self._reversed(given, "given", beside)
        zero, one, open_size = (b.constant(name, n, beside) for name, n in (("zero", 0), ("one", 1), ("any", -1)))
        by_row = b.node("Pack", [open_size, width], "by_row", {"N": 2}, T=INT32)
        flat = b.Reshape(given, by_row, name="flat", T=self._dtype, Tshape=INT32)
        form = b.node("Pack", [sizes.rows, width], "input_form", {"N": 2}, T=INT32)
        matrix = b.Reshape(weights[0], form, name="input_weights", T=self._dtype, Tshape=INT32)
        summed = b.AddV2(self._product(flat, matrix, "input"), weights[2], name="input_sums")
        form = b.node("Pack", [sizes.time, sizes.batch, sizes.rows], "sums_form", {"N": 3}, T=INT32)
        summed = b.Reshape(summed, form, name="sums", T=self._dtype, Tshape=INT32)
        form = b.node("Pack", [sizes.rows, sizes.units], "state_form", {"N": 2}, T=INT32)
        matrix = b.Reshape(weights[1], form, name="state_weights", T=self._dtype, Tshape=INT32)
        steps = b.Range(zero, sizes.time, one, name="steps", Tidx=INT32)
        taken = self._array("taken", beside)
        filled = b.TensorArrayScatterV3(taken, steps, summed, f"{taken}:1", name="taken_filled", T=self._dtype)
        made = self._array("made", beside)
        loop = LoopBuilder(b, self._frame, self._controls)
        fixed = loop.constants(
            {
                "limit": (sizes.time, INT32),
                "matrix": (matrix, self._dtype),
                "bias": (weights[3], self._dtype),
                "taken": (taken, DT_RESOURCE),
                "taken_flow": (filled, FLOAT),
                "made": (made, DT_RESOURCE),
                **({"lengths": (sizes.lengths, INT32)} if sizes.lengths else {}),
            }
        )
        first = {"step": (zero, INT32), "flow": (f"{made}:1", FLOAT), "h": (start[0], self._dtype)}
        if len(start) > 1:
            first["c"] = (start[1], self._dtype)
        is_left = b.Less(loop.merged(first)["step"], fixed["limit"], name="is_left", T=INT32)
        ends = loop.left(self._step(loop.inside(is_left), fixed))
        output = b.TensorArrayGatherV3(made, steps, ends["flow"], name="outputs", dtype=self._dtype)
        b.nodes[-1].attr["element_shape"].shape.unknown_rank = True
        if self._is_backward:
            output = self._reversed(output, "outputs", beside)
        return output, [ends[name] for name in ("h", "c")[: len(start)]]

    def _array(self, name: str, beside: str) -> str:
        b = self._b
        size = b.Identity(self._sizes.time, f"^{beside}", name=f"{name}_size", T=INT32)
        node = new_node("TensorArrayV3", b.name(name), [size], dtype=self._dtype)
        node.attr["element_shape"].shape.unknown_rank = True
        node.attr["clear_after_read"].b = True
        node.attr["identical_element_shapes"].b = True
        node.attr["tensor_array_name"].s = node.name.encode()
        return b.add(node)

    def _reversed(self, tensor: str, name: str, beside: str) -> str:
        """The steps in the other order, of each sequence as many as it has."""
        b, lengths = self._b, self._sizes.lengths
        if not lengths:
            axis = b.constant(f"{name}_axis", [0], beside)
            return b.ReverseV2(tensor, axis, name=f"{name}_reversed", T=self._dtype, Tidx=INT32)
        ints = {"seq_dim": 0, "batch_dim": 1}
        return b.node("ReverseSequence", [tensor, lengths], f"{name}_reversed", ints, T=self._dtype, Tlen=INT32)

    def _product(self, vectors: str, matrix: str, name: str) -> str:
        made = new_node("MatMul", self._b.name(f"{name}_product"), [vectors, matrix], T=self._dtype)
        made.attr["transpose_b"].b = True
        return self._b.add(made)

    def _split(self, tensor: str, axis: str, name: str) -> list[str]:
        count = GATES[self._mode]
        made = self._b.node("Split", [axis, tensor], name, {"num_split": count})
        return [_at(made, n) for n in range(count)]

    def _step(self, now: Mapping[str, str], fixed: Mapping[str, str]) -> dict[str, str]:
        """The states after a step."""
        b, step, h = self._b, now["step"], now["h"]
        one = b.constant("next", 1, step)
        given = b.TensorArrayReadV3(fixed["taken"], step, fixed["taken_flow"], name="sums_now", dtype=self._dtype)
        state = b.AddV2(self._product(h, fixed["matrix"], "state"), fixed["bias"], name="state_sums")
        new_c = ""
        if self._mode == b"lstm":
            i, f, new, o = self._split(b.AddV2(given, state, name="gate_sums"), one, "gates")
            kept = b.Mul(b.Sigmoid(f, name="forget"), now["c"], name="kept")
            added = b.Mul(b.Sigmoid(i, name="input"), b.Tanh(new, name="new"), name="added")
            new_c = b.AddV2(kept, added, name="new_c")
            new_h = b.Mul(b.Sigmoid(o, name="output"), b.Tanh(new_c, name="of_c"), name="new_h")
        elif self._mode == b"gru":
            sums = zip(self._split(given, one, "input_gates"), self._split(state, one, "state_gates"), strict=True)
            (reset, state_reset), (update, state_update), (new, state_new) = sums
            r = b.Sigmoid(b.AddV2(reset, state_reset, name="reset_sum"), name="reset")
            u = b.Sigmoid(b.AddV2(update, state_update, name="update_sum"), name="update")
            n = b.Tanh(b.AddV2(new, b.Mul(r, state_new, name="of_state"), name="new_sum"), name="new")
            whole = b.typed("whole", 1.0, self._dtype, step)
            mine = b.Mul(b.Sub(whole, u, name="rest"), n, name="mine")
            new_h = b.AddV2(mine, b.Mul(u, h, name="kept"), name="new_h")
        else:
            total = b.AddV2(given, state, name="sum")
            new_h = (b.Tanh if self._mode == b"rnn_tanh" else b.Relu)(total, name="new_h")
        output = new_h
        if "lengths" in fixed:
            is_on = b.Less(step, fixed["lengths"], name="is_on", T=INT32)
            is_on = b.ExpandDims(is_on, one, name="is_on_column", T=BOOL, Tdim=INT32)
            nothing = b.typed("nothing", 0.0, self._dtype, step)
            output = b.SelectV2(is_on, new_h, nothing, name="output_now")
            new_h = b.SelectV2(is_on, new_h, h, name="next_h")
            new_c = new_c and b.SelectV2(is_on, new_c, now["c"], name="next_c")
        after = {
            "step": b.AddV2(step, one, name="next_step", T=INT32),
            "flow": b.TensorArrayWriteV3(fixed["made"], step, output, now["flow"], name="write", T=self._dtype),
            "h": new_h,
        }
        return {**after, "c": new_c} if new_c else after


_LENGTHS = 4
"""Position of the lengths of CudnnRNNV3."""
_ALL_OUTPUTS = {"CudnnRNN": 4, "CudnnRNNV2": 5, "CudnnRNNV3": 5}
RECURRENT = Rule("recurrent", {name: Op(fewest=4) for name in _ALL_OUTPUTS}, _recurrent)
