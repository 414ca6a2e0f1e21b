"""The variables of a plan's runs, and where each gets its value."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from migrate.errors import count_words, first_few
from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.graph import Nodes, data_inputs
from migrate.graph.nodes import giver
from migrate.graph.protos import FunctionDef, TensorProto, TensorShapeProto
from migrate.plan.records import SourceGraph, VariablePlan
from migrate.plan.restore import FromConstant, Restore, Uninitialized, Unset, Value
from migrate.records import Finding, Severity, refusal
from migrate.rewrite import ops
from migrate.rewrite.aliases import identity
from migrate.rewrite.engine import Rewritten
from migrate.rewrite.ordering import assigned, assigned_first, surely_fails
from migrate.rewrite.rules.variables import changes_shape


@frozen
class _Filling:
    """What fills variables before the init op runs.

    Attributes:
      values: of variables that were constants, by identity.
      restore: what the restore op does, or None.
      dynamic: names of variables that may get another shape.
    """

    values: Mapping[str, TensorProto]
    restore: Restore | None
    dynamic: frozenset[str]

    def value_of(self, root: str) -> Value:
        """The value of a variable, by its identity."""
        if root in self.values:
            return FromConstant(self.values[root])
        return self.restore.values.get(root, Unset()) if self.restore else Unset()


@frozen
class _Empty:
    """Identities of the variables that neither the restore op nor the init op fills.

    Attributes:
      filled: those that calls fill.
      later: those of `filled` that some call looks at before it fills them.
      lost: those that nothing fills.
    """

    filled: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def plan_variables(
    source: SourceGraph,
    called: Sequence[Rewritten],
    init: Rewritten | None,
    restore: Restore | None,
    constants: Mapping[str, TensorProto],
) -> tuple[tuple[VariablePlan, ...], tuple[Finding, ...]]:
    """Plans the variables of some runs.

    Args:
      source: its collections list which variables are trainable.
      called: the runs that clients call.
      init: the init op's.
      restore: what the restore op fills them with.
      constants: values of variables that were constants, by identity.

    Returns:
      The variables in graph order, and what a user should know of them, refusals included.
    """
    runs = [*called, *([init] if init is not None else [])]
    found, twins = _variables(source, runs, _Filling(constants, restore, _dynamic(source.nodes)))
    if twins:
        return tuple(found.values()), (_two_kinds(twins),)
    empty = _empty([v.identity for v in found.values() if isinstance(v.value, Unset)], runs, init)
    for root in empty.filled:
        found[root] = dataclasses.replace(found[root], value=Uninitialized(root in empty.later))
    findings = (
        *_first_calls(called, empty, source.functions),
        *_uninitialized([found[root].name for root in empty.filled]),
        *_without_value([found[root].name for root in empty.lost]),
        *(restore.findings if restore else ()),
    )
    return tuple(found.values()), findings


def _variables(
    source: SourceGraph, runs: Sequence[Rewritten], filling: _Filling
) -> tuple[dict[str, VariablePlan], list[str]]:
    """The variables by identity, and names of those that are ref variables and resource variables at once."""
    trainable = contract.trainable(source.meta_graph)
    found: dict[str, VariablePlan] = {}
    twins: list[str] = []
    for run in runs:
        for name in run.graph.by_op.get("VarHandleOp", ()):
            node = run.graph.nodes[name]
            root = identity(node)
            known = found.get(root)
            shape = node.attr["shape"].shape
            is_resource = source.nodes[name].op == "VarHandleOp"
            if known is None:
                if root in filling.dynamic or name in filling.dynamic:
                    shape = TensorShapeProto(unknown_rank=True)
                dtype = node.attr["dtype"].type
                value = filling.value_of(root)
                found[root] = VariablePlan(name, root, dtype, shape, name in trainable, is_resource, value)
            elif known.is_resource != is_resource:
                twins.append(name)
            elif shape.unknown_rank and not known.shape.unknown_rank:
                found[root] = dataclasses.replace(known, shape=shape)
    return found, twins


def _dynamic(nodes: Nodes) -> frozenset[str]:
    """Names of variables that an Assign may give another shape anywhere in the graph."""
    return frozenset(
        nodes.wire(name).sources[0]
        for name in nodes.by_op.get("Assign", ())
        if changes_shape(nodes[name]) and nodes.wire(name).sources
    )


def _empty(unset: Sequence[str], runs: Sequence[Rewritten], init: Rewritten | None) -> _Empty:
    """Says how variables get a value that the restore op does not fill.

    Args:
      unset: identities of these variables.
      runs: all runs.
      init: the one of the init op.
    """
    by_init = set_by(init)
    empty = [root for root in unset if root not in by_init]
    if not empty:
        return _Empty()
    first = [assigned_first(run.graph, empty) for run in runs]
    looked_at = [root for root in empty if not all(root in written for written in first)]
    if not looked_at:
        return _Empty(tuple(empty))
    # Where a call sets it, that is how the model is used; where none does, its weights are lost.
    by_calls = frozenset[str]().union(*(assigned(run.graph) for run in runs)) | _only_asked(runs)
    lost = [root for root in looked_at if root not in by_calls]
    return _Empty(
        tuple(root for root in empty if root not in lost),
        tuple(root for root in looked_at if root in by_calls),
        tuple(lost),
    )


def set_by(init: Rewritten | None) -> frozenset[str]:
    """Identities of the variables that the init op assigns."""
    if init is None:
        return frozenset()
    nodes = init.graph.nodes
    assigns = init.graph.by_op.get("AssignVariableOp", ())
    handles = (giver(nodes, data_inputs(nodes[name])[0], _HANDLE_PASSES) for name in assigns)
    return frozenset(identity(node) for node in handles if node is not None and node.op == "VarHandleOp")


_HANDLE_PASSES = frozenset({"Identity", "Switch", "Enter"})


def _only_asked(runs: Sequence[Rewritten]) -> frozenset[str]:
    """Identities of the variables of which every run asks no more than whether they are initialised."""
    asked: set[str] = set()
    used: set[str] = set()
    for run in runs:
        for name in run.graph.by_op.get("VarHandleOp", ()):
            consumers = [taker for taker, _ in run.graph.consumers.get(f"{name}:0", ())]
            only = all(run.graph.wires[taker].op == "VarIsInitializedOp" for taker in consumers)
            (asked if only else used).add(identity(run.graph.nodes[name]))
    return frozenset(asked - used)


def _first_calls(called: Sequence[Rewritten], empty: _Empty, library: Mapping[str, FunctionDef]) -> Iterator[Finding]:
    """Refuses what a model that has not been called before has no answer to.

    Args:
      called: the runs that clients call.
      empty: the variables without a value.
      library: the functions that the runs call, by name.
    """
    fails = {run.run.key: surely_fails(run.graph, empty.later, library) for run in called} if empty.later else {}
    for run in called if empty.filled else ():
        # In TF1 each op that takes a ref looks at the variable, in the rewritten run only what uses the value.
        early = assigned_first(run.graph, empty.filled) - assigned_first(run.run.graph, empty.filled)
        failing = surely_fails(run.graph, empty.filled, library)
        node = surely_fails(run.run.graph, empty.filled, library) if failing is None else None
        if early or node:
            yield refusal(
                "variable-without-value",
                f"{run.run.key}: no edge orders the first look at {node or min(early)!r} after the write in the same "
                "call that gives the variable a value; whether TF1 fails is chance",
                tuple([node] if node else sorted(early)),
                "give it a value in the init op, or read it after the write with read_value()",
            )
    nodes = [node for node in fails.values() if node is not None]
    if nodes and len(nodes) == len(fails):
        yield refusal(
            "variable-without-value",
            f"no call can succeed: {next(iter(fails))} fails at {nodes[0]!r}, which needs a variable that has no value "
            "until another call assigns one, and no call gets as far as that",
            tuple(nodes),
            "a v1 Session fails on them with 'uninitialized value'; export the model with its weights",
        )


def _two_kinds(names: Sequence[str]) -> Finding:
    return refusal(
        "variable-of-two-kinds",
        f"{names[0]!r} is a resource variable, and there is a ref variable of the same name: they are two in "
        "TF1, and would be one in TF2",
        tuple(names),
        "give one of them another name or shared_name",
    )


def _uninitialized(names: Sequence[str]) -> Iterator[Finding]:
    if names:
        yield Finding(
            "variable-uninitialized",
            Severity.WARNING,
            f"nothing but a call gives a value to {count_words(len(names), 'variable')}, as in TF1: "
            f"{first_few(names, 3)}; a call that reads one before that fails",
            tuple(names),
            "assign it before you save the loaded model again: TensorFlow cannot load a copy without the value",
        )


def _without_value(names: Sequence[str]) -> Iterator[Finding]:
    if names:
        yield refusal(
            "variable-without-value",
            "neither the restore op nor the init op gives a value to "
            f"{count_words(len(names), 'variable')}: {first_few(names, 3)}",
            tuple(names),
            "a v1 Session fails on them with 'uninitialized value'; export the model with its weights",
        )


def resources_of(runs: Sequence[Rewritten]) -> list[str]:
    """Identities of the tables and other named resources that some runs use."""
    nodes = (run.graph.nodes[name] for run in runs for name in run.graph.named(ops.NAMED_RESOURCES))
    return list(dict.fromkeys(map(identity, nodes)))
