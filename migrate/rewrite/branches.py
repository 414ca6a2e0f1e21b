"""The functions of an If, Case or While whose bodies hold ref ops take its place, as v1 control flow.

What a v1 Session runs as a kernel (no `_lower_using_switch_merge`) runs under the names that its bodies have: a
variable without a shared_name is one with those of that name in other bodies, calls and the graph (measured on 1.15.5;
testdata/ask_ref_bodies.py). The kernel starts when all its inputs are there, runs each stateful op of one body, and
gives all outputs at once; the edges made here say the same.

What is lowered is part of the graph, under names of its own: a variable without a shared_name is one for each node.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.control_flow_contexts import ENTERS, SWITCHES
from migrate.graph.dtypes import dtype_value
from migrate.graph.function_calls import BRANCHES, LOOPS, callees, is_lowered
from migrate.graph.nodes import called_functions
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import FunctionDef, NodeDef
from migrate.rewrite import ops
from migrate.rewrite.function_bodies import Outputs, filled, identity
from migrate.rewrite.new_nodes import constant, new_node

_REFUSED = ops.HANDLES.keys() | SWITCHES | ENTERS | {"VarHandleOp"}
"""State of which a Session has one for each set of fetches, control flow within, and variables that are resources."""
_BOOL, _INT32 = dtype_value("bool"), dtype_value("int32")
_WITHOUT_VALUE = frozenset({dtype_value("resource"), dtype_value("variant")})
"""What they hold is state of its own."""

Library = Mapping[str, FunctionDef]


@frozen
class Expanded:
    """What takes the place of a node.

    Attributes:
      nodes: the last one has the node's name, and gives all outputs.
      moved: another name, for each of `node:0`, `node:1` and `^node` that is to be taken from elsewhere.
    """

    nodes: tuple[NodeDef, ...]
    moved: Mapping[str, str]


def expand(node: NodeDef, library: Library, taken: Container[str]) -> Expanded | None:
    """An If, Case or While as v1 control flow.

    Args:
      node: the If, Case or While.
      library: functions by name.
      taken: names of the graph's nodes.

    Returns:
      What takes its place; None where this is not known to be the same.
    """
    functions = [library[name] for name in callees(node) if name in library]
    data = [i for i in node.input if not i.startswith("^")]
    waits = [i for i in node.input if i.startswith("^")]
    is_loop = node.op in LOOPS
    given = list(node.attr["T" if is_loop else "Tin"].list.type)
    results = given if is_loop else list(node.attr["Tout"].list.type)
    signatures = [(given, [_asked(functions[0])]), (given, results)] if is_loop and functions else []
    if (
        not functions
        or len(functions) != len(list(callees(node)))
        or len(data) != len(given) + (not is_loop)
        or not results
        or not _WITHOUT_VALUE.isdisjoint([*given, *results])
        or not all(
            _is_known(function, library, *signature)
            for function, signature in zip(functions, signatures or [(given, results)] * len(functions), strict=True)
        )
    ):
        return None
    made = (_loop if is_loop else _branches)(node, functions, results, data, waits)
    if made is None:
        return None
    names = [new.name for new in made]
    if len(set(names)) < len(names) or any(name in taken for name in names):
        return None
    outputs = made[-len(results) :]
    moved = {f"{node.name}:{k}": output.name for k, output in enumerate(outputs)} if is_lowered(node) else {}
    if moved:
        moved[f"^{node.name}"] = f"^{node.name}/done"
    return Expanded((*made, _end(node.name, results, outputs)), moved)


def _end(name: str, results: Sequence[int], tensors: Sequence[NodeDef]) -> NodeDef:
    if len(results) == 1:
        return identity(name, results[0], tensors[0].name, ())
    end = NodeDef(name=name, op="IdentityN", input=[made.name for made in tensors])
    end.attr["T"].list.type.extend(results)
    return end


def _asked(condition: FunctionDef) -> int:
    """The dtype of what a While's condition gives."""
    outputs = condition.signature.output_arg
    return outputs[0].type if len(outputs) == 1 else 0


def _is_known(function: FunctionDef, library: Library, given: Sequence[int], results: Sequence[int]) -> bool:
    """Whether a function takes and gives such tensors, and a Session's way with all its ops is known."""
    table, body, signature = load_op_table(), function.node_def, function.signature
    arguments, outputs = list(signature.input_arg), list(signature.output_arg)
    plain = [arg for arg in (*arguments, *outputs) if not (arg.is_ref or arg.number_attr or arg.type_list_attr)]
    names = {*(arg.name for arg in arguments), *(node.name for node in body)}
    return (
        [arg.type for arg in plain] == [*given, *results]
        and len(plain) == len(arguments) + len(outputs)
        and len(names) == len(arguments) + len(body)
        and names.issuperset(function.control_ret.values())
        and not called_functions(body, dict.fromkeys(library, ()))
        and not any(n.op in _REFUSED or n.op not in table for n in body)
        and not any(attr.placeholder for n in body for attr in n.attr.values())
        and all(arg.name in function.ret for arg in outputs)
    )


def _inputs(at: str, dtypes: Sequence[int], data: Sequence[str], waits: Sequence[str]) -> list[NodeDef]:
    """An Identity of each input, and the NoOp that waits for all of them."""
    made = [identity(f"{at}/input_{k}", dtype, data[k], waits) for k, dtype in enumerate(dtypes)]
    return [*made, NodeDef(name=f"{at}/inputs", op="NoOp", input=[f"^{new.name}" for new in made])]


def _branches(
    node: NodeDef, functions: Sequence[FunctionDef], results: Sequence[int], data: Sequence[str], waits: Sequence[str]
) -> list[NodeDef] | None:
    """An If or Case as Switches and Merges, these last; of one that is lowered, `NAME/done` runs after the branch."""
    at = node.name
    is_whole = not is_lowered(node)
    has_index = "then_branch" not in BRANCHES[node.op]
    dtypes = [_INT32 if has_index else node.attr["Tcond"].type, *node.attr["Tin"].list.type]
    if is_whole:
        made = _inputs(at, dtypes, data, waits)
        tensors, start = [new.name for new in made[:-1]], [made[-1].name]
    else:
        # What a branch computes starts when its own inputs are there, and it takes nothing before the node may begin.
        made = [identity(f"{at}/input_0", dtypes[0], data[0], waits)]
        tensors, start = [made[0].name, *data[1:]], []
    labels = [str(k) for k in range(len(functions))] if has_index else ["then", "else"]
    ends: list[list[str]] = []
    done: list[str] = []
    for k, (label, function) in enumerate(zip(labels, functions, strict=True)):
        chosen = tensors
        if k < len(functions) - 1:  # The last one is for every other index.
            by = (_is_index(at, k) if has_index else _as_bool(f"{at}/is_true", dtypes[0], tensors[0])) or made[:1]
            made += by if by[0] is not made[0] else []
            suffix = f"{k}_" if has_index else ""
            switches = [
                new_node("Switch", f"{at}/switch_{suffix}{n}", [tensor, by[-1].name, *_after(start)], T=dtype)
                for n, (tensor, dtype) in enumerate(zip(tensors, dtypes, strict=True))
            ]
            made += switches
            chosen, tensors = [f"{s.name}:1" for s in switches], [s.name for s in switches]
        pivot = identity(f"{at}/{label}/pivot", dtypes[0], chosen[0], _after(start))
        made.append(pivot)
        body = _body(f"{at}/{label}", function, chosen[1:], pivot.name, is_whole)
        if body is None:
            return None
        made += body
        ends.append([new.name for new in body[-len(results) :]])
        done += [pivot.name, *(f"^{at}/{label}/{name}" for name in function.control_ret.values())]
    if not is_whole:
        pivots = [name for name in done if not name.startswith("^")]
        end = new_node("Merge", f"{at}/done", [*pivots, *(n for n in done if n.startswith("^"))], T=dtypes[0])
        end.attr["N"].i = len(pivots)
        made.append(end)
    for k, dtype in enumerate(results):
        made.append(new_node("Merge", f"{at}/merge_{k}", [end[k] for end in ends], T=dtype))
        made[-1].attr["N"].i = len(ends)
    return made


def _after(names: Iterable[str]) -> list[str]:
    return [f"^{name}" for name in names]


def _is_index(at: str, number: int) -> list[NodeDef]:
    """Whether a Case's index is this one."""
    const = constant(f"{at}/number_{number}", number, [f"{at}/input_0"])
    return [const, new_node("Equal", f"{at}/is_{number}", [f"{at}/input_0", const.name], T=_INT32)]


def _as_bool(name: str, dtype: int, tensor: str) -> list[NodeDef]:
    """What an If or While takes for true; nothing for a bool."""
    return [] if dtype == _BOOL else [new_node("ToBool", name, [tensor], T=dtype)]


def _loop(
    node: NodeDef, functions: Sequence[FunctionDef], dtypes: Sequence[int], data: Sequence[str], waits: Sequence[str]
) -> list[NodeDef] | None:
    """A While as Enter, Merge, Switch and Exit, these last.

    Where a kernel runs it, the first iteration starts when all inputs are there, and each other one when the one before
    has ended (`parallel_iterations`); of one that is lowered, `NAME/done` runs after the last iteration.
    """
    at = node.name
    condition, body = functions
    is_whole = not is_lowered(node)
    made = _inputs(at, dtypes, data, waits) if is_whole else [NodeDef(name=f"{at}/inputs", op="NoOp", input=waits)]
    start = [made[-1].name] if is_whole or waits else []
    tensors = [new.name for new in made[:-1]] if is_whole else data
    every = list(enumerate(dtypes))
    enters = [new_node("Enter", f"{at}/enter_{k}", [tensors[k], *_after(start)], T=dtype) for k, dtype in every]
    merges = [
        new_node("Merge", f"{at}/merge_{k}", [f"{at}/enter_{k}", f"{at}/next_{k}"], T=dtype) for k, dtype in every
    ]
    for merge in merges:
        merge.attr["N"].i = 2
    given = [identity(f"{at}/given_{k}", dtype, f"{at}/merge_{k}", ()) for k, dtype in every]
    asked = _body(f"{at}/cond", condition, [new.name for new in given], given[0].name, is_whole)
    if asked is None:
        return None
    predicate = _as_bool(f"{at}/is_true", _asked(condition), asked[-1].name)
    answer = NodeDef(name=f"{at}/loop_cond", op="LoopCond", input=[(predicate or asked)[-1].name])
    switches = [new_node("Switch", f"{at}/switch_{k}", [merges[k].name, answer.name], T=dtype) for k, dtype in every]
    pivot = identity(f"{at}/body/pivot", dtypes[0], f"{switches[0].name}:1", ())
    inner = _body(f"{at}/body", body, [f"{switch.name}:1" for switch in switches], pivot.name, is_whole)
    if inner is None:
        return None
    ends = inner[-len(dtypes) :]
    late = [] if is_whole else [f"^{at}/body/{name}" for name in body.control_ret.values()]
    nexts = [new_node("NextIteration", f"{at}/next_{k}", [ends[k].name, *late], T=dtype) for k, dtype in every]
    exits = [new_node("Exit", f"{at}/exit_{k}", [switches[k].name], T=dtype) for k, dtype in every]
    done = [] if is_whole else [NodeDef(name=f"{at}/done", op="NoOp", input=_after(e.name for e in exits))]
    outside, asked = _entered(asked, start)
    others, inner = _entered(inner, start)
    enters += [new for new in (*asked, *inner) if new.op == "RefEnter"]
    for enter in enters:
        enter.attr["frame_name"].s = f"{at}/frame".encode()
        if is_whole:
            enter.attr["parallel_iterations"].i = 1
        elif "parallel_iterations" in node.attr:
            enter.attr["parallel_iterations"].i = node.attr["parallel_iterations"].i
    begin = [*made, *outside, *others, *enters, *merges, *given]
    inside = [new for new in (*asked, *predicate, answer, *switches, pivot, *inner) if new.op != "RefEnter"]
    return [*begin, *inside, *nexts, *done, *exits]


def _entered(body: Sequence[NodeDef], start: Sequence[str]) -> tuple[list[NodeDef], list[NodeDef]]:
    """The variables of a loop's body, which are outside, and the body, with a RefEnter of each before it."""
    outside, entered = [], []
    moved: dict[str, str] = {}
    for node in body:
        if node.op not in ops.VARIABLES:
            continue
        enter = new_node("RefEnter", f"{node.name}/enter", [node.name], T=node.attr["dtype"].type)
        enter.attr["is_constant"].b = True
        moved |= {f"{node.name}:0": enter.name, f"^{node.name}": f"^{enter.name}"}
        outside.append(NodeDef(name=node.name, op=node.op, device=node.device, attr=node.attr, input=_after(start)))
        entered.append(enter)
    inside = [node for node in body if node.op not in ops.VARIABLES]
    return outside, [*entered, *redirected(inside, moved)]


def _body(at: str, function: FunctionDef, given: Sequence[str], pivot: str, is_whole: bool) -> list[NodeDef] | None:
    """The nodes of a function, the last ones its outputs; None where it names what is not there.

    Args:
      at: what their names begin with.
      function: as `_is_known` wants it.
      given: a tensor for each argument.
      pivot: name of the node for which all waits that takes nothing.
      is_whole: whether a kernel runs it.
    """
    table = load_op_table()
    arguments, body = function.signature.input_arg, function.node_def
    names = {name: f"{at}/{name}" for name in [*(arg.name for arg in arguments), *(node.name for node in body)]}
    waits = [] if is_whole else [f"^{pivot}"]
    made = [identity(names[arg.name], arg.type, tensor, waits) for arg, tensor in zip(arguments, given, strict=True)]
    tensors = Outputs(function, names)
    kept = dict.fromkeys(function.control_ret.values() if is_whole else ())
    for node in body:
        new = _renamed(node, names, tensors, pivot)
        if new is None:
            return None
        if is_whole and node.op in ops.VARIABLES and not new.attr["shared_name"].s:
            new.attr["shared_name"].s = node.name.encode()
        elif is_whole and node.op not in ops.VARIABLES and table[node.op].is_stateful:
            kept[node.name] = None
        made.append(new)
    for k, arg in enumerate(function.signature.output_arg):
        returned = tensors.tensor(function.ret[arg.name])
        if returned is None:
            return None
        made.append(identity(f"{at}/output_{k}", arg.type, returned, [f"^{names[name]}" for name in kept]))
    return made


def _renamed(node: NodeDef, names: Mapping[str, str], tensors: Outputs, pivot: str) -> NodeDef | None:
    new = NodeDef(name=names[node.name], op=node.op, device=node.device)
    inputs = [tensors.tensor(i) for i in node.input]
    if None in inputs or not filled(new, node, {}):
        return None
    new.input.extend([i for i in inputs if i is not None] or [f"^{pivot}"])
    return new


def redirected(nodes: Iterable[NodeDef], moved: Mapping[str, str]) -> list[NodeDef]:
    """Nodes whose inputs are taken from elsewhere.

    Args:
      nodes: of a graph; they are not changed.
      moved: as `Expanded` has it.
    """
    result = []
    for node in nodes:
        inputs = [moved.get(i if ":" in i or i.startswith("^") else f"{i}:0", i) for i in node.input]
        if inputs != list(node.input):
            node = NodeDef.FromString(node.SerializeToString())
            node.input[:] = inputs
        result.append(node)
    return result
