"""The SignatureDefs of a candidate against those of its source, and the placeholders that stand behind them.

Sources: TensorFlow Serving's `classifier.cc`, `regressor.cc` and `predict_util.cc` (method names, dtypes and names of
inputs and outputs), TensorFlow's `meta_graph.proto`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from migrate.graph.contract import RESERVED_KEYS, portless, tensor_names
from migrate.graph.dtypes import REF, base_name
from migrate.graph.graph import split
from migrate.graph.op_table import PLACEHOLDERS
from migrate.graph.protos import MetaGraphDef, NodeDef, SignatureDef, TensorInfo
from migrate.records import Mismatch
from migrate.verify.differences import mismatch
from migrate.verify.values import content

Told = tuple[str, str, str]
"""A code, the input or output that it is about, and what differs."""

_ABSENT = {"input": ("input-missing", "input-added"), "output": ("output-missing", "output-added")}
_WITH_DEFAULT = "PlaceholderWithDefault"


def signature_differences(
    source: MetaGraphDef, new: MetaGraphDef, droppable: Collection[str], path: str
) -> Iterator[Mismatch]:
    """Compares the signatures that clients call.

    Args:
      source: the source's.
      new: the candidate's.
      droppable: keys that the candidate may lack.
      path: of the differences, see `records.Mismatch`.
    """
    before = {key: s for key, s in source.signature_def.items() if key not in RESERVED_KEYS}
    after = {key: s for key, s in new.signature_def.items() if key not in RESERVED_KEYS}
    nodes = {node.name: node for node in source.graph_def.node}
    new_nodes = {node.name: node for node in new.graph_def.node}
    for key in sorted(before.keys() - after.keys() - set(droppable)):
        yield mismatch("signature-missing", path, "the candidate does not have this signature", key)
    for key in sorted(after.keys() - before.keys()):
        yield mismatch("signature-added", path, "the source does not have this signature", key)
    for key in sorted(before.keys() & after.keys()):
        old, other = before[key], after[key]
        if old.method_name != other.method_name:
            reason = f"the method name differs: expected {old.method_name!r}, found {other.method_name!r}"
            yield mismatch("method-name-differs", path, reason, key)
        told = [
            *_tensors("input", old.inputs, other.inputs, nodes),
            *_tensors("output", old.outputs, other.outputs, nodes),
            *_portless(other),
            *_defaults(old, other, nodes, new_nodes),
            *_placeholders(old, other, nodes, new_nodes),
        ]
        for code, name, reason in told:
            yield mismatch(code, path, reason, key, name)


def _tensors(
    kind: str, before: Mapping[str, TensorInfo], after: Mapping[str, TensorInfo], nodes: Mapping[str, NodeDef]
) -> Iterator[Told]:
    missing, added = _ABSENT[kind]
    for name in sorted(before.keys() - after.keys()):
        yield missing, name, f"the candidate does not have this {kind}"
    for name in sorted(after.keys() - before.keys()):
        yield added, name, f"the source does not have this {kind}"
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        if old.WhichOneof("encoding") != new.WhichOneof("encoding"):
            told = f"expected the encoding {old.WhichOneof('encoding')}, found {new.WhichOneof('encoding')}"
            yield "encoding-differs", name, told
        elif old.composite_tensor.type_spec != new.composite_tensor.type_spec:
            yield "encoding-differs", name, "it is another kind of composite tensor"
        # A ref is read where it is fed or fetched. A TensorInfo that its own tensor contradicts says nothing: TF1 took
        # the tensor, and TensorFlow 2 takes no such graph.
        dtype, shape = base_name(old.dtype), _shape(old)
        true_dtype, true_shape = _placeholder(nodes.get(split(old.name)[0]))
        if base_name(new.dtype) != (true_dtype or dtype) or base_name(new.dtype) != _name(new.dtype):
            yield "dtype-differs", name, f"expected the dtype {true_dtype or dtype}, found {_name(new.dtype)}"
        if _shape(new) != shape and (_fits(true_shape, shape) or _shape(new) != true_shape):
            yield "shape-differs", name, f"expected the shape {_told(shape)}, found {_told(_shape(new))}"


Shape = tuple[int, ...] | None
"""-1 for a size that is not known, None for a rank that is not."""


def _shape(info: TensorInfo) -> Shape:
    if not info.HasField("tensor_shape") or info.tensor_shape.unknown_rank:
        return None
    return tuple(max(dim.size, -1) for dim in info.tensor_shape.dim)


def _told(shape: Shape) -> str:
    return "of unknown rank" if shape is None else str(["?" if size < 0 else size for size in shape]).replace("'", "")


def _name(dtype: int) -> str:
    """The dtype, a ref as one (types.proto: a ref's number is 100 more)."""
    return f"{base_name(dtype)} ref" if dtype > REF else base_name(dtype)


def _placeholder(node: NodeDef | None) -> tuple[str, Shape]:
    """What a node says of its dtype and shape, if it is a placeholder; else nothing, and any shape."""
    if node is None or node.op not in PLACEHOLDERS:
        return "", None
    # What is not there must not be asked for: a map of attributes gets what it is asked for.
    dtype = base_name(node.attr["dtype"].type) if "dtype" in node.attr else ""
    if "shape" not in node.attr or node.attr["shape"].shape.unknown_rank:
        return dtype, None
    return dtype, tuple(max(dim.size, -1) for dim in node.attr["shape"].shape.dim)


def _fits(one: Shape, other: Shape) -> bool:
    """Whether some tensor has both shapes."""
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(a == b or min(a, b) < 0 for a, b in zip(one, other, strict=True))


def _covers(new: Shape, old: Shape) -> bool:
    """Whether each tensor of one shape has another one, too."""
    if new is None or old is None:
        return new is None
    return len(new) == len(old) and all(a in (b, -1) for a, b in zip(new, old, strict=True))


def _placeholders(
    before: SignatureDef, after: SignatureDef, nodes: Mapping[str, NodeDef], new_nodes: Mapping[str, NodeDef]
) -> Iterator[Told]:
    """What a Session checks is the placeholder, whatever the TensorInfo says."""
    for name in sorted(before.inputs.keys() & after.inputs.keys()):
        old, new = nodes.get(split(before.inputs[name].name)[0]), _behind(after.inputs[name], new_nodes)
        if old is None or new is None or old.op not in PLACEHOLDERS or new.op not in PLACEHOLDERS:
            continue
        (dtype, shape), (new_dtype, new_shape) = _placeholder(old), _placeholder(new)
        if dtype and new_dtype != dtype:
            yield "dtype-differs", name, f"expected a placeholder of the dtype {dtype}, found {new_dtype or 'none'}"
        if not _covers(new_shape, shape):
            told = f"expected a placeholder of the shape {_told(shape)}, found {_told(new_shape)}"
            yield "shape-differs", name, told


def _behind(info: TensorInfo, nodes: Mapping[str, NodeDef]) -> NodeDef | None:
    """The node of an input, or the one that hands its tensor on to it."""
    name, output = split(info.name)
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        node = nodes.get(name)
        if node is None or node.op not in ("Identity", "IdentityN"):
            return node
        taken = [source for source in node.input if not source.startswith("^")]
        if not 0 <= output < len(taken):
            return None
        name, output = split(taken[output])
    return None


def _defaults(
    before: SignatureDef, after: SignatureDef, nodes: Mapping[str, NodeDef], new_nodes: Mapping[str, NodeDef]
) -> Iterator[Told]:
    """An input that a client may leave out has the same default on both ways, and no other input has one."""
    for name in sorted(before.inputs.keys() & after.inputs.keys()):
        declared = content(before.defaults[name]) if name in before.defaults else None
        held = _default(nodes.get(split(before.inputs[name].name)[0]), nodes)
        wanted = held if declared is None else declared
        if (wanted is not None) != (name in after.defaults):
            yield "default-differs", name, f"the source has {'a' if wanted is not None else 'no'} default value for it"
        elif wanted is not None and wanted != content(after.defaults[name]):
            yield "default-differs", name, "its default value differs"
        if held is not None and held != _default(_behind(after.inputs[name], new_nodes), new_nodes):
            yield "default-differs", name, "its default value in a Session differs"
    for name in sorted(after.defaults.keys() - before.inputs.keys()):
        yield "default-differs", name, "the source has no such input, and so no default value for it"


def _default(node: NodeDef | None, nodes: Mapping[str, NodeDef]) -> object:
    """The constant that a PlaceholderWithDefault gives where nothing is fed, None where there is none."""
    if node is None or node.op != _WITH_DEFAULT:
        return None
    seen: set[str] = set()
    source = _first_giver(node, nodes)
    while source is not None and source.op == "Identity" and source.name not in seen:
        seen.add(source.name)
        source = _first_giver(source, nodes)
    if source is None or source.op != "Const" or "value" not in source.attr:
        return None
    return content(source.attr["value"].tensor)


def _first_giver(node: NodeDef, nodes: Mapping[str, NodeDef]) -> NodeDef | None:
    taken = [name for name in node.input if not name.startswith("^")]
    return nodes.get(taken[0].partition(":")[0]) if taken else None


def kept_name_differences(
    source: MetaGraphDef, new: MetaGraphDef, left_out: Collection[str], path: str
) -> Iterator[Mismatch]:
    """With --keep_tensor_names clients feed and fetch by the source's names.

    Args:
      source: the source's.
      new: the candidate's.
      left_out: full names of the tensors that the report says are not kept.
      path: of the differences, see `records.Mismatch`.
    """
    keys = sorted(source.signature_def.keys() & new.signature_def.keys() - RESERVED_KEYS)
    given: set[str] = set()
    wanted: dict[str, tuple[str, str]] = {}
    for key in keys:
        old, other = source.signature_def[key], new.signature_def[key]
        for name in sorted(old.inputs.keys() & other.inputs.keys()):
            found = _names(other.inputs[name])
            for tensor, now in zip(_names(old.inputs[name]), found or (), strict=False):
                given.add(tensor)
                if now != tensor and tensor not in left_out:
                    reason = f"--keep_tensor_names keeps {tensor!r}, and the candidate is fed {now!r}"
                    yield mismatch("tensor-name-lost", path, reason, key, name)
        for name in sorted(old.outputs.keys() & other.outputs.keys()):
            for tensor, now in zip(_names(old.outputs[name]), _names(other.outputs[name]), strict=False):
                if now == tensor:
                    given.add(tensor)
                wanted.setdefault(tensor, (key, name))
    for tensor, (key, name) in wanted.items():
        if tensor not in given and tensor not in left_out:
            reason = f"--keep_tensor_names keeps {tensor!r}, and no output of the candidate is called so"
            yield mismatch("tensor-name-lost", path, reason, key, name)


def _names(info: TensorInfo) -> tuple[str, ...]:
    """Full names of the tensors of an input or output."""
    return tuple(tensor if ":" in tensor else f"{tensor}:0" for tensor in tensor_names(info))


def _portless(new: SignatureDef) -> Iterator[Told]:
    for name, node in portless(new):
        yield "tensor-name-lost", name, f"{node!r} is the name of a node, where that of a tensor is needed"
