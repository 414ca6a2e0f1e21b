"""What a run does outside the process: which files it reads under which names, and what else it touches.

Loading a model runs its restore op and its init op, so nothing may stand there but ops that stay inside the process,
and reads of the model's own files. TensorFlow evaluates what it takes for a constant while it imports a graph, so no
op that reads a file may stand where all its inputs are constants, in any run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrate.checks.effects import (
    HARMLESS,
    NAMED_FILES,
    NAMING_ATTRIBUTES,
    effect,
    effect_of,
    file_in_attribute,
    is_evaluated_on_import,
)
from migrate.checks.nodes import called_functions
from migrate.checks.op_table import EFFECTS, load_op_table
from migrate.frozen import frozen
from migrate.records import Finding, refusal
from migrate.rewrite.graph import PLACEHOLDERS, Run
from migrate.sources.protos import AttrValue, FunctionDef, FunctionDefLibrary, NodeDef

ASSET, CONSTANT, OTHER = "asset", "constant", "other"
"""What a tensor is: the path that the loader feeds for an asset, what TensorFlow may know on import, anything else."""

PASSES = frozenset({"Identity", "PlaceholderWithDefault", "StopGradient"})
"""Ops that hand a file's name on as it is."""

_OF_SHAPES = frozenset({"Rank", "Shape", "ShapeN", "Size"})
"""Ops whose value depends on the shape of what they take, which may be known where the value is not."""

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
"""Ops whose inputs are the arguments of the function that they call."""

_HINT_FILE = "export the file as an asset of the SavedModel (tf.compat.v1.GraphKeys.ASSET_FILEPATHS)"


@frozen
class _Fault:
    """What is wrong with a node.

    Attributes:
      code: of the finding.
      op: the node's.
      reason: the rest of a sentence that starts with the op's name.
      hint: what to do.
    """

    code: str
    op: str
    reason: str
    hint: str


@frozen
class _Body:
    """Nodes that run together: those of a graph, or of a function.

    Attributes:
      where: what the labels of its nodes start with.
      nodes: by name.
      origins: what each argument or node gives, see `ASSET`.
    """

    where: str
    nodes: Mapping[str, NodeDef]
    origins: Mapping[str, str]


def find_file_access(run: Run, library: FunctionDefLibrary, is_load: bool) -> tuple[Finding, ...]:
    """Finds what a run must not do.

    Args:
      run: of the source; nothing of it has been rewritten.
      library: the graph's functions.
      is_load: whether loading the model does it, so that what is fed is the path of an asset; else it is a call.

    Returns:
      Refusals: `file-outside-model` and `effect-on-import`, and `init-op-effect` for what loading does.
    """
    functions = {function.signature.name: function for function in library.function}
    if not _is_suspect(run.graph.by_op, functions):
        bodies_of = {name: function.node_def for name, function in functions.items()}
        called = called_functions(run.graph.nodes.values(), bodies_of)
        if not any(_is_suspect({node.op for node in bodies_of[name]}, functions) for name in called):
            return ()
    fed = ASSET if is_load else OTHER
    given = {name: fed if name in run.feeds.values() else OTHER for name in run.graph.named(PLACEHOLDERS)}
    bodies = [_body("", run.graph.nodes.values(), given)]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    faults: dict[_Fault, list[str]] = {}
    for body in bodies:  # grows while it is read
        for node in body.nodes.values():
            fault = _judge(body, node, functions, is_load)
            if fault is not None:
                faults.setdefault(fault, []).append(body.where + node.name)
            for function, origins in _called(body, node, functions):
                name = function.signature.name
                if (name, origins) not in seen:
                    seen.add((name, origins))
                    arguments = zip((arg.name for arg in function.signature.input_arg), origins, strict=True)
                    bodies.append(_body(f"{name}/", function.node_def, dict(arguments)))
    return tuple(_finding(run.key, fault, labels) for fault, labels in faults.items())


def _finding(key: str, fault: _Fault, labels: Sequence[str]) -> Finding:
    names = tuple(dict.fromkeys(labels))
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return refusal(fault.code, f"{key}: {fault.op} {names[0]!r}{more} {fault.reason}", names, fault.hint)


def _is_suspect(ops: Iterable[str], functions: Mapping[str, FunctionDef]) -> bool:
    return any(op not in functions and (op in NAMING_ATTRIBUTES or effect(op) not in HARMLESS) for op in ops)


def _judge(body: _Body, node: NodeDef, functions: Mapping[str, FunctionDef], is_load: bool) -> _Fault | None:
    """What is wrong with one node, or None."""
    if node.op in functions:
        return None
    file = file_in_attribute(node)
    if file:
        reason = f"names the file {file!r} in an attribute, which is no asset of the model"
        return _Fault("file-outside-model", node.op, reason, _HINT_FILE)
    what = effect_of(node)
    if what in HARMLESS:
        return None
    taken = [name.partition(":")[0] for name in node.input if not name.startswith("^")]
    named = [taken[position] for position in NAMED_FILES.get(node.op, ()) if position < len(taken)]
    if is_load:
        if what == "reads-files" and named and all(_passed_on(body, name) == ASSET for name in named):
            return None
        if named:
            reason = "takes a file's name that is not the path of an asset, or not as the loader gives it"
            return _Fault("file-outside-model", node.op, reason, _HINT_FILE)
        reason = f"{EFFECTS[what]}; loading a model must not do that"
        return _Fault(
            "init-op-effect", node.op, reason, "export the model with an init op that fills variables and tables"
        )
    if named and any(body.origins.get(name, OTHER) == CONSTANT for name in named):
        reason = "takes a file's name from a constant, which a call does not replace by the path of an asset"
        return _Fault("file-outside-model", node.op, reason, _HINT_FILE)
    if is_evaluated_on_import(node) and all(body.origins.get(name, OTHER) == CONSTANT for name in taken):
        reason = f"{EFFECTS[what]}, and TensorFlow may run it while it imports the graph: all that it takes is constant"
        return _Fault("effect-on-import", node.op, reason, "export the model without it, or feed what it takes")
    return None


def _body(where: str, nodes: Iterable[NodeDef], given: Mapping[str, str]) -> _Body:
    by_name = {node.name: node for node in nodes}
    return _Body(where, by_name, _origins(by_name, given))


def _origins(nodes: Mapping[str, NodeDef], given: Mapping[str, str]) -> dict[str, str]:
    """What each node and argument gives. What nothing proves to be no constant counts as one, loops included."""
    consumers: dict[str, list[str]] = {}
    for node in nodes.values():
        for name in node.input:
            if not name.startswith("^"):
                consumers.setdefault(name.partition(":")[0], []).append(node.name)
    table = load_op_table()
    origins = {**dict.fromkeys(nodes, CONSTANT), **given}
    changing = [name for name, origin in given.items() if origin != CONSTANT]
    for node in nodes.values():
        info = table.get(node.op)
        if node.name not in given and (node.op in PLACEHOLDERS or (info is not None and info.is_stateful)):
            origins[node.name] = OTHER
            changing.append(node.name)
    while changing:
        for name in consumers.get(changing.pop(), ()):
            if origins[name] == CONSTANT and nodes[name].op not in _OF_SHAPES:
                origins[name] = OTHER
                changing.append(name)
    return origins


def _passed_on(body: _Body, name: str) -> str:
    """What a node or argument gives, or what is handed on to it as it is."""
    seen: set[str] = set()
    while name in body.nodes and name not in seen and body.nodes[name].op in PASSES and body.nodes[name].input:
        seen.add(name)
        name = body.nodes[name].input[0].partition(":")[0]
    return body.origins.get(name, OTHER)


def _called(
    body: _Body, node: NodeDef, functions: Mapping[str, FunctionDef]
) -> Iterator[tuple[FunctionDef, tuple[str, ...]]]:
    """The functions that a node calls, each with what its arguments are."""
    taken = [_passed_on(body, name.partition(":")[0]) for name in node.input if not name.startswith("^")]
    is_plain = node.op in functions or node.op in _CALLS
    names = [node.op, *(name for key in sorted(node.attr) for name in _functions(node.attr[key]))]
    constant = all(origin == CONSTANT for origin in taken)
    for name in names:
        if name in functions:
            count = len(functions[name].signature.input_arg)
            if is_plain and len(taken) == count:
                yield functions[name], tuple(taken)
            else:
                yield functions[name], (CONSTANT if constant else OTHER,) * count


def _functions(attr: AttrValue) -> Iterator[str]:
    """Names of the functions in an attribute, and in the attributes of those."""
    for function in (*([attr.func] if attr.HasField("func") else ()), *attr.list.func):
        yield function.name
        for key in sorted(function.attr):
            yield from _functions(function.attr[key])
