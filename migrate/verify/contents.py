"""What a string input should hold, told by what the graph does with it."""

from __future__ import annotations

import base64
import collections
import functools
import gzip
import itertools
import math
import random
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from migrate.frozen import frozen
from migrate.graph.data_protos import Example
from migrate.graph.dtypes import base_name
from migrate.graph.protos import AttrValue, FunctionDef, MetaGraphDef, NodeDef, TensorProto
from migrate.verify import dtypes, images, payloads
from migrate.verify.payloads import Feature

Content = Callable[[int], bytes]
"""Gives the n-th string of an endless, deterministic series."""

# One tensor goes in and comes out, or one string of it does. Datasets hand their elements on.
# fmt: off
_PASSES = frozenset(
    [
        "Identity", "IdentityN", "Reshape", "ExpandDims", "Squeeze", "Switch", "RefSwitch", "Merge",
        "Enter", "RefEnter", "Exit", "NextIteration", "StopGradient", "PreventGradient",
        "PlaceholderWithDefault", "Unpack", "Unstack", "Gather", "GatherV2", "GatherNd",
        "StridedSlice", "Slice", "Tile", "Pack", "Concat", "ConcatV2", "BroadcastTo", "EnsureShape",
        "StringStrip", "Print", "Snapshot", "OptionalFromValue", "TensorListFromTensor",
        "TensorListGetItem", "TensorListStack", "TensorListReserve", "TensorListSetItem",
        "TensorSliceDataset", "TensorDataset", "BatchDataset", "BatchDatasetV2", "RepeatDataset",
        "PrefetchDataset",
    ]
)
# fmt: on
_CALLS = {"PartitionedCall": 0, "StatefulPartitionedCall": 0, "While": 0, "StatelessWhile": 0, "If": 1}
_CALLS |= {"StatelessIf": 1, "Case": 1, "StatelessCase": 1, "MapDataset": 0, "ParallelMapDataset": 0}
_CALLS |= {"ParallelMapDatasetV2": 0, "FlatMapDataset": 0, "TPUPartitionedCall": 0}
_ARRAY_WRITES = {
    "TensorArrayScatterV2": 2,
    "TensorArrayScatterV3": 2,
    "TensorArrayUnpack": 2,
    "TensorArrayScatter": 2,
}
_ARRAY_WRITES |= {"TensorArrayWrite": 2, "TensorArrayWriteV2": 2, "TensorArrayWriteV3": 2}
_ARRAY_WRITES |= {"TensorArraySplitV3": 1, "TensorArraySplitV2": 1}
_ARRAY_READS = frozenset(
    f"TensorArray{verb}{version}" for verb in ("Read", "Gather", "Concat", "Pack") for version in ("", "V2", "V3")
)
_IMAGES = frozenset(["DecodeJpeg", "DecodePng", "DecodeImage", "DecodeGif"])
_JPEG_ONLY = frozenset(["DecodeAndCropJpeg", "ExtractJpegShape"])
_IMAGE_SIZES = (32, 28, 64, 224, 299)
_PARSERS = frozenset(
    [
        "ParseExample",
        "ParseExampleV2",
        "ParseSingleExample",
        "ParseSequenceExample",
        "ParseSequenceExampleV2",
        "ParseSingleSequenceExample",
    ]
)
_LOOKUPS = frozenset(["LookupTableFind", "LookupTableFindV2"])
_FIRST_WORDS, _MOST_WORDS, _MOST_CHARACTERS = 100, 100_000, 100
# Bounds the walk in a graph of many functions; a decoder is a few hops from its input.
_MAX_VISITS = 2000


@frozen
class _Tensor:
    """A tensor of the main graph (`scope` empty) or of a function; `index` None is any output of the node."""

    scope: str
    node: str
    index: int | None


def _parse(scope: str, text: str) -> _Tensor:
    """Reads `node`, `node:1` (GraphDef) or `node:output:0` (FunctionDef; its flat index is not known)."""
    parts = text.split(":")
    if scope:
        return _Tensor(scope, parts[0], None)
    return _Tensor(scope, parts[0], int(parts[1]) if len(parts) > 1 else 0)


class Contents:
    """Answers what strings the inputs of one MetaGraphDef should hold.

    Args:
      meta_graph: is read, never changed.
      vocabulary: words that the model is known to look up: the lines of each of its vocabulary assets.
    """

    def __init__(self, meta_graph: MetaGraphDef, vocabulary: Sequence[Sequence[bytes]] = ()) -> None:
        library = meta_graph.graph_def.library.function
        self._functions: dict[str, FunctionDef] = {f.signature.name: f for f in library}
        self._nodes: dict[tuple[str, str], NodeDef] = {}
        self._consumers: dict[tuple[str, str], list[tuple[NodeDef, int, _Tensor]]] = collections.defaultdict(list)
        self._arrays: dict[tuple[str, str], list[NodeDef]] = collections.defaultdict(list)
        self._add("", meta_graph.graph_def.node)
        for name, function in self._functions.items():
            self._add(name, function.node_def)
        for scope, node_name in list(self._nodes):
            node = self._nodes[scope, node_name]
            if node.op in _ARRAY_READS:
                self._arrays[scope, self._origin(scope, node.input[0])].append(node)
        first = [word for file in vocabulary for word in file[:_FIRST_WORDS]]
        constants = list(self._constant_words())
        self._words = tuple(dict.fromkeys([*first, *constants[:_FIRST_WORDS]]))[:200]
        known = (word for words in (*vocabulary, constants) for word in words if len(word) <= _MOST_CHARACTERS)
        self.vocabulary = tuple(itertools.islice(dict.fromkeys(known), _MOST_WORDS))
        """Every word that the model is known to look up."""

    def _add(self, scope: str, nodes: Iterable[NodeDef]) -> None:
        for node in nodes:
            self._nodes[scope, node.name] = node
            data = [i for i in node.input if not i.startswith("^")]
            for position, text in enumerate(data):
                tensor = _parse(scope, text)
                self._consumers[scope, tensor.node].append((node, position, tensor))

    def _origin(self, scope: str, text: str) -> str:
        """The node from which a handle comes, looked for through the ops that only hand it on."""
        name = _parse(scope, text.lstrip("^")).node
        for _ in range(20):
            node = self._nodes.get((scope, name))
            if node is None or node.op not in _PASSES or not node.input:
                break
            name = _parse(scope, node.input[0]).node
        return name

    def constant(self, scope: str, text: str) -> tuple[bytes, ...]:
        """The strings of the Const that feeds an input, or nothing where no Const does."""
        node = self._nodes.get((scope, self._origin(scope, text)))
        if node is None or node.op != "Const":
            return ()
        proto = node.attr["value"].tensor
        count = math.prod(d.size for d in proto.tensor_shape.dim)
        values = tuple(proto.string_val)
        # A proto may give its last value once for all that follow (tensor.proto).
        return values + values[-1:] * (count - len(values)) if values else ()

    def _constant_words(self) -> Iterable[bytes]:
        """Keys of the tables that the graph itself fills."""
        for (scope, _), node in self._nodes.items():
            if node.op.startswith(("LookupTableImport", "InitializeTable")) and len(node.input) > 1:
                yield from self.constant(scope, node.input[1])

    def words(self, number: int) -> bytes:
        """Plain text: words the model knows by turns with words, numbers and nothing."""
        if self._words and number % 2 == 0:
            return self._words[number // 2 % len(self._words)]
        return payloads.WORDS[number % len(payloads.WORDS)]

    def of(self, tensor_name: str) -> tuple[Content, ...]:
        """Alternatives for a string tensor (`name:0`) of the main graph, best first, plain words last."""
        found = self._walk(_parse("", tensor_name), frozenset())
        return (*found, self.words)

    def _walk(self, start: _Tensor, seen: frozenset[_Tensor]) -> tuple[Content, ...]:
        """What the first decoding op beyond `start` wants; nothing where there is none."""
        queue, visited = collections.deque([start]), set(seen)
        while queue and len(visited) < _MAX_VISITS:
            tensor = queue.popleft()
            if tensor in visited:
                continue
            visited.add(tensor)
            for node, position, edge in self._consumers[tensor.scope, tensor.node]:
                if None not in (tensor.index, edge.index) and tensor.index != edge.index:
                    continue
                found = self._decoder(tensor.scope, node, position, frozenset(visited))
                if found:
                    return found
                queue.extend(self._next(tensor.scope, node, position))
        return ()

    def _next(self, scope: str, node: NodeDef, position: int) -> Iterable[_Tensor]:
        """The tensors in which a string goes on that enters `node` at `position`."""
        if node.op in _PASSES:
            yield _Tensor(scope, node.name, None)
        if _ARRAY_WRITES.get(node.op) == position:
            for read in self._arrays[scope, self._origin(scope, node.input[0])]:
                yield _Tensor(scope, read.name, 0)
        if node.op in _CALLS:
            for body in _bodies(node):
                yield from self._argument(body, position - _CALLS[node.op])
        elif node.op in self._functions:
            yield from self._argument(node.op, position)

    def _argument(self, function: str, position: int) -> Iterable[_Tensor]:
        if function in self._functions:
            arguments = self._functions[function].signature.input_arg
            if 0 <= position < len(arguments):
                yield _Tensor(function, arguments[position].name, None)

    def _decoder(self, scope: str, node: NodeDef, position: int, seen: frozenset[_Tensor]) -> tuple[Content, ...]:
        """Alternatives for a string that enters `node`, where that is an op which gives strings a meaning."""
        op, beyond = node.op, functools.partial(self._walk, _Tensor(scope, node.name, 0), seen)
        if op in _PARSERS and position == 0:
            features = self._features(scope, node)
            sequence = "Sequence" in op
            return tuple(_examples(features, sequence, longest) for longest in (2, 1))
        if op in _IMAGES:
            return (
                *(functools.partial(images.png, size) for size in _IMAGE_SIZES),
                lambda n: images.JPEG,
            )
        if op in _JPEG_ONLY and position == 0:
            return (lambda n: images.JPEG,)
        if op == "DecodeBmp":
            return tuple(functools.partial(images.bmp, size) for size in _IMAGE_SIZES)
        if op == "DecodeWav":
            return (functools.partial(payloads.wav, 16000),)
        if op == "DecodeBase64":
            return tuple(_web_safe(c) for c in beyond() or (self.words,))
        if op == "DecodeCompressed":
            return tuple(_compressed(c, node.attr["compression_type"].s) for c in beyond() or (self.words,))
        if op == "DecodeJSONExample":
            return tuple(_json(c) for c in beyond())
        if op == "DecodeCSV" and position == 0:
            delimiter = node.attr["field_delim"].s or b","
            kinds = [base_name(t) for t in node.attr["OUT_TYPE"].list.type]
            return (functools.partial(self._csv, kinds, delimiter),)
        if op in ("DecodeRaw", "DecodePaddedRaw") and position == 0:
            return self._raw(scope, node)
        if op == "StringToNumber":
            whole = base_name(node.attr["out_type"].type).startswith("int")
            return (lambda n: b"%d" % (n % 5) if whole else (b"1.5", b"0", b"-2.25", b"1e3")[n % 4],)
        if op == "ParseTensor":
            return _serialized_tensor(node.attr["out_type"].type)
        if op in _LOOKUPS and self._words:
            return (self.words,)
        return ()

    def _csv(self, kinds: Sequence[str], delimiter: bytes, number: int) -> bytes:
        def field(kind: str, index: int) -> bytes:
            if kind == "string":
                return b'"' + self.words(number + index).replace(b'"', b"") + b'"'
            return b"%d" % ((number + index) % 4) if kind.startswith("int") else b"%.2f" % (number + index / 4)

        return delimiter.join(field(kind, index) for index, kind in enumerate(kinds))

    def _raw(self, scope: str, node: NodeDef) -> tuple[Content, ...]:
        """Bytes for DecodeRaw: as many elements as a Reshape beyond it asks for, then some guesses."""
        dtype = dtypes.numpy_dtype(base_name(node.attr["out_type"].type)) or np.dtype(np.uint8)
        counts = [4, 1, 3, 8, 16, 784, 3072, 150528]
        for consumer, position, _ in self._consumers[scope, node.name]:
            if consumer.op == "Reshape" and position == 0:
                shape = self._nodes.get((scope, self._origin(scope, consumer.input[1])))
                if shape is not None and shape.op == "Const":
                    sizes = _integers(shape.attr["value"].tensor)
                    counts.insert(0, math.prod(s for s in sizes if s > 0))
        return tuple(functools.partial(_raw_bytes, dtype, count) for count in counts)

    def _features(self, scope: str, node: NodeDef) -> tuple[Feature, ...]:
        """The features that a parsing op asks for; the order of inputs and attrs is that of parsing_ops.cc."""
        data = [i for i in node.input if not i.startswith("^")]
        attr = node.attr
        keys: Mapping[str, Sequence[bytes]]

        def scalars(start: int, *counts: str) -> list[list[bytes]]:
            groups: list[list[bytes]] = []
            for count in counts:
                end = start + attr[count].i
                groups.append([b"".join(self.constant(scope, i)[:1]) for i in data[start:end]])
                start = end
            return groups

        def vectors(*positions: int) -> list[Sequence[bytes]]:
            return [self.constant(scope, data[p]) for p in positions]

        if node.op == "ParseExample":
            sparse, dense = scalars(2, "Nsparse", "Ndense")
            keys = {"sparse": sparse, "dense": dense}
        elif node.op == "ParseExampleV2":
            keys = dict(zip(("sparse", "dense", "ragged"), vectors(2, 3, 4), strict=True))
        elif node.op == "ParseSingleExample":
            keys = {"sparse": attr["sparse_keys"].list.s, "dense": attr["dense_keys"].list.s}
        else:
            names = ["context_sparse", "context_dense", "feature_list_sparse", "feature_list_dense"]
            if node.op == "ParseSequenceExample":
                groups: Iterable[Sequence[bytes]] = [attr[f"{name}_keys"].list.s for name in names]
            elif node.op == "ParseSingleSequenceExample":
                groups = scalars(2, *(f"N{name}" for name in names))
            else:
                names = [*names[:2], "context_ragged", *names[2:], "feature_list_ragged"]
                groups = vectors(2, 3, 4, 5, 6, 7)
            keys = dict(zip(names, groups, strict=True))
        return tuple(
            Feature(
                key.decode(errors="replace"),
                base_name(dtype),
                length,
                self._beyond(scope, node, f"{group}:{position}"),
                group.startswith("feature_list"),
            )
            for group, names_ in keys.items()
            for position, (key, dtype, length) in enumerate(
                zip(names_, _types(attr, group), _lengths(attr, group, len(names_)), strict=False)
            )
            if key
        )

    def _beyond(self, scope: str, node: NodeDef, output: str) -> Content:
        """Strings for a feature, by what the graph does with the parsed values (an image in a tf.Example)."""
        group, position = output.rsplit(":", 1)
        index = _output_index(node, group, int(position))
        if index is None:
            return self.words
        found = self._walk(_Tensor(scope, node.name, None if scope else index), frozenset())
        return found[0] if found else self.words


def _bodies(node: NodeDef) -> Iterable[str]:
    """Names of the functions that a functional op calls."""
    for attr in node.attr.values():
        if attr.HasField("func"):
            yield attr.func.name
        yield from (f.name for f in attr.list.func)


def _types(attr: Mapping[str, AttrValue], group: str) -> Sequence[int]:
    """Dtypes of a group of features; dense ones have theirs in `Tdense` or `Tcontext_dense`."""
    for name in (f"T{group}", f"{group}_types", f"{group}_value_types"):
        if name in attr:
            return list(attr[name].list.type)
    return []


def _lengths(attr: Mapping[str, AttrValue], group: str, count: int) -> Sequence[int | None]:
    """Values that each feature of a group must have; a dense one of unknown first dimension gets two rows."""
    if f"{group}_shapes" not in attr:
        return [None] * count
    shapes = attr[f"{group}_shapes"].list.shape
    return [math.prod(2 if d.size < 0 else d.size for d in shape.dim) for shape in shapes]


def _output_index(node: NodeDef, group: str, position: int) -> int | None:
    """Flat index of the output with a feature's values; None for ops other than those that parse tf.Examples."""
    if node.op not in ("ParseExample", "ParseExampleV2", "ParseSingleExample"):
        return None
    sparse = len(node.attr["sparse_types"].list.type)
    if group == "sparse":
        return sparse + position
    return 3 * sparse + position if group == "dense" else None


def _examples(features: Sequence[Feature], sequence: bool, longest: int) -> Content:
    return lambda n: payloads.example(features, n, sequence, longest)


def _web_safe(content: Content) -> Content:
    # DecodeBase64 takes the web-safe alphabet, padded or not (decode_base64_op).
    return lambda n: base64.urlsafe_b64encode(content(n)).rstrip(b"=")


def _compressed(content: Content, kind: bytes) -> Content:
    if kind == b"GZIP":
        return lambda n: gzip.compress(content(n), mtime=0)
    if kind == b"ZLIB":
        return lambda n: zlib.compress(content(n))
    return content


def _json(content: Content) -> Content:
    from google.protobuf import json_format

    return lambda n: json_format.MessageToJson(Example.FromString(content(n)), indent=None).encode()


def _raw_bytes(dtype: np.dtype[np.generic], count: int, number: int) -> bytes:
    if dtype.kind == "f":  # random bits are NaNs and infinities too often
        return np.random.default_rng(number).standard_normal(count).astype(dtype).tobytes()
    return random.Random(number).randbytes(count * dtype.itemsize)


def _serialized_tensor(dtype: int) -> tuple[Content, ...]:
    """Serialized TensorProtos of zeros: a vector of three, a scalar, a matrix."""

    def content(sizes: Sequence[int], number: int) -> bytes:
        del number
        proto = TensorProto(dtype=dtype)
        for size in sizes:
            proto.tensor_shape.dim.add(size=size)
        return proto.SerializeToString()

    return tuple(functools.partial(content, sizes) for sizes in ((3,), (), (1, 3)))


def _integers(proto: TensorProto) -> list[int]:
    """The values of an integer TensorProto of rank 0 or 1, whichever way it stores them (tensor.proto)."""
    if proto.tensor_content:
        dtype = np.dtype(base_name(proto.dtype))
        return [int(v) for v in np.frombuffer(proto.tensor_content, dtype=dtype)]
    values = [*proto.int_val, *proto.int64_val]
    count = math.prod(d.size for d in proto.tensor_shape.dim)
    return [int(v) for v in values + values[-1:] * (count - len(values))]
