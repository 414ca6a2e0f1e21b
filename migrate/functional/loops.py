"""A frame of v1 control flow becomes a While.

A loop variable is an Enter, a Merge of it with a NextIteration, a Switch of the Merge by the frame's one LoopCond, and
an Exit (while_loop, control_flow_ops.py). What leads from the Merges to the LoopCond is the condition, what leads from
the Switches to the NextIterations the body. A frame of any other form stays as it is.

The While has the arguments that TensorFlow 2's own loops have (while_v2.py): how often the body has run, how often it
may, the loop variables, and what the loop takes from outside. The gradient of a While relies on the first two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from migrate.functional import limits
from migrate.functional.draft import RESOURCE, Draft
from migrate.functional.handles import HANDLES, behind_identities, read_inside
from migrate.functional.kept import Kept
from migrate.functional.loop_functions import SMALL, Loop, Variable, make_body, make_condition, own_constant
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import as_input, split
from migrate.graph.nodes import reachable
from migrate.graph.protos import NodeDef
from migrate.rewrite.new_nodes import constant, new_node

_INT32 = dtype_value("int32")
_FRAME = "/while_context"
"""What TensorFlow adds to the name of a loop for its frame's."""
_SHAPES_STAY = "cflow_gradient_wrapper"
"""What TensorFlow looks for in a body's name before it moves the shapes and lengths that a gradient asks for into the
forward loop, which hands them on in lists (while_v2.py, `_create_op_internal`): XLA would no longer know them. It also
looks whether the body was made for XLA, which a body that is loaded never was; so its own models fail there too."""
_UNKNOWN = -1
"""The number of iterations of a loop without a limit (_build_maximum_iterations_loop_var, while_v2.py)."""
_AT_ONCE = 10
"""`parallel_iterations` of an Enter that does not say it (control_flow_ops.cc)."""


def recognise(draft: Draft, members: Sequence[str], awaited: Collection[str]) -> Loop | Kept:
    """Finds the parts of a frame.

    Args:
      draft: the graph; frames within this one are functional already.
      members: names of the frame's nodes with its Exits.
      awaited: names of the nodes that the run fetches or runs for their effect.
    """
    wires = draft.wires
    inside = set(members)
    by_op: dict[str, list[str]] = {}
    for name in members:
        by_op.setdefault(wires[name].op, []).append(name)
    questions = by_op.get("LoopCond", [])
    if len(questions) != 1:
        return Kept(f"begins a loop with {len(questions)} LoopConds", (by_op["Enter"][0], *questions))
    question = questions[0]
    constants = [name for name in by_op["Enter"] if draft.nodes[name].attr["is_constant"].b]
    entering = set(by_op["Enter"]) - set(constants)
    steps = set(by_op.get("NextIteration", ()))
    switches: dict[str, list[str]] = {}
    for name in by_op.get("Switch", ()):
        if wires[name].data[1] == f"{question}:0":
            switches.setdefault(wires[name].data[0], []).append(name)
    exits: dict[str, list[str]] = {}
    for name in by_op.get("Exit", ()):
        exits.setdefault(wires[name].data[0], []).append(name)
    variables = []
    for name in by_op.get("Merge", ()):
        sources = wires[name].sources
        if steps.isdisjoint(sources) and entering.isdisjoint(sources):
            continue  # The end of a cond.
        enters = [source for source in sources if source in entering]
        nexts = [source for source in sources if source in steps]
        if len(sources) != 2 or len(enters) != 1 or len(nexts) != 1:
            return Kept("merges other than a start with the next iteration", (name,))
        mine = switches.pop(f"{name}:0", [])
        ends = [end for switch in mine for end in exits.pop(f"{switch}:0", ())]
        variables.append(Variable(enters[0], name, nexts[0], tuple(mine), tuple(ends)))
    for kind, left in (("splits", switches), ("leaves the loop with", exits)):
        if left:
            name = next(iter(left.values()))[0]
            return Kept(f"{kind} what is no loop variable", (name,))
    for each, used in ((entering, [v.enter for v in variables]), (steps, [v.following for v in variables])):
        if len(used) != len(set(used)) or each != set(used):
            names = each.symmetric_difference(used) or used
            return Kept("is not part of one loop variable", tuple(sorted(names)[:3]))
    if not variables:
        return Kept("begins a loop without loop variables", (question,))
    wrong = _wrong_use(draft, members, variables, question)
    if wrong is not None:
        return wrong
    roles = {*entering, *constants, *steps, question, *(v.merge for v in variables)}
    roles |= {name for v in variables for name in (*v.switches, *v.exits)}

    def behind(name: str) -> Iterable[str] | None:
        return wires[name].behind if name in inside and name not in roles else None

    condition = reachable(wires[question].behind, behind)
    body = reachable((source for v in variables for source in wires[v.following].behind), behind)
    unused = inside - roles - condition - body
    # Such as the constant with which the counter of a loop within this one began.
    idle = {name for name in unused if wires[name].op == "Const"}
    left_over = unused - idle
    if left_over:
        return Kept("is in a loop and leads to none of its ends", tuple(sorted(left_over)[:3]))
    fetched = (inside - {name for v in variables for name in v.exits}).intersection(awaited)
    if fetched:
        return Kept("is in a loop and fetched", tuple(sorted(fetched)[:3]))
    shared = [name for name in condition & body if draft.library.is_stateful(draft.nodes[name])]
    if shared:
        return Kept("is in the condition of a loop and used in its body", tuple(sorted(shared)[:3]))
    counters = _counters(draft, variables, constants, question, [n for n in members if n in condition])
    others = tuple(variable for variable in variables if variable not in counters)
    needed = reachable((source for v in others for source in wires[v.following].behind), behind)
    if any(draft.library.is_stateful(draft.nodes[name]) for name in body - needed - condition):
        counters, others, needed = (), tuple(variables), body  # A constant of a counter waits for an effect.
    ordered = [tuple(n for n in members if n in part) for part in (condition, needed, idle | body - needed - condition)]
    return Loop(others, counters, tuple(constants), question, *ordered)


def _counters(
    draft: Draft, variables: Sequence[Variable], constants: Sequence[str], question: str, condition: Sequence[str]
) -> tuple[Variable, ...]:
    """The loop variables that the While's own counter is.

    tf2onnx asks the condition with the counter of the iteration before, and ends a loop in time by its
    `maximum_iterations`: so a condition takes one such variable at most, and compares it with that number alone.
    """
    found: list[Variable] = []
    is_asked = False
    for variable in variables:
        if not _counts(draft, variable):
            continue
        users = [name for name in condition if f"{variable.merge}:0" in draft.wires[name].data]
        alone = Loop((), (variable,), tuple(constants), question, tuple(condition), (), ())
        if users and (is_asked or len(users) > 1 or not _is_given(draft, limits.limit(draft, alone))):
            continue
        is_asked = is_asked or bool(users)
        found.append(variable)
    return tuple(found)


def _is_given(draft: Draft, limit: int | str | None) -> bool:
    """Whether a While takes a limit: a number, or what is no variable's value that the functions read themselves."""
    if isinstance(limit, str):
        return read_inside(draft, draft.wires[split(limit)[0]].data[0]) is None
    return limit is not None


def _counts(draft: Draft, variable: Variable) -> bool:
    """Whether a loop variable is 0 in the first iteration and one more in each, and nothing waits for that.

    One whose last value is asked for stays beside the While's own: tf2onnx leaves the first two outputs out.
    """
    following = draft.wires[variable.following]
    waits = following.controls or draft.wires[following.sources[0]].controls
    return not waits and not variable.exits and limits.progress(draft, variable) == limits.Progress(0, 1)


def _wrong_use(draft: Draft, members: Sequence[str], variables: Sequence[Variable], question: str) -> Kept | None:
    """A node that takes a part of a loop variable which only other parts may take."""
    only: dict[str, frozenset[str]] = {f"{question}:0": frozenset({"Switch"})}
    for variable in variables:
        only[f"{variable.enter}:0"] = frozenset({"Merge"})
        only[f"{variable.following}:0"] = frozenset({"Merge"})
        only[f"{variable.merge}:1"] = frozenset()
        only.update((f"{switch}:0", frozenset({"Exit"})) for switch in variable.switches)
    for name in members:
        known = draft.wires[name]
        for tensor in known.data:
            if tensor in only and known.op not in only[tensor]:
                return Kept(f"takes {as_input(tensor)!r}, which the loop alone may use", (name,))
    return None


def convert(draft: Draft, loop: Loop) -> tuple[list[str], list[Kept]]:
    """Puts a While in the place of a frame; each Exit becomes an Identity of an output, or stops gradients.

    Args:
      draft: the graph; it is changed.
      loop: the frame.

    Returns:
      Names of the nodes in the frame's place, and the conds of its functions that stay as they are.

    Raises:
      UnknownTensorError: an op is unknown.
    """
    enter = draft.nodes[loop.every[0].enter]
    frame = enter.attr["frame_name"].s.decode("utf-8", "replace")
    name = draft.unique(frame.removesuffix(_FRAME) or "while")
    taken = _taken(draft, loop)
    starts = [draft.wires[v.enter].data[0] for v in loop.variables]
    limit = limits.limit(draft, loop)
    entered = taken.get(limit) if isinstance(limit, str) else None
    outers = [outer for outer in dict.fromkeys(taken.values()) if outer != entered]
    dtypes = [_INT32, _INT32, *map(draft.dtype, (*starts, *outers))]
    # XLA differentiates a loop only if it has a limit.
    hint = f"{name}/body" if limit is None else f"{name}/{_SHAPES_STAY}/body"
    body, kept = make_body(draft, loop, taken, entered, dtypes, hint)
    condition, more = make_condition(draft, loop, taken, entered, dtypes, f"{name}/cond")
    made = [constant(draft.unique(f"{name}/loop_counter"), 0, ())]
    if entered is None:
        number = limit if isinstance(limit, int) else _UNKNOWN
        made.append(constant(draft.unique(f"{name}/maximum_iterations"), number, ()))
    first = [made[0].name, made[1].name if entered is None else as_input(entered)]
    # The gradient looks for a handle behind a While, and not behind a StatelessWhile (control_flow_util_v2.py).
    is_stateful = RESOURCE in dtypes or any(draft.library.holds_state(function) for function in (body, condition))
    node = NodeDef(name=name, op="While" if is_stateful else "StatelessWhile")
    node.input.extend([*first, *map(as_input, (*starts, *outers))])
    before = [*loop.constants, *(v.enter for v in loop.every)]
    handed = [draft.wires[enter].data[0] for enter in loop.constants]
    # A constant with which a counter begins, or of which the functions have copies, may wait for something.
    before += [split(draft.wires[v.enter].data[0])[0] for v in loop.counters]
    copied = [tensor for tensor in handed if own_constant(draft, tensor) is not None]
    before += [split(draft.before(tensor, frozenset({"Identity"})))[0] for tensor in copied]
    waits = [wait for each in before for wait in draft.wires[each].controls]
    waits += [split(tensor)[0] for tensor in handed if behind_identities(draft, tensor) is not None]
    node.input.extend(dict.fromkeys(f"^{wait}" for wait in waits))
    node.attr["T"].list.type.extend(dtypes)
    node.attr["body"].func.name = body
    node.attr["cond"].func.name = condition
    has_limit = "parallel_iterations" in enter.attr
    node.attr["parallel_iterations"].i = enter.attr["parallel_iterations"].i if has_limit else _AT_ONCE
    node.attr["_lower_using_switch_merge"].b = True
    for position, dtype in enumerate(dtypes):
        node.attr["output_shapes"].list.shape.add(unknown_rank=position > 1 and dtype != RESOURCE)
    ends = [
        new_node(_end(draft, end, dtypes[position]), end, [f"{name}:{position}"], T=dtypes[position])
        for position, variable in enumerate(loop.variables, 2)
        for end in variable.exits
    ]
    draft.remove(loop.names & draft.nodes.keys())
    made += [node, *ends]
    for new in made:
        draft.put(new)
    return [new.name for new in made], [*kept, *more]


def _end(draft: Draft, name: str, dtype: int) -> str:
    """The op in the place of an Exit."""
    return "StopGradient" if name in draft.undifferentiated and dtype != RESOURCE else "Identity"


def _taken(draft: Draft, loop: Loop) -> dict[str, str]:
    """What the functions take from outside: the tensor there by the one for which it stands in the frame.

    Constants that are small, or that one of the functions alone takes, and reads of variables that the run does not
    write are not among it: each function has a copy, which takes the handle. Handles need no Enter.
    """
    inside = {*loop.condition, *loop.body}
    asked = _data(draft, (*loop.condition, loop.question))
    done = _data(draft, (*loop.body, *(v.following for v in loop.variables)))
    used = asked | done
    entered = {f"{enter}:0": _direct(draft, draft.wires[enter].data[0]) for enter in loop.constants}
    found: dict[str, str] = {}
    for tensor, outer in entered.items():
        read = read_inside(draft, outer) if tensor in used else None
        if read is not None:
            handle = draft.wires[read.name].data[0]
            found[handle] = handle
        elif tensor in used:
            own = own_constant(draft, outer)
            if own is None or (own.ByteSize() > SMALL and tensor in asked and tensor in done):
                found[tensor] = outer
    for name in (*loop.condition, *loop.body):
        known = draft.wires[name]
        for tensor, source in zip(known.data, known.sources, strict=True):
            if source not in inside and draft.nodes[source].op in HANDLES:
                found[tensor] = tensor
    return found


def _data(draft: Draft, names: Iterable[str]) -> set[str]:
    return {tensor for name in names for tensor in draft.wires[name].data}


def _direct(draft: Draft, tensor: str) -> str:
    """The handle behind Identities, or the tensor itself."""
    handle = behind_identities(draft, tensor)
    return tensor if handle is None else f"{handle.name}:0"


def order_frames(paths: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The frames of a graph, those within others first."""
    return sorted({path for path in paths.values() if path}, key=lambda path: (-len(path), path))
