"""Loops that stay take from outside what their frames have entered, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrate.functional.draft import RESOURCE, Draft
from migrate.functional.frames import Path
from migrate.functional.handles import HANDLES
from migrate.graph.function_calls import LOOPS
from migrate.graph.graph import as_input
from migrate.graph.protos import NodeDef

_OUTSIDE = HANDLES | {"Const"}
"""Ops of inputs of a loop that may be in no frame: what TF1 has put there waits for something there."""


def repair(draft: Draft, members: Mapping[Path, Sequence[str]]) -> None:
    """Leads handles into the frames that stay, and has the constants of loops within them wait for a node there.

    Args:
      draft: the graph; it is changed.
      members: names of the nodes of each frame that stays.
    """
    enters: dict[Path, NodeDef] = {}
    for path, names in members.items():
        for name in names:
            node = draft.nodes[name]
            if node.op == "Enter" and (path not in enters or node.attr["is_constant"].b):
                enters[path] = node  # One that is there in each iteration, if there is one.
    entered: dict[tuple[str, Path], str] = {}
    for path, names in members.items():
        for name in names:
            known = draft.wires[name]
            if known.op == "Enter":
                continue
            if known.op in LOOPS:
                there = [n for n in (*known.sources, *known.controls) if draft.wires[n].op not in _OUTSIDE]
                there.append(enters[path].name)
                # The second may be a limit, which is in the frame.
                for constant in (n for n in known.sources[:2] if draft.wires[n].op == "Const"):
                    waiting = NodeDef.FromString(draft.nodes[constant].SerializeToString())
                    waiting.input[:] = [f"^{there[0]}"]
                    draft.put(waiting)
            outside = [source for source in known.sources if draft.wires[source].op in HANDLES]
            if outside:
                new = NodeDef.FromString(draft.nodes[name].SerializeToString())
                data = [
                    _entered(draft, source, path, enters, entered) if source in outside else as_input(tensor)
                    for tensor, source in zip(known.data, known.sources, strict=True)
                ]
                new.input[:] = [*data, *(f"^{wait}" for wait in known.controls)]
                draft.put(new)


def _entered(
    draft: Draft, handle: str, path: Path, enters: Mapping[Path, NodeDef], entered: dict[tuple[str, Path], str]
) -> str:
    """The Enter that leads a handle into a frame, by way of the frames around it."""
    inner = handle
    for depth in range(1, len(path) + 1):
        key = (handle, path[:depth])
        if key not in entered:
            new = NodeDef.FromString(enters[path[:depth]].SerializeToString())
            new.name = draft.unique(f"{handle}/enter")
            new.input[:] = [inner]
            new.attr["T"].type = RESOURCE
            new.attr["is_constant"].b = True
            entered[key] = draft.put(new).name
        inner = entered[key]
    return inner
