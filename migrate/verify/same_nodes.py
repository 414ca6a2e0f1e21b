"""The nodes of a candidate that have names of its source's: each is the same op, with the same attributes and inputs.

An attribute may say what shows in rare calls alone: how much of a JPEG must be there, which text a pattern matches, how
a bound is rounded. So may an edge in a branch that no call takes. Nodes keep their names in the functions of a
converted model; the few that are new there read, write and hand on. No TensorFlow.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence

from migrate.graph.attr_defaults import encoded, encoded_attributes, has_functions
from migrate.graph.contract import tensor_names
from migrate.graph.dtypes import dtype_value
from migrate.graph.function_calls import BRANCHES, callees
from migrate.graph.graph import control_inputs, data_inputs
from migrate.graph.nodes import behind
from migrate.graph.op_table import PLACEHOLDERS, load_op_table
from migrate.graph.output_numbers import output_number
from migrate.graph.protos import AttrValue, FunctionDef, MetaGraphDef, NodeDef
from migrate.proof.equations import RESHAPES
from migrate.records import Mismatch
from migrate.verify.bodies import bodies
from migrate.verify.differences import mismatch
from migrate.verify.lowered_flow import Cut, cut_as
from migrate.verify.same_outputs import CODE, output_differences
from migrate.verify.source_nodes import SourceNodes, is_exporters, is_replaceable
from migrate.verify.used_nodes import PREFIX, used_nodes

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_FLOW = frozenset({"Enter", "Exit", "LoopCond", "Merge", "NextIteration", "Switch"})
"""Control flow of v1, which branches that are decided lose, and which may become functions."""
_ARRAY, _LIST = "TensorArray", "TensorList"
_FOR_FLOW = frozenset({"Const", "Identity", "NoOp", "ReadVariableOp", *BRANCHES})
_FOR_ENDS = frozenset({("Exit", "StopGradient"), ("Merge", "IdentityN")})
"""A loop of `back_prop=False` ends in the one (see `gradient_marks`); the other has a Merge's index as well."""
_FOR_FED = frozenset({"Const", "Identity"})
_EXPORTED = frozenset({"Const", "Identity", "IdentityN", "NoOp"})
_NEW = frozenset(
    {
        *_EXPORTED,
        *("ReadVariableOp", "VarHandleOp", "VarIsInitializedOp"),
        *(*_CALLS, *_FLOW, *BRANCHES),
    }
)
"""Ops of nodes whose names the source does not have: they hand on, read, and ask whether there is something to read."""
_COUNTER = re.compile(r"loop_counter/next(?:_\d+)?")
"""What counts the iterations of a loop that has become a While."""
_STEP = re.compile(r".+/step_\d+(?:_\d+)?")
"""What is done once more with a variable where it is read: its buffer has another shape there."""
_ELSEWHERE = frozenset({"Const", "VarHandleOp", *PLACEHOLDERS})
"""Ops whose attributes are compared by other checks, or say nothing: names, shapes, the values of constants."""
_NOT_COMPARED = frozenset(
    {
        *("container", "shared_name", "output_shapes", "config_proto", "config", "executor_type"),
        *("parallel_iterations", "swap_memory"),
    }
)
"""Attributes that are compared by other checks, are for the runtime, or say nothing."""
_HANDLES = tuple(("type", dtype_value(name)) for name in ("resource", "variant"))


def node_differences(graphs: Sequence[MetaGraphDef], new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Nodes of a candidate that differ from the source's node of their name, or compute what no node of it does.

    Args:
      graphs: the source's MetaGraphDefs, that with the signatures first. In a TF2 SavedModel, of which nothing is told,
        a name may be that of nodes of several functions.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    before, *_ = graphs
    if before.object_graph_def.nodes:
        return
    source = SourceNodes(graphs)
    # What tables are filled with is compared as such.
    functions = [used for used in used_nodes(new) if used.has_names and not used.of_resource]
    if not _keeps_names(before, {(node.name.removeprefix(PREFIX), node.op) for f in functions for node in f.nodes}):
        return
    arguments = {where: frozenset(names) for where, names, _ in bodies(new)}
    library = {function.signature.name: function for function in new.graph_def.library.function}
    for used in functions:
        function = _Function(source, used.nodes, arguments.get(used.where, frozenset()), library)
        for node in used.nodes:
            if reason := _differs(source, node, function):
                yield mismatch(CODE, path, f"{reason} ({used.where})", "", node.name)
    yield from output_differences(before, source, new, path)


class _Function:
    """A function of the candidate.

    Attributes:
      arguments: names of its arguments.
      library: each function that it may call, by name.
    """

    def __init__(
        self,
        source: SourceNodes,
        nodes: Sequence[NodeDef],
        arguments: Collection[str],
        library: Mapping[str, FunctionDef],
    ) -> None:
        self.arguments, self.library = arguments, library
        self._source, self.nodes = source, {node.name: node for node in nodes}
        self._handed = {
            node.name: next(iter(data_inputs(node)), "")
            for node in nodes
            if node.op == "Identity" and not source.names(node.name)
        }

    @functools.cached_property
    def _awaited(self) -> Collection[str]:
        """Names of nodes of the source for which a node of this function waits by a control edge there."""
        nodes = (node for name in self.nodes for node in self._source.named(name))
        return {name for node in nodes for name in control_inputs(node)}

    def cut(self, one: NodeDef, node: NodeDef) -> Cut | None:
        """What a v1 Session runs of a source's node of whose outputs a candidate's node has some; see `cut_as`."""
        if not self._source.is_lowered(one):
            return None
        return cut_as(one, self._source.functions, node, self.library, one.name in self._awaited)

    def behind(self, tensor: str) -> str:
        """The tensor that a tensor is, behind Identities that are new."""
        seen: set[str] = set()
        while self._handed.get(name := _name(tensor)) and name not in seen:
            seen.add(name)
            tensor = self._handed[name]
        return tensor


def _keeps_names(source: MetaGraphDef, found: Collection[tuple[str, str]]) -> bool:
    """Whether a candidate was made of the source's graph: another port of the model has names of its own.

    Args:
      source: the source's.
      found: names and ops of the candidate's nodes.
    """
    nodes = {node.name: node for node in source.graph_def.node}
    infos = [info for signature in source.signature_def.values() for info in signature.outputs.values()]
    outputs = [tensor for info in infos for tensor in tensor_names(info)]
    computed = [(name, nodes[name].op) for name in behind(nodes, outputs) if _is_compared_op(nodes[name].op)]
    # A branch that is decided is left out, and an output of a name adds a number to the node's.
    kept = sum(each in found or (f"{each[0]}_0", each[1]) in found for each in computed)
    return 2 * kept >= len(computed)


def _differs(source: SourceNodes, node: NodeDef, function: _Function) -> str:
    """Why a node differs from the source's node of its name; empty if it does not, or if there need not be one."""
    if node.op in _CALLS or (node.op in _EXPORTED and is_exporters(node.name)):
        return ""
    named = source.named(node.name)
    if not named:
        is_known = _may_be_new(node) or source.is_replaced(node.name)
        return "" if is_known else f"the source has no node of this name, and it computes {node.op}"
    alike = [one for one in named if one.op == node.op]
    if not alike:
        is_new = any(_may_become(one.op, node) for one in named)
        return "" if is_new else f"expected {named[0].op}, found {node.op}"
    reasons = [_differs_from(source, one, node, function) for one in alike]
    return reasons[0] if all(reasons) else ""


def _differs_from(source: SourceNodes, one: NodeDef, node: NodeDef, function: _Function) -> str:
    cut = function.cut(one, node)
    expected = one if cut is None else cut.node
    return (
        _of_attributes(expected, node)
        or _of_functions(source, expected, node, function, cut)
        or _of_inputs(source, expected, node, function)
    )


def _of_attributes(one: NodeDef, node: NodeDef) -> str:
    if node.op in _ELSEWHERE:
        return ""
    theirs, mine = (encoded_attributes(each, _NOT_COMPARED) for each in (one, node))
    for key in sorted(theirs.keys() | mine.keys()):
        # A handle takes the place of what it holds, a list that of an array's flow.
        if theirs.get(key) != mine.get(key) and mine.get(key) not in _HANDLES:
            return f"expected {key} of {node.op} to be {_told(theirs.get(key))}, found {_told(mine.get(key))}"
    return ""


def _of_functions(source: SourceNodes, one: NodeDef, node: NodeDef, function: _Function, cut: Cut | None) -> str:
    """Functions have names of their own; one is told by the nodes that its body has, and by what its results are.

    Args:
      cut: what is run of a node of control flow that is lowered.
    """
    runs = dict(zip(callees(one), () if cut is None else cut.needed, strict=False))
    for key in sorted(key for key, value in one.attr.items() if has_functions(value)):
        theirs = _names_of_functions(one.attr[key])
        mine = _names_of_functions(node.attr[key]) if key in node.attr else []
        for expected, found in itertools.zip_longest(theirs, mine, fillvalue=""):
            run = runs.get(expected)
            whole = _compared(source.functions.get(expected))
            wanted = {(inner.name, inner.op) for inner in whole if run is None or inner.name in run}
            body = _compared(function.library.get(found))
            given = {(name, inner.op) for inner in body for name in source.names(inner.name)}
            if not wanted <= given:
                return f"expected {key} of {node.op} to be a function like {expected!r}, found {found!r}"
            kept = None if cut is None or key == "cond" else cut.outputs
            if told := _of_results(source, expected, found, kept, function.library):
                return f"expected {key} of {node.op} to give {told}"
            if told := _of_arguments(source, expected, found, function.library):
                return f"expected {key} of {node.op}, a function like {expected!r}, to have {told}"
    return ""


def _of_results(
    source: SourceNodes,
    expected: str,
    found: str,
    kept: Sequence[int] | None,
    library: Mapping[str, FunctionDef],
) -> str:
    """Which result is expected of a function, and which one is found; empty where all may be the same."""
    whole, mine = source.functions.get(expected), library.get(found)
    if whole is None or mine is None:
        return ""
    theirs = [whole.ret[result.name] for result in whole.signature.output_arg if result.name in whole.ret]
    results = [mine.ret[result.name] for result in mine.signature.output_arg if result.name in mine.ret]
    wanted = theirs if kept is None else [theirs[k] for k in kept if k < len(theirs)]
    if len(wanted) != len(results):
        return f"{len(wanted)} results, found {len(results)}"
    function = _Function(source, mine.node_def, [argument.name for argument in mine.signature.input_arg], library)
    arguments = {argument.name for argument in whole.signature.input_arg}
    for tensor, taken in zip(wanted, map(function.behind, results), strict=True):
        names = [_name(tensor), _name(taken)]
        if arguments.issuperset(names) and names[0] != names[1]:
            return f"{names[0]!r}, found {names[1]!r}"
        if told := _of_tensor(source, tensor, taken, function):
            return told
    return ""


def _of_arguments(source: SourceNodes, named: str, called: str, library: Mapping[str, FunctionDef]) -> str:
    """Which node of a function takes another argument than the source's; empty where none does.

    Arguments keep their names; one of another name is a new one.
    """
    whole, mine = source.functions.get(named), library.get(called)
    if whole is None or mine is None:
        return ""
    arguments = {argument.name for argument in whole.signature.input_arg}
    own = {node.name: node for node in whole.node_def}
    function = _Function(source, mine.node_def, [argument.name for argument in mine.signature.input_arg], library)
    for node in mine.node_def:
        one = own.get(node.name)
        if one is None or one.op != node.op:
            continue
        for tensor, taken in zip(data_inputs(one), map(function.behind, data_inputs(node)), strict=False):
            expected, found = _name(tensor), _name(taken)
            if found in arguments and found != expected:
                return f"{node.name!r} take {expected!r}, found {found!r}"
    return ""


def _compared(function: FunctionDef | None) -> list[NodeDef]:
    """The nodes of a function by which it is told."""
    return [] if function is None else [node for node in function.node_def if _is_compared_op(node.op)]


def _names_of_functions(value: AttrValue) -> list[str]:
    return [value.func.name] if value.HasField("func") else [function.name for function in value.list.func]


def _is_compared_op(op: str) -> bool:
    return op not in _NEW and op not in PLACEHOLDERS and not op.startswith(_ARRAY) and not is_replaceable(op)


def _of_inputs(source: SourceNodes, one: NodeDef, node: NodeDef, function: _Function) -> str:
    theirs, mine = data_inputs(one), data_inputs(node)
    if len(theirs) != len(mine):
        return f"expected {node.op} to take {len(theirs)} inputs, found {len(mine)}"
    for expected, found in zip(theirs, mine, strict=True):
        if told := _of_tensor(source, expected, function.behind(found), function):
            return f"expected {node.op} to take {told}"
    return ""


def _of_tensor(source: SourceNodes, tensor: str, taken: str, function: _Function) -> str:
    """Which tensor is expected and which one is found; empty where they may be the same."""
    expected, found = _name(tensor), _name(taken)
    is_argument = found in function.arguments
    names = source.names(found)
    is_new = not is_argument and not names
    if not is_new and expected in (found.removeprefix(PREFIX), *names):
        return _of_number(source, tensor, taken, function)
    if is_new or not {*names}.isdisjoint(_through_flow(source, expected)):
        return ""  # What has a name of its own is compared as a node.
    if any(is_replaceable(giver.op) for giver in source.named(expected)):
        return ""
    if is_argument and _may_be_given(source, expected):
        return ""
    return f"{expected!r}, found {'an argument' if is_argument else repr(found)}"


def _of_number(source: SourceNodes, tensor: str, taken: str, function: _Function) -> str:
    """The same of two outputs of nodes of one name."""
    node = function.nodes.get(_name(taken))
    if node is None or node.op in _CALLS:
        return ""
    mine = output_number(taken, node)
    told = ""
    for one in source.named(_name(tensor)):
        theirs = output_number(tensor, one)
        if one.op != node.op or mine is None or theirs is None:
            return ""
        cut = function.cut(one, node)
        found = mine if cut is None else dict(enumerate(cut.outputs)).get(mine)
        if found == theirs:
            return ""
        told = f"output {theirs} of {one.name!r}, found {'none of its' if found is None else found}"
    return told


def _through_flow(source: SourceNodes, name: str) -> set[str]:
    """A node, and those whose value it hands on: in a branch that is a function they are taken as they are."""
    found = {name}
    pending = [name]
    for each in pending:  # grows while it is read
        for node in source.named(each) if len(found) < _MOST_BEHIND else ():
            if node.op in _FLOW:
                fresh = [giver for giver in _givers(node) if giver not in found]
                found.update(fresh)
                pending += fresh
    return found


_MOST_BEHIND = 200


def _may_be_given(source: SourceNodes, name: str) -> bool:
    """Whether a function takes what a node gives as an argument: inputs, handles, assets, a loop's state."""
    named = source.named(name)
    return name in source.fed or not named or any(_may_be_argument(one.op) for one in named)


def _may_be_argument(op: str) -> bool:
    known = load_op_table().get(op)
    is_given = op == "Const" or op in PLACEHOLDERS or op in _FLOW or op.startswith(_ARRAY)
    return is_given or known is None or known.is_stateful or known.has_ref


def _name(tensor: str) -> str:
    return tensor.partition(":")[0]


def _givers(node: NodeDef) -> Sequence[str]:
    return [_name(tensor) for tensor in data_inputs(node)]


def _may_be_new(node: NodeDef) -> bool:
    """Whether a conversion makes such nodes under names of their own, whatever the source is."""
    is_counter = node.op == "AddV2" and bool(_COUNTER.fullmatch(node.name))
    is_step = node.op in RESHAPES and bool(_STEP.fullmatch(node.name))
    return is_counter or is_step or node.op in _NEW or node.op.startswith(_LIST)


def _may_become(op: str, node: NodeDef) -> bool:
    """Whether a node of another op may be in the place of one: of what is replaced, decided, fed or read."""
    if is_replaceable(op):
        return True
    is_handle = node.op == "Identity" and "T" in node.attr and encoded(node.attr["T"]) in _HANDLES
    is_end = (op, node.op) in _FOR_ENDS
    is_flow = is_end or (op in _FLOW and node.op in _FOR_FLOW) or (op.startswith(_ARRAY) and node.op.startswith(_LIST))
    is_read = (op, node.op) == ("Identity", "ReadVariableOp") or (op in RESHAPES and is_handle)
    return is_flow or is_read or (op in PLACEHOLDERS and node.op in _FOR_FED)


def _told(value: Hashable) -> str:
    if value is None:
        return "absent"
    text = repr(value[-1]) if isinstance(value, tuple) else repr(value)
    return text if len(text) < 80 else text[:80] + "..."
