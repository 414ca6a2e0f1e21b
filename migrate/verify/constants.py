"""The constants of a candidate: each has the value that the source's constant of its name has.

A constant may be a table of which no made-up call reaches row 4321, or a number in a branch that no made-up call takes.
Nodes keep their names in the functions of a converted model, so a constant is found by its name; one whose name is
new has a value of the source's, or is of the few kinds that a rewrite makes.
"""

from __future__ import annotations

import functools
import math
import re
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from migrate.graph.dtypes import base_name
from migrate.graph.graph import attribute
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorProto
from migrate.records import Mismatch
from migrate.verify.differences import mismatch
from migrate.verify.stored_values import stored_contents
from migrate.verify.used_nodes import PREFIX, used_nodes
from migrate.verify.values import Content, content

_MOST_NEW_ELEMENTS = 4
"""Of a constant that is no constant of the source: shapes, axes, bounds."""
_RATIOS = frozenset({"SdcaShrinkL1"})
"""Ops of TF1 in whose place there is a constant float that their attributes give."""
_YIQ = (
    *((0.299, 0.587, 0.114), (-0.596, 0.274, 0.322), (0.211, -0.523, 0.312)),  # from red, green and blue
    *((1.0, 1.0, 1.0), (0.95617069, -0.2726886, -1.103744), (0.62143257, -0.64681324, 1.70062309)),  # and back
)
"""Rows (one with the other sign) and columns of the matrices of contrib/image/kernels/adjust_hsv_in_yiq_op.h."""
_LIMITS = frozenset(
    {
        *(1.0, 4.258730016922831e-001, 1.880152677804762e000, 3.925724783138660),
        *(1.495585217958292e-002, 2.539398330063230e-001, 9.504178996162932e-001, 2.097847961257068e000),
        5.371920351148152,
    }
)
"""The norms at which unsupported/Eigen/src/MatrixFunctions/MatrixExponential.h takes another approximant."""
_MADE: Mapping[str, frozenset[bytes | float | tuple[float, ...]]] = {
    "AdjustHsvInYiq": frozenset({b"input must be at least 3-D and have 3 channels", *_YIQ}),
    "BucketizeWithInputBoundaries": frozenset({b"Expected sorted boundaries"}),
    **dict.fromkeys(
        ("CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"),
        frozenset({b"Invalid input_h shape", b"input_h and input_c must have the same shape", 1.0}),
    ),
    "FusedConv2DBiasActivation": frozenset({-128.0, 0.0, 127.0}),
    "GatherTree": frozenset(
        {
            b"batch size dimensions of step_ids and the sequence lengths must match",
            b"step_ids.shape must match parent_ids.shape",
        }
    ),
    "MatrixExponential": _LIMITS,
    "PeriodicResample": frozenset({b"periodic_resample expects larger dimensions, and one free"}),
    "Quantiles": frozenset({b"Got empty buckets"}),
    "ReduceSliceMax": frozenset({-math.inf}),
    "ReduceSliceMin": frozenset({math.inf}),
    "ReduceSliceProd": frozenset({1.0}),
    "Resampler": frozenset({b"Batch size of data and warp tensor must be the same", -1.0, 1.0}),
    "SparseFeatureCross": frozenset({b"_X_", b"farmhash64"}),
}
"""Ops of TF1 in whose place there are such texts, floats and rows of these: messages, and what formulas have."""
_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "AudioSummary": ("sample_rate",),
    "BatchNormWithGlobalNormalization": ("variance_epsilon",),
    "QuantizeAndDequantize": ("input_min", "input_max"),
}
"""Ops of TF1 in whose place there are constant floats with the values of these attributes."""
_LONGEST: Mapping[str, int] = {"CompareAndBitpack": 8}
"""Ops of TF1 in whose place there is a vector that is longer: what each bit of a byte is worth."""
_TREES = frozenset(
    {
        "BoostedTreesPredict",
        "GradientTreesPartitionExamples",
        "GradientTreesPrediction",
        "GradientTreesPredictionVerbose",
        "TreeEnsembleStats",
        "TreePredictionsV4",
    }
)
"""Ops of TF1 in whose place there are constants that are taken out of trees in the checkpoint."""
_BOUNDARIES = frozenset({"BoostedTreesQuantileStreamResourceGetBucketBoundaries"})
"""Ops of TF1 in whose place there are tensors of the checkpoint."""
_IMPORTS = frozenset({"LookupTableImport", "LookupTableImportV2"})


def constant_differences(
    source: MetaGraphDef,
    new: MetaGraphDef,
    feeds: Mapping[str, TensorProto],
    train: MetaGraphDef | None,
    checkpoint: str | None,
    path: str,
) -> Iterator[Mismatch]:
    """Compares the constants that a candidate's calls and its loading depend on.

    Args:
      source: the source's.
      new: the candidate's.
      feeds: values that are constants of the candidate, by the tensor's name in the source.
      train: the training graph that the candidate has a branch of, or None.
      checkpoint: prefix of the source's, whose tables may be constants of the candidate; or None.
      path: of the differences, see `records.Mismatch`.
    """
    known = _Known([source] if train is None else [source, train], feeds.values())
    filled: list[tuple[str, NodeDef]] = []
    for used in used_nodes(new):
        where, has_names = used.where, used.has_names
        takers = _takers(used.nodes)
        for node in used.nodes:
            if node.op != "Const" or "value" not in node.attr or not takers.get(node.name):
                continue
            reason = known.differs(node, has_names)
            if not reason:
                continue
            fills = known.fills_tables and takers[node.name] <= _IMPORTS | _HANDS_ON
            if fills or (reason is _NEW and known.is_below(node, _BOUNDARIES)):
                filled.append((where, node))
            elif reason is _NEW and known.is_below(node, _TREES):
                continue  # The proof has what these ops compute of a checkpoint's trees, and a judge answers with them.
            elif reason is not _NEW or not known.may_be_made(node.attr["value"].tensor):
                yield mismatch("constant-differs", path, f"{reason} ({where})", "", node.name)
    if filled:
        # The content of a table or a quantile stream that the source's saver restores.
        values = [content(node.attr["value"].tensor) for _, node in filled]
        stored = stored_contents(checkpoint, {(value.dtype, value.shape) for value in values})
        for (where, node), value in zip(filled, values, strict=True):
            if stored is not None and value not in stored:
                reason = f"neither the source's graph nor its checkpoint has the value of this constant ({where})"
                yield mismatch("constant-differs", path, reason, "", node.name)


_HANDS_ON = frozenset({"PartitionedCall", "StatefulPartitionedCall", "PlaceholderWithDefault"})


def _takers(nodes: Sequence[NodeDef]) -> Mapping[str, set[str]]:
    """The ops of the nodes that take a constant, by its name, also where it is handed on to them.

    What no node takes is the result of a function: each call shows it, or the function has no result of its own.
    """
    constants = {node.name for node in nodes if node.op == "Const"}
    passing: dict[str, list[tuple[str, int]]] = {}
    found: dict[str, set[str]] = {}
    for node in nodes:
        # Most nodes take no constant.
        for position, taken in enumerate(name for name in node.input[:] if name[:1] != "^"):
            name, _, output = taken.partition(":")
            if node.op in ("Identity", "IdentityN"):
                passing.setdefault(f"{name}:{output.rpartition(':')[2] or 0}", []).append((node.name, position))
            elif name in constants:
                found.setdefault(name, set()).add(node.op)
    if passing:
        ops = _takers_by_tensor(nodes, {name for given in passing.values() for name, _ in given})
        for name in constants:
            found.setdefault(name, set()).update(_beyond(name, passing, ops))
    return found


def _takers_by_tensor(nodes: Sequence[NodeDef], givers: Collection[str]) -> Mapping[str, set[str]]:
    """The ops that take the tensors of some nodes and do not hand them on, by the tensors' names."""
    found: dict[str, set[str]] = {}
    for node in nodes:
        for taken in node.input[:]:
            name, _, output = taken.partition(":")
            if name in givers and node.op not in ("Identity", "IdentityN"):
                found.setdefault(f"{name}:{output.rpartition(':')[2] or 0}", set()).add(node.op)
    return found


def _beyond(
    constant: str, passing: Mapping[str, Sequence[tuple[str, int]]], ops: Mapping[str, Collection[str]]
) -> set[str]:
    """The ops that take a constant after it was handed on."""
    found: set[str] = set()
    seen: set[str] = set()
    pending = [f"{constant}:0"]
    for tensor in pending:  # grows while it is read
        if tensor in seen:
            continue
        seen.add(tensor)
        found.update(ops.get(tensor, ()))
        pending += [f"{name}:{position}" for name, position in passing.get(tensor, ())]
    return found


_NEW = "none of the source's constants has the value of this one"


class _Known:
    """The constants of the source."""

    def __init__(self, graphs: Sequence[MetaGraphDef], feeds: Iterable[TensorProto]) -> None:
        self._by_name: dict[str, list[TensorProto]] = {}
        self._values: set[Content] | None = None
        self._fed = {content(value) for value in feeds}
        self._ops: set[str] = set()
        self._floats: set[float] = set()
        self._resources: dict[str, str] = {}
        self._most = _MOST_NEW_ELEMENTS
        for graph in graphs:
            for nodes in (graph.graph_def.node, *(f.node_def for f in graph.graph_def.library.function)):
                for node in nodes:
                    self._ops.add(node.op)
                    if node.op in _TREES or node.op in _BOUNDARIES:
                        self._resources[node.name] = node.op
                    self._floats.update(attribute(node, key).f for key in _ATTRIBUTES.get(node.op, ()))
                    self._most = max(self._most, _LONGEST.get(node.op, 0))
                    if node.op == "PeriodicResample":  # Its dimensions, one by one.
                        self._most = max(self._most, len(attribute(node, "shape").shape.dim))
                    if node.op == "Const" and "value" in node.attr:
                        self._by_name.setdefault(node.name, []).append(node.attr["value"].tensor)

    @property
    def fills_tables(self) -> bool:
        """Whether some op of the source fills a table from tensors."""
        return not self._ops.isdisjoint(_IMPORTS)

    @functools.cached_property
    def _made(self) -> frozenset[bytes | float | tuple[float, ...]]:
        """See `_MADE`."""
        return frozenset(each for op, values in _MADE.items() if op in self._ops for each in values)

    @functools.cached_property
    def _made_doubles(self) -> frozenset[tuple[bool, tuple[float, ...]]]:
        """Whether it is a row, and the values, of each float and row of floats among these."""
        return frozenset(
            (True, each) if isinstance(each, tuple) else (False, (each,))
            for each in self._made
            if not isinstance(each, bytes)
        )

    @functools.cached_property
    def _made_floats(self) -> frozenset[tuple[bool, tuple[float, ...]]]:
        """The same in single precision."""
        return frozenset((is_row, _rounded(row)) for is_row, row in self._made_doubles)

    def is_below(self, node: NodeDef, ops: Collection[str]) -> bool:
        """Whether a constant has a name below that of a node of the source of some ops."""
        name = node.name.removeprefix(PREFIX)
        return any(self._resources.get(name[: match.start()]) in ops for match in re.finditer("/", name))

    def differs(self, node: NodeDef, has_names: bool) -> str:
        """Why the source has no such constant as one of the candidate; empty if it has.

        Args:
          node: the constant.
          has_names: whether it may have the name of one of the source's.
        """
        value = node.attr["value"].tensor
        name = node.name.removeprefix(PREFIX)
        named = (self._by_name.get(name) or self._by_name.get(node.name)) if has_names else None
        if named is not None:
            if any(value == one for one in named):
                return ""
            found = content(value)
            if found in self._fed or any(found == content(one) for one in named):
                return ""
            return "it has another value than the source's constant of this name"
        found = content(value)
        return "" if found in self._fed or found in self._all_values() else _NEW

    def _all_values(self) -> set[Content]:
        if self._values is None:
            self._values = {content(value) for values in self._by_name.values() for value in values}
        return self._values

    def may_be_made(self, value: TensorProto) -> bool:
        """Whether a rewrite makes such constants: small whole numbers, answers, zero, the source's attributes."""
        dtype = base_name(value.dtype)
        sizes = [dim.size for dim in value.tensor_shape.dim]
        if len(sizes) > 1 or any(size > self._most for size in sizes):
            return False
        if dtype in ("int32", "int64", "bool"):
            return True
        if dtype == "string":
            return not sizes and list(value.string_val) in [[each] for each in self._made if isinstance(each, bytes)]
        if dtype == "float64":
            return (bool(sizes), tuple(value.double_val)) in self._made_doubles
        if dtype != "float32":
            return False
        if (bool(sizes), tuple(value.float_val)) in self._made_floats:
            return True
        is_zero = not value.tensor_content and not any(value.float_val)
        is_attribute = not sizes and len(value.float_val) == 1 and value.float_val[0] in self._floats
        return is_zero or is_attribute or not self._ops.isdisjoint(_RATIOS)


def _rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    """Floats as a tensor of single precision has them."""
    return tuple(struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values)))
