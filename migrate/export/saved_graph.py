"""The main graph of a model that has variables and functions, as TensorFlow's exporter writes it (save.py).

It has the handle and a read of each variable, a call of each signature, and what saves and restores the variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from migrate.export.function_defs import (
    SCALAR,
    STRING,
    OpNames,
    Tensor,
    add_call,
    add_constant,
    add_node,
)
from migrate.export.saved_objects import Signature
from migrate.export.saver_functions import Saved, restore_function, save_function
from migrate.graph.protos import AttrValue, MetaGraphDef, SaverDef, TensorInfo, TrackableObjectGraph
from migrate.plan.records import VariablePlan

_CPU = "/device:CPU:0"
_INIT_OP = "__saved_model_init_op"
_MAIN_OP = "saved_model_main_op"
_PREDICT = "tensorflow/serving/predict"
_SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\-]*")
VALUE = "VARIABLE_VALUE"  # trackable/base.py, VARIABLE_VALUE_KEY


def add_main_graph(
    meta_graph: MetaGraphDef,
    variables: Sequence[VariablePlan],
    keys: Mapping[str, str],
    signatures: Sequence[Signature],
    numbers: Iterator[int],
    attributes: Mapping[str, AttrValue],
    reads_in_shard: bool,
) -> None:
    """Adds the main graph to a MetaGraphDef that has its object graph and the signatures' functions.

    Args:
      meta_graph: to which.
      variables: in the order of the object graph.
      keys: checkpoint key of each variable that has a value, by identity.
      signatures: its signatures.
      numbers: tell functions apart.
      attributes: what each call has.
      reads_in_shard: see `save_function`.
    """
    nodes, names = meta_graph.graph_def.node, OpNames()
    handles: dict[str, str] = {}
    for variable in reversed(variables):  # What others may depend on comes first (save.py, map_resources).
        handles[variable.identity] = _add_variable(nodes, names, variable)
    for signature in sorted(signatures, key=lambda s: s.key):
        _add_signature(meta_graph, names, signature, handles, attributes)
    nothing = nodes.add(name=names.unique("NoOp"), op="NoOp").name
    meta_graph.collection_def[_MAIN_OP].node_list.value.append(nothing)
    done = meta_graph.signature_def[_INIT_OP].outputs[_INIT_OP]
    done.name = nothing
    done.tensor_shape.unknown_rank = True
    objects = tracked(meta_graph, variables, handles, keys)
    _mark(objects)
    saved = [Saved(v, keys[v.identity], handles[v.identity]) for v in variables if v.identity in keys]
    _add_saver(meta_graph, names, saved, objects, numbers, attributes, reads_in_shard)


def tracked(
    meta_graph: MetaGraphDef, variables: Sequence[VariablePlan], names: Mapping[str, str], keys: Mapping[str, str]
) -> TrackableObjectGraph:
    """The objects of a checkpoint: those of the SavedModel, with the variables' keys.

    Args:
      meta_graph: has the object graph.
      variables: in the order of the object graph.
      names: what to call each, by identity.
      keys: checkpoint key of each variable that has a value, by identity.
    """
    objects = enumerate(meta_graph.object_graph_def.nodes)
    numbers = (number for number, node in objects if node.WhichOneof("kind") == "variable")
    identities = ((number, variable.identity) for number, variable in zip(numbers, variables, strict=True))
    return checkpoint_objects(meta_graph, {n: (names[i], keys[i]) for n, i in identities if i in keys})


def checkpoint_objects(meta_graph: MetaGraphDef, values: Mapping[int, tuple[str, str]]) -> TrackableObjectGraph:
    """The objects of a checkpoint: those of a SavedModel, and where the values of some are.

    Args:
      meta_graph: has the object graph.
      values: what to call a value, and its key, by the number of the object.
    """
    graph = TrackableObjectGraph()
    for number, saved in enumerate(meta_graph.object_graph_def.nodes):
        node = graph.nodes.add()
        for child in saved.children:
            node.children.add(node_id=child.node_id, local_name=child.local_name)
        if number in values:
            name, key = values[number]
            node.attributes.add(name=VALUE, full_name=name, checkpoint_key=key)
    return graph


def checkpoint_key(name: str) -> str:
    """The key of the variable of a name among the root's `vars` (trackable_utils.py).

    Example:
      >>> checkpoint_key("layer/kernel.1")
      'vars/layer.Skernel..1/.ATTRIBUTES/VARIABLE_VALUE'
    """
    escaped = name.replace(".", "..").replace("/", ".S")
    return f"vars/{escaped}/.ATTRIBUTES/{VALUE}"


def _add_variable(nodes: object, names: OpNames, variable: VariablePlan) -> str:
    """Adds the handle of a variable and a read of it; gives the handle's name."""
    handle = names.unique(variable.name)
    read = names.unique(f"{handle}/Read")
    node = add_node(nodes, handle, "VarHandleOp", (), [SCALAR], dtype=variable.dtype)
    node.attr["shape"].shape.CopyFrom(variable.shape)
    node.attr["shared_name"].s = handle.encode()
    node.attr["debug_name"].s = f"{handle}/".encode()
    operation = names.unique(f"{read}/ReadVariableOp")
    add_node(nodes, operation, "ReadVariableOp", [handle], [variable.shape], dtype=variable.dtype)
    return handle


def _add_signature(
    meta_graph: MetaGraphDef,
    names: OpNames,
    signature: Signature,
    handles: Mapping[str, str],
    attributes: Mapping[str, AttrValue],
) -> None:
    """Adds the call of a signature, with a placeholder for each of its inputs."""
    nodes, wrapper = meta_graph.graph_def.node, signature.wrapper
    definition = meta_graph.signature_def[signature.key]
    definition.method_name = _PREDICT
    fed = []
    for argument, tensor in wrapper.arguments.items():
        name = names.unique(_scope_name(f"{signature.key}_{argument}"))
        node = add_node(nodes, name, "Placeholder", (), [tensor.shape], dtype=tensor.dtype)
        node.attr["shape"].shape.CopyFrom(tensor.shape)
        _fill(definition.inputs[argument], f"{name}:0", tensor)
        fed.append(name)
    call = names.unique(wrapper.op)
    add_call(nodes, call, wrapper, [*fed, *(handles[v.identity] for v in wrapper.captured)], attributes)
    for number, (result, tensor) in enumerate(zip(signature.results, wrapper.results, strict=True)):
        _fill(definition.outputs[result], f"{call}:{number}", tensor)


def _scope_name(name: str) -> str:
    """A placeholder's name (save.py, _to_safe_name_scope)."""
    if _SCOPE.fullmatch(name):
        return name
    return re.sub(r"[^A-Za-z0-9_.\\-]", "_", re.sub(r"^[^A-Za-z0-9.]*", "", name))


def _fill(info: TensorInfo, name: str, tensor: Tensor) -> None:
    info.name, info.dtype = name, tensor.dtype
    info.tensor_shape.CopyFrom(tensor.shape)


def _add_saver(
    meta_graph: MetaGraphDef,
    names: OpNames,
    saved: Sequence[Saved],
    objects: TrackableObjectGraph,
    numbers: Iterator[int],
    attributes: Mapping[str, AttrValue],
    reads_in_shard: bool,
) -> None:
    """Adds what saves and restores the variables, and the SaverDef that names it."""
    nodes, library = meta_graph.graph_def.node, meta_graph.graph_def.library
    graph = names.unique("Const")
    add_constant(nodes, graph, [objects.SerializeToString()], STRING, SCALAR, _CPU)
    text = Tensor(STRING, SCALAR)
    prefix = names.unique("saver_filename")
    node = add_node(nodes, prefix, "Placeholder", (), [text.shape], dtype=text.dtype)
    node.attr["shape"].shape.SetInParent()
    calls = []
    for made, more in (
        (save_function(f"__inference__traced_save_{next(numbers)}", saved, graph, reads_in_shard), [graph]),
        (restore_function(f"__inference__traced_restore_{next(numbers)}", saved), []),
    ):
        definition, function = made
        library.function.append(definition)
        calls.append(names.unique(function.op))
        inputs = [prefix, *(s.handle for s in saved), *more]
        add_call(nodes, calls[-1], function, inputs, attributes)
    save, restore = calls
    saver = meta_graph.saver_def
    saver.filename_tensor_name, saver.save_tensor_name = f"{prefix}:0", f"{save}:0"
    saver.restore_op_name, saver.version = restore, SaverDef.V2


def _mark(graph: TrackableObjectGraph) -> None:
    """Says of each object whether a checkpoint has a value of it or of what it holds (checkpoint/util.py)."""
    held: set[int] = set()
    for number in range(len(graph.nodes) - 1, -1, -1):  # An object comes after those that hold it.
        node = graph.nodes[number]
        if node.attributes or any(child.node_id in held for child in node.children):
            held.add(number)
        node.has_checkpoint_values.value = number in held
