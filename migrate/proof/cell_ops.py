"""The ops that make, write and read cells: variables and tables."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from migrate.proof import attributes
from migrate.proof.equations import (
    ELEMENTWISE_OPTIMIZERS,
    ENTERS,
    FILE_READERS,
    FILLS,
    KEEPERS,
    LOOKUPS,
    MAKERS,
    PASSES,
    READS,
    SWITCHES,
    WRITES,
)
from migrate.proof.identity import is_anonymous, key_of
from migrate.proof.liveness import ALWAYS, Atom
from migrate.proof.loops import Event
from migrate.proof.program import Flat
from migrate.proof.shared import FALSE, TRUE
from migrate.proof.side import Cell, Side
from migrate.proof.states import here, is_set, left_by, read, state_at, substituted
from migrate.proof.temporaries import KIND as TEMPORARY
from migrate.proof.terms import Term

_NAMES = frozenset({"shared_name", "container", "use_node_name_sharing"})


def make_cell(side: Side, place: int, node: Flat, op: str) -> None:
    """A node that makes a variable, a table or a queue gives the handle of its cell."""
    maker = MAKERS[op]
    taken = tuple(read(side, place, tensor) for tensor in node.data)
    kept = attributes.canonical(op, maker.canonical, node.attr, {}, _NAMES)
    if is_anonymous(op, node.attr):
        side.values[place, 0] = side.unknown(f"{op} {node.label!r} makes another variable each time that it runs")
        return
    key = key_of(op, node.attr, node.name, node.label)
    dtype = node.attr["dtype"].type if maker.canonical == "Variable" and "dtype" in node.attr else 0
    cell = Cell(key, maker.kind, (maker.canonical, kept, taken), node.label, dtype)
    known = side.cells.setdefault(key, cell)
    if known.dtype != cell.dtype:
        side.values[place, 0] = side.unknown(f"{node.label!r} and {known.label!r} are one variable of two dtypes")
        return
    if known.kind != "resource" and known.kind != "ref" and known.makes != cell.makes:
        side.values[place, 0] = side.unknown(f"{node.label!r} and {known.label!r} are one resource of two forms")
        return
    if side.frames[place] and taken:
        side.values[place, 0] = side.unknown(f"{node.label!r} takes what it makes a resource of from a loop")
        return
    side.values[place, 0] = side.terms.cell(key)


def written_cells(side: Side) -> set[Hashable]:
    """The cells that are likely to be written: a guess, which a pass over the graph confirms."""
    found: set[Hashable] = set()
    for place in side.order:
        if side.nodes[place].op not in WRITES:
            continue
        for source, _ in side.nodes[place].data[: WRITES[side.nodes[place].op].cells]:
            node = side.nodes[source]
            for _ in range(_LONGEST):
                if node.op in MAKERS:
                    found.add(key_of(node.op, node.attr, node.name, node.label))
                elif isinstance(node.key, Cell):
                    found.add(node.key.key)
                if not node.data or not (node.op in _HANDS_ON or node.op in WRITES):
                    break
                node = side.nodes[node.data[0][0]]
    return found


_HANDS_ON = PASSES | SWITCHES | ENTERS
_LONGEST = 200
"""Ops through which a handle goes."""


def make_temporary(side: Side, place: int, node: Flat) -> None:
    """A TemporaryVariable gives a ref that nothing else has."""
    key = side.temporaries.made(node)
    if key is None:
        side.values[place, 0] = side.unknown(f"TemporaryVariable {node.label!r} has the name of another one")
        return
    side.cells[key] = Cell(key, TEMPORARY, None, node.label, node.attr["dtype"].type)
    side.values[place, 0] = side.terms.cell(key)


def write(side: Side, place: int, node: Flat, op: str, live: frozenset[Atom]) -> None:
    """A write gives its cells new states."""
    row = WRITES[op]
    cells = [side.cell_of(tensor) for tensor in node.data[: row.cells]]
    if len(node.data) < row.cells or None in cells or len(set(cells)) < len(cells):
        side.values[place, 0] = side.unknown(f"{op} {node.label!r} writes what no single variable is behind")
        for tensor in node.data[: row.cells]:
            for cell in side.terms.cells(side.value(tensor)):
                side.found_written.add(cell)
                side.race(cell, f"{op} {node.label!r} may write it or another one")
        return
    if side.temporaries.is_written(row, cells[0]):
        if side.temporaries.is_sum(node, row, cells[0]):
            side.temporaries.change(side, place, row, cells[0], read(side, place, node.data[1]))
        else:
            side.found_written.add(cells[0])  # The next pass says that its value is no sum.
        side.values[place, 0] = side.value(node.data[0])
        return
    operands = []
    overlapping = ""
    for position, tensor in enumerate(node.data[row.cells :], row.cells):
        shown = side.terms.cells(side.value(tensor))
        if not shown.isdisjoint(cells) and not (row.elementwise or op in ELEMENTWISE_OPTIMIZERS):
            overlapping = f"{op} {node.label!r} reads the buffer that it is writing"
        value = read(side, place, tensor)
        if side.is_file(value) and FILE_READERS.get(row.canonical) != position and row.canonical != "Assign":
            value = side.unknown(f"{op} {node.label!r} takes a file's name, which differs")
        if op in KEEPERS and tensor[0] in side.behind_refs():
            value = side.unknown(f"whether {op} {node.label!r} keeps a variable's buffer is not known")
        operands.append(value)
    before, frames = side.before[place], side.frames[place]
    attrs = side.attributes(place, node, op, row.canonical, dict(row.renamed), row.dropped)
    if row.canonical in FILLS and _filled_already(side, place, cells[0], row.canonical, attrs, live, operands):
        return
    side.found_written.update(cells)
    bit = side.bit(place)
    results = []
    for cell in cells:
        if cell not in side.written:
            results.append(-1)
            continue
        events = side.events.setdefault(cell, [])
        if frames and row.canonical in FILLS:
            side.race(cell, f"{node.label!r} fills it in a loop")
        side.loop_cells.written.update((frames[:depth], cell) for depth in range(1, len(frames) + 1))
        for event in events:
            if event.place != place and not before & event.bit and not side.loop_cells.apart(event, frames, live):
                if event.is_write:
                    side.race(cell, side.unordered(place, event.place))
                else:
                    side.racing_read(cell, event.place, place)
        made = [e for e in events if e.is_write and before & e.bit and not side.loop_cells.apart(e, frames, live)]
        event = Event(place, bit, True, live, before, frames)
        event.chain = bit
        for other in made:
            event.chain |= other.chain
        results.append(left_by(side, made, cell, frames))
        event.state = -1
        events.append(event)
    if any(cell in side.racing for cell in cells):
        first = next(cell for cell in cells if cell in side.racing)
        states = [side.unknown(side.racing[first])] * len(cells)
    elif row.canonical == "Assign" and len(operands) != 1:
        states = [side.unknown(f"{op} {node.label!r} does not take one value")] * len(cells)
    elif overlapping:
        states = [side.unknown(overlapping)] * len(cells)
    elif -1 in results:
        states = [side.unknown("not known yet")] * len(cells)
    elif row.canonical == "Assign" and not live:
        states = [side.terms.make("write", (row.canonical, attrs, live, 0), operands)]
    else:
        states = [
            side.terms.make("write", (row.canonical, attrs, live, number), (*results, *operands))
            for number in range(len(cells))
        ]
    for cell, state in zip(cells, states, strict=True):
        for event in side.events.get(cell, ()):
            if event.place == place and event.is_write:
                event.state = state
    side.origins.setdefault(states[0], node)
    if row.results:
        side.values[place, 0] = side.terms.make("result", None, states[:1])
    else:
        side.values[place, 0] = side.value(node.data[0])


def _filled_already(
    side: Side, place: int, cell: Hashable, name: str, attrs: Hashable, live: frozenset[Atom], operands: Sequence[Term]
) -> bool:
    """Whether a table is filled a second time with the same, which changes nothing (see `equations.FILLS`)."""
    first = side.initial(side.cells[cell])
    fresh = side.terms.make("fresh", side.cells[cell].makes)
    if first == side.terms.make("write", (name, attrs, ALWAYS, 0), (fresh, *operands)):
        return True
    same = side.terms.make("write", (name, attrs, ALWAYS, 0), (first, *operands))
    for event in side.events.get(cell, ()):
        if event.is_write and not live and event.state == same and not event.chain & ~event.bit:
            event.bit |= side.bit(place)
            event.chain |= side.bit(place)
            return True
    return False


def read_cell(side: Side, place: int, node: Flat, op: str) -> None:
    """A read of a handle gives what its cell holds, or whether it holds anything."""
    if not node.data:
        side.values[place, 0] = side.unknown(f"{op} {node.label!r} has no input")
        return
    handle = side.value(node.data[0])
    cells = side.terms.cells(handle)
    if not cells or (op == "IsVariableInitialized" and len(cells) != 1):
        side.values[place, 0] = side.unknown(f"{op} {node.label!r} takes what is no handle")
        return
    what = READS[op]
    if what == "IsInitialized":
        state = state_at(side, next(iter(cells)), place) if len(cells) == 1 else side.unknown("one of two variables")
        # What was assigned in the branch in which it is asked has a value there.
        known = is_set(side.terms, here(side, state, side.lives[place] or ALWAYS))
        side.values[place, 0] = side.shared.constant(TRUE) if known else _initialized(side, state)
        return
    value = substituted(side, place, handle)
    if what:
        renamed: Mapping[str, str] = {}
        dropped: frozenset[str] = frozenset()
        if op in LOOKUPS and _is_like_its_value(side, node, op, value):
            what, renamed, dropped = LOOKUPS[op], {"dtype": "Tparams"}, frozenset({"batch_dims"})
        attrs = side.attributes(place, node, op, what, renamed, dropped)
        others = [read(side, place, tensor) for tensor in node.data[1:]]
        value = side.terms.make(what, attrs, (value, *others))
    side.values[place, 0] = value


def _is_like_its_value(side: Side, node: Flat, op: str, value: Term) -> bool:
    """Whether a lookup in a variable is one in its value: see `equations.LOOKUPS`."""
    if op != "ResourceGather":
        return True
    head, _, taken = side.terms.parts(value)
    if head != "value" or ("batch_dims" in node.attr and node.attr["batch_dims"].i):
        return False
    kind, which, _ = side.terms.parts(taken[0])
    return kind == "initial" and min(side.shared.shapes.get(which[1], ()), default=0) > 0


def _initialized(side: Side, state: Term) -> Term:
    head, more, _ = side.terms.parts(state)
    if head == "initial" and more == "nothing":
        return side.shared.constant(FALSE)
    return side.terms.make("IsInitialized", None, (state,))
