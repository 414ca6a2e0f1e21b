"""The new model as a trackable object: variables, tables, assets, and one function a signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from migrate.export.names import Names, flat, name_all
from migrate.export.private_apis import UninitializedVariable
from migrate.export.resources import resources
from migrate.frozen import frozen
from migrate.graph.graph import canonical
from migrate.graph.op_table import load_op_table, may_call
from migrate.plan.records import Plan, SignaturePlan
from migrate.plan.training import call_key
from migrate.records import TensorSpec
from migrate.rewrite.engine import Rewritten
from migrate.rewrite.importable import Importable, importable


class Root(tf.Module):  # type: ignore[misc]
    """The object that is saved, with the attributes of a Reusable SavedModel (tensorflow.org/hub).

    A tf.Module finds its variables by itself; here they are lists, which the loaded object then has.

    `vars` has them by name. It is set first: a checkpoint's key is the first of the shortest paths to a variable
    (trackable_view.py), so that the keys of the SavedModel, and of every tf.train.Checkpoint of the loaded object, are
    `vars/NAME/.ATTRIBUTES/VARIABLE_VALUE` and not positions in a list.
    """

    vars: Mapping[str, tf.Variable]
    variables: Sequence[tf.Variable] = ()
    trainable_variables: Sequence[tf.Variable] = ()
    regularization_losses: Sequence[Any] = ()


@frozen
class Module:
    """The object to be saved.

    Attributes:
      root: a trackable with `variables`, `trainable_variables` and `regularization_losses`.
      variables: by identity.
      bodies: what computes each signature, by its key; see `_wrap`.
      names: by signature key.
      train: what computes `__call__` with `training=True`, or None.
    """

    root: Root
    variables: Mapping[str, tf.Variable]
    bodies: Mapping[str, tf.types.experimental.ConcreteFunction]
    names: Mapping[str, Names]
    train: tf.types.experimental.ConcreteFunction | None = None


@frozen
class _Captures:
    """Handles that functions capture, by identity."""

    variables: Mapping[str, tf.Tensor]
    resources: Mapping[str, tf.Tensor]


class _Valueless(UninitializedVariable):  # type: ignore[misc]
    """A variable of which checkpoints hold nothing: it is uninitialised until a call assigns it."""

    def _serialize_to_tensors(self) -> dict[str, tf.Tensor]:
        return {}

    def _restore_from_tensors(self, restored_tensors: Mapping[str, tf.Tensor]) -> tf.Operation:
        return tf.no_op()

    def _export_to_saved_model_graph(
        self, object_map: dict[Any, Any], tensor_map: dict[Any, Any], options: object = None
    ) -> list[tf.Tensor]:
        # As in the base class, whose copy, which the saver of the exported graph sees, is one that has a value.
        copy = _Valueless(
            trainable=self.trainable,
            name=self._shared_name,
            shape=self.shape,
            dtype=self.dtype,
            extra_handle_data=self.handle,
        )
        object_map[self] = copy
        tensor_map[self.handle] = copy.handle
        return [self.handle]


VARIABLES: tuple[type, ...] = (UninitializedVariable, _Valueless)
"""The classes of a module's variables."""


class _Initializer(tf.saved_model.experimental.TrackableResource):  # type: ignore[misc]
    """Does, when the new model is loaded, what TF1's loader did: it fills tables, then runs the init op."""

    def __init__(self, steps: Sequence[Callable[[], tf.Tensor]]) -> None:
        super().__init__()
        self._steps = tuple(steps)

    def _create_resource(self) -> tf.Tensor:
        return tf.constant(0, name="unused")  # There is no resource, only something to run on loading.

    def _initialize(self) -> None:
        for step in self._steps:
            step()


def _fill(handle: tf.Tensor, keys: tf.Tensor, values: tf.Tensor) -> Callable[[], Any]:
    def run() -> Any:
        # A dense table saves its buckets, whose rank the op's shape function does not expect (lookup_ops.cc).
        given = (tf.compat.v1.placeholder_with_default(content, None) for content in (keys, values))
        return tf.raw_ops.LookupTableImportV2(table_handle=handle, keys=next(given), values=next(given))

    return run


def build(plan: Plan, assets_dir: str, tables: Mapping[str, tuple[tf.Tensor, tf.Tensor]]) -> Module:
    """Builds the object, except for what `add_signatures` adds. Its variables have no values yet.

    Args:
      plan: what to build.
      assets_dir: the source's `assets` directory.
      tables: keys and values of each table that the restore op fills, by identity.
    """
    root = Root()
    uninitialized = plan.uninitialized  # It goes through all variables.
    variables = {
        variable.identity: (_Valueless if variable.identity in uninitialized else UninitializedVariable)(
            trainable=variable.trainable,
            name=variable.name,
            shape=tf.TensorShape(variable.shape),
            dtype=tf.dtypes.as_dtype(variable.dtype),
        )
        for variable in plan.variables
    }
    root.vars = {variable.name: variables[variable.identity] for variable in plan.variables}
    root.variables = list(variables.values())
    root.trainable_variables = [v for v in variables.values() if v.trainable]
    root.regularization_losses = []
    found = resources(plan.runs)
    root.resources = list(found.values())
    captures = _Captures(
        {name: variable.handle for name, variable in variables.items()},
        {name: resource.resource_handle for name, resource in found.items()},
    )
    files = [(node, tf.saved_model.Asset(f"{assets_dir}/{file}")) for node, file in plan.assets]
    root.assets = [asset for _, asset in files]
    steps = [_fill(found[name].resource_handle, *content) for name, content in tables.items()]
    if plan.init is not None:
        part = importable(plan.init, plan.functions, plan.producer, plan.guarded)
        steps.append(_init_function(plan.init, part, captures, files))
    if steps:
        root.initializer = _Initializer(steps)
    keys = [signature.signature.key for signature in plan.signatures]
    names = {s.signature.key: name_all(s.signature) for s in plan.signatures}
    bodies = {signature.signature.key: _wrap(plan, signature, captures) for signature in plan.signatures}
    kept = list(bodies.values())  # The signatures' functions hold their captures weakly.
    train = None
    training = plan.training
    if training is not None:
        if training.call is not None and call_key(keys) is not None:
            train = _wrap(plan, training.call, captures)
            kept.append(train)
        losses = [_loss(plan, loss, captures) for loss in training.losses]
        kept += losses
        root.regularization_losses = [_callable(loss) for loss in losses]
    root.functions = kept
    return Module(root, variables, bodies, names, train)


def add_signatures(built: Module) -> Mapping[str, tf.types.experimental.ConcreteFunction]:
    """Traces the functions that have the signatures' own names, and adds `__call__` to the root.

    Returns:
      The functions by the signature's key.
    """
    functions = {key: _signature_function(body, built.names[key]) for key, body in built.bodies.items()}
    default = call_key(list(functions))
    if default is not None:
        built.root.__call__ = _call(built.bodies[default], built.names[default], built.train)
        # What `tf.saved_model.save` of the loaded object takes for a signature if it is given none
        # (signature_serialization.py, find_function_to_export).
        built.root._default_save_signature = functions[default]
    return functions


def _import(
    part: Importable,
    feeds: Mapping[str, tf.Tensor],
    captures: _Captures,
    returned: Sequence[str],
) -> list[tf.Tensor | tf.Operation]:
    graph = tf.compat.v1.get_default_graph()
    mapped = {f"{node}:0": captures.variables[root] for node, root in part.variables.items()}
    mapped.update({f"{node}:0": captures.resources[root] for node, root in part.resources.items()})
    # Capturing here, not in the importer, gives the placeholders of captures their names before the nodes get theirs.
    mapped = {name: graph.capture(handle) for name, handle in mapped.items()}
    mapped.update({f"{node}:0": tensor for node, tensor in feeds.items()})
    used = {canonical(i) for node in part.graph_def.node for i in node.input}
    wanted = [name for name in returned if name not in mapped]
    taken = {operation.name for operation in graph.get_operations()}
    prefix = "source" if any(node.name in taken for node in part.graph_def.node) else ""
    found = iter(
        tf.graph_util.import_graph_def(
            part.graph_def,
            {name: tensor for name, tensor in mapped.items() if name in used},
            wanted,
            name=prefix,
        )
        or ()
    )
    return [mapped[name] if name in mapped else next(found) for name in returned]


def _init_function(
    run: Rewritten,
    part: Importable,
    captures: _Captures,
    files: Sequence[tuple[str, tf.saved_model.Asset]],
) -> Callable[[], tf.Tensor]:
    targets = _targets(run, part)

    def body(*paths: tf.Tensor) -> tf.Tensor:
        feeds = {node: path for (node, _), path in zip(files, paths, strict=True)}
        operations = _import(part, feeds, captures, targets)
        # What a function runs for its effect must be among its control outputs: nobody takes its result, and the graph
        # optimiser drops what nothing waits for.
        tf.compat.v1.get_default_graph().control_outputs.extend(operations)
        with tf.control_dependencies(operations):
            return tf.constant(0)

    specs = [tf.TensorSpec([], tf.string, name=f"asset_path_{i}") for i in range(len(files))]
    wrapped = tf.compat.v1.wrap_function(body, specs)
    return lambda: wrapped(*(asset.asset_path for _, asset in files))


def _wrap(plan: Plan, signature: SignaturePlan, captures: _Captures) -> tf.types.experimental.ConcreteFunction:
    """The function of one run: fed tensors in, in the order of `Run.feeds`' inputs; fetched tensors out."""
    run = signature.run
    part = importable(run, plan.functions, plan.producer, plan.guarded)
    tensors = [t for spec in signature.signature.inputs.values() for t in feed_order(spec)]
    outputs = [t for spec in signature.signature.outputs.values() for t in feed_order(spec)]
    specs = []
    taken = {node.name for node in part.graph_def.node}
    for position, tensor in enumerate(tensors):
        node = run.run.graph.nodes[run.run.feeds[tensor]]
        name = f"argument_{position}"
        while name in taken:
            name += "_"
        specs.append(
            tf.TensorSpec(
                tf.TensorShape(node.attr["shape"].shape),
                tf.dtypes.as_dtype(node.attr["dtype"].type),
                name=name,
            )
        )

    def body(*arguments: tf.Tensor) -> list[tf.Tensor]:
        # Two names on one tensor: the last one is fed, as in a feed_dict.
        feeds = {run.run.feeds[tensor]: given for tensor, given in zip(tensors, arguments, strict=True)}
        fetches = [run.fetches[tensor] for tensor in outputs]
        targets = _targets(run, part)
        found = _import(part, feeds, captures, [*fetches, *targets])
        graph = tf.compat.v1.get_default_graph()
        # Callers wait for control outputs alone: without these a later call, or a step of a training loop, may change a
        # variable before this call has read it.
        waited = found[len(fetches) :]
        if _writes(part) or any(operation.type in _V1_CONTROL for operation in graph.get_operations()):
            # Of branches that do not run and of loops nothing can be waited for but what comes behind them.
            waited += [tensor.op for tensor in found[: len(fetches)] if tensor.op.type != "Placeholder"]
        else:
            waited += [operation for operation in graph.get_operations() if _reads(operation)]
        graph.control_outputs.extend(dict.fromkeys(waited))
        return found[: len(fetches)]

    return tf.compat.v1.wrap_function(body, specs)


_V1_CONTROL = frozenset({"Enter", "Switch"})


def _reads(operation: tf.Operation) -> bool:
    """Whether an operation takes the handle of a variable, a table or the like, and does more than to hand it on."""
    takes, gives = (any(t.dtype == tf.resource for t in side) for side in (operation.inputs, operation.outputs))
    return takes and (not gives or may_call(operation.type))


def _writes(part: Importable) -> bool:
    """Whether a run may change a variable, a table or the like."""
    table = load_op_table()
    ops = {node.op for node in part.graph_def.node}
    return any(op not in table or table[op].writes or may_call(op) for op in ops)


def _targets(run: Rewritten, part: Importable) -> list[str]:
    """Names of the nodes that a run executes for their effect."""
    return [name for name in run.run.targets if name not in part.variables and name not in part.resources]


def _loss(plan: Plan, run: Rewritten, captures: _Captures) -> tf.types.experimental.ConcreteFunction:
    """A function without arguments that gives one tensor."""
    part = importable(run, plan.functions, plan.producer)
    (tensor,) = run.fetches.values()
    return tf.compat.v1.wrap_function(lambda: _import(part, {}, captures, [tensor])[0], [])


def _callable(wrapped: tf.types.experimental.ConcreteFunction) -> tf.types.experimental.GenericFunction:
    def trace() -> tf.types.experimental.GenericFunction:
        traced = tf.function(lambda: wrapped(), input_signature=[], autograph=False)
        traced.get_concrete_function()
        return traced

    return patiently(trace)


def feed_order(spec: TensorSpec) -> list[str]:
    """Full names of the tensors behind an input or output; a sparse one's in the order of `SPARSE_PARTS`."""
    if spec.encoding == "coo_sparse":
        values, indices, dense_shape = spec.components
        return [canonical(indices), canonical(values), canonical(dense_shape)]
    return [canonical(spec.name)]


def _signature_function(
    wrapped: tf.types.experimental.ConcreteFunction, names: Names
) -> tf.types.experimental.ConcreteFunction:
    arguments = flat(names.arguments)
    results = flat(names.results)

    def function(**given: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(results, wrapped(*(given[name] for name in arguments)), strict=True))

    specs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
        for name, tensor in zip(arguments, wrapped.inputs, strict=False)
    }
    return patiently(lambda: tf.function(function, autograph=False).get_concrete_function(**specs))


def _call(
    wrapped: tf.types.experimental.ConcreteFunction,
    names: Names,
    train: tf.types.experimental.ConcreteFunction | None,
) -> tf.types.experimental.ConcreteFunction | tf.types.experimental.GenericFunction:
    """The Reusable SavedModel interface's `__call__` (tensorflow.org/hub/reusable_saved_models).

    One input is given as it is, several as a dict by input name; the same for the result. With a function for training
    it has the argument `training`, a Python bool.

    Where there is one way to compute, the concrete function itself is what is saved: loaders call it at once, as they
    do signatures. A tf.function takes the same arguments, looks at them twice and then for a trace, on each call, to
    find this function (polymorphic_function.py, `_call`).
    """
    arguments = flat(names.arguments)
    results = flat(names.results)
    keys = [key for key, name in names.arguments.items() if isinstance(name, str)]
    sparse = len(keys) != len(arguments)
    labels = arguments if sparse else keys
    specs = {
        label: tf.TensorSpec(tensor.shape, tensor.dtype, name=argument)
        for label, argument, tensor in zip(labels, arguments, wrapped.inputs, strict=False)
    }

    def answer(wrapped: tf.types.experimental.ConcreteFunction, given: Any) -> Any:
        taken = [given] if len(labels) == 1 and not isinstance(given, dict) else [given[label] for label in labels]
        outputs = wrapped(*taken)
        return outputs[0] if len(results) == 1 else dict(zip(results, outputs, strict=True))

    def function(inputs: Any) -> Any:
        return answer(wrapped, inputs)

    def function_of_mode(inputs: Any, training: bool = False) -> Any:
        return answer(train if training else wrapped, inputs)

    def function_of_nothing() -> Any:
        return answer(wrapped, {})

    signature = [] if not labels else [next(iter(specs.values())) if len(labels) == 1 else specs]

    def trace() -> tf.types.experimental.ConcreteFunction | tf.types.experimental.GenericFunction:
        if train is not None and signature:
            traced = tf.function(function_of_mode, autograph=False)
            for mode in (False, True):
                traced.get_concrete_function(*signature, training=mode)
            return traced
        traced = tf.function(function if signature else function_of_nothing, input_signature=signature, autograph=False)
        return traced.get_concrete_function()

    return patiently(trace)


_TRIES = 20


def patiently(trace: Callable[[], Any]) -> Any:
    """Traces a call of a function that may hold a v1 while loop, or saves a model of such calls.

    TensorFlow infers shapes through the call in an order that memory addresses decide, and now and then fails when it
    meets a shape before the constant that gives it (see `patch.py`, which keeps loaders from it). Another try is
    another order.
    """
    for _ in range(_TRIES - 1):
        try:
            return trace()
        except tf.errors.InternalError as error:
            if "Missing src context" not in error.message:
                raise
    return trace()
