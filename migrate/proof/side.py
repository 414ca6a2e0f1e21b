"""One call of one model while it is numbered: its graph, its cells, and what is known of its tensors so far.

Other modules work out what is known: `numbering` goes over the nodes, `states` knows what cells hold.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any

from migrate.graph.attr_defaults import has_functions
from migrate.graph.op_table import may_call
from migrate.graph.protos import AttrValue
from migrate.proof import attributes, lists
from migrate.proof.equations import ENTERS, EXITS, MERGES, NEXT_ITERATIONS
from migrate.proof.expanded import expanded
from migrate.proof.forms import Form
from migrate.proof.liveness import ALWAYS, Atom, Live
from migrate.proof.loops import Event, Loops
from migrate.proof.order import Frames, topological
from migrate.proof.program import Flat
from migrate.proof.shared import Shared
from migrate.proof.sharing import behind_refs
from migrate.proof.temporaries import Temporaries
from migrate.proof.terms import Term

_WRAPPERS = re.compile(r"^(?:(?:Stateful)?PartitionedCall(?:_\d+)?/)*(?:source/)?")
"""Calls and a prefix that an exporter adds. A name is a hint which of several like things are to be paired."""
VARIABLES = frozenset({"ref", "resource"})
"""The kinds of cells that are variables."""
ALONE = frozenset({"of the source alone", "of the candidate alone"})
"""What a variable's first state is called that the other model does not have."""


def common_name(hint: str) -> str:
    """A name without what an exporter puts before it: a hint which nodes of both models are to be paired."""
    return _WRAPPERS.sub("", hint)


class Cell:
    """A cell of one model.

    Attributes:
      key: what it is known by.
      kind: see `equations.Maker.kind`; `argument` for what a function is given.
      makes: canonical maker and its attributes.
      label: of a node that gives its handle.
      dtype: DataType value of a variable; 0 where it is not known.
    """

    __slots__ = ("dtype", "key", "kind", "label", "makes")

    def __init__(self, key: Any, kind: str, makes: Hashable, label: str, dtype: int = 0) -> None:
        """See the class."""
        self.key, self.kind, self.makes, self.label, self.dtype = key, kind, makes, label, dtype


class Side:
    """One call of one model.

    Attributes:
      shared: of both sides.
      name: `source` or `candidate`.
      nodes: its flat graph.
      terms: of both sides.
      initial: the term of what a cell holds when the call begins.
      functions: the term of a function, by name and the attributes that it is given.
      kept: see `Program.keep`.
      restored: answers for the ops that read a checkpoint.
      drawn_elsewhere: labels of random ops that other calls run, too.
      candidates_order: the candidate's nodes by the names that they have on both sides: their places in its order.
      is_body: whether it is a function on its own.
      order: places of the nodes, each after its inputs.
      broken: nodes that are on a circle, which never run.
      lists: the TensorArrays that are looked at as values.
      has_loops: whether a Merge is a loop's.
      has_frames: whether something enters a loop.
      has_run: whether a pass has been made.
      typed: places of nodes whose dtypes are known to be true, whatever comes before them.

      cells: the cells that were met, by key.
      written: keys of those that are written.
      racing: keys of those of which it is not known what they hold, with the reason.
      racing_reads: the same of one node's read.
      chosen: of a cell and the place of a read: the state that it sees, although no edge orders it with a write (see
        `unordered`).
      bad_frames: frames that are of no single loop.
      looped: frames with the cells that are written in them.
      lost: see `Loops.lost`.
      is_alone: whether each loop variable is told apart from all others.
      classes: of each loop variable: what it is told apart by.
      invariant: Merges of loop variables that never change.
      origins: a node for some terms.
      given: the form of each input that was met.
      has_files: whether an input is the name of a file.
      is_random: whether something is drawn.

    One pass finds, and `clear` forgets:
      values: the term of each tensor; `value` gives it.
      lives: the liveness of each node.
      branch: the same of an output that has one of its own; `live` gives it.
      frames: the loops that each node is in.
      before: bits of the accesses that have ended when a node starts.
      bits: the bit of an access.
      events: the accesses to each cell that is written.
      fragile: of a node that may share a variable's buffer: the states in which it has the value that it is known by.
      entered: by frame: the liveness outside of it.
      entering: of each Enter what enters.
      loops: bits and terms of loop variables.
      made: terms of what may fail, by place.
      drawn: how many things of one term and name there are.
      messages: what is checked, printed, or not known.
      said: the place of each message.
      given_back: terms of outputs that show variables as they are when the call is over.
      temporaries: the temporary variables.
      arrays: by an array's handle: its accesses; the state of one is its term.
      array_races: places of accesses to arrays that no edge orders with another one, with the reason.
      loop_cells: what is found of the loops.
      found_written, found_racing, found_racing_reads: what the next pass begins with.
      problem: why TensorFlow refuses the graph.
    """

    def __init__(
        self,
        shared: Shared,
        name: str,
        nodes: Sequence[Flat],
        initial: Callable[[Cell], Term],
        functions: Callable[[str, Mapping[str, AttrValue]], Term],
        has_lists: bool = False,
    ) -> None:
        """Begins; of `nodes` those that are put together from others are taken apart."""
        self.shared, self.name, self.nodes = shared, name, expanded(nodes)
        self.terms = shared.terms
        self.initial, self.functions = initial, functions
        self.cells: dict[Hashable, Cell] = {}
        self.written: set[Hashable] = set()
        self.racing: dict[Hashable, str] = {}
        self.racing_reads: dict[tuple[Hashable, int], str] = {}
        self.chosen: dict[tuple[Hashable, int], Term] = {}
        self.bad_frames: set[str] = set()
        self.array_races: dict[int, str] = {}
        self.looped: set[tuple[Frames, Hashable]] = set()
        self.lost: dict[int, set[int]] = {}
        self.is_alone = False
        self.kept: Sequence[tuple[int, int]] = ()
        self.order, self.broken = topological(self.nodes)
        self.lists = lists.find(self.nodes, self.order) if has_lists else lists.NONE
        self.has_loops = bool(self.loop_merges())
        self.has_frames = any(node.op in ENTERS or node.op in EXITS for node in self.nodes)
        self.typed: set[int] = set()
        self.classes: dict[Hashable, Term] = {}
        self.invariant: set[int] = set()
        self.origins: dict[Term, Flat] = {}
        self.known_attributes: dict[int, Hashable] = {}
        self.restored: Callable[[Side, int, Sequence[Term]], None] | None = None
        self.drawn_elsewhere: frozenset[str] = frozenset()
        self.has_run = False
        self.candidates_order: Mapping[str, int] = {}
        self.given: dict[Hashable, Form] = {}
        self.has_files = False
        self.is_body = False
        self.is_random = False
        self._behind_refs: Collection[int] | None = None

    def clear(self) -> None:
        """Forgets what the last pass has found."""
        self.values: dict[tuple[int, int], Term] = {}
        self.lives: dict[int, Live] = {}
        self.branch: dict[tuple[int, int], Live] = {}
        self.frames: dict[int, tuple[str, ...]] = {}
        self.before: dict[int, int] = {}
        self.bits: dict[int, int] = {}
        self.events: dict[Hashable, list[Event]] = {}
        self.fragile: dict[int, Mapping[Hashable, Term]] = {}
        self.entered: dict[tuple[str, ...], frozenset[Atom]] = {}
        self.entering: dict[int, Term] = {}
        self.loops: list[tuple[int, Term]] = []
        self.made: dict[int, Term] = {}
        self.drawn: dict[Hashable, int] = {}
        self.messages: list[tuple[Any, ...]] = []
        self.said: list[int] = []
        self.given_back: set[Term] = set()
        self.temporaries = Temporaries()
        self.arrays: dict[Term, list[Event]] = {}
        self.loop_cells = Loops(self)
        self.found_written: set[Hashable] = set()
        self.found_racing: dict[Hashable, str] = {}
        self.found_racing_reads: dict[tuple[Hashable, int], str] = {}
        self.problem = ""
        self._next_bit = 1

    def again(self) -> Side:
        """The same call, to be passed over once more: what is found then is not found here."""
        other = copy.copy(self)
        other.cells, other.origins, other.given = {**self.cells}, {**self.origins}, {**self.given}
        other.written, other.typed, other.invariant = {*self.written}, {*self.typed}, {*self.invariant}
        other.racing, other.racing_reads, other.chosen = {**self.racing}, {**self.racing_reads}, {**self.chosen}
        other.bad_frames, other.array_races, other.looped = {*self.bad_frames}, {**self.array_races}, {*self.looped}
        other.lost, other.classes = {**self.lost}, {**self.classes}
        return other

    def forget(self) -> None:
        """Forgets what earlier passes have found out, but for the loop variables that never change."""
        self.classes.clear()
        self.written.clear()
        self.racing.clear()
        self.racing_reads.clear()
        self.looped.clear()
        self.lost.clear()

    def is_loop(self, place: int) -> bool:
        """Whether a Merge is a loop's."""
        return any(self.nodes[source].op in NEXT_ITERATIONS for source, _ in self.nodes[place].data)

    def loop_merges(self) -> list[int]:
        """The Merges of loops, in order."""
        return [p for p in self.order if self.nodes[p].op in MERGES and self.is_loop(p)]

    def behind_refs(self) -> Collection[int]:
        """See `sharing.behind_refs`."""
        if self._behind_refs is None:
            self._behind_refs = behind_refs(self.nodes, self.order)
        return self._behind_refs

    def uneven(self) -> str:
        """A node of `kept` that is there where an input of its call is not; empty where there is none."""
        return next((self.nodes[a].label for a, b in self.kept if self.lives.get(a) != self.lives.get(b)), "")

    def unknown(self, why: str) -> Term:
        """See `Terms.unknown`."""
        return self.terms.unknown(why)

    def value(self, tensor: tuple[int, int]) -> Term:
        """The term of a tensor."""
        found = self.values.get(tensor)
        if found is None:
            place, output = tensor
            first = self.values.get((place, 0))
            if first is None:
                label = self.nodes[place].label
                why = (
                    f"{label!r} is on a circle that is no loop, or behind one"
                    if place in self.broken
                    else f"{self.nodes[place].op} {label!r} gives no value"
                )
                found = self.unknown(why)
            else:
                found = self.terms.make("out", output, (first,)) if output else first
            self.values[tensor] = found
        return found

    def live(self, tensor: tuple[int, int]) -> Live:
        """The liveness of a tensor."""
        if tensor in self.branch:
            return self.branch[tensor]
        return self.lives.get(tensor[0], ALWAYS)

    def malformed(self, place: int, why: str) -> None:
        """Notes that TensorFlow refuses the graph because of a node."""
        self.problem = self.problem or why
        self.values[place, 0] = self.unknown(why)

    def loop_term(self, which: Hashable, more: Hashable, entered: Term) -> Term:
        """The term of a loop variable, or of what a cell holds when an iteration begins."""
        if which not in self.classes:
            self.classes[which] = (
                self.terms.make("alone", (self.name, which))
                if self.is_alone
                else self.terms.make("enters", more, (entered,))
            )
        return self.terms.loop(self.classes[which])

    def is_spare(self, cell: Hashable) -> bool:
        """Whether one of the models alone has a variable."""
        head, more, _ = self.terms.parts(self.initial(self.cells[cell]))
        return head == "initial" and more[0] in ALONE

    def racing_read(self, cell: Hashable, read: int, write: int) -> None:
        """Notes that no edge orders a read with a write."""
        why = f"{self.cells[cell].label!r}: {self.unordered(write, read)}"
        self.found_racing_reads.setdefault((cell, read), why)

    def bit(self, place: int) -> int:
        """The bit of an access in sets of what comes before; a new one for a place that has none."""
        if place not in self.bits:
            self.bits[place] = self._next_bit
            self._next_bit <<= 1
        return self.bits[place]

    def is_variable(self, cell: Hashable) -> bool:
        """Whether a cell is a resource variable."""
        return self.cells[cell].kind == "resource"

    def common_name(self, place: int) -> str:
        """A node's name without what an exporter puts before it: a hint which nodes of both models are to be paired."""
        return common_name(self.nodes[place].hint)

    def race(self, cell: Hashable, why: str) -> None:
        """Notes that what a cell holds is not worked out."""
        self.found_racing.setdefault(cell, f"variable {self.cells[cell].label!r}: {why}")

    def unordered(self, one: int, other: int) -> str:
        """Says that no edge orders two nodes."""
        nodes = self.nodes
        return f"no edge orders {nodes[one].op} {nodes[one].label!r} and {nodes[other].op} {nodes[other].label!r}"

    def cell_of(self, tensor: tuple[int, int]) -> Hashable | None:
        """The one cell behind a handle or ref; None where there is no single one."""
        cells = self.terms.cells(self.value(tensor))
        return next(iter(cells)) if len(cells) == 1 else None

    def own(self, place: int, head: str, attrs: Hashable, taken: Sequence[Term], node: Flat) -> Term:
        """A term of something that each node has for itself, in each iteration: an array, a random sequence."""
        name = common_name(node.hint)
        base = self.terms.make(head, attrs, taken)
        number = self.drawn.get((base, name), 0)
        self.drawn[base, name] = number + 1
        if not self.frames[place]:
            return self.terms.make("own", (name, number), (base,))
        before = self.before[place]
        turning = sorted({term for bit, term in self.loops if before & bit})
        if not turning:
            return self.unknown(f"{node.op} {node.label!r} is in a loop of which nothing changes")
        return self.terms.make("own", (name, number), (base, *turning))

    def say(self, place: int, *message: Any) -> None:
        """Notes what a node does beside computing."""
        self.messages.append(message)
        self.said.append(place)

    def is_file(self, term: Term) -> bool:
        """Whether a term is the name of a file, which stands for the file's content."""
        head, more, _ = self.terms.parts(term)
        return head == "input" and isinstance(more, tuple) and more[0] == "asset"

    def attributes(
        self, place: int, node: Flat, op: str, name: str, renamed: Mapping[str, str], dropped: frozenset[str]
    ) -> Hashable:
        """What tells a node apart beside its op and its inputs; see `attributes.canonical`."""
        found = self.known_attributes.get(place)
        known = self.shared.attributes
        where = (id(node.definition), name)
        if found is None and node.definition is not None:
            found = known.get(where)
        if found is None:
            if may_call(op) and any(has_functions(value) for value in node.attr.values()):
                kept = {k: v for k, v in node.attr.items() if not has_functions(v)}
                called = tuple(
                    (k, self.functions(f.name, f.attr))
                    for k, v in sorted(node.attr.items())
                    if has_functions(v)
                    for f in (list(v.list.func) if v.HasField("list") else [v.func])
                )
                found = (attributes.canonical(op, name, kept, renamed, dropped), called)
            else:
                found = attributes.canonical(op, name, node.attr, renamed, dropped)
                if node.definition is not None:
                    known[where] = found
            self.known_attributes[place] = found
        return found

    def fault(self) -> str:
        """Why no call of this graph can run; empty where that is not known."""
        if self.broken:
            label = self.nodes[min(self.broken)].label
            return f"{label!r} is on a circle that is no loop, or behind one, so the graph cannot run"
        return self.problem
