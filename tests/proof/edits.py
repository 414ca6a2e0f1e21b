"""Random edits of a graph that a signature needs, and what the proof says of the edited graph as a candidate."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import random
from collections.abc import Iterator, Sequence

from migrate.graph import contract
from migrate.graph.graph import canonical, split
from migrate.graph.op_table import load_op_table
from migrate.graph.output_dtypes import output_dtypes
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.proof import constants
from migrate.proof.loading import Loaded
from migrate.proof.model import inputs_of, tensors_of
from migrate.proof.pair import Asked, Files, Pair
from migrate.proof.records import NotProved
from migrate.proof.signatures import signature as prove_signature
from migrate.proof.source_calls import SourceCalls
from migrate.proof.variables import Variables
from migrate.sources.saved_model import read_saved_model


class Given:
    """A TF1 model, which is a candidate for itself in a Session."""

    def __init__(self, path: pathlib.Path) -> None:
        """Reads it."""
        self.path = str(path)
        self.model = read_saved_model(self.path)
        self.meta_graph = self.model.meta_graphs[0]
        self.files = Files(self.model.checkpoint, self.model.assets_dir, self.model.boundary)

    def needed(self) -> Iterator[NodeDef]:
        """The nodes that some signature runs, and the placeholders that it feeds."""
        nodes = {node.name: node for node in self.meta_graph.graph_def.node}
        fed: set[str] = set()
        pending: list[str] = []
        for definition in self.meta_graph.signature_def.values():
            fed |= {split(tensor)[0] for tensor in inputs_of(definition)}
            pending += [split(t)[0] for info in definition.outputs.values() for t in tensors_of(info)]
        met: set[str] = set()
        while pending:
            name = pending.pop()
            if name in met or name not in nodes:
                continue
            met.add(name)
            if name in fed:
                continue
            pending += [split(canonical(text.removeprefix("^")))[0] for text in nodes[name].input]
        return (nodes[name] for name in sorted(met) if name not in fed or nodes[name].op == "Placeholder")

    def left(self, candidate: MetaGraphDef) -> list[str]:
        """The reasons for which a Session's calls of a candidate are not proved; what loading leaves is one of them."""
        pair = Pair(self.meta_graph, self.files, candidate, self.path, Asked({}))
        loaded = Loaded(pair)
        variables = Variables(pair, loaded)
        calls = SourceCalls(variables)
        found = [loaded.result, *variables.results().values()]
        for signature in contract.signatures(self.meta_graph):
            outputs, effects = prove_signature(calls, signature.key, ways=("session",))
            found += [*outputs.values(), effects]
        return [result.why for result in found if isinstance(result, NotProved)]


@dataclasses.dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes:
      kind: name of the function below.
      op: of the node.
      node: its name.
      what: attribute, positions, or the new tensor and the old one.
      candidate: the edited copy.
    """

    kind: str
    op: str
    node: str
    what: tuple[str, ...]
    candidate: MetaGraphDef

    def __str__(self) -> str:
        return f"{self.kind}: {self.op} {self.node!r}: {', '.join(self.what)}"


def edited(given: Given, draw: random.Random, kinds: Sequence[str] = ()) -> Edit | None:
    """A copy with one edit in it; None where the edit that was drawn cannot be made."""
    candidate = MetaGraphDef()
    candidate.CopyFrom(given.meta_graph)
    nodes = {node.name: node for node in candidate.graph_def.node}
    node = nodes[draw.choice([needed.name for needed in given.needed()])]
    kind = draw.choice([known for known in _KINDS if not kinds or known.__name__ in kinds])
    before = node.op
    what = kind(node, nodes, draw)
    return Edit(kind.__name__, before, node.name, what, candidate) if what else None


def same_value(given: Given, one: str, other: str) -> bool:
    """Whether two tensors are one, behind ops that hand their input on, or constants of one value."""
    nodes = {node.name: node for node in given.meta_graph.graph_def.node}
    roots = [_root(nodes, one), _root(nodes, other)]
    if roots[0] == roots[1]:
        return True
    found = [nodes[split(root)[0]] for root in roots]
    return all(node.op == "Const" for node in found) and len({_value(node) for node in found}) == 1


def _value(node: NodeDef) -> object:
    return constants.content(node.attr["value"].tensor)


def _root(nodes: dict[str, NodeDef], tensor: str) -> str:
    for _ in range(100):
        node = nodes[split(canonical(tensor))[0]]
        if node.op not in ("Identity", "RefSwitch", "Switch", "Enter", "RefEnter", "LoopCond"):
            break
        tensor = node.input[0]
    return canonical(tensor)


def an_attribute(node: NodeDef, nodes: dict[str, NodeDef], draw: random.Random) -> tuple[str, ...]:
    """Another value of an attribute."""
    keys = sorted(key for key in node.attr if key != "value")
    if not keys:
        return ()
    key = draw.choice(keys)
    value, before = node.attr[key], node.attr[key].SerializeToString(deterministic=True)
    kind = value.WhichOneof("value")
    if kind == "i":
        value.i += draw.choice([1, -1, 7])
    elif kind == "b":
        value.b = not value.b
    elif kind == "f":
        value.f = value.f * 2 + 1
    elif kind == "s":
        value.s += b"x"
    elif kind == "type":
        value.type = draw.choice([t for t in (1, 2, 3, 7, 9, 10) if t != value.type])
    elif kind == "shape":
        value.shape.dim.add(size=3)
    elif kind == "list" and value.list.type:
        value.list.type[0] = 3 if value.list.type[0] != 3 else 1
    elif kind == "list" and value.list.i:
        value.list.i[0] += 1
    else:
        return ()
    return (key,) if node.attr[key].SerializeToString(deterministic=True) != before else ()


def a_constant(node: NodeDef, nodes: dict[str, NodeDef], draw: random.Random) -> tuple[str, ...]:
    """Another number in a constant."""
    if node.op != "Const":
        return ()
    tensor = node.attr["value"].tensor
    for field in ("float_val", "int_val", "int64_val", "double_val"):
        values = getattr(tensor, field)
        if values:
            values[0] = values[0] + 1 if math.isfinite(values[0]) else 1
            return (field,)
    if tensor.bool_val:
        tensor.bool_val[0] = not tensor.bool_val[0]
        return ("bool_val",)
    if tensor.string_val:
        tensor.string_val[0] += b"!"
        return ("string_val",)
    if tensor.tensor_content:
        tensor.tensor_content = bytes([tensor.tensor_content[0] ^ 1]) + tensor.tensor_content[1:]
        return ("tensor_content",)
    return ()


def an_input(node: NodeDef, nodes: dict[str, NodeDef], draw: random.Random) -> tuple[str, ...]:
    """Another tensor of the same dtype in an input's place."""
    places = [place for place, text in enumerate(node.input) if text[0] != "^"]
    if not places:
        return ()
    place = draw.choice(places)
    source, output = split(canonical(node.input[place]))
    dtypes = output_dtypes(nodes[source], {})
    if dtypes is None:
        return ()
    behind = _behind(node.name, nodes)
    others = [
        f"{other.name}:{number}"
        for other in nodes.values()
        if other.name not in behind
        for number, dtype in enumerate(output_dtypes(other, {}) or ())
        if dtype == dtypes[output] and (other.name, number) != (source, output)
    ]
    if not others:
        return ()
    before, node.input[place] = node.input[place], draw.choice(others)
    return node.input[place], before


def two_inputs(node: NodeDef, nodes: dict[str, NodeDef], draw: random.Random) -> tuple[str, ...]:
    """Two inputs in each other's place."""
    places = [place for place, text in enumerate(node.input) if text[0] != "^"]
    if len(places) < 2:
        return ()
    one, other = draw.sample(places, 2)
    if node.input[one] == node.input[other]:
        return ()
    node.input[one], node.input[other] = node.input[other], node.input[one]
    return node.input[one], node.input[other]


def an_op(node: NodeDef, nodes: dict[str, NodeDef], draw: random.Random) -> tuple[str, ...]:
    """Another op with as many inputs and the same attributes."""
    groups: Sequence[Sequence[str]] = (
        ("Add", "AddV2", "Sub", "Mul", "Maximum", "Minimum", "RealDiv"),
        ("Relu", "Relu6", "Sigmoid", "Tanh", "Softmax", "Neg", "Exp", "Log", "Square"),
        ("Less", "Greater", "LessEqual", "GreaterEqual", "Equal", "NotEqual"),
        ("Sum", "Mean", "Max", "Min", "Prod"),
        ("Assign", "AssignAdd", "AssignSub"),
        ("LogicalAnd", "LogicalOr"),
        ("Identity", "Neg", "OnesLike", "ZerosLike"),
    )
    for group in groups:
        if node.op in group:
            node.op = draw.choice([op for op in group if op != node.op])
            return (node.op,) if node.op in load_op_table() else ()
    return ()


def an_edge(node: NodeDef, nodes: dict[str, NodeDef], draw: random.Random) -> tuple[str, ...]:
    """A control edge that is not there any more."""
    places = [place for place, text in enumerate(node.input) if text[0] == "^"]
    if not places:
        return ()
    return (str(node.input.pop(draw.choice(places))),)


_KINDS = (an_attribute, a_constant, an_input, two_inputs, an_op, an_edge)


def _behind(name: str, nodes: dict[str, NodeDef]) -> set[str]:
    """A node and all that need it."""
    users: dict[str, list[str]] = {}
    for node in nodes.values():
        for text in node.input:
            users.setdefault(split(canonical(text.removeprefix("^")))[0], []).append(node.name)
    found: set[str] = set()
    pending = [name]
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending += users.get(current, ())
    return found
