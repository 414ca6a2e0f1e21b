"""Graphs and functions from short text."""

from __future__ import annotations

from migrate.sources.dtypes import dtype_value
from migrate.sources.protos import FunctionDef, NodeDef

RESOURCE, FLOAT, BOOL = (dtype_value(name) for name in ("resource", "float32", "bool"))


def node(line: str) -> NodeDef:
    """A node from `name = Op(input, ^control)`; a call's op is written `PartitionedCall/f`, an If's `If/then/else`."""
    name, _, call = line.partition(" = ")
    op, _, inputs = call.rstrip(")").partition("(")
    op, *functions = op.split("/")
    made = NodeDef(name=name, op=op, input=[i.strip() for i in inputs.split(",") if i.strip()])
    if op.endswith("PartitionedCall"):
        made.attr["f"].func.name = functions[0]
    if op in ("If", "StatelessIf"):
        made.attr["then_branch"].func.name, made.attr["else_branch"].func.name = functions[:2]
        made.attr["Tout"].list.type.extend([FLOAT] * 2)
        if "lowered" in functions:
            made.attr["_lower_using_switch_merge"].b = True
    if op == "Switch":
        made.attr["T"].type = FLOAT
    return made


def function(name: str, arguments: str, *lines: str, **outputs: str) -> FunctionDef:
    made = FunctionDef()
    made.signature.name = name
    for argument in arguments.split():
        made.signature.input_arg.add(name=argument, type=RESOURCE if argument == "h" else FLOAT)
    for output, tensor in outputs.items():
        made.signature.output_arg.add(name=output, type=FLOAT)
        made.ret[output] = tensor
    made.node_def.extend(node(line) for line in lines)
    return made
