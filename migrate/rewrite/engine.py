"""Applies the rules to a graph, node by node, and checks what comes out."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.errors import InternalError
from migrate.frozen import frozen
from migrate.graph.graph import Graph, Run, Wire, dangling, index
from migrate.graph.nodes import reachable
from migrate.graph.op_table import load_in_place_ops, load_op_table, may_call, may_keep
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import Aliases, Share, analyse, producer
from migrate.rewrite.broken_loops import find_broken_loop
from migrate.rewrite.malformed import find_broken, find_cycle
from migrate.rewrite.new_nodes import Edit
from migrate.rewrite.refusals import why_refused
from migrate.rewrite.rule import Rule, Table
from migrate.rewrite.rules import arrays, control_flow, resource_handles, temporaries, variables
from migrate.rewrite.rules.table import TABLE
from migrate.rewrite.scope import Scope, not_a_ref, with_values


@frozen
class Rewritten:
    """A run without ref-typed edges.

    Attributes:
      run: the run as it was in the source.
      graph: its nodes now.
      fetches: full name of each fetched tensor in the source -> the tensor that gives its value now.
    """

    run: Run
    graph: Graph
    fetches: Mapping[str, str]


def rewrite(run: Run, ref_ops: frozenset[str], table: Table = TABLE) -> Rewritten | tuple[Finding, ...]:
    """Rewrites one run.

    Args:
      run: what one Session call executes.
      ref_ops: every op of TensorFlow's registry that has a ref argument or result.
      table: the rules; a test gives others.

    Returns:
      The run without refs, or all refusals.

    Raises:
      InternalError: an edit has left the graph inconsistent.
    """
    # Runs of one graph that fetch the same are rewritten alike, and often there are several.
    key = (table, run.fetches)
    if key in run.graph.answers:
        return Rewritten(run, *run.graph.answers[key])
    result = _rewritten(run, ref_ops, table)
    if isinstance(result, Rewritten) and result.run is run and result.graph is not run.graph:
        run.graph.answers[key] = result.graph, result.fetches
    return result


def _rewritten(run: Run, ref_ops: frozenset[str], table: Table) -> Rewritten | tuple[Finding, ...]:
    broken = find_broken(run, table) or find_broken_loop(run)
    if broken is not None:
        return (broken,)
    if not (run.graph.has(ref_ops) or run.graph.has(table.always)):
        cyclic = find_cycle(run)
        if cyclic is not None:
            return (cyclic,)
        return Rewritten(run, run.graph, {tensor: _fed(run, tensor) for tensor in run.fetches})
    # First, since what is left is dataflow, in which nothing shares a buffer.
    without = temporaries.as_dataflow(run)
    if isinstance(without, Finding):
        return (without,)
    run = without
    aliases = analyse(run, table)
    if isinstance(aliases, Finding):
        return (aliases,)
    refusals = [*_unknown_refs(run, ref_ops, table), *_handles_as_values(aliases)]
    if refusals:
        return tuple(refusals)
    refusals = [*(_undecided(aliases) or _kept(aliases)), *_overlapping(aliases)]
    scope = Scope(aliases)
    nodes: dict[str, NodeDef] = {}
    for name, node in run.graph.nodes.items():
        op = run.graph.wires[name].op
        result = _proposal(table.rules.get(op), node, scope)
        if isinstance(result, Finding):
            refusals.append(result)
            continue
        if result is None and name not in nodes:
            nodes[name] = node
            continue
        for new in result.nodes if result is not None else (node,):
            known = nodes.setdefault(new.name, new)
            if known is not new and known != new:
                raise InternalError(f"{run.key}: two edits make different nodes {new.name!r}")
    if refusals:
        return tuple(refusals)
    fetches = {}
    for tensor in run.fetches:
        fetches[tensor], extra = _fetch(tensor, scope)
        nodes.update((new.name, new) for new in extra)
    graph = index(nodes.values(), run.graph)
    _check(run, graph, ref_ops)
    return Rewritten(run, graph, fetches)


def _proposal(rule: Rule | None, node: NodeDef, scope: Scope) -> Edit | Finding | None:
    """What takes a node's place; a node of an op that no rule claims takes values."""
    if rule is None:
        return with_values(node, scope, node.op)
    problem = not_a_ref(node, scope) if rule.needs_refs else None
    return rule.rewrite(node, scope) if problem is None else problem


def _fed(run: Run, tensor: str) -> str:
    """The tensor that gives a fetch: a fed tensor's Placeholder where a signature gives an input back."""
    return run.feeds[tensor] + ":0" if tensor in run.feeds else tensor


def _fetch(tensor: str, scope: Scope) -> tuple[str, tuple[NodeDef, ...]]:
    aliases = scope.aliases
    if tensor in aliases.run.feeds:
        return _fed(aliases.run, tensor), ()
    share = scope.share(tensor)
    if share is None or not share.is_followed:
        return tensor, ()
    if not aliases.is_written(share):
        name, nodes = scope.shared_read(tensor)
        return name + ":0", nodes
    # A fetched alias shows the variable as it is when the call is over (measured on 2.15.1 and 2.21.0).
    waits = [f"^{name}" for name in aliases.last_writes(share)]
    name, nodes = scope.read(tensor, share, f"{producer(tensor)}/fetched_{tensor.partition(':')[2]}", waits)
    return name + ":0", nodes


def _unknown_refs(run: Run, ref_ops: frozenset[str], table: Table) -> list[Finding]:
    unknown = {op: names for op, names in run.graph.by_op.items() if op in ref_ops and op not in table.rules}
    return [
        refusal(
            "ref-op-unsupported",
            f"{run.key}: {op} cannot be rewritten: {why_refused(op)}",
            tuple(names),
            "docs/ref-ops.md says what becomes of each ref op",
        )
        for op, names in sorted(unknown.items())
    ]


def _handles_as_values(aliases: Aliases) -> list[Finding]:
    """A string handle that is read as a string tensor: a resource has no such form."""
    found = []
    for tensor, share in aliases.shares.items():
        if share.dtype:
            continue
        users = [
            name
            for name, position in aliases.run.graph.consumers.get(tensor, ())
            if not (share.certain and _takes_handle(aliases, name, position))
        ]
        if tensor in aliases.run.fetches:
            users.append(tensor)
        if users:
            found.append(
                refusal(
                    "handle-as-value",
                    f"{aliases.run.key}: the handle {tensor!r} is used as a string, which no TF2 resource gives",
                    tuple(dict.fromkeys(users)),
                )
            )
    return found


def _takes_handle(aliases: Aliases, name: str, position: int) -> bool:
    """Whether a node takes a handle at a position in the new graph, or passes it on."""
    wire = aliases.run.graph.wires[name]
    if wire.op in control_flow.PLAIN.ops or wire.op in variables.IDENTITY.ops:
        passed = aliases.shares.get(f"{name}:0")
        return passed is not None and passed.certain and (position == 0 or wire.op == "Merge")
    known = aliases.facts.ops.get(wire.op)
    return known is not None and position in known.taken(len(wire.data))


def _undecided(aliases: Aliases) -> list[Finding]:
    """Tensors that may or may not share a buffer, where a write between makes the difference.

    Also tensors that share a buffer which an Assign of another shape takes away from them.
    """
    found = []
    looked_at: frozenset[str] = frozenset()
    graph = aliases.run.graph
    moved = {
        root
        for root, writers in aliases.writers.items()
        if any(variables.changes_shape(graph.nodes[writer]) for writer in writers)
    }
    for tensor, share in aliases.shares.items():
        if share.is_ref or not aliases.is_written(share):
            continue
        source = producer(tensor)
        if share.is_followed and share.roots.isdisjoint(moved):
            continue
        if graph.wires[source].op in load_in_place_ops():
            continue  # Its output is its first input's buffer, and where that may be a variable's it is refused.
        # A node may take one tensor very many times.
        readers: list[str | None] = [*dict.fromkeys(name for name, _ in graph.consumers.get(tensor, ()))]
        if tensor in aliases.run.fetches or may_keep(graph.nodes[source].op):
            readers.append(None)
        for reader in readers:
            write = aliases.write_between(share, source, reader)
            if write is None:
                continue
            looked_at = looked_at or _looked_at(aliases.run)
            if reader is not None and reader not in looked_at:
                continue
            found.append(_between(aliases, share, source, write, reader))
            break
    return found


def _kept(aliases: Aliases) -> list[Finding]:
    """Tensors that something keeps which has their buffer from then on, where a later write of the call changes it.

    A queue, a stack, an array or a resource variable is given the buffer, not a copy of it: what is taken out of it
    afterwards is what the ref variable holds by then.
    """
    found = []
    graph = aliases.run.graph
    for tensor, share in aliases.shares.items():
        if not share.dtype or not aliases.is_written(share):
            continue
        for taker in dict.fromkeys(name for name, _ in graph.consumers.get(tensor, ())):
            write = aliases.write_after(share, taker) if _keeps(graph.wires[taker].op) else None
            if write is not None:
                names = " and ".join(sorted(repr(root) for root in share.roots))
                message = f"{taker!r} keeps the buffer of {names}, and {write!r} writes it afterwards"
                hint = "give it a copy: variable + 0"
                places = (producer(tensor), taker, write)
                found.append(refusal("aliased-buffer-undecided", f"{aliases.run.key}: {message}", places, hint))
    return found


def _keeps(op: str) -> bool:
    """Whether an op keeps the tensors that it is given: writes of refs copy them, and functions are looked into."""
    return may_keep(op) and not may_call(op) and (op not in TABLE.rules or op in _BY_HANDLE)


_BY_HANDLE = frozenset({*resource_handles.USER.ops, *arrays.USER.ops})


def _looked_at(run: Run) -> frozenset[str]:
    """The nodes whose values matter: the others only say by a control edge that they have run."""
    wires = run.graph.wires
    table = load_op_table()
    starts = [producer(tensor) for tensor in run.fetches]
    starts += [
        name
        for name, wire in wires.items()
        if wire.op in control_flow.PLAIN.ops
        or wire.op not in table
        or table[wire.op].is_stateful
        or table[wire.op].has_ref
    ]
    return frozenset(reachable(starts, lambda name: wires[name].sources if name in wires else None))


def _overlapping(aliases: Aliases) -> list[Finding]:
    """Writes that take their operand from the very buffer that they are writing, not element by element."""
    graph, facts = aliases.run.graph, aliases.facts
    in_place = load_in_place_ops()
    overwriting = in_place | {op for op in facts.writers if not facts.ops[op].elementwise}
    found = []
    for name in graph.named(overwriting):
        node = graph.wires[name]
        tensor = _written_in_place(aliases, node) if node.op in in_place else _read_while_written(aliases, node)
        if tensor is None:
            continue
        if node.op in in_place:
            what = f"writes {tensor!r}, which may be a variable's buffer, in place"
            names: tuple[str, ...] = (name,)
        else:
            what = (
                f"reads {tensor!r}, which may be the buffer that it is writing; what it reads there depends on how its "
                "kernel goes about it"
            )
            names = (name, producer(tensor))
        message = f"{aliases.run.key}: {node.op} {name!r} {what}"
        found.append(refusal("aliased-buffer-undecided", message, names, "give it a copy: variable + 0"))
    return found


def _written_in_place(aliases: Aliases, node: Wire) -> str | None:
    """The input whose buffer an op writes that takes no ref, where that may be a variable's."""
    return node.data[0] if node.data and node.data[0] in aliases.shares else None


def _read_while_written(aliases: Aliases, node: Wire) -> str | None:
    """An operand of a write that may be the written buffer."""
    written = aliases.facts.ops[node.op].taken(len(node.data))
    shares = [aliases.shares.get(tensor) for tensor in node.data]
    roots = frozenset[str]().union(*(share.roots for p in written if (share := shares[p]) is not None))
    for position, (tensor, share) in enumerate(zip(node.data, shares, strict=True)):
        if position not in written and share is not None and not share.roots.isdisjoint(roots):
            return tensor
    return None


def _between(aliases: Aliases, share: Share, source: str, write: str, reader: str | None) -> Finding:
    names = " and ".join(sorted(repr(root) for root in share.roots))
    end = f"{reader!r} uses it" if reader else "the call ends"
    why = (
        "an Assign that may change the shape takes the buffer away"
        if share.is_followed
        else "whether it shares the variable's buffer is known only while the graph runs"
    )
    return refusal(
        "aliased-buffer-undecided",
        f"{aliases.run.key}: {source!r} takes over the buffer of {names}, {write!r} writes it before {end}; {why}",
        tuple(name for name in (source, write, reader) if name),
        "order the write after the use, or before the read, with a control dependency",
    )


def _check(run: Run, graph: Graph, ref_ops: frozenset[str]) -> None:
    """The invariant after the rewrite: every input resolves and no op with a ref argument is left."""
    lost = dangling(graph)
    if lost:
        node = graph.nodes[lost[0]]
        raise InternalError(f"{run.key}: {node.op} {node.name!r} has an input that nothing gives: {list(node.input)}")
    left = list(graph.named(ref_ops))
    if left:
        raise InternalError(f"{run.key}: ref ops are left: {left[:5]}")
