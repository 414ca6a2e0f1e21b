"""Saves the new model, and puts right in the files what `tf.saved_model.save` cannot say.

It hard-codes one method name, takes input names from Python arguments, knows dense tensors only and tags all it
writes with `serve`. Everything here touches the SignatureDefs, the tag set and the names that models share; the graph
stays as TensorFlow wrote it otherwise, unless tensor names are to be kept.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import tensorflow as tf

from migrate.export import private_apis
from migrate.export.keys import Keys
from migrate.export.main_graph import give_names
from migrate.export.module import Module, add_signatures, patiently
from migrate.export.names import Names, flat
from migrate.export.saved_graph import VALUE, checkpoint_objects
from migrate.export.unique_names import make_unique
from migrate.graph.cut_constants import SAVED_MODEL, spliced
from migrate.graph.protos import MetaGraphDef, SavedModel, SignatureDef, TensorInfo
from migrate.plan.records import Plan, SignaturePlan
from migrate.records import Signature, TensorSpec
from migrate.regular_files import create
from migrate.sources.large_contents import InFile


def save(built: Module, plan: Plan, directory: str) -> Keys:
    """Saves the model without its checkpoint.

    The loader finds a variable's value by walking the checkpoint's object graph beside the loaded objects, a v1 Session
    by the key that the saver in the main graph has for it: both are TensorFlow's own path to the variable.
    """
    signatures = dict(add_signatures(built))
    nodes, paths = patiently(
        lambda: private_apis.save_and_return_nodes(
            built.root,
            directory,
            signatures=signatures,
            # Else it calls what is registered under the names of the source's gradients, without a node.
            options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
            experimental_skip_checkpoint=True,
        )
    )
    os.makedirs(os.path.join(directory, "variables"), exist_ok=True)
    uninitialized = plan.uninitialized  # It goes through all variables.
    identities = {
        id(variable): identity for identity, variable in built.variables.items() if identity not in uninitialized
    }
    keys = {
        identities[id(node)]: private_apis.checkpoint_key(private_apis.object_path_to_string(paths[node]), VALUE)
        for node in nodes
        if id(node) in identities
    }
    names = {variable.identity: variable.name for variable in plan.variables}
    with open(os.path.join(directory, "saved_model.pb"), "rb") as file:
        meta_graph = SavedModel.FromString(file.read()).meta_graphs[0]
    pairs = zip(nodes, meta_graph.object_graph_def.nodes, strict=True)
    found = enumerate(identities.get(id(node)) for node, _ in pairs)
    values = {number: (names[identity], keys[identity]) for number, identity in found if identity is not None}
    graph = checkpoint_objects(meta_graph, values)
    return Keys(keys, graph.SerializeToString(deterministic=True))


def patch(directory: str, plan: Plan, names: Mapping[str, Names], digest: str) -> None:
    """Gives the SavedModel in `directory` the source's signature names, method names and tags.

    Args:
      directory: what `save` wrote.
      plan: says what the source has, and which of its tensors get their names in the main graph.
      names: what the functions call their arguments and results, by signature key.
      digest: of the source and the options, see `make_unique`.
    """
    path = os.path.join(directory, "saved_model.pb")
    model = SavedModel()
    with open(path, "rb") as file:
        model.ParseFromString(file.read())
    meta_graph = model.meta_graphs[0]
    for signature in plan.signatures:
        key = signature.signature.key
        rename(meta_graph.signature_def[key], signature.signature, names[key])
        _give_defaults(meta_graph, signature)
    _leave_loops_alone(meta_graph)
    _check_arguments_of_call(meta_graph)
    give_names(meta_graph, plan.kept)
    make_unique(meta_graph, digest)
    del meta_graph.meta_info_def.tags[:]
    meta_graph.meta_info_def.tags.extend(plan.tags)
    held = plan.contents or InFile()
    with create(path) as file, held.contents() as contents:
        file.writelines(spliced(model.SerializeToString(deterministic=True), SAVED_MODEL, contents))


def write_fingerprint(directory: str) -> None:
    """Writes `fingerprint.pb` for a SavedModel as it stands now, checkpoint included."""
    private_apis.write_fingerprint(directory)


def rename(definition: SignatureDef, source: Signature, names: Names) -> None:
    """Gives a SignatureDef the source's method, names and shapes, where the exporter wrote the function's."""
    definition.method_name = source.method_name
    for infos, specs, renamed in (
        (definition.inputs, source.inputs, names.arguments),
        (definition.outputs, source.outputs, names.results),
    ):
        written = {name: TensorInfo.FromString(infos[name].SerializeToString()) for name in flat(renamed)}
        for name in list(infos):
            del infos[name]
        for name, spec in specs.items():
            function_name = renamed[name]
            if isinstance(function_name, str):
                infos[name].CopyFrom(written[function_name])
            else:
                sparse = infos[name].coo_sparse
                sparse.indices_tensor_name = written[function_name["indices"]].name
                sparse.values_tensor_name = written[function_name["values"]].name
                sparse.dense_shape_tensor_name = written[function_name["dense_shape"]].name
                infos[name].dtype = written[function_name["values"]].dtype
            _declare(infos[name], spec)


def _leave_loops_alone(meta_graph: MetaGraphDef) -> None:
    """Keeps TensorFlow's importer from inferring shapes through calls, where a function holds a v1 while loop.

    It walks the body in an order that memory addresses decide, and fails in about one of eight loads ("Missing src
    context") when it meets a shape before the constant that gives it (shape_refiner.cc). The attribute is the one that
    TensorFlow's own functional ops carry for the same end (functional_ops.py, _DISABLE_CALL_SHAPE_INFERENCE).
    """
    library = meta_graph.graph_def.library.function
    if not any(node.op == "Enter" for function in library for node in function.node_def):
        return
    for nodes in (meta_graph.graph_def.node, *(function.node_def for function in library)):
        for node in nodes:
            if node.op in ("PartitionedCall", "StatefulPartitionedCall"):
                node.attr["_disable_call_shape_inference"].b = True


def _check_arguments_of_call(meta_graph: MetaGraphDef) -> None:
    """Keeps a `__call__` that is a concrete function from taking tensors of another shape than it says.

    Called with what does not fit its signature, a concrete function tries its arguments as a flat list of tensors,
    whose shapes nobody compares (concrete_function.py, `_call_impl`); with no place in that list, the call is refused.
    """
    objects = meta_graph.object_graph_def.nodes
    for child in objects[0].children:
        if child.local_name == "__call__" and objects[child.node_id].WhichOneof("kind") == "bare_concrete_function":
            objects[child.node_id].bare_concrete_function.allowed_positional_arguments = 0


def _give_defaults(meta_graph: MetaGraphDef, signature: SignaturePlan) -> None:
    """Makes an input that may be left out one again: the exporter has made a plain Placeholder of it."""
    definition = meta_graph.signature_def[signature.signature.key]
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    for name, value in signature.defaults.items():
        definition.defaults[name].CopyFrom(value)
        node = nodes[definition.inputs[name].name.partition(":")[0]]
        default = meta_graph.graph_def.node.add(name=f"{node.name}/default", op="Const")
        default.attr["dtype"].type = value.dtype
        default.attr["value"].tensor.CopyFrom(value)
        node.op = "PlaceholderWithDefault"
        node.input.append(default.name)


def _declare(info: TensorInfo, spec: TensorSpec) -> None:
    """Gives a TensorInfo the source's shape; its dtype stays what the tensor has."""
    info.tensor_shape.Clear()
    info.tensor_shape.SetInParent()
    if spec.shape is None:
        info.tensor_shape.unknown_rank = True
    for size in spec.shape or ():
        info.tensor_shape.dim.add(size=-1 if size is None else size)
