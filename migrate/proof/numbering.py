"""Works out the term of every tensor of a call: global value numbering over both models at once.

A tensor has a value and a liveness: the branches that must be taken for it to be there at all. A Switch changes the
liveness alone, a Merge makes a value of the values and livenesses that come to it; control edges have a say in
liveness and in order, and none in values.
"""

from __future__ import annotations

from collections import Counter

from migrate.graph.dtypes import REF
from migrate.graph.output_dtypes import output_dtypes
from migrate.proof import handles
from migrate.proof.cell_ops import make_cell, make_temporary, read_cell, write, written_cells
from migrate.proof.control_flow import enter, leave, merge, switch
from migrate.proof.control_flow_v2 import functional
from migrate.proof.equations import (
    ARRAYS,
    BESIDE_A_SCALAR,
    BRANCHES,
    ENTERS,
    EXITS,
    LISTS,
    MAKERS,
    MERGES,
    NEVER_FAIL,
    NEXT_ITERATIONS,
    PASSES,
    READS,
    SHOWS,
    SWITCHES,
    TYPED,
    WRITES,
)
from migrate.proof.forms import form, lacks_ref
from migrate.proof.list_ops import array_op, list_op
from migrate.proof.liveness import ALWAYS, Atom, Live
from migrate.proof.ops import array, array_races, plain
from migrate.proof.order import frame_name
from migrate.proof.program import CELL, INPUT, UNKNOWN, Flat
from migrate.proof.side import Cell, Side
from migrate.proof.states import holds_a_value, passed, read

_MOST_PASSES = 12
_MOST_ATOMS = 256
"""Conds in conds: what needs more of them to be there is not worked out."""
_LONGEST = 200
"""Calls in calls: what stands for their arguments and results, one after another."""


def run(side: Side, is_first: bool = False) -> None:
    """Passes over the graph until it is known which cells are written and which accesses race."""
    side.has_run = True
    is_guessed = not side.written
    if is_guessed:
        side.written |= written_cells(side)
    for _ in range(_MOST_PASSES):
        side.clear()
        if is_first:
            side.classes.clear()
        for place in side.order:
            _node(side, place)
        found = side.loop_cells
        found.check()
        bad_frames, races = _bad_frames(side), array_races(side)
        if (
            side.found_written <= side.written
            and found.written <= side.looped
            and all(places <= side.lost.get(place, set()) for place, places in found.lost.items())
            and side.found_racing.keys() <= side.racing.keys()
            and side.found_racing_reads.keys() <= side.racing_reads.keys()
            and bad_frames <= side.bad_frames
            and races.keys() <= side.array_races.keys()
        ):
            if not is_guessed or side.written <= side.found_written:
                return
            side.written = set()  # Not all that is likely to be written is.
            is_guessed = False
        side.array_races.update(races)
        side.bad_frames |= bad_frames
        side.written |= side.found_written
        side.looped |= found.written
        for place, places in found.lost.items():
            side.lost[place] = side.lost.get(place, set()) | places
        side.racing.update(side.found_racing)
        side.racing_reads.update(side.found_racing_reads)
    why = "which accesses are ordered is not worked out"
    side.racing.update(dict.fromkeys(side.written, why))
    side.values = {key: side.unknown(why) for key in side.values}


def _bad_frames(side: Side) -> set[str]:
    """Frames that are of no single loop: each has one parent and one LoopCond (control_flow.cc, executor.cc)."""
    parents: dict[str, set[tuple[str, ...]]] = {}
    conditions: Counter[str] = Counter()
    for place in side.order:
        frames = side.frames.get(place, ()) if side.lives.get(place) is not None else ()
        if frames and side.nodes[place].op in ENTERS:
            parents.setdefault(frames[-1], set()).add(frames[:-1])
        elif frames and side.nodes[place].op == "LoopCond":
            conditions[frames[-1]] += 1
    return {frame for frame, found in parents.items() if len(found) > 1 or conditions[frame] > 1}


def _node(side: Side, place: int) -> None:
    node = side.nodes[place]
    op = node.op
    if op in MERGES:
        merge(side, place, node)
        if lacks_ref(side.nodes, node):
            side.malformed(place, f"{op} {node.label!r} takes a value where it needs a ref")
        is_whole = "N" not in node.attr or node.attr["N"].i == len(node.data)
        if not is_whole or not _is_typed(side, node):
            side.malformed(place, f"{op} {node.label!r} says other inputs than it has")
        return
    live: Live = ALWAYS
    lives, branch = side.lives, side.branch
    for tensor in node.data:
        given = branch[tensor] if tensor in branch else lives.get(tensor[0], ALWAYS)
        if given is not ALWAYS:
            live = None if live is None or given is None else live | given
    for source in node.controls:
        given = lives.get(source, ALWAYS)
        if given is not ALWAYS and op != "ControlTrigger":
            live = None if live is None or given is None else live | given
    lives[place] = live
    before = 0
    if side.bits:
        for source, _ in node.data:
            before |= side.before.get(source, 0) | side.bits.get(source, 0)
        for source in node.controls:
            before |= side.before.get(source, 0) | side.bits.get(source, 0)
    side.before[place] = before
    frames: tuple[str, ...] = ()
    if side.has_frames:
        for source in (*(source for source, _ in node.data), *node.controls, *node.within):
            if len(side.frames.get(source, ())) > len(frames):
                frames = side.frames[source]
    side.frames[place] = frames
    # TensorFlow refuses a graph with one of these, whether the node runs or not.
    for tensor in node.data if side.has_frames else ():
        if side.frames.get(tensor[0], ()) != frames and op not in ENTERS:
            side.malformed(place, f"{node.label!r} takes a tensor of another loop")
            return
    if place not in side.typed:
        if op in TYPED and not _is_typed(side, node):
            side.malformed(place, f"{op} {node.label!r} says another dtype than what it takes")
            return
        if op not in _TYPED_BY_HANDLE:  # Its handle is told by what comes before.
            side.typed.add(place)
    if (op in WRITES or op[:3] == "Ref") and lacks_ref(side.nodes, node):
        side.malformed(place, f"{op} {node.label!r} takes a value where it needs a ref")
        return
    if live is None:
        side.values[place, 0] = side.terms.make("never")
        if op in ENTERS:
            side.frames[place] = (*frames, frame_name(node))
        elif op in EXITS:
            side.frames[place] = frames[:-1]
        return
    if len(live) > _MOST_ATOMS:
        side.lives[place] = ALWAYS
        side.values[place, 0] = side.unknown(f"{node.label!r} is in too many conds")
        return
    _live_node(side, place, node, op, live)
    found = side.values.get((place, 0))
    if found is not None:
        side.origins.setdefault(found, node)
        is_known = op in _KNOWN_NOT_TO_FAIL or _is_with_scalar(side, op, node) or holds_a_value(side, op, node, place)
        if not is_known and not (op in handles.OPS and handles.is_one(side.terms, found)):
            side.made[place] = found


_KNOWN_NOT_TO_FAIL = frozenset({*NEVER_FAIL, *WRITES, *SHOWS})


_TYPED_BY_HANDLE = frozenset({"Assign", "AssignVariableOp", "ReadVariableOp"})
"""Of those in TYPED: ops of which the first input is a variable, and another one a value for it."""


def _is_typed(side: Side, node: Flat) -> bool:
    """Whether a node's dtype is that of what it takes, as far as that is known; else no model with it loads."""
    key = TYPED[node.op]
    if node.op == "Const":
        return "dtype" in node.attr and node.attr["dtype"].type == node.attr["value"].tensor.dtype
    if node.op == "PlaceholderWithDefault" and not _fits(side, node):
        return False
    if key not in node.attr:
        return True  # What stands for a call has no attributes.
    said = node.attr[key].type % REF
    if node.op in _TYPED_BY_HANDLE:
        cells = side.terms.cells(side.value(node.data[0])) if node.data else ()
        given = all(_dtype(side, tensor) in (0, said) for tensor in node.data[1:2])
        return given and all(side.cells[cell].dtype in (0, said) for cell in cells)
    taken = node.data if node.op in MERGES else node.data[:1]
    return all(_dtype(side, tensor) in (0, said) for tensor in taken)


def _fits(side: Side, node: Flat) -> bool:
    """Whether the default of a placeholder has its shape, as far as that is known; array_ops.cc merges the two."""
    source = side.nodes[node.data[0][0]] if node.data else node
    if source.op != "Const" or "shape" not in node.attr or node.attr["shape"].shape.unknown_rank:
        return True
    wanted = [dim.size for dim in node.attr["shape"].shape.dim]
    given = [dim.size for dim in source.attr["value"].tensor.tensor_shape.dim]
    return len(wanted) == len(given) and all(w in (-1, g) for w, g in zip(wanted, given, strict=True))


def _dtype(side: Side, tensor: tuple[int, int]) -> int:
    """DataType value of a tensor; 0 where it is not known."""
    for _ in range(_LONGEST):
        node = side.nodes[tensor[0]]
        if node.attr or not node.data or node.op != "Identity":
            break
        tensor = node.data[0]  # What stands for an argument or a result of a call.
    if node.op == INPUT:
        return node.attr["dtype"].type % REF if "dtype" in node.attr else 0
    found = output_dtypes(node, {}) if node.attr else None  # type: ignore[arg-type]
    return found[tensor[1]] if found is not None and 0 <= tensor[1] < len(found) else 0


def _is_with_scalar(side: Side, op: str, node: Flat) -> bool:
    """Whether a node computes each element with one number, so that shapes cannot disagree."""
    return op in BESIDE_A_SCALAR and any(side.shared.is_scalar(side.value(tensor)) for tensor in node.data)


def _live_node(side: Side, place: int, node: Flat, op: str, live: frozenset[Atom]) -> None:
    data = node.data
    if op not in _OF_THEIR_OWN:
        plain(side, place, node, op, live)
    elif op == "Const":
        known = node.definition
        side.values[place, 0] = side.shared.constant(node.attr) if known is None else side.shared.constant_of(known)
    elif op in PASSES and len(data) == 1:
        side.values[place, 0] = passed(side, place, data[0], op.startswith(("Ref", "DebugGradientRef")))
    elif op == "IdentityN":
        for number, tensor in enumerate(data):
            side.values[place, number] = passed(side, place, tensor, False)
    elif op in SWITCHES and len(data) == 2:
        switch(side, place, data, op, live)
    elif op in ENTERS and len(data) == 1:
        enter(side, place, node, live)
    elif op in EXITS and len(data) == 1:
        leave(side, place, data[0], live)
    elif op in NEXT_ITERATIONS and len(data) == 1:
        side.values[place, 0] = passed(side, place, data[0], op.startswith("Ref"))
    elif op == "LoopCond" and len(data) == 1:
        side.values[place, 0] = side.loop_cells.predicates[side.frames[place]] = read(side, place, data[0])
    elif op == INPUT:
        side.has_files = side.has_files or (isinstance(node.key, tuple) and node.key[0] == "asset")
        side.values[place, 0] = side.terms.make("input", node.key)
        side.given[node.key] = form(node.attr)
    elif op == UNKNOWN:
        side.values[place, 0] = side.unknown(str(node.key))
        side.say(place, "unknown", place)
    elif op == CELL:
        assert isinstance(node.key, Cell)
        side.cells.setdefault(node.key.key, node.key)
        side.values[place, 0] = side.terms.cell(node.key.key)
    elif op in MAKERS:
        make_cell(side, place, node, op)
    elif op in WRITES:
        write(side, place, node, op, live)
    elif op in READS:
        read_cell(side, place, node, op)
    elif op in ("NoOp", "ControlTrigger"):
        pass
    elif op == "DeepCopy" and len(data) == 1:
        side.values[place, 0] = read(side, place, data[0])
    elif op == "TemporaryVariable":
        make_temporary(side, place, node)
    elif op == "DestroyTemporaryVariable":
        side.values[place, 0] = side.temporaries.value(side, place, node, side.candidates_order)
    elif place in side.lists.arrays:
        array_op(side, place, node)
    elif op in LISTS and side.lists.is_asked:
        list_op(side, place, node, op)
    elif op in ARRAYS:
        array(side, place, node, op)
    elif op in BRANCHES:
        functional(side, place, node, op, live)
    else:
        plain(side, place, node, op, live)


_OF_THEIR_OWN = frozenset(
    {
        "Const", "DeepCopy", "DestroyTemporaryVariable", "IdentityN", "LoopCond", "NoOp", "ControlTrigger",
        "TemporaryVariable", INPUT, UNKNOWN, CELL,
        *PASSES, *SWITCHES, *ENTERS, *EXITS, *NEXT_ITERATIONS, *MAKERS, *WRITES, *READS, *LISTS, *ARRAYS, *BRANCHES,
    }
)  # fmt: skip
"""Ops that are not told by their name, their attributes and their inputs alone."""
