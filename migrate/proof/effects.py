"""What a call leaves behind beside its outputs: variables, tables, what is checked and printed, what may fail."""

from __future__ import annotations

from migrate.proof.difference import difference
from migrate.proof.failures import same_order
from migrate.proof.program import Program
from migrate.proof.records import CHECKS_DIFFER, NotProved, Result
from migrate.proof.settling import messages, more_computed
from migrate.proof.side import VARIABLES, Side
from migrate.proof.states import final
from migrate.proof.variables import Variables


def loose_op(variables: Variables, program: Program, source: Side, way: str) -> str:
    """An op of the source of which it is not known whether it runs, and that may matter; empty where there is none.

    What it leaves in a variable that no other op of the call meets, and the candidate does not have, does not.
    """
    for label, key in program.loose():
        if key is None or key in source.cells or not variables.is_spare(key, way):
            return label
    for key, events in source.events.items():
        doubtful = [event.place for event in events if event.is_write and event.place >= program.certain]
        is_met = any(event.place < program.certain for event in events)
        if doubtful and (is_met or not variables.is_spare(key, way)):
            return source.nodes[doubtful[0]].label
    return source.uneven()


def effects(variables: Variables, source: Side, side: Side, way: str) -> Result:
    """Whether a call of the candidate leaves behind what one of the source does, in variables, tables and messages."""
    if source.fault() or side.fault():
        return NotProved("", "", source.fault() or side.fault())
    left = {}
    spare = 0
    for key in source.written:
        cell = source.cells[key]
        if variables.is_spare(key, way):
            continue
        if cell.kind in VARIABLES:
            left[key] = (source, key)
        else:
            left["table", source.initial(cell)] = (source, key)
    found = {}
    state = variables.state(way)
    for key in side.written:
        cell = side.cells[key]
        if cell.kind in VARIABLES:
            other = variables.twins[way].get(key)
            held = state.held.get(key)
            is_constant = held is not None and variables.constant_of(held) is not None
            if other is None and not is_constant and variables.loaded.named(cell) is None:
                spare += 1
                continue
            if other is None:
                return NotProved("", cell.label, "a call writes a variable that the source does not have")
            if other in found:
                return NotProved("", cell.label, "two variables stand for one")
            found[other] = (side, key)
        else:
            found["table", side.initial(cell)] = (side, key)
    kept = [key for key in source.written if not variables.is_spare(key, way)]
    if len(left) != len(kept) or len(found) + spare != len(side.written):
        return NotProved("", "", "two tables that a call writes cannot be told apart")
    for key in left.keys() - found.keys():
        return NotProved(source.cells[left[key][1]].label, "", "a call of the candidate does not write it")
    for key in found.keys() - left.keys():
        return NotProved("", side.cells[found[key][1]].label, "a call of the source does not write it")
    for key, (_, mine) in left.items():
        theirs = found[key][1]
        result = difference(source.terms, final(source, mine), final(side, theirs), source.origins, side.origins)
        if isinstance(result, NotProved):
            return result
    if any(message[0] == "unknown" for message in (*source.messages, *side.messages)):
        return NotProved("", "", "a call runs an op of which the proof does not know what it does")
    if messages(source) != messages(side):
        return NotProved("", "", CHECKS_DIFFER)
    more = more_computed(source, side)
    if more:
        return NotProved("", more, "a call of the candidate computes this, and none of the source")
    return same_order(source, side, [(mine, found[key][1]) for key, (_, mine) in left.items()])
