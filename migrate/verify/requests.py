"""Synthesises calls for the signatures of a TF1 model, from its graph alone."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from migrate.checks.feeds import propose_feeds
from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.graph.dtypes import base_name
from migrate.graph.op_table import PLACEHOLDERS
from migrate.graph.protos import AssetFileDef, MetaGraphDef, NodeDef
from migrate.records import Shape, Signature, TensorSpec
from migrate.sources.files import open_stream
from migrate.verify import dtypes
from migrate.verify.calls import Array, Call, CandidateCalls, SparseValue, Value
from migrate.verify.contents import Content, Contents
from migrate.verify.uses import Graph, Uses, uses_of
from migrate.verify.wider import Facts, is_length, time_of, wider

_WAITS = re.compile(r".*Dequeue|Reader|Iterator|Unstage|MapUnstage|OrderedMapUnstage|Barrier|Recv|StackPop")
# What a call is filled with, and its batch size. The first ones decide whether a family is taken: ordinary
# values.
_FILLS = (("random", 3), ("random", 1), ("zeros", 1), ("small", 3), ("extremes", 3))
# 3 before 1: a size of 1 broadcasts against anything, so that it hides what the model does with the
# dimension.
_SIZES = (3, 1, 2, 8, 10, 16, 28, 32, 64, 128, 224, 256, 299, 784, 1024)
_IMAGE_SIZES = (32, 64, 224, 299, 28, 16, 8, 3, 2, 1, 128, 256)
# A value at which a graph's arithmetic saturates or changes sign, yet sizes and loop counts stay affordable.
_EXTREME_FLOATS = (1e4, -1e4, 1e-4, -1.0, 1.0, 0.0, -0.5, 250.0)
_EXTREME_INTS = (-1, 100, 0, 7)
_MAX_FAMILIES = 60
# Of one input; what a model with fixed sizes asks for may well be larger than what is guessed.
_MAX_VALUES = 1 << 26
_MAX_VOCABULARY_BYTES = 1 << 23
_MOST_MULTIPLE = 512
_FEW_ALTERNATIVES = 2
_BATCHES = (2, 4, 5, 8, 6, 10, 16, 32, 64, 128, 100)
"""Of which a graph may demand multiples, tried where nothing else is accepted."""


@frozen
class _Input:
    """An input as the graph has it, which is not always as its TensorInfo says.

    Attributes:
      tensor: name of the tensor (of a sparse input: of its values); two inputs on one tensor get one value.
      dtype: TensorFlow's name.
      shapes: alternatives, best first; a dimension that is open is None.
      sparse: a `coo_sparse` input.
      contents: alternatives for strings, best first.
      always: the only value that is given, where another one would make the model's answers random.
      uses: what the graph does with its values.
    """

    tensor: str
    dtype: str
    shapes: tuple[Shape, ...]
    sparse: bool
    contents: tuple[Content, ...]
    always: float | None = None
    uses: Uses = Uses()


def synthesise(
    meta_graph: MetaGraphDef, signatures: Sequence[Signature], assets_directory: str | None = None
) -> tuple[CandidateCalls, ...]:
    """Makes calls for each signature: batches of 1 and 3 of ordinary, zero, small and extreme values.

    What the graph leaves open comes in alternatives, `CandidateCalls.families`; a string holds what the graph
    goes on to do with it (`contents.Contents`). The same arguments give the same calls in every process.

    Args:
      meta_graph: the source's.
      signatures: which ones to call, in this order.
      assets_directory: a local directory with the model's assets, from which words are read, or None.

    Returns:
      one entry a signature; one that cannot be called has no families and a reason.
    """
    contents = Contents(meta_graph, _vocabulary(meta_graph, assets_directory))
    dropout = _dropout_inputs(meta_graph, signatures)
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    graph = Graph(meta_graph)
    return tuple(_calls(signature, nodes, contents, graph, meta_graph, dropout) for signature in signatures)


def _vocabulary(meta_graph: MetaGraphDef, assets_directory: str | None) -> tuple[tuple[bytes, ...], ...]:
    """The lines of each of the model's text assets."""
    if assets_directory is None or "saved_model_assets" not in meta_graph.collection_def:
        return ()
    words: list[tuple[bytes, ...]] = []
    for entry in meta_graph.collection_def["saved_model_assets"].any_list.value:
        asset = AssetFileDef.FromString(entry.value)
        try:
            with open_stream(os.path.join(assets_directory, asset.filename)) as file:
                lines = file.read(_MAX_VOCABULARY_BYTES).splitlines()
        except (OSError, InputError):
            continue  # words only make a call more telling; the model itself will say what it lacks
        words.append(tuple(line for line in lines if 0 < len(line) <= 100))
    return tuple(words)


def _dropout_inputs(meta_graph: MetaGraphDef, signatures: Iterable[Signature]) -> Mapping[str, float]:
    """The inputs that only dropout or a choice of branches reads, with the value for inference, by tensor."""
    tensors = {spec.name for signature in signatures for spec in signature.inputs.values() if not spec.components}
    proposed = propose_feeds(meta_graph, sorted(tensor.removesuffix(":0") for tensor in tensors))
    values = {"0.0": 0.0, "1.0": 1.0, "false": 0.0}
    return {feed.tensor: values[feed.value] for feed in proposed if feed.value in values}


def _calls(
    signature: Signature,
    nodes: Mapping[str, NodeDef],
    contents: Contents,
    graph: Graph,
    meta_graph: MetaGraphDef,
    dropout: Mapping[str, float],
) -> CandidateCalls:
    inputs: dict[str, _Input] = {}
    for name, spec in signature.inputs.items():
        if spec.encoding == "composite":
            return CandidateCalls(signature.key, (), reason=f"input {name!r} is a composite tensor")
        found = _input(spec, nodes, contents, meta_graph.graph_def.versions.producer)
        if found.tensor in dropout and (found.dtype != "bool" or () in found.shapes):
            found = dataclasses.replace(found, shapes=((),), always=dropout[found.tensor])
        if dtypes.numpy_dtype(found.dtype) is None:
            return CandidateCalls(signature.key, (), reason=f"input {name!r} is of dtype {found.dtype}")
        if found.dtype != "string":
            found = dataclasses.replace(found, uses=uses_of(graph, found.tensor))
        inputs[name] = found
    derived = tuple(
        name
        for name, spec in signature.inputs.items()
        if any(_op(tensor, nodes) not in PLACEHOLDERS and not _may_wait(tensor, nodes) for tensor in spec.tensors)
    )
    sizes = tuple(dict.fromkeys([*_SIZES, *_weights_sizes(meta_graph)]))
    facts = {
        name: Facts(
            spec.tensor,
            spec.shapes,
            spec.uses,
            contents.vocabulary if spec.dtype == "string" else (),
            spec.dtype == "string" and all(content == contents.words for content in spec.contents),
            spec.always is not None,
        )
        for name, spec in inputs.items()
    }
    multiples = sorted({size for spec in inputs.values() for size in spec.uses.multiples if size <= _MOST_MULTIPLE})
    families = _Families(signature.key, inputs, sizes, tuple(dict.fromkeys([*multiples, *_BATCHES])))
    return CandidateCalls(signature.key, families, derived, wider=wider(facts))


@frozen
class _Families:
    """The families of a signature's calls, made one by one as they are asked for: a far-fetched one may be large."""

    signature: str
    inputs: Mapping[str, _Input]
    sizes: tuple[int, ...]
    batches: tuple[int, ...]

    def __iter__(self) -> Iterator[tuple[Call, ...]]:
        alternatives = list(_alternatives(self.inputs.values(), self.sizes))
        for alternative in alternatives:
            yield from self._family(*alternative, 1)
        for batch in self.batches if any(self._is_open(spec) for spec in self.inputs.values()) else ():
            for alternative in alternatives[:_FEW_ALTERNATIVES]:
                yield from self._family(*alternative, batch)

    def _is_open(self, spec: _Input) -> bool:
        return spec.always is None and any(shape and shape[0] is None for shape in spec.shapes)

    def _family(self, shape: int, sizes: tuple[int, int], content: int, unit: int) -> Iterator[tuple[Call, ...]]:
        calls = [self._call(shape, sizes, content, number, unit) for number in range(len(_FILLS))]
        if family := tuple(_distinct(call for call in calls if call is not None)):
            yield family

    def _call(self, shape: int, sizes: tuple[int, int], content: int, number: int, unit: int) -> Call | None:
        """The family's call of the kind `_FILLS[number]`; None where an input would be too large."""
        fill, batch = _FILLS[number]
        if unit > 1:
            batch = unit if batch == 1 else 2 * unit
        values: dict[str, Value] = {}
        for name, spec in self.inputs.items():
            chosen = spec.shapes[min(shape, len(spec.shapes) - 1)] or ()
            dims = _dims(chosen, batch, sizes[1] if len(chosen) >= 4 else sizes[0])
            if math.prod(dims) > _MAX_VALUES:
                return None
            seed = zlib.crc32(f"{spec.tensor} {number}".encode())
            text = spec.contents[min(content, len(spec.contents) - 1)] if spec.contents else None
            if spec.always is not None:
                values[name] = np.array(spec.always, dtypes.numpy_dtype(spec.dtype))
            else:
                values[name] = _value(spec, fill, dims, number, seed, text)
        return self._within_time(Call(self.signature, values))

    def _within_time(self, call: Call) -> Call:
        """The call with lengths that are no greater than the dimension that they are about."""
        lengths = [name for name, value in call.inputs.items() if is_length(name, value, self.inputs[name].uses)]
        time = time_of(call, lengths)
        if not lengths or time is None:
            return call
        inputs = dict(call.inputs)
        for name in lengths:
            value = inputs[name]
            assert not isinstance(value, SparseValue)
            # A clipped scalar is no array.
            inputs[name] = np.asarray(np.clip(value.astype(np.int64), 0, time)).astype(value.dtype)
        return Call(call.signature, inputs)


def _may_wait(tensor: str, nodes: Mapping[str, NodeDef]) -> bool:
    """Whether computing a tensor asks an input pipeline, which nobody fills, for its next element."""
    seen: set[str] = set()
    stack = [tensor.split(":")[0]]
    while stack:
        name = stack.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        if _WAITS.match(nodes[name].op):
            return True
        stack.extend(i.lstrip("^").split(":")[0] for i in nodes[name].input)
    return False


def _op(tensor: str, nodes: Mapping[str, NodeDef]) -> str:
    node = nodes.get(tensor.split(":")[0])
    return node.op if node is not None else ""


def _input(spec: TensorSpec, nodes: Mapping[str, NodeDef], contents: Contents, producer: int) -> _Input:
    """Reads dtype and shape of an input, from its placeholder where TensorInfo and placeholder disagree."""
    if spec.encoding == "coo_sparse":
        values, _, dense_shape = spec.components
        rank = _sparse_rank(dense_shape, nodes)
        shape: Shape = spec.shape if spec.shape else (None,) * rank
        text = contents.of(values) if spec.dtype == "string" else ()
        return _Input(values, spec.dtype, (shape,), True, text)
    dtype, stated = spec.dtype, spec.shape
    node = nodes.get(spec.name.split(":")[0])
    shapes: tuple[Shape, ...] = (stated,)
    if node is not None and node.op in PLACEHOLDERS and "dtype" in node.attr:
        dtype = base_name(node.attr["dtype"].type)
        known = _placeholder_shape(node, producer)
        if stated is None or not _agree(stated, known):
            shapes = (known,)
        elif stated == () and known is None:
            # An unset shape in a TensorInfo reads as a scalar; a Placeholder of TF 0.x has no shape and says
            # so too.
            shapes = (known, ())
    text = contents.of(spec.name) if dtype == "string" else ()
    return _Input(spec.name, dtype, tuple(s for shape in shapes for s in _ranks(shape, dtype)), False, text)


def as_fed(signatures: Sequence[Signature], meta_graph: MetaGraphDef) -> tuple[Signature, ...]:
    """Signatures with the dtypes that a Session takes: the placeholder's, where a TensorInfo says another one."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}

    def fed(spec: TensorSpec) -> TensorSpec:
        node = nodes.get(spec.name.split(":")[0])
        if spec.encoding != "dense" or node is None or node.op not in PLACEHOLDERS or "dtype" not in node.attr:
            return spec
        return dataclasses.replace(spec, dtype=base_name(node.attr["dtype"].type))

    return tuple(
        dataclasses.replace(signature, inputs={name: fed(spec) for name, spec in signature.inputs.items()})
        for signature in signatures
    )


def _placeholder_shape(node: NodeDef, producer: int) -> Shape:
    """The shape attr of a placeholder; an empty Placeholder's meant any shape until graph version 21 (array_ops.cc)."""
    if "shape" not in node.attr or node.attr["shape"].shape.unknown_rank:
        return None
    dims = node.attr["shape"].shape.dim
    if not dims and node.op == "Placeholder" and producer <= _LAST_WITHOUT_SCALARS:
        return None
    return tuple(None if d.size < 0 else d.size for d in dims)


_LAST_WITHOUT_SCALARS = 21


def _agree(stated: Shape, known: Shape) -> bool:
    """Whether some shape fits both; a Session asks the placeholder, not the TensorInfo."""
    if stated is None or known is None:
        return True
    pairs = zip(stated, known, strict=False)
    return len(stated) == len(known) and all(a is None or b is None or a == b for a, b in pairs)


def _sparse_rank(dense_shape: str, nodes: Mapping[str, NodeDef]) -> int:
    """Rank of a sparse placeholder, from the static shape of its dense_shape tensor, or 2."""
    node = nodes.get(dense_shape.split(":")[0])
    if node is not None and node.op in PLACEHOLDERS and node.attr["shape"].shape.dim:
        rank = node.attr["shape"].shape.dim[0].size
        return rank if rank > 0 else 2
    return 2


def _ranks(shape: Shape, dtype: str) -> tuple[Shape, ...]:
    """What a shape may be; for an unknown rank the usual ones."""
    if shape is not None:
        return (shape,)
    if dtype == "string":
        return ((None,), (), (None, None))
    return ((None,), (None, None), (), (None, None, None, 3), (None, None, None), (None, None, None, 1))


def _weights_sizes(meta_graph: MetaGraphDef) -> Iterable[int]:
    """First dimensions of the model's matrices: what an input of unknown width is likely multiplied with."""
    for node in meta_graph.graph_def.node:
        if node.op in ("VariableV2", "Variable", "VarHandleOp"):
            dims = node.attr["shape"].shape.dim
        elif node.op == "Const" and base_name(node.attr["dtype"].type).startswith("float"):
            dims = node.attr["value"].tensor.tensor_shape.dim  # a frozen graph's
        else:
            continue
        if len(dims) == 2 and 0 < dims[0].size <= 4096:
            yield dims[0].size


def _alternatives(inputs: Iterable[_Input], sizes: Sequence[int]) -> Iterable[tuple[int, tuple[int, int], int]]:
    """(shape alternative, sizes of open inner dimensions, content alternative), best first, none twice."""
    inputs = tuple(inputs)
    shapes = max((len(i.shapes) for i in inputs), default=1)
    contents = max((len(i.contents) for i in inputs), default=1) or 1

    def tries(shape: int) -> Sequence[tuple[int, int]]:
        ranks = [len(s) for i in inputs if (s := i.shapes[min(shape, len(i.shapes) - 1)]) and None in s[1:]]
        if not ranks:
            return [(1, 1)]
        images = (*_IMAGE_SIZES, *sizes) if max(ranks) >= 4 else sizes
        pairs = itertools.zip_longest(sizes, images[: len(sizes)], fillvalue=1)
        return list(dict.fromkeys((s if min(ranks) < 4 else 1, i if max(ranks) >= 4 else 1) for s, i in pairs))

    # Breadth first: the best sizes of every shape come before the far-fetched sizes of the first.
    options = [(rank, shape, pair) for shape in range(shapes) for rank, pair in enumerate(tries(shape))]
    options.sort(key=lambda option: (option[0] // 4, option[1], option[0]))
    product = ((shape, pair, content) for _, shape, pair in options for content in range(contents))
    return itertools.islice(product, _MAX_FAMILIES)


def _dims(shape: Shape, batch: int, size: int) -> tuple[int, ...]:
    """Fills the open dimensions: the first is the batch."""
    return tuple(d if d is not None else batch if axis == 0 else size for axis, d in enumerate(shape or ()))


def _value(spec: _Input, fill: str, dims: tuple[int, ...], number: int, seed: int, content: Content | None) -> Value:
    rng = np.random.default_rng(seed)
    if not spec.sparse:
        return _dense(spec, fill, dims, number, rng, content)
    # One value a row, in the first column: what a dense feature becomes, and what every consumer takes. In a
    # call of zeros the last row has none.
    rows = dims[0] - (1 if fill == "small" and dims[0] > 1 else 0) if dims else 0
    indices = np.zeros((rows, len(dims)), np.int64)
    indices[:, :1] = np.arange(rows)[:, None]
    values = _dense(spec, fill, (rows,), number, rng, content)
    return SparseValue(indices, values, np.array(dims, np.int64))


def _dense(
    spec: _Input,
    fill: str,
    dims: tuple[int, ...],
    number: int,
    rng: np.random.Generator,
    content: Content | None,
) -> Array:
    """An array of one of `_FILLS`' kinds."""
    count = math.prod(dims)
    if content is not None:
        strings = np.empty(count, dtype=object)
        strings[:] = [content(number * 3 + i) for i in range(count)]
        return strings.reshape(dims)
    target = dtypes.numpy_dtype(spec.dtype)
    assert target is not None  # `_calls` has looked
    if target.kind == "b":
        flags = {"zeros": np.zeros(count), "small": np.ones(count)}.get(fill, rng.integers(0, 2, count))
        return np.asarray(flags).astype(target).reshape(dims)
    if target.kind in "iu":
        low = np.iinfo(target).min
        extremes = np.resize(np.array([v for v in _EXTREME_INTS if v >= low]), count)
        bound = 256 if target == np.uint8 else 4 if number else 10
        if spec.uses.rows:
            rows = spec.uses.rows[0]
            bound = min(bound, rows)
            extremes = np.resize(np.array([rows - 1, rows // 2, 0, min(7, rows - 1)]), count)
        whole = {"zeros": np.zeros(count), "small": np.arange(count) % min(2, bound), "extremes": extremes}
        return np.asarray(whole.get(fill, rng.integers(0, bound, count))).astype(target).reshape(dims)
    kinds = {
        "zeros": np.zeros(count),
        "small": rng.uniform(0.0, 1.0, count),
        "extremes": np.resize(np.array(_EXTREME_FLOATS), count),
    }
    floats = kinds.get(fill, rng.standard_normal(count))
    if target.kind == "c":
        floats = floats + 1j * floats[::-1]
    return np.asarray(floats).astype(target).reshape(dims)


def _distinct(calls: Iterable[Call]) -> Iterable[Call]:
    """Drops calls that repeat an earlier one, as happens where there are no inputs or all of one row."""
    seen: set[bytes] = set()
    for call in calls:
        if key_of(call) not in seen:
            seen.add(key_of(call))
            yield call


def key_of(call: Call) -> bytes:
    """What tells one call of a signature from another."""
    return b"".join(hashlib.sha256(_bytes(value)).digest() for value in call.inputs.values())


def _bytes(value: Value) -> bytes:
    if isinstance(value, SparseValue):
        return b"|".join(_bytes(part) for part in value.parts.values())
    content = repr(value.tolist()).encode() if value.dtype == object else value.tobytes()
    return repr(value.shape).encode() + content
