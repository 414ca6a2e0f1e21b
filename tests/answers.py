"""Loads models in one way, makes calls, writes answers and facts: `python tests/answers.py JOB.pickle`.

The ways: `source` is a v1 Session on a TF1 model, `session` the same on a new model, `tf2` is `tf.saved_model.load`.
Unless the job says otherwise, the graph optimiser is off and there is one thread, so that answers can be compared bit
for bit.
"""

from __future__ import annotations

import json
import keyword
import pathlib
import pickle
import shutil
import sys
import tempfile
import traceback

import numpy as np
import tensorflow as tf
from google.protobuf.descriptor import FieldDescriptor
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

v1 = tf.compat.v1
_PARTS = ("indices", "values", "dense_shape")
_FIRST_REF_DTYPE = 101  # DT_FLOAT_REF, types.proto


def read(path):
    binary = pathlib.Path(path, "saved_model.pb")
    if binary.exists():
        return saved_model_pb2.SavedModel.FromString(binary.read_bytes())
    from google.protobuf import text_format

    text = pathlib.Path(path, "saved_model.pbtxt").read_text()
    return text_format.Parse(text, saved_model_pb2.SavedModel())


def meta_graph_of(path, tags):
    (found,) = [m for m in read(path).meta_graphs if set(m.meta_info_def.tags) == set(tags)]
    return found


def config():
    made = v1.ConfigProto(
        device_count={"CPU": 2},  # `pinned` sits on the second
        allow_soft_placement=True,
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1,
    )
    made.graph_options.optimizer_options.opt_level = v1.OptimizerOptions.L0
    made.graph_options.rewrite_options.disable_meta_optimizer = True
    return made


def tensors(info):
    """(suffix, tensor name) of the dense tensors behind a TensorInfo."""
    if info.WhichOneof("encoding") == "coo_sparse":
        sparse = info.coo_sparse
        names = (sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name)
        return [(f".{part}", name) for part, name in zip(_PARTS, names, strict=True)]
    return [("", info.name)]


def plain(value):
    """An array whose strings are objects; a copy, since a session may give the buffer of a variable."""
    if isinstance(value, bytes):
        found = np.empty((), object)
        found[()] = value
        return found
    return np.array(value)


def ask_session(session, meta_graph, name, inputs):
    signature = meta_graph.signature_def[name]
    feeds = {}
    for key, value in inputs.items():
        parts = tensors(signature.inputs[key])
        values = value if len(parts) > 1 else (value,)
        feeds.update({tensor: part for (_, tensor), part in zip(parts, values, strict=True)})
    fetches = {key + suffix: tensor for key, info in signature.outputs.items() for suffix, tensor in tensors(info)}
    return {key: plain(value) for key, value in session.run(fetches, feeds).items()}


def in_session(model, init_ops=()):
    with tf.Graph().as_default() as graph, v1.Session(config=config()) as session:
        meta_graph = v1.saved_model.load(session, list(model["tags"]), model["path"])
        session.run(list(init_ops))
        answers = [attempt(ask_session, session, meta_graph, *call) for call in model["calls"]]
        return {"answers": answers, **describe(meta_graph_of(model["path"], model["tags"]), graph)}


def repaired(path, directory):
    """A copy without what TensorFlow's loader refuses, and the init ops still to be run (testdata/check_all.py)."""
    shutil.copytree(path, directory)
    proto, init_ops = read(path), []
    for meta_graph in proto.meta_graphs:
        meta_graph.meta_info_def.tensorflow_version = "1.15.0"
        for node in meta_graph.graph_def.node:
            node.attr.pop("_output_shapes", None)
        if "legacy_init_op" in meta_graph.collection_def:
            init_ops += meta_graph.collection_def.pop("legacy_init_op").node_list.value
    pathlib.Path(directory, "saved_model.pb").write_bytes(proto.SerializeToString())
    return init_ops


def source(model):
    if not model["repair"]:
        return in_session(model)
    with tempfile.TemporaryDirectory() as work:
        copy = str(pathlib.Path(work, "copy"))
        init_ops = repaired(model["path"], copy)
        return in_session({**model, "path": copy}, init_ops)


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except Exception:
        return traceback.format_exc()


def ask_tf2(loaded, conversion, name, inputs):
    """Calls a signature by the source's names, but for the few that Python cannot take and a SparseTensor's parts."""
    arguments = {}
    for key, value in inputs.items():
        own = conversion.get("arguments", {}).get(name, {}).get(key, key)
        if isinstance(own, dict):
            arguments.update(zip((own[part] for part in _PARTS), value, strict=True))
        else:
            arguments[key if _taken_by_python(key) else own] = value
    function = loaded.signatures[name]
    arguments = {key: tf.constant(value) for key, value in arguments.items()}
    found = {key: plain(value.numpy()) for key, value in function(**arguments).items()}
    for key, own in conversion.get("results", {}).get(name, {}).items():
        parts = {f"{key}.{part}": own[part] for part in _PARTS} if isinstance(own, dict) else {key: own}
        found.update({name: found.pop(result) for name, result in parts.items() if name != result})
    return found


def _taken_by_python(name):
    """Whether a loaded function can be called with it; TensorFlow's exporter renames what is not ASCII."""
    return not keyword.iskeyword(name) and name != "self" and name.isascii()


def tf2(model, save=None):
    path = model["path"]
    provenance = pathlib.Path(path, "assets.extra", "migration.json")
    # A second save drops assets.extra, as tf.saved_model.save always does.
    conversion = json.loads((provenance if provenance.exists() else pathlib.Path(model["conversion"])).read_text())
    loaded = tf.saved_model.load(path)
    answers = [attempt(ask_tf2, loaded, conversion, *call) for call in model["calls"]]
    again = None
    if save:
        fresh = tf.saved_model.load(path)  # the calls may have written variables
        again = attempt(tf.saved_model.save, fresh, str(pathlib.Path(save, model["name"])), fresh.signatures)
        shutil.copy(provenance, pathlib.Path(save, model["name"] + ".json"))
    (meta_graph,) = read(path).meta_graphs
    written = tf.saved_model.experimental.read_fingerprint(path)
    fresh = tf.saved_model.experimental.Fingerprint.from_proto(
        fingerprint_pb2().FingerprintDef.FromString(fingerprinting.CreateFingerprintDef(path))
    )
    return {
        "answers": answers,
        "save_error": again,
        "variables": [(v.name, bool(v.trainable), v.dtype.name) for v in loaded.variables],
        "trainable_variables": [v.name for v in loaded.trainable_variables],
        "regularization_losses": [float(loss()) for loss in loaded.regularization_losses],
        "callable": callable(loaded),
        "loaded_signatures": sorted(loaded.signatures),
        "results": {key: sorted(f.structured_outputs) for key, f in loaded.signatures.items()},
        "fingerprints": [
            {k: getattr(f, k) for k in dir(f) if k.endswith(("checksum", "hash"))} for f in (written, fresh)
        ],
        "refs": ref_dtypes(read(path)),
        **describe(meta_graph, None),
    }


def fingerprint_pb2():
    from tensorflow.core.protobuf import fingerprint_pb2

    return fingerprint_pb2


def ref_dtypes(message, where=""):
    """Paths of all fields of a message, at any depth, that hold a ref dtype, and of ops with ref arguments."""
    found = []
    if message.DESCRIPTOR.full_name == "tensorflow.OpDef.ArgDef" and message.is_ref:
        found.append(where)
    for field, value in message.ListFields():
        here = f"{where}.{field.name}"
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        values = value.values() if is_map else (value if isinstance(value, list) or hasattr(value, "add") else [value])
        if field.type == FieldDescriptor.TYPE_ENUM and field.enum_type.full_name == "tensorflow.DataType":
            values = [value] if isinstance(value, int) else value
            found += [f"{here}={v}" for v in values if v >= _FIRST_REF_DTYPE]
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for item in values:
                if hasattr(item, "DESCRIPTOR"):
                    found += ref_dtypes(item, f"{here}({getattr(item, 'name', '')})")
    return found


def describe(meta_graph, graph):
    signatures = {
        key: {
            "method_name": signature.method_name,
            "inputs": {n: describe_info(i, graph) for n, i in signature.inputs.items()},
            "outputs": {n: describe_info(i, graph) for n, i in signature.outputs.items()},
        }
        for key, signature in meta_graph.signature_def.items()
        if key != "__saved_model_init_op"
    }
    return {
        "signatures": signatures,
        "tags": set(meta_graph.meta_info_def.tags),
        "source_trainable": trainable_names(meta_graph),
        "reached": reached_variables(meta_graph),
        "all_variables": {f"{n.name}:0" for n in meta_graph.graph_def.node if n.op in _VARIABLES},
    }


def describe_info(info, graph):
    """(encoding, dtype, shape); the dtype is that of the tensor, since `wrong_tensor_info` says otherwise."""
    encoding = info.WhichOneof("encoding")
    dtype = tf.dtypes.as_dtype(info.dtype)
    if graph is not None and encoding == "name":
        dtype = graph.get_tensor_by_name(info.name).dtype.base_dtype
    unset = not info.HasField("tensor_shape")
    shape = None if unset or info.tensor_shape.unknown_rank else tuple(d.size for d in info.tensor_shape.dim)
    return encoding, dtype.name, shape


_VARIABLES = ("Variable", "VariableV2", "VarHandleOp")


def trainable_names(meta_graph):
    from tensorflow.core.framework import variable_pb2

    values = meta_graph.collection_def["trainable_variables"].bytes_list.value
    return {variable_pb2.VariableDef.FromString(value).variable_name for value in values}


def reached_variables(meta_graph):
    """Names of the variables that some signature's outputs depend on, with its inputs fed."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    found = set()
    for key, signature in meta_graph.signature_def.items():
        if key == "__saved_model_init_op":
            continue
        fed = {full(tensor) for info in signature.inputs.values() for _, tensor in tensors(info)}
        pending = [tensor for info in signature.outputs.values() for _, tensor in tensors(info)]
        seen = set()
        while pending:
            tensor = pending.pop()
            name = tensor.lstrip("^").partition(":")[0]
            if full(tensor) in fed or name in seen or name not in nodes:
                continue
            seen.add(name)
            pending += nodes[name].input
        found |= {f"{name}:0" for name in seen if nodes[name].op in _VARIABLES}
    return found


def full(tensor):
    return tensor if ":" in tensor or tensor.startswith("^") else tensor + ":0"


def main():
    job = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
    tf.config.set_soft_device_placement(True)
    if not job["optimize"]:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    way = {"source": source, "session": in_session, "tf2": lambda m: tf2(m, job["save"])}[job["way"]]
    found = {}
    for model in job["models"]:
        try:
            found[model["name"]] = way(model)
        except Exception:
            found[model["name"]] = {"error": traceback.format_exc()}
    pathlib.Path(sys.argv[1]).with_suffix(".answers").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
