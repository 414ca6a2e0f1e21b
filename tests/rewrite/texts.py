"""Graphs as short text, both ways: `w = AssignAdd(v, one, ^read) T=float32`.

After the inputs come the attributes, in the order of their names: a dtype (`float32`), a number, `true`, a string
(`'v'`), a shape (`(2, ?)`, `(...)` for an unknown rank), a tensor (`int32:3`, `float32:[0.5]`), a list of these, a
function (`@body`), or `none`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from migrate.graph.dtypes import dtype_name, dtype_value
from migrate.graph.graph import ParsedNodes, Run, prune
from migrate.graph.protos import AttrValue, FunctionDef, NodeDef, TensorProto, TensorShapeProto
from migrate.records import Finding
from migrate.rewrite.engine import Rewritten

RESOURCE, FLOAT, BOOL = (dtype_value(name) for name in ("resource", "float32", "bool"))
_ATTRIBUTE = re.compile(r"(\S+?)=('(?:[^'\\]|\\.)*'|\w+:'(?:[^'\\]|\\.)*'|[\w:]*\([^)]*\)|[\w:]*\[[^]]*\]|\S+)(?: |$)")
_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "string": "string_val",
}
"""The field of a TensorProto with the values of a dtype; those of the other integers are in `int_val`."""
_LONGEST = 80


def node(line: str) -> NodeDef:
    """A node from a line; a call's op may be written `PartitionedCall/f`, an If's `If/then/else`."""
    name, _, call = line.partition(" = ")
    op, _, rest = call.partition("(")
    inputs, _, attributes = rest.partition(")")
    op, *functions = op.split("/")
    made = NodeDef(name=name, op=op, input=[i.strip() for i in inputs.split(",") if i.strip()])
    if op.endswith("PartitionedCall"):
        made.attr["f"].func.name = functions[0]
    if op in ("If", "StatelessIf") and functions:
        made.attr["then_branch"].func.name, made.attr["else_branch"].func.name = functions[:2]
        made.attr["Tout"].list.type.extend([FLOAT] * 2)
        if "lowered" in functions:
            made.attr["_lower_using_switch_merge"].b = True
    if op == "Switch":
        made.attr["T"].type = FLOAT
    for match in _ATTRIBUTE.finditer(attributes.strip()):
        made.attr[match[1]].CopyFrom(_attribute(match[2]))
    return made


def function(name: str, arguments: str, *lines: str, **outputs: str) -> FunctionDef:
    """A function from the lines of its nodes; an argument `h` is a handle, the others and the outputs are floats."""
    made = FunctionDef()
    made.signature.name = name
    for argument in arguments.split():
        made.signature.input_arg.add(name=argument, type=RESOURCE if argument == "h" else FLOAT)
    for output, tensor in outputs.items():
        made.signature.output_arg.add(name=output, type=FLOAT)
        made.ret[output] = tensor
    made.node_def.extend(node(line) for line in lines)
    return made


def run(text: str) -> Run:
    """A run from the lines of its nodes, and what it asks for: `feed x:0 float32`, `fetch y:0`, `target w`."""
    nodes: list[NodeDef] = []
    asked: dict[str, list[str]] = {"feed": [], "fetch": [], "target": []}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word in asked and " = " not in line:
            asked[word].append(rest)
        else:
            nodes.append(node(line))
    feeds = {tensor: (dtype_value(dtype), None) for tensor, dtype in (feed.split() for feed in asked["feed"])}
    return prune(ParsedNodes(nodes), "run", feeds, asked["fetch"], asked["target"])


def shown(nodes: Iterable[NodeDef]) -> str:
    """One line per node, in their order."""
    return "\n".join(map(_line, nodes))


def shown_result(result: Rewritten | Collection[Finding]) -> str:
    """What `rewrite` gives: the nodes and where each fetched tensor is now, or the refusals with their nodes."""
    if isinstance(result, Rewritten):
        fetches = (f"fetch {old}" + f" is {new}" * (old != new) for old, new in result.fetches.items())
        return "\n".join([shown(result.graph.nodes.values()), *fetches])
    return "\n".join(f"{finding.code}: {', '.join(finding.nodes)}" for finding in result)


def _line(made: NodeDef) -> str:
    device = f" on {made.device}" if made.device else ""
    attributes = "".join(f" {key}={_written(value)}" for key, value in sorted(made.attr.items()))
    return f"{made.name} = {made.op}({', '.join(made.input)}){attributes}{device}"


def _written(value: AttrValue) -> str:
    kind = value.WhichOneof("value")
    if kind is None:
        return "none"
    if kind == "list":
        (found,) = [values for _, values in value.list.ListFields()] or [[]]
        field = value.list.ListFields()[0][0].name if found else ""
        return "[" + ", ".join(_scalar(field, each) for each in found) + "]"
    return _scalar(kind, getattr(value, kind))


def _scalar(kind: str, value: Any) -> str:
    if kind == "type":
        return dtype_name(value)
    if kind == "b":
        return "true" if value else "false"
    if kind == "s":
        text = repr(value)[1:]
        return text if len(text) <= _LONGEST else text[:_LONGEST] + "...'"
    if kind == "shape":
        sizes = ("?" if dim.size < 0 else str(dim.size) for dim in value.dim)
        return "(...)" if value.unknown_rank else f"({', '.join(sizes)})"
    if kind == "tensor":
        return _tensor(value)
    return f"@{value.name}" if kind == "func" else str(np.float32(value)) if kind == "f" else str(value)


def _tensor(tensor: TensorProto) -> str:
    dtype = dtype_name(tensor.dtype)
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    values = list(getattr(tensor, _FIELDS.get(dtype, "int_val")))
    if tensor.tensor_content and dtype != "string":
        values = np.frombuffer(tensor.tensor_content, dtype).tolist()
    if dtype == "string":
        values = [repr(value)[1:] for value in values]
    elif dtype == "bool":
        values = ["true" if value else "false" for value in values]
    if not shape and len(values) == 1:
        return f"{dtype}:{values[0]}"
    some = ", ".join(map(str, values[:8])) + ", ..." * (len(values) > 8)
    return f"{dtype}:[{some}]" if len(shape) == 1 and shape[0] == len(values) else f"{dtype}:{shape}[{some}]"


def _attribute(text: str) -> AttrValue:
    made = AttrValue()
    if text == "none":
        return made
    if text in ("true", "false"):
        made.b = text == "true"
    elif text.startswith("'"):
        made.s = _bytes(text[1:-1])
    elif text.startswith("("):
        made.shape.CopyFrom(_shape(text))
    elif text.startswith("@"):
        made.func.name = text[1:]
    elif text.startswith("["):
        for part in re.findall(r"\([^)]*\)|[^, ]+", text[1:-1]):
            if part.startswith("@"):
                made.list.func.add(name=part[1:])
            elif part.startswith("("):
                made.list.shape.append(_shape(part))
            elif part.isdigit():
                made.list.i.append(int(part))
            else:
                made.list.type.append(dtype_value(part))
        made.list.SetInParent()
    elif ":" in text:
        made.tensor.CopyFrom(_constant(text))
    elif re.fullmatch(r"-?\d+", text):
        made.i = int(text)
    elif re.fullmatch(r"-?\d+[.e].*", text):
        made.f = float(text)
    else:
        made.type = dtype_value(text)
        assert made.type, f"{text} is no dtype"
    return made


def _shape(text: str) -> TensorShapeProto:
    made = TensorShapeProto(unknown_rank=text == "(...)")
    for size in filter(None, text.strip("().").split(", ")):
        made.dim.add(size=-1 if size == "?" else int(size))
    return made


def _constant(text: str) -> TensorProto:
    dtype, _, rest = text.partition(":")
    made = TensorProto(dtype=dtype_value(dtype))
    made.tensor_shape.SetInParent()
    parts = [rest]
    if rest.startswith("["):
        parts = [*filter(None, rest[1:-1].split(", "))]
        made.tensor_shape.dim.add(size=len(parts))
    for part in parts:
        value: Any = (
            _bytes(part.strip("'")) if dtype == "string" else part == "true" if dtype == "bool" else float(part)
        )
        getattr(made, _FIELDS.get(dtype, "int_val")).append(int(value) if "int" in dtype else value)
    return made


def _bytes(text: str) -> bytes:
    """The bytes of a string, which are escaped where they are no text (`\\x0a`)."""
    return text.encode().decode("unicode_escape").encode("latin-1") if "\\" in text else text.encode()
