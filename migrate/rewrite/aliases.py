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
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.records import Finding, refusal
from migrate.rewrite import ops
from migrate.rewrite.contexts import (
    ENTERS,
    NEXT_ITERATIONS,
    Context,
    contexts,
    first_outside,
    topological_order,
)
from migrate.rewrite.graph import Graph, Run, data_inputs, reach, split
from migrate.sources.protos import DataType, NodeDef


@frozen
class Share:
    """What a tensor shares with the variables (or other handles) of its graph.

    Attributes:
      roots: identities of the variables whose buffer it may be.
      dtype: DataType of those variables; 0 (DT_INVALID) for handles of other resources, which have no value.
      is_ref: the edge is ref-typed, so in the new graph it carries a handle.
      steps: names of the reshaping nodes that stand between the variable's tensor and this one, in order.
      certain: whether it always shares; False when shapes, values or a Merge decide while the graph runs.
      mixed: whether a Merge alone decides; then the rewrite carries handle and value, see `mixed`.
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


@frozen
class Aliases:
    """The answer of `analyse` for one run.

    Attributes:
      run: the run that was analysed.
      shares: full tensor name -> what it shares; a tensor that shares nothing is absent.
      identities: name of a variable or handle node -> its identity.
      written: identities of the variables that the run writes, or that share a tensor with one that it writes.
      writers: for each identity the names of the nodes that write it.
    """

    run: Run
    shares: Mapping[str, Share]
    identities: Mapping[str, str]
    written: frozenset[str]
    writers: Mapping[str, tuple[str, ...]]

    @property
    def order(self) -> Sequence[str]:
        """The nodes in topological order."""
        return topological_order(self.run.graph)[0]

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
    def _write_names(self) -> list[str]:
        return sorted({name for writers in self.writers.values() for name in writers})

    @functools.cached_property
    def _write_bits(self) -> dict[str, int]:
        return {name: 1 << position for position, name in enumerate(self._write_names)}

    @functools.cached_property
    def _root_bits(self) -> dict[str, int]:
        bits = self._write_bits
        return {root: sum(bits[name] for name in set(writers)) for root, writers in self.writers.items()}

    @functools.cached_property
    def _writes_before(self) -> dict[str, int]:
        """For each node the set of writes that lead to it, as bits."""
        graph = self.run.graph
        return reach(graph.predecessors(), self.order, self._write_bits, graph.has(NEXT_ITERATIONS))

    @functools.cached_property
    def _writes_after(self) -> dict[str, int]:
        """For each node the set of writes to which it leads, as bits."""
        graph = self.run.graph
        return reach(graph.successors(), self.order[::-1], self._write_bits, graph.has(NEXT_ITERATIONS))

    def write_between(self, share: Share, first: str, second: str | None) -> str | None:
        """A write of the shared variables that happens after node `first` and before node `second`.

        Args:
          share: says which variables.
          first: name of the node that takes the buffer over.
          second: name of the consumer, or None for the end of the run.

        Returns:
          The name of such a write, or None where the graph puts none between the two.
        """
        # After the one; or in no order with it, which does not matter to a buffer but to a value that is taken there.
        bits = self._writes_after[first] | ~self._writes_before[first]
        if second is not None:
            bits &= self._writes_before[second] | self._write_bits.get(second, 0)
        if second in self._write_bits:
            bits &= ~self._write_bits[second]
        for root in share.roots:
            found = bits & self._root_bits.get(root, 0)
            if found:
                return self._write_names[(found & -found).bit_length() - 1]
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
    attr = node.attr
    # Reading a missing key of a proto map would add it to the source's node.
    container = attr["container"].s.decode("utf-8", "replace") if "container" in attr else ""
    shared = attr["shared_name"].s.decode("utf-8", "replace") if "shared_name" in attr else ""
    name = shared if shared or node.op == "VarHandleOp" else node.name
    return f"{container}\n{name}" if container else name


def analyse(run: Run) -> Aliases | Finding:
    """Finds out what every tensor of a run shares with its variables.

    Returns:
      The answer, or a refusal when the graph has a cycle that is no while loop.
    """
    _, cyclic = topological_order(run.graph)
    if cyclic:
        return refusal(
            "cyclic-graph",
            f"{run.key}: {len(cyclic)} nodes stand on a cycle that is no while loop, so the graph cannot run",
            tuple(sorted(cyclic)[:8]),
        )
    return Aliases(run, *_analysed(run))


_SOURCES = ops.VARIABLES | ops.HANDLES.keys() | ops.OTHER_HANDLES
"""Ops from which a share comes; every other op only hands on what its inputs share."""


def _analysed(
    run: Run,
) -> tuple[Mapping[str, Share], Mapping[str, str], frozenset[str], Mapping[str, tuple[str, ...]]]:
    """The shares, identities, written identities and writers of a run."""
    graph = run.graph
    identities = {name: identity(graph.nodes[name]) for name in graph.named(_SOURCES)}
    if not identities:
        return {}, {}, frozenset(), {}
    order, _ = topological_order(graph)
    where = contexts(graph)
    wires = graph.wires
    asked_for = _asked_for(run)
    shares: dict[str, Share | None] = {}
    visited: set[str] = set()
    # What a loop's back edge brings, and what its Merge makes of it, is known after the first walk only.
    has_loops = graph.has(ENTERS | NEXT_ITERATIONS)
    changed = True
    while changed:
        changed = False
        for name in order:
            visited.add(name)
            wire = wires[name]
            if wire.op in _SOURCES:
                node = graph.nodes[name]
                dtype = node.attr["dtype"].type if wire.op in ops.VARIABLES else 0
                found: list[tuple[int, Share | None]] = [(0, Share(frozenset({identities[name]}), dtype, True))]
            elif shares.keys().isdisjoint(wire.data):
                continue
            else:
                found = _outputs(graph, name, shares, visited, where[name], asked_for)
            for output, share in found:
                tensor = f"{name}:{output}"
                if tensor not in shares or (shares[tensor] is not share and shares[tensor] != share):
                    shares[tensor] = share
                    changed = has_loops
    known = {tensor: share for tensor, share in shares.items() if share is not None}
    writers: dict[str, dict[str, None]] = {}
    if graph.has(_WRITES):
        for name in order:
            wire = wires[name]
            if wire.op not in _WRITES:
                continue
            refs = wire.data if wire.op == "SdcaShrinkL1" else wire.data[: ops.WRITES[wire.op].refs]
            for tensor in refs:
                for root in sorted(known[tensor].roots) if tensor in known else ():
                    writers.setdefault(root, {})[name] = None
    written = _closure(known.values(), writers)
    return known, identities, written, {root: tuple(names) for root, names in writers.items()}


_WRITES = frozenset({*ops.WRITES, "SdcaShrinkL1"})


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


def _outputs(
    graph: Graph,
    name: str,
    shares: Mapping[str, Share | None],
    visited: Collection[str],
    context: Context,
    asked_for: Mapping[str, Sequence[int]],
) -> list[tuple[int, Share | None]]:
    """What each output of a node that is no source of shares shares, given its inputs."""
    wire = graph.wires[name]
    op = wire.op
    if op in ("Const", "Placeholder"):
        return []
    inputs = [shares.get(tensor) for tensor in wire.data]
    if op in ops.WRITES:
        return [(0, inputs[0])] if ops.WRITES[op].gives_ref else []
    if op in ("Merge", "RefMerge", "RefSelect"):
        first_taken = 1 if op == "RefSelect" else 0
        # What comes over a back edge is not known before the first walk is over.
        taken = [position for position in range(first_taken, len(inputs)) if wire.sources[position] in visited]
        joined = _join([inputs[position] for position in taken], op != "Merge")
        if joined is not None and joined.mixed and len(context.frames) > 1:
            starts = [inputs[p] for p in taken if graph.wires[wire.sources[p]].op in ENTERS]
            if None in starts:
                # The handle beside a value with which a loop starts comes from outside all frames.
                joined = dataclasses.replace(joined, mixed=False)
        return [(0, joined)]
    first = inputs[0] if inputs else None
    if op in ops.REF_CONTROL_FLOW:
        return [(0, first), (1, first)] if op == "RefSwitch" else [(0, first)]
    if first is not None and op in ("Enter", "NextIteration") and not first.is_ref:
        # A loop variable that is a variable's buffer in some iterations only: a value from here on.
        for consumer, _ in graph.consumers.get(f"{name}:0", ()):
            merged = shares.get(f"{consumer}:0")
            if graph.wires[consumer].op == "Merge" and merged is not None and not merged.is_followed:
                first = dataclasses.replace(first, certain=False, mixed=False)
        if op == "Enter" and first.mixed:
            # Of the two that a mixed tensor is carried as, one may never come, and a frame waits for all it is given.
            first = dataclasses.replace(first, mixed=False)
    if first is not None and op in _PASSES:
        value = first if not first.is_ref else dataclasses.replace(first, is_ref=False)
        return [(0, value), (1, value)] if op == "Switch" else [(0, value)]
    if first is not None and op in ops.RESHAPES:
        return [(0, dataclasses.replace(first, is_ref=False, steps=(*first.steps, name)))]
    met = [share for share in inputs if share is not None and share.dtype]
    if met and ops.may_share(op) and not (op in _COPIES_WHEN and _COPIES_WHEN[op](graph.nodes[name])):
        joined = _join([*met, None], False)
        assert joined is not None  # Something was met.
        maybe = dataclasses.replace(joined, mixed=False)
        return [(output, maybe) for output in sorted(set(asked_for.get(name, ())))]
    return []


_PASSES = ops.CONTROL_FLOW | ops.IDENTITIES | ops.EFFECTS


def _asked_for(run: Run) -> Mapping[str, Sequence[int]]:
    """The outputs of each node that other nodes take or the call fetches."""
    found: dict[str, list[int]] = {}
    for tensor in (*run.graph.consumers, *run.fetches):
        name, output = split(tensor)
        found.setdefault(name, []).append(output)
    return found


def _changes_dtype(cast: NodeDef) -> bool:
    return bool(cast.attr["SrcT"].type != cast.attr["DstT"].type)


def _makes_strings(node: NodeDef) -> bool:
    return bool(node.attr["T"].type != DataType.DT_STRING)


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
