"""The functions of a model: what they do beside computing, and which of them takes the place of a node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from migrate.graph.function_calls import callees
from migrate.graph.nodes import called_functions, named_functions
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import AttrValue, FunctionDef, NodeDef
from migrate.proof.equations import ARRAYS, BRANCHES, CALLS, ENGINE, MAKERS, READS, STATELESS
from migrate.proof.identity import utf8
from migrate.proof.lowering import lowered

_SEEDS = ("seed", "seed2")


class Library:
    """The functions of a model, with what was found out of them.

    Attributes:
      functions: by name.
      positions: of an op and an output as a body writes it: which output it is, where no attribute has a say.
    """

    def __init__(self, functions: Mapping[str, FunctionDef]) -> None:
        """Takes functions by name."""
        self.functions = dict(functions)
        self.positions: dict[tuple[str, str], int] = {}
        self._bodies: dict[str, Mapping[str, NodeDef]] = {}
        self._effects: dict[str, bool] = {}
        self._states: dict[str, bool] = {}
        self._lowered: dict[bytes, str] = {}
        self._nodes: dict[str, Iterable[NodeDef]] = {}
        self._placeholders: dict[str, bool] = {}

    def body(self, name: str) -> Mapping[str, NodeDef]:
        """The nodes of a function, by name."""
        if name not in self._bodies:
            self._bodies[name] = {node.name: node for node in self.functions[name].node_def}
        return self._bodies[name]

    def has_placeholders(self, name: str) -> bool:
        """Whether an attribute of a node of a function is one that a call gives."""
        if name not in self._placeholders:
            nodes = self.functions[name].node_def
            self._placeholders[name] = any(value.placeholder for node in nodes for value in node.attr.values())
        return self._placeholders[name]

    def lowered(self, node: NodeDef) -> str:
        """The name of a function that does what an If, Case or While does; empty where that is not known."""
        key = NodeDef(op=node.op, attr=node.attr).SerializeToString(deterministic=True)
        if key not in self._lowered:
            name = f"{_MADE}{node.op} {len(self._lowered)}"
            made = lowered(name, node, self.functions)
            self._lowered[key] = name if made is not None else ""
            if made is not None:
                self.functions[name] = made
        return self._lowered[key]

    def is_stateful(self, node: NodeDef) -> bool:
        """Whether a node keeps a state, as its definition says."""
        if node.op in self.functions:
            return bool(self.functions[node.op].signature.is_stateful)
        info = load_op_table().get(node.op)
        return info is not None and info.is_stateful

    def has_effect(self, node: NodeDef, lowers: bool = False) -> bool:
        """Whether it matters that a node runs, although nothing takes what it gives."""
        callee = self.callee(node, lowers)
        if callee:
            return self.function_has_effect(callee)
        op = node.op
        if op in BRANCHES or op in CALLS:
            return any(self.function_has_effect(name) for name in callees(node))
        if op in MAKERS or op in READS or op in ARRAYS:
            return False
        info = load_op_table().get(op)
        if info is None:
            return True
        if info.effect in ("pure", "random", "reads-files"):
            return bool(info.writes)
        return not (info.effect == "calls" and not any(self.function_has_effect(n) for n in named_functions(node)))

    def function_has_effect(self, name: str) -> bool:
        """The same of a function."""
        pending = [name]
        seen: set[str] = set()
        while pending:
            current = pending.pop()
            if current in seen:
                continue
            seen.add(current)
            if current in self._effects:
                if self._effects[current]:
                    self._effects[name] = True
                    return True
                continue
            function = self.functions.get(current)
            if function is None:
                self._effects[name] = True
                return True
            for node in function.node_def:
                called = [node.op] if node.op in self.functions else list(named_functions(node))
                if called:
                    pending += called
                elif self.has_effect(node):
                    self._effects[name] = True
                    return True
        self._effects[name] = False
        return False

    def has_state(self, name: str) -> bool:
        """Whether a call of a function may differ from the next one with the same arguments, or leaves something."""
        if name not in self._states:
            table = load_op_table()
            self._states[name] = self.function_has_effect(name) or any(
                node.op in table and table[node.op].effect == "random" for body in self._reached(name) for node in body
            )
        return self._states[name]

    def callee(self, node: NodeDef, lowers: bool) -> str:
        """The function that a node calls and that is put in its place; empty where there is none.

        Args:
          node: a node.
          lowers: whether functional control flow is put in its place, too (see `lowering`).
        """
        if node.op in self.functions:
            return node.op
        if node.op in CALLS and "f" in node.attr and node.attr["f"].func.name in self.functions:
            return str(node.attr["f"].func.name)
        if node.op == ENGINE and _segment(node) in self.functions:
            return _segment(node)
        if lowers and node.op in BRANCHES and self._is_plain(node):
            return self.lowered(node)
        return ""

    def count(self, label: str, nodes: Mapping[str, NodeDef], lowers: bool) -> int:
        """How many nodes have a label: their name after those of the calls that they are in.

        Args:
          label: the label; a name may have a `/` of its own.
          nodes: of the graph in which the calls are.
          lowers: as `callee` takes it.
        """
        found = 0
        slashes = [position for position, letter in enumerate(label) if letter == "/"]
        # Where a name in a body begins, with the bodies; two ways to one of them may be many more to what is in it.
        reached: dict[int, Counter[str]] = {0: Counter({"": 1})}
        for start in (0, *(position + 1 for position in slashes)):
            for body, ways in reached.get(start, {}).items():
                known = self.body(body) if body else nodes
                found += ways * (label[start:] in known)
                for position in slashes:
                    call = known.get(label[start:position]) if position >= start else None
                    callee = self.callee(call, lowers) if call is not None else ""
                    if callee:
                        reached.setdefault(position + 1, Counter())[callee] += ways
        return found

    def _is_plain(self, node: NodeDef) -> bool:
        """Whether functional control flow does the same wherever its functions are.

        A sequence of random numbers with a seed is another one in a function, and of two stateless nodes that are alike
        TensorFlow may make one.
        """
        for name in callees(node):
            if name not in self.functions or (node.op in STATELESS and self.has_state(name)):
                return False
            nodes = (node for body in self._reached(name) for node in body)
            if any(node.attr[key].i for node in nodes for key in _SEEDS if key in node.attr):
                return False
        return True

    def _reached(self, name: str) -> Iterator[Iterable[NodeDef]]:
        """The nodes of a function, and of those that it calls, directly or not."""
        if len(self._nodes) < len(self.functions):
            self._nodes = {known: function.node_def for known, function in self.functions.items()}
        yield self._nodes[name]
        for called in called_functions(self._nodes[name], self._nodes):
            yield self._nodes[called]


_MADE = "="
"""What the name of a function begins with that stands for functional control flow; no function of a model's does."""


def is_made(function: FunctionDef) -> bool:
    """Whether a function stands for functional control flow, and calls its branches."""
    return str(function.signature.name).startswith(_MADE)


def _segment(engine: NodeDef) -> str:
    """The function that a TensorRT engine computes; empty for one that computes it with less precision.

    compiler/tf2tensorrt/ops/trt_engine_op.cc: the function is an attribute, in older releases its name is.
    """
    if "precision_mode" not in engine.attr or engine.attr["precision_mode"].s != b"FP32":
        return ""
    if "segment_func" in engine.attr and engine.attr["segment_func"].func.name:
        function = engine.attr["segment_func"].func
        return "" if function.attr else str(function.name)
    old = engine.attr["segment_funcdef_name"].s if "segment_funcdef_name" in engine.attr else b""
    return utf8(old) or ""


def says(call: NodeDef, function: FunctionDef) -> bool:
    """Whether a call says the dtypes that its function has, where it says any."""
    signature = function.signature
    inputs, outputs = ("InT", "OutT") if call.op == ENGINE else ("Tin", "Tout")
    for key, arguments in ((inputs, signature.input_arg), (outputs, signature.output_arg)):
        if key in call.attr:
            said = list(call.attr[key].list.type)
            types = [arg.type for arg in arguments]
            if len(said) != len(types) or any(t and s != t for s, t in zip(said, types, strict=True)):
                return False
    return True


def output_count(node: NodeDef, length: str, attrs: Mapping[str, AttrValue]) -> int | None:
    """How many tensors an output is: one, as many as an int attribute says, or as a list of types is long."""
    if not length:
        return 1
    if length not in node.attr:
        return None
    attr = node.attr[length]
    if attr.placeholder:
        attr = attrs.get(attr.placeholder, attr)
    return len(attr.list.type) if attr.HasField("list") else attr.i
