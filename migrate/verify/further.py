"""What is asked of a source after its calls, on the same load: gradients, and calls with other values in its variables.

An output that does not change as its source's does when a variable gets another value is not computed from it, whatever
its gradients are. TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from migrate.graph.function_calls import BRANCHES
from migrate.graph.graph import data_inputs
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.verify.added_nodes import AddedNodes
from migrate.verify.calls import NO_VALUE, Answer, Array, Call, Fingerprint, Further
from migrate.verify.compare import nondeterministic
from migrate.verify.dtypes import FLOATS
from migrate.verify.gradients import gradient_tensors, sampled
from migrate.verify.sessions import answer_to
from migrate.verify.shared_gradients import Differentiated, add_shared, groups_of, shared_gradients
from migrate.verify.variables import bytes_of, groups

Asker = Callable[[Call], Mapping[str, Array]]
_NONE: Mapping[str, Sequence[str]] = {}

SCALE, SHIFT = 0.5, 2.0**-10
"""A variable `v` becomes `SCALE * v + SHIFT`. Both steps are exact or rounded alike everywhere, and a subnormal `v`,
which TensorFlow flushes to zero or not, gives the same."""
COUNTED = 1000
"""What is added to an integer that calls change."""
_INTEGERS = frozenset({"int32", "int64"})


def default_of(keys: Iterable[str]) -> str | None:
    """The signature that a Reusable SavedModel's `__call__` answers: `serving_default`, `default`, or the only one."""
    keys = tuple(keys)
    return next((key for key in ("serving_default", "default") if key in keys), keys[0] if len(keys) == 1 else None)


def chosen_calls(calls: Sequence[Call], answers: Sequence[Answer]) -> tuple[Call, ...]:
    """Of each signature the call that is made again: the first of those whose answers say the most."""
    best: dict[str, tuple[tuple[bool, int], Call]] = {}
    for call, answer in zip(calls[::2], answers[::2], strict=True):
        if not answer.error:
            worth = _worth(answer)
            if call.signature not in best or worth > best[call.signature][0]:
                best[call.signature] = worth, call
    return tuple(dataclasses.replace(call, outputs=()) for _, call in best.values())


_LOOKED_AT = 1 << 12


def _worth(answer: Answer) -> tuple[bool, int]:
    """Whether all floats are finite, and how many different numbers there are."""
    heads = [value.reshape(-1)[:_LOOKED_AT] for value in answer.outputs.values() if value.dtype.kind in "biuf"]
    is_finite = all(bool(np.isfinite(head).all()) for head in heads if head.dtype.kind == "f")
    return is_finite, sum(len(np.unique(head)) for head in heads)


def repeated(further: Further) -> tuple[Call, ...]:
    """The calls that were made again, one of each signature."""
    return further.calls[: len(further.calls) - (further.called is not None)]


def counting_calls(further: Further) -> tuple[Call, ...]:
    """The calls that are made once the counters are at the number before a threshold."""
    return repeated(further) * 2


def settled(first: Further, again: Further) -> Further:
    """The first answers, without what another load of the source contradicts."""
    called = first.called
    if called is not None and again.called is not None:
        called = (called[0], _agreed(called[1], again.called[1]))
    answers = tuple(map(_agreed, first.answers, again.answers))
    states = {name: value for name, value in first.states.items() if again.states.get(name) == value}
    counted = tuple(map(_agreed, first.counted, again.counted))
    counted_states = {n: value for n, value in first.counted_states.items() if again.counted_states.get(n) == value}
    return dataclasses.replace(
        first, called=called, answers=answers, states=states, counted=counted, counted_states=counted_states
    )


def _agreed(answer: Answer, again: Answer) -> Answer:
    shaky = nondeterministic([Call("", {})], [answer], [again])
    return dataclasses.replace(answer, outputs={n: v for n, v in answer.outputs.items() if ("", n) not in shaky})


def alterable(held: Mapping[str, Fingerprint], left: Mapping[str, Fingerprint]) -> tuple[str, ...]:
    """Names of the variables that get other values: floats that have one, and integers that calls count.

    Args:
      held: what the variables hold before any call.
      left: what they hold after calls.
    """
    counters = counting(held, left)
    return tuple(name for name, v in left.items() if v != NO_VALUE and (v.dtype in FLOATS or name in counters))


def counting(held: Mapping[str, Fingerprint], left: Mapping[str, Fingerprint]) -> frozenset[str]:
    """Names of the variables that calls count; arguments as in `alterable`."""
    changed = ((name, value) for name, value in left.items() if value != held.get(name, value) != NO_VALUE)
    return frozenset(name for name, value in changed if value.dtype in _INTEGERS and not value.shape)


_MEASURES = frozenset(
    {
        *("Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual", "Minimum", "Maximum"),
        *("FloorMod", "Mod", "TruncateMod", "FloorDiv", "TruncateDiv", "Div", "RealDiv"),
    }
)
"""Ops by which a graph tells numbers of one size from others."""
_HANDS_ON = frozenset({"Identity", "Cast", "Enter"})
_MOST_THRESHOLDS = 8
_LARGEST = 100_000
"""A loop may run as often as a counter says, and a tensor be as large."""
_ROUND = (10_000, _LARGEST)
"""Numbers that show a branch of the candidate's own, which begins below them."""


def thresholds_of(meta_graph: MetaGraphDef) -> tuple[int, ...]:
    """Whole numbers near which a counter may make a difference.

    These are those above one with which a graph, or a function of it, compares, and by which it divides; the largest
    are left out where there are many. `_ROUND` comes with them.
    """
    found: set[int] = set()
    for nodes in (meta_graph.graph_def.node, *(f.node_def for f in meta_graph.graph_def.library.function)):
        measures = [node for node in nodes if node.op in _MEASURES]
        if not measures:
            continue
        by_name = {node.name: node for node in nodes}
        for given in (name for node in measures for name in data_inputs(node)):
            node = by_name.get(given.partition(":")[0])
            while node is not None and node.op in _HANDS_ON and data_inputs(node):
                node = by_name.get(data_inputs(node)[0].partition(":")[0])
            if node is not None and node.op == "Const":
                found.update(_whole_number(node))
    return tuple(sorted({*sorted(found)[:_MOST_THRESHOLDS], *_ROUND}))


def _whole_number(node: NodeDef) -> Iterator[int]:
    tensor = node.attr["value"].tensor
    values = [*tensor.int_val, *tensor.int64_val, *tensor.float_val, *tensor.double_val]
    if len(values) == 1 and not tensor.tensor_shape.dim and 1 < values[0] <= _LARGEST and values[0] == int(values[0]):
        yield int(values[0])


def set_counters(tf: Any, session: Any, nodes: Iterable[str]) -> Callable[[int], None]:
    """Prepares to give integer variables of a v1 Session a value; of each, one node."""
    assigned, given = [], []
    for node in nodes:
        tensor = session.graph.get_operation_by_name(node).outputs[0]
        value = tf.compat.v1.placeholder(tensor.op.get_attr("dtype"), [])
        given.append(value)
        if tensor.op.type == "VarHandleOp":
            assigned.append(tf.raw_ops.AssignVariableOp(resource=tensor, value=value))
        else:
            assigned.append(tf.raw_ops.Assign(ref=tensor, value=value, validate_shape=False).op)
    return lambda number: session.run(assigned, dict.fromkeys(given, number))


def alter(tf: Any, session: Any, nodes: Iterable[str]) -> None:
    """Gives variables of a v1 Session other values; of each, one node."""
    added = AddedNodes(tf)
    names = {node: _altering(added, session.graph.get_operation_by_name(node)) for node in nodes}
    assigned = dict(zip(names, added.operations(session.graph, list(names.values())), strict=True))
    for group in groups({node: bytes_of(tf, session, node) for node in assigned}):
        session.run([assigned[node] for node in group])


def _altering(added: AddedNodes, variable: Any) -> str:
    """The node that gives a variable the values of `altered`."""
    handle, dtype = added.given(variable.outputs[0]), variable.get_attr("dtype")
    is_resource = variable.type == "VarHandleOp"
    value = (
        added.add("ReadVariableOp", [handle], dtype=dtype) if is_resource else added.add("Identity", [handle], T=dtype)
    )
    if dtype.is_integer:
        value = added.add("AddV2", [value, added.constant(COUNTED, dtype)], T=dtype)
    else:
        finite, zero = added.add("IsFinite", [value], T=dtype), added.add("ZerosLike", [value], T=dtype)
        value = added.add("SelectV2", [finite, value, zero], T=dtype)
        value = added.add("Mul", [value, added.constant(SCALE, dtype)], T=dtype)
        value = added.add("AddV2", [value, added.constant(SHIFT, dtype)], T=dtype)
    if is_resource:
        return added.add("AssignVariableOp", [handle, value], dtype=dtype)
    return added.add("Assign", [handle, value], T=dtype, validate_shape=False)


def altered(tf: Any, value: Any) -> Any:
    """A tensor's values as `alter` makes them; of NaN and infinity, which a call may have left, those of zero."""
    if value.dtype.is_integer:
        return value + tf.constant(COUNTED, value.dtype)
    value = tf.where(tf.math.is_finite(value), value, tf.zeros_like(value))
    return value * tf.constant(SCALE, value.dtype) + tf.constant(SHIFT, value.dtype)


def _gradients(
    tf: Any, session: Any, asked: Sequence[Differentiated], initialise: Callable[[Any], None]
) -> dict[str, Mapping[str, Array]]:
    """Gradients by signature, without those that TensorFlow 1 does not have, either.

    A Session makes its graph anew once nodes were added, so those of all calls are added before one of them is run.
    """
    gradients: dict[str, Mapping[str, Array]] = {}
    if any(operation.type in BRANCHES for operation in session.graph.get_operations()):
        from migrate.verify.functional_gradients import gradients_in_copy  # Few sources need it.

        for each in asked:
            with contextlib.suppress(Exception):
                gradients[each.signature] = gradients_in_copy(
                    tf, session, initialise, each.fetches, each.values, each.nodes, each.feeds
                )
        return gradients
    shared = [sharing for group in groups_of(session.graph, asked) if (sharing := add_shared(tf, session.graph, group))]
    for sharing in shared:
        gradients |= shared_gradients(tf, session, sharing)
    added = []
    for each in asked:
        if each.signature not in gradients:
            with contextlib.suppress(Exception):
                wanted = gradient_tensors(tf, session.graph, each.fetches, each.values, each.nodes)
                added.append((each, wanted))
    for each, wanted in added:
        with contextlib.suppress(Exception):
            gradients[each.signature] = sampled(tf, session, wanted, each.feeds)
    return gradients


def _reached(
    tf: Any,
    graph: Any,
    calls: Sequence[Call],
    answers: Sequence[Answer],
    nodes: Mapping[str, Sequence[str]],
    written: Mapping[str, Sequence[str]],
    tensors: Callable[[Call], tuple[Mapping[str, str], Mapping[str, Array]]],
) -> dict[str, tuple[str, ...]]:
    """The variables to which the graph has a gradient, of signatures that write; arguments as in `ask_further`.

    None of these gradients is computed: to do so writes, and the two models would no longer hold the same.
    """
    found: dict[str, tuple[str, ...]] = {}
    for call, answer in zip(calls, answers, strict=False):  # The last answer may be that of `__call__`.
        groups = {name: nodes[name] for name in written.get(call.signature, ()) if name in nodes}
        if groups and not answer.error:
            with contextlib.suppress(Exception):
                found[call.signature] = tuple(gradient_tensors(tf, graph, tensors(call)[0], answer.outputs, groups))
    return found


def ask_further(
    tf: Any,
    session: Any,
    ask: Asker,
    calls: Sequence[Call],
    default: str | None,
    nodes: Mapping[str, Sequence[str]],
    differentiate: Mapping[str, Sequence[str]],
    tensors: Callable[[Call], tuple[Mapping[str, str], Mapping[str, Array]]],
    initialise: Callable[[Any], None],
    read: Callable[[], Mapping[str, Fingerprint]] | None = None,
    counters: Mapping[str, Sequence[str]] = _NONE,
    thresholds: Sequence[int] = (),
    written: Mapping[str, Sequence[str]] = _NONE,
) -> Further:
    """Asks a source in a v1 Session.

    Args:
      tf: the module.
      session: on the source, after its calls.
      ask: makes a call.
      calls: one of each signature (`chosen_calls`).
      default: the signature that `__call__` answers, or None.
      nodes: all nodes of each variable that gets another value, by its first one.
      differentiate: names of the variables to which gradients are asked for, by signature key.
      tensors: what a call fetches and feeds.
      initialise: runs the init op in another Session on the source's graph.
      read: gives what the variables hold, or None where no call changes one.
      counters: all nodes of each variable that calls count, by its first one.
      thresholds: see `thresholds_of`.
      written: as `differentiate`, of the signatures that write variables.
    """
    own = next((call for call in calls if call.signature == default), None)
    called = None if own is None else (own, answer_to(ask, own))
    asked = []
    for call in calls:
        if differentiate.get(call.signature):
            groups = {name: nodes[name] for name in differentiate[call.signature] if name in nodes}
            with contextlib.suppress(Exception):  # A call that fails has no gradient.
                asked.append(Differentiated(call.signature, groups, *tensors(call), ask(call)))
    gradients = _gradients(tf, session, asked, initialise)
    trained = {each.signature: tuple(each.nodes) for each in asked if each.signature in gradients}
    alter(tf, session, (group[0] for group in nodes.values()))
    again = (*calls, *([own] if own is not None else []))
    answers = tuple(answer_to(ask, call) for call in again)
    states = {} if read is None else read()
    found = Further(
        default,
        called,
        tuple(map(tuple, nodes.values())),
        again,
        answers,
        trained,
        gradients,
        states,
        written=_reached(tf, session.graph, calls, answers, nodes, written, tensors),
    )
    if not counters or not thresholds:
        return found
    count = set_counters(tf, session, counters)
    counted: list[Answer] = []
    for number in thresholds:
        count(number - 1)
        counted += [answer_to(ask, call) for call in counting_calls(found)]
    return dataclasses.replace(
        found,
        counters=tuple(map(tuple, counters.values())),
        thresholds=tuple(thresholds),
        counted=tuple(counted),
        counted_states={} if read is None else read(),
    )
