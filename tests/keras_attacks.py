"""Keras layers that would act while they are loaded: write, delete, read, load code or call Python."""

from __future__ import annotations

import base64

ALONE = "_CONSTANT_VALUE"


def any_layer(class_name, inbound=None, **config):
    """A layer of the name `bad` behind the input `x`."""
    return {
        "class_name": class_name,
        "name": "bad",
        "config": {"name": "bad", **config},
        "inbound_nodes": [["x", 0, 0, {}]] if inbound is None else inbound,
    }


def functional(*layers):
    """A functional model of an input and some layers behind it."""
    given = {"name": "x", "batch_input_shape": [None, 3], "dtype": "float32", "sparse": False, "ragged": False}
    entries = [{"class_name": "InputLayer", "config": given, "name": "x", "inbound_nodes": []}, *layers]
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["bad", 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "model", "layers": entries, **ends}}


def constants(*values, **keywords):
    """An inbound node that gives a constant."""
    return [[ALONE, -1, values[0], keywords]]


def op_layer(op, inputs=("x",), constants=None, **attributes):
    """A layer of one op."""
    node = {"name": "bad", "op": op, "input": list(inputs), "attr": attributes}
    return any_layer("TensorFlowOpLayer", node_def=node, constants=constants or {})


FLOAT = {"type": "DT_FLOAT"}


def attacks(target):
    """Layers by name; each would delete, write or read `target`, load code or call Python."""
    own = str(target)
    url = [base64.b64encode(f"file://{own}".encode()).decode()]
    calls = {
        "write_file": any_layer("TFOpLambda", constants(own, contents="x"), function="io.write_file"),
        "write_file_v1": any_layer("TFOpLambda", constants(own, contents="x"), function="compat.v1.write_file"),
        "delete": any_layer("TFOpLambda", constants(own), function="compat.v1.gfile.DeleteRecursively"),
        "rmtree": any_layer("TFOpLambda", constants(own), function="io.gfile.rmtree"),
        "load_op_library": any_layer("TFOpLambda", constants(own), function="load_op_library"),
        "load_library": any_layer("TFOpLambda", constants(own), function="load_library"),
        "read_file": any_layer("TFOpLambda", constants(own), function="io.read_file"),
        "slicing": any_layer("SlicingOpLambda", constants(own), function="io.gfile.rmtree"),
        "py_function": any_layer("TFOpLambda", function="py_function"),
        "map_fn": any_layer("TFOpLambda", function="map_fn"),
        "print": any_layer("TFOpLambda", [["x", 0, 0, {"output_stream": f"file://{own}"}]], function="print"),
        "raw_op": any_layer("TFOpLambda", function="raw_ops.WriteFile"),
        "keras": any_layer("TFOpLambda", constants(own), function="keras.models.load_model"),
        "get_file": any_layer("TFOpLambda", constants("x"), function="keras.utils.get_file"),
        "saved_model": any_layer("TFOpLambda", constants(own), function="saved_model.load"),
        "no_function": any_layer("TFOpLambda", function=None),
        "unlisted": any_layer("TFOpLambda", function="math.no_such_thing"),
        "class_method": any_layer("ClassMethod", [[ALONE, -1, [own], {}]], cls_symbol="io.gfile", method_name="rmtree"),
        "summary": any_layer("ClassMethod", cls_symbol="io.TFRecordWriter", method_name="__init__"),
        "method": any_layer("InstanceMethod", attr_name="numpy"),
        "property": any_layer("InstanceProperty", attr_name="graph"),
        "alone": any_layer("TFOpLambda", constants(1.0, y=2.0), function="math.add"),
        "alone_deep": any_layer("TFOpLambda", [[ALONE, -1, ["x", 0, 0], {"y": 2.0}]], function="math.add"),
        "debug": op_layer("DebugIdentity", T=FLOAT, debug_urls={"list": {"s": url}}),
        "write_op": op_layer("WriteFile", ("filename", "contents"), {"0": own}),
        "read_op": op_layer("ReadFile"),
        "python_op": op_layer("PyFunc", token={"s": "eA=="}),
        "state_op": op_layer("VarHandleOp", ()),
        "unknown_op": op_layer("NoSuchOp"),
        "function": op_layer("PartitionedCall", f={"func": {"name": "f"}}),
        "constants": op_layer("AddV2", ("a", "b"), {"0": 1.0, "1": 2.0}, T=FLOAT),
        "no_inputs": op_layer("AddV2", (), T=FLOAT),
        "no_node": any_layer("TensorFlowOpLayer", node_def=None),
        "text_node": any_layer("TensorFlowOpLayer", node_def="\x12\tWriteFile\x1a\x01x"),
    }
    write = calls["write_file"]
    timed = any_layer("TimeDistributed", layer={"class_name": "TFOpLambda", "config": write["config"]})
    inner = {**functional(write), "name": "bad", "inbound_nodes": [[["x", 0, 0, {}]]]}
    module = {"module": "tf_keras.src.layers.core.tf_op_layer", "registered_name": None}
    wrapped = {"timed": timed, "inner": inner, "spelled": {**write, **module}}
    return {**calls, **wrapped}
