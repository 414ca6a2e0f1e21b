"""Loops in loops that a source has as functions read variables in the outermost loop; see `gradients`.

TF1 makes them with `enable_control_flow_v2`, and TF2's functions have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrate.functional.draft import RESOURCE
from migrate.functional.handle_uses import data_of, named
from migrate.functional.handles import carriers
from migrate.functional.library import Library
from migrate.functional.value_functions import GRADIENT, Held, ValueFunctions, is_tied, redirect
from migrate.graph.function_calls import BRANCHES, LOOPS, PARTITIONED
from migrate.graph.graph import index, unique_name
from migrate.graph.protos import FunctionDef, NodeDef
from migrate.rewrite.engine import Rewritten
from migrate.rewrite.new_nodes import new_node

_Variables = Mapping[int, Held]
"""The unwritten variables whose handles are taken, by the numbers of data inputs or of arguments."""


class OuterReads:
    """Makes functions that read unwritten variables in outermost loops.

    What is within such a loop, loops and branches alike, takes values then: with handles the gradient of a While in a
    While is zeros, and that of an If fails where one branch alone reads the variable.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._values = ValueFunctions(library)
        self._made: dict[tuple[str, bool, tuple[tuple[int, Held], ...]], str] = {}
        self._leads: dict[tuple[str, int], bool] = {}

    def convert(self, run: Rewritten) -> Rewritten:
        """A run that calls such functions; every variable has a value when it begins.

        Args:
          run: a rewritten run; it is not changed.

        Returns:
          `run` itself where nothing changes.
        """
        graph = run.graph
        if not graph.has({"VarHandleOp"}) or not graph.has(
            BRANCHES.keys() | PARTITIONED | self._library.functions.keys()
        ):
            return run
        unwritten = carriers(graph, self._values.uses.is_read)
        known = {tensor: Held.of(graph.nodes[name]) for tensor, name in unwritten.items()}
        changed = {}
        for name, wire in graph.wires.items():
            taken = {number: known[tensor] for number, tensor in enumerate(wire.data) if tensor in known}
            node = self._reading(graph.nodes[name], taken) if taken else None
            if node is not None:
                changed[name] = node
        if not changed:
            return run
        nodes = [changed.get(name, node) for name, node in graph.nodes.items()]
        return Rewritten(run.run, index(nodes, graph), run.fetches)

    def _reading(self, node: NodeDef, taken: _Variables) -> NodeDef | None:
        """A node, in no loop, with functions that read; None where nothing changes."""
        if GRADIENT in node.attr:
            return None
        given: dict[str, dict[int, Held]] = {}
        for number, variable in taken.items():
            for name, position, is_body in self._values.uses.called(node, number):
                is_handle = self._library.functions[name].signature.input_arg[position].type == RESOURCE
                is_same = self._values.uses.uses(name, position).results == {position}
                if is_handle and (node.op not in LOOPS or (is_body and is_same)):
                    given.setdefault(name, {})[position] = variable
        make = self._outermost if node.op in LOOPS else self._outside
        other = {name: self._with(make, name, variables) for name, variables in given.items()}
        if all(name == made for name, made in other.items()):
            return None
        node = NodeDef.FromString(node.SerializeToString())
        redirect(node, lambda name: other.get(name, name))
        return node

    def _with(self, make: Callable[[FunctionDef, str, _Variables], bool], name: str, variables: _Variables) -> str:
        """The name of a function with such reads, or `name` where nothing changes."""
        key = (name, make == self._outermost, tuple(sorted(variables.items(), key=lambda item: item[0])))
        if key not in self._made:
            self._made[key] = name  # For a function that calls itself.
            function = FunctionDef.FromString(self._library.functions[name].SerializeToString())
            if not is_tied(function) and make(function, name, variables):
                self._made[key] = self._library.add(function, f"{name}_with_reads")
        return self._made[key]

    def _outside(self, function: FunctionDef, name: str, variables: _Variables) -> bool:
        """Changes a function that is called in no loop; gives whether it has."""
        known = {t: each for k, each in variables.items() for t in self._values.uses.uses(name, k).tensors}
        nodes = {node.name for node in function.node_def}
        changed = False
        for node in function.node_def:
            tensors = enumerate(named(written, nodes) for written in data_of(node))
            taken = {number: known[tensor] for number, tensor in tensors if tensor in known}
            made = self._reading(node, taken) if taken else None
            if made is not None:
                node.CopyFrom(made)
                changed = True
        return changed

    def _outermost(self, function: FunctionDef, name: str, variables: _Variables) -> bool:
        """Has the body of an outermost loop read variables, and what is within take values; gives whether it does."""
        nodes = {node.name: node for node in function.node_def}
        given: dict[str, dict[int, Held]] = {}
        values: dict[tuple[str, int], str] = {}
        handles: dict[str, str] = {}
        reads: list[NodeDef] = []
        for position, variable in variables.items():
            argument = function.signature.input_arg[position].name
            users = [
                (node.name, number)
                for node, number in self._values.uses.uses(name, position).users
                if self._leads_in(node, number) and self._values.can_take(node, number, variable)
            ]
            if not users:
                continue
            own = unique_name(f"{argument}/value", [*nodes, *(read.name for read in reads)])
            reads.append(new_node("ReadVariableOp", own, [argument], dtype=variable.dtype))
            for user, number in users:
                given.setdefault(user, {})[number] = variable
                values[user, number] = f"{own}:value:0"
                handles[f"{user}:output:{number}"] = argument
        for user, taken in given.items():
            node = nodes[user]
            self._values.give(node, taken)
            data = [values.get((user, number), tensor) for number, tensor in enumerate(data_of(node))]
            node.input[:] = [*data, *(written for written in node.input if written.startswith("^"))]
        # What a loop gave on as a handle is a value now.
        loops = {
            tensor: argument for tensor, argument in handles.items() if nodes[tensor.partition(":")[0]].op in LOOPS
        }
        for node in function.node_def:
            node.input[:] = [loops.get(w if w.startswith("^") else named(w, nodes), w) for w in node.input]
        for result, tensor in dict(function.ret).items():
            function.ret[result] = loops.get(named(tensor, nodes), tensor)
        function.node_def.extend(reads)
        return bool(reads)

    def _leads_in(self, node: NodeDef, number: int) -> bool:
        """Whether an input of a node comes to a loop or a branch."""
        if node.op in BRANCHES:
            return True
        return any(self._leads_from(name, position) for name, position, _ in self._values.uses.called(node, number))

    def _leads_from(self, name: str, position: int) -> bool:
        """Whether an argument of a function comes to a loop or a branch there."""
        key = (name, position)
        if key not in self._leads:
            self._leads[key] = False  # For a function that calls itself.
            self._leads[key] = any(self._leads_in(*use) for use in self._values.uses.uses(name, position).users)
        return self._leads[key]
