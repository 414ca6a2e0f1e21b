"""Tensors that have one value in every call: what `--feed` gives them, and what audit proposes."""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from migrate.checks.given_signatures import near_tensors
from migrate.errors import counted
from migrate.feed_flag import feed_option
from migrate.frozen import frozen
from migrate.graph.dtypes import base_name, dtype_value
from migrate.graph.nodes import nodes_by_name
from migrate.graph.op_table import PLACEHOLDERS, load_op_table
from migrate.graph.output_dtypes import functions_of, output_dtypes
from migrate.graph.protos import MetaGraphDef, NodeDef, SignatureDef, TensorProto, TensorShapeProto, copied
from migrate.records import Finding, GivenFeed, Severity, refusal


@frozen
class Fed:
    """A MetaGraphDef in which some tensors are constants.

    Attributes:
      meta_graph: the source itself where nothing is fed.
      values: what each fed tensor has become, by full name.
      findings: refusals among them forbid the conversion.
    """

    meta_graph: MetaGraphDef
    values: Mapping[str, TensorProto]
    findings: tuple[Finding, ...] = ()


def apply_feeds(meta_graph: MetaGraphDef, feeds: Sequence[GivenFeed]) -> Fed:
    """Puts constants in the place of tensors.

    A call of the new model then does what a v1 Session does that feeds these tensors in each call: what is behind them
    does not run for them. A signature that feeds such a tensor itself still does.

    Args:
      meta_graph: the source; it is not changed.
      feeds: a tensor that the graph does not have is passed over, with a note that lists near names.

    Returns:
      The new MetaGraphDef. A value that does not fit its tensor is a refusal.
    """
    if not feeds:
        return Fed(meta_graph, {})
    nodes = nodes_by_name(meta_graph)
    values: dict[str, TensorProto] = {}
    findings: list[Finding] = []
    for feed in feeds:
        value = _value(nodes, meta_graph, feed)
        if isinstance(value, TensorProto):
            values[feed.tensor] = value
        else:
            findings.append(value)
    return Fed(_with_constants(meta_graph, values) if values else meta_graph, values, tuple(findings))


def _value(nodes: Mapping[str, NodeDef], meta_graph: MetaGraphDef, feed: GivenFeed) -> TensorProto | Finding:
    name, _, output = feed.tensor.partition(":")
    node = nodes.get(name)
    dtypes = output_dtypes(node, functions_of(meta_graph.graph_def.library)) if node is not None else ()
    if node is None or (dtypes is not None and int(output) >= len(dtypes)):
        placeholders = [other.name for other in nodes.values() if other.op in PLACEHOLDERS]
        near = near_tensors(feed.tensor, nodes, placeholders)
        return Finding(
            "feed-tensor-missing",
            Severity.NOTE,
            f"--feed names the tensor {feed.tensor!r}, which the graph does not have",
            (feed.tensor,),
            f"near matches: {', '.join(near)}" if near else "",
        )
    given_out = [key for key, s in meta_graph.signature_def.items() if _gives(s, feed.tensor)]
    if given_out or (node.op in load_op_table() and load_op_table()[node.op].has_ref):
        why = f"signature {given_out[0]!r} gives it out" if given_out else f"{node.op} gives a variable's buffer"
        message = f"--feed gives {feed.tensor!r} a value, but {why}"
        return refusal("feed-value", message, (feed.tensor,), "feed what is computed from it")
    dtype = dtypes[int(output)] if dtypes is not None else 0
    write = _WRITERS.get(base_name(dtype))
    if write is None:
        message = f"--feed gives {feed.tensor!r} a value, but it is {base_name(dtype)}, which takes none"
        return refusal("feed-value", message, (feed.tensor,), "feed a tensor of numbers, bools or strings")
    try:
        shape, items = _flat(_parsed(feed.value, base_name(dtype)))
        value = TensorProto(
            dtype=dtype, tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=s) for s in shape])
        )
        write(value, items)
    except (ValueError, TypeError, OverflowError, struct.error, RecursionError) as error:
        message = f"--feed={feed.tensor}={feed.value!r}: it is no {base_name(dtype)} value: {error}"
        return refusal("feed-value", message, (feed.tensor,), f"give {feed.tensor!r} a JSON literal of its dtype")
    declared = node.attr["shape"].shape if node.op in PLACEHOLDERS and "shape" in node.attr else None
    if declared is not None and not _fits(shape, declared, node.op):
        message = f"--feed gives {feed.tensor!r} the shape {list(shape)}, and it is {_show(declared)}"
        return refusal("feed-value", message, (feed.tensor,), "give it a value of this shape")
    return value


def _gives(signature: SignatureDef, tensor: str) -> bool:
    return any(info.name in (tensor, tensor.removesuffix(":0")) for info in signature.outputs.values())


def _fits(shape: Sequence[int], declared: TensorShapeProto, op: str) -> bool:
    # Before graph version 24 a Placeholder without dimensions took any shape (array_ops.cc, "Placeholder").
    if declared.unknown_rank or (not declared.dim and op == "Placeholder"):
        return True
    sizes = [dim.size for dim in declared.dim]
    return len(sizes) == len(shape) and all(known in (-1, size) for known, size in zip(sizes, shape, strict=True))


def _show(shape: TensorShapeProto) -> str:
    return str([dim.size if dim.size >= 0 else None for dim in shape.dim])


def _parsed(text: str, dtype: str) -> Any:
    """The value that a text means.

    Raises:
      ValueError: it is no JSON.
    """
    if dtype == "string" and not text.startswith(("[", '"')):
        return text
    return json.loads(text)


def _flat(value: Any) -> tuple[tuple[int, ...], list[Any]]:
    """Shape and elements of a nested list.

    Raises:
      ValueError: its parts have different shapes.
    """
    if not isinstance(value, list):
        return (), [value]
    parts = [_flat(item) for item in value]
    shapes = {shape for shape, _ in parts}
    if len(shapes) > 1:
        raise ValueError("the lists in it have different shapes")
    inner = shapes.pop() if shapes else ()
    return (len(value), *inner), [item for _, items in parts for item in items]


def _bools(value: TensorProto, items: Iterable[Any]) -> None:
    for item in items:
        if not isinstance(item, bool):
            raise ValueError(f"{item!r} is neither true nor false")
        value.bool_val.append(item)


def _strings(value: TensorProto, items: Iterable[Any]) -> None:
    for item in items:
        if not isinstance(item, str):
            raise ValueError(f"{item!r} is no string")
        value.string_val.append(item.encode("utf-8", "surrogateescape"))


def _numbers(form: str, whole: bool) -> Callable[[TensorProto, Iterable[Any]], None]:
    """Writes numbers as little-endian bytes (tensor.proto, tensor_content), which checks their range."""

    def write(value: TensorProto, items: Iterable[Any]) -> None:
        content = bytearray()
        for item in items:
            if isinstance(item, bool) or not isinstance(item, int if whole else (int, float)):
                raise ValueError(f"{item!r} is no {'whole ' if whole else ''}number")
            content += struct.pack(f"<{form}", item)
        value.tensor_content = bytes(content)

    return write


_WRITERS: Mapping[str, Callable[[TensorProto, Iterable[Any]], None]] = {
    "bool": _bools,
    "string": _strings,
    **{name: _numbers(form, whole=False) for name, form in (("float16", "e"), ("float32", "f"), ("float64", "d"))},
    **{
        name: _numbers(form, whole=True)
        for name, form in zip(
            ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"), "bhiqBHIQ", strict=True
        )
    },
}


def can_be_fed(dtype: int) -> bool:
    """Whether `--feed` takes values of a DataType."""
    return base_name(dtype) in _WRITERS


def _with_constants(meta_graph: MetaGraphDef, values: Mapping[str, TensorProto]) -> MetaGraphDef:
    result = copied(meta_graph)
    taken = {node.name for node in result.graph_def.node}
    replaced: dict[str, str] = {}
    for node in result.graph_def.node:
        tensor = f"{node.name}:0"
        if node.op in PLACEHOLDERS and tensor in values:
            # In its own place, so that control edges and signatures still find it.
            del node.input[:]
            node.op = "Const"
            node.attr.clear()
            _constant(node, values[tensor])
            replaced[tensor] = node.name
    for tensor, value in values.items():
        if tensor not in replaced:
            name = f"{tensor.replace(':', '/fed_')}"
            while name in taken:
                name += "_"
            taken.add(name)
            replaced[tensor] = name
            _constant(result.graph_def.node.add(name=name, op="Const"), value)
    for node in result.graph_def.node:
        for position, taken_input in enumerate(node.input):
            full = taken_input if ":" in taken_input else f"{taken_input}:0"
            if not taken_input.startswith("^") and full in replaced:
                node.input[position] = replaced[full]
    return result


def _constant(node: NodeDef, value: TensorProto) -> None:
    node.attr["dtype"].type = value.dtype
    node.attr["value"].tensor.CopyFrom(value)


# What audit proposes


def propose_feeds(meta_graph: MetaGraphDef, names: Iterable[str]) -> tuple[GivenFeed, ...]:
    """Values for placeholders that no signature feeds, where their use tells what inference wants.

    A bool that only chooses branches is false: it says whether the model is trained. A number that only dropout reads
    is the probability to keep (1.0) or to drop (0.0).

    Args:
      meta_graph: the source.
      names: of placeholder nodes.

    Returns:
      One for each placeholder whose use tells; the others are left out.
    """
    nodes = nodes_by_name(meta_graph)
    consumers: dict[str, list[tuple[NodeDef, int]]] = {}
    for node in meta_graph.graph_def.node:
        for position, tensor in enumerate(node.input):
            if not tensor.startswith("^"):
                consumers.setdefault(tensor.removesuffix(":0"), []).append((node, position))
    found = []
    for name in names:
        node = nodes.get(name)
        if node is None or node.op not in PLACEHOLDERS or ":" in name or not name.isprintable():
            continue  # Among others: what cannot be copied from a terminal.
        dtype = node.attr["dtype"].type
        if dtype == dtype_value("bool") and _only_chooses(name, consumers):
            found.append(GivenFeed(f"{name}:0", "false"))
        elif base_name(dtype) in ("float16", "float32", "float64") and not node.attr["shape"].shape.dim:
            value = _dropout(name, nodes, consumers)
            if value is not None:
                found.append(GivenFeed(f"{name}:0", value))
    return tuple(found)


def options_text(feeds: Iterable[GivenFeed]) -> str:
    """The options that give some feeds, ready to be copied to a shell."""
    return " ".join(feed_option(feed) for feed in feeds)


_Consumers = Mapping[str, Sequence[tuple[NodeDef, int]]]
_PASSES = frozenset({"Identity", "LogicalNot", "StopGradient", "Squeeze", "Reshape"})


def _only_chooses(name: str, consumers: _Consumers) -> bool:
    """Whether a bool is the predicate of conds and nothing else."""
    chooses = False
    seen: set[str] = set()
    stack = [name]
    while stack:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        for node, position in consumers.get(current, ()):
            if (node.op in _PASSES and position == 0) or node.op in ("LogicalAnd", "LogicalOr"):
                stack.append(node.name)
            elif (node.op in ("Switch", "RefSwitch") and position == 1) or (
                node.op in ("If", "StatelessIf") and position == 0
            ):
                chooses = True
            elif node.op in ("Switch", "RefSwitch") and position == 0:
                # tf.cond switches the predicate by itself, to have a pivot in each branch (control_flow_ops.py, cond).
                stack += [node.name, f"{node.name}:1"]
            else:
                return False
    return chooses


def _dropout(name: str, nodes: Mapping[str, NodeDef], consumers: _Consumers) -> str | None:
    """`1.0` for a number that dropout keeps by, `0.0` for one that it drops by, else None (nn_ops.py, dropout)."""
    keeps: set[bool] = set()  # What each use says: whether the number is the probability to keep.
    draws = False
    stack = [(name, False)]
    seen: set[tuple[str, bool]] = set()
    while stack:
        current, flipped = stack.pop()
        if (current, flipped) in seen:
            continue
        seen.add((current, flipped))
        for node, position in consumers.get(current, ()):
            other = node.input[1 - position] if position < 2 <= len(node.input) else ""
            if node.op == "Identity":
                stack.append((node.name, flipped))
            elif node.op == "Sub" and position == 1 and _is_one(nodes.get(other.removesuffix(":0"))):
                stack.append((node.name, not flipped))
            elif node.op in ("RealDiv", "Div") and position == 1:
                keeps.add(not flipped)
            elif node.op in ("Add", "AddV2") and _is_random(other, nodes):
                keeps.add(not flipped)
                draws = True
            elif node.op == "GreaterEqual" and position == 1 and _is_random(other, nodes):
                keeps.add(flipped)
                draws = True
            else:
                return None
    return ("1.0" if keeps.pop() else "0.0") if draws and len(keeps) == 1 else None


def _is_one(node: NodeDef | None) -> bool:
    if node is None or node.op != "Const":
        return False
    value = node.attr["value"].tensor
    if value.tensor_shape.dim:
        return False
    if value.tensor_content:
        form = {"float16": "e", "float32": "f", "float64": "d"}.get(base_name(value.dtype))
        return form is not None and struct.unpack(f"<{form}", value.tensor_content)[0] == 1.0
    return 1.0 in (*value.float_val[:1], *value.double_val[:1])


def _is_random(tensor: str, nodes: Mapping[str, NodeDef]) -> bool:
    """Whether a tensor is drawn by a random op, scaled and shifted at most (random_ops.py, random_uniform)."""
    for _ in range(4):
        node = nodes.get(tensor.partition(":")[0])
        if node is None:
            return False
        if node.op.startswith(("RandomUniform", "StatelessRandomUniform")):
            return True
        if node.op not in ("Add", "AddV2", "Mul", "Identity") or not node.input:
            return False
        tensor = node.input[0]
    return False


def proposed_finding(feeds: Iterable[GivenFeed]) -> Finding:
    """Says which values a model was given because audit proposed them."""
    feeds = tuple(feeds)
    message = (
        f"the proposed values were given to {counted(len(feeds), 'placeholder')} that no signature feeds: "
        f"{options_text(feeds)}"
    )
    hint = "check that these are the values you want; otherwise pass --feed"
    return Finding("feed-proposed", Severity.WARNING, message, tuple(feed.tensor for feed in feeds), hint)


def with_proposals(finding: Finding, meta_graph: MetaGraphDef) -> Finding:
    """An `unfed-placeholder` finding with the options that would feed all of its placeholders, where they are known."""
    feeds = propose_feeds(meta_graph, finding.nodes)
    if len(feeds) < len(finding.nodes):
        return finding
    return dataclasses.replace(finding, hint=f"give them a value: {options_text(feeds)} (or --take_proposals)")
