"""One call of a model as a flat graph: what its outputs and targets need, with calls of functions put in their place.

A call is inlined as TensorFlow 2 does before it runs a function (InlineFunctionBody, inline_function_utils.cc): the
control inputs of a call hold up its arguments and what takes nothing; an output waits for what its own value needs; a
control edge from a call waits for the body's control outputs. A v1 Session that runs the call as one kernel orders more
than that, so an order that is found here is one in both.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

from migrate.graph.function_calls import is_lowered
from migrate.graph.graph import PLACEHOLDERS, is_output
from migrate.graph.op_table import load_op_table
from migrate.graph.output_dtypes import output_dtypes
from migrate.graph.protos import AttrValue, FunctionDef, NodeDef
from migrate.proof.equations import BRANCHES, CALLS, ENGINE, ENTERS, MAKERS, PASSES, WRITES
from migrate.proof.identity import key_of
from migrate.proof.library import Library, is_made, output_count, says

INPUT = "=Input"
"""A tensor that the call is given; `key` says which."""
CELL = "=Cell"
"""The handle of a cell that a function captures; `key` says which."""
UNKNOWN = "=Unknown"
"""A tensor that nothing gives; `key` says why."""

MOST_NODES = 2_000_000
MOST_LOWERED = 200_000
"""The same where functional control flow is put in its place, too, which is tried beside another proof."""
_LONGEST = 200
"""Ops through which a ref goes in a body."""
_STATELESS = "PartitionedCall"
_IMPLEMENTS = "api_implements"
"""TensorFlow may put another function with the same attribute in its place (implementation_selector.cc)."""
_NO_ATTRS: Mapping[str, AttrValue] = {}


class Flat:
    """A node of a flat graph.

    Attributes:
      op: its op, or one of the above.
      label: its name, after those of the calls that it is in.
      name: its name where it stands; resources are known by it.
      hint: its name as another model may have it: bodies of an If, Case or While keep the names that nodes have in v1
        control flow.
      attr: its attributes.
      definition: a node of the model that has the same attributes, or None.
      data: (position of a node, output) of each data input.
      controls: positions of the nodes that it waits for.
      key: see `INPUT` and the like; of an Enter the names of the calls that it is in.
      within: positions of nodes that it does not wait for, and whose loop it is in.
    """

    __slots__ = ("attr", "controls", "data", "definition", "hint", "key", "label", "name", "op", "within")

    def __init__(self, op: str, label: str, name: str, attr: Mapping[str, AttrValue], key: Hashable = None) -> None:
        """A node without inputs."""
        self.op = op
        self.label = self.hint = label
        self.name = name
        self.attr = attr
        self.key = key
        self.definition: NodeDef | None = None
        self.data: list[tuple[int, int]] = []
        self.controls: list[int] = []
        self.within: Sequence[int] = ()


class _Scope:
    """A graph, or the body of a function in one call of it."""

    __slots__ = (
        "arguments",
        "attrs",
        "by_node_name",
        "calls",
        "chain",
        "function",
        "has_placeholders",
        "hint",
        "is_kernel",
        "known",
        "nodes",
        "outer",
        "prefix",
        "sources",
        "taken",
        "waits",
    )

    def __init__(self, nodes: Mapping[str, NodeDef], function: FunctionDef | None, prefix: str) -> None:
        self.nodes = nodes
        self.function = function
        self.prefix = self.hint = prefix
        self.arguments: Mapping[str, int] = {}
        self.attrs: Mapping[str, AttrValue] = _NO_ATTRS
        self.sources: Sequence[tuple[int, int]] = ()
        self.outer: _Scope | None = None
        self.taken: Sequence[str] = ()
        self.waits: Sequence[int] = ()
        self.chain: frozenset[str] = frozenset()
        self.calls: dict[str, _Scope | None] = {}
        self.known: dict[Hashable, int] = {}
        self.by_node_name = False
        self.is_kernel = False
        self.has_placeholders = False


class Program:
    """A flat graph that grows as tensors are asked for.

    Attributes:
      nodes: its nodes.
      kept: see `keep`.
      certain: see `keep`.
      lowers: see `__init__`.
    """

    def __init__(
        self,
        nodes: Mapping[str, NodeDef],
        library: Library,
        fed: Mapping[str, Hashable] | None = None,
        replaced: Mapping[str, NodeDef] | None = None,
        lowers: bool = False,
    ) -> None:
        """Begins with nothing of the graph.

        Args:
          nodes: of the main graph, by name.
          library: its functions.
          fed: full name of a tensor of the main graph -> key of the input of the call that it is.
          replaced: full name of a tensor -> the node that takes its place.
          lowers: whether functional control flow is put in its place, too (see `lowering`).
        """
        self.nodes: list[Flat] = []
        self.kept: list[tuple[int, int]] = []
        self.certain = 0
        self.problem = ""
        self._library, self.lowers = library, lowers
        self._fed = fed or {}
        self._replaced = replaced or {}
        self._given_nodes = frozenset(tensor.partition(":")[0] for tensor in (*self._fed, *self._replaced))
        self._main = _Scope(nodes, None, "")
        self._top = nodes
        self._pending: list[tuple[int, _Scope, Sequence[str]]] = []
        self._scopes: list[_Scope] = []

    def tensor(self, written: str) -> tuple[int, int]:
        """The place of a tensor of the main graph (`node`, `node:1`)."""
        found = self._source(self._main, written)
        self._fill()
        return found

    def target(self, name: str) -> int:
        """The place of a node of the main graph that is run for its effect."""
        found = self._waited(self._main, name)
        self._fill()
        return found

    def call(
        self, name: str, given: Sequence[Flat], attrs: Mapping[str, AttrValue] = _NO_ATTRS
    ) -> list[tuple[int, int]] | None:
        """Puts a call of a function into the graph, with these nodes for arguments; gives its outputs' places."""
        function = self._library.functions.get(name)
        if function is None or len(function.signature.input_arg) != len(given):
            return None
        sources = []
        for node in given:
            self.nodes.append(node)
            sources.append((len(self.nodes) - 1, 0))
        scope = self._body(name, function, "", attrs, frozenset())
        scope.sources = sources
        self._top = scope.nodes
        self._scopes.append(scope)
        outputs = [self._source(scope, function.ret.get(arg.name, "")) for arg in function.signature.output_arg]
        self.done = [self._waited(scope, node) for node in function.control_ret.values()]
        self._fill()
        return outputs

    def keep(self, is_session: bool, has_kernels: bool | None = None) -> None:
        """Adds what a call runs although nothing leads to it: what its function says it waits for, and ops of state.

        Ops of state run in a Session where a node has the function's name for its op, which is a kernel
        (PruneFunctionGraph, function.cc). The body of a PartitionedCall is put in its place, and in a function of TF2
        Grappler does so with each call; what nothing waits for is then left out (measured: an AssignAddVariableOp).

        All of a call's inputs are computed, whichever of them what is asked for depends on. No executor leaves the
        others out: PruneFunctionGraph (function.cc) where a call is run as a kernel, RemoveDeadNodes
        (graph/algorithm.cc) where its body is put in its place. `kept` has the place of each one, with that of a node
        which waits for all inputs of its call: one of them may be dead, and then a kernel does not run at all.

        Args:
          is_session: whether a v1 Session runs the call. It may compute all outputs of each function that is called,
            or those alone that are asked for; what is added for that comes after the first `certain` nodes.
          has_kernels: whether a call by a function's name is a kernel; as `is_session` where it is not given.
        """
        has_kernels = is_session if has_kernels is None else has_kernels
        for scope in self._scopes:  # It grows.
            self._started(scope)
            self._fill()
            for name, node in self._loose(scope):
                assert scope.function is not None
                is_run = scope.is_kernel and has_kernels and self._library.is_stateful(node)
                if is_run or name in scope.function.control_ret.values():
                    place = self._waited(scope, name)
                    self.kept.append((place, self._started(scope)))
                    self._fill()
        self.certain = len(self.nodes)
        for scope in self._scopes if is_session else ():
            if scope.outer is not None and scope.function is not None:
                self._started(scope)
                for arg in scope.function.signature.output_arg:
                    self._source(scope, scope.function.ret.get(arg.name, ""))
                self._fill()

    def _started(self, scope: _Scope) -> int:
        """A node that waits for all inputs of a call."""
        if ("started",) not in scope.known:
            place = scope.known["started",] = self._add(Flat("NoOp", scope.prefix + "inputs", "inputs", _NO_ATTRS))
            self.nodes[place].controls.extend(
                [*scope.waits, *(self._argument(scope, name) for name in scope.arguments)]
            )
        return scope.known["started",]

    def _inside(self, scope: _Scope) -> Sequence[int]:
        """A node that is in the loop that a call's inputs are in, and waits for none of them; empty without inputs.

        It is one node for all of a body: a function may have hundreds of inputs and of constants.
        """
        if not scope.arguments:
            return ()
        if ("inside",) not in scope.known:
            place = scope.known["inside",] = self._add(Flat("NoOp", scope.prefix + "loop", "loop", _NO_ATTRS))
            self.nodes[place].within = [self._argument(scope, name) for name in scope.arguments]
        return (scope.known["inside",],)

    def _loose(self, scope: _Scope) -> list[tuple[str, NodeDef]]:
        """The nodes with an effect in a body that is called, which nothing leads to."""
        return [
            (name, node)
            for name, node in scope.nodes.items()
            if name not in scope.known and name not in scope.calls and self._library.has_effect(node, self.lowers)
        ]

    def loose(self) -> list[tuple[str, Hashable]]:
        """The nodes with an effect in a body that is called, which nothing leads to.

        Whether TensorFlow runs such a node depends on how it runs the call. Each is given by its label and the key of
        the variable of the body's own that it writes; None where it does anything else.
        """
        return [
            (scope.prefix + name, self._own_variable(scope, node))
            for scope in self._scopes
            for name, node in self._loose(scope)
        ]

    def calls(self) -> Iterator[tuple[int, Sequence[int], Sequence[int]]]:
        """Of each call whose body is in it: a node that waits for all its inputs, its nodes, and what it gives.

        What is called by a body that is called is among the nodes of both. A `keep` must have come before.
        """
        for scope in self._scopes:
            outer = scope.outer
            if outer is None:
                continue
            ends = [
                place
                for key, place in outer.known.items()
                if isinstance(key, tuple) and key[0] in ("done", "returned") and outer.calls.get(key[1]) is scope
            ]
            taken = {scope.known.get(("argument", name)) for name in scope.arguments}
            begins = self._started(scope)
            within = [place for place in self._within(scope) if place != begins and place not in taken]
            yield begins, within, ends

    def _within(self, scope: _Scope) -> list[int]:
        found = [*scope.known.values()]
        for inner in scope.calls.values():
            if inner is not None:
                found += self._within(inner)
        return found

    def _own_variable(self, scope: _Scope, node: NodeDef) -> Hashable:
        if node.op not in WRITES or WRITES[node.op].cells != 1:
            return None
        for _ in range(_LONGEST):
            name = node.input[0].partition(":")[0] if node.input else ""
            if name not in scope.nodes:
                return None
            node = scope.nodes[name]
            if node.op in ("Variable", "VariableV2"):
                label = scope.prefix + name
                return key_of(node.op, node.attr, label if scope.by_node_name else name, label)
            if node.op not in PASSES and node.op not in WRITES:
                return None
        return None

    def _add(self, node: Flat) -> int:
        most = MOST_LOWERED if self.lowers else MOST_NODES
        if len(self.nodes) >= most:
            self.problem = f"the graph has more than {most:,} nodes when its functions are put in their places"
            return 0
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _unknown(self, scope: _Scope, what: str, why: str) -> tuple[int, int]:
        return self._add(Flat(UNKNOWN, scope.prefix + what, what, _NO_ATTRS, why)), 0

    def _want(self, scope: _Scope, name: str) -> int:
        """The place of a node that is no inlined call."""
        found = scope.known.get(name)
        if found is None:
            node = scope.nodes[name]
            op, attr, inputs = node.op, node.attr, node.input[:]
            label = own = name
            if scope.function is not None:
                label = scope.prefix + name
                own = label if scope.by_node_name else name
            flat = Flat(op, label, own, attr, scope.prefix if op in ENTERS else None)
            flat.hint = scope.hint + name
            if scope.has_placeholders and any(value.placeholder for value in attr.values()):
                flat.attr = {k: scope.attrs.get(v.placeholder, v) if v.placeholder else v for k, v in attr.items()}
                if any(value.placeholder for value in flat.attr.values()):
                    flat.op, flat.key = UNKNOWN, f"an attribute of {label!r} has no value in this call"
            else:
                flat.definition = node
            if op in MAKERS and MAKERS[op].is_private and self._library.count(label, self._top, self.lowers) > 1:
                flat.op, flat.key = UNKNOWN, f"{label!r} is the name of two resources"
            found = scope.known[name] = self._add(flat)
            self._pending.append((found, scope, inputs))
            if not inputs:
                flat.controls.extend(scope.waits)
                if not scope.waits and scope.outer is not None:
                    flat.within = self._inside(scope)
        return found

    def _fill(self) -> None:
        # What an input leads to is put on the list, too: a chain of calls may be longer than Python's stack is deep.
        while self._pending and not self.problem:
            place, scope, inputs = self._pending.pop()
            flat = self.nodes[place]
            for written in inputs:
                if written[:1] == "^":
                    flat.controls.append(self._waited(scope, written[1:]))
                else:
                    flat.data.append(self._source(scope, written))
        self._pending.clear()

    def _waited(self, scope: _Scope, name: str) -> int:
        """The place of what a control edge comes from."""
        if scope.function is None and f"{name}:0" in self._fed:
            node = scope.nodes.get(name)
            if node is not None and node.op in PLACEHOLDERS:
                return self._source(scope, f"{name}:0")[0]
        if name in scope.arguments:
            return self._source(scope, name)[0]
        if name not in scope.nodes:
            return self._unknown(scope, name, f"there is no node {name!r}")[0]
        inner = self._called(scope, name)
        if inner is None:
            return self._want(scope, name)
        key = ("done", name)
        if key not in scope.known:
            place = scope.known[key] = self._add(Flat("NoOp", scope.prefix + name, name, _NO_ATTRS))
            assert inner.function is not None
            self.nodes[place].controls.extend(inner.waits)
            self._pending.append((place, inner, [f"^{done}" for done in inner.function.control_ret.values()]))
        return scope.known[key]

    def _source(self, scope: _Scope, written: str) -> tuple[int, int]:
        """The place of a data input."""
        name, colon, rest = written.partition(":")
        if scope.function is None:
            if name in self._given_nodes:
                tensor = f"{name}:{rest if colon else 0}"
                if tensor in self._replaced:
                    return self._given(scope, ("given", tensor), self._replaced[tensor])
                if tensor in self._fed:
                    return self._key(scope, tensor, self._fed[tensor])
            if name not in scope.nodes or not (not colon or is_output(rest)):
                return self._unknown(scope, written, f"there is no tensor {written!r}")
            output = int(rest) if colon else 0
        elif name in scope.arguments:
            if rest not in ("", "0"):
                return self._unknown(scope, written, f"there is no tensor {written!r}")
            return self._argument(scope, name), 0
        elif name not in scope.nodes:
            return self._unknown(scope, written, f"there is no tensor {written!r}")
        else:
            number = self._position(scope, scope.nodes[name], rest)
            if number is None:
                return self._unknown(scope, written, f"{scope.nodes[name].op} is not known to have an output {rest!r}")
            output = number
        found = scope.known.get(name)
        if found is not None:  # A node that stays.
            return found, output
        inner = self._called(scope, name)
        return (self._want(scope, name), output) if inner is None else (self._returned(scope, name, inner, output), 0)

    def _key(self, scope: _Scope, tensor: str, key: Hashable) -> tuple[int, int]:
        known = ("input", key)
        if known not in scope.known:
            scope.known[known] = self._add(Flat(INPUT, tensor, tensor, _form(scope.nodes, tensor), key))
        return scope.known[known], 0

    def _given(self, scope: _Scope, known: Hashable, node: NodeDef) -> tuple[int, int]:
        if known not in scope.known:
            scope.known[known] = self._add(Flat(node.op, node.name, node.name, node.attr))
        return scope.known[known], 0

    def _position(self, scope: _Scope, node: NodeDef, rest: str) -> int | None:
        """The output's number, of `output:1` in a body."""
        op = node.op
        known = self._library.positions.get((op, rest))
        if known is not None:
            return known
        output, _, index = rest.partition(":")
        if not is_output(index):
            return None
        number = int(index)
        callee = self._library.callee(node, self.lowers)
        if callee and op not in CALLS and op not in BRANCHES and op != ENGINE:
            names = [arg.name for arg in self._library.functions[callee].signature.output_arg]
            return names.index(output) + number if output in names and not number else None
        info = load_op_table().get(op)
        if info is None:
            return None
        if not info.outputs:
            return number
        is_of_op = not callee
        for name, length in info.outputs:
            if name == output:
                if is_of_op:
                    self._library.positions[op, rest] = number
                return number
            is_of_op &= not length
            count = output_count(node, length, scope.attrs)
            if count is None:
                return None
            number += count
        return None

    def _argument(self, scope: _Scope, name: str) -> int:
        known = ("argument", name)
        if known not in scope.known:
            place = scope.known[known] = self._add(Flat("Identity", scope.prefix + name, name, _NO_ATTRS))
            self.nodes[place].controls.extend(scope.waits)
            number = scope.arguments[name]
            if scope.outer is None:
                self.nodes[place].data.append(scope.sources[number])
            else:
                self._pending.append((place, scope.outer, scope.taken[number : number + 1]))
        return scope.known[known]

    def _returned(self, scope: _Scope, name: str, inner: _Scope, output: int) -> int:
        known = ("returned", name, output)
        if known not in scope.known:
            assert inner.function is not None
            arguments = inner.function.signature.output_arg
            place = scope.known[known] = self._add(Flat("Identity", scope.prefix + name, name, _NO_ATTRS))
            if output < len(arguments) and arguments[output].name in inner.function.ret:
                self._pending.append((place, inner, [inner.function.ret[arguments[output].name]]))
            else:
                why = f"the function of {name!r} has no output {output}"
                self.nodes[place].data.append(self._unknown(scope, name, why))
        return scope.known[known]

    def _called(self, scope: _Scope, name: str) -> _Scope | None:
        """The body that takes a node's place; None for a node that stays."""
        if name in scope.calls:
            return scope.calls[name]
        node = scope.nodes[name]
        callee = self._library.callee(node, self.lowers)
        if not callee:
            scope.calls[name] = None
            return None
        function = self._library.functions[callee]
        taken = [written for written in node.input if written[:1] != "^"]
        plain = not any(
            arg.number_attr or arg.type_list_attr
            for arg in (*function.signature.input_arg, *function.signature.output_arg)
        )
        if (
            _IMPLEMENTS in function.attr
            or callee in scope.chain
            or len(taken) != len(function.signature.input_arg)
            or not plain
            or len(scope.chain) > 60
        ):
            scope.calls[name] = None
            return None
        is_call = node.op in CALLS or node.op == ENGINE
        is_one_of_two = node.op == _STATELESS and self._library.has_state(callee)
        if is_call and (is_one_of_two or not says(node, function)):
            # Of two stateless calls that are alike TensorFlow may make one (common_subgraph_elimination.cc).
            scope.calls[name] = None
            return None
        attrs = node.attr["f"].func.attr if node.op in CALLS else {} if is_call else node.attr
        if not is_call and node.op not in BRANCHES:
            # function.cc, AddDefaultAttrs: for a node that has the function's name for its op, and for no other call.
            defaults = {a.name: a.default_value for a in function.signature.attr if a.HasField("default_value")}
            attrs = {**defaults, **attrs}
        if scope.attrs and any(value.placeholder for value in attrs.values()):
            attrs = {k: scope.attrs.get(v.placeholder, v) if v.placeholder else v for k, v in attrs.items()}
        inner = self._body(callee, function, f"{scope.prefix}{name}/", attrs, scope.chain | {callee})
        is_native = not is_call and node.op not in BRANCHES
        inner.is_kernel = is_native and (scope.function is None or scope.is_kernel)
        inner.by_node_name = is_native or is_lowered(node) or scope.by_node_name
        is_branch = node.op in BRANCHES or (scope.function is not None and is_made(scope.function))
        inner.hint = "" if is_branch else f"{scope.hint}{name}/"
        scope.calls[name] = inner
        self._scopes.append(inner)
        inner.outer, inner.taken = scope, taken
        controls = [written for written in node.input if written[:1] == "^"]
        if controls:
            start = self._add(Flat("NoOp", inner.prefix + "start", name, _NO_ATTRS))
            self._pending.append((start, scope, controls))
            inner.waits = (start,)
        elif not node.input:
            inner.waits = scope.waits
        return inner

    def _body(
        self, name: str, function: FunctionDef, prefix: str, attrs: Mapping[str, AttrValue], chain: frozenset[str]
    ) -> _Scope:
        scope = _Scope(self._library.body(name), function, prefix)
        scope.arguments = {arg.name: k for k, arg in enumerate(function.signature.input_arg)}
        scope.attrs = attrs
        scope.has_placeholders = self._library.has_placeholders(name)
        scope.chain = chain
        return scope


def given(label: str, key: Hashable, dtype: int) -> Flat:
    """A tensor that a call is given; dtype 0 where it is not known."""
    return Flat(INPUT, label, label, {"dtype": AttrValue(type=dtype)} if dtype else _NO_ATTRS, key)


def _form(nodes: Mapping[str, NodeDef], tensor: str) -> Mapping[str, AttrValue]:
    """What is known of a tensor of the main graph: its dtype, and a placeholder's shape."""
    name, _, output = tensor.rpartition(":")
    if name not in nodes or not is_output(output):
        return _NO_ATTRS
    node = nodes[name]
    found = output_dtypes(node, {})
    if found is None or int(output) >= len(found) or not found[int(output)]:
        return _NO_ATTRS
    attr = {"dtype": AttrValue(type=found[int(output)])}
    if node.op in PLACEHOLDERS and "shape" in node.attr:
        attr["shape"] = node.attr["shape"]
    return attr
