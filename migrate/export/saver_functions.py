"""The functions that save and restore a SavedModel's variables in a v1 Session, as TensorFlow traces them.

A Session finds them by the SaverDef (functional_saver.py, MultiDeviceSaver.to_proto).
"""

from __future__ import annotations

from collections.abc import Sequence

from migrate.export.function_defs import (
    CONTEXT,
    SCALAR,
    STRING,
    ArgumentNames,
    Function,
    OpNames,
    Tensor,
    add_arguments,
    add_constant,
    add_handles,
    add_node,
    vector,
)
from migrate.frozen import frozen
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import FunctionDef, TensorShapeProto
from migrate.plan.records import VariablePlan
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY

INT32 = dtype_value("int32")
_CPU = "/device:CPU:0"
_ANY_CPU = "/device:CPU:*"
_TEXT = Tensor(STRING, SCALAR)
_UNKNOWN = TensorShapeProto(unknown_rank=True)


@frozen
class Saved:
    """A variable that a checkpoint has.

    Attributes:
      variable: which.
      key: its key in the checkpoint.
      handle: name of the main graph's node of its handle.
    """

    variable: VariablePlan
    key: str
    handle: str


def save_function(name: str, saved: Sequence[Saved], graph: str, reads_in_shard: bool) -> tuple[FunctionDef, Function]:
    """The function that writes a checkpoint (functional_saver.py, MultiDeviceSaver.save).

    Args:
      name: of the function.
      saved: the variables.
      graph: name of the main graph's node that has the object graph.
      reads_in_shard: whether variables are read where the file is written, on its device; the newest releases read
        them before.
    """
    function, operations, names, prefix = _begin(name)
    nodes = function.node_def
    for operation in ("StaticRegexFullMatch", "Const", "Const", "Select", "StringJoin"):
        operations.unique(operation)
    scopes = [operations.unique("Read") for _ in saved]
    handles = add_handles(
        function,
        names,
        [
            (f"{scope}/DisableCopyOnRead/{s.handle}", s.handle, s.variable)
            for scope, s in zip(scopes, saved, strict=True)
        ],
    )
    (objects,) = add_arguments(function, names, [(f"SaveV2/{graph}", graph, _TEXT)])
    match = add_node(nodes, "StaticRegexFullMatch", "StaticRegexFullMatch", [prefix], [SCALAR], _ANY_CPU)
    match.attr["pattern"].s = b"^s3://.*"
    add_constant(nodes, "Const", [b".part"], STRING, SCALAR, _ANY_CPU)
    add_constant(nodes, "Const_1", [b"_temp/part"], STRING, SCALAR, _ANY_CPU)
    chosen = ["StaticRegexFullMatch:output:0", "Const:output:0", "Const_1:output:0"]
    add_node(nodes, "Select", "Select", chosen, [SCALAR], _ANY_CPU, T=STRING)
    joined = add_node(nodes, "StringJoin", "StringJoin", [prefix, "Select:output:0"], [SCALAR], _ANY_CPU)
    joined.attr["N"].i = 2
    if reads_in_shard:
        _add_file_name(nodes)
    device = _CPU if reads_in_shard else ""
    values = []
    for scope, handle, s in zip(scopes, handles, saved, strict=True):
        shape, dtype = s.variable.shape, s.variable.dtype
        kept, read = f"{scope}/DisableCopyOnRead", f"{scope}/ReadVariableOp"
        add_node(nodes, kept, "DisableCopyOnRead", [handle], (), device)
        add_node(nodes, read, "ReadVariableOp", [handle, f"^{kept}"], [shape], device, dtype=dtype)
        value, copy = operations.unique("Identity"), operations.unique("Identity")
        add_node(nodes, value, "Identity", [f"{read}:value:0"], [shape], device, T=dtype)
        add_node(nodes, copy, "Identity", [f"{value}:output:0"], [shape], _CPU, T=dtype)
        values.append(f"{copy}:output:0")
    if not reads_in_shard:
        _add_file_name(nodes)
    inputs = ["ShardedFilename:filename:0", *_named(nodes, "SaveV2", saved), *values, objects]
    written = add_node(nodes, "SaveV2", "SaveV2", inputs, (), _CPU)
    written.attr["dtypes"].list.type.extend([*(s.variable.dtype for s in saved), STRING])
    written.attr["_has_manual_control_dependencies"].b = True
    merge = "MergeV2Checkpoints"
    inputs = ["ShardedFilename:filename:0", "^SaveV2"]
    packed = add_node(nodes, f"{merge}/checkpoint_prefixes", "Pack", inputs, [vector(1)], _CPU, T=STRING)
    packed.attr["N"].i = 1
    merged = add_node(nodes, merge, merge, [f"{merge}/checkpoint_prefixes:output:0", prefix], (), _CPU)
    merged.attr["_has_manual_control_dependencies"].b = True
    waits = [merge, *(f"{scope}/{op}" for scope in scopes for op in ("DisableCopyOnRead", "ReadVariableOp"))]
    _end(function, operations, names, prefix, [merge], waits)
    return function, _known(name, saved, {prefix: _TEXT}, objects)


def restore_function(name: str, saved: Sequence[Saved]) -> tuple[FunctionDef, Function]:
    """The function that reads a checkpoint (functional_saver.py, MultiDeviceSaver.restore).

    Args:
      name: of the function.
      saved: the variables.
    """
    function, operations, names, prefix = _begin(name)
    nodes = function.node_def
    copies = [operations.unique("Identity") for _ in saved]
    assigned = [operations.unique("AssignVariableOp") for _ in saved]
    handles = add_handles(
        function, names, [(f"{op}/{s.handle}", s.handle, s.variable) for op, s in zip(assigned, saved, strict=True)]
    )
    types = [*(s.variable.dtype for s in saved), STRING]
    inputs = [prefix, *_named(nodes, "RestoreV2", saved)]
    read = add_node(nodes, "RestoreV2", "RestoreV2", inputs, [_UNKNOWN] * len(types), _CPU)
    read.attr["dtypes"].list.type.extend(types)
    for number, (copy, op, handle, s) in enumerate(zip(copies, assigned, handles, saved, strict=True)):
        add_node(nodes, copy, "Identity", [f"RestoreV2:tensors:{number}"], [_UNKNOWN], _CPU, T=s.variable.dtype)
        inputs = [handle, f"{copy}:output:0"]
        node = add_node(nodes, op, "AssignVariableOp", inputs, (), _CPU, dtype=s.variable.dtype)
        node.attr["_has_manual_control_dependencies"].b = True
    nothing = operations.unique("NoOp")  # What restores the object graph.
    node = add_node(nodes, nothing, "NoOp", (), (), _CPU)
    node.attr["_has_manual_control_dependencies"].b = True
    _end(function, operations, names, prefix, [*assigned, nothing], assigned)
    return function, _known(name, saved, {prefix: _TEXT}, None)


def _begin(name: str) -> tuple[FunctionDef, OpNames, ArgumentNames, str]:
    function = FunctionDef()
    function.signature.name = name
    function.signature.is_stateful = True
    function.attr["_construction_context"].s = CONTEXT
    operations, names = OpNames(), ArgumentNames()
    operation = operations.unique("file_prefix")
    (prefix,) = add_arguments(function, names, [(operation, operation, _TEXT)])
    return function, operations, names, prefix


def _add_file_name(nodes: object) -> None:
    """Adds the name of the only file."""
    add_constant(nodes, "num_shards", [1], INT32, SCALAR, "")
    add_constant(nodes, "ShardedFilename/shard", [0], INT32, SCALAR, _CPU)
    parts = ["StringJoin:output:0", "ShardedFilename/shard:output:0", "num_shards:output:0"]
    add_node(nodes, "ShardedFilename", "ShardedFilename", parts, [SCALAR], _CPU)


def _named(nodes: object, op: str, saved: Sequence[Saved]) -> list[str]:
    """Adds the names of a checkpoint's tensors, and which slices of them, as inputs of an op."""
    keys = [*(s.key.encode() for s in saved), OBJECT_GRAPH_KEY.encode()]
    shape = vector(len(keys))
    add_constant(nodes, f"{op}/tensor_names", keys, STRING, shape, _CPU)
    add_constant(nodes, f"{op}/shape_and_slices", [b""] * len(keys), STRING, shape, _CPU)
    return [f"{op}/tensor_names:output:0", f"{op}/shape_and_slices:output:0"]


def _end(
    function: FunctionDef,
    operations: OpNames,
    names: ArgumentNames,
    prefix: str,
    before: Sequence[str],
    waits: Sequence[str],
) -> None:
    """Has a function give its argument back once it is done.

    Args:
      function: which.
      operations: its operations' names.
      names: its arguments' names.
      prefix: its argument.
      before: nodes that come before the result.
      waits: nodes that a call must run.
    """
    nodes = function.node_def
    copy, returned = operations.unique("Identity"), operations.unique("Identity")
    add_node(nodes, copy, "Identity", [prefix, *sorted(f"^{n}" for n in before)], [SCALAR], _CPU, T=STRING)
    nothing = operations.unique("NoOp") if waits else ""
    inputs = [f"{copy}:output:0", *([f"^{nothing}"] if waits else [])]
    add_node(nodes, returned, "Identity", inputs, [SCALAR], T=STRING)
    if waits:
        add_node(nodes, nothing, "NoOp", sorted(f"^{n}" for n in waits))
    result = names.result(returned)
    function.signature.output_arg.add(name=result, type=STRING)
    function.ret[result] = f"{returned}:output:0"
    function.signature.control_output.extend(sorted(waits))
    for wait in waits:
        function.control_ret[wait] = wait


def _known(name: str, saved: Sequence[Saved], arguments: dict[str, Tensor], objects: str | None) -> Function:
    after = () if objects is None else (_TEXT,)
    return Function(name, arguments, (_TEXT,), tuple(s.variable for s in saved), (), True, after)
