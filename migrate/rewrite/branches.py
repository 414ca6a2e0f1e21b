"""The branches of an If whose bodies hold ref ops take the place of the If, between a Switch and a Merge.

Only an If that a v1 Session runs as a kernel (no `_lower_using_switch_merge`). It runs a branch under the names that
its body has: a variable without a shared_name is one with those of that name in other branches, calls and the graph
(measured on 1.15.5; testdata/ask_ref_bodies.py). The kernel starts when all its inputs are there, runs each stateful op
of one branch, and gives all outputs at once; the edges made here say the same.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from migrate.graph.control_flow_contexts import ENTERS, SWITCHES
from migrate.graph.nodes import called_functions
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import FunctionDef, NodeDef
from migrate.rewrite import ops
from migrate.rewrite.inline import Outputs, filled, identity

_SIDES = (("else_branch", "else"), ("then_branch", "then"))
"""The attribute of the branch that each output of a Switch leads to, and what the names of its nodes begin with."""
_REFUSED = ops.HANDLES.keys() | SWITCHES | ENTERS | {"VarHandleOp"}
"""State of which a Session has one for each set of fetches, control flow within, and variables that are resources."""
_LOWER = "_lower_using_switch_merge"
_DT_BOOL = 10
_WITHOUT_VALUE = frozenset({20, 21})
"""DT_RESOURCE and DT_VARIANT: what they hold is state of its own."""


def expand(node: NodeDef, library: Mapping[str, FunctionDef], taken: Container[str]) -> tuple[NodeDef, ...]:
    """An If as Switch and Merge.

    Args:
      node: the If.
      library: functions by name.
      taken: names of the graph's nodes.

    Returns:
      The nodes that take its place, the last one with its name; nothing where this is not known to be the same.
    """
    data = [i for i in node.input if not i.startswith("^")]
    waits = [i for i in node.input if i.startswith("^")]
    dtypes, results = list(node.attr["Tin"].list.type), list(node.attr["Tout"].list.type)
    is_kernel = not (_LOWER in node.attr and node.attr[_LOWER].b)
    is_known = is_kernel and node.attr["Tcond"].type == _DT_BOOL and len(data) == len(dtypes) + 1
    if not is_known or not results or not _WITHOUT_VALUE.isdisjoint([*dtypes, *results]):
        return ()
    at = node.name
    inputs = [
        identity(f"{at}/input_{k}", dtype, tensor, waits)
        for k, (dtype, tensor) in enumerate(zip([_DT_BOOL, *dtypes], data, strict=True))
    ]
    start = NodeDef(name=f"{at}/inputs", op="NoOp", input=[f"^{made.name}" for made in inputs])
    switches = []
    for k, made in enumerate(inputs):
        switch = NodeDef(name=f"{at}/switch_{k}", op="Switch", input=[made.name, inputs[0].name, f"^{start.name}"])
        switch.attr["T"].CopyFrom(made.attr["T"])
        switches.append(switch)
    result = [*inputs, start, *switches]
    ends = []
    for side, (key, label) in enumerate(_SIDES):
        function = library.get(node.attr[key].func.name)
        body = _branch(f"{at}/{label}", function, library, switches, side, results) if function else ()
        if not body:
            return ()
        result += body
        ends.append([made.name for made in body[-len(results) :]])
    merges = []
    for k, dtype in enumerate(results):
        merge = NodeDef(name=f"{at}/merge_{k}", op="Merge", input=[end[k] for end in ends])
        merge.attr["T"].type, merge.attr["N"].i = dtype, len(ends)
        merges.append(merge)
    names = [made.name for made in (*result, *merges)]
    if len(set(names)) < len(names) or any(name in taken for name in names):
        return ()
    if len(results) == 1:
        return (*result, *merges, identity(at, results[0], merges[0].name, ()))
    given = NodeDef(name=at, op="IdentityN", input=[merge.name for merge in merges])
    given.attr["T"].list.type.extend(results)
    return (*result, *merges, given)


def _branch(
    at: str,
    function: FunctionDef,
    library: Mapping[str, FunctionDef],
    switches: list[NodeDef],
    side: int,
    results: list[int],
) -> tuple[NodeDef, ...]:
    """A branch's nodes, the last ones its outputs; nothing where it is not known how a Session runs them."""
    table, body, signature = load_op_table(), function.node_def, function.signature
    arguments, outputs = list(signature.input_arg), list(signature.output_arg)
    dtypes = [switch.attr["T"].type for switch in switches[1:]]
    plain = [arg for arg in (*arguments, *outputs) if not (arg.is_ref or arg.number_attr or arg.type_list_attr)]
    names = {name: f"{at}/{name}" for name in [*(a.name for a in arguments), *(n.name for n in body)]}
    if (
        [arg.type for arg in plain] != [*dtypes, *results]
        or len(plain) != len(arguments) + len(outputs)
        or len(names) != len(arguments) + len(body)
        or called_functions(body, dict.fromkeys(library, ()))
        or any(n.op in _REFUSED or n.op not in table for n in body)
        or any(arg.name not in function.ret for arg in outputs)
    ):
        return ()
    pivot = identity(f"{at}/pivot", _DT_BOOL, f"{switches[0].name}:{side}", ())
    made = [pivot]
    for arg, switch in zip(arguments, switches[1:], strict=True):
        made.append(identity(names[arg.name], arg.type, f"{switch.name}:{side}", ()))
    tensors = Outputs(function, names)
    kept = dict.fromkeys(function.control_ret.values())
    for node in body:
        new = NodeDef(name=names[node.name], op=node.op, device=node.device)
        inputs = [tensors.tensor(i) for i in node.input]
        if None in inputs or not filled(new, node, {}):
            return ()
        new.input.extend([i for i in inputs if i is not None] or [f"^{pivot.name}"])
        if node.op in ops.VARIABLES and not new.attr["shared_name"].s:
            new.attr["shared_name"].s = node.name.encode()
        elif node.op not in ops.VARIABLES and table[node.op].is_stateful:
            kept[node.name] = None
        made.append(new)
    for k, arg in enumerate(outputs):
        returned = tensors.tensor(function.ret[arg.name])
        if returned is None or any(name not in names for name in kept):
            return ()
        made.append(identity(f"{at}/output_{k}", arg.type, returned, [f"^{names[name]}" for name in kept]))
    return tuple(made)
