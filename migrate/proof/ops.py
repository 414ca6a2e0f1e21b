"""Arrays, and the ops that are told by their name, their attributes and their inputs alone."""

from __future__ import annotations

from collections.abc import Sequence

from migrate.graph.dtypes import base_name
from migrate.graph.protos import AttrValue, TensorProto
from migrate.proof import attributes, handles
from migrate.proof.control_flow import has_accesses
from migrate.proof.equations import (
    ACCUMULATE,
    ARRAY_CHANGERS,
    ARRAY_KEEPERS,
    ARRAY_MAKERS,
    ARRAYS,
    MOST_ADDED,
    RENAMED,
    RESHAPES,
    RESTORES,
    SHOWS,
    SIGNED_ZEROS,
    UNDETERMINED,
)
from migrate.proof.liveness import ALWAYS, Atom, conflict, ordered
from migrate.proof.loops import Event
from migrate.proof.program import Flat
from migrate.proof.sharing import copies
from migrate.proof.side import Side
from migrate.proof.states import may_share, passed, read
from migrate.proof.terms import Term


def array(side: Side, place: int, node: Flat, op: str) -> None:
    """An op of an array depends on those that come before it, which may have changed the array."""
    canonical = ARRAYS[op]
    attrs = side.attributes(place, node, op, canonical, {}, frozenset())
    if op in ARRAY_MAKERS:
        taken = [read(side, place, tensor) for tensor in node.data]
        if op == "Stack":
            taken = [side.shared.number(-1)]
        side.values[place, 0] = side.own(place, canonical, attrs, taken, node)
        return
    take = kept if canonical in ARRAY_KEEPERS else read
    taken = [
        take(side, place, tensor) if number else read(side, place, tensor) for number, tensor in enumerate(node.data)
    ]
    handle = taken[0] if taken else side.unknown("no array")
    known = side.arrays.setdefault(_array_of(side, handle), [])
    before, live = side.before[place], side.lives[place] or ALWAYS
    earlier = tuple(sorted({event.state for event in known if before & event.bit}))
    if side.frames[place]:
        earlier += _turns(side, before)
    term = side.terms.make(canonical, attrs, (*taken, *earlier))
    if place in side.array_races:
        term = side.unknown(side.array_races[place])
    side.values[place, 0] = term
    event = Event(place, side.bit(place), canonical in ARRAY_CHANGERS, live, before, side.frames[place])
    # Where its branch is not taken it leaves the array as it is.
    event.state = side.terms.make("where", ordered(live), (term,)) if live else term
    known.append(event)


def _turns(side: Side, before: int) -> tuple[Term, ...]:
    """What comes back from the iteration before has been through these: accesses to arrays come before them."""
    turns = {term for bit, term in side.loops if before & bit}
    # A loop variable that waits for no access says nothing of their order, but that there are iterations.
    waiting = {term for term in turns if has_accesses(side, term)}
    return tuple(sorted(waiting or turns))


def array_races(side: Side) -> dict[int, str]:
    """Accesses to arrays in one iteration, one of which changes the array, and which TF1 does in any order."""
    found: dict[int, str] = {}
    for events in side.arrays.values():
        changes = [event for event in events if event.is_write]
        for event in events:
            for change in changes:
                is_ordered = event.before & change.bit or change.before & event.bit or event is change
                if is_ordered or event.frames != change.frames or conflict(event.live, change.live):
                    continue
                for place in (event.place, change.place):
                    found[place] = side.unordered(change.place, event.place)
    return found


def kept(side: Side, place: int, tensor: tuple[int, int]) -> Term:
    """What is put into an array, which may share its buffer (tensor_array_ops.cc, stack.cc): no variable's.

    A write to the variable would be one to what is in the array.
    """
    if side.terms.cells(side.value(tensor)) & side.written or tensor[0] in side.fragile:
        return side.unknown(f"whether {side.nodes[place].label!r} keeps a variable's buffer is not known")
    return read(side, place, tensor)


def _array_of(side: Side, handle: Term) -> Term:
    head, _, taken = side.terms.parts(handle)
    return taken[0] if head == "TensorArrayGradV3" and taken else handle


def plain(side: Side, place: int, node: Flat, op: str, live: frozenset[Atom]) -> None:
    """An op of the table of ops gives what its name, attributes and inputs say, if nothing else has a say."""
    info = side.shared.info(op)
    taken = node.data
    before_read = [side.value(tensor) for tensor in taken]
    handle = handles.taken(side.shared, node, before_read, side.is_variable) if op in handles.OPS else None
    if handle is not None:
        side.values[place, 0] = handle
        return
    if op in RESHAPES and before_read and side.terms.cells(before_read[0]):
        cells = side.terms.cells(before_read[0])
        if all(side.cells[c].kind == "ref" and c in side.written for c in cells):
            others = [read(side, place, tensor) for tensor in taken[1:]]
            attrs = side.attributes(place, node, op, op, {}, frozenset())
            side.values[place, 0] = side.terms.make(op, attrs, (before_read[0], *others))
            return
    values = [read(side, place, tensor) for tensor in taken]
    if op in RESTORES and side.restored is not None:
        side.restored(side, place, values)
        return
    if op in UNDETERMINED:
        side.values[place, 0] = side.unknown(f"{op} {node.label!r} gives what nothing determines")
        return
    if side.has_files and any(side.is_file(value) for value in values):
        side.values[place, 0] = side.unknown(f"{op} {node.label!r} takes a file's name, which differs")
        return
    if info is None or info.effect not in ("pure", "random", "prints"):
        effect = "is not in the table of ops" if info is None else f"is an op of state or effect ({info.effect})"
        side.values[place, 0] = side.unknown(f"{op} {node.label!r} {effect}, and no equation speaks of it")
        side.say(place, "unknown", place)
        return
    if info.writes:
        side.values[place, 0] = side.unknown(f"{op} {node.label!r} writes its input's buffer")
        return
    if op not in SHOWS and not info.copies and not copies(op, node.attr):
        may_share(side, place, taken, before_read)
    name = RENAMED.get(op, op)
    if op == ACCUMULATE:
        side.values[place, 0] = _accumulated(side, place, node, values)
        return
    if op == "TopK" and len(values) == 1 and "k" in node.attr:
        # topk_op.cc: one class; TopK has k as an attribute, TopKV2 as an int32 input.
        left = {key: value for key, value in node.attr.items() if key != "k"}
        attrs = attributes.canonical("TopKV2", "TopKV2", left, {}, frozenset())
        side.values[place, 0] = side.terms.make("TopKV2", attrs, (values[0], side.shared.number(node.attr["k"].i)))
        return
    attrs = side.attributes(place, node, op, name, {}, frozenset())
    if info.effect == "random":
        side.is_random = True
        seeded = any(key in node.attr and node.attr[key].i for key in ("seed", "seed2"))
        if seeded and (node.label in side.drawn_elsewhere or side.is_body):
            why = "draws from a sequence that other calls draw from, too, and which is another one in a function"
            side.values[place, 0] = side.unknown(f"{op} {node.label!r} {why}")
            return
        # What has been drawn from a sequence depends on the calls in which something was drawn.
        when = ordered(live) if seeded else ()
        side.values[place, 0] = side.own(place, name, (attrs, when) if when else attrs, values, node)
        return
    found = side.values[place, 0] = side.terms.make(name, attrs, values)
    if op == "Assert" or op in SHOWS:
        side.say(place, "message", found, live, op == "Print")
    if op in SHOWS and taken:
        side.made[place] = found
        side.values[place, 0] = passed(side, place, taken[0], False)


def _accumulated(side: Side, place: int, node: Flat, values: Sequence[Term]) -> Term:
    """The sum that an AccumulateNV2 gives, see `equations.ACCUMULATE`."""
    if len(values) > MOST_ADDED or not values or "T" not in node.attr:
        return side.unknown(f"{ACCUMULATE} {node.label!r} adds nothing, or more than {MOST_ADDED} tensors")
    frames = side.frames[place]
    if frames and node.label != node.name:
        return side.unknown(f"{ACCUMULATE} {node.label!r} is in a function that is called in a loop")
    dtype = AttrValue(type=node.attr["T"].type)
    count = {"T": dtype, "N": AttrValue(i=len(values))}
    found = side.terms.make("AddN", attributes.canonical("AddN", "AddN", count, {}, frozenset()), values)
    at_once = side.loop_cells.at_once.get(frames) if frames else {1}
    if base_name(dtype.type) not in SIGNED_ZEROS or (at_once is not None and 1 not in at_once):
        return found
    if at_once != {1}:
        return side.unknown(f"{ACCUMULATE} {node.label!r} is in a loop of no usual form")
    # What begins with zeros is never a minus zero.
    zero = TensorProto(dtype=dtype.type)
    zero.tensor_shape.SetInParent()
    taken = (found, side.shared.constant({"value": AttrValue(tensor=zero)}))
    return side.terms.make("AddV2", attributes.canonical("AddV2", "AddV2", {"T": dtype}, {}, frozenset()), taken)
