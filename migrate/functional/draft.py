"""A graph that is being changed, and the function that becomes of one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set

from migrate.functional.library import Library
from migrate.graph.constant_numbers import numbers
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import Graph, Wire, as_input, attribute, split, wire
from migrate.graph.op_table import load_op_table
from migrate.graph.output_dtypes import output_dtypes
from migrate.graph.protos import FunctionDef, NodeDef, TensorProto
from migrate.rewrite.new_nodes import new_node

ARGUMENT = "_Arg"
"""The op of a node that stands for an argument of the function that a draft becomes."""
RESOURCE = dtype_value("resource")
_INT32 = dtype_value("int32")
SHAPES = "_output_shapes"
"""The attribute of an argument, and of its node, by which TensorFlow knows its shape."""
_HANDS_ON = frozenset({"Enter", "Identity", "Merge", "Switch"})
_LONGEST = 1000
_NOT_IN_ARGUMENTS = re.compile(r"[^a-z0-9_]+")


class UnknownTensorError(Exception):
    """The dtype or the name of a tensor is unknown: no table has its op."""


class Draft:
    """Nodes by name that may be replaced.

    Attributes:
      nodes: NodeDef by name; a node is replaced, never changed.
      wires: op and inputs of each node.
      library: the functions that they call, to which functions are added.
      taken: names that no new node of this graph, or of another one that comes of the same run, may have.
      unwritten: names of handles of variables that the run only reads.
      alone: names of nodes of which one other takes the only output.
      unawaited: names of nodes that have to do with state, and for which nothing need wait.
      all_set: whether every variable has a value when the run begins.
      in_loop: whether it is a function of a loop, or in one.
      undifferentiated: names of Exits through which TF1 gives no gradient.
    """

    def __init__(self, nodes: Iterable[NodeDef], library: Library, taken: set[str], known: Graph | None = None) -> None:
        self.nodes: dict[str, NodeDef] = {}
        self.wires: dict[str, Wire] = {}
        self.library = library
        self.taken = taken
        self.unwritten: Set[str] = frozenset()
        self.alone: Set[str] = frozenset()
        self.unawaited: set[str] = set()
        self.all_set = False
        self.in_loop = False
        self.undifferentiated: Set[str] = frozenset()
        self._numbers: dict[str, int] = {}
        for node in nodes:
            if known is not None and known.nodes.get(node.name) is node:
                self.nodes[node.name], self.wires[node.name] = node, known.wires[node.name]
            else:
                self.put(node)

    def put(self, node: NodeDef) -> NodeDef:
        """Adds a node, or replaces the one of its name."""
        self.nodes[node.name] = node
        self.wires[node.name] = wire(node)
        self.taken.add(node.name)
        return node

    def remove(self, names: Iterable[str]) -> None:
        """Takes nodes out."""
        for name in names:
            del self.nodes[name]
            del self.wires[name]

    def unique(self, name: str) -> str:
        """A name that no node has."""
        made = name
        while made in self.taken:
            self._numbers[name] = self._numbers.get(name, 0) + 1
            made = f"{name}_{self._numbers[name]}"
        self.taken.add(made)
        return made

    def graph(self) -> Graph:
        """The nodes as they are now."""
        return Graph(dict(self.nodes), dict(self.wires))

    def dtype(self, tensor: str) -> int:
        """DataType value of a tensor.

        Raises:
          UnknownTensorError: nobody knows it.
        """
        name, output = split(tensor)
        node = self.nodes[name]
        if node.op == ARGUMENT:
            return int(node.attr["T"].type)
        found = output_dtypes(node, self.library.functions)
        if found is None or not 0 <= output < len(found) or not found[output]:
            raise UnknownTensorError(tensor)
        return found[output]

    def handle(self, tensor: str) -> NodeDef | None:
        """The VarHandleOp, or the argument, that a tensor is the handle of; None for any other tensor."""
        for _ in range(_LONGEST):
            node = self.nodes.get(split(tensor)[0])
            if node is None:
                return None
            if "shape" in node.attr and node.op in ("VarHandleOp", ARGUMENT):
                return node
            data = self.wires[node.name].data
            is_choice = node.op == "Merge" and len(data) > 1
            if node.op not in _HANDS_ON or not data or is_choice or attribute(node, "T").type != RESOURCE:
                return None
            tensor = data[0]
        return None

    def before(self, tensor: str, passed: Set[str]) -> str:
        """A tensor before some ops that hand it on and wait for nothing; an Enter does so to a loop's constant."""
        for _ in range(_LONGEST):
            name = split(tensor)[0]
            known = self.wires[name]
            if known.op not in passed or known.controls:
                break
            if known.op == "Enter" and not self.nodes[name].attr["is_constant"].b:
                break
            tensor = known.data[0]
        return tensor

    def int32s(self, tensor: str, shape: Sequence[int]) -> tuple[int, ...] | None:
        """What a constant of int32 of a shape stores, see `numbers`; None for any other tensor."""
        node = self.nodes[split(tensor)[0]]
        given = node.attr["value"].tensor if node.op == "Const" else TensorProto()
        if given.dtype != _INT32 or [dim.size for dim in given.tensor_shape.dim] != [*shape]:
            return None
        found = numbers(given)
        return None if found is None else tuple(map(int, found))


def argument(name: str, dtype: int, handle: NodeDef | None = None) -> NodeDef:
    """A node that stands for an argument of a function.

    Args:
      name: of the node, and of the argument.
      dtype: of the argument.
      handle: where it is a variable's handle, a node with the variable's dtype and shape.
    """
    node = NodeDef(name=name, op=ARGUMENT)
    node.attr["T"].type = dtype
    if handle is not None:
        node.attr["dtype"].CopyFrom(handle.attr["dtype"])
        node.attr["shape"].CopyFrom(handle.attr["shape"])
    return node


def scalar_argument(name: str, dtype: int) -> NodeDef:
    """The same for an argument that is a scalar; ONNX Runtime must know it of a loop's counter."""
    node = argument(name, dtype)
    node.attr[SHAPES].list.shape.add()
    return node


def argument_name(name: str) -> str:
    """A node's name as an argument is called."""
    return _NOT_IN_ARGUMENTS.sub("_", name.lower()).strip("_") or "argument"


def to_function(draft: Draft, arguments: Sequence[str], results: Sequence[str]) -> FunctionDef:
    """The function, without a name, that a draft is the body of.

    Args:
      draft: the nodes, arguments among them.
      arguments: their names, in order.
      results: full names of the tensors that it gives.

    Raises:
      UnknownTensorError: an op is unknown.
    """
    function = FunctionDef()
    names = {name: argument_name(name) for name in arguments}
    if len(set(names.values())) < len(names) or not draft.nodes.keys().isdisjoint(set(names.values()) - set(names)):
        names = {name: f"argument_{position}" for position, name in enumerate(arguments)}
    for position, name in enumerate(arguments):
        node = draft.nodes[name]
        added = function.signature.input_arg.add(name=names[name], type=node.attr["T"].type)
        if SHAPES in node.attr:
            function.arg_attr[position].attr[SHAPES].CopyFrom(node.attr[SHAPES])
        if "shape" in node.attr:
            added.handle_data.add(dtype=node.attr["dtype"].type, shape=node.attr["shape"].shape)
    results = [_apart(draft, tensor) for tensor in results]
    outputs = _Outputs(draft, names)
    for node in draft.nodes.values():
        if node.op == ARGUMENT:
            continue
        new = function.node_def.add()
        new.CopyFrom(node)
        known = draft.wires[node.name]
        new.input[:] = [*map(outputs.named, known.data), *(f"^{name}" for name in known.controls if name not in names)]
        if draft.library.is_stateful(node):
            function.signature.is_stateful = True
            if node.name in draft.unawaited:
                continue
            function.control_ret[node.name] = node.name
            function.signature.control_output.append(node.name)
    for position, tensor in enumerate(results):
        name = f"result_{position}"
        added = function.signature.output_arg.add(name=name, type=draft.dtype(tensor))
        handle = draft.handle(tensor)
        if handle is not None:
            added.handle_data.add(dtype=handle.attr["dtype"].type, shape=handle.attr["shape"].shape)
        function.ret[name] = outputs.named(tensor)
    return function


def _apart(draft: Draft, tensor: str) -> str:
    """A result that is no variable's read itself.

    What freezes a function puts a node in the place of the read whose output has another name, and does not look for
    that name among the function's results.
    """
    if draft.wires[split(tensor)[0]].op != "ReadVariableOp":
        return tensor
    name = draft.unique(f"{split(tensor)[0]}/result")
    return draft.put(new_node("Identity", name, [as_input(tensor)], T=draft.dtype(tensor))).name + ":0"


class _Outputs:
    """How a function's body names the tensors of a draft."""

    def __init__(self, draft: Draft, arguments: Mapping[str, str]) -> None:
        self._draft = draft
        self._arguments = arguments

    def named(self, tensor: str) -> str:
        name, position = split(tensor)
        if name in self._arguments:
            return self._arguments[name]
        node = self._draft.nodes[name]
        for output, length in self._named_outputs(node):
            count = _count(node, length)
            if position < count:
                return f"{name}:{output}:{position}"
            position -= count
        raise UnknownTensorError(tensor)

    def _named_outputs(self, node: NodeDef) -> Iterable[tuple[str, str]]:
        function = self._draft.library.functions.get(node.op)
        if function is not None:
            return [(arg.name, "") for arg in function.signature.output_arg]
        info = load_op_table().get(node.op)
        if info is None:
            raise UnknownTensorError(as_input(node.name))
        return info.outputs


def _count(node: NodeDef, length: str) -> int:
    """How many tensors an output is."""
    if not length:
        return 1
    attr = attribute(node, length)
    return len(attr.list.type) if attr.HasField("list") else attr.i
