"""Makes functional control flow of a rewritten run's v1 control flow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set

from migrate.frozen import frozen
from migrate.functional import conds, gradients, handles, loops, stay, tensor_lists
from migrate.functional.draft import RESOURCE, Draft, UnknownTensorError
from migrate.functional.frames import Frames, frames
from migrate.functional.kept import Kept, arrays_finding, finding
from migrate.functional.library import Library
from migrate.functional.loop_functions import Loop
from migrate.graph.control_flow_contexts import ENTERS, SWITCHES, contexts, topological_order
from migrate.graph.graph import Graph, Wire, attribute, index, split
from migrate.graph.nodes import reachable
from migrate.records import Finding
from migrate.rewrite.engine import Rewritten
from migrate.rewrite.uninitialized import guards


@frozen
class Converted:
    """What becomes of a run.

    Attributes:
      run: with If and While in its graph.
      finding: what stays v1 control flow, or None.
      arrays: which TensorArrays stay, or None.
    """

    run: Rewritten
    finding: Finding | None
    arrays: Finding | None = None


def convert(
    run: Rewritten,
    library: Library,
    uninitialized: Collection[str] = (),
    undifferentiated: Set[str] = frozenset(),
) -> Converted:
    """Puts If and While in the place of v1 control flow.

    Args:
      run: a rewritten run; it is not changed.
      library: the functions that it calls, to which bodies and branches are added.
      uninitialized: identities of variables that may have no value when they are used.
      undifferentiated: names of Exits through which TF1 gives no gradient.
    """
    if not run.graph.has(ENTERS | SWITCHES):
        return Converted(_taking_handles(run, library), None)
    guarded = [name for name in guards(run.graph, uninitialized, library.functions) if not _is_root(run.graph, name)]
    if guarded:
        kept = [Kept("uses a variable without a value, which fails as in TF1 only there", tuple(guarded[:3]))]
        return Converted(run, finding(run.run.key, kept))
    results = [*run.fetches.values(), *run.run.targets]

    def needed(wires: Mapping[str, Wire]) -> set[str]:
        found = reachable((split(tensor)[0] for tensor in results), lambda name: wires[name].behind)
        found.update(run.run.feeds.values())
        return found

    left = needed(run.graph.wires)  # The rewrite hands on handles that nobody takes.
    nodes = [node for name, node in run.graph.nodes.items() if name in left]
    draft = Draft(nodes, library, set(run.graph.nodes), run.graph)
    draft.all_set = not uninitialized
    draft.undifferentiated = undifferentiated
    try:
        handles.lift(draft)
        arrays = tensor_lists.convert(draft, results)
        # What has numbered the elements of an array that is a list is needed no more.
        draft.remove(draft.nodes.keys() - needed(draft.wires))
        gradients.look_up_in_values(draft)
        kept = _convert_loops(draft, results)
        kept += conds.convert(draft, results)
        handles.take_directly(draft)
    except UnknownTensorError as error:
        kept = [Kept("is a tensor of unknown dtype in a loop or branch", (str(error),))]
        return Converted(run, finding(run.run.key, kept))
    # What a loop or a branch has a copy of may be needed no more outside.
    left = needed(draft.wires)
    graph = index([node for name, node in draft.nodes.items() if name in left], run.graph)
    cyclic = topological_order(graph)[1]
    if cyclic:
        kept = [Kept("would wait for itself as a function", tuple(cyclic[:3]))]
        return Converted(run, finding(run.run.key, kept))
    made = Rewritten(run.run, graph, run.fetches)
    return Converted(made, finding(run.run.key, kept), arrays_finding(run.run.key, arrays))


def _taking_handles(run: Rewritten, library: Library) -> Rewritten:
    """A run without control flow; a Switch that was folded may have left an Identity of a handle before its users."""
    if not any(attribute(run.graph.nodes[name], "T").type == RESOURCE for name in run.graph.named({"Identity"})):
        return run
    draft = Draft(run.graph.nodes.values(), library, set(run.graph.nodes), run.graph)
    handles.take_directly(draft)
    return Rewritten(run.run, index(draft.nodes.values(), run.graph), run.fetches)


def _is_root(graph: Graph, name: str) -> bool:
    return name in contexts(graph) and contexts(graph)[name].is_root


def _convert_loops(draft: Draft, results: Iterable[str]) -> list[Kept]:
    graph = draft.graph()
    if not graph.has(ENTERS):
        return []
    draft.unwritten = handles.unwritten(graph)
    if draft.all_set and gradients.read_in_outer_loops(draft):
        graph = draft.graph()
    found = frames(graph, frozenset(graph.named(handles.HANDLES)))
    awaited = frozenset(split(tensor)[0] for tensor in results)
    draft.alone = frozenset(name for name in graph.nodes if len(graph.consumers.get(f"{name}:0", ())) == 1) - awaited
    members = _members(draft, found)
    kept: list[Kept] = []
    stays: set[tuple[str, ...]] = set()
    staying: list[tuple[str, ...]] = []
    for path in loops.order_frames(found.path):
        result: Loop | Kept
        if path in stays:
            result = Kept("is around a loop that stays", (members[path][0],))
        elif path in found.mixed:
            result = Kept("takes inputs from inside and outside of a loop", tuple(found.mixed[path][:3]))
        else:
            result = loops.recognise(draft, members[path], awaited)
        if isinstance(result, Loop):
            made, more = loops.convert(draft, result)
            kept += more
            members.setdefault(path[:-1], []).extend(made)
        else:
            kept.append(result)
            staying.append(path)
            stays.update(path[:depth] for depth in range(1, len(path)))
    stay.repair(draft, {path: members[path] for path in staying})
    return kept


def _members(draft: Draft, found: Frames) -> dict[tuple[str, ...], list[str]]:
    """The nodes of each frame, an Exit with those that it comes from."""
    members: dict[tuple[str, ...], list[str]] = {}
    for name, path in found.path.items():
        known = draft.wires[name]
        if known.op == "Exit" and known.sources and known.sources[0] in found.path:
            path = found.path[known.sources[0]]
        members.setdefault(path, []).append(name)
    return members
