"""FunctionDefs as TensorFlow makes them of a traced graph: names, nodes, and functions that only call another one.

`tf.function` needs a Python object for each operation of a function, and about half a millisecond to make it. A
function that hands thousands of variables to another one has an operation for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import AttrValue, FunctionDef, NodeDef, TensorShapeProto
from migrate.plan.records import VariablePlan

RESOURCE = dtype_value("resource")
STRING = dtype_value("string")
SCALAR = TensorShapeProto()


@frozen
class Tensor:
    """What is known of a tensor.

    Attributes:
      dtype: DataType value.
      shape: static shape.
    """

    dtype: int
    shape: TensorShapeProto


@frozen
class Function:
    """What a caller must know of a function.

    Attributes:
      name: in the library.
      arguments: what callers give, by name of the argument.
      results: what it gives.
      captured: the variables whose handles come after the arguments.
      read_only: positions, among arguments and handles, of the handles of variables that it only reads.
      is_stateful: whether it has a stateful op.
      captured_values: what comes after the handles.
    """

    name: str
    arguments: Mapping[str, Tensor]
    results: tuple[Tensor, ...]
    captured: tuple[VariablePlan, ...]
    read_only: tuple[int, ...]
    is_stateful: bool
    captured_values: tuple[Tensor, ...] = ()

    @property
    def types(self) -> list[int]:
        """DataType values of all that a call gives."""
        given = [tensor.dtype for tensor in self.arguments.values()]
        return [*given, *[RESOURCE] * len(self.captured), *(tensor.dtype for tensor in self.captured_values)]

    @property
    def op(self) -> str:
        """The op that calls it (atomic_function.py, partitioned_call_op)."""
        return "StatefulPartitionedCall" if self.is_stateful else "PartitionedCall"


class OpNames:
    """The names of the operations of a graph, as tf.Graph gives them (ops.py, Graph.unique_name)."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """The name that an operation, or a scope, gets that asks for one: names are told apart without regard to case.

        Example:
          >>> names = OpNames()
          >>> [names.unique("Read"), names.unique("read"), names.unique("Read")]
          ['Read', 'read_1', 'Read_2']
        """
        key = name.lower()
        number = self._used.get(key, 0)
        self._used[key] = number + 1
        if not number:
            return name
        found = key
        while found in self._used:
            found = f"{key}_{number}"
            number += 1
        self._used[found] = 1
        return f"{name}_{number - 1}"


class ArgumentNames:
    """The names in a FunctionDef of what an operation is called in the traced graph (graph_to_functiondef.cc).

    Arguments and results have names in lower case, and come first; a node whose name is taken by then is renamed.
    """

    def __init__(self) -> None:
        self._used: dict[str, int] = {}
        self._given: dict[str, str] = {}

    def argument(self, operation: str) -> str:
        """The name of the argument that stands in the place of an operation."""
        self._given[operation] = self._unique(normalized(operation))
        return self._given[operation]

    def result(self, operation: str) -> str:
        """The name of the result that an operation gives."""
        return self._unique(normalized(operation))

    def node(self, operation: str) -> str:
        """The name of an operation's node."""
        self._given[operation] = self._unique(operation)
        return self._given[operation]

    def __getitem__(self, operation: str) -> str:
        """The name that an operation was given."""
        return self._given[operation]

    def _unique(self, name: str) -> str:
        if name not in self._used:
            self._used[name] = 0
            return name
        while True:
            candidate = f"{name}_{self._used[name]}"
            self._used[name] += 1
            if candidate not in self._used:
                self._used[candidate] = 0
                return candidate


def normalized(name: str) -> str:
    """A name of an argument (graph_to_functiondef.cc, NodeNameMapping::Normalize).

    Example:
      >>> [normalized("Read/layer.1"), normalized("27")]
      ['read_layer_1', 'unknown']
    """
    found = "".join(c.lower() if c.isascii() and c.isalnum() else "_" * len(c.encode()) for c in name)
    start = next((position for position, c in enumerate(found) if c.isalpha()), len(found))
    return found[start:] or "unknown"


def add_node(
    nodes: object,
    name: str,
    op: str,
    inputs: Iterable[str] = (),
    shapes: Iterable[TensorShapeProto] = (),
    device: str = "",
    **types: int,
) -> NodeDef:
    """Adds a node with the shapes of its outputs.

    Args:
      nodes: to which.
      name: of the node.
      op: of the node.
      inputs: of the node.
      shapes: of its outputs.
      device: on which it is placed.
      types: attributes of DataType values.
    """
    node: NodeDef = nodes.add(name=name, op=op, input=inputs, device=device)  # type: ignore[attr-defined]
    for key, dtype in types.items():
        node.attr[key].type = dtype
    node.attr["_output_shapes"].list.SetInParent()
    node.attr["_output_shapes"].list.shape.extend(shapes)
    return node


def add_constant(
    nodes: object, name: str, values: Sequence[bytes | int], dtype: int, shape: TensorShapeProto, device: str
) -> NodeDef:
    """Adds a constant of strings or of int32."""
    node = add_node(nodes, name, "Const", shapes=[shape], device=device, dtype=dtype)
    tensor = node.attr["value"].tensor
    tensor.dtype = dtype
    tensor.tensor_shape.CopyFrom(shape)
    if dtype == STRING:
        tensor.string_val.extend(values)
    else:
        tensor.int_val.extend(values)
    return node


def vector(size: int) -> TensorShapeProto:
    """The shape of a vector."""
    shape = TensorShapeProto()
    shape.dim.add(size=size)
    return shape


def add_call(
    nodes: object, name: str, called: Function, inputs: Sequence[str], attributes: Mapping[str, AttrValue]
) -> NodeDef:
    """Adds a call of a function.

    Args:
      nodes: to which.
      name: of the node.
      called: the function.
      inputs: its arguments and the handles of what it captures.
      attributes: what each call has, see `Traced`.
    """
    node = add_node(nodes, name, called.op, inputs, [result.shape for result in called.results])
    node.attr["f"].func.name = called.name
    for key, value in attributes.items():
        node.attr[key].CopyFrom(value)
    node.attr["Tin"].list.SetInParent()
    node.attr["Tin"].list.type.extend(called.types)
    node.attr["Tout"].list.SetInParent()
    node.attr["Tout"].list.type.extend(result.dtype for result in called.results)
    node.attr["_read_only_resource_inputs"].list.SetInParent()
    node.attr["_read_only_resource_inputs"].list.i.extend(called.read_only)
    return node


def add_arguments(
    function: FunctionDef, names: ArgumentNames, arguments: Iterable[tuple[str, str, Tensor]]
) -> list[str]:
    """Adds arguments that are no handles.

    Args:
      function: to which.
      names: in the function.
      arguments: the operation that stands for each in the traced graph, the name that the user gives, what it is.

    Returns:
      Their names.
    """
    found = []
    for operation, given, tensor in arguments:
        position = len(function.signature.input_arg)
        found.append(names.argument(operation))
        function.signature.input_arg.add(name=found[-1], type=tensor.dtype)
        function.attr["_input_shapes"].list.shape.add().CopyFrom(tensor.shape)
        attributes = function.arg_attr[position].attr
        attributes["_user_specified_name"].s = given.encode()
        attributes["_output_shapes"].list.shape.add().CopyFrom(tensor.shape)
    return found


def add_handles(
    function: FunctionDef, names: ArgumentNames, handles: Iterable[tuple[str, str, VariablePlan]]
) -> list[str]:
    """Adds arguments that are handles of variables; parameters and result are as in `add_arguments`."""
    found = []
    shapes = function.attr["_input_shapes"].list  # Said of a function without arguments, too, but with no value.
    for operation, given, variable in handles:
        position = len(function.signature.input_arg)
        found.append(names.argument(operation))
        argument = function.signature.input_arg.add(name=found[-1], type=RESOURCE)
        argument.handle_data.add(dtype=variable.dtype, shape=variable.shape)
        shapes.shape.add()
        function.arg_attr[position].attr["_user_specified_name"].s = given.encode()
    return found


def calling(
    name: str,
    called: Function,
    arguments: Sequence[str],
    order: Sequence[int],
    results: Sequence[int],
    numbers: Iterator[int],
    attributes: Mapping[str, AttrValue],
) -> tuple[FunctionDef, Function]:
    """A function that calls another one.

    Args:
      name: of the function.
      called: what it calls.
      arguments: the names of its arguments.
      order: which of these is the called function's argument, in the order of that one's.
      results: which of the called function's results it gives.
      numbers: tell captured handles apart.
      attributes: what each call has.

    Returns:
      Its FunctionDef, and what a caller must know of it.
    """
    taken = list(called.arguments.values())
    own = {argument: taken[order.index(number)] for number, argument in enumerate(arguments)}
    operations, names = OpNames(), ArgumentNames()
    function = FunctionDef()
    function.signature.name = name
    given = add_arguments(function, names, ((operations.unique(n), n, tensor) for n, tensor in own.items()))
    marks = [str(next(numbers)) for _ in called.captured]
    handles = add_handles(
        function, names, ((operations.unique(m), m, v) for m, v in zip(marks, called.captured, strict=True))
    )
    call = operations.unique(called.op)
    copies = [operations.unique("Identity") for _ in results]
    returned = [names.result(copy) for copy in copies]
    call = names.node(call)
    add_call(function.node_def, call, called, [*(given[number] for number in order), *handles], attributes)
    copies = [names.node(copy) for copy in copies]
    waits = [f"^{names.node(operations.unique('NoOp'))}"] if called.is_stateful and copies else []
    for copy, result, position in zip(copies, returned, results, strict=True):
        tensor = called.results[position]
        add_node(
            function.node_def, copy, "Identity", [f"{call}:output:{position}", *waits], [tensor.shape], T=tensor.dtype
        )
        function.signature.output_arg.add(name=result, type=tensor.dtype)
        function.ret[result] = f"{copy}:output:0"
    if waits:
        add_node(function.node_def, waits[0].removeprefix("^"), "NoOp", [f"^{call}"])
    if called.is_stateful:
        function.signature.is_stateful = True
        function.signature.control_output.append(call)
        function.control_ret[call] = call
    function.attr["_construction_context"].s = CONTEXT
    count = len(called.arguments)
    return function, Function(
        name,
        own,
        tuple(called.results[position] for position in results),
        called.captured,
        tuple(len(own) + position - count for position in called.read_only if position >= count),
        called.is_stateful,
    )


CONTEXT = b"kEagerRuntime"
"""The attribute `_construction_context` of what is traced from eager code (function.h, FunctionDefHelper)."""
