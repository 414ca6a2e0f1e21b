"""Which tensors share a ref variable's buffer, and where a read of the variable must therefore stand.

In TF1 a consumer that does not ask for a ref gets a shallow copy of the variable's tensor: the same buffer
(executor.cc, PrepareInputs). Writes through a ref happen in place. So a tensor that has passed through ops which
hand their input's buffer on still shows what the variable holds when a consumer at last computes with it, and a
fetched tensor shows what the variable holds when the run is over. A resource variable's reads are values. The
rewrite gives TF1's answer by carrying the variable's handle along the way that the buffer took and reading it at
the consumer. Where a run writes no variable that a tensor may share, a read at the source is the same, and is
what the rewrite makes.

This module owns that knowledge: `analyse` says for each tensor what it shares, `Aliases` answers the questions
that the rules ask.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.control_flow_contexts import (
    ENTERS,
    NEXT_ITERATIONS,
    context_of,
    contexts,
    first_outside,
    topological_order,
)
from migrate.graph.graph import Graph, Run, attribute, data_inputs, split
from migrate.graph.op_table import may_share
from migrate.graph.protos import DataType, NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.marks import Marks
from migrate.rewrite.op_facts import Gives, Op, OpFacts


@frozen
class Share:
    """What a tensor shares with the variables (or other handles) of its graph.

    Attributes:
      roots: identities of the variables whose buffer it may be.
      dtype: DataType of those variables; 0 (DT_INVALID) for handles of other resources, which have no value.
      is_ref: the edge is ref-typed, so in the new graph it carries a handle.
      steps: names of the reshaping nodes between the variable's tensor and this one, in order.
      certain: whether it always shares; False when shapes, values or a Merge decide while the graph runs.
      mixed: whether a Merge alone decides; then the rewrite carries handle and value, see `rules.maybe_aliased`.
    """

    roots: frozenset[str]
    dtype: int
    is_ref: bool
    steps: tuple[str, ...] = ()
    certain: bool = True
    mixed: bool = False

    @property
    def is_followed(self) -> bool:
        """Whether the rewrite gives its consumers what the variable holds when they compute."""
        return self.certain or self.mixed

    @property
    def as_value(self) -> Share:
        """The same buffer on an edge that is not ref-typed."""
        return dataclasses.replace(self, is_ref=False) if self.is_ref else self


@frozen
class Aliases:
    """The answer of `analyse` for one run.

    Attributes:
      run: the run that was analysed.
      facts: what is known of the ops that the rules claim.
      shares: full tensor name -> what it shares; a tensor that shares nothing is absent.
      identities: name of a variable or handle node -> its identity.
      written: identities of the variables that the run writes, or that share a tensor with one that it writes.
      writers: for each identity the names of the nodes that write it.
    """

    run: Run
    facts: OpFacts
    shares: Mapping[str, Share]
    identities: Mapping[str, str]
    written: frozenset[str]
    writers: Mapping[str, tuple[str, ...]]

    @functools.cached_property
    def followed(self) -> frozenset[str]:
        """The tensors whose consumers take something else in the new graph: a handle, or a read of one."""
        return frozenset(t for t, s in self.shares.items() if s.is_followed and (s.is_ref or self.is_written(s)))

    def follows(self, tensor: str) -> Share | None:
        """What the rewrite must keep of a tensor's sharing: refs and handles always, values when something writes."""
        share = self.shares.get(tensor)
        return share if share is not None and (share.is_ref or self.is_written(share)) else None

    def is_written(self, share: Share) -> bool:
        """Whether the run writes a variable that `share` may show; what is no variable is treated as if."""
        return not share.dtype or not share.roots.isdisjoint(self.written)

    @functools.cached_property
    def _writes(self) -> Marks:
        return Marks(self.run.graph, sorted({name for writers in self.writers.values() for name in writers}))

    @functools.cached_property
    def _writes_of(self) -> Mapping[str, int]:
        return {root: self._writes.of(*writers) for root, writers in self.writers.items()}

    def write_between(self, share: Share, first: str, second: str | None) -> str | None:
        """A write of the shared variables that happens after node `first` and before node `second`.

        Args:
          share: says which variables.
          first: name of the node that takes the buffer over.
          second: name of the consumer, or None for the end of the run.

        Returns:
          The name of such a write, or None where the graph puts none between the two.
        """
        writes = self._writes
        # After the one; or in no order with it, which does not matter to a buffer but to a value that is taken there.
        between = writes.after[first] | ~writes.before[first]
        if second is not None:
            between &= writes.before[second] & ~writes.of(second)
        for root in sorted(share.roots):
            for write in writes.named(between & self._writes_of.get(root, 0)):
                return write
        return None

    def write_after(self, share: Share, name: str) -> str | None:
        """A write of the shared variables that begins when a node has ended, or None."""
        for root in sorted(share.roots):
            for write in self._writes.named(self._writes.after[name] & self._writes_of.get(root, 0)):
                return write
        return None

    def last_writes(self, share: Share) -> tuple[str, ...]:
        """Nodes after which no write of the shared variables is still to come in this run."""
        successors = self.run.graph.successors()
        result: dict[str, None] = {}
        for root in sorted(share.roots):
            for writer in self.writers.get(root, ()):
                result.update(dict.fromkeys(first_outside(writer, contexts(self.run.graph), successors)))
        return tuple(result)


def identity(node: NodeDef) -> str:
    """What makes two variable or handle nodes one and the same: container and shared_name, else the node's name.

    Source: ContainerInfo::Init (resource_mgr.cc) with use_node_name_as_default, as VariableOp (variable_ops.cc)
    and the queue and table kernels call it. VarHandleOp takes its shared_name literally (resource_variable_ops.cc).
    """
    container = attribute(node, "container").s.decode("utf-8", "replace")
    shared = attribute(node, "shared_name").s.decode("utf-8", "replace")
    name = shared if shared or node.op == "VarHandleOp" else node.name
    return f"{container}\n{name}" if container else name


def analyse(run: Run, facts: OpFacts) -> Aliases | Finding:
    """Finds out what every tensor of a run shares with its variables.

    Args:
      run: in the source.
      facts: what is known of the ops that the rules claim.

    Returns:
      The answer, or a refusal when the graph has a cycle that is no while loop.
    """
    _, cyclic = topological_order(run.graph)
    if cyclic:
        return refusal(
            "cyclic-graph",
            f"{run.key}: {len(cyclic)} nodes are on a cycle that is not a while loop, so the graph cannot run",
            tuple(sorted(cyclic)[:8]),
        )
    walk = _Walk(run, facts, {})
    shares = walk.shares()
    writers = _writers(run.graph, facts, shares)
    if writers and any(share.mixed for share in shares.values()):
        # Which nodes write follows from refs alone, so it stays.
        walk = _Walk(run, facts, writers)
        shares = walk.shares()
    return Aliases(run, facts, shares, walk.identities, _closure(shares.values(), writers), writers)


def _writers(graph: Graph, facts: OpFacts, shares: Mapping[str, Share]) -> Mapping[str, tuple[str, ...]]:
    """For each identity the names of the nodes that write it, in topological order."""
    if not shares or not graph.has(facts.writers):
        return {}
    found: dict[str, dict[str, None]] = {}
    for name in topological_order(graph)[0]:
        wire = graph.wires[name]
        if wire.op not in facts.writers:
            continue
        for position in facts.ops[wire.op].taken(len(wire.data)):
            share = shares.get(wire.data[position])
            for root in sorted(share.roots) if share is not None else ():
                found.setdefault(root, {})[name] = None
    return {root: tuple(names) for root, names in found.items()}


def _closure(shares: Iterable[Share], writers: Iterable[str]) -> frozenset[str]:
    """Extends the written variables by all that meet one of them in a tensor: handles must flow on both sides."""
    groups = {share.roots for share in shares if len(share.roots) > 1}
    written = set(writers)
    changed = True
    while changed:
        changed = False
        for group in groups:
            if not group.isdisjoint(written) and not group <= written:
                written |= group
                changed = True
    return frozenset(written)


class _Walk:
    """The walk over a run that finds what each tensor shares.

    Args:
      run: the run.
      facts: what is known of the ops that the rules claim.
      writers: for each identity the names of the nodes that write it, where they are known.
    """

    def __init__(self, run: Run, facts: OpFacts, writers: Mapping[str, Sequence[str]]) -> None:
        self._graph = run.graph
        self._facts = facts
        self._writers = writers
        self._fetches = run.fetches
        self._shares: dict[str, Share | None] = {}
        self._visited: set[str] = set()
        self.identities = {name: identity(run.graph.nodes[name]) for name in run.graph.named(facts.sources)}

    def shares(self) -> Mapping[str, Share]:
        """Walks until nothing changes: what a loop's back edge brings is known after the first walk only."""
        if not self.identities:
            return {}
        has_loops = self._graph.has(ENTERS | NEXT_ITERATIONS)
        changed = True
        while changed:
            changed = False
            for name in topological_order(self._graph)[0]:
                self._visited.add(name)
                for output, share in self._outputs(name):
                    tensor = f"{name}:{output}"
                    known = self._shares.get(tensor)
                    if tensor not in self._shares or (known is not share and known != share):
                        self._shares[tensor] = share
                        changed = has_loops
        return {tensor: share for tensor, share in self._shares.items() if share is not None}

    def _outputs(self, name: str) -> Iterable[tuple[int, Share | None]]:
        """What each output of a node shares, given its inputs; nothing of an output that shares nothing."""
        wire = self._graph.wires[name]
        if wire.op in self._facts.sources:
            return [(0, self._source(name))]
        if self._shares.keys().isdisjoint(wire.data):
            return ()
        op = self._facts.ops.get(wire.op, _UNRULED)
        inputs = [self._shares.get(tensor) for tensor in wire.data]
        first = inputs[0]
        if op.gives is Gives.REF:
            share = first
        elif op.gives is Gives.EITHER:
            share = self._either(name, op, inputs)
        elif op.gives is Gives.BUFFER and first is not None:
            share = self._buffer(name, first)
        elif op.gives is Gives.RESHAPED and first is not None:
            share = dataclasses.replace(first, is_ref=False, steps=(*first.steps, name))
        else:
            return [(output, share) for share in self._maybe(name, inputs) for output in self._asked_for.get(name, ())]
        return [(output, share) for output in range(op.outputs)]

    def _source(self, name: str) -> Share:
        """The ref or handle that a node gives and takes from no input."""
        node = self._graph.nodes[name]
        is_variable = self._facts.ops[node.op].gives is Gives.VARIABLE
        return Share(frozenset({self.identities[name]}), attribute(node, "dtype").type if is_variable else 0, True)

    def _either(self, name: str, op: Op, inputs: Sequence[Share | None]) -> Share | None:
        """What a Merge, or a RefSelect, gives."""
        wire = self._graph.wires[name]
        positions = op.taken(len(inputs)) or range(len(inputs))
        # What comes over a back edge is not known before the first walk is over.
        taken = [position for position in positions if wire.sources[position] in self._visited]
        if self._writers and not op.refs and all(self._stays(wire.data[p], inputs[p]) for p in taken):
            return None
        joined = _join([inputs[position] for position in taken], bool(op.refs))
        if joined is not None and joined.mixed and len(contexts(self._graph)[name].frames) > 1:
            starts = [inputs[p] for p in taken if self._graph.wires[wire.sources[p]].op in ENTERS]
            if None in starts:
                # The handle beside a value with which a loop starts comes from outside all frames.
                return dataclasses.replace(joined, mixed=False)
        return joined

    def _stays(self, tensor: str, share: Share | None) -> bool:
        """Whether no write that a tensor could show runs in a call in which the tensor is there.

        In a loop a write may run in an iteration after the one in which the tensor is there.
        """
        if share is None:
            return True
        if share.is_ref or not share.dtype:
            return False
        here = context_of(self._graph, tensor)
        if here.frames:
            return False
        others = {(depth, predicate, 1 - branch) for depth, predicate, branch in here.conditions}
        where = contexts(self._graph)
        writes = (where.get(writer) for root in share.roots for writer in self._writers.get(root, ()))
        return all(at is not None and not at.frames and not others.isdisjoint(at.conditions) for at in writes)

    def _buffer(self, name: str, first: Share) -> Share:
        """What an op gives that hands its first input's buffer on."""
        op = self._graph.wires[name].op
        if first.is_ref or op not in ("Enter", "NextIteration"):
            return first.as_value
        # A loop variable that is a variable's buffer in some iterations only: a value from here on.
        for consumer, _ in self._graph.consumers.get(f"{name}:0", ()):
            merged = self._shares.get(f"{consumer}:0")
            if self._graph.wires[consumer].op == "Merge" and merged is not None and not merged.is_followed:
                first = dataclasses.replace(first, certain=False, mixed=False)
        # Of the two that a mixed tensor is carried as, one may never come, and a frame waits for all it is given.
        return dataclasses.replace(first, mixed=False) if op == "Enter" and first.mixed else first

    def _maybe(self, name: str, inputs: Iterable[Share | None]) -> Iterable[Share]:
        """What any other op may give: nothing where it is known to copy, else any of its inputs' buffers."""
        op = self._graph.wires[name].op
        met = [share for share in inputs if share is not None and share.dtype]
        if met and may_share(op) and not (op in _COPIES_WHEN and _COPIES_WHEN[op](self._graph.nodes[name])):
            joined = _join([*met, None], False)
            if joined is not None:
                yield dataclasses.replace(joined, mixed=False)

    @functools.cached_property
    def _asked_for(self) -> Mapping[str, Sequence[int]]:
        """The outputs of each node that other nodes take or the call fetches."""
        found: dict[str, set[int]] = {}
        for tensor in (*self._graph.consumers, *self._fetches):
            name, output = split(tensor)
            found.setdefault(name, set()).add(output)
        return {name: sorted(outputs) for name, outputs in found.items()}


_UNRULED = Op()


def _changes_dtype(cast: NodeDef) -> bool:
    return bool(attribute(cast, "SrcT").type != attribute(cast, "DstT").type)


def _makes_strings(node: NodeDef) -> bool:
    return bool(attribute(node, "T").type != DataType.DT_STRING)


def _contracts(node: NodeDef) -> bool:
    return len(data_inputs(node)) > 1


_COPIES_WHEN: Mapping[str, Callable[[NodeDef], bool]] = {
    "AsString": _makes_strings,
    "Cast": _changes_dtype,
    "Einsum": _contracts,
}
"""Ops that give an input on in some cases only, and copy in those that a node tells (kernels: see the table of ops)."""


def _join(met: list[Share | None], is_ref: bool) -> Share | None:
    found = [share for share in met if share is not None]
    if not found:
        return None
    alike = len({share.steps for share in found}) == 1
    same = alike and len(found) == len(met)
    all_certain = all(share.certain for share in found)
    return Share(
        frozenset().union(*(share.roots for share in found)),
        found[0].dtype,
        is_ref,
        found[0].steps if alike else (),
        same and all_certain,
        alike and not is_ref and all(share.is_followed for share in found) and not (same and all_certain),
    )


def producer(tensor: str) -> str:
    """Name of the node that gives a tensor."""
    return tensor.partition(":")[0]
