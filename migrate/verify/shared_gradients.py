"""Gradients of several signatures of a v1 graph that have most of their nodes in common, added to it once for all.

TensorFlow makes the gradient of each op in Python, half a millisecond for each node, and does so again for each call of
`tf.gradients`. Here it is called once for the outputs of all signatures; each has weights that are fed, and zeros where
they are not. What the outputs of other signatures add is zero then. Where it is not, because a zero was multiplied by
what is not finite, or because a gradient has a part that no weight changes, nothing is given back, and the caller asks
for each signature by itself.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from migrate.frozen import frozen
from migrate.graph.graph import canonical
from migrate.verify.calls import Array
from migrate.verify.gradients import add_gradients, is_float, sampled, weights

_MOST_MORE = 4
"""How many times as many nodes may be run as for each signature by itself."""
_MOST_OF = 0.75
"""Which part of the nodes that all of them have may be left once those are put together that several share."""


@frozen
class Differentiated:
    """A call whose gradients are asked for; such a call changes nothing.

    Attributes:
      signature: its key.
      nodes: all nodes of each variable to which they are.
      fetches: tensor names by output name.
      feeds: values by tensor name.
      values: the outputs' values.
    """

    signature: str
    nodes: Mapping[str, Sequence[str]]
    fetches: Mapping[str, str]
    feeds: Mapping[str, Array]
    values: Mapping[str, Array]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs that have a gradient."""
        return tuple(name for name, value in self.values.items() if is_float(value) and value.size)


@frozen
class Sharing:
    """Calls whose gradients are in a graph once.

    Attributes:
      calls: them.
      wanted: names of the gradients by variable.
      given: names of the tensors that weigh outputs, by signature key and output; zeros where they are not fed.
    """

    calls: tuple[Differentiated, ...]
    wanted: Mapping[str, str]
    given: Mapping[tuple[str, str], str]


def groups_of(graph: Any, asked: Sequence[Differentiated]) -> list[tuple[Differentiated, ...]]:
    """The calls whose gradients are to be added together: they feed the same tensors, and share most of their nodes."""
    by_feeds: dict[frozenset[str], list[Differentiated]] = {}
    for each in asked:
        if each.outputs:
            by_feeds.setdefault(frozenset(each.feeds), []).append(each)
    groups: list[tuple[Differentiated, ...]] = []
    for calls in by_feeds.values():
        users = _users(graph, calls) if len(calls) > 1 else []
        pending = [range(len(calls))]
        while pending:
            part = pending.pop()
            if len(part) < 2:
                continue
            if _is_worth(users, part):
                groups.append(tuple(calls[n] for n in part))
            else:
                half = len(part) // 2
                pending += [part[half:], part[:half]]
    return groups


def _users(graph: Any, calls: Sequence[Differentiated]) -> list[int]:
    """For each node that computes something, which calls need it, a bit each."""
    users: dict[str, int] = {}
    for number, each in enumerate(calls):
        for name in each.outputs:
            node = canonical(each.fetches[name]).partition(":")[0]
            users[node] = users.get(node, 0) | 1 << number
    computing = []
    # A node comes after those that it takes, but for the way back of a loop, whose nodes are behind its exits as well.
    for operation in reversed(graph.get_operations()):
        own = users.get(operation.name, 0)
        inputs = operation.inputs if own else ()
        for tensor in inputs:
            users[tensor.op.name] = users.get(tensor.op.name, 0) | own
        if inputs:
            computing.append(own)
    return computing


def _is_worth(users: Sequence[int], part: range) -> bool:
    """Whether some calls share nodes, and together, run for each of them, run few more than each by itself."""
    bits = (1 << part.stop) - (1 << part.start)
    together = sum(1 for own in users if own & bits)
    alone = sum((own & bits).bit_count() for own in users)
    return together <= _MOST_OF * alone and len(part) * together <= _MOST_MORE * alone


def add_shared(tf: Any, graph: Any, calls: tuple[Differentiated, ...]) -> Sharing | None:
    """Adds the gradients of all calls to a v1 graph, which is the default one; None where TensorFlow has none."""
    with contextlib.suppress(Exception):
        ys = [graph.get_tensor_by_name(canonical(each.fetches[name])) for each in calls for name in each.outputs]
        given = [tf.compat.v1.placeholder_with_default(tf.zeros_like(y), y.shape) for y in ys]
        nodes = {name: group for each in calls for name, group in each.nodes.items()}
        wanted = add_gradients(tf, graph, ys, given, nodes)
        keys = [(each.signature, name) for each in calls for name in each.outputs]
        return Sharing(calls, wanted, {key: tensor.name for key, tensor in zip(keys, given, strict=True)})
    return None


def shared_gradients(tf: Any, session: Any, sharing: Sharing) -> dict[str, Mapping[str, Array]]:
    """Samples of the gradients of each call, by signature and variable; without calls that must be asked alone."""
    found: dict[str, Mapping[str, Array]] = {}
    first = sharing.calls[0]
    try:
        at_rest = sampled(tf, session, sharing.wanted, first.feeds)
    except Exception:
        return {}
    if any(np.any(value) for value in at_rest.values()):  # Of NaN as well.
        return {}
    for each in sharing.calls:
        given = {sharing.given[each.signature, name]: weights(name, each.values[name]) for name in each.outputs}
        own = {name: sharing.wanted[name] for name in each.nodes if name in sharing.wanted}
        with contextlib.suppress(Exception):
            values = sampled(tf, session, own, {**each.feeds, **given})
            if all(np.isfinite(value).all() for value in values.values()):
                found[each.signature] = values
    return found
