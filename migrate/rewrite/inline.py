"""Calls of functions whose bodies hold ref ops: the bodies are put in the place of the calls.

A body is rewritten as part of the run that calls it, by the same rules, and its state is what a Session makes of it
(measured on 2.15.1 and 2.21.0). The op of a function's own name (`Defun`) is inlined, so each call has variables of its
own, named after it (`call/scratch`; InlineFunctionBody, function.cc). A PartitionedCall (`tf.function`) runs its body
under the names that it has there: all calls, and a variable of that name in the graph, are one. Refused are state
without a shared_name other than variables, of which a Session has one for each set of fetches, and functions with ref
ops that call others, where it depends on TensorFlow's inliner whose state is whose.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from migrate.graph.control_flow_contexts import contexts, first_outside, topological_order
from migrate.graph.function_calls import BRANCHES, PARTITIONED
from migrate.graph.graph import Graph, index
from migrate.graph.nodes import called_functions, callers_of, names_called
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import AttrValue, FunctionDef, MetaGraphDef, NodeDef, OpDef, copied
from migrate.rewrite import ops
from migrate.rewrite.function_bodies import Outputs, filled, identity

_MAX_NODES = 10_000
"""That bodies may add to a graph: functions that call functions can grow without end."""


def inline_ref_functions(meta_graph: MetaGraphDef, ref_ops: frozenset[str]) -> MetaGraphDef:
    """Puts the bodies of functions that hold ref ops, or make variables, in the place of their calls.

    All calls that a graph makes of such functions, or none; what tf.data or a gradient calls is left.

    Args:
      meta_graph: the source; it is not changed.
      ref_ops: every op of TensorFlow's registry that has a ref argument or result.

    Returns:
      `meta_graph` itself where there is nothing to do, else a copy with other nodes and the same names: a call's
      outputs `call:0`, `call:1` and control edges from it stay valid.
    """
    library = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    bodies = {name: function.node_def for name, function in library.items()}
    stateful = (
        name for name, body in bodies.items() if any(node.op in ref_ops or node.op == "VarHandleOp" for node in body)
    )
    wanted = callers_of(stateful, bodies)
    if not wanted:
        return meta_graph
    from migrate.rewrite import branches  # Few graphs have such functions.

    taken = {node.name for node in meta_graph.graph_def.node}
    bound = len(taken) + _MAX_NODES
    nodes: list[NodeDef] = []
    moved: dict[str, str] = {}
    for node in meta_graph.graph_def.node:
        name = _callee(node, library)
        body: tuple[NodeDef, ...] = (node,)
        if name in wanted:
            body = _body(node, library, taken)
        elif node.op in BRANCHES and not wanted.isdisjoint(names_called(node)):
            found = branches.expand(node, library, taken)
            if found is not None:
                body = found.nodes
                moved.update(found.moved)
        nodes.extend(body)
        taken.update(new.name for new in body)
        if not body or len(taken) > bound:
            return meta_graph
    if moved:
        nodes = branches.redirected(nodes, moved)
    result = copied(meta_graph)
    del result.graph_def.node[:]
    result.graph_def.node.extend(nodes)
    return result


def _body(call: NodeDef, library: Mapping[str, FunctionDef], taken: Container[str]) -> tuple[NodeDef, ...]:
    """A function's nodes under new names, and the node that takes the call's name; nothing where it is refused."""
    function = library[_callee(call, library)]
    attrs = call.attr["f"].func.attr if call.op in PARTITIONED else call.attr
    arguments = list(function.signature.input_arg)
    given = [i for i in call.input if not i.startswith("^")]
    names = {arg.name: f"{call.name}/{arg.name}" for arg in arguments}
    names.update({node.name: f"{call.name}/{node.name}" for node in function.node_def})
    start = f"{call.name}/inputs"
    if (
        called_functions(function.node_def, dict.fromkeys(library, ()))
        or any(node.op in ops.HANDLES and not node.attr["shared_name"].s for node in function.node_def)
        or len(given) != len(arguments)
        or len(names) != len(arguments) + len(function.node_def)
        or any(name in taken for name in [*names.values(), start])
    ):
        return ()
    waits = [i for i in call.input if i.startswith("^")]
    dtypes = [_dtype(arg, attrs) for arg in arguments]
    if 0 in dtypes or any(arg.is_ref or arg.number_attr or arg.type_list_attr for arg in arguments):
        return ()
    # All of a body runs after all of the call's inputs: what takes one of them, what takes another, and a constant,
    # which must be in the frame and the branch of the call.
    is_one = len(arguments) == 1
    inputs = list(names.values())[:1] if is_one else [f"{call.name}/input_{k}" for k in range(len(arguments))]
    if any(name in taken or (not is_one and name in names.values()) for name in inputs):
        return ()
    result = [identity(*each, waits) for each in zip(inputs, dtypes, given, strict=True)]
    start_waits = [f"^{name}" for name in inputs] or waits
    if start_waits:
        result.append(NodeDef(name=start, op="NoOp", input=start_waits))
    if not is_one:
        for arg, dtype, tensor in zip(arguments, dtypes, inputs, strict=True):
            result.append(identity(names[arg.name], dtype, tensor, [f"^{start}"]))
    outputs = Outputs(function, names)
    for node in function.node_def:
        new = NodeDef(name=names[node.name], op=node.op, device=node.device)
        taken_by = [outputs.tensor(i) for i in node.input]
        if None in taken_by or not filled(new, node, attrs):
            return ()
        new.input.extend(i for i in taken_by if i is not None)
        if not new.input and start_waits:
            new.input.append(f"^{start}")
        if "frame_name" in new.attr:
            new.attr["frame_name"].s = f"{call.name}/".encode() + new.attr["frame_name"].s
        if node.op in ops.VARIABLES and not new.attr["shared_name"].s and call.op in PARTITIONED:
            new.attr["shared_name"].s = node.name.encode()
        result.append(new)
    end = _end(call, function, result, outputs)
    return () if end is None else (*result, end)


def _end(call: NodeDef, function: FunctionDef, body: list[NodeDef], outputs: Outputs) -> NodeDef | None:
    """The node that has the call's name: it gives what the call gives, when all is done that the body must do."""
    graph = index(body)
    _, cyclic = topological_order(graph)
    if cyclic:
        return None
    table = load_op_table()
    kept = {outputs.names.get(name, "") for name in function.control_ret.values()} - {""}
    kept.update(
        node.name
        for node in body
        if node.op in table and table[node.op].is_stateful and node.op not in ops.VARIABLES | ops.HANDLES.keys()
    )
    done = _alive_after(graph, sorted(kept))
    returned = [outputs.tensor(function.ret[arg.name]) for arg in function.signature.output_arg]
    if done is None or None in returned:
        return None
    attrs = call.attr["f"].func.attr if call.op in PARTITIONED else call.attr
    dtypes = [_dtype(arg, attrs) for arg in function.signature.output_arg]
    waits = [f"^{name}" for name in done]
    tensors = [tensor for tensor in returned if tensor is not None]
    if len(tensors) == 1:
        return identity(call.name, dtypes[0], tensors[0], waits)
    if not tensors:
        return NodeDef(name=call.name, op="NoOp", input=waits or [i for i in call.input if i.startswith("^")])
    end = NodeDef(name=call.name, op="IdentityN", input=[*tensors, *waits])
    end.attr["T"].list.type.extend(dtypes)
    return end


def _callee(node: NodeDef, library: Mapping[str, FunctionDef]) -> str:
    if node.op in library:
        return node.op
    return node.attr["f"].func.name if node.op in PARTITIONED and "f" in node.attr else ""


def _dtype(arg: OpDef.ArgDef, attrs: Mapping[str, AttrValue]) -> int:
    return int(attrs[arg.type_attr].type if arg.type_attr in attrs else arg.type)


def _alive_after(graph: Graph, names: Iterable[str]) -> list[str] | None:
    """Nodes outside branches and loops that run after all of `names`; None where one of them leads to none."""
    where = contexts(graph)
    successors = graph.successors()
    result: dict[str, None] = {}
    for name in names:
        outside = first_outside(name, where, successors)
        if not outside:
            return None
        result.update(dict.fromkeys(outside))
    return list(result)
