"""What the inputs and outputs of a candidate's signatures are called in the functions that TF2's users call.

A SignatureDef carries any name; an argument of a function does not: TensorFlow makes an identifier of it, a Python
keyword cannot be one, and a sparse tensor is three dense ones. Here the names are read from the graph alone: an input
of a SignatureDef is a tensor that the main graph gives to the call of a function, and its position in the call is that
of the argument. The function is the one that the object graph has for the signature. What a candidate says of itself
elsewhere (`assets.extra/migration.json`) is not asked.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.function_calls import PARTITIONED
from migrate.graph.graph import canonical, data_inputs, split
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorInfo

Name = str | Mapping[str, str] | None
"""What an input or output is called: one name, {part: name} of a sparse tensor, or None for what the function lacks."""
PARTS = ("indices", "values", "dense_shape")
"""Of a sparse tensor, in the order of `tf.SparseTensor`."""


@frozen
class SignatureNames:
    """The names of one signature.

    Attributes:
      arguments: of its inputs, by the SignatureDef's names.
      results: of its outputs.
    """

    arguments: Mapping[str, Name]
    results: Mapping[str, Name]


@frozen
class SignatureFunction:
    """The function that `loaded.signatures[key]` is.

    Attributes:
      function: its name in the library.
      arguments: its keyword arguments, in the order of its inputs.
      results: the keys of the dict that it gives, in the order of its outputs.
    """

    function: str
    arguments: tuple[str, ...]
    results: tuple[str, ...]


def signature_functions(meta_graph: MetaGraphDef) -> Mapping[str, SignatureFunction]:
    """The functions of a SavedModel's signatures by key, as its object graph has them; empty where it has none."""
    objects = meta_graph.object_graph_def.nodes
    found: dict[str, SignatureFunction] = {}
    for key, place in _children(meta_graph, _child(meta_graph, 0, "signatures")):
        node = objects[place]
        if node.WhichOneof("kind") != "bare_concrete_function":
            continue
        function = node.bare_concrete_function
        concrete = meta_graph.object_graph_def.concrete_functions.get(function.concrete_function_name)
        # A dict is given back in the order of its sorted keys (nest.flatten).
        results = () if concrete is None else tuple(sorted(concrete.output_signature.dict_value.fields))
        found[key] = SignatureFunction(function.concrete_function_name, tuple(function.argument_keywords), results)
    return found


def _children(meta_graph: MetaGraphDef, place: int | None) -> Iterator[tuple[str, int]]:
    """Names and places of the children of an object that are there."""
    objects = meta_graph.object_graph_def.nodes
    if place is None or not 0 <= place < len(objects):
        return
    for child in objects[place].children:
        if 0 <= child.node_id < len(objects):
            yield child.local_name, child.node_id


def _child(meta_graph: MetaGraphDef, place: int, name: str) -> int | None:
    return next((at for called, at in _children(meta_graph, place) if called == name), None)


def signature_names(meta_graph: MetaGraphDef) -> Mapping[str, SignatureNames]:
    """The names of all signatures by key; a signature that no object stands for has its own names."""
    functions = signature_functions(meta_graph)
    calls = _Calls(meta_graph)
    return {
        key: _names(definition.inputs, definition.outputs, functions[key], calls)
        for key, definition in meta_graph.signature_def.items()
        if key in functions
    }


def _names(
    inputs: Mapping[str, TensorInfo], outputs: Mapping[str, TensorInfo], function: SignatureFunction, calls: _Calls
) -> SignatureNames:
    call = calls.of(function.function)
    taken = {} if call is None else calls.inputs(call)
    free = {
        tensor: [function.arguments[at] for at in positions if at < len(function.arguments)]
        for tensor, positions in taken.items()
    }

    def argument(tensor: str, wanted: str) -> str | None:
        """The argument that a tensor is given to; two inputs of one tensor take one each, by name where they can."""
        left = free.get(canonical(tensor), [])
        if wanted in left:
            left.remove(wanted)
            return wanted
        return left.pop(0) if left else None

    arguments: dict[str, Name] = {}
    # Those that keep their names first, so that no other input of the same tensor takes one away.
    for name in sorted(inputs, key=lambda name: identifier(name) not in function.arguments):
        parts = sparse_parts(inputs[name])
        if parts is None:
            found = argument(inputs[name].name, identifier(name))
            arguments[name] = identifier(name) if found is None and call is None else found
        else:
            arguments[name] = _whole({part: argument(tensor, "") for part, tensor in parts.items()})

    def result(tensor: str) -> str | None:
        at = None if call is None else calls.output(call, tensor)
        return function.results[at] if at is not None and 0 <= at < len(function.results) else None

    results: dict[str, Name] = {}
    for name, info in outputs.items():
        parts = sparse_parts(info)
        if parts is None:
            # Two outputs of one tensor are two results of one call.
            results[name] = name if name in function.results else result(info.name)
        else:
            results[name] = _whole({part: result(tensor) for part, tensor in parts.items()})
    return SignatureNames(arguments, results)


def _whole(parts: Mapping[str, str | None]) -> Mapping[str, str] | None:
    """The names of the parts, where all have one."""
    found = {part: name for part, name in parts.items() if name is not None}
    return found if len(found) == len(parts) else None


def sparse_parts(info: TensorInfo) -> Mapping[str, str] | None:
    """The tensors of a sparse input or output by `PARTS`, None of another one."""
    if info.WhichOneof("encoding") != "coo_sparse":
        return None
    sparse = info.coo_sparse
    tensors = (sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name)
    return dict(zip(PARTS, tensors, strict=True))


def identifier(name: str) -> str:
    """What TensorFlow makes of a keyword argument's name, when a function is traced and when it is called.

    Source: sanitize_arg_name (core/function/polymorphism/function_type.py).

    Example:
      >>> identifier("image/encoded"), identifier("1st"), identifier("class")
      ('image_encoded', 'arg_1st', 'class')
    """
    swapped = "".join(letter if letter.isalnum() else "_" for letter in name or "input")
    return swapped if swapped[0].isalpha() else f"arg_{swapped}"


def can_be_argument(name: str, others: Sequence[str]) -> bool:
    """Whether a function can have an argument that is called by an input's name.

    Args:
      name: of the input.
      others: names of the signature's other inputs.
    """
    made = identifier(name)
    if keyword.iskeyword(made) or made == "self" or not made.isascii():
        return False
    # A function's arguments have names in lower case (graph_to_functiondef.cc, Normalize).
    return made.lower() not in {identifier(other).lower() for other in others}


class _Calls:
    """The calls of functions in a main graph."""

    def __init__(self, meta_graph: MetaGraphDef) -> None:
        self._nodes = {node.name: node for node in meta_graph.graph_def.node}
        self._by_function: dict[str, NodeDef] = {}
        for node in meta_graph.graph_def.node:
            if node.op in PARTITIONED and "f" in node.attr:
                self._by_function.setdefault(node.attr["f"].func.name, node)

    def of(self, function: str) -> NodeDef | None:
        """The first call of a function."""
        return self._by_function.get(function)

    def inputs(self, call: NodeDef) -> Mapping[str, Sequence[int]]:
        """The positions at which a call takes each tensor, or one that is handed on to it."""
        found: dict[str, list[int]] = {}
        for position, tensor in enumerate(data_inputs(call)):
            for behind in self._handed_on(tensor):
                found.setdefault(behind, []).append(position)
        return found

    def output(self, call: NodeDef, tensor: str) -> int | None:
        """The number of the output of a call that a tensor is, or is handed on from."""
        for behind in self._handed_on(tensor):
            node, output = split(behind)
            if node == call.name:
                return output
        return None

    def _handed_on(self, tensor: str) -> Iterator[str]:
        """A tensor and those that it is handed on from, as full names."""
        seen: set[str] = set()
        tensor = canonical(tensor)
        while tensor not in seen:
            seen.add(tensor)
            yield tensor
            name, output = split(tensor)
            node = self._nodes.get(name)
            if node is None or node.op not in ("Identity", "IdentityN"):
                return
            sources = data_inputs(node)
            if not 0 <= output < len(sources):
                return
            tensor = sources[output]
