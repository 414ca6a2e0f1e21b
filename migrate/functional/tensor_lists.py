"""TensorArrays become TensorLists, whose gradients and converters work in functional control flow.

A TensorArray is a resource beside the graph; its ops hand on a number, the flow, which only orders them. A TensorList
is a value, and takes the flow's way through the graph. An array stays where its handle or flow goes anywhere else than
to ops that have a twin here: its gradient, or a function.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from migrate.functional import patterns
from migrate.functional.draft import Draft
from migrate.functional.kept import Kept
from migrate.functional.lines import out_of_line
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import Wire, as_input, attribute, canonical, split
from migrate.graph.protos import NodeDef, TensorShapeProto
from migrate.rewrite.new_nodes import constant, new_node, replaced

_ARRAY = "TensorArrayV3"
_DIFFERENTIABLE = frozenset(map(dtype_value, ("bfloat16", "complex128", "complex64", "float16", "float32", "float64")))
_VARIANT, _INT32 = dtype_value("variant"), dtype_value("int32")
_FLOW = {
    "TensorArrayConcatV3": 1,
    "TensorArrayGatherV3": 2,
    "TensorArrayReadV3": 2,
    "TensorArrayScatterV3": 3,
    "TensorArraySizeV3": 1,
    "TensorArrayWriteV3": 3,
}
"""The ops that have a twin, with the position of the flow among their inputs; the handle is the first."""
_GIVES_FLOW = frozenset({"TensorArrayScatterV3", "TensorArrayWriteV3"})
_PASSES = frozenset({"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"})


def convert(draft: Draft, results: Collection[str]) -> list[Kept]:
    """Makes TensorLists of the TensorArrays of a graph.

    Args:
      draft: the graph, with v1 control flow; it is changed.
      results: full names of tensors that it must give.

    Returns:
      The TensorArrays that stay.
    """
    arrays = [name for name, known in draft.wires.items() if known.op == _ARRAY]
    if not arrays:
        return []
    found = _Uses(draft, arrays, results)
    made = [array for array in arrays if array not in found.wrong]
    _replace(draft, found, frozenset(made))
    return list(found.wrong.values())


class _Uses:
    """Where the handles and flows of arrays go.

    Attributes:
      handles: the array of each tensor that is a handle.
      flows: the array of each tensor that is a flow.
      wrong: why arrays stay.
    """

    def __init__(self, draft: Draft, arrays: Iterable[str], results: Collection[str]) -> None:
        self.handles: dict[str, str] = {}
        self.flows: dict[str, str] = {}
        self.wrong: dict[str, Kept] = {}
        self._draft = draft
        consumers = draft.graph().consumers
        for array in arrays:
            self._follow(array, f"{array}:0", self.handles, consumers)
            self._follow(array, f"{array}:1", self.flows, consumers)
        waited = {wait for known in draft.wires.values() for wait in known.controls}
        for tensor, array in self.handles.items():
            if split(tensor)[0] != array and split(tensor)[0] in waited:
                self._blame(array, split(tensor)[0], "hands on while other nodes wait for it")
        for tensor, array in (*self.handles.items(), *self.flows.items()):
            if tensor in results:
                self._blame(array, split(tensor)[0], "gives to the caller")
        self._check()

    def _blame(self, array: str, node: str, reason: str) -> None:
        self.wrong.setdefault(array, Kept(f"is a TensorArray that {node!r} {reason}", (array, node)))

    def _follow(
        self, array: str, start: str, kind: dict[str, str], consumers: Mapping[str, Sequence[tuple[str, int]]]
    ) -> None:
        wires = self._draft.wires
        is_flow = kind is self.flows
        pending = [start]
        for tensor in pending:  # grows while it is read
            if kind.get(tensor, array) != array:
                self._blame(array, split(tensor)[0], "takes with another array")
                self._blame(kind[tensor], split(tensor)[0], "takes with another array")
            if tensor in kind:
                continue
            kind[tensor] = array
            for name, position in consumers.get(tensor, ()):
                op = wires[name].op
                if op in _PASSES and (position == 0 or op == "Merge"):
                    pending += [f"{name}:{output}" for output in range(2 if op == "Switch" else 1)]
                elif op in _FLOW and position == (_FLOW[op] if is_flow else 0):
                    pending += [f"{name}:0"] if is_flow and op in _GIVES_FLOW else []
                else:
                    self._blame(array, name, "takes, an op that TensorLists do not have")

    def _check(self) -> None:
        """Sees to it that each node has the handle and the flow of one array, and each Merge flows alone.

        A list is what a flow has been through: so all accesses must see that, and nothing else.
        """
        for name, known in self._draft.wires.items():
            if known.op in _FLOW:
                one, other = self.handles.get(known.data[0]), self.flows.get(known.data[_FLOW[known.op]])
                if one != other:
                    for array in filter(None, (one, other)):
                        self._blame(array, name, "takes with another array")
                elif one is not None and known.op == "TensorArrayGatherV3" and not self._gathers_once(one, known):
                    self._blame(one, name, "may gather an element of twice, of which the gradient of a list has one")
            elif known.op == "Merge":
                for kind in (self.handles, self.flows):
                    found = {kind.get(tensor) for tensor in known.data}
                    if len(found) > 1:
                        for array in filter(None, found):
                            self._blame(array, name, "merges with another tensor")
        taken = {
            name: known.data[_FLOW[known.op]]
            for name, known in self._draft.wires.items()
            if known.op in _FLOW and known.data[_FLOW[known.op]] in self.flows
        }
        writes = {name for name in taken if self._draft.wires[name].op in _GIVES_FLOW}
        for write, other in out_of_line(self._draft, taken, writes):
            reason = "writes in each iteration" if write == other else "uses while another node may have written it"
            self._blame(self.flows[taken[write]], other, reason)

    def _gathers_once(self, array: str, gather: Wire) -> bool:
        """Whether a gather takes no element twice, or there is no gradient of elements anyway."""
        dtype = self._draft.nodes[array].attr["dtype"].type
        return dtype not in _DIFFERENTIABLE or patterns.are_distinct(self._draft, gather.data[1])


def _replace(draft: Draft, found: _Uses, made: frozenset[str]) -> None:
    originals = {name: draft.nodes[name] for name in made}
    passing = {split(tensor)[0] for tensor, array in found.handles.items() if array in made} - made
    flowing = {split(tensor)[0] for tensor, array in found.flows.items() if array in made}
    for name, known in list(draft.wires.items()):
        node = draft.nodes[name]
        if name in made:
            _reserve(draft, node)
        elif known.op in _FLOW and found.flows.get(known.data[_FLOW[known.op]]) in made:
            _twin(draft, node, originals[found.flows[known.data[_FLOW[known.op]]]])
        elif name in flowing:
            inputs = [_flow(t, made) if t in found.flows else as_input(t) for t in known.data]
            new = replaced(node, known.op, inputs)
            new.attr["T"].type = _VARIANT
            draft.put(new)
    draft.remove(passing)


def _flow(tensor: str, made: Collection[str]) -> str:
    """The list that a flow becomes: an array has it as its first output."""
    name, output = split(tensor)
    return name if name in made and output == 1 else as_input(tensor)


def _element(array: NodeDef) -> TensorShapeProto:
    """The shape of each element, as far as an array says it."""
    return array.attr["element_shape"].shape if "element_shape" in array.attr else TensorShapeProto(unknown_rank=True)


def _reserve(draft: Draft, array: NodeDef) -> None:
    known = draft.wires[array.name]
    shape = _shape(draft, f"{array.name}/element_shape", _element(array), known.sources[0])
    waits = [f"^{wait}" for wait in known.controls]
    new = new_node("TensorListReserve", array.name, [shape, as_input(known.data[0]), *waits], shape_type=_INT32)
    new.attr["element_dtype"].type = array.attr["dtype"].type
    draft.put(new)


def _twin(draft: Draft, node: NodeDef, array: NodeDef) -> None:
    known = draft.wires[node.name]
    dtype = array.attr["dtype"].type
    flow_position = _FLOW[node.op]
    flow = _flow(known.data[flow_position], {array.name})
    others = [as_input(tensor) for tensor in known.data[1:flow_position]]
    at = known.sources[flow_position]
    waits = [f"^{wait}" for wait in known.controls]

    def shape(element: TensorShapeProto) -> str:
        return _shape(draft, f"{node.name}/element_shape", element, at)

    match node.op:
        case "TensorArrayWriteV3":
            new = new_node("TensorListSetItem", node.name, [flow, *others, *waits], element_dtype=dtype)
            if attribute(array, "dynamic_size").b:
                new.attr["resize_if_index_out_of_bounds"].b = True
        case "TensorArrayReadV3":
            element = shape(_element(array))
            new = new_node("TensorListGetItem", node.name, [flow, *others, element, *waits], element_dtype=dtype)
        case "TensorArrayGatherV3":
            own = node.attr["element_shape"].shape if "element_shape" in node.attr else _element(array)
            size = None if attribute(array, "dynamic_size").b else canonical(array.input[0])
            if patterns.is_every(draft, known.data[1], known.data[flow_position], size):
                waits = _all_waits(draft, known, [known.data[1]])
                new = new_node("TensorListStack", node.name, [flow, shape(own), *waits], element_dtype=dtype)
                new.attr["num_elements"].i = -1
            else:
                new = new_node("TensorListGather", node.name, [flow, *others, shape(own), *waits], element_dtype=dtype)
        case "TensorArrayScatterV3":
            indices, value = others
            if patterns.fills(draft, known.data[1], known.data[2], known.data[flow_position]):
                waits = _all_waits(draft, known, [known.data[1], known.data[flow_position]])
                inputs = [value, shape(_element(array)), *waits]
                draft.put(new_node("TensorListFromTensor", node.name, inputs, element_dtype=dtype, shape_type=_INT32))
                return
            op = "TensorListScatterIntoExistingList"
            new = new_node(op, node.name, [flow, value, indices, *waits], element_dtype=dtype)
        case "TensorArraySizeV3":
            new = new_node("TensorListLength", node.name, [flow, *waits])
        case _:
            own = node.attr["element_shape_except0"].shape
            element_shape = TensorShapeProto(unknown_rank=own.unknown_rank or "element_shape_except0" not in node.attr)
            if not element_shape.unknown_rank:
                element_shape.dim.add(size=-1)
                element_shape.dim.extend(own.dim)
            none = draft.put(_vector(draft, draft.unique(f"{node.name}/leading_dims"), at))
            inputs = [flow, shape(element_shape), none.name, *waits]
            new = new_node("TensorListConcatV2", node.name, inputs, element_dtype=dtype, shape_type=_INT32)
    draft.put(new)


def _all_waits(draft: Draft, known: Wire, gone: Iterable[str]) -> list[str]:
    """The control inputs of an op that takes some inputs of a node no more."""
    return [f"^{wait}" for wait in dict.fromkeys((*known.controls, *patterns.waits(draft, gone)))]


def _before_switches(draft: Draft, name: str) -> str:
    """What a node is led from into branches: in the same loop, and what waits for it is in none of the branches."""
    while draft.wires[name].op == "Switch":
        name = draft.wires[name].sources[0]
    return name


def _shape(draft: Draft, name: str, shape: TensorShapeProto, after: str) -> str:
    """A constant that is a shape, in the loop of a node."""
    sizes: int | list[int] = -1 if shape.unknown_rank else [dim.size for dim in shape.dim]
    return draft.put(constant(draft.unique(name), sizes, [_before_switches(draft, after)])).name


def _vector(draft: Draft, name: str, after: str) -> NodeDef:
    """An empty vector of int64, in the loop of a node."""
    node = NodeDef(name=name, op="Const", input=[f"^{_before_switches(draft, after)}"])
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = dtype_value("int64")
    node.attr["value"].tensor.tensor_shape.dim.add(size=0)
    return node
