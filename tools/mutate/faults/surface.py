"""Faults in what Python code uses of a loaded model: `__call__`, training, gradients, lists of variables, Keras."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tools.mutate.candidate import Candidate, Function, set_value, value_of
from tools.mutate.edits import Edit, attributes, const, op
from tools.mutate.look import Answers, Assigned, Gradients, RestoredOptimizer, Structured, Surface, Training
from tools.mutate.records import Fault

_SERVE = "serving_default"
_fault = functools.partial(Fault, "surface", blind=True)
_X3 = np.array([[0.5, -1.0, 2.0], [1.0, 0.25, -0.5]], np.float32)
_X6 = np.random.RandomState(0).uniform(-1, 1, [4, 6]).astype(np.float32)
_KERAS = {"x": np.array([[0.5, -1.0]], np.float32), "ids": np.array([[1, 2, 0]], np.int32)}
_KERAS_LIST = [_KERAS["ids"], _KERAS["x"]]
_CALL = Answers([("", {"x": _X3})], "call")
_GRADIENTS = Gradients("features", {"x": _X6}, "normed")
_PLAIN = Gradients(_SERVE, {"x": _X3})


def _copy(candidate: Candidate, name: str) -> Function:
    """A copy of a function of the library, and of what it is in the object graph."""
    copy = candidate.meta_graph.graph_def.library.function.add()
    copy.CopyFrom(candidate.function(name))
    copy.signature.name = f"{name}77"
    functions = candidate.meta_graph.object_graph_def.concrete_functions
    if name in functions:
        functions[copy.signature.name].CopyFrom(functions[name])
    return copy


def _called(candidate: Candidate, name: str) -> Function:
    """A copy of the function in which the nodes are, which a copy of the one of that name calls alone."""
    function = _copy(candidate, name)
    while True:
        calls = [node for node in function.node_def if node.op.endswith("PartitionedCall")]
        if not calls:
            return function
        inner = _copy(candidate, calls[0].attr["f"].func.name)
        calls[0].attr["f"].func.name = inner.signature.name
        function = inner


def _in_call(edit: Callable[[Candidate, Function], None], trace: int | None = None) -> Edit:
    """Changes what `__call__` does, and not what the signatures do."""

    def plant(candidate: Candidate) -> None:
        found = candidate.child("__call__")
        if found.WhichOneof("kind") == "bare_concrete_function":
            name = found.bare_concrete_function.concrete_function_name
            edit(candidate, _called(candidate, name))
            found.bare_concrete_function.concrete_function_name = f"{name}77"
        else:
            index = trace or 0
            name = found.function.concrete_functions[index]
            edit(candidate, _called(candidate, name))
            found.function.concrete_functions[index] = f"{name}77"
            inner = candidate.child("__call__", f"trace_{index}")
            inner.bare_concrete_function.concrete_function_name = f"{name}77"

    return plant


def _output(function: Function, edit: Callable[[str], str]) -> None:
    key = min(function.ret)
    function.ret[key] = edit(function.ret[key])


def _float_node(function: Function, name: str, op_name: str, *inputs: str) -> Any:
    node = function.node_def.add(name=name, op=op_name, input=inputs)
    node.attr["T"].type = 1
    return node


def _through(op_name: str, result: str) -> Callable[[Candidate, Function], None]:
    """An output goes through an op of one input; `result` is what the op calls its output."""

    def fault(_: Candidate, function: Function) -> None:
        def edit(before: str) -> str:
            _float_node(function, "spoil", op_name, before)
            return f"spoil:{result}:0"

        _output(function, edit)

    return fault


_negated = _through("Neg", "y")
_stopped = _through("StopGradient", "output")
_prevented = _through("PreventGradient", "output")


def _ulp(_: Candidate, function: Function) -> None:
    """An output times a number that is one ulp more than one."""

    def edit(before: str) -> str:
        constant = function.node_def.add(name="spoil/factor", op="Const")
        constant.attr["dtype"].type = 1
        constant.attr["value"].tensor.dtype = 1
        constant.attr["value"].tensor.tensor_shape.SetInParent()
        constant.attr["value"].tensor.float_val.append(1.0000002)
        _float_node(function, "spoil", "Mul", before, "spoil/factor:output:0")
        return "spoil:z:0"

    _output(function, edit)


def _scaled_gradient(factor: float) -> Callable[[Candidate, Function], None]:
    """The same value, whose gradient is larger: y + (s * y - stop_gradient(s * y))."""

    def change(_: Candidate, function: Function) -> None:
        def edit(before: str) -> str:
            constant = function.node_def.add(name="spoil/factor", op="Const")
            constant.attr["dtype"].type = 1
            constant.attr["value"].tensor.dtype = 1
            constant.attr["value"].tensor.tensor_shape.SetInParent()
            constant.attr["value"].tensor.float_val.append(factor)
            _float_node(function, "spoil/scaled", "Mul", before, "spoil/factor:output:0")
            _float_node(function, "spoil/stopped", "StopGradient", "spoil/scaled:z:0")
            _float_node(function, "spoil/none", "Sub", "spoil/scaled:z:0", "spoil/stopped:output:0")
            _float_node(function, "spoil", "AddV2", before, "spoil/none:z:0")
            return "spoil:z:0"

        _output(function, edit)

    return change


def _everywhere(edit: Callable[[Candidate, Function], None], signature: str = _SERVE) -> Edit:
    """In the function that the signature and `__call__` share."""
    return lambda candidate: edit(candidate, candidate.body(signature))


def _stopped_read(name: str, signature: str) -> Edit:
    """The gradient of one variable is lost."""

    def plant(candidate: Candidate) -> None:
        body = candidate.body(signature)
        for node in body.node_def:
            node.input[:] = ["spoil:output:0" if found == f"{name}:value:0" else found for found in node.input]
        _float_node(body, "spoil", "StopGradient", f"{name}:value:0")

    return plant


def _baked(name: str, variable: str, signature: str = _SERVE) -> Edit:
    """A read is a constant of the variable's value."""

    def plant(candidate: Candidate) -> None:
        with candidate.checkpoint() as tensors:
            value = tensors[candidate_key(variable)]
        _bake(candidate.node(signature, name), value)

    return plant


def _baked_in_call(name: str, variable: str) -> Edit:
    def plant(candidate: Candidate) -> None:
        with candidate.checkpoint() as tensors:
            value = tensors[candidate_key(variable)]

        def edit(_: Candidate, function: Function) -> None:
            _bake(next(node for node in function.node_def if node.name == name), value)

        _in_call(edit)(candidate)

    return plant


def candidate_key(variable: str) -> str:
    """A variable's key in the checkpoint."""
    return f"vars/{variable.replace('.', '..').replace('/', '.S')}/.ATTRIBUTES/VARIABLE_VALUE"


def _bake(node: Any, value: np.ndarray) -> None:
    consumers = node.name
    node.op = "Const"
    del node.input[:]
    dtype = node.attr["dtype" if "dtype" in node.attr else "T"].type
    node.attr.clear()
    node.attr["dtype"].type = dtype
    node.attr["value"].tensor.dtype = dtype
    set_value(node, value)
    node.name = consumers


def _baked_name(name: str, signature: str = _SERVE) -> Callable[[Candidate], None]:
    """References to a read follow what it is now."""

    def plant(candidate: Candidate) -> None:
        for function in candidate.functions:
            if any(node.name == name and node.op == "Const" for node in function.node_def):
                for node in function.node_def:
                    node.input[:] = [f"{name}:output:0" if i == f"{name}:value:0" else i for i in node.input]

    return plant


def _then(*edits: Callable[[Candidate], None]) -> Edit:
    def plant(candidate: Candidate) -> None:
        for edit in edits:
            edit(candidate)

    return plant


def _child_gone(*path: str) -> Edit:
    def plant(candidate: Candidate) -> None:
        parent = candidate.child(*path[:-1])
        for child in list(parent.children):
            if child.local_name == path[-1]:
                parent.children.remove(child)

    return plant


def _children(path: str, edit: Callable[[list[int]], list[int]]) -> Edit:
    """Changes a list of objects."""

    def plant(candidate: Candidate) -> None:
        parent = candidate.child(path)
        ids = edit([child.node_id for child in parent.children])
        del parent.children[:]
        for index, node in enumerate(ids):
            parent.children.add(local_name=str(index), node_id=node)

    return plant


def _added_child(path: str, *variable: str) -> Edit:
    def plant(candidate: Candidate) -> None:
        node = candidate.child_id(*variable)
        _children(path, lambda ids: [*ids, node])(candidate)

    return plant


def _swapped_vars(first: str, second: str) -> Edit:
    def plant(candidate: Candidate) -> None:
        names = {first: second, second: first}
        for child in candidate.child("vars").children:
            child.local_name = names.get(child.local_name, child.local_name)

    return plant


def _renamed_var(before: str, after: str) -> Edit:
    return lambda candidate: _rename(candidate.child("vars").children, before, after)


def _rename(children: Any, before: str, after: str) -> None:
    for child in children:
        if child.local_name == before:
            child.local_name = after


def _variable(name: str, edit: Callable[[Any], None]) -> Edit:
    return lambda candidate: edit(candidate.child("vars", name).variable)


def _trainable(flag: bool) -> Callable[[Any], None]:
    def edit(variable: Any) -> None:
        variable.trainable = flag

    return edit


def _named(name: str) -> Callable[[Any], None]:
    def edit(variable: Any) -> None:
        variable.name = name

    return edit


def _signature_is(first: str, second: str) -> Edit:
    """In the object graph, and so in Python alone."""

    def plant(candidate: Candidate) -> None:
        other = candidate.child("signatures", second).bare_concrete_function
        candidate.child("signatures", first).bare_concrete_function.CopyFrom(other)

    return plant


def _traces_alike(first: int, second: int) -> Edit:
    """Training and inference do the same."""

    def plant(candidate: Candidate) -> None:
        names = candidate.child("__call__").function.concrete_functions
        source, target = names[first], names[second]
        functions = candidate.meta_graph.object_graph_def.concrete_functions
        found = functions[target]
        found.bound_inputs[:] = functions[source].bound_inputs
        function = candidate.function(target)
        kept = function.signature.name
        function.CopyFrom(candidate.function(source))
        function.signature.name = kept

    return plant


def _training_body(candidate: Candidate) -> Function:
    """The function of the train MetaGraph."""
    return next(
        function
        for function in candidate.functions
        if "wrapped" in function.signature.name
        and any(node.name == "norm/moving_mean/update" for node in function.node_def)
    )


def _no_update(candidate: Candidate) -> None:
    body = _training_body(candidate)
    kept = [node for node in body.node_def if not node.name.startswith("norm/moving_mean/update")]
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del body.node_def[:]
    body.node_def.extend(copies)
    for key in [key for key in body.control_ret if "moving_mean" in body.control_ret[key]]:
        del body.control_ret[key]
        body.signature.control_output.remove(key)


def _in_training(name: str, new: Callable[[np.ndarray], Any]) -> Edit:
    def plant(candidate: Candidate) -> None:
        node = next(node for node in _training_body(candidate).node_def if node.name == name)
        set_value(node, new(value_of(node)))

    return plant


def _training_not_of_batch(candidate: Candidate) -> None:
    """Training normalises by the moving mean."""
    body = _training_body(candidate)
    read = body.node_def.add(name="spoil", op="ReadVariableOp", input=["unknown_3"])
    read.attr["dtype"].type = 1
    next(node for node in body.node_def if node.name == "batchnorm/mul_2").input[0] = "spoil:value:0"


def _training_no_gradient(candidate: Candidate) -> None:
    body = _training_body(candidate)
    _float_node(body, "spoil", "StopGradient", body.ret["y"])
    body.ret["y"] = "spoil:output:0"


def _loss(edit: Callable[[Candidate, Function], None]) -> Edit:
    return lambda candidate: edit(candidate, candidate.bodies_with("dense/regularizer")[0])


def _loss_is_constant(_: Candidate, function: Function) -> None:
    node = next(node for node in function.node_def if node.name == "dense/regularizer")
    _float_node(function, "spoil", "StopGradient", f"{node.name}:z:0")
    function.ret["dense_regularizer"] = "spoil:output:0"


def _optimizer(edit: Callable[[np.ndarray], Any], which: Callable[[str, np.ndarray], bool]) -> Edit:
    """Changes entries of a Keras optimizer in the checkpoint."""

    def plant(candidate: Candidate) -> None:
        with candidate.checkpoint() as tensors:
            keys = [key for key, value in tensors.items() if "optimizer" in key and which(key, value)]
            if not keys:
                raise LookupError("no such entry of an optimizer")
            for key in keys:
                tensors[key] = np.asarray(edit(tensors[key]), tensors[key].dtype)

    return plant


def _is_slot(key: str, value: np.ndarray) -> bool:
    return value.dtype == np.float32 and value.ndim == 2


def _training_of_keras(candidate: Candidate) -> None:
    """`training=True` of the batch normalisation is `training=False`."""
    found = [
        function
        for function in candidate.functions
        if "normal_layer_call_and_return_conditional_losses" in function.signature.name
    ]
    training = [f for f in found if any(node.op == "SquaredDifference" for node in f.node_def)]
    for function in training:
        for node in function.node_def:
            if node.op == "AssignSubVariableOp":
                scale = next(n for n in function.node_def if n.name == node.input[1].partition(":")[0])
                _float_node(function, f"{node.name}/spoil", "Sub", f"{scale.name}:z:0", f"{scale.name}:z:0")
                node.input[1] = f"{node.name}/spoil:z:0"


_KERAS_LOSS = Surface()


def _one_baked(candidate: Candidate) -> None:
    """The kernel of the convolution."""
    body = candidate.body(_SERVE)
    convolution = next(node for node in body.node_def if node.op == "Conv2D")
    name = convolution.input[1].partition(":")[0]
    read = next(node for node in body.node_def if node.name == name)
    with candidate.checkpoint() as tensors:
        value = next(v for k, v in tensors.items() if k.startswith("vars/conv") and v.ndim == 4)
    _bake(read, value)
    _baked_name(name)(candidate)


def _says_int(candidate: Candidate) -> None:
    name = candidate.child("signatures", "features").bare_concrete_function.concrete_function_name
    fields = candidate.meta_graph.object_graph_def.concrete_functions[name].output_signature.dict_value.fields
    fields[min(fields)].tensor_spec_value.dtype = 3


def _keras_loss(candidate: Candidate) -> None:
    for function in candidate.functions:
        if "loss_fn" in function.signature.name:
            for node in function.node_def:
                if node.op == "Const":
                    set_value(node, value_of(node) * 2)


def _keras_trainable(candidate: Candidate) -> None:
    for node in candidate.meta_graph.object_graph_def.nodes:
        if node.WhichOneof("kind") == "variable" and node.variable.name.endswith("moving_mean"):
            node.variable.trainable = True


FAULTS = (
    _fault("call-negated", "simple_save", "`__call__` answers the negative.", _in_call(_negated), _CALL),
    _fault("call-ulp", "simple_save", "`__call__` answers an ulp more.", _in_call(_ulp), _CALL),
    _fault("call-gone", "simple_save", "There is no `__call__`.", _child_gone("__call__"), Surface()),
    _fault(
        "call-baked",
        "simple_save",
        "`__call__` has a weight that no variable holds.",
        _then(_baked_in_call("w/read", "w"), _baked_name("w/read")),
        Assigned("", {"x": _X3}),
    ),
    _fault(
        "call-no-gradient", "simple_save", "`__call__` has no gradients.", _in_call(_stopped), Gradients("", {"x": _X3})
    ),
    _fault(
        "call-of-hub",
        "hub_module",
        "`__call__` of a Hub module answers the negative.",
        _in_call(_negated, 0),
        Answers([("", {"x": _X3})], "call"),
    ),
    _fault(
        "signature-of-other",
        "network",
        "A signature in Python is another one.",
        _signature_is("features", "top"),
        Answers([("features", {"x": _X6})], "tf2"),
    ),
    _fault("signature-gone", "network", "A signature is gone in Python.", _child_gone("signatures", "top"), Surface()),
    _fault("training-is-inference", "hub_module", "`training=True` infers.", _traces_alike(0, 1), Training(_X3)),
    _fault(
        "inference-is-training",
        "hub_module",
        "`training=False` trains.",
        _traces_alike(1, 0),
        Training(_X3, training=False),
    ),
    _fault("training-no-update", "hub_module", "`training=True` does not move a mean.", _no_update, Training(_X3)),
    _fault(
        "training-other-rate",
        "hub_module",
        "`training=True` moves a mean at another rate.",
        _in_training("mul/y", lambda value: value * 2),
        Training(_X3),
    ),
    _fault(
        "training-epsilon",
        "hub_module",
        "`training=True` normalises with another epsilon.",
        _in_training("batchnorm/add/y", lambda value: value * 2),
        Training(_X3),
    ),
    _fault(
        "training-not-of-batch",
        "hub_module",
        "`training=True` normalises by the moving mean.",
        _training_not_of_batch,
        Training(_X3),
    ),
    _fault(
        "training-no-gradient",
        "hub_module",
        "`training=True` has no gradients.",
        _training_no_gradient,
        Training(_X3, gradients=True),
    ),
    _fault(
        "losses-gone",
        "hub_module",
        "There are no regularisation losses.",
        _children("regularization_losses", lambda ids: []),
        Surface(),
    ),
    _fault(
        "losses-twice",
        "hub_module",
        "A regularisation loss counts twice.",
        _children("regularization_losses", lambda ids: ids * 2),
        Surface(),
    ),
    _fault(
        "loss-other",
        "hub_module",
        "A regularisation loss is another one.",
        const("dense/regularizer/x", lambda value: value * 2),
        Surface(),
    ),
    _fault(
        "loss-no-gradient",
        "hub_module",
        "A regularisation loss has no gradient.",
        _loss(_loss_is_constant),
        Surface(gradients=True),
    ),
    _fault(
        "trainable-mean",
        "network",
        "A moving mean is trainable.",
        _variable("norm/moving_mean", _trainable(True)),
        Surface(),
    ),
    _fault(
        "trainable-listed",
        "network",
        "A moving mean is listed as trainable.",
        _added_child("trainable_variables", "vars", "norm/moving_mean"),
        Surface(),
    ),
    _fault(
        "not-trainable", "network", "A kernel is not trainable.", _variable("head/kernel", _trainable(False)), Surface()
    ),
    _fault(
        "not-trainable-listed",
        "network",
        "A kernel is not listed as trainable.",
        _children("trainable_variables", lambda ids: ids[:-1]),
        Surface(),
    ),
    _fault(
        "trainable-order",
        "network",
        "The trainable variables have another order.",
        _children("trainable_variables", lambda ids: ids[::-1]),
        Surface(),
    ),
    _fault(
        "trainable-twice",
        "network",
        "A trainable variable is listed twice.",
        _children("trainable_variables", lambda ids: [*ids, ids[0]]),
        Surface(),
    ),
    _fault(
        "trainable-none",
        "network",
        "No variable is listed as trainable.",
        _children("trainable_variables", lambda ids: []),
        Surface(),
    ),
    _fault(
        "variables-lack", "network", "A variable is not listed.", _children("variables", lambda ids: ids[1:]), Surface()
    ),
    _fault(
        "structured-outputs",
        "network",
        "A signature's function says another dtype of its output.",
        _says_int,
        Structured("features"),
    ),
    _fault("variables-gone", "network", "There are no `variables`.", _child_gone("variables"), Surface()),
    _fault(
        "variables-order",
        "network",
        "The variables have another order.",
        _children("variables", lambda ids: [ids[1], ids[0], *ids[2:]]),
        Surface(),
    ),
    _fault(
        "vars-swapped",
        "network",
        "Two keys of `vars` are swapped.",
        _swapped_vars("layer0/kernel", "layer1/kernel"),
        Surface(),
    ),
    _fault("vars-renamed", "simple_save", "A key of `vars` is another name.", _renamed_var("w", "weights"), Surface()),
    _fault("vars-lack", "network", "`vars` lacks a variable.", _child_gone("vars", "norm/beta"), Surface()),
    _fault(
        "variable-renamed", "network", "A variable has another name.", _variable("norm/beta", _named("beta")), Surface()
    ),
    _fault("gradient-lost", "simple_save", "The gradients are lost.", _everywhere(_stopped), _PLAIN),
    _fault("gradient-doubled", "simple_save", "The gradients are doubled.", _everywhere(_scaled_gradient(1.0)), _PLAIN),
    _fault(
        "gradient-negated",
        "simple_save",
        "The gradients have the other sign.",
        _everywhere(_scaled_gradient(-2.0)),
        _PLAIN,
    ),
    _fault(
        "gradient-slightly-off",
        "simple_save",
        "The gradients are a hundredth larger.",
        _everywhere(_scaled_gradient(0.01)),
        _PLAIN,
    ),
    _fault("gradient-raises", "simple_save", "Asking for gradients raises.", _everywhere(_prevented), _PLAIN),
    _fault(
        "gradient-of-one",
        "simple_save",
        "The gradient of one variable is lost.",
        _stopped_read("b/read", _SERVE),
        _PLAIN,
    ),
    _fault(
        "gradient-of-layer",
        "network",
        "The gradient of one layer is lost.",
        _stopped_read("layer1/kernel/read", "features"),
        _GRADIENTS,
    ),
    _fault(
        "gradient-functional",
        "functional",
        "The gradient through functional control flow is doubled.",
        _everywhere(_scaled_gradient(1.0)),
        _PLAIN,
    ),
    _fault(
        "gradient-not-stopped",
        "network",
        "A gradient that was stopped is not.",
        op("stopped", "Identity"),
        Gradients("top", {"x": _X6}, "values"),
    ),
    _fault(
        "gradient-custom",
        "network",
        "A node has a gradient that nobody has registered.",
        attributes("MatMul", _gradient_op_type="Nobody"),
        _GRADIENTS,
    ),
    _fault(
        "gradient-of-embedding",
        "lookups",
        "The gradient of an embedding is lost.",
        _stopped_read("embedding/read", _SERVE),
        Gradients(_SERVE, {"ids": np.array([1, 2], np.int64)}, "vector"),
    ),
    _fault(
        "baked",
        "simple_save",
        "A weight is a constant.",
        _then(_baked("w/read", "w"), _baked_name("w/read")),
        Assigned(_SERVE, {"x": _X3}),
    ),
    _fault(
        "baked-bias",
        "network",
        "A bias is a constant.",
        _then(_baked("layer2/bias/read", "layer2/bias", "features"), _baked_name("layer2/bias/read")),
        Assigned("features", {"x": _X6}),
    ),
    _fault(
        "baked-mean",
        "network",
        "A moving mean is a constant.",
        _then(_baked("norm/moving_mean/read", "norm/moving_mean", "features"), _baked_name("norm/moving_mean/read")),
        Assigned("features", {"x": _X6}),
    ),
    _fault(
        "baked-in-training-adam",
        "training_adam",
        "A weight is a constant for predictions.",
        _then(_baked("w/read", "w", "predict"), _baked_name("w/read")),
        Assigned("predict", {"x": _X3[:, :2]}),
    ),
    _fault(
        "baked-again",
        "constant_weights",
        "A weight that --variables made a variable is a constant.",
        _one_baked,
        Assigned(_SERVE, {"image": np.ones([1, 6, 6, 3], np.float32), "ids": np.array([[0, 4]], np.int64)}),
    ),
    _fault(
        "keras-slot",
        "keras_functional",
        "A slot of the optimizer is another one.",
        _optimizer(lambda value: value + 0.5, _is_slot),
        RestoredOptimizer(),
    ),
    _fault(
        "keras-iterations",
        "keras_functional",
        "The optimizer has made another number of steps.",
        _optimizer(lambda value: value + 1, lambda key, value: value.dtype == np.int64),
        RestoredOptimizer(),
    ),
    _fault(
        "keras-rate",
        "keras_functional",
        "The learning rate is another one.",
        _optimizer(lambda value: value * 2, lambda key, value: value.dtype == np.float32 and value.ndim == 0),
        RestoredOptimizer(),
    ),
    _fault(
        "keras-slot-old",
        "keras_adam",
        "A slot of an old optimizer is another one.",
        _optimizer(lambda value: value + 0.5, _is_slot),
        RestoredOptimizer(),
    ),
    _fault(
        "keras-loss",
        "keras_functional",
        "The regularisation loss is another one.",
        _keras_loss,
        Surface(),
    ),
    _fault("keras-trainable", "keras_functional", "A moving mean of Keras is trainable.", _keras_trainable, Surface()),
    _fault(
        "keras-training",
        "keras_functional",
        "Training does not move the means.",
        _training_of_keras,
        Training(_KERAS_LIST),
    ),
    _fault(
        "keras-order",
        "keras_functional",
        "The weights of Keras have another order.",
        _children("variables", lambda ids: ids[::-1]),
        Surface(),
    ),
)
