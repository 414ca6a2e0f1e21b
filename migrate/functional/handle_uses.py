"""What functions do with the handles of variables that they are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from migrate.frozen import frozen
from migrate.graph.function_calls import LOOPS, callees, first_argument
from migrate.graph.graph import attribute
from migrate.graph.protos import FunctionDef, NodeDef

READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape"})
"""Ops that look at a variable which has a value, by its handle."""


@frozen
class Uses:
    """Where a handle that a function is given goes.

    Attributes:
      tensors: all tensors of the function that are this handle, as `named` writes them.
      users: the nodes that take one of them, with the number of the data input; no Identity that hands it on.
      results: the positions of the function's results that are it.
    """

    tensors: frozenset[str]
    users: tuple[tuple[NodeDef, int], ...]
    results: frozenset[int]


class HandleUses:
    """Answers for the functions of a library, each worked out once."""

    def __init__(self, functions: Mapping[str, FunctionDef]) -> None:
        self._functions = functions
        self._consumers: dict[str, Mapping[str, list[tuple[NodeDef, int]]]] = {}
        self._uses: dict[tuple[str, int], Uses] = {}
        self._reads: dict[tuple[str, int], bool] = {}

    def uses(self, name: str, position: int) -> Uses:
        """Where an argument of a function goes; what a loop gives for it is the handle as well."""
        key = (name, position)
        if key not in self._uses:
            function = self._functions[name]
            consumers = self._consumers_of(name)
            pending = [function.signature.input_arg[position].name]
            seen = {*pending}
            users: list[tuple[NodeDef, int]] = []
            for tensor in pending:  # grows while it is read
                for node, number in consumers.get(tensor, ()):
                    handed = ""
                    if node.op == "Identity":
                        handed = f"{node.name}:output:0"
                    else:
                        users.append((node, number))
                        handed = f"{node.name}:output:{number}" if node.op in LOOPS else ""
                    if handed and handed not in seen:
                        seen.add(handed)
                        pending.append(handed)
            nodes = {node.name for node in function.node_def}
            given = [named(function.ret[arg.name], nodes) for arg in function.signature.output_arg]
            results = frozenset(number for number, tensor in enumerate(given) if tensor in seen)
            self._uses[key] = Uses(frozenset(seen), tuple(users), results)
        return self._uses[key]

    def is_read(self, node: NodeDef, number: int) -> bool:
        """Whether a node does no more with a handle that it takes than to read the variable, or to have it read."""
        if node.op in READS:
            return True
        called = [*self.called(node, number)]
        return bool(called) and all(self._only_reads(*each) for each in called)

    def called(self, node: NodeDef, number: int) -> Iterator[tuple[str, int, bool]]:
        """The functions that a node gives an input to.

        Args:
          node: a node.
          number: of the data input.

        Yields:
          The name, the number of the argument, and whether it is the body of a loop. Nothing where the node calls none,
          where one of them is not known, or where the input is a predicate.
        """
        names = [node.op] if node.op in self._functions else [*callees(node)]
        position = number - first_argument(node.op)
        if position < 0 or any(
            name not in self._functions or position >= len(self._functions[name].signature.input_arg) for name in names
        ):
            return
        body = attribute(node, "body").func.name if node.op in LOOPS else ""
        for name in names:
            yield name, position, name == body

    def _only_reads(self, name: str, position: int, is_body: bool) -> bool:
        """Whether a function only reads a variable, and gives its handle back only as a loop's body does."""
        key = (name, position)
        uses = self.uses(name, position)
        if key not in self._reads:
            self._reads[key] = False  # For a function that calls itself.
            self._reads[key] = all(self.is_read(node, number) for node, number in uses.users)
        return self._reads[key] and uses.results == ({position} if is_body else set())

    def _consumers_of(self, name: str) -> Mapping[str, list[tuple[NodeDef, int]]]:
        if name not in self._consumers:
            function = self._functions[name]
            nodes = {node.name for node in function.node_def}
            found: dict[str, list[tuple[NodeDef, int]]] = {}
            for node in function.node_def:
                for number, tensor in enumerate(data_of(node)):
                    found.setdefault(named(tensor, nodes), []).append((node, number))
            self._consumers[name] = found
        return self._consumers[name]


def data_of(node: NodeDef) -> list[str]:
    """The data inputs of a node of a function, as they are written there."""
    return [written for written in node.input if not written.startswith("^")]


def named(written: str, nodes: Iterable[str]) -> str:
    """A tensor of a function: an argument by its name, an output of a node as `node:output:0`.

    Args:
      written: as an input or a result names it.
      nodes: names of the function's nodes.

    Example:
      >>> named("x:0", {"y"}), named("y:z", {"y"}), named("y:z:1", {"y"})
      ('x', 'y:z:0', 'y:z:1')
    """
    name, _, rest = written.partition(":")
    if name not in nodes:
        return name
    return written if ":" in rest else f"{written}:0"
