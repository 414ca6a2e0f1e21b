"""Small graphs, and what the proof says of two of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import AttrValue, FunctionDef, MetaGraphDef, NodeDef
from migrate.proof.difference import difference
from migrate.proof.library import Library
from migrate.proof.loading import Loaded
from migrate.proof.model import Model
from migrate.proof.pair import Asked, Files, Pair
from migrate.proof.program import Program
from migrate.proof.records import Result
from migrate.proof.settling import settle
from migrate.proof.shared import Shared
from migrate.proof.side import VARIABLES, Cell, Side
from migrate.proof.signatures import signature as prove_signature
from migrate.proof.source_calls import SourceCalls
from migrate.proof.states import fetched, final
from migrate.proof.variables import Variables


def node(op: str, name: str, *inputs: str, **attrs: Any) -> NodeDef:
    """A node; an attribute is a bool, int, float, bytes, a dtype's name, or a proto."""
    made = NodeDef(op=op, name=name, input=inputs)
    for key, value in attrs.items():
        if isinstance(value, AttrValue):
            made.attr[key].CopyFrom(value)
        elif isinstance(value, bool):
            made.attr[key].b = value
        elif isinstance(value, int):
            made.attr[key].i = value
        elif isinstance(value, float):
            made.attr[key].f = value
        elif isinstance(value, bytes):
            made.attr[key].s = value
        else:
            made.attr[key].type = dtype_value(value)
    return made


def const(name: str, value: float | bool, *waits: str) -> NodeDef:
    """A scalar: a float, or a bool."""
    made = NodeDef(op="Const", name=name, input=waits)
    tensor = made.attr["value"].tensor
    tensor.tensor_shape.SetInParent()
    if isinstance(value, bool):
        tensor.dtype = dtype_value("bool")
        tensor.bool_val.append(value)
    else:
        tensor.dtype = dtype_value("float32")
        tensor.float_val.append(value)
    made.attr["dtype"].type = tensor.dtype
    return made


def ref(name: str) -> NodeDef:
    """A ref variable."""
    return node("VariableV2", name, dtype="float32")


def handle(name: str) -> NodeDef:
    """A resource variable of that shared_name."""
    return node("VarHandleOp", name, dtype="float32", shared_name=name.encode())


X = node("Placeholder", "x", dtype="float32")
Y = node("Placeholder", "y", dtype="float32")
P = node("Placeholder", "p", dtype="bool")
Q = node("Placeholder", "q", dtype="bool")


def add(name: str, *inputs: str) -> NodeDef:
    """A sum of floats."""
    return node("AddV2", name, *inputs, T="float32")


def identity(name: str, *inputs: str) -> NodeDef:
    """A tensor of floats, handed on."""
    return node("Identity", name, *inputs, T="float32")


def read(name: str, *inputs: str) -> NodeDef:
    """What a resource variable of floats holds."""
    return node("ReadVariableOp", name, *inputs, dtype="float32")


def assign_add(name: str, *inputs: str) -> NodeDef:
    """The ref op."""
    return node("AssignAdd", name, *inputs, T="float32", use_locking=False)


def assign_add_resource(name: str, *inputs: str) -> NodeDef:
    """The resource op."""
    return node("AssignAddVariableOp", name, *inputs, dtype="float32")


def switch(name: str, *inputs: str, T: str = "float32") -> NodeDef:
    """A branch."""
    return node("Switch", name, *inputs, T=T)


def merge(name: str, *inputs: str) -> NodeDef:
    """The end of branches of floats."""
    return node("Merge", name, *inputs, T="float32", N=sum(i[0] != "^" for i in inputs))


def model(name: str, shared: Shared, nodes: Sequence[NodeDef], functions: Sequence[FunctionDef] = ()) -> Model:
    """A graph as a model."""
    graph = MetaGraphDef()
    graph.graph_def.node.extend(nodes)
    graph.graph_def.library.function.extend(functions)
    return Model(name, shared, graph)


def side(
    model: Model,
    outputs: Sequence[str],
    targets: Sequence[str] = (),
    fed: Mapping[str, Hashable] | None = None,
    lowers: bool = False,
) -> tuple[Side, list[tuple[int, int]]]:
    """A call: variables of one name begin alike in both models; tensors `x:0` and `p:0` are fed."""
    program = model.program(fed or {f"{n}:0": ("argument", n, 0) for n in ("x", "y", "p", "q")}, lowers=lowers)
    places = [program.tensor(output) for output in outputs]
    for target in targets:
        program.target(target)
    if lowers:
        program.keep(is_session=False)

    def initial(cell: Cell) -> int:
        makes = cell.makes if cell.kind not in VARIABLES else None
        return model.shared.terms.make("initial", ("variable", cell.key[2], makes))

    return model.side(program, initial), places


def compared(
    source: Sequence[NodeDef],
    candidate: Sequence[NodeDef],
    output: str = "out",
    targets: Sequence[str] = (),
    functions: Sequence[FunctionDef] = (),
    shapes: Mapping[Hashable, Sequence[int]] | None = None,
) -> Result:
    """What the proof says of one output of two graphs; `shapes` are those of variables, by their names."""
    shared = Shared()
    shared.shapes.update(shapes or {})
    one, first = side(model("source", shared, source, functions), [output], targets)
    other, second = side(model("candidate", shared, candidate, functions), [output], targets)
    settle(one, other)
    found = difference(shared.terms, fetched(one, first[0]), fetched(other, second[0]), one.origins, other.origins)
    if one.live(first[0]) != other.live(second[0]):
        raise AssertionError("the outputs are there in other calls")
    return found


def left(
    source: Sequence[NodeDef], candidate: Sequence[NodeDef], targets: Sequence[str], kind: str = "resource"
) -> Result:
    """What the proof says of what a call leaves in `v`, a ref in the source and of some kind in the candidate."""
    shared = Shared()
    one, _ = side(model("source", shared, source), [], targets)
    other, _ = side(model("candidate", shared, candidate), [], targets)
    settle(one, other)
    first = final(one, ("ref", b"", "v"))
    second = final(other, (kind, b"", "v"))
    return difference(shared.terms, first, second, one.origins, other.origins)


def library(*functions: FunctionDef) -> Library:
    """Functions."""
    return Library({function.signature.name: function for function in functions})


def program(nodes: Sequence[NodeDef], *functions: FunctionDef) -> Program:
    """A flat graph over some nodes."""
    return Program({n.name: n for n in nodes}, library(*functions))


def function(name: str, arguments: Sequence[str], nodes: Sequence[NodeDef], **returned: str) -> FunctionDef:
    """A function of floats."""
    made = FunctionDef()
    made.signature.name = name
    for argument in arguments:
        made.signature.input_arg.add(name=argument, type=dtype_value("float32"))
    for output, source in returned.items():
        made.signature.output_arg.add(name=output, type=dtype_value("float32"))
        made.ret[output] = source
    made.node_def.extend(nodes)
    return made


def call(name: str, callee: str, *inputs: str) -> NodeDef:
    """A call of a function."""
    made = node("StatefulPartitionedCall", name, *inputs)
    made.attr["f"].func.name = callee
    return made


def called(
    source: Sequence[NodeDef],
    candidate: Sequence[NodeDef],
    functions: Sequence[FunctionDef] = (),
    others: Sequence[FunctionDef] | None = None,
) -> tuple[Result, Result]:
    """What the proof says of `out` in a Session's call of two models that are fed `x`, and of what the call leaves.

    Args:
      source: nodes of the source.
      candidate: nodes of the candidate.
      functions: of the source.
      others: of the candidate, where they are not the same.
    """
    graphs = []
    for nodes, known in ((source, functions), (candidate, functions if others is None else others)):
        graph = MetaGraphDef()
        graph.graph_def.node.extend(nodes)
        graph.graph_def.library.function.extend(known)
        signature = graph.signature_def["serve"]
        for infos, name in ((signature.inputs, "x"), (signature.outputs, "out")):
            infos[name].name, infos[name].dtype = f"{name}:0", dtype_value("float32")
        graphs.append(graph)
    pair = Pair(graphs[0], Files(None, ""), graphs[1], "/nowhere", Asked({}))
    calls = SourceCalls(Variables(pair, Loaded(pair)))
    outputs, left_behind = prove_signature(calls, "serve", ways=("session",))
    (output,) = outputs.values()
    return output, left_behind
