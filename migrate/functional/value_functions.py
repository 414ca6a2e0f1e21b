"""Functions that take the value of a variable where others take its handle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from migrate.frozen import frozen
from migrate.functional.draft import RESOURCE, SHAPES
from migrate.functional.handle_uses import HandleUses, data_of, named
from migrate.functional.library import Library
from migrate.graph.function_calls import BRANCHES, LOOPS, PARTITIONED, first_argument
from migrate.graph.graph import attribute
from migrate.graph.protos import FunctionDef, NodeDef, TensorShapeProto

_VALUE_OPS: Mapping[str, tuple[str, str]] = {
    "Identity": ("Identity", "T"),
    "ReadVariableOp": ("Identity", "T"),
    "ResourceGather": ("Gather", "Tparams"),
    "ResourceGatherNd": ("GatherNd", "Tparams"),
}
"""Ops that take a handle -> the op that does the same with the value, and its attribute for the value's dtype."""
_SAME_ATTRIBUTES = frozenset({"Tindices", "validate_indices"})
"""Attributes that both ops have."""
_TIED = frozenset({"api_implements", "backward_function_name", "forward_function_name"})
"""Attributes of functions for which TensorFlow looks for another function."""
GRADIENT = "_gradient_op_type"
"""The attribute of a call whose gradient is another function, by a name."""
_READ_ONLY, _INPUT_SHAPES = "_read_only_resource_inputs", "_input_shapes"


@frozen
class Held:
    """A variable whose handle is given: its DataType value, and its TensorShapeProto as bytes."""

    dtype: int
    shape: bytes

    @classmethod
    def of(cls, handle: NodeDef) -> Held:
        """What a VarHandleOp is the handle of."""
        shape = attribute(handle, "shape").shape
        return cls(attribute(handle, "dtype").type, shape.SerializeToString(deterministic=True))

    @property
    def has_elements(self) -> bool:
        """Whether it has a known shape of one dimension or more, and elements.

        Then Gather finds in its value what ResourceGather finds by its handle: one kernel does both, but Gather checks
        no index where a row has no elements (gather_op.cc, resource_variable_ops.cc).
        """
        shape = TensorShapeProto.FromString(self.shape)
        return not shape.unknown_rank and bool(shape.dim) and all(dim.size > 0 for dim in shape.dim)


class ValueFunctions:
    """Makes such functions, each once.

    Attributes:
      uses: what the library's functions do with handles.
    """

    def __init__(self, library: Library) -> None:
        self.uses = HandleUses(library.functions)
        self._library = library
        self._able: dict[tuple[str, int, Held], bool] = {}
        self._made: dict[tuple[str, tuple[tuple[int, Held], ...]], str] = {}

    def can_take(self, node: NodeDef, number: int, variable: Held) -> bool:
        """Whether the functions that a node calls can take a variable's value for the handle that an input is."""
        called = [*self.uses.called(node, number)]
        types = _types(node)
        if GRADIENT in node.attr or not called or (types and called[0][1] >= len(attribute(node, types).list.type)):
            return False
        return all(self._is_able(*each, variable) for each in called)

    def give(self, node: NodeDef, given: Mapping[int, Held]) -> None:
        """Has a node call functions that take values.

        Args:
          node: it is changed, but for its inputs.
          given: by the number of a data input the variable whose value it is; for each `can_take` has said yes.
        """
        is_loop = node.op in LOOPS
        taken = {number - first_argument(node.op): variable for number, variable in given.items()}
        redirect(node, lambda name: self._with_values(name, taken))
        for position, variable in taken.items():
            if _types(node):
                node.attr[_types(node)].list.type[position] = variable.dtype
            if is_loop and position < len(attribute(node, "output_shapes").list.shape):
                node.attr["output_shapes"].list.shape[position].ParseFromString(variable.shape)
        if is_loop and SHAPES in node.attr:
            del node.attr[SHAPES]
        if _READ_ONLY in node.attr:
            node.attr[_READ_ONLY].list.i[:] = [i for i in node.attr[_READ_ONLY].list.i if i not in given]

    def _with_values(self, name: str, given: Mapping[int, Held]) -> str:
        """The name of a function that does what another one does, and takes values for some handles."""
        key = (name, tuple(sorted(given.items(), key=lambda item: item[0])))
        if key not in self._made:
            function = FunctionDef.FromString(self._library.functions[name].SerializeToString())
            values: dict[str, Held] = {}
            for position, variable in given.items():
                uses = self.uses.uses(name, position)
                values.update(dict.fromkeys(uses.tensors, variable))
                _type_argument(function, position, variable)
                for result in uses.results:
                    function.signature.output_arg[result].type = variable.dtype
                    function.signature.output_arg[result].ClearField("handle_data")
            nodes = {node.name for node in function.node_def}
            reads: set[str] = set()
            for node in function.node_def:
                tensors = enumerate(named(written, nodes) for written in data_of(node))
                taken = {number: values[tensor] for number, tensor in tensors if tensor in values}
                if taken and node.op in _VALUE_OPS:
                    reads.update([node.name] if node.op == "ReadVariableOp" else [])
                    _take_value(node, taken[0])
                elif taken:
                    self.give(node, taken)
            _rename_results(function, reads)
            self._made[key] = self._library.add(function, f"{name}_of_values")
        return self._made[key]

    def _is_able(self, name: str, position: int, is_body: bool, variable: Held) -> bool:
        """Whether a function can take a value; the body of a loop has to hand it on."""
        if self.uses.uses(name, position).results != ({position} if is_body else set()):
            return False
        key = (name, position, variable)
        if key not in self._able:
            self._able[key] = False  # For a function that calls itself.
            self._able[key] = self._takes(name, position, variable)
        return self._able[key]

    def _takes(self, name: str, position: int, variable: Held) -> bool:
        function = self._library.functions[name]
        argument = function.signature.input_arg[position]
        if argument.type != RESOURCE or argument.number_attr or is_tied(function):
            return False
        return all(self._has_other_op(*use, variable) for use in self.uses.uses(name, position).users)

    def _has_other_op(self, node: NodeDef, number: int, variable: Held) -> bool:
        """Whether there is an op that does with a value what a node does with the handle."""
        if node.op not in _VALUE_OPS:
            return self.can_take(node, number, variable)
        if number or attribute(node, "dtype").type != variable.dtype:
            return False
        # With `batch_dims` it takes an index beyond its batch for one of the next batch.
        return node.op != "ResourceGather" or (not attribute(node, "batch_dims").i and variable.has_elements)


def is_tied(function: FunctionDef) -> bool:
    """Whether TensorFlow may look for another function in the place of a function."""
    return any(key in function.attr for key in _TIED)


def redirect(node: NodeDef, other: Callable[[str], str]) -> None:
    """Has a node call other functions.

    Args:
      node: it is changed.
      other: gives the name of the function to call by the name of the one that is called.
    """
    if node.op in PARTITIONED:
        node.attr["f"].func.name = other(node.attr["f"].func.name)
    elif node.op in BRANCHES:
        for key in BRANCHES[node.op]:
            value = node.attr[key]
            for function in value.list.func if value.HasField("list") else [value.func]:
                function.name = other(function.name)
    else:
        node.op = other(node.op)


def _types(node: NodeDef) -> str:
    """The attribute with the dtypes of what a node that calls functions takes; an op of a function's name has none."""
    return "T" if node.op in LOOPS else "Tin" if node.op in BRANCHES or node.op in PARTITIONED else ""


def _type_argument(function: FunctionDef, position: int, variable: Held) -> None:
    """Has an argument be a tensor of a variable's dtype and shape."""
    argument = function.signature.input_arg[position]
    argument.type = variable.dtype
    argument.ClearField("handle_data")
    if position in function.resource_arg_unique_id:
        del function.resource_arg_unique_id[position]
    if position in function.arg_attr:
        del function.arg_attr[position]
    shape = TensorShapeProto.FromString(variable.shape)
    function.arg_attr[position].attr[SHAPES].list.shape.add().CopyFrom(shape)
    if _INPUT_SHAPES in function.attr and position < len(function.attr[_INPUT_SHAPES].list.shape):
        function.attr[_INPUT_SHAPES].list.shape[position].CopyFrom(shape)


def _take_value(node: NodeDef, variable: Held) -> None:
    """Has a node do with a value what it does with the handle."""
    op, key = _VALUE_OPS[node.op]
    kept = _SAME_ATTRIBUTES if node.op == "Identity" else _SAME_ATTRIBUTES | {SHAPES}
    for name in [name for name in node.attr if name not in kept]:
        del node.attr[name]
    node.op = op
    node.attr[key].type = variable.dtype


def _rename_results(function: FunctionDef, reads: Set[str]) -> None:
    """Names what Identities give that were reads of variables."""

    def renamed(tensor: str) -> str:
        name, _, rest = tensor.partition(":")
        output, _, number = rest.partition(":")
        return f"{name}:output:{number or 0}" if name in reads and output == "value" else tensor

    for node in function.node_def:
        if any(written.partition(":")[0] in reads for written in node.input):
            node.input[:] = map(renamed, node.input)
    for result, tensor in dict(function.ret).items():
        if tensor.partition(":")[0] in reads:
            function.ret[result] = renamed(tensor)
