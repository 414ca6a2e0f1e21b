"""Calls of functions keep the order that a v1 Session gives them.

A v1 Session runs a call (a PartitionedCall, the op of a function's name, an If, While or Case that it does not lower)
as one kernel: it starts when all its inputs are there, every stateful op of the body runs, and all outputs come at
once. TensorFlow 2 puts the bodies in the place of the calls (InlineFunctionBody, inline_function_utils.cc): an op of a
body starts as soon as what itself takes is there, and what no output needs is dropped. So edges say here what the
kernel did:

- a call waits for the nodes behind its data inputs; TensorFlow hands these control edges on to each of the body's
  arguments and to what takes nothing;
- an output of a body with state waits for all its stateful ops, and so do the body's control outputs.

An If, While or Case that the main graph of a v1 Session lowers (`_lower_using_switch_merge`) is the opposite: its
branches are part of the graph, which runs what its fetches need and nothing else. In a TensorFlow 2 function, where
stateful ops are kept, such ops go (all measured on 2.15.1 and 2.21.0, the graph optimiser off).

A body that is changed gets a new name, and the same one for each run, since the functions of a model share one library.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from migrate.graph.control_flow_contexts import ENTERS, SWITCHES, contexts, first_outside
from migrate.graph.function_calls import BRANCHES, LOOPS, PARTITIONED, callees, is_lowered
from migrate.graph.graph import index, is_output, unique_name
from migrate.graph.nodes import called_functions
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import FunctionDef, NameAttrList, NodeDef
from migrate.rewrite import ops
from migrate.rewrite.function_bodies import Outputs

MAKERS = ops.NAMED_RESOURCES | {"Placeholder", "VarHandleOp"}
"""Stateful ops that give a handle or a fed value and do nothing else."""

READS = frozenset(
    {
        "LookupTableExportV2", "LookupTableFindV2", "LookupTableSizeV2", "ReadVariableOp", "ResourceGather",
        "ResourceGatherNd", "VarIsInitializedOp", "VariableShape",
    }
)  # fmt: skip
"""Stateful ops that change nothing (resource_variable_ops.cc, lookup_table_op.cc): alone they need no order."""


def in_order(
    nodes: Sequence[NodeDef], fetched: Collection[str], functions: Iterable[FunctionDef]
) -> tuple[list[NodeDef], list[FunctionDef]]:
    """Gives the calls of a graph and of its functions the order that they have in a v1 Session.

    Args:
      nodes: the graph's nodes, less arguments and captures, which are there from the start; they are changed.
      fetched: names of the nodes whose outputs are fetched, or that are targets.
      functions: the library.

    Returns:
      The nodes and the functions that they call. The names of tensors and nodes stay as they are.
    """
    library = _Library(functions)
    if not library.functions or not library.has_effects(nodes):
        return list(nodes), list(library.functions.values())
    result = list(nodes)
    scope = _Scope(result)
    scope.cut(library, fetched)
    for node in list(result):
        if library.runs_as_one(node):
            scope.wait_for_inputs(node)
            library.call_whole(node)
    bodies = {name: function.node_def for name, function in library.functions.items()}
    return result, [library.functions[name] for name in called_functions(result, bodies)]


class _Library:
    """The functions of a graph, and the versions of them that are made."""

    def __init__(self, functions: Iterable[FunctionDef]) -> None:
        self.functions = {function.signature.name: function for function in functions}
        self._sources = frozenset(self.functions)
        self._whole: dict[str, str] = {}
        self._open: set[str] = set()
        self._stateful: dict[str, bool] = {}

    def has_effects(self, nodes: Iterable[NodeDef]) -> bool:
        """Whether a graph, or what it calls, holds an op that does more than look at a state."""
        bodies = {name: function.node_def for name, function in self.functions.items()}
        reached = called_functions(nodes, bodies)
        every = (*nodes, *(node for name in reached for node in bodies[name]))
        return bool(reached) and any(
            _is_stateful_op(node.op) and node.op not in READS
            for node in every
            if node.op not in self.functions and not any(callees(node))
        )

    def is_stateful(self, node: NodeDef) -> bool:
        """Whether a node, or what it calls, has to do with a state."""
        called = [node.op] if node.op in self.functions else [*callees(node)]
        if not called:
            return _is_stateful_op(node.op)
        return any(self._is_stateful(name) for name in called)

    def _is_stateful(self, name: str) -> bool:
        if name not in self.functions:
            return True
        if name not in self._stateful:
            self._stateful[name] = False  # What a function that calls itself has to do with a state stands beside.
            self._stateful[name] = any(self.is_stateful(node) for node in self.functions[name].node_def)
        return self._stateful[name]

    def runs_as_one(self, node: NodeDef) -> bool:
        """Whether a v1 Session runs a node as a kernel that calls functions of the library."""
        if node.op in self.functions:
            return True
        return not is_lowered(node) and any(name in self.functions for name in callees(node))

    def call_whole(self, node: NodeDef) -> None:
        """Has a node call functions that run as a kernel's body does."""
        if node.op in self.functions:
            signature = self.functions[node.op].signature
            whole = self._whole_of(node.op)
            is_plain = not any(arg.number_attr or arg.type_list_attr for arg in signature.input_arg)
            if signature.output_arg or not is_plain or not self._is_stateful(node.op):
                node.op = whole
                return
            # What waits for the op of a function's name waits for its outputs, and there is none.
            attrs = {key: value for key, value in node.attr.items() if not key.startswith("_")}
            types = [attrs[a.type_attr].type if a.type_attr in attrs else a.type for a in signature.input_arg]
            node.op = "StatefulPartitionedCall"
            node.attr["Tin"].list.type.extend(types)
            node.attr["Tout"].list.SetInParent()
            node.attr["f"].func.name = whole
            for key, value in attrs.items():
                node.attr["f"].func.attr[key].CopyFrom(value)
                del node.attr[key]
            return
        for function in _function_attrs(node):
            if function.name in self.functions:
                function.name = self._whole_of(function.name)

    def _whole_of(self, name: str) -> str:
        """The name of the version of a function whose outputs wait for all that it does."""
        if name in self._whole:
            return self._whole[name]
        source = self.functions[name]
        self._whole[name] = version = unique_name(f"{name}__whole", self._sources)
        made = FunctionDef()
        made.CopyFrom(source)
        made.signature.name = version
        nodes = list(made.node_def)
        scope = _Scope(nodes, is_body=True)
        for node in list(nodes):
            if node.op in self.functions or node.op in PARTITIONED or node.op in BRANCHES:
                scope.wait_for_inputs(node)
                self.call_whole(node)
        made.ClearField("node_def")
        made.node_def.extend(nodes)
        _wait_for_all(made, [node.name for node in source.node_def if self.is_stateful(node)])
        self.functions[version] = made
        return version

    def fits(self, node: NodeDef) -> bool:
        """Whether a node is control flow that is lowered, and its functions have the outputs that it says."""
        if not is_lowered(node):
            return False
        keys = BRANCHES[node.op]
        if any(key not in node.attr for key in keys) or any(name not in self.functions for name in callees(node)):
            return False
        functions = [self.functions[name] for name in callees(node)]
        if any(arg.name not in f.ret for f in functions for arg in f.signature.output_arg):
            return False
        counts = [len(f.signature.output_arg) for f in functions]
        if node.op in LOOPS:
            variables = len(node.attr["T"].list.type)
            taken = sum(not i.startswith("^") for i in node.input)
            inputs = [len(f.signature.input_arg) for f in functions]
            return counts == [1, variables] and inputs == [variables] * 2 and taken == variables
        return bool(counts) and counts == [len(node.attr["Tout"].list.type)] * len(counts)

    def loses(self, name: str, outputs: Iterable[int], controlled: bool) -> bool:
        """Whether a function has stateful nodes that some of its outputs do not need."""
        function = self.functions[name]
        needed = _needed(function, outputs, controlled)
        return any(node.name not in needed and self.is_stateful(node) for node in function.node_def)

    def cut_to(self, name: str, outputs: Sequence[int], inputs: Sequence[int], controlled: bool) -> str:
        """A version of a function that is part of the graph, not a kernel's.

        Args:
          name: of the function.
          outputs: positions of the outputs that are kept.
          inputs: positions of the arguments that are kept; nothing that is kept needs another one.
          controlled: whether something waits for the function's control outputs.

        Returns:
          The new name.
        """
        source = self.functions[name]
        if name in self._open:
            return name  # It calls itself.
        if self.loses(name, outputs, controlled) or any(is_lowered(n) and self.is_stateful(n) for n in source.node_def):
            needed = _needed(source, outputs, controlled)
        else:
            needed = frozenset(node.name for node in source.node_def)
        self._open.add(name)
        made = FunctionDef()
        made.CopyFrom(source)
        nodes = [node for node in made.node_def if node.name in needed]
        scope = _Scope(nodes, is_body=True)
        held = {made.ret[source.signature.output_arg[k].name]: k for k in outputs}
        renamed = scope.cut(self, source.control_ret.values() if controlled else (), held)
        for node in list(nodes):
            if self.runs_as_one(node):
                scope.wait_for_inputs(node)
                self.call_whole(node)
        made.ClearField("node_def")
        made.node_def.extend(nodes)
        made.ClearField("ret")
        for k in outputs:
            arg = source.signature.output_arg[k].name
            made.ret[arg] = renamed.get(source.ret[arg], source.ret[arg])
        for key, node_name in source.control_ret.items():
            if node_name not in needed:
                del made.control_ret[key]
                made.signature.control_output.remove(key)
        for field, kept in (("output_arg", outputs), ("input_arg", inputs)):
            made.signature.ClearField(field)
            getattr(made.signature, field).extend(getattr(source.signature, field)[k] for k in kept)
        if len(inputs) < len(source.signature.input_arg):
            made.ClearField("arg_attr")
            made.ClearField("resource_arg_unique_id")
            for position, k in enumerate(inputs):
                if k in source.arg_attr:
                    made.arg_attr[position].CopyFrom(source.arg_attr[k])
        self._open.remove(name)
        content = made.SerializeToString(deterministic=True)
        if content == source.SerializeToString(deterministic=True):
            return name
        # Runs cut one function differently, and functions of one name must be equal.
        import hashlib  # Few graphs come here, and it is slow to import.

        version = f"{name}__part_{hashlib.sha256(content).hexdigest()[:12]}"
        made.signature.name = version
        self.functions[version] = made
        return version


class _Scope:
    """The nodes of a graph or of a function's body, which name tensors differently (`node:1`, `node:output:1`)."""

    def __init__(self, nodes: list[NodeDef], is_body: bool = False) -> None:
        self.nodes = nodes
        self._is_body = is_body
        self._by_name = {node.name: node for node in nodes}

    def wait_for_inputs(self, call: NodeDef) -> None:
        """Has a call wait for the nodes behind its data inputs."""
        waits = dict.fromkeys(i for i in call.input if i.startswith("^"))
        taken = [i for i in call.input if not i.startswith("^")]
        for position, tensor in enumerate(taken):
            source = self._by_name.get(tensor.partition(":")[0])
            if source is None:
                continue  # An argument.
            if source.op in SWITCHES or source.op == "_SwitchN":
                # A Switch has run whatever branch was taken; its output is alive in one.
                passed = NodeDef(name=unique_name(f"{call.name}/input_{position}", self._by_name), op="Identity")
                passed.input.append(tensor)
                passed.attr["T"].CopyFrom(source.attr["T"])
                self.nodes.append(passed)
                self._by_name[passed.name] = passed
                taken[position] = f"{passed.name}:output:0" if self._is_body else passed.name
                waits[f"^{passed.name}"] = None
            else:
                waits[f"^{source.name}"] = None
        call.input[:] = [*taken, *waits]

    def cut(self, library: _Library, targets: Iterable[str], held: Iterable[str] = ()) -> dict[str, str]:
        """Takes out of the lowered control flow of a graph what none of its users needs.

        Args:
          library: the functions, to which versions are added.
          targets: names of nodes all of whose outputs are needed.
          held: tensors that are needed, beside what the nodes take.

        Returns:
          New names of the tensors that have got another position, by the old ones.
        """
        lowered = [node for node in self.nodes if library.fits(node)]
        if not lowered:
            return {}
        whole, used = set(targets), {node.name: set[int]() for node in lowered}
        controlled = set[str]()
        for written in [*held, *(i for node in self.nodes for i in node.input)]:
            name = written.lstrip("^").partition(":")[0]
            if name not in used:
                continue
            position = written.rpartition(":")[2] if ":" in written else "0"
            if written.startswith("^"):
                controlled.add(name)
            elif is_output(position):
                used[name].add(int(position))
            else:
                whole.add(name)
        renamed: dict[str, str] = {}
        for node in lowered:
            count = len(node.attr["T" if node.op in LOOPS else "Tout"].list.type)
            is_whole = node.name in whole or (node.name in controlled and node.op in LOOPS)
            kept = list(range(count)) if is_whole else sorted(k for k in used[node.name] if k < count)
            moved = (
                _cut_loop(node, kept, library)
                if node.op in LOOPS
                else _cut_branches(node, kept, node.name in controlled or is_whole, library)
            )
            renamed.update((self._output(node.name, old), self._output(node.name, new)) for old, new in moved)
        if renamed:
            for node in self.nodes:
                if any(i in renamed for i in node.input):
                    node.input[:] = [renamed.get(i, i) for i in node.input]
        return renamed

    def _output(self, name: str, position: int) -> str:
        if self._is_body:
            return f"{name}:output:{position}"
        return f"{name}:{position}" if position else name


def _cut_branches(node: NodeDef, kept: Sequence[int], controlled: bool, library: _Library) -> Iterable[tuple[int, int]]:
    """Cuts the branches of an If or Case to some outputs; gives (old, new) positions of outputs."""
    count = len(node.attr["Tout"].list.type)
    if not any(library.loses(name, kept, controlled) for name in callees(node)):
        kept = range(count)
    for function in _function_attrs(node):
        every = range(len(library.functions[function.name].signature.input_arg))
        function.name = library.cut_to(function.name, kept, every, controlled)
    return _keep(node, ("Tout", "output_shapes"), kept, count)


def _cut_loop(node: NodeDef, kept: Sequence[int], library: _Library) -> Iterable[tuple[int, int]]:
    """Cuts a While to the loop variables that some outputs, or its condition, need."""
    count = len(node.attr["T"].list.type)
    cond, body = library.functions[node.attr["cond"].func.name], library.functions[node.attr["body"].func.name]
    needed = {*kept, *_arguments(cond, _needed(cond, [0], False), [0])}
    grown = True
    while grown:
        outputs = sorted(needed)
        more = _arguments(body, _needed(body, outputs, False), outputs)
        grown = not more <= needed
        needed |= more
    variables = sorted(needed or {0})
    if not (library.loses(cond.signature.name, [0], False) or library.loses(body.signature.name, variables, False)):
        variables = list(range(count))
    node.attr["cond"].func.name = library.cut_to(cond.signature.name, [0], variables, False)
    node.attr["body"].func.name = library.cut_to(body.signature.name, variables, variables, False)
    data = [i for i in node.input if not i.startswith("^")]
    controls = [i for i in node.input if i.startswith("^")]
    node.input[:] = [*(data[k] for k in variables), *controls]
    return _keep(node, ("T", "output_shapes"), variables, count)


def _keep(node: NodeDef, keys: Iterable[str], kept: Sequence[int], count: int) -> Iterable[tuple[int, int]]:
    """Keeps some entries of list attributes that have one for each output."""
    if len(kept) == count:
        return ()
    for key in keys:
        for field in ("type", "shape"):
            values = list(getattr(node.attr[key].list, field))
            if len(values) == count:
                node.attr[key].list.ClearField(field)
                node.attr[key].list.SetInParent()
                getattr(node.attr[key].list, field).extend(values[k] for k in kept)
    return [(old, new) for new, old in enumerate(kept) if old != new]


def _function_attrs(node: NodeDef) -> Iterator[NameAttrList]:
    """The function attributes of a call, to be changed."""
    keys = ("f",) if node.op in PARTITIONED else BRANCHES.get(node.op, ())
    for key in keys:
        if key in node.attr:
            value = node.attr[key]
            yield from value.list.func if value.HasField("list") else [value.func]


def _is_stateful_op(op: str) -> bool:
    table = load_op_table()
    return op not in MAKERS and (op not in table or table[op].is_stateful)


def _needed(function: FunctionDef, outputs: Iterable[int], controlled: bool) -> frozenset[str]:
    """Names of the nodes of a body that some of its outputs need, and its control outputs where these are asked for."""
    inputs = {node.name: node.input for node in function.node_def}
    arguments = function.signature.output_arg
    stack = [function.ret[arguments[k].name].partition(":")[0] for k in outputs]
    stack += [*function.control_ret.values()] if controlled else []
    return frozenset(_behind(inputs, stack))


def _arguments(function: FunctionDef, needed: Collection[str], outputs: Iterable[int]) -> set[int]:
    """Positions of the arguments that some nodes of a body, or outputs, take."""
    taken = {i.lstrip("^").partition(":")[0] for n in function.node_def if n.name in needed for i in n.input}
    taken |= {function.ret[function.signature.output_arg[k].name].partition(":")[0] for k in outputs}
    return {k for k, arg in enumerate(function.signature.input_arg) if arg.name in taken}


def _behind(inputs: Mapping[str, Iterable[str]], stack: list[str]) -> set[str]:
    """The nodes from which some nodes can be reached, and these."""
    found: set[str] = set()
    while stack:
        name = stack.pop()
        if name in inputs and name not in found:
            found.add(name)
            stack += [i.lstrip("^").partition(":")[0] for i in inputs[name]]
    return found


def _wait_for_all(function: FunctionDef, stateful: Sequence[str]) -> None:
    """Has the outputs and control outputs of a body wait for its stateful nodes."""
    if not stateful:
        return
    inputs = {node.name: node.input for node in function.node_def}
    every = set(stateful)
    waits = _outside(function, stateful)
    missing = [
        arg
        for arg in function.signature.output_arg
        if arg.name in function.ret and not every <= _behind(inputs, [function.ret[arg.name].partition(":")[0]])
    ]
    is_covered = every <= _behind(inputs, [*function.control_ret.values()])
    if not waits or (is_covered and not missing):
        return
    taken = {*inputs, *(arg.name for arg in function.signature.input_arg)}
    done = NodeDef(name=unique_name("whole", taken), op="NoOp", input=[f"^{name}" for name in waits])
    taken.add(done.name)
    function.node_def.append(done)
    if not is_covered:
        key = unique_name("whole", function.control_ret)
        function.control_ret[key] = done.name
        function.signature.control_output.append(key)
    for arg in missing:
        if arg.is_ref or arg.number_attr or arg.type_list_attr:
            continue  # An output that is a list: TensorFlow's own tracers make none.
        output = NodeDef(name=unique_name(f"whole/{arg.name}", taken), op="Identity")
        output.input.extend([function.ret[arg.name], f"^{done.name}"])
        if arg.type_attr:
            output.attr["T"].placeholder = arg.type_attr
        else:
            output.attr["T"].type = arg.type
        taken.add(output.name)
        function.node_def.append(output)
        function.ret[arg.name] = f"{output.name}:output:0"


def _outside(function: FunctionDef, names: Sequence[str]) -> list[str]:
    """Nodes of a body that run once, after all of `names`: these themselves but for those in loops and branches."""
    if not any(node.op in ENTERS or node.op in SWITCHES for node in function.node_def):
        return list(names)
    own = {node.name: node.name for node in function.node_def}
    outputs = Outputs(function, {**own, **{arg.name: arg.name for arg in function.signature.input_arg}})
    nodes = []
    for node in function.node_def:
        inputs = [outputs.tensor(i) for i in node.input]
        nodes.append(NodeDef(name=node.name, op=node.op, input=[i for i in inputs if i is not None], attr=node.attr))
    graph = index(nodes)
    where, successors = contexts(graph), graph.successors()
    found: dict[str, None] = {}
    for name in names:
        if name in where:
            found.update(dict.fromkeys(first_outside(name, where, successors)))
    return list(found)
