"""A source and a faithful candidate of it, as protos: what a conversion writes, without one."""

from __future__ import annotations

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef, TensorProto, TensorShapeProto

FLOAT, INT64, STRING, REF, RESOURCE = map(dtype_value, ("float32", "int64", "string", "float32_ref", "resource"))


def info(told, name, dtype, *sizes):
    """Fills a TensorInfo; -1 is a size that is not known."""
    told.name, told.dtype = name, dtype
    told.tensor_shape.SetInParent()
    for size in sizes:
        told.tensor_shape.dim.add(size=size)


def table(rows: int, changed: int | None = None) -> TensorProto:
    """A vector of floats, of which one may be another one."""
    values = [row * 0.5 for row in range(rows)]
    if changed is not None:
        values[changed] += 0.25
    return TensorProto(dtype=FLOAT, tensor_shape=TensorShapeProto(dim=[{"size": rows}]), float_val=values)


def constant(nodes, name: str, value: TensorProto, taker: str = "Mul") -> None:
    """Adds a Const, and a node that takes it."""
    node = nodes.add(name=name, op="Const")
    node.attr["dtype"].type = value.dtype
    node.attr["value"].tensor.CopyFrom(value)
    nodes.add(name=f"{name}/taken", op=taker, input=[name])


def source(*, ref_output: bool = False) -> MetaGraphDef:
    """A TF1 graph of two signatures: one with a default value, one with a sparse input."""
    graph = MetaGraphDef()
    graph.meta_info_def.tags.append("serve")
    nodes = graph.graph_def.node
    for name, op in (("x", "Placeholder"), ("k", "PlaceholderWithDefault"), ("k/c", "Const"), ("y", "Mul")):
        node = nodes.add(name=name, op=op)
        if op != "Mul":
            node.attr["dtype"].type = FLOAT
    nodes[0].attr["shape"].shape.dim.add(size=-1)
    nodes[1].attr["shape"].shape.SetInParent()
    nodes[1].input.append("k/c")
    nodes[2].attr["value"].tensor.dtype = FLOAT
    nodes[2].attr["value"].tensor.float_val.append(0.5)
    nodes[3].input.extend(["x", "k"])
    nodes[3].device = "/device:CPU:0"
    signature = graph.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    info(signature.inputs["x"], "x:0", FLOAT, -1)
    info(signature.inputs["k"], "k:0", FLOAT)
    info(signature.outputs["y"], "y:0", REF if ref_output else FLOAT, -1)
    sparse = graph.signature_def["sparse"]
    info(sparse.inputs["s"], "", INT64, -1, -1)
    parts = sparse.inputs["s"].coo_sparse
    parts.values_tensor_name, parts.indices_tensor_name, parts.dense_shape_tensor_name = "v:0", "i:0", "d:0"
    for name in ("v", "i", "d"):
        nodes.add(name=name, op="Placeholder").attr["dtype"].type = INT64
    nodes.add(name="k/c/taken", op="Mul", input=["k/c"])
    info(sparse.outputs["y"], "y:0", FLOAT, -1)
    return graph


def candidate(before: MetaGraphDef) -> MetaGraphDef:
    """As a conversion writes it: a call and functions for each signature, objects, defaults, an init op."""
    new = MetaGraphDef()
    new.meta_info_def.CopyFrom(before.meta_info_def)
    for _ in range(2):
        new.object_graph_def.nodes.add()
    new.object_graph_def.nodes[0].user_object.identifier = "_generic_user_object"
    new.object_graph_def.nodes[0].children.add(local_name="signatures", node_id=1)
    new.graph_def.node.add(name="init", op="NoOp")
    new.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    for key in sorted(before.signature_def):
        _add_signature(before, new, key)
    return new


def _add_signature(before: MetaGraphDef, new: MetaGraphDef, key: str) -> None:
    old, signature = before.signature_def[key], new.signature_def[key]
    signature.CopyFrom(old)
    old_nodes = {node.name: node for node in before.graph_def.node}
    call = new.graph_def.node.add(name=f"{key}_call", op="StatefulPartitionedCall")
    call.attr["f"].func.name = f"wrapper_{key}"
    wrapper, body = (new.graph_def.library.function.add() for _ in range(2))
    wrapper.signature.name, body.signature.name = f"wrapper_{key}", f"body_{key}"
    wrapper.node_def.add(name="call", op="StatefulPartitionedCall").attr["f"].func.name = f"body_{key}"
    wrapper.signature.is_stateful = True
    objects = new.object_graph_def
    objects.nodes[1].children.add(local_name=key, node_id=len(objects.nodes))
    function = objects.nodes.add().bare_concrete_function
    function.concrete_function_name = f"wrapper_{key}"
    concrete = objects.concrete_functions[f"wrapper_{key}"]
    concrete.canonicalized_input_signature.tuple_value.values.add().tuple_value.SetInParent()
    arguments = concrete.canonicalized_input_signature.tuple_value.values.add().dict_value
    for name in sorted(old.inputs):
        given = signature.inputs[name]
        parts = ("indices", "values", "dense_shape") if given.WhichOneof("encoding") == "coo_sparse" else ("",)
        for part in parts:
            argument = f"{name}_{part}" if part else name
            tensor = getattr(old.inputs[name].coo_sparse, f"{part}_tensor_name") if part else old.inputs[name].name
            was = old_nodes[tensor.partition(":")[0]]
            node = new.graph_def.node.add(name=f"{key}_{argument}", op=was.op)
            for attribute in was.attr:
                node.attr[attribute].CopyFrom(was.attr[attribute])
            if was.op == "PlaceholderWithDefault":
                default = old_nodes[was.input[0]]
                held = new.graph_def.node.add(name=f"{node.name}/default", op="Const")
                held.CopyFrom(default)
                held.name = f"{node.name}/default"
                node.input.append(held.name)
                signature.defaults[name].CopyFrom(default.attr["value"].tensor)
            call.input.append(node.name)
            wrapper.signature.input_arg.add(name=argument, type=was.attr["dtype"].type)
            wrapper.node_def[0].input.append(argument)
            body.signature.input_arg.add(name=argument, type=was.attr["dtype"].type)
            function.argument_keywords.append(argument)
            spec = arguments.fields[argument].tensor_spec_value
            spec.name, spec.dtype = argument, was.attr["dtype"].type
            spec.shape.CopyFrom(node.attr["shape"].shape) if "shape" in node.attr else None
            if part:
                setattr(given.coo_sparse, f"{part}_tensor_name", f"{node.name}:0")
            else:
                given.name = f"{node.name}:0"
    for number, name in enumerate(sorted(old.outputs)):
        signature.outputs[name].name = f"{key}_call:{number}"
        signature.outputs[name].dtype %= 100
        concrete.output_signature.dict_value.fields[name].tensor_spec_value.name = name
    for node in before.graph_def.node:
        if node.op == "Const":
            constant(body.node_def, node.name, node.attr["value"].tensor)
    body.node_def.add(name="y/now", op="Identity")
    body.node_def.add(name="y", op="Mul", input=["y/now:output:0", "y/now:output:0"], device="/device:CPU:0")
