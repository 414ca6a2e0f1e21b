"""What a graph does with the values of an input: which numbers it compares them with, and what they index."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from migrate.frozen import frozen
from migrate.graph.dtypes import base_name
from migrate.graph.op_table import may_call
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef, TensorProto
from migrate.verify import dtypes


@frozen
class Uses:
    """What is known of an input's values.

    Attributes:
      rows: how many values may index something, one number for each thing that is indexed: a table of embeddings has as
        many rows. In ascending order.
      constants: the numbers that the graph compares the input with, in the input's own terms: where it compares
        `x * 2` with 10, that is 5. In ascending order.
      reduced: whether some of the comparisons are of a sum, a mean or an extreme of several values.
      is_index: every use of the values is known, and none is a size or a number of steps: any integer may be given.
      is_bounded: the values may become a size or a number of steps, so that a large one may take all time or memory.
      is_length: the values say how much of another input counts.
      multiples: sizes of which the number of values must be a multiple.
    """

    rows: tuple[int, ...] = ()
    constants: tuple[float, ...] = ()
    reduced: bool = False
    is_index: bool = False
    is_bounded: bool = False
    is_length: bool = False
    multiples: tuple[int, ...] = ()


# The values of one argument are values of the output, or of every output (array_ops.cc, control_flow_ops.cc).
# fmt: off
_PASSES: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(
        [
            "Identity", "Reshape", "ExpandDims", "Squeeze", "Cast", "StridedSlice", "Slice", "Switch", "RefSwitch",
            "Enter", "RefEnter", "Exit", "NextIteration", "Transpose", "Tile", "SplitV", "Unpack", "Unstack", "Gather",
            "GatherV2", "GatherNd", "Unique", "UniqueV2", "DynamicPartition", "BroadcastTo", "StopGradient",
            "PreventGradient", "EnsureShape", "PlaceholderWithDefault", "Pad", "PadV2", "MirrorPad", "ReverseV2",
            "Snapshot", "Print", "CheckNumerics", "Round", "Floor", "Ceil", "Rint", "Relu", "Relu6", "Abs", "TopKV2",
            "OptimizationBarrier", "Where",
        ],
        (0,),
    ),
    **dict.fromkeys(["Split", "SparseReorder", "SparseFillEmptyRows"], (1,)),
    **dict.fromkeys(["Select", "SelectV2"], (1, 2)),
    "SparseToDense": (2,),
}
_PASSES_ALL = frozenset(
    ["Merge", "RefMerge", "Pack", "Concat", "ConcatV2", "IdentityN", "DynamicStitch", "ParallelDynamicStitch",
     "Maximum", "Minimum", "ClipByValue", "AddN"]
)
_REDUCES = frozenset(
    ["Sum", "Mean", "Max", "Min", "Prod", "SegmentSum", "SegmentMean", "SegmentMax", "UnsortedSegmentSum", "Cumsum"]
)
_COMPARES = frozenset(
    ["Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual", "ApproximateEqual", "Maximum", "Minimum",
     "ClipByValue"]
)
_MODULO = frozenset(["Mod", "FloorMod", "TruncateMod"])
_ADDS = frozenset(["Add", "AddV2", "Sub"])
_SCALES = frozenset(["Mul", "Div", "RealDiv", "FloorDiv", "TruncateDiv"])
# The position of the indices, and that of what they index.
_GATHERS = {
    "Gather": (1, 0), "GatherV2": (1, 0), "ResourceGather": (1, 0), "GatherNd": (1, 0), "ResourceGatherNd": (1, 0),
    "SparseSegmentSum": (1, 0), "SparseSegmentMean": (1, 0), "SparseSegmentSqrtN": (1, 0),
    "EmbeddingLookupSparse": (1, 0),
}
# What takes any integer and gives something else (a word, a row, a bool).
_HARMLESS = frozenset(
    ["AsString", "LookupTableFind", "LookupTableFindV2", "OneHot", "LogicalNot", "Bucketize", "Shape", "ShapeN",
     "Size", "Rank", "ZerosLike", "OnesLike", "InTopK", "InTopKV2", "Assert", "NoOp", "Sign", "StringFormat",
     "DebugIdentity", "IsNan", "IsInf", "IsFinite"]
)
_SHAPES = frozenset(["Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "SparseTensorDenseMatMul"])
# An argument that is a size, a number of steps, or decides how often a loop runs.
_SIZES: Mapping[str, tuple[int, ...] | None] = {
    **dict.fromkeys(["LoopCond", "While", "StatelessWhile", "Range", "LinSpace", "For", "TensorArray", "TensorArrayV2",
                     "TensorArrayV3", "RandomUniform", "RandomStandardNormal", "TruncatedNormal", "Multinomial",
                     "TensorListReserve", "EmptyTensorList", "SequenceMask", "RandomUniformInt", "MatrixDiagV2"]),
    **dict.fromkeys(["Fill", "ScatterNdSize", "Diag"], (0,)),
    **dict.fromkeys(["Reshape", "Tile", "Pad", "PadV2", "MirrorPad", "BroadcastTo", "ResizeBilinear",
                     "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea", "SparseToDense", "OneHot", "Bincount",
                     "MatrixBandPart", "SpaceToBatchND", "BatchToSpaceND"], (1,)),
    **dict.fromkeys(["UnsortedSegmentSum", "UnsortedSegmentMax", "UnsortedSegmentProd", "UnsortedSegmentMin",
                     "ScatterNd", "CropAndResize"], (2,)),
    "Slice": (1, 2),
    "StridedSlice": (1, 2),
}
_LENGTHS = {"ReverseSequence": (1,), "BlockLSTM": (0,), "BlockLSTMV2": (0,), "CTCGreedyDecoder": (1,),
            "CTCBeamSearchDecoder": (1,), "CTCLoss": (3,), "CudnnRNNV3": (4,)}
# fmt: on
# Bounds the walk in a large graph.
_MAX_VISITS = 4000
_MAX_CONSTANTS = 64


@frozen
class _Tensor:
    """A value of the walk: `factor * x + offset` of the input's value x.

    Where the factor is 0, what has become of the value is not known; `parted` is then the node that has divided the
    values among several things that they index, or empty.
    """

    scope: str
    node: str
    index: int | None
    factor: float
    offset: float
    reduced: bool
    parted: str = ""


class Graph:
    """Every node of a MetaGraphDef, with who takes what it gives."""

    def __init__(self, meta_graph: MetaGraphDef) -> None:
        library = meta_graph.graph_def.library.function
        self.functions: dict[str, FunctionDef] = {f.signature.name: f for f in library}
        self._nodes: dict[tuple[str, str], NodeDef] = {}
        self._consumers: dict[tuple[str, str], list[tuple[NodeDef, int, int | None]]] = collections.defaultdict(list)
        for scope, nodes in (("", meta_graph.graph_def.node), *((f.signature.name, f.node_def) for f in library)):
            for node in nodes:
                self._nodes[scope, node.name] = node
                for position, text in enumerate(i for i in node.input if not i.startswith("^")):
                    name, index = _parse(scope, text)
                    self._consumers[scope, name].append((node, position, index))

    def consumers(self, scope: str, name: str, index: int | None) -> Iterator[tuple[NodeDef, int]]:
        """The nodes that take an output, and where."""
        for node, position, taken in self._consumers.get((scope, name), ()):
            if index is None or taken is None or index == taken:
                yield node, position

    def input_of(self, scope: str, node: NodeDef, position: int) -> NodeDef | None:
        """The node that an argument comes from, looked for through the ops that only hand it on."""
        data = [i for i in node.input if not i.startswith("^")]
        for _ in range(20):
            if position >= len(data):
                return None
            found = self._nodes.get((scope, _parse(scope, data[position])[0]))
            if found is None or found.op not in _HANDS_ON:
                return found
            data, position = [i for i in found.input if not i.startswith("^")], 0
        return None

    def constant(self, scope: str, node: NodeDef, position: int) -> tuple[float, ...]:
        """The numbers of the Const that feeds an argument; nothing where no Const does, or a large one."""
        found = self.input_of(scope, node, position)
        if found is None or found.op != "Const":
            return ()
        return numbers(found.attr["value"].tensor)

    def first_dimension(self, scope: str, node: NodeDef, position: int) -> int:
        """The first dimension of the table, variable or constant that feeds an argument; 0 where it is not known."""
        found = self.input_of(scope, node, position)
        if found is None:
            return 0
        if found.op == "Const":
            dims = found.attr["value"].tensor.tensor_shape.dim
        elif found.op in ("VariableV2", "Variable", "VarHandleOp"):
            dims = found.attr["shape"].shape.dim
        else:
            return 0
        return max(0, dims[0].size) if dims else 0


_HANDS_ON = frozenset(
    ["Identity", "ReadVariableOp", "Enter", "RefEnter", "Switch", "RefSwitch", "Cast", "RefIdentity", "StopGradient"]
)


def _parse(scope: str, text: str) -> tuple[str, int | None]:
    parts = text.split(":")
    if scope:
        return parts[0], None
    return parts[0], int(parts[1]) if len(parts) > 1 else 0


def _bodies(node: NodeDef) -> Iterator[str]:
    """Names of the functions that a node's attributes name."""
    for attr in node.attr.values():
        if attr.HasField("func"):
            yield attr.func.name
        yield from (f.name for f in attr.list.func)


def numbers(proto: TensorProto) -> tuple[float, ...]:
    """The values of a small TensorProto of numbers, whichever way it stores them (tensor.proto)."""
    dtype = dtypes.numpy_dtype(base_name(proto.dtype))
    count = math.prod(d.size for d in proto.tensor_shape.dim)
    if dtype is None or dtype.kind not in "iuf" or not 0 < count <= _MAX_CONSTANTS:
        return ()
    if proto.tensor_content:
        if len(proto.tensor_content) != count * dtype.itemsize:
            return ()
        return tuple(float(v) for v in np.frombuffer(proto.tensor_content, dtype=dtype))
    if proto.half_val:
        values = [float(v) for v in np.array(proto.half_val, np.uint16).view(dtype)] if dtype.itemsize == 2 else []
    else:
        stored = (proto.float_val, proto.double_val, proto.int_val, proto.int64_val, proto.uint32_val, proto.uint64_val)
        values = [float(v) for field in stored for v in field]
    return tuple(values + values[-1:] * (count - len(values)))[:count] if values else (0.0,)


def uses_of(graph: Graph, tensor_name: str) -> Uses:
    """What a graph does with the values of a tensor (`name:0`) of the main graph."""
    name, index = _parse("", tensor_name)
    found = _Found(graph)
    found.walk(_Tensor("", name, index, 1.0, 0.0, False))
    return Uses(
        tuple(sorted(found.rows | {sum(tables.values()) for tables in found.parts.values()})),
        tuple(sorted(found.constants)[:_MAX_CONSTANTS]),
        found.reduced,
        found.is_index,
        found.is_bounded or _becomes_size(graph, name, index),
        found.is_length,
        tuple(sorted(found.multiples)),
    )


class _Found:
    """What one walk through a graph has found."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.rows: set[int] = set()
        self.constants: set[float] = set()
        self.multiples: set[int] = set()
        self.parts: dict[str, dict[str, int]] = {}
        self.reduced = False
        self.is_index = True
        self.is_bounded = False
        self.is_length = False

    def walk(self, start: _Tensor) -> None:
        queue = collections.deque([start])
        seen: set[tuple[str, str, int | None]] = set()
        while queue:
            tensor = queue.popleft()
            if (tensor.scope, tensor.node, tensor.index) in seen:
                continue
            if len(seen) >= _MAX_VISITS:
                self.is_index = False
                return
            seen.add((tensor.scope, tensor.node, tensor.index))
            for node, position in self._graph.consumers(tensor.scope, tensor.node, tensor.index):
                queue.extend(self._beyond(tensor, node, position))

    def _beyond(self, tensor: _Tensor, node: NodeDef, position: int) -> Iterable[_Tensor]:
        """Notes what a node does with a value, and gives what the value becomes."""
        op, scope = node.op, tensor.scope
        parted = f"{scope}/{node.name}" if op == "DynamicPartition" else tensor.parted
        after = _Tensor(scope, node.name, None, tensor.factor, tensor.offset, tensor.reduced, parted)
        known = False
        if position in _LENGTHS.get(op, ()):
            self.is_length = known = True
        sizes = _SIZES.get(op, ())
        if sizes is None or position in sizes:
            self.is_bounded = True
            self.is_index = False
            return
        if op == "Reshape":
            self.multiples |= {int(size) for size in self._graph.constant(scope, node, 1) if size > 1}
        if op in _COMPARES:
            known = True
            self._compared(tensor, node, position)
        if op == "Bucketize":
            self._note(tensor, node.attr["boundaries"].list.f)
        if op == "Relu6":
            self._note(tensor, (0.0, 6.0))
        if op in _MODULO and position == 0:
            self._note(tensor, self._graph.constant(scope, node, 1))
            # What is left of any number is below the divisor.
            yield _Tensor(scope, node.name, None, 0.0, 0.0, tensor.reduced)
            return
        if op in _GATHERS and position == _GATHERS[op][0]:
            rows = self._graph.first_dimension(scope, node, _GATHERS[op][1])
            self._indexed(tensor, rows)
            table = self._graph.input_of(scope, node, _GATHERS[op][1])
            if table is not None and rows and tensor.parted and not tensor.factor:
                # The slices of a partitioned variable have as many rows together as there are ids (embedding_ops.py).
                self.parts.setdefault(tensor.parted, {})[table.name] = rows
            return
        if op == "OneHot" and position == 0:
            depth = self._graph.constant(scope, node, 1)
            self._indexed(tensor, int(depth[0]) if depth else 0)
            return
        if op in ("LookupTableFind", "LookupTableFindV2") and position == 1:
            self._keys(tensor, scope, node)
            return
        if position in _PASSES.get(op, ()) or op in _PASSES_ALL:
            yield after
        elif op in _REDUCES and position == 0:
            self.is_index = self.is_index and op != "Prod"
            yield _Tensor(scope, node.name, None, tensor.factor, tensor.offset, True)
        elif op in _ADDS | _SCALES or op == "Neg":
            yield from self._affine(tensor, node, position)
        elif may_call(op) or op in self._graph.functions:
            self.is_index = False
            yield from self._called(tensor, node, position)
        elif not known and op not in _HARMLESS:
            self.is_index = False

    def _called(self, tensor: _Tensor, node: NodeDef, position: int) -> Iterable[_Tensor]:
        first = 1 if node.op in ("If", "StatelessIf", "Case", "StatelessCase") else 0
        names = [node.op] if node.op in self._graph.functions else list(_bodies(node))
        for name in names:
            if name in self._graph.functions:
                arguments = self._graph.functions[name].signature.input_arg
                if 0 <= position - first < len(arguments):
                    argument = arguments[position - first].name
                    yield _Tensor(name, argument, None, tensor.factor, tensor.offset, tensor.reduced)

    def _affine(self, tensor: _Tensor, node: NodeDef, position: int) -> Iterable[_Tensor]:
        other = self._graph.constant(tensor.scope, node, 1 - position) if node.op != "Neg" else ()
        factor, offset = tensor.factor, tensor.offset
        if node.op == "Neg":
            factor, offset = -factor, -offset
        elif len(other) == 1:
            by = other[0]
            if node.op == "Sub":
                factor, offset = (factor, offset - by) if position == 0 else (-factor, by - offset)
            elif node.op in _ADDS:
                offset += by
            elif node.op == "Mul":
                factor, offset = factor * by, offset * by
            elif position == 0 and by:
                factor, offset = factor / by, offset / by
            else:
                factor = 0.0
        elif node.op in _SCALES:
            factor = 0.0  # What it is multiplied with is not known: what is beyond is not in the input's terms.
        if not (math.isfinite(factor) and math.isfinite(offset)):
            factor = 0.0
        yield _Tensor(tensor.scope, node.name, None, factor, offset, tensor.reduced)

    def _compared(self, tensor: _Tensor, node: NodeDef, position: int) -> None:
        for other in range(len([i for i in node.input if not i.startswith("^")])):
            if other != position:
                self._note(tensor, self._graph.constant(tensor.scope, node, other))

    def _note(self, tensor: _Tensor, constants: Iterable[float]) -> None:
        if not tensor.factor:
            return
        found = {(constant - tensor.offset) / tensor.factor for constant in constants}
        found = {value for value in found if math.isfinite(value)}
        self.constants |= found
        self.reduced = self.reduced or (tensor.reduced and bool(found))

    def _indexed(self, tensor: _Tensor, rows: int) -> None:
        if rows > 0 and tensor.factor > 0:
            last = (rows - 1 - tensor.offset) / tensor.factor
            if 0 <= last < 2**62:
                # Where ids are divided among parts, the last row stands for as many ids as there are parts.
                self.rows.add(int(last + (1 / tensor.factor - 1 if tensor.factor < 1 else 0)) + 1)

    def _keys(self, tensor: _Tensor, scope: str, node: NodeDef) -> None:
        table = self._graph.input_of(scope, node, 0)
        if table is None:
            return
        for user, position in self._graph.consumers(scope, table.name, 0):
            if position == 0 and user.op.startswith(("InitializeTable", "LookupTableImport")):
                self._note(tensor, self._graph.constant(scope, user, 1))


def _becomes_size(graph: Graph, name: str, index: int | None) -> bool:
    """Whether anything that is computed from a tensor is a size or a number of steps; or too much is to tell."""
    stack: list[tuple[str, str, int | None]] = [("", name, index)]
    seen: set[tuple[str, str]] = set()
    while stack:
        scope, current, output = stack.pop()
        if (scope, current) in seen and output is None:
            continue
        seen.add((scope, current))
        for node, position in graph.consumers(scope, current, output):
            sizes = _SIZES.get(node.op, ())
            if sizes is None or position in sizes:
                return True
            if may_call(node.op) or node.op in graph.functions:
                names = [node.op] if node.op in graph.functions else list(_bodies(node))
                first = 1 if node.op in ("If", "StatelessIf", "Case", "StatelessCase") else 0
                for function in names:
                    arguments = graph.functions[function].signature.input_arg if function in graph.functions else ()
                    if 0 <= position - first < len(arguments):
                        stack.append((function, arguments[position - first].name, None))
            if node.op not in _SHAPES and (scope, node.name) not in seen:
                stack.append((scope, node.name, None))
    return False
