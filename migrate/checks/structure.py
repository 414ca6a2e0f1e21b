"""What TensorFlow reads and does not survive: functions that call themselves or nest without end, values that are none.

Nothing here calls itself, and it comes before everything that may.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrate.errors import counted
from migrate.graph.protos import AttrValue, DataType, FunctionDef, MetaGraphDef, NodeDef
from migrate.records import Finding, refusal

_HANDLES = frozenset({DataType.DT_RESOURCE, DataType.DT_VARIANT})
"""What a running program holds, and a file can only describe."""
DEEPEST_CALLS = 100
"""Calls within calls. Loops in loops in models in models have some ten; TensorFlow's optimizers recurse over them."""
_DEEPEST_ATTRIBUTES = 8
"""Attributes of a function that is an attribute. A protocol buffer has 100 levels at most, and each takes three."""
_TOLD = 5


def find_unreadable_structure(meta_graph: MetaGraphDef, deepest: int = DEEPEST_CALLS) -> tuple[Finding, ...]:
    """Refuses graphs that crash what reads them; their rules are not to be applied.

    Args:
      meta_graph: the graph.
      deepest: how many functions may be called within one another.
    """
    return tuple(_find(meta_graph, deepest))


def _find(meta_graph: MetaGraphDef, deepest: int) -> Iterator[Finding]:
    graph = meta_graph.graph_def
    bodies = {function.signature.name: function for function in graph.library.function}
    constants = _constants_of_handles(graph.node)
    for name, function in bodies.items():
        constants += [f"{name}/{constant}" for constant in _constants_of_handles(function.node_def)]
    if constants:
        yield refusal(
            "constant-of-handle",
            f"no file can hold the value of {counted(len(constants), 'constant')} of dtype variant or resource: "
            f"{', '.join(constants[:_TOLD])}",
            tuple(constants),
            "export the model again with the ops that make these values",
        )
    calls: dict[str, tuple[str, ...]] = {}
    deep = []
    for name, function in bodies.items():
        called, depth = _called(function)
        calls[name] = tuple(other for other in called if other in bodies)
        if depth > _DEEPEST_ATTRIBUTES:
            deep.append(name)
    if deep:
        yield refusal(
            "attributes-nested",
            f"functions as attributes of functions, more than {_DEEPEST_ATTRIBUTES} within one another",
            tuple(deep),
        )
    levels, round_about = _levels(calls)
    if round_about:
        yield refusal(
            "recursive-function",
            f"functions that call themselves, directly or by others: {', '.join(round_about[:_TOLD])}; "
            "TensorFlow's loader of SavedModels refuses them",
            round_about,
            "export the model again with a loop in their place",
        )
    found = max(levels.values(), default=0)
    if found > deepest:
        yield refusal(
            "functions-nested",
            f"functions that call functions, {found:,} within one another, where {deepest} are the most",
            tuple(name for name, level in levels.items() if level == found)[:_TOLD],
            "export the model again with fewer functions",
        )


def _constants_of_handles(nodes: Sequence[NodeDef]) -> list[str]:
    return [
        node.name
        for node in nodes[:]  # A slice is one list; to iterate asks the proto for each node.
        if node.op == "Const" and (dtype := node.attr.get("dtype")) is not None and dtype.type in _HANDLES
    ]


def _called(function: FunctionDef) -> tuple[tuple[str, ...], int]:
    """Names that a function's body and attributes mention as functions', and how deep they are nested."""
    found: dict[str, None] = {}
    values = [*function.attr.values()]
    for node in function.node_def:
        found[node.op] = None
        values += [value for value in node.attr.values() if value.WhichOneof("value") in ("func", "list")]
    deepest = 0
    for name, depth in _functions(values):
        found[name] = None
        deepest = max(deepest, depth)
    return tuple(found), deepest


def _functions(values: Iterable[AttrValue]) -> Iterator[tuple[str, int]]:
    """Name and depth of each function in attributes, and in the attributes of these functions."""
    pending = [(value, 1) for value in values]
    while pending:
        value, depth = pending.pop()
        what = value.WhichOneof("value")
        if what == "func":
            yield value.func.name, depth
            pending += [(inner, depth + 1) for inner in value.func.attr.values()]
        elif what == "list":
            for function in value.list.func:
                yield function.name, depth
                pending += [(inner, depth + 1) for inner in function.attr.values()]


def _levels(calls: Mapping[str, tuple[str, ...]]) -> tuple[dict[str, int], tuple[str, ...]]:
    """How many functions are called within one another from each on, and those that lead back to themselves."""
    callers: dict[str, list[str]] = {}
    open_calls = {name: len(set(called)) for name, called in calls.items()}
    for name, called in calls.items():
        for other in set(called):
            callers.setdefault(other, []).append(name)
    levels = {name: 1 for name, count in open_calls.items() if not count}
    pending = list(levels)
    while pending:
        name = pending.pop()
        for caller in callers.get(name, ()):
            open_calls[caller] -= 1
            if not open_calls[caller]:
                levels[caller] = 1 + max(levels[other] for other in calls[caller])
                pending.append(caller)
    left = [name for name in calls if name not in levels]
    if not left:
        return levels, ()
    # Every one of these calls another of them; going on from one leads into a circle.
    way: dict[str, None] = {}
    name = left[0]
    while name not in way:
        way[name] = None
        name = next(other for other in calls[name] if other not in levels)
    names = tuple(way)
    return levels, names[names.index(name) :]
