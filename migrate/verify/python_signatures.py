"""What `loaded.signatures` is to TF2's users, against the candidate's own SignatureDefs.

These were compared with the source's; here each has a function with an argument and a result for each of its inputs and
outputs, called by their names wherever Python can say them, of the same dtype and shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from migrate.graph.contract import RESERVED_KEYS
from migrate.graph.dtypes import base_name
from migrate.graph.graph import split
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorInfo
from migrate.records import Mismatch
from migrate.verify.differences import mismatch
from migrate.verify.signature_functions import (
    Name,
    can_be_argument,
    identifier,
    signature_functions,
    signature_names,
    sparse_parts,
)


def python_differences(new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """What a TF2 user of a candidate does not find as the SignatureDefs say.

    Args:
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    if not new.object_graph_def.nodes:
        return  # Which is a difference of its own.
    functions, names = signature_functions(new), signature_names(new)
    nodes = {node.name: node for node in new.graph_def.node}
    concrete = new.object_graph_def.concrete_functions
    for key, definition in sorted(new.signature_def.items()):
        if key in RESERVED_KEYS:
            continue
        function = concrete.get(functions[key].function) if key in functions else None
        if function is None:
            yield mismatch("python-signature-missing", path, "the object graph has no function for it", key)
            continue
        specs = _specs(function)
        for name, info in sorted(definition.inputs.items()):
            others = [other for other in definition.inputs if other != name]
            yield from _argument(key, name, info, names[key].arguments.get(name), others, specs, nodes, path)
        for name, info in sorted(definition.outputs.items()):
            found = names[key].results.get(name)
            # A function gives a dict, whose keys are any text.
            if found is None or (sparse_parts(info) is None and name not in functions[key].results):
                yield mismatch("result-missing", path, "the function does not give it by this name", key, name)
    for key in sorted(functions.keys() - new.signature_def.keys()):
        yield mismatch("python-signature-added", path, "the object graph has a signature that no client can call", key)


def _argument(
    key: str,
    name: str,
    info: TensorInfo,
    found: Name,
    others: list[str],
    specs: Mapping[str, Any],
    nodes: Mapping[str, NodeDef],
    path: str,
) -> Iterator[Mismatch]:
    """What differs in one argument."""
    if found is None:
        yield mismatch("argument-missing", path, "the function has no argument for this input", key, name)
        return
    parts = sparse_parts(info)
    if isinstance(found, str) and found != identifier(name) and can_be_argument(name, others):
        yield mismatch("argument-renamed", path, f"the function's argument is called {found!r}", key, name)
    tensors = {"": info.name} if parts is None else parts
    for part, tensor in tensors.items():
        called = found if isinstance(found, str) else found[part]
        spec, node = specs.get(called), nodes.get(split(tensor)[0])
        if spec is None:
            yield mismatch("argument-missing", path, f"the function takes no argument {called!r}", key, name)
        elif node is not None and node.op in ("Placeholder", "PlaceholderWithDefault"):
            yield from _form(key, name, spec, node, path)


def _form(key: str, name: str, spec: Any, node: NodeDef, path: str) -> Iterator[Mismatch]:
    """What the function checks of an argument, against what a Session checks of the placeholder."""
    if "dtype" in node.attr and spec.dtype != node.attr["dtype"].type:
        reason = f"the function takes {base_name(spec.dtype)}, and a Session {base_name(node.attr['dtype'].type)}"
        yield mismatch("argument-form-differs", path, reason, key, name)
    if "shape" in node.attr and _shape(spec.shape) != _shape(node.attr["shape"].shape):
        taken, placed = _shape(spec.shape), _shape(node.attr["shape"].shape)
        reason = f"the function takes the shape {taken}, and a Session {placed}"
        yield mismatch("argument-form-differs", path, reason, key, name)


def _shape(shape: Any) -> str:
    if shape.unknown_rank:
        return "of unknown rank"
    return f"[{', '.join('?' if dim.size < 0 else str(dim.size) for dim in shape.dim)}]"


def _specs(function: Any) -> Mapping[str, Any]:
    """The TensorSpecs of a function's keyword arguments."""
    values = function.canonicalized_input_signature.tuple_value.values
    if len(values) != 2:
        return {}
    fields = values[1].dict_value.fields
    bounded = "bounded_tensor_spec_value"
    return {
        name: value.bounded_tensor_spec_value if value.HasField(bounded) else value.tensor_spec_value
        for name, value in fields.items()
    }
