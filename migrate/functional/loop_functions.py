"""The functions of a While: its condition and its body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrate.frozen import frozen
from migrate.functional import conds, handles
from migrate.functional.draft import RESOURCE, Draft, argument, argument_name, scalar_argument, to_function
from migrate.functional.kept import Kept
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import as_input, canonical, split
from migrate.graph.protos import NodeDef
from migrate.rewrite.new_nodes import constant, new_node

SMALL = 1024
"""Bytes of a constant of which a function has a copy, so that the shapes that it gives are known there."""
_LEADS_IN = frozenset({"Enter", "Identity"})
_BOOL, _INT32 = dtype_value("bool"), dtype_value("int32")


@frozen
class Variable:
    """One loop variable, as the names of its nodes; a loop variable that nobody asks for has no exits."""

    enter: str
    merge: str
    following: str
    switches: tuple[str, ...]
    exits: tuple[str, ...]


@frozen
class Loop:
    """A frame whose form is known.

    Attributes:
      variables: in the order of their Merges, without the counters.
      counters: those that count from 0 how often the body has run, which the While does itself.
      constants: names of the Enters that give the same in each iteration.
      question: the LoopCond.
      condition: names of the nodes that lead to it, in the graph's order.
      body: names of the nodes that lead to a NextIteration, in the graph's order.
      idle: names of those that lead to a counter's alone, which the functions do not have.
    """

    variables: tuple[Variable, ...]
    counters: tuple[Variable, ...]
    constants: tuple[str, ...]
    question: str
    condition: tuple[str, ...]
    body: tuple[str, ...]
    idle: tuple[str, ...]

    @property
    def every(self) -> tuple[Variable, ...]:
        """All loop variables."""
        return (*self.variables, *self.counters)

    @property
    def names(self) -> frozenset[str]:
        """Names of all its nodes."""
        parts = (name for v in self.every for name in (v.enter, v.merge, v.following, *v.switches, *v.exits))
        return frozenset((*self.constants, *self.condition, *self.body, *self.idle, self.question, *parts))


def own_constant(draft: Draft, tensor: str) -> NodeDef | None:
    """The Const that a tensor is, of which a function may have one of its own: a small one, or one that no other takes.

    Loops around this one may lead it in. A loop carries what it takes from outside from one iteration to the next, but
    for handles (lower_while_op.cc).
    """
    node = draft.nodes[split(draft.before(tensor, _LEADS_IN))[0]]
    if node.op != "Const":
        return None
    return node if node.ByteSize() <= SMALL or _is_alone(draft, tensor) else None


def _is_alone(draft: Draft, tensor: str) -> bool:
    """Whether from a Const to a tensor each node has one that takes it."""
    while (name := split(tensor)[0]) in draft.alone:
        if draft.wires[name].op == "Const":
            return True
        (tensor,) = draft.wires[name].data
    return False


def make_body(
    draft: Draft, loop: Loop, taken: Mapping[str, str], limit: str | None, dtypes: Sequence[int], hint: str
) -> tuple[str, list[Kept]]:
    """Adds the body of a loop to the library.

    Args:
      draft: the graph of the loop.
      loop: the loop.
      taken: what the functions take from outside, as tensors there by those for which they stand.
      limit: the tensor there that is how often the loop runs at most, which is the second argument; None for another.
      dtypes: of the arguments.
      hint: what the function's name begins with.

    Returns:
      The function's name, and what stays as it is in it.
    """
    function = _Function(draft, loop, taken, limit, dtypes)
    function.add(loop.body)
    inner = function.inner
    one = inner.put(constant(inner.unique("one"), 1, ()))
    counter, most, *others = function.arguments
    counted = inner.put(new_node(_adds(draft, loop), inner.unique("loop_counter/next"), [counter, one.name], T=_INT32))
    results = [counted.name, most]
    for variable in loop.variables:
        (tensor,) = draft.wires[variable.following].data
        results.append(
            function.after(function.inside(tensor), draft.wires[variable.following].controls, variable.following)
        )
    results += others[len(loop.variables) :]
    return function.finish(results, hint)


def _adds(draft: Draft, loop: Loop) -> str:
    """The op by which a loop counts: other variables of it that count alike stay equal to it for the proof."""
    return next((draft.wires[draft.wires[counter.following].sources[0]].op for counter in loop.counters), "AddV2")


def make_condition(
    draft: Draft, loop: Loop, taken: Mapping[str, str], limit: str | None, dtypes: Sequence[int], hint: str
) -> tuple[str, list[Kept]]:
    """Adds the condition of a loop to the library; see `make_body`."""
    function = _Function(draft, loop, taken, limit, dtypes)
    function.add(loop.condition)
    known = draft.wires[loop.question]
    return function.finish([function.after(function.inside(known.data[0]), known.controls, loop.question)], hint)


class _Function:
    """One of the two while it is made.

    Attributes:
      inner: its nodes.
      arguments: names of the nodes that stand for its arguments.
    """

    def __init__(
        self, draft: Draft, loop: Loop, taken: Mapping[str, str], limit: str | None, dtypes: Sequence[int]
    ) -> None:
        self.inner = Draft((), draft.library, {*loop.names})
        self.inner.in_loop, self.inner.all_set = True, draft.all_set
        self.arguments: list[str] = []
        self._outer = draft
        self._constants = frozenset(loop.constants)
        self._moved: dict[str, str] = {}
        parts = [("loop_counter", ""), ("maximum_iterations", "")]
        parts += [(v.merge, draft.wires[v.enter].data[0]) for v in loop.variables]
        firsts: dict[str, str] = {}
        for tensor, outer in taken.items():
            if outer != limit:
                firsts.setdefault(outer, tensor)
        parts += [(split(tensor)[0], outer) for outer, tensor in firsts.items()]
        for position, ((name, source), dtype) in enumerate(zip(parts, dtypes, strict=True)):
            handle = draft.handle(source) if dtype == RESOURCE else None
            own = self.inner.unique(argument_name(name.rpartition("/")[2]))
            self.inner.put(scalar_argument(own, dtype) if position < 2 else argument(own, dtype, handle))
            self.arguments.append(own)
        carried = self.arguments[2 : 2 + len(loop.variables)]
        for own, variable in zip(carried, loop.variables, strict=True):
            self._moved[f"{variable.merge}:0"] = f"{own}:0"
            self._moved.update((f"{switch}:1", f"{own}:0") for switch in variable.switches)
        for variable in loop.counters:
            self._moved[f"{variable.merge}:0"] = f"{self.arguments[0]}:0"
            self._moved.update((f"{switch}:1", f"{self.arguments[0]}:0") for switch in variable.switches)
        given = dict(zip(firsts, self.arguments[2 + len(loop.variables) :], strict=True))
        if limit is not None:
            given[limit] = self.arguments[1]
        for tensor, outer in taken.items():
            self._moved[tensor] = f"{given[outer]}:0"

    def inside(self, tensor: str) -> str:
        """The tensor of the function that one of the frame is."""
        source = split(tensor)[0]
        if tensor not in self._moved and source not in self.inner.nodes:
            outer = self._outer.wires[source].data[0] if source in self._constants else tensor
            own = own_constant(self._outer, outer)
            read = handles.read_inside(self._outer, outer)
            if own is not None:
                self.inner.put(NodeDef(name=source, op="Const", attr=own.attr))
            elif read is not None:
                handle = self._moved[self._outer.wires[read.name].data[0]]
                self.inner.put(NodeDef(name=source, op="ReadVariableOp", input=[as_input(handle)], attr=read.attr))
                self.inner.unawaited.add(source)
        return self._moved.get(tensor, tensor)

    def add(self, names: Sequence[str]) -> None:
        """Adds nodes of the frame."""
        own = set(names)
        for name in names:
            known = self._outer.wires[name]
            new = NodeDef.FromString(self._outer.nodes[name].SerializeToString())
            data = [t if s in own else self.inside(t) for t, s in zip(known.data, known.sources, strict=True)]
            new.input[:] = [*map(as_input, data), *(f"^{wait}" for wait in known.controls if wait in own)]
            self.inner.put(new)

    def after(self, tensor: str, waits: Sequence[str], name: str) -> str:
        """A tensor once some nodes have run, those of them that the function has."""
        own = [f"^{wait}" for wait in waits if wait in self.inner.nodes]
        if not own:
            return tensor
        dtype = self.inner.dtype(tensor)
        return self.inner.put(new_node("Identity", name, [as_input(tensor), *own], T=dtype)).name

    def finish(self, results: Sequence[str], hint: str) -> tuple[str, list[Kept]]:
        """Adds the function to the library; gives its name and the conds that stay as they are."""
        tensors = [canonical(tensor) for tensor in results]
        kept = conds.convert(self.inner, tensors)
        handles.take_directly(self.inner)
        handles.say_types(self.inner)
        return self.inner.library.add(to_function(self.inner, self.arguments, tensors), hint), kept
