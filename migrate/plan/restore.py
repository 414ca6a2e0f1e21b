"""Which value fills which variable: the source's restore graph says it, not the names (SaverDef, saver.proto).

Savers rename (`Saver({'b': a})`), load moving averages, cover a subset, and slice partitioned variables; all of it
stands in the RestoreV2 -> Assign edges of the graph. Nothing is run here.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import DecodeError

from migrate.frozen import frozen
from migrate.graph.graph import Graph, Nodes, Run, Wire, canonical, control_inputs, data_inputs, prune, split
from migrate.graph.nodes import giver
from migrate.graph.output_dtypes import missing_tensor
from migrate.graph.protos import MetaGraphDef, NodeDef, SaverDef, TensorProto, VariableDef
from migrate.records import Finding, refusal
from migrate.rewrite import ops
from migrate.rewrite.aliases import identity
from migrate.rewrite.file_access import PASSES
from migrate.rewrite.malformed import find_broken, find_cycle
from migrate.rewrite.rules.table import TABLE

RESTORES = frozenset({"Restore", "RestoreSlice", "RestoreV2"})

PURE = frozenset(
    {
        "Add", "AddV2", "Cast", "Concat", "ConcatV2", "Const", "ExpandDims", "Fill", "Identity", "Mul", "Pack",
        "Range", "Rank", "Reshape", "Slice", "Split", "SplitV", "Squeeze", "StridedSlice", "Sub", "Transpose", "Unpack",
    }
)  # fmt: skip
"""Ops that conversion may run between a checkpoint and a variable; any other makes a refusal."""

_HARMLESS = frozenset(
    {
        "Identity", "NoOp", "Placeholder", "PlaceholderWithDefault", "ReadVariableOp", "RefIdentity", "ShardedFilename",
        "StringJoin", "VarHandleOp",
    }
)  # fmt: skip
"""What else is in a restore graph and fills nothing."""

_HANDLE_PASSES = frozenset({"Identity", "RefIdentity"})


@frozen
class FromCheckpoint:
    """The value is a tensor of the checkpoint, or a slice of one.

    Attributes:
      key: the tensor's key.
      slice_spec: empty for the whole tensor, else RestoreV2's text (`10 4 0,4:0,4`: full shape, then start,length
        for each dimension, `-` for all of it).
    """

    key: str
    slice_spec: str = ""


@frozen
class Computed:
    """The value is computed by pure ops from tensors of the checkpoint.

    Attributes:
      tensor: full name of the tensor in the restore graph.
      reads: what it reads.
    """

    tensor: str
    reads: tuple[FromCheckpoint, ...]


@frozen
class Unset:
    """The restore graph leaves the variable alone: an init op fills it, or nothing does."""


@frozen
class Uninitialized:
    """Nothing fills it on loading; a call does, and a read before that fails as it did in TF1.

    Attributes:
      is_looked_at: whether some call looks at it before it fills it.
    """

    is_looked_at: bool = True


@frozen
class FromConstant:
    """The value is that of a Const of the source (`constants.unfreeze`)."""

    tensor: TensorProto


Value = FromCheckpoint | FromConstant | Computed | Unset | Uninitialized


@frozen
class TableFill:
    """What the restore op puts into a table: MutableHashTable saves its keys and values as two tensors.

    Attributes:
      keys: the tensor of keys.
      values: the tensor of values, in the same order.
      key_dtype: DataType value of the keys.
      value_dtype: DataType value of the values.
    """

    keys: FromCheckpoint
    values: FromCheckpoint
    key_dtype: int
    value_dtype: int


@frozen
class Restore:
    """What a SaverDef's restore op does.

    Attributes:
      values: identity of a variable -> its value.
      tables: identity of a table -> its content.
      run: the restore graph.
      filename: full name of the tensor that is fed with the checkpoint's prefix.
      findings: refusals, for what it does beyond filling variables, by the identity of the variable concerned or
        the empty string.
    """

    values: Mapping[str, FromCheckpoint | Computed]
    tables: Mapping[str, TableFill]
    run: Run
    filename: str
    findings: tuple[Finding, ...]


def read_restore(nodes: Nodes, saver: SaverDef) -> Restore | Finding:
    """Reads the restore graph of a SaverDef.

    Args:
      nodes: every node of the MetaGraphDef by name.
      saver: its `saver_def`.

    Returns:
      What it does, or a refusal when the SaverDef names nodes or a tensor that are not there or the graph is broken.
    """
    target = split(canonical(saver.restore_op_name))[0]
    filename = canonical(saver.filename_tensor_name)
    for name in (target, split(filename)[0]):
        if name not in nodes:
            return refusal(
                "restore-op-missing",
                f"the SaverDef names the node {name!r}, which the graph does not have, so no variable can be filled",
                (name,),
            )
    missing = missing_tensor(filename, nodes, {})
    if missing:
        message = f"the SaverDef names the tensor {filename!r}, {missing}, so no variable can be filled"
        return refusal("restore-op-missing", message, (split(filename)[0],))
    run = prune(nodes, "the restore op", {}, (), (target,))
    broken = find_broken(run, TABLE) or find_cycle(run)
    if broken is not None:
        return broken
    graph = run.graph
    values: dict[str, FromCheckpoint | Computed] = {}
    tables: dict[str, TableFill] = {}
    findings = [
        _other_prefix(graph, name) for name in graph.named(RESTORES) if not reads_checkpoint(graph, name, filename)
    ]
    for name, wire in graph.wires.items():
        if wire.op in _KNOWN:
            continue
        if wire.op in _TABLE_IMPORTS:
            filled = _table(graph.nodes, graph.nodes[name])
            if isinstance(filled, Finding):
                findings.append(filled)
            else:
                tables[filled[0]] = filled[1]
            continue
        found = _filled(graph, name, wire)
        if isinstance(found, Finding):
            findings.append(found)
        else:
            values[found[0]] = found[1]
    return Restore(values, tables, run, filename, tuple(findings))


_TABLE_IMPORTS = frozenset({"LookupTableImport", "LookupTableImportV2"})


def _filled(graph: Graph, name: str, wire: Wire) -> tuple[str, FromCheckpoint | Computed] | Finding:
    """Identity of the variable that a node fills, and its value."""
    if wire.op not in ("Assign", "AssignVariableOp"):
        message = f"the restore op runs {wire.op} {name!r}, which does something other than fill a variable"
        hint = "do it in the init op instead, or please open an issue"
        return refusal("restore-op-effect", message, (name,), hint)
    variable = _variable(graph.nodes, wire.data[0])
    if variable is None:
        message = f"{wire.op} {name!r} of the restore op fills no variable node"
        return refusal("restore-target-unknown", message, (name,))
    value = _value(graph.nodes, wire.data[1])
    return value if isinstance(value, Finding) else (identity(variable), value)


def reads_checkpoint(graph: Graph, name: str, filename: str) -> bool:
    """Whether a node reads the checkpoint whose prefix is fed: no op between them changes the name."""
    tensor = graph.wires[name].data[0]
    seen: set[str] = set()
    while tensor != filename and tensor not in seen:
        seen.add(tensor)
        wire = graph.wires[split(tensor)[0]]
        if wire.op not in PASSES or not wire.data:
            return False
        tensor = wire.data[0]
    return tensor == filename


def _other_prefix(graph: Graph, name: str) -> Finding:
    tensor = graph.wires[name].data[0]
    message = (
        f"{graph.wires[name].op} {name!r} of the restore op reads the checkpoint that {tensor!r} names, not its own"
    )
    hint = "export the model with one saver, whose checkpoint holds every variable"
    return refusal("file-outside-model", message, (name,), hint)


def restore_by_name(nodes: Nodes, meta_graph: MetaGraphDef, set_by_init: frozenset[str]) -> Restore | None:
    """What a MetaGraphDef without a SaverDef is restored by: a Saver of its variables, under their names.

    TF1 Hub modules are such, and TensorFlow's loader does the same for any SavedModel (loader_impl.py,
    restore_variables; saver.py, import_meta_graph).

    Args:
      nodes: every node of the MetaGraphDef by name.
      meta_graph: the MetaGraphDef.
      set_by_init: identities of variables that the init op assigns anyway.

    Returns:
      The values of the variables that the collection `variables` lists, or None where it lists none.
    """
    values: dict[str, FromCheckpoint | Computed] = {}
    if "variables" in meta_graph.collection_def:
        for serialized in meta_graph.collection_def["variables"].bytes_list.value:
            try:
                definition = VariableDef.FromString(serialized)
            except DecodeError:
                continue  # Its variable has no value then, which is refused.
            node = nodes.get(split(definition.variable_name)[0])
            if node is None or (node.op not in ops.VARIABLES and node.op != "VarHandleOp"):
                continue
            if identity(node) in set_by_init:
                continue
            part = definition.save_slice_info_def
            if not part.full_name:
                values[identity(node)] = FromCheckpoint(node.name)
                continue
            if len(part.var_offset) != len(part.var_shape):
                continue
            # The text of variables.py, Variable.SaveSliceInfo.spec.
            full = " ".join(map(str, part.full_shape))
            bounds = zip(part.var_offset, part.var_shape, strict=True)
            values[identity(node)] = FromCheckpoint(
                part.full_name, f"{full} {':'.join(f'{start},{length}' for start, length in bounds)}"
            )
    return Restore(values, {}, prune(nodes, "the restore op", {}, (), ()), "", ()) if values else None


def _table(graph: Mapping[str, NodeDef], node: NodeDef) -> tuple[str, TableFill] | Finding:
    """Identity of the table that a node fills, and its content."""
    handle, keys, values = data_inputs(node)
    table = _handle(graph, handle)
    if table.op not in ops.NAMED_RESOURCES and table.op not in ops.HANDLES:
        message = f"{node.op} {node.name!r} of the restore op fills {table.op} {table.name!r}, which is no table"
        return refusal("restore-target-unknown", message, (node.name,))
    first, second = _value(graph, keys), _value(graph, values)
    if isinstance(first, Finding):
        return first
    if isinstance(second, Finding):
        return second
    if isinstance(first, Computed) or isinstance(second, Computed):
        message = f"{node.op} {node.name!r} fills {table.name!r} with what no checkpoint tensor holds"
        return refusal("restore-value-computed", message, (node.name,))
    return identity(table), TableFill(first, second, node.attr["Tin"].type, node.attr["Tout"].type)


def _handle(graph: Mapping[str, NodeDef], tensor: str) -> NodeDef:
    """The node that makes the handle which a tensor carries."""
    node = giver(graph, tensor, _HANDLE_PASSES)
    assert node is not None, tensor  # Every input of a run is in it, and no circle.
    return node


_KNOWN = _HARMLESS | PURE | RESTORES | ops.VARIABLES | ops.NAMED_RESOURCES | ops.HANDLES.keys()


def _variable(graph: Mapping[str, NodeDef], tensor: str) -> NodeDef | None:
    node = _handle(graph, tensor)
    return node if node.op in ops.VARIABLES or node.op == "VarHandleOp" else None


def _value(graph: Mapping[str, NodeDef], tensor: str) -> FromCheckpoint | Computed | Finding:
    name, output = split(tensor)
    node = graph[name]
    while node.op == "Identity":
        name, output = split(data_inputs(node)[0])
        node = graph[name]
    if node.op in RESTORES:
        return _read(graph, node, output)
    reads: dict[FromCheckpoint, None] = {}
    seen = set()
    stack = [tensor]
    while stack:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        name, output = split(current)
        node = graph[name]
        if node.op in RESTORES:
            read = _read(graph, node, output)
            if isinstance(read, Finding):
                return read
            reads[read] = None
        elif node.op in PURE:
            stack.extend(data_inputs(node))
        else:
            return refusal(
                "restore-value-computed",
                f"{node.op} {name!r} is between the checkpoint and a variable; converting runs pure ops only",
                (name,),
            )
    return Computed(tensor, tuple(reads))


def _read(graph: Mapping[str, NodeDef], node: NodeDef, output: int) -> FromCheckpoint | Finding:
    inputs = data_inputs(node)
    # Element by element: one op may restore thousands of variables.
    names, slices = graph[split(inputs[1])[0]], graph[split(inputs[2])[0]] if node.op != "Restore" else None
    key = string_at(names, output)
    if key is None:
        return refusal(
            "restore-key-computed",
            f"{node.op} {node.name!r} takes the checkpoint key from {inputs[1]!r}, which is not a constant",
            (node.name,),
        )
    slice_spec = "" if slices is None else string_at(slices, output)
    if slice_spec is None:
        return refusal(
            "restore-key-computed",
            f"{node.op} {node.name!r} takes the slices from {inputs[2]!r}, which is not a constant",
            (node.name,),
        )
    return FromCheckpoint(key, slice_spec)


_MOST_KEYS = 1 << 20
"""A shape can promise any number of repetitions in no space."""


def string_at(node: NodeDef, index: int) -> str | None:
    """An element of a string constant, or None where there is no such constant or element."""
    if node.op != "Const" or control_inputs(node):
        return None
    proto: TensorProto = node.attr["value"].tensor
    count = 1
    for dim in proto.tensor_shape.dim:
        count *= dim.size
    if not 0 <= count <= _MOST_KEYS or index >= max(count, len(proto.string_val)):
        return None
    # A TensorProto may leave out the repetitions of its last element (tensor.proto).
    values = proto.string_val
    return str(values[min(index, len(values) - 1)].decode("utf-8", "replace")) if values else ""
