"""The variables of a source in a v1 Session: which there are, what they hold, and what calls need of them.

Nothing is taken from a plan: the loaded graph and its own Session say it. TensorFlow starts here, and every import of
it stands inside a function.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from migrate.graph.op_table import REF_VARIABLES, load_op_table, may_call
from migrate.graph.protos import FunctionDefLibrary, GraphDef, MetaGraphDef, VariableDef
from migrate.made_variables import LEAST_BYTES
from migrate.verify.added_nodes import AddedNodes
from migrate.verify.arrays import as_array, fingerprint
from migrate.verify.calls import NO_VALUE, Array, Fingerprint
from migrate.verify.mapped_constants import op_of

_VARIABLES = REF_VARIABLES | {"VarHandleOp"}
_NO_MAPS: Mapping[str, Array] = {}
_GROUP_BYTES = 1 << 26
"""So many bytes of variables are read at once."""

Names = Mapping[str, tuple[str, ...]]
"""All nodes of each variable, by the first of them."""


def variables_of(graph: Any) -> Names:
    """The variables of a graph. Nodes that share a buffer, as TensorFlow's resource manager sees it, are one."""
    groups: dict[object, list[str]] = {}
    for operation in graph.get_operations():
        if operation.type in _VARIABLES:
            groups.setdefault(_buffer(operation), []).append(operation.name)
    return {names[0]: tuple(names) for names in groups.values()}


def _buffer(operation: Any) -> tuple[object, ...]:
    container, shared = operation.get_attr("container"), operation.get_attr("shared_name")
    if operation.type == "VarHandleOp":
        return True, container, shared  # An empty name is a name, too (resource_variable_ops.cc).
    return False, container, shared or operation.name.encode()


def reader(tf: Any, session: Any, names: Iterable[str]) -> Callable[[], dict[str, Fingerprint]]:
    """Prepares to read variables, and adds what that needs to the graph.

    Args:
      tf: the module.
      session: on the graph.
      names: of the variables' nodes.

    Returns:
      Gives what they hold now, by name; `NO_VALUE` for one that was never assigned.
    """
    added = AddedNodes(tf)
    names = list(dict.fromkeys(names))
    asks, reads = [], {}
    values: dict[str, Any] = {}
    for name in names:
        operation = session.graph.get_operation_by_name(name)
        values[name], dtype = operation.outputs[0], operation.get_attr("dtype")
        variable = added.given(values[name])
        if operation.type == "VarHandleOp":
            asks.append(added.add("VarIsInitializedOp", [variable]))
            reads[name] = added.add("ReadVariableOp", [variable], dtype=dtype)
        else:
            asks.append(added.add("IsVariableInitialized", [variable], dtype=dtype))
    tensors = iter(added.tensors(session.graph, [*asks, *reads.values()]))
    filled = dict(zip(names, tensors, strict=False))
    values.update(zip(reads, tensors, strict=True))
    in_groups = list(groups({name: bytes_of(tf, session, name) for name in values}))

    def read() -> dict[str, Fingerprint]:
        if not filled:
            return {}
        has_value = session.run(filled)
        found = dict.fromkeys(filled, NO_VALUE)
        for group in in_groups:
            wanted = {name: values[name] for name in group if has_value[name]}
            for name, value in (session.run(wanted) if wanted else {}).items():
                found[name] = fingerprint(as_array(value))
        return found

    return read


def value_tensor(tf: Any, session: Any, name: str) -> Any:
    """The tensor of the value of a variable's node; for a resource variable it is added to the graph."""
    tensor = session.graph.get_operation_by_name(name).outputs[0]
    if tensor.op.type != "VarHandleOp":
        return tensor
    return tf.raw_ops.ReadVariableOp(resource=tensor, dtype=tensor.op.get_attr("dtype"))


def bytes_of(tf: Any, session: Any, name: str) -> int:
    """What a variable takes as its shape has it; 0 where that says nothing."""
    operation = session.graph.get_operation_by_name(name)
    count = tf.TensorShape(operation.get_attr("shape")).num_elements()
    return 0 if count is None else int(count) * int(tf.dtypes.as_dtype(operation.get_attr("dtype")).size)


def groups(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Names in groups of so many bytes that can be in memory at once."""
    group: list[str] = []
    size = 0
    for name, own in sizes.items():
        if group and size + own > _GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(name)
        size += own
    if group:
        yield group


def needed(session: Any, targets: Iterable[str], fed: Collection[str], fixed: Mapping[str, Array]) -> list[Any]:
    """The operations that a call can run.

    What is behind a branch that is never taken is not needed: one whose predicate the graph itself decides, with what
    is fed in each call.

    Args:
      session: on the graph.
      targets: names of the tensors that the call fetches.
      fed: names of the tensors that it feeds.
      fixed: what it feeds in each call, by tensor name.
    """
    dead = _dead(session, fixed)
    graph = session.graph
    stack = [graph.get_operation_by_name(name.partition(":")[0]) for name in targets if name not in fed]
    found: dict[str, Any] = {}
    while stack:
        operation = stack.pop()
        if operation.name in found:
            continue
        found[operation.name] = operation
        stack += [t.op for t in operation.inputs if t.name not in fed and t.name not in fixed and t.name not in dead]
        stack += operation.control_inputs
    return list(found.values())


_SWITCHES = frozenset({"Switch", "RefSwitch"})
_MOST_DECIDED = 1000
"""Of a predicate's operations; behind a larger one no branch counts as dead."""


def _dead(session: Any, fixed: Mapping[str, Array]) -> frozenset[str]:
    """Names of the tensors that never come, since the graph decides a predicate otherwise."""
    switches = [op for op in session.graph.get_operations() if op.type in _SWITCHES]
    verdicts: dict[str, bool | None] = {}
    dead: set[str] = set()
    for switch in switches:
        predicate = switch.inputs[1]
        if predicate.name not in verdicts:
            verdicts[predicate.name] = _decided(session, predicate, fixed)
        taken = verdicts[predicate.name]
        if taken is not None:
            dead.add(switch.outputs[0 if taken else 1].name)
    if not dead:
        return frozenset()
    stack = [session.graph.get_tensor_by_name(name) for name in dead]
    while stack:
        for taker in stack.pop().consumers():
            if taker.type in ("Merge", "RefMerge") and not all(t.name in dead for t in taker.inputs):
                continue
            fresh = [output for output in taker.outputs if output.name not in dead]
            dead.update(output.name for output in fresh)
            stack += fresh
    return frozenset(dead)


def _decided(session: Any, predicate: Any, fixed: Mapping[str, Array]) -> bool | None:
    """The value of a tensor that no input, variable or other state has a part in, or None."""
    table = load_op_table()
    stack, seen = [predicate], {predicate.name}
    is_in_loop = False
    while stack:
        tensor = stack.pop()
        if tensor.name in fixed:
            continue
        known = table.get(tensor.op.type)
        if known is None or known.is_stateful or tensor.op.type.startswith("Placeholder") or len(seen) > _MOST_DECIDED:
            return None
        if tensor.op.type in ("Switch", "Merge", "NextIteration") or may_call(tensor.op.type):
            return None
        if tensor.op.type == "Enter":
            if not tensor.op.get_attr("is_constant"):
                return None
            is_in_loop = True
        for given in tensor.op.inputs:
            if given.name not in seen:
                seen.add(given.name)
                stack.append(given)
    feeds = {name: value for name, value in fixed.items() if name in seen}
    with contextlib.suppress(Exception):
        return _in_loop(predicate, feeds, seen) if is_in_loop else bool(session.run(predicate, feeds))
    return None


def _in_loop(predicate: Any, feeds: Mapping[str, Array], behind: Collection[str]) -> bool:
    """The value of a tensor in a graph of its own: nothing inside a loop can be fetched where it is."""
    import tensorflow as tf

    part = GraphDef()
    fed = {name.partition(":")[0] for name in feeds}
    for operation in {predicate.graph.get_tensor_by_name(name).op for name in behind}:
        node = part.node.add()
        node.CopyFrom(operation.node_def)
        node.device = ""
        node.attr.pop("_class", None)
        del node.input[len(operation.inputs) :]  # The rest are control edges.
        if operation.name in fed:
            del node.input[:]
            node.op = "Placeholder"
            node.attr.clear()
            node.attr["dtype"].type = operation.outputs[0].dtype.as_datatype_enum
        elif node.op == "Enter":  # Of a loop's constant: each iteration sees what is given to it.
            node.op = "Identity"
            dtype = operation.get_attr("T").as_datatype_enum
            node.attr.clear()
            node.attr["T"].type = dtype
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(part, name="")
        with tf.compat.v1.Session(graph=graph, config=tf.compat.v1.ConfigProto()) as session:
            return bool(session.run(predicate.name, dict(feeds)))


def may_write(ops: Iterable[str], bodies_write: bool = True) -> bool:
    """Whether one of some ops may change a variable; what is not known may.

    Args:
      ops: their names.
      bodies_write: whether a function that they may call does.
    """
    return any(_writes(op, bodies_write) for op in set(ops))


def _writes(op: str, bodies_write: bool) -> bool:
    if op.startswith(_OF_ONE_CALL):
        return False
    known = load_op_table().get(op)
    if known is None or known.writes:
        return True
    return bodies_write if known.effect == "calls" else may_call(op)


_OF_ONE_CALL = ("Stack", "TensorArray")
"""What the names of ops begin with that change what a call has for itself (stack.cc, tensor_array_ops.cc)."""


def may_draw(ops: Iterable[str], bodies_draw: bool = True) -> bool:
    """Whether one of some ops may draw random numbers; arguments as in `may_write`."""
    return any(_draws(op, bodies_draw) for op in set(ops))


def _draws(op: str, bodies_draw: bool) -> bool:
    known = load_op_table().get(op)
    if known is None or known.effect == "random":
        return True
    return bodies_draw if known.effect == "calls" else may_call(op)


def bodies_draw(library: FunctionDefLibrary) -> bool:
    """Whether some function of a library may draw random numbers by an op of its own."""
    return may_draw((node.op for function in library.function for node in function.node_def), bodies_draw=False)


def bodies_write(library: FunctionDefLibrary) -> bool:
    """Whether some function of a library may change a variable by an op of its own."""
    return may_write((node.op for function in library.function for node in function.node_def), bodies_write=False)


def trainable(meta_graph: MetaGraphDef) -> frozenset[str]:
    """Names of the variables' nodes in the collection TRAINABLE_VARIABLES."""
    return frozenset(v.variable_name.partition(":")[0] for v in definitions(meta_graph, "trainable_variables"))


def definitions(meta_graph: MetaGraphDef, collection: str) -> Iterator[VariableDef]:
    """The variables that a collection lists; what is no VariableDef in it lists none."""
    from google.protobuf.message import DecodeError

    if collection not in meta_graph.collection_def:
        return
    for serialized in meta_graph.collection_def[collection].bytes_list.value:
        with contextlib.suppress(DecodeError):
            yield VariableDef.FromString(serialized)


def saved_keys(graph: Any, meta_graph: MetaGraphDef) -> Iterator[tuple[str, str, str]]:
    """Node, checkpoint key and slice of each variable that a Saver without arguments restores (saver.py)."""
    existing = {operation.name for operation in graph.get_operations() if operation.type in _VARIABLES}
    for definition in definitions(meta_graph, "variables"):
        name, part = definition.variable_name.partition(":")[0], definition.save_slice_info_def
        if name not in existing:
            continue
        if not part.full_name:
            yield name, name, ""
            continue
        # The text of variables.py, Variable.SaveSliceInfo.spec.
        bounds = ":".join(f"{start},{size}" for start, size in zip(part.var_offset, part.var_shape, strict=False))
        yield name, part.full_name, f"{' '.join(map(str, part.full_shape))} {bounds}"


def constants(tf: Any, graph: Any, large: bool = False, maps: Mapping[str, Array] = _NO_MAPS) -> dict[str, Fingerprint]:
    """Values of the graph's constants that have a rank, by name.

    Args:
      tf: the module.
      graph: a loaded source's.
      large: whether those of large ones alone.
      maps: what those hold that are mapped from files, by name.
    """
    found = {}
    for operation in graph.get_operations():
        if operation.name in maps and op_of(operation) == "Const":
            array = maps[operation.name]
            if array.ndim and (not large or array.nbytes >= LEAST_BYTES):
                found[operation.name] = fingerprint(array)
        if operation.type != "Const":
            continue
        value = operation.get_attr("value")
        if value.tensor_shape.dim and (not large or len(value.tensor_content) >= LEAST_BYTES):
            found[operation.name] = fingerprint(as_array(tf.make_ndarray(value)))
    return found
