"""What the arguments of functions are handles of, for TensorFlow 2 to differentiate a source as TF1 does.

The gradient of a While takes what is a variable's handle from the handle data of the body's arguments (while_v2.py,
`_preprocess_grad`), and is zeros in a loop within where there is none. TF1 writes no handle data into FunctionDefs: TF
1.15 finds them when it imports the graph, TensorFlow 2 does not. `tf.import_graph_def` keeps what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from migrate.graph.function_calls import LOOPS, callees, first_argument
from migrate.graph.output_numbers import output_number

_HANDS_ON = frozenset({"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"})
_Tensor = tuple[str, int]
"""A node's name, or an argument's, and the number of the output."""


def add_handle_data(graph_def: Any) -> None:
    """Says of the arguments and results of functions of which variables they are handles, where that is one form.

    Args:
      graph_def: a GraphDef, which is changed. Where the variables of two calls differ in dtype or shape, an argument
        keeps what it has.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    found: dict[tuple[str, int], set[tuple[int, bytes]]] = {}
    given: dict[tuple[str, int], set[tuple[int, bytes]]] = {}
    pending: list[tuple[str, int, tuple[int, bytes]]] = []
    consumers = _consumers(graph_def.node)
    for node in graph_def.node:
        if node.op == "VarHandleOp":
            variable = (node.attr["dtype"].type, node.attr["shape"].shape.SerializeToString(deterministic=True))
            called, _ = _spread((node.name, 0), consumers, functions)
            pending += [(name, position, variable) for name, position in called]
    of_functions: dict[str, Mapping[_Tensor, list[tuple[Any, int]]]] = {}
    for name, position, variable in pending:  # grows while it is read
        known = found.setdefault((name, position), set())
        if variable in known:
            continue
        known.add(variable)
        function = functions[name]
        if name not in of_functions:
            of_functions[name] = _consumers(function.node_def)
        called, tensors = _spread((function.signature.input_arg[position].name, 0), of_functions[name], functions)
        pending += [(other, number, variable) for other, number in called]
        nodes = {node.name: node for node in function.node_def}
        for number, result in enumerate(function.signature.output_arg):
            if _tensor(function.ret[result.name], nodes) in tensors:
                given.setdefault((name, number), set()).add(variable)
    for places, results in ((found, False), (given, True)):
        for (name, position), variables in places.items():
            signature = functions[name].signature
            argument = (signature.output_arg if results else signature.input_arg)[position]
            if len(variables) == 1 and not argument.handle_data:
                ((dtype, shape),) = variables
                argument.handle_data.add(dtype=dtype).shape.ParseFromString(shape)


def _spread(
    start: _Tensor, consumers: Mapping[_Tensor, list[tuple[Any, int]]], functions: Mapping[str, Any]
) -> tuple[list[tuple[str, int]], set[_Tensor]]:
    """The arguments of functions that take a handle, by name and number, and all tensors that are the handle."""
    called: list[tuple[str, int]] = []
    tensors = {start}
    pending = [start]
    for tensor in pending:  # grows while it is read
        for node, number in consumers.get(tensor, ()):
            handed = [0, 1] if node.op == "Switch" else [0] if node.op in _HANDS_ON else []
            if node.op in functions or [*callees(node)]:
                called += _arguments(node, number, functions)
                handed = [number] if node.op in LOOPS else []
            new = [(node.name, output) for output in handed if (node.name, output) not in tensors]
            tensors.update(new)
            pending += new
    return called, tensors


def _arguments(node: Any, number: int, functions: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The arguments of functions that a data input of a node is."""
    position = number - first_argument(node.op)
    for name in [node.op] if node.op in functions else callees(node):
        if name in functions and 0 <= position < len(functions[name].signature.input_arg):
            yield name, position


def _consumers(nodes: Iterable[Any]) -> Mapping[_Tensor, list[tuple[Any, int]]]:
    by_name = {node.name: node for node in nodes}
    found: dict[_Tensor, list[tuple[Any, int]]] = {}
    for node in by_name.values():
        for number, written in enumerate(tensor for tensor in node.input if not tensor.startswith("^")):
            found.setdefault(_tensor(written, by_name), []).append((node, number))
    return found


def _tensor(written: str, nodes: Mapping[str, Any]) -> _Tensor:
    """The tensor that an input or a result names; of an output that nobody knows the number is -1."""
    name = written.partition(":")[0]
    number = output_number(written, nodes[name]) if name in nodes else 0
    return name, -1 if number is None else number
