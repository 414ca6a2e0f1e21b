"""What a v1 Session runs of an If, Case or While that it lowers: what its users need, and nothing else. No TensorFlow.

The main graph of a v1 Session makes Switches and Merges of one that says so (lower_functional_ops.cc) and is then cut
to what the fetches need, as all of it is. A conversion may leave out what is cut: loop variables, outputs, and nodes of
the bodies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.function_calls import LOOPS, callees, is_lowered
from migrate.graph.graph import data_inputs
from migrate.graph.nodes import behind, reachable
from migrate.graph.protos import FunctionDef, NodeDef


@frozen
class Cut:
    """What is run of a node of functional control flow.

    Attributes:
      node: the node with these inputs and outputs alone.
      outputs: their positions among those of the whole one.
      needed: names of the nodes that are run of each of its functions, in their order.
    """

    node: NodeDef
    outputs: Sequence[int]
    needed: Sequence[Collection[str]]


def lowered_functions(nodes: Iterable[NodeDef], functions: Mapping[str, FunctionDef]) -> frozenset[str]:
    """Names of the functions whose nodes a v1 Session makes part of its graph.

    Args:
      nodes: of the main graph. A call is a kernel of its own, so what a function that it runs calls is not among them.
      functions: the library, by name.
    """

    def called(name: str) -> Iterable[str] | None:
        return _lowered(functions[name].node_def) if name in functions else None

    return frozenset(reachable(_lowered(nodes), called))


def _lowered(nodes: Iterable[NodeDef]) -> list[str]:
    return [name for node in nodes if is_lowered(node) for name in callees(node)]


def cut_as(
    node: NodeDef,
    functions: Mapping[str, FunctionDef],
    other: NodeDef,
    others: Mapping[str, FunctionDef],
    is_awaited: bool,
) -> Cut | None:
    """What is run of a node where of its outputs only those are needed that a candidate's node of its name has.

    Args:
      node: the source's, which is lowered.
      functions: the source's library, by name.
      other: the candidate's.
      others: its library.
      is_awaited: whether something waits for the node by a control edge.

    Returns:
      None where the functions of the two have nothing in common by which outputs can be told. Arguments and results of
      a function keep their names.
    """
    mine = [functions.get(name) for name in callees(node)]
    theirs = [others.get(name) for name in callees(other)]
    found = [(a, b) for a, b in zip(mine, theirs, strict=False) if a is not None and b is not None]
    if node.op != other.op or not found or not len(found) == len(mine) == len(theirs):
        return None
    # A loop gives what its body gives; its condition gives the answer to a question.
    outputs = _positions_in_all(found[-1:] if node.op in LOOPS else found)
    if outputs is None:
        return None
    if node.op not in LOOPS:
        needed = [_needed(function, outputs, is_awaited) for function, _ in found]
        return Cut(_with(node, "Tout", outputs, data_inputs(node)), outputs, needed)
    taken = data_inputs(node)
    condition, body = (function for function, _ in found)
    every = range(len(_results(body)))
    if any(_positions(_arguments(a), _arguments(b)) != outputs for a, b in found) or len(taken) != len(every):
        return None
    if is_awaited and outputs != list(every):
        return None  # What waits for a While waits for all of its loop variables.
    needed = [_needed(condition, range(1), False), _needed(body, outputs, False)]
    return Cut(_with(node, "T", outputs, [taken[k] for k in outputs]), outputs, needed)


def _results(function: FunctionDef) -> list[str]:
    return [result.name for result in function.signature.output_arg]


def _arguments(function: FunctionDef) -> list[str]:
    return [argument.name for argument in function.signature.input_arg]


def _positions_in_all(found: Sequence[tuple[FunctionDef, FunctionDef]]) -> list[int] | None:
    """The positions of results that all branches keep; None where they do not agree."""
    positions = [_positions(_results(a), _results(b)) for a, b in found]
    return positions[0] if all(each == positions[0] for each in positions) else None


def _positions(every: Sequence[str], kept: Sequence[str]) -> list[int] | None:
    """Where names are among others, in their order; None where one is missing or before the last one."""
    found: list[int] = []
    for name in kept:
        start = found[-1] + 1 if found else 0
        if name not in every[start:]:
            return None
        found.append(every.index(name, start))
    return found


def _needed(function: FunctionDef, outputs: Iterable[int], is_awaited: bool) -> frozenset[str]:
    nodes = {node.name: node for node in function.node_def}
    names = _results(function)
    results = [function.ret[names[k]] for k in outputs if names[k] in function.ret]
    return frozenset(behind(nodes, [*results, *(function.control_ret.values() if is_awaited else ())]))


def _with(node: NodeDef, key: str, outputs: Sequence[int], inputs: Sequence[str]) -> NodeDef:
    """A node with some of its outputs and inputs."""
    made = NodeDef()
    made.CopyFrom(node)
    types = list(node.attr[key].list.type) if key in node.attr else []
    if types:
        del made.attr[key].list.type[:]
        made.attr[key].list.SetInParent()
        made.attr[key].list.type.extend(types[k] for k in outputs if k < len(types))
    made.input[:] = inputs
    return made
