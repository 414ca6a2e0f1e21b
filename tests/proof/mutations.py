"""Faults of a candidate, each made in a copy of its MetaGraphDef: what the proof must not call proved."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

from migrate.graph.protos import MetaGraphDef, NodeDef

Change = Callable[[MetaGraphDef], None]

_BODIES = re.compile("wrapped_function")
_OPS = {
    "Add": "Sub", "AddV2": "Sub", "Mul": "Sub", "Sub": "AddV2", "Less": "Greater", "Relu": "Sigmoid", "MatMul": None,
    "AssignAddVariableOp": "AssignSubVariableOp", "Maximum": "Minimum", "Greater": "Less", "Sum": "Max", "Mean": "Sum",
    "LogicalNot": None, "Softmax": "LogSoftmax", "Sigmoid": "Tanh", "Exp": "Log", "NotEqual": "Equal",
}  # fmt: skip
_IGNORED = {"config", "config_proto", "executor_type", "shared_name", "container", "debug_name", "_class"}


def bodies(graph: MetaGraphDef) -> Iterator[tuple[int, int, NodeDef]]:
    """Nodes of the functions that hold the source's graph: (function, position, node)."""
    for number, function in enumerate(graph.graph_def.library.function):
        if _BODIES.search(function.signature.name):
            for position, node in enumerate(function.node_def):
                yield number, position, node


def _at(graph: MetaGraphDef, where: tuple[int, int]) -> NodeDef:
    return graph.graph_def.library.function[where[0]].node_def[where[1]]


def in_bodies(graph: MetaGraphDef) -> Iterator[tuple[str, Change]]:
    """Each fault of one node."""
    for number, position, node in bodies(graph):
        where = (number, position)
        label = f"{graph.graph_def.library.function[number].signature.name}/{node.name} ({node.op})"
        data = [i for i, text in enumerate(node.input) if text[0] != "^"]
        controls = [i for i, text in enumerate(node.input) if text[0] == "^"]
        for i in controls:
            yield f"drops {node.input[i]} of {label}", _drops(where, i)
        for i, j in itertools.pairwise(data):
            if node.input[i] != node.input[j]:
                yield f"swaps inputs {i} and {j} of {label}", _swaps(where, i, j)
        if _OPS.get(node.op):
            yield f"makes {_OPS[node.op]} of {label}", _renames(where, _OPS[node.op])
        if node.op == "Const":
            yield f"changes the value of {label}", _revalues(where)
        for key, value in node.attr.items():
            is_plain = key not in _IGNORED and not key.startswith(("T", "_", "out"))
            if is_plain and value.WhichOneof("value") in ("i", "b", "f", "s") and key != "N":
                yield f"changes {key} of {label}", _attributes(where, key)
        for i in data:
            rest = node.input[i].partition(":")[2]
            if rest.endswith(":0") and "output_" in rest:
                other = node.input[i].replace("output_false", "output_X").replace("output_true", "output_false")
                yield (
                    f"takes the other branch at {i} of {label}",
                    _redirects(where, i, other.replace("output_X", "output_true")),
                )
        arguments = [a.name for a in graph.graph_def.library.function[number].signature.input_arg]
        for i in data:
            if node.input[i] in arguments:
                for other in arguments:
                    if other != node.input[i] and _type(graph, number, other) == _type(graph, number, node.input[i]):
                        yield f"takes {other} for {node.input[i]} at {label}", _redirects(where, i, other)


def _type(graph: MetaGraphDef, number: int, name: str) -> int:
    arguments = graph.graph_def.library.function[number].signature.input_arg
    return next(a.type for a in arguments if a.name == name)


def elsewhere(graph: MetaGraphDef) -> Iterator[tuple[str, Change]]:
    """Faults of what is around the functions: calls, captures, signatures, what is returned, what is restored."""
    for number, node in enumerate(graph.graph_def.node):
        if node.op in ("StatefulPartitionedCall", "PartitionedCall"):
            taken = [i for i, text in enumerate(node.input) if text[0] != "^"]
            if "traced_save" in node.attr["f"].func.name:
                continue  # What saving writes is no output.
            types = node.attr["Tin"].list.type
            for i in taken:
                for j in taken[i + 1 :]:
                    if types[i] == types[j] and node.input[i] != node.input[j]:
                        yield f"swaps {node.input[i]} and {node.input[j]} at {node.name}", _swaps_main(number, i, j)

    def is_called(name: str) -> bool:
        """Whether users call a function by its own captures: signatures, `__call__` and what runs on loading."""
        return "signature_wrapper" in name or "initializer" in name or name in calls

    calls = {
        name
        for child in graph.object_graph_def.nodes[0].children
        if child.local_name == "__call__"
        for node in [graph.object_graph_def.nodes[child.node_id]]
        for name in [node.bare_concrete_function.concrete_function_name, *node.function.concrete_functions]
    }
    for name, saved in graph.object_graph_def.concrete_functions.items():
        kinds = [graph.object_graph_def.nodes[n].WhichOneof("kind") for n in saved.bound_inputs]
        for i in range(len(kinds)):
            for j in range(i + 1, len(kinds)):
                if kinds[i] == kinds[j] and saved.bound_inputs[i] != saved.bound_inputs[j] and is_called(name):
                    yield f"swaps the captures {i} and {j} of {name}", _swaps_bound(name, i, j)
    for number, function in enumerate(graph.graph_def.library.function):
        keys = sorted(function.ret)
        if not any(part in function.signature.name for part in ("save", "destroy")):
            for one, other in itertools.pairwise(keys):
                yield (
                    f"swaps the results {one} and {other} of {function.signature.name}",
                    _swaps_ret(number, one, other),
                )
        if "restore" in function.signature.name:
            for position, node in enumerate(function.node_def):
                if node.name == "RestoreV2/tensor_names" and len(node.attr["value"].tensor.string_val) > 2:
                    yield "restores two variables from each other's values", _swaps_names(number, position)
    for key, signature in graph.signature_def.items():
        for infos in ("inputs", "outputs"):
            names = sorted(getattr(signature, infos))
            for one, other in itertools.pairwise(names):
                yield f"swaps the {infos} {one} and {other} of {key}", _swaps_infos(key, infos, one, other)


def _drops(where: tuple[int, int], i: int) -> Change:
    def change(graph: MetaGraphDef) -> None:
        del _at(graph, where).input[i]

    return change


def _swaps(where: tuple[int, int], i: int, j: int) -> Change:
    def change(graph: MetaGraphDef) -> None:
        node = _at(graph, where)
        node.input[i], node.input[j] = node.input[j], node.input[i]

    return change


def _redirects(where: tuple[int, int], i: int, text: str) -> Change:
    def change(graph: MetaGraphDef) -> None:
        _at(graph, where).input[i] = text

    return change


def _renames(where: tuple[int, int], op: str) -> Change:
    def change(graph: MetaGraphDef) -> None:
        _at(graph, where).op = op

    return change


def _revalues(where: tuple[int, int]) -> Change:
    def change(graph: MetaGraphDef) -> None:
        tensor = _at(graph, where).attr["value"].tensor
        if tensor.tensor_content:
            tensor.tensor_content = bytes([tensor.tensor_content[0] ^ 1]) + tensor.tensor_content[1:]
            return
        for field in ("float_val", "double_val", "int_val", "int64_val", "bool_val", "string_val", "half_val"):
            values = getattr(tensor, field)
            if values:
                values[0] = (
                    values[0] + b"x"
                    if field == "string_val"
                    else not values[0]
                    if field == "bool_val"
                    else values[0] + 1
                )
                return
        field = {1: "float_val", 2: "double_val", 3: "int_val", 9: "int64_val", 10: "bool_val"}.get(tensor.dtype)
        if field:
            getattr(tensor, field).append(1)
        else:
            tensor.string_val.append(b"x")

    return change


def _attributes(where: tuple[int, int], key: str) -> Change:
    def change(graph: MetaGraphDef) -> None:
        value = _at(graph, where).attr[key]
        kind = value.WhichOneof("value")
        if kind == "i":
            value.i += 1
        elif kind == "b":
            value.b = not value.b
        elif kind == "f":
            value.f += 1
        else:
            value.s += b"x"

    return change


def _swaps_main(number: int, i: int, j: int) -> Change:
    def change(graph: MetaGraphDef) -> None:
        node = graph.graph_def.node[number]
        node.input[i], node.input[j] = node.input[j], node.input[i]

    return change


def _swaps_bound(name: str, i: int, j: int) -> Change:
    def change(graph: MetaGraphDef) -> None:
        bound = graph.object_graph_def.concrete_functions[name].bound_inputs
        bound[i], bound[j] = bound[j], bound[i]

    return change


def _swaps_ret(number: int, one: str, other: str) -> Change:
    def change(graph: MetaGraphDef) -> None:
        ret = graph.graph_def.library.function[number].ret
        ret[one], ret[other] = ret[other], ret[one]

    return change


def _swaps_names(number: int, position: int) -> Change:
    def change(graph: MetaGraphDef) -> None:
        texts = graph.graph_def.library.function[number].node_def[position].attr["value"].tensor.string_val
        texts[0], texts[1] = texts[1], texts[0]

    return change


def _swaps_infos(key: str, infos: str, one: str, other: str) -> Change:
    def change(graph: MetaGraphDef) -> None:
        found = getattr(graph.signature_def[key], infos)
        first, second = found[one].name, found[other].name
        found[one].name, found[other].name = second, first

    return change
