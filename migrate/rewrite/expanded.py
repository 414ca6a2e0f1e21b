"""What a graph's calls do to the handles that they are given, and what of them a v1 Session makes part of the graph."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.frozen import frozen
from migrate.graph.dtypes import dtype_value
from migrate.graph.function_calls import BRANCHES, LOOPS, callees, first_argument, is_lowered
from migrate.graph.graph import Graph, as_input, index
from migrate.graph.protos import FunctionDef, NodeDef
from migrate.rewrite.function_bodies import Outputs
from migrate.rewrite.new_nodes import new_node

_MAX_NODES = 10_000
_BOOL = dtype_value("bool")

Library = Mapping[str, FunctionDef]


@frozen
class Touched:
    """Positions of a function's arguments whose variables its body reads, and writes."""

    reads: frozenset[int]
    writes: frozenset[int]


def lower(graph: Graph, library: Library) -> tuple[Graph, Mapping[str, str]]:
    """Puts the functions of lowered control flow into a graph, as a v1 Session does before it runs.

    As lower_if_op.cc, lower_case_op.cc and lower_while_op.cc have it: an output then waits for what its own value
    needs, where a kernel's waits for all.

    Args:
      graph: a rewritten run.
      library: functions by name.

    Returns:
      The graph, and for each tensor of a node that is gone the tensor in its place.
    """
    nodes = dict(graph.nodes)
    moved: dict[str, str] = {}
    pending = [node for node in nodes.values() if is_lowered(node)]
    while pending and len(nodes) < len(graph.nodes) + _MAX_NODES:
        node = pending.pop()
        found = _lowered_loop(node, library) if node.op in LOOPS else _lowered(node, library)
        if found is None or any(new.name in nodes for new in (*found[0], *found[1])):
            continue
        outputs, made = found
        done = [f"{node.name}/done"] if node.op not in LOOPS else [output.name for output in outputs]
        end = NodeDef(name=node.name, op="NoOp", input=[f"^{name}" for name in done])
        nodes.update((new.name, new) for new in (*outputs, *made, end))
        moved.update((f"{node.name}:{k}", f"{output.name}:0") for k, output in enumerate(outputs))
        pending += [new for new in made if is_lowered(new)]
    if not moved:
        return graph, moved
    for name, node in nodes.items():
        if any(_full(i) in moved for i in node.input):
            new = NodeDef.FromString(node.SerializeToString())
            new.input[:] = [as_input(moved.get(_full(i), i)) if not i.startswith("^") else i for i in node.input]
            nodes[name] = new
    return index(nodes.values(), graph), moved


def _full(written: str) -> str:
    return written if ":" in written else written + ":0"


def _lowered(node: NodeDef, library: Library) -> tuple[list[NodeDef], list[NodeDef]] | None:
    """The nodes that take an If's or Case's place: a Merge for each output, and the rest."""
    functions = [library.get(name) for name in callees(node)]
    given = [i for i in node.input if not i.startswith("^")]
    controls = [i for i in node.input if i.startswith("^")]
    if not given or not functions:
        return None
    # An If's first branch is the one for true.
    branches = [1, 0] if node.op in BRANCHES and "then_branch" in BRANCHES[node.op] else list(range(len(functions)))
    pivot = NodeDef(name=f"{node.name}/pivot", op="Switch", input=[given[0], given[0], *controls])
    pivot.attr["T"].type = _BOOL
    made = [pivot]
    switches: list[NodeDef] = []
    returned: list[list[str]] = []
    dtypes: list[int] = []
    done = []
    for number, function in zip(branches, functions, strict=True):
        if function is None or len(function.signature.input_arg) != len(given) - 1:
            return None
        if not switches:
            for position, (arg, tensor) in enumerate(zip(function.signature.input_arg, given[1:], strict=True)):
                name = f"{node.name}/switch_{position}"
                switches.append(new_node("Switch", name, [tensor, given[0]], T=arg.type))
            dtypes = [arg.type for arg in function.signature.output_arg]
        prefix = f"{node.name}/{number}"
        start = NodeDef(name=f"{prefix}/start", op="Identity", input=[f"{pivot.name}:{number}"])
        body = _inlined(function, prefix, [f"{switch.name}:{number}" for switch in switches], start.name)
        if body is None or len(body.returned) != len(dtypes):
            return None
        made += [start, *body.nodes]
        returned.append(body.returned)
        done += body.done
    merges = [
        new_node("Merge", f"{node.name}/merge_{k}", [tensors[k] for tensors in returned], T=dtype)
        for k, dtype in enumerate(dtypes)
    ]
    starts = [f"{node.name}/{number}/start" for number in branches]
    made.append(NodeDef(name=f"{node.name}/done", op="Merge", input=[*starts, *done]))
    return merges, [*switches, *made]


@frozen
class _Body:
    """A function's nodes in a graph, the tensors that it returns there, and control inputs that say it has ended."""

    nodes: list[NodeDef]
    returned: list[str]
    done: list[str]


def _inlined(function: FunctionDef, prefix: str, given: list[str], start: str) -> _Body | None:
    """Puts a function into a graph; None where its inputs or outputs are not known.

    Args:
      function: the function.
      prefix: of the names of its nodes.
      given: a tensor for each argument.
      start: name of the node for which all of it waits.
    """
    arguments = function.signature.input_arg
    names = {arg.name: f"{prefix}/{arg.name}" for arg in arguments}
    names.update((inner.name, f"{prefix}/{inner.name}") for inner in function.node_def)
    outputs = Outputs(function, names)
    nodes = [
        new_node("Identity", names[arg.name], [tensor, f"^{start}"], T=arg.type)
        for arg, tensor in zip(arguments, given, strict=True)
    ]
    for inner in function.node_def:
        new = NodeDef(name=names[inner.name], op=inner.op, attr=inner.attr)
        inputs = [outputs.tensor(i) for i in inner.input]
        new.input.extend(i for i in inputs if i is not None)
        if None in inputs:
            return None
        if not new.input:
            new.input.append(f"^{start}")
        nodes.append(new)
    tensors = [outputs.tensor(function.ret.get(arg.name, "")) for arg in function.signature.output_arg]
    if None in tensors:
        return None
    done = [f"^{names[name]}" for name in function.control_ret.values() if name in names]
    return _Body(nodes, [tensor for tensor in tensors if tensor is not None], done)


def _lowered_loop(node: NodeDef, library: Library) -> tuple[list[NodeDef], list[NodeDef]] | None:
    """The nodes that take a While's place: an Exit for each output, and the rest."""
    functions = [library.get(name) for name in callees(node)]
    given = [i for i in node.input if not i.startswith("^")]
    controls = [i for i in node.input if i.startswith("^")]
    condition, body = functions if len(functions) == 2 else (None, None)
    if condition is None or body is None or not given:
        return None
    arguments = body.signature.input_arg
    if not len(given) == len(arguments) == len(condition.signature.input_arg) == len(body.signature.output_arg):
        return None
    every = range(len(given))

    def each(op: str, kind: str, *inputs: list[str], waits: list[str]) -> list[NodeDef]:
        return [
            new_node(op, f"{node.name}/{kind}_{k}", [*taken, *waits], T=arg.type)
            for k, (arg, *taken) in enumerate(zip(arguments, *inputs, strict=True))
        ]

    def given_by(kind: str, output: int = 0) -> list[str]:
        return [f"{node.name}/{kind}_{k}:{output}" for k in every]

    begin = NodeDef(name=f"{node.name}/begin", op="NoOp", input=controls)
    enters = each("Enter", "enter", given, waits=[f"^{begin.name}"] if controls else [])
    for enter in enters:
        enter.attr["frame_name"].s = node.name.encode()
    merges = each("Merge", "merge", given_by("enter"), given_by("next"), waits=[])
    asked = _inlined(condition, f"{node.name}/condition", given_by("merge"), merges[0].name)
    if asked is None or len(asked.returned) != 1:
        return None
    loop_cond = NodeDef(name=f"{node.name}/loop_cond", op="LoopCond", input=asked.returned)
    switches = each("Switch", "switch", given_by("merge"), [f"{loop_cond.name}:0" for _ in every], waits=[])
    start = new_node("Identity", f"{node.name}/start", given_by("switch", 1)[:1], T=arguments[0].type)
    inner = _inlined(body, f"{node.name}/body", given_by("switch", 1), start.name)
    if inner is None:
        return None
    nexts = each("NextIteration", "next", inner.returned, waits=inner.done)
    exits = each("Exit", "exit", given_by("switch"), waits=[])
    made = [begin, *enters, *merges, *asked.nodes, loop_cond, *switches, start, *inner.nodes, *nexts]
    return exits, made


def touched_by(
    node: NodeDef, library: Library, writes: frozenset[str], passes: frozenset[str], known: dict[str, Touched]
) -> Touched | None:
    """Which of a call's data inputs the functions read or write that it calls; None for a node that is no call.

    Args:
      node: the node.
      library: functions by name; one that calls itself is refused elsewhere, and not followed.
      writes: ops that write the variable of a handle.
      passes: ops that hand a handle on.
      known: what was found for functions of this library; it grows.
    """
    names = [node.op] if node.op in library else [name for name in callees(node) if name in library]
    if not names:
        return None
    first = first_argument(node.op)
    found = [_touched(name, library, writes, passes, known) for name in names]
    return Touched(
        frozenset(first + k for t in found for k in t.reads), frozenset(first + k for t in found for k in t.writes)
    )


def _touched(
    name: str, library: Library, writes: frozenset[str], passes: frozenset[str], known: dict[str, Touched]
) -> Touched:
    if name in known:
        return known[name]
    known[name] = Touched(frozenset(), frozenset())  # for one that calls itself
    function = library[name]
    carried = {arg.name: {k} for k, arg in enumerate(function.signature.input_arg)}
    passing: dict[str, list[str]] = {}
    for node in function.node_def:
        for taken_name in node.input if node.op in passes else ():
            passing.setdefault(taken_name.partition(":")[0], []).append(node.name)  # No name starts with "^".
    pending = list(carried)
    while pending:
        giver = pending.pop()
        for taker in passing.get(giver, ()):
            met = carried.setdefault(taker, set())
            if not carried[giver] <= met:
                met |= carried[giver]
                pending.append(taker)
    read, written = set[int](), set[int]()
    for node in function.node_def:
        if node.op in passes:
            continue
        taken = [carried.get(i.partition(":")[0], set()) for i in node.input if not i.startswith("^")]
        inner = [node.op] if node.op in library else [called for called in callees(node) if called in library]
        first = first_argument(node.op)
        if not inner:
            (written if node.op in writes else read).update(*taken)
        for called in inner:
            found = _touched(called, library, writes, passes, known)
            read.update(*(taken[first + k] for k in found.reads if first + k < len(taken)))
            written.update(*(taken[first + k] for k in found.writes if first + k < len(taken)))
    known[name] = Touched(frozenset(read), frozenset(written))
    return known[name]
