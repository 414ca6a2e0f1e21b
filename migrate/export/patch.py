"""What `tf.saved_model.save` cannot say, put right in the files that it wrote.

It hard-codes one method name, takes input names from Python arguments, knows dense tensors only and tags all it
writes with `serve`. Everything here touches names in the SignatureDefs, the signatures' argument lists and the tag
set; the graph stays as TensorFlow wrote it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import tensorflow as tf

# Private: `save` calls it last of all, and nothing public writes a fingerprint for a patched model.
from tensorflow.python.saved_model import fingerprinting_utils

from migrate.export.names import Names, flat
from migrate.records import Signature, TensorSpec
from migrate.rewrite.plan import Plan
from migrate.sources.protos import SavedModel, SavedObjectGraph, SignatureDef, StructuredValue, TensorInfo


def patch(directory: str, plan: Plan, names: Mapping[str, Names]) -> None:
    """Gives the SavedModel in `directory` the source's signature names, method names and tags, and a fingerprint."""
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(directory)
    for signature in plan.signatures:
        if signature.signature.method_name:  # TF 0.x wrote empty ones; the updater takes none.
            updater.replace_method_name(
                signature.signature.key, signature.signature.method_name, tags=[tf.saved_model.SERVING]
            )
    updater.save()
    path = os.path.join(directory, "saved_model.pb")
    model = SavedModel()
    with open(path, "rb") as file:
        model.ParseFromString(file.read())
    meta_graph = model.meta_graphs[0]
    for signature in plan.signatures:
        key = signature.signature.key
        _rename(meta_graph.signature_def[key], signature.signature, names[key])
        _rename_arguments(meta_graph.object_graph_def, key, names[key])
    del meta_graph.meta_info_def.tags[:]
    meta_graph.meta_info_def.tags.extend(plan.tags)
    with open(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))
    fingerprinting_utils.write_fingerprint(directory)


def _rename(definition: SignatureDef, source: Signature, names: Names) -> None:
    if not source.method_name:
        definition.method_name = ""
    exported = names.exported
    for infos, specs, renamed in (
        (definition.inputs, source.inputs, names.arguments),
        (definition.outputs, source.outputs, names.results),
    ):
        written = {}
        for name in flat(renamed):
            own = exported[name] if infos is definition.inputs else name
            written[name] = TensorInfo()
            written[name].CopyFrom(infos[own])
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


def _declare(info: TensorInfo, spec: TensorSpec) -> None:
    """Gives a TensorInfo the source's shape; its dtype stays what the tensor has."""
    info.tensor_shape.Clear()
    info.tensor_shape.SetInParent()
    if spec.shape is None:
        info.tensor_shape.unknown_rank = True
    for size in spec.shape or ():
        info.tensor_shape.dim.add(size=-1 if size is None else size)


def _rename_arguments(objects: SavedObjectGraph, key: str, names: Names) -> None:
    """Lets a loaded signature be called with the source's input names, where Python takes them as keywords.

    The loader checks calls against `argument_keywords` and the canonicalised signature; a function_spec, which could
    not spell such names, is derived from them when it is absent (function_deserialization.py).
    """
    renamed = {own: name for name, own in names.exported.items() if own != name}
    if not renamed:
        return
    node = objects.nodes[_child(objects, _child(objects, 0, "signatures"), key)]
    bare = node.bare_concrete_function
    for position, argument in enumerate(bare.argument_keywords):
        bare.argument_keywords[position] = renamed.get(argument, argument)
    bare.ClearField("function_spec")
    canonical = objects.concrete_functions[bare.concrete_function_name].canonicalized_input_signature
    fields = canonical.tuple_value.values[1].dict_value.fields
    specs = {own: StructuredValue.FromString(fields[own].SerializeToString()) for own in renamed}
    for own, name in renamed.items():
        del fields[own]
        specs[own].tensor_spec_value.name = name
    for own, name in renamed.items():
        fields[name].CopyFrom(specs[own])


def _child(objects: SavedObjectGraph, node: int, name: str) -> int:
    return next(int(child.node_id) for child in objects.nodes[node].children if child.local_name == name)
