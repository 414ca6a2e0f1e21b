"""Ops that are put together from others, handles in one tensor, and temporary variables."""

from __future__ import annotations

import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import AttrValue, NodeDef
from migrate.proof import constants
from migrate.proof.difference import difference
from migrate.proof.expanded import EXPANDED
from migrate.proof.numbering import run
from migrate.proof.records import PROVED, NotProved
from migrate.proof.settling import settle
from migrate.proof.shared import Shared
from migrate.proof.states import fetched
from tests.proof.graphs import compared, const, handle, left, model, node, ref, side

X = node("Placeholder", "x", dtype="float32")
Y = node("Placeholder", "y", dtype="float32")
INT = {"T": "int32"}


def int32(name: str, *waits: str, vector: tuple[int, ...] | None = None, value: int = 0) -> NodeDef:
    made = node("Const", name, *waits, dtype="int32")
    made.attr["value"].tensor.CopyFrom(constants.int32(value) if vector is None else constants.int32s(*vector))
    return made


def changed(nodes: list[NodeDef], name: str, **fields: object) -> list[NodeDef]:
    """The nodes with another one in one's place."""
    made = []
    for one in nodes:
        copy = NodeDef.FromString(one.SerializeToString())
        if one.name == name:
            for key, value in fields.items():
                if key == "input":
                    del copy.input[:]
                    copy.input.extend(value)
                elif key == "op":
                    copy.op = value
                else:
                    copy.attr[key].CopyFrom(value)
        made.append(copy)
    return made


def is_proved(*given, **more) -> bool:
    return compared(*given, **more) == PROVED


# Arrays of TF 0.x.
ARRAY = [X, int32("size", value=3), node("TensorArrayV3", "a", "size", dtype="float32")]
PACKED = [
    *ARRAY,
    node("TensorArraySizeV3", "n", "a", "a:1"),
    int32("zero", "^n"),
    int32("one", "^n", value=1),
    node("Range", "r", "zero", "n", "one", Tidx="int32"),
    node("TensorArrayGatherV3", "out", "a", "r", "a:1", dtype="float32"),
]


def test_an_array_that_is_packed_is_gathered():
    pack = [*ARRAY, node("TensorArrayPack", "out", "a", "a:1", dtype="float32")]
    assert is_proved(pack, PACKED)
    assert not is_proved(pack, changed(PACKED, "one", value=AttrValue(tensor=constants.int32(2))))
    assert not is_proved(pack, changed(PACKED, "r", input=["zero", "size", "one"]))
    assert not is_proved(pack, changed(PACKED, "out", dtype=AttrValue(type=dtype_value("float64"))))


def test_the_array_of_a_gradient_is_not():
    grad = node("TensorArrayGradV3", "g", "a", "a:1", source=b"s")
    pack = [*ARRAY, grad, node("TensorArrayPack", "out", "g", "g:1", dtype="float32")]
    found = compared(pack, pack)
    assert isinstance(found, NotProved)
    assert "gradient" in found.why


def test_an_array_that_is_unpacked_is_scattered():
    unpack = [*ARRAY, node("TensorArrayUnpack", "out", "a", "x", "a:1", T="float32")]
    scatter = [
        *ARRAY,
        node("Shape", "shape", "x", T="float32", out_type="int32"),
        int32("first", "^shape", vector=(0,)),
        int32("one", "^shape", vector=(1,)),
        node("Slice", "rows", "shape", "first", "one", T="int32", Index="int32"),
        int32("scalar", "^shape", vector=()),
        node("Reshape", "count", "rows", "scalar", T="int32", Tshape="int32"),
        int32("start", "^count"),
        int32("delta", "^count", value=1),
        node("Range", "r", "start", "count", "delta", Tidx="int32"),
        node("TensorArrayScatterV3", "out", "a", "r", "x", "a:1", T="float32"),
    ]
    assert is_proved(unpack, scatter)
    assert not is_proved(unpack, changed(scatter, "first", value=AttrValue(tensor=constants.int32s(1))))
    assert not is_proved(unpack, changed(scatter, "delta", value=AttrValue(tensor=constants.int32(2))))


# RefSelect.
SELECT = [
    ref("v"),
    ref("w"),
    node("Placeholder", "i", dtype="int32"),
    node("RefSelect", "chosen", "i", "v", "w", T="float32"),
    node("Neg", "out", "chosen", T="float32"),
]
FED = {"i:0": ("argument", "i", 0)}


def _selected(first: int = 0, second: int = 1, branch: int = 1) -> list[NodeDef]:
    nodes = [handle("v"), handle("w"), SELECT[2]]
    for number, (name, label) in enumerate((("v", first), ("w", second))):
        nodes += [
            int32(f"k{number}", "^i", value=label),
            node("Equal", f"e{number}", "i", f"k{number}", T="int32"),
            node("Switch", f"s{number}", name, f"e{number}", T="resource"),
        ]
    merge = node("Merge", "m", f"s0:{branch}", f"s1:{branch}", T="resource")
    return [
        *nodes,
        merge,
        node("ReadVariableOp", "read", "m", dtype="float32"),
        node("Neg", "out", "read", T="float32"),
    ]


def _select(candidate: list[NodeDef]) -> object:
    shared = Shared()
    one, first = side(model("source", shared, SELECT), ["out"], fed=FED)
    other, second = side(model("candidate", shared, candidate), ["out"], fed=FED)
    settle(one, other)
    assert one.live(first[0]) == other.live(second[0]) or fetched(one, first[0]) != fetched(other, second[0])
    return difference(shared.terms, fetched(one, first[0]), fetched(other, second[0]), one.origins, other.origins)


def test_a_ref_that_a_number_selects():
    assert _select(_selected()) == PROVED
    assert _select(_selected(first=1, second=0)) != PROVED
    assert _select(_selected(first=1)) != PROVED
    assert _select(_selected(branch=0)) != PROVED


# SdcaShrinkL1.
def _shrunk(ratio: float, sign: str = "w") -> list[NodeDef]:
    return [
        handle("v"),
        node("ReadVariableOp", "w", "v", dtype="float32"),
        const("less", ratio),
        const("zero", 0.0),
        node("Abs", "abs", "w", T="float32"),
        node("Sub", "sub", "abs", "less", T="float32"),
        node("Maximum", "max", "sub", "zero", T="float32"),
        node("Sign", "sign", sign, T="float32"),
        node("Mul", "mul", "sign", "max", T="float32"),
        node("AssignVariableOp", "done", "v", "mul", dtype="float32", validate_shape=False),
    ]


def test_weights_that_are_shrunk():
    source = [ref("v"), node("SdcaShrinkL1", "done", "v", l1=1.0, l2=4.0, num_features=1)]
    assert left(source, _shrunk(0.25), ["done"]) == PROVED
    assert left(source, _shrunk(0.5), ["done"]) != PROVED
    assert left(source, _shrunk(0.25, sign="abs"), ["done"]) != PROVED
    assert left([ref("v"), node("SdcaShrinkL1", "done", "v", l1=1.0, l2=0.0)], _shrunk(0.25), ["done"]) != PROVED


@pytest.mark.parametrize("op", EXPANDED)
def test_an_op_without_its_inputs_or_attributes_is_no_failure(op):
    one, places = side(model("source", Shared(), [node(op, "out")]), ["out"])
    run(one, is_first=True)
    assert op == "SdcaShrinkL1" or one.terms.doubtful(fetched(one, places[0]))


# Handles in one tensor.
def _vector(value: int) -> dict[str, AttrValue]:
    return {"value": AttrValue(tensor=constants.int32s(value))}


def _scattered(**changes: object) -> list[NodeDef]:
    nodes = [
        X,
        int32("at"),
        handle("v"),
        handle("like"),
        node("Pack", "both", "like", "v", T="resource", N=2, axis=0),
        int32("begin", vector=(1,)),
        int32("end", vector=(2,)),
        int32("step", vector=(1,)),
        node("StridedSlice", "h", "both", "begin", "end", "step", T="resource", Index="int32", shrink_axis_mask=1),
        node("ResourceScatterNdAdd", "done", "h", "at", "x", T="float32", Tindices="int32"),
    ]
    for name, fields in changes.items():
        nodes = changed(nodes, name, **fields)
    return nodes


@pytest.mark.parametrize(
    "changes",
    [
        {
            "begin": _vector(0),
            "end": _vector(1),
        },
        {"end": _vector(3)},
        {"step": _vector(-1)},
        {"h": {"shrink_axis_mask": AttrValue(i=0)}},
        {"h": {"begin_mask": AttrValue(i=1)}},
        {"h": {"new_axis_mask": AttrValue(i=1)}},
        {"both": {"input": ["v", "like"]}},
        {"both": {"axis": AttrValue(i=1)}},
    ],
    ids=str,
)
def test_a_handle_that_is_taken_out_of_two(changes):
    source = [X, int32("at"), ref("v"), node("ScatterNdAdd", "done", "v", "at", "x", T="float32", Tindices="int32")]
    assert left(source, _scattered(), ["done"]) == PROVED
    assert left(source, _scattered(**changes), ["done"]) != PROVED


# Temporary variables.
def _temporary(*adds: NodeDef, var_name: bytes = b"sum", waits: tuple[str, ...] = ("^a", "^b")) -> list[NodeDef]:
    return [
        X,
        Y,
        const("c", 1.0),
        node("TemporaryVariable", "t", dtype="float32", var_name=b"sum"),
        node("Assign", "first", "t", "c", T="float32"),
        *(adds or (ADD_A, ADD_B)),
        node("DestroyTemporaryVariable", "out", "first", *waits, T="float32", var_name=var_name),
    ]


ADD_A = node("AssignAdd", "a", "first", "x", T="float32")
ADD_B = node("AssignAdd", "b", "first", "y", T="float32")


def _sum(one: str = "x", other: str = "y", op: str = "AddV2") -> list[NodeDef]:
    names = ("a", "b") if one == "x" else ("b", "a")
    return [
        X,
        Y,
        const("c", 1.0),
        node("DeepCopy", "first", "c", T="float32"),
        node("AddV2", names[0], "first", one, T="float32"),
        node(op, names[1], names[0], other, T="float32"),
        node("Identity", "out", names[1], T="float32"),
    ]


def test_a_temporary_variable_is_a_sum():
    assert is_proved(_temporary(), _sum())
    assert is_proved(_temporary(), _sum("y", "x"))  # TF1 may do either first.
    assert not is_proved(_temporary(), _sum(op="Sub"))
    assert not is_proved(_temporary(), _sum("x", "x"))


def test_additions_in_an_order_stay_in_it():
    source = _temporary(ADD_A, node("AssignAdd", "b", "a", "y", T="float32"))
    assert is_proved(source, _sum())
    assert not is_proved(source, _sum("y", "x"))
    assert is_proved(_temporary(ADD_A, node("AssignSub", "b", "a", "y", T="float32")), _sum(op="Sub"))


@pytest.mark.parametrize(
    "source",
    [
        _temporary(var_name=b"other"),
        _temporary(waits=("^a",)),
        _temporary(ADD_A, node("AssignAdd", "b", "t", "y", T="float32")),
        _temporary(ADD_A, ADD_B, node("Assign", "again", "first", "x", T="float32"), waits=("^a", "^b", "^again")),
        _temporary(ADD_A, node("AssignAdd", "b", "first", "t", T="float32")),
        _temporary(
            ADD_A,
            node("Placeholder", "p", dtype="bool"),
            node("Switch", "s", "y", "p", T="float32"),
            node("AssignAdd", "b", "first", "s:1", T="float32"),
        ),
        [*_temporary(), node("TemporaryVariable", "u", "^out", dtype="float32", var_name=b"sum")],
    ],
    ids=["name", "unordered", "before", "twice", "itself", "branch", "second"],
)
def test_another_use_of_a_temporary_variable_is_not_proved(source):
    output, targets = ("u" if source[-1].name == "u" else "out"), ("b",)
    one, places = side(model("source", Shared(), source), [output], targets)
    run(one, is_first=True)
    assert one.terms.doubtful(fetched(one, places[0]))


def test_a_write_after_the_end_is_not_proved():
    source = [*_temporary(), node("AssignAdd", "late", "first", "x", "^out", T="float32")]
    found = compared(source, _sum(), targets=())
    assert found == PROVED  # Nothing needs it.
    assert not is_proved([*source, node("Neg", "n", "out", "^late", T="float32")], _sum(), output="n")
