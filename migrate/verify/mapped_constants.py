"""Large constants that TensorFlow maps from files while a model is asked, in the place of constants in its graph.

TensorFlow copies what a constant of a graph holds some fifteen times to answer one call (docs/benchmarks.md). Its op
ImmutableConst gives the same tensor out of the map of a file, as in the memmapped graphs of TF1. So a graph that is
asked has this op in the place of a large constant, and the file has the bytes that the model's file has. Nothing else
of a check looks at such a graph: what loading would run is judged before, and constants are compared on the files.

A constant is mapped only where TensorFlow treats it as it treats any other tensor: what takes it reads it and writes
elsewhere, and is nothing that the graph optimiser computes ahead or joins with another constant. All others stay.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from migrate.graph.cut_constants import SAVED_MODEL, Part, cut
from migrate.graph.dtypes import base_name
from migrate.graph.graph import attribute, data_inputs
from migrate.graph.large_constants import LARGE_BYTES, MARK, constant_bytes, hollow, is_large, is_plain, with_nodes
from migrate.graph.nodes import giver
from migrate.graph.protos import AttrValue, FunctionDef, MetaGraphDef, NodeDef, SavedModel
from migrate.sources.boundary import Boundary
from migrate.sources.large_contents import InFile, Place, finder_in, mapped
from migrate.verify.calls import Array
from migrate.verify.dtypes import numpy_dtype
from migrate.verify.memory import LARGE

TAKERS: Mapping[str, tuple[int, ...]] = {
    "BatchMatMul": (0, 1),
    "BatchMatMulV2": (0, 1),
    "BatchMatMulV3": (0, 1),
    "Conv2D": (1,),
    "Conv2DBackpropInput": (1,),
    "Conv3D": (1,),
    "Conv3DBackpropInputV2": (1,),
    "DepthwiseConv2dNative": (1,),
    "Gather": (0,),
    "GatherNd": (0,),
    "GatherV2": (0,),
    "MatMul": (0, 1),
    "SparseTensorDenseMatMul": (3,),
}
"""Inputs that kernels only read, and write their output elsewhere (core/kernels: matmul_op_impl.h, conv_ops.cc,
conv_grad_input_ops.h, depthwise_conv_op.cc, gather_op.cc, gather_nd_op.cc, sparse_tensor_dense_matmul_op.cc): the map
of a file cannot be written to."""
_SCALES = frozenset({"Mul", "MulNoNan"})
"""With a convolution whose filter is a constant the optimiser joins these, in either order (grappler:
constant_folding.cc, MulConvPushDown; arithmetic_optimizer.cc, FoldMultiplyIntoConv)."""
_CONVOLUTIONS = frozenset(op for op in TAKERS if op.startswith(("Conv", "Depthwise")))


def read_hollow(directory: str) -> tuple[SavedModel, InFile] | None:
    """A SavedModel with hollow stubs for its large constants; None where there are few, or it is no binary file."""
    file = os.path.join(directory, "saved_model.pb")
    if not os.path.isfile(file) or os.path.getsize(file) < LARGE:
        return None
    with mapped(file) as (data, state):
        try:
            found = cut(data, SAVED_MODEL)
            if found.size < LARGE:
                return None
            return SavedModel.FromString(found.light), InFile(file, found.places, state)
        except (ValueError, DecodeError):  # TensorFlow says what is wrong with it.
            return None


def hollowed(
    meta_graph: MetaGraphDef, file: str, boundary: Boundary | None = None
) -> tuple[MetaGraphDef, InFile] | None:
    """A copy with hollow stubs for the large constants that a file has byte by byte; None where there are few.

    Args:
      meta_graph: what a client loads of a source; it may have been changed since it was read.
      file: the source's.
      boundary: where it may be; None for anywhere.
    """
    with finder_in(file, LARGE, boundary) as found:
        if found is None:
            return None
        finder, state = found
        places: list[Place] = []

        def change(node: NodeDef) -> NodeDef:
            if not is_large(node):
                return node
            content = node.attr["value"].tensor.tensor_content
            place = finder.place(content) if MARK not in node.attr and is_plain(node, len(content)) else None
            if place is None:
                return node
            places.append(place)
            return hollow(node, len(places) - 1)

        result = with_nodes(meta_graph, change)
    if sum(end - start for start, end in places) < LARGE:
        return None
    return result, InFile(file, tuple(places), state)


def put_back(meta_graph: MetaGraphDef, held: InFile | None) -> None:
    """Makes a graph with hollow stubs one that TensorFlow takes: with maps of files, or with constants.

    Args:
      meta_graph: it is changed.
      held: what the stubs hold; None for a graph without any.

    Raises:
      InputError: the file is not as it was.
    """
    if held is None:
        return
    with held.contents() as contents:
        files = None if any(map(_is_compiled, _attributes(meta_graph))) else _Files(held, contents)
        for nodes, function in _graphs(meta_graph):
            _put_back(nodes, function, contents, files)


def _graphs(meta_graph: MetaGraphDef) -> Iterator[tuple[Any, FunctionDef | None]]:
    """The nodes of the graph, and those of each function with it."""
    yield meta_graph.graph_def.node, None
    yield from ((function.node_def, function) for function in meta_graph.graph_def.library.function)


def _put_back(nodes: Any, function: FunctionDef | None, contents: Sequence[Part], files: _Files | None) -> None:
    stubs = [node for node in nodes if MARK in node.attr]
    chosen = mappable(nodes, function) if stubs and files is not None else frozenset()
    mapped_names: set[str] = set()
    for node in stubs:
        number = node.attr[MARK].i
        path = files.path(number) if files is not None and node.name in chosen else None
        tensor = node.attr["value"].tensor
        if path is None:
            del node.attr[MARK]
            tensor.tensor_content = bytes(contents[number])
            continue
        node.op = "ImmutableConst"
        node.attr["shape"].shape.CopyFrom(tensor.tensor_shape)
        node.attr["memory_region_name"].s = path.encode()
        del node.attr["value"]
        mapped_names.add(node.name)
    if function is not None and mapped_names:
        _rename_outputs(nodes, mapped_names)


def _rename_outputs(nodes: Any, names: Collection[str]) -> None:
    """Has the nodes of a function's body take what is now an output of another name (array_ops.cc)."""
    for node in nodes:
        for position, tensor in enumerate(node.input):
            name, _, output = tensor.partition(":")
            if name in names:
                node.input[position] = f"{name}:tensor:{output.rpartition(':')[2]}"


class _Files:
    """Files with one content each, in the scratch directory of this job; a map begins where a page does."""

    def __init__(self, held: InFile, contents: Sequence[Part]) -> None:
        self._held, self._contents = held, contents
        # Only a job has a directory that is nobody else's, and that goes with it.
        self._directory = tempfile.tempdir

    def path(self, number: int) -> str | None:
        """The file with a content; None where it cannot be made, or holds nothing but zeros.

        The optimiser knows what a product with nothing but zeros is.
        """
        part = self._held.parts[number]
        if self._directory is None or isinstance(part, bytes):
            return None
        path = os.path.join(self._directory, "constant_" + "_".join(map(str, (*self._held.state, *part))))
        if os.path.exists(path):
            return path
        if not _holds_something(self._contents[number]):
            return None
        try:
            with open(path + ".part", "xb") as file:
                file.write(self._contents[number])
            os.rename(path + ".part", path)
        except OSError:
            with contextlib.suppress(OSError):
                os.remove(path + ".part")
            return None
        return path


def _holds_something(content: Part) -> bool:
    """Whether a content is not nothing but zeros; most are not from their beginning."""
    values = np.frombuffer(content, np.uint8)
    return bool(values[:_HEAD_BYTES].any() or values.any())


_HEAD_BYTES = 1 << 12


def _attributes(meta_graph: MetaGraphDef) -> Iterator[Mapping[str, AttrValue]]:
    for nodes, function in _graphs(meta_graph):
        yield from (node.attr for node in nodes)
        if function is not None:
            yield function.attr


def _is_compiled(attributes: Mapping[str, AttrValue]) -> bool:
    """Whether attributes ask for a compiler, which knows constants and no maps."""
    return any(value.b or value.s for key, value in attributes.items() if key.startswith(_COMPILERS))


_COMPILERS = ("_Xla", "_xla", "_tpu", "_TPU", "_replication")


def mappable(nodes: Sequence[NodeDef], function: FunctionDef | None = None) -> frozenset[str]:
    """Names of the constants of a graph that may be mapped, large or not.

    Args:
      nodes: all of the graph, or of a function's body.
      function: of which they are the body, or None.
    """
    named = {node.name: node for node in nodes}
    takers: dict[str, list[tuple[NodeDef, int]]] = {}
    for node in nodes:
        for position, tensor in enumerate(data_inputs(node)):
            takers.setdefault(tensor.partition(":")[0], []).append((node, position))
    varying = _varying(nodes, named, takers)
    returned = {tensor.partition(":")[0] for tensor in function.ret.values()} if function is not None else set()

    def is_read(name: str) -> bool:
        """Whether what takes a tensor reads it alone."""
        pending, seen, count = [name], set(), 0
        for current in pending:  # grows while it is read
            if current in seen or current in returned:
                return False
            seen.add(current)
            for taker, position in takers.get(current, ()):
                if _hands_on(taker):
                    pending.append(taker.name)
                elif position in TAKERS.get(taker.op, ()) and taker.name in varying:
                    count += 1
                    if taker.op in _CONVOLUTIONS and is_scaled(taker):
                        return False
                else:
                    return False
        return count > 0

    def is_scale(node: NodeDef | None) -> bool:
        return node is not None and node.op in _SCALES

    def is_scaled(convolution: NodeDef) -> bool:
        given = data_inputs(convolution)
        if any(is_scale(giver(named, tensor, ("Identity",))) for tensor in given):
            return True
        pending = [convolution.name]
        for current in pending:  # grows while it is read
            for taker, _ in takers.get(current, ()):
                if is_scale(taker):
                    return True
                if taker.op == "Identity" and taker.name not in pending:
                    pending.append(taker.name)
        return False

    return frozenset(node.name for node in nodes if node.op == "Const" and is_read(node.name))


def _hands_on(node: NodeDef) -> bool:
    return node.op == "Identity" or (node.op == "Enter" and attribute(node, "is_constant").b)


def _varying(
    nodes: Sequence[NodeDef], named: Mapping[str, NodeDef], takers: Mapping[str, Sequence[tuple[NodeDef, int]]]
) -> set[str]:
    """Names of the nodes that nobody computes ahead: what is fed, given or held by a variable is behind them."""
    found: set[str] = set()
    pending: list[str] = []
    for node in nodes:
        taken = data_inputs(node)
        is_given = not taken and node.op != "Const"
        if is_given or any(tensor.partition(":")[0] not in named for tensor in taken):
            pending.append(node.name)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [taker.name for taker, _ in takers.get(name, ())]
    return found


@contextlib.contextmanager
def arrays_of(meta_graph: MetaGraphDef, held: InFile | None) -> Iterator[Mapping[str, Array]]:
    """What the hollow stubs of a main graph hold, by name; arrays that are there until the block ends."""
    if held is None:
        yield {}
        return
    with held.contents() as contents:
        found: dict[str, Array] = {}
        for node in meta_graph.graph_def.node:
            if MARK in node.attr:
                tensor = node.attr["value"].tensor
                dtype = numpy_dtype(base_name(tensor.dtype))
                shape = [dim.size for dim in tensor.tensor_shape.dim]
                found[node.name] = np.frombuffer(contents[node.attr[MARK].i], dtype).reshape(shape)
        try:
            yield found
        finally:
            found.clear()


def op_of(operation: Any) -> str:
    """The op of an operation of a loaded graph; of one that maps a constant, that of a constant."""
    is_map = operation.type == "ImmutableConst" and MARK in operation.node_def.attr
    return "Const" if is_map else str(operation.type)


def keep_maps() -> None:
    """Has TensorFlow keep maps in the functions that this process calls; before it makes its first op.

    Whatever has no input it computes ahead, and makes a constant of it where that is not too large
    (constant_folding.h, ConstantFoldingOptions).
    """
    # Private: nothing public says how large such a constant may be.
    from tensorflow.core.protobuf.config_pb2 import ConfigProto
    from tensorflow.python.eager import context

    config = ConfigProto()
    config.graph_options.optimizer_options.max_folded_constant_in_bytes = LARGE_BYTES - 1
    context.context()._config = config


def mapped_bytes(meta_graph: MetaGraphDef) -> int:
    """Bytes of the large constants of a graph that are mapped where its file has them; 0 where these are few."""
    if constant_bytes(meta_graph) < LARGE or any(map(_is_compiled, _attributes(meta_graph))):
        return 0
    total = 0
    for nodes, function in _graphs(meta_graph):
        sizes = {node.name: len(node.attr["value"].tensor.tensor_content) for node in nodes if is_large(node)}
        chosen = mappable(nodes, function) if sizes else ()
        total += sum(sizes[node.name] for node in nodes if node.name in chosen and _is_mapped(node, sizes))
    return total if total >= LARGE else 0


def _is_mapped(node: NodeDef, sizes: Mapping[str, int]) -> bool:
    return node.name in sizes and is_plain(node, sizes[node.name])


def unmapped_bytes(meta_graph: MetaGraphDef, held: InFile | None) -> int:
    """Bytes of what hollow stubs hold that `put_back` makes constants of."""
    if held is None:
        return 0
    is_compiled = any(map(_is_compiled, _attributes(meta_graph)))
    total = 0
    for nodes, function in _graphs(meta_graph):
        stubs = {node.name: held.size(node.attr[MARK].i) for node in nodes if MARK in node.attr}
        left = stubs.keys() - (mappable(nodes, function) if stubs and not is_compiled else ())
        total += sum(stubs[name] for name in left)
    return total


@contextlib.contextmanager
def saved_model_loader(path: str) -> Iterator[tuple[Any, InFile | None]]:
    """TensorFlow's loader of SavedModels for v1 Sessions, and what the hollow stubs hold that it has read.

    It parses a model once more where it loads it, and uses nothing of that.
    """
    # Private: nothing public loads a proto that is in memory already, and what is loaded is what was judged.
    from tensorflow.python.saved_model import loader_impl

    found = read_hollow(path)
    if found is None:
        yield loader_impl.SavedModelLoader(path), None
        return
    with _parsed_by(lambda _: found[0]):
        yield loader_impl.SavedModelLoader(path), found[1]


def load_mapped(tf: Any, path: str) -> Any:
    """What `tf.saved_model.load` gives, with maps in the place of large constants."""
    from tensorflow.python.saved_model import loader_impl

    parse = loader_impl.parse_saved_model

    def parsed(directory: Any) -> SavedModel:
        found = read_hollow(os.fsdecode(directory))
        if found is None:
            return parse(directory)  # type: ignore[no-any-return]
        saved_model, held = found
        for meta_graph in saved_model.meta_graphs:
            put_back(meta_graph, held)
        return saved_model

    with _parsed_by(parsed):
        return tf.saved_model.load(path)


@contextlib.contextmanager
def _parsed_by(parse: Callable[[Any], SavedModel]) -> Iterator[None]:
    """Has TensorFlow's loaders take SavedModels from a function."""
    # Private: nothing public loads a proto that is in memory already.
    from tensorflow.python.saved_model import loader_impl

    original = loader_impl.parse_saved_model
    loader_impl.parse_saved_model = parse
    try:
        yield
    finally:
        loader_impl.parse_saved_model = original
