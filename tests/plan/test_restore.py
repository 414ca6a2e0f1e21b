from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.graph.graph import ParsedNodes
from migrate.graph.protos import MetaGraphDef, NodeDef, SaverDef, VariableDef
from migrate.plan.restore import Computed, FromCheckpoint, Restore, TableFill, read_restore, restore_by_name, string_at
from migrate.records import Finding
from tests.plan.graphs import MODEL, SAVER
from tests.rewrite.texts import node

_SAVER_DEF = SaverDef(filename_tensor_name="save/Const:0", restore_op_name="save/restore_all")
_ASSIGN = "save/Assign = Assign(v, save/RestoreV2) T=float32"


def _nodes(text: str) -> ParsedNodes:
    return ParsedNodes(map(node, filter(None, text.splitlines())))


def _read(text: str = MODEL + SAVER) -> Restore:
    found = read_restore(_nodes(text), _SAVER_DEF)
    assert isinstance(found, Restore)
    return found


def test_a_variable_is_filled_by_the_key_of_its_name():
    found = _read()
    assert found.values == {"v": FromCheckpoint("v")}
    assert (found.tables, found.filename, found.findings) == ({}, "save/Const:0", ())
    assert "y" not in found.run.graph.nodes


def test_the_graph_says_the_key_and_the_names_do_not():
    text = MODEL + "w = VariableV2() dtype=float32 shape=(2) shared_name='shared'\n" + SAVER
    text = text.replace("string:['v']", "string:['a', 'b']").replace("string:['']", "string:['', '4 0,2']")
    text = text.replace(_ASSIGN, "save/Assign = Assign(v, moved) T=float32\nmoved = Identity(save/RestoreV2:1)")
    text = text.replace("restore_all = NoOp(", "restore_all = NoOp(^save/second, ")
    text += "save/second = Assign(w, save/RestoreV2) T=float32"
    assert _read(text).values == {"v": FromCheckpoint("b", "4 0,2"), "shared": FromCheckpoint("a")}


def test_a_resource_variable_is_found_behind_its_handle():
    text = (MODEL + SAVER).replace("v = VariableV2()", "v = VarHandleOp() shared_name='shared'")
    text = text.replace("Assign(v,", "AssignVariableOp(handle,") + "handle = Identity(v) T=resource"
    assert _read(text).values == {"shared": FromCheckpoint("v")}


def test_pure_ops_between_checkpoint_and_variable_are_kept():
    text = SAVER.replace("string:['v']", "string:['a', 'b']").replace("string:['']", "string:['', '']")
    text = text.replace(_ASSIGN, "save/Assign = Assign(v, sum) T=float32\nsum = Add(save/RestoreV2:1, half) T=float32")
    text += "half = Mul(save/RestoreV2:0, save/RestoreV2:1) T=float32"
    (value,) = _read(MODEL + text).values.values()
    assert isinstance(value, Computed) and value.tensor == "sum:0"
    assert sorted(read.key for read in value.reads) == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "code", "names"),
    [
        (
            _ASSIGN,
            "save/Assign = Assign(v, sum) T=float32\nsum = Add(save/RestoreV2, noise) T=float32\n"
            "noise = RandomUniform(save/names) dtype=float32",
            "restore-value-computed",
            ("noise",),
        ),
        ("save/names = Const()", "save/names = Neg(x)", "restore-key-computed", ("save/RestoreV2",)),
        ("save/slices = Const()", "save/slices = Neg(x)", "restore-key-computed", ("save/RestoreV2",)),
        ("Assign(v,", "Assign(x,", "restore-target-unknown", ("save/Assign",)),
        ("= Assign(v,", "= AssignAdd(v,", "restore-op-effect", ("save/Assign",)),
        (
            "RestoreV2(save/Const,",
            "RestoreV2(save/names,",
            "file-outside-model",
            ("save/RestoreV2",),
        ),
    ],
)
def test_what_does_more_than_fill_variables_from_the_checkpoint_is_refused(old, new, code, names):
    text = MODEL + SAVER
    assert old in text
    assert (code, names) in [(finding.code, finding.nodes) for finding in _read(text.replace(old, new)).findings]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("save/restore_all", "other", "restore-op-missing"),
        ("(save/Const, ", "(gone, ", "graph-broken"),
        ("(save/Const, save/names, save/slices)", "(save/Const)", "graph-broken"),
        ("NoOp(^save/Assign)", "NoOp(^save/Assign, ^save/restore_all)", "cyclic-graph"),
    ],
)
def test_a_graph_that_cannot_be_restored_is_refused_as_a_whole(old, new, code):
    found = read_restore(_nodes((MODEL + SAVER).replace(old, new)), _SAVER_DEF)
    assert isinstance(found, Finding) and found.code == code


def test_a_saver_that_names_no_node_is_refused():
    found = read_restore(ParsedNodes([]), SaverDef(filename_tensor_name="f:0", restore_op_name="r"))
    assert isinstance(found, Finding) and (found.code, found.nodes) == ("restore-op-missing", ("r",))


@pytest.mark.parametrize("tensor", ["save/Const:1", "save/restore_all:0"])
def test_a_saver_that_names_an_output_which_its_node_lacks_is_refused(tensor):
    saver = SaverDef(filename_tensor_name=tensor, restore_op_name="save/restore_all")
    found = read_restore(_nodes(MODEL + SAVER), saver)
    assert isinstance(found, Finding) and (found.code, found.nodes) == ("restore-op-missing", (tensor[:-2],))
    assert f"names the tensor {tensor!r}, but " in found.message


_TABLE = """
table = MutableHashTableV2() shared_name='words'
save/Const = Const() dtype=string value=string:'model'
save/names = Const() dtype=string value=string:['words-keys', 'words-values']
save/slices = Const() dtype=string value=string:['', '']
save/RestoreV2 = RestoreV2(save/Const, save/names, save/slices) dtypes=[string, int64]
fill = LookupTableImportV2(table, save/RestoreV2:0, save/RestoreV2:1) Tin=string Tout=int64
save/restore_all = NoOp(^fill)
"""


def test_a_table_is_filled_with_two_tensors():
    found = _read(_TABLE)
    fill = TableFill(FromCheckpoint("words-keys"), FromCheckpoint("words-values"), 7, 9)
    assert (found.tables, found.values, found.findings) == ({"words": fill}, {}, ())


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("MutableHashTableV2()", "VarHandleOp()", "restore-target-unknown"),
        ("save/RestoreV2:1)", "computed)", "restore-value-computed"),
        ("save/RestoreV2:0,", "computed,", "restore-value-computed"),
    ],
)
def test_a_table_that_is_filled_otherwise_is_refused(old, new, code):
    text = _TABLE.replace(old, new) + "computed = Add(save/RestoreV2, save/RestoreV2) T=string"
    found = _read(text)
    assert [finding.code for finding in found.findings] == [code] and not found.tables


# Without a SaverDef.


def _listed(*definitions: VariableDef) -> MetaGraphDef:
    made = MetaGraphDef()
    listed = made.collection_def["variables"].bytes_list.value
    listed.extend(definition.SerializeToString() for definition in definitions)
    return made


def _part(name: str, offset: tuple[int, ...], shape: tuple[int, ...]) -> VariableDef:
    made = VariableDef(variable_name=name)
    part = made.save_slice_info_def
    part.full_name = "whole"
    part.full_shape.extend([10, 4])
    part.var_offset.extend(offset)
    part.var_shape.extend(shape)
    return made


def test_variables_are_restored_by_their_names():
    nodes = _nodes(MODEL + "w = VarHandleOp() shared_name='shared'\np = VariableV2() dtype=float32")
    listed = _listed(
        VariableDef(variable_name="v:0"), VariableDef(variable_name="w:0"), _part("p:0", (0, 0), (5, 4)),
        VariableDef(variable_name="gone:0"), VariableDef(variable_name="y:0"),
    )  # fmt: skip
    listed.collection_def["variables"].bytes_list.value.append(b"\x0a\xff")
    found = restore_by_name(nodes, listed, frozenset())
    assert found is not None and not found.run.graph.nodes
    part = FromCheckpoint("whole", "10 4 0,5:0,4")
    assert found.values == {"v": FromCheckpoint("v"), "shared": FromCheckpoint("w"), "p": part}


def test_what_the_init_op_sets_or_a_broken_slice_describes_is_not_restored():
    nodes = _nodes(MODEL)
    assert restore_by_name(nodes, _listed(VariableDef(variable_name="v:0")), frozenset({"v"})) is None
    assert restore_by_name(nodes, _listed(_part("v:0", (0,), (5, 4))), frozenset()) is None
    assert restore_by_name(nodes, MetaGraphDef(), frozenset()) is None


# Elements of string constants.


@settings(max_examples=30)
@given(st.lists(st.text("ab", max_size=2), min_size=1, max_size=4), st.integers(0, 4))
def test_the_last_element_may_stand_for_its_repetitions(values, repeated):
    names = ", ".join(f"'{value}'" for value in values)
    made = node(f"n = Const() dtype=string value=string:[{names}]")
    made.attr["value"].tensor.tensor_shape.dim[0].size += repeated
    found = [string_at(made, place) for place in range(len(values) + repeated + 1)]
    assert found == [*values, *values[-1:] * repeated, None]


@pytest.mark.parametrize("size", [-1, 1 << 21])
def test_what_is_no_string_constant_has_no_elements(size):
    made = node("n = Const() dtype=string value=string:['a']")
    assert string_at(made, 0) == "a"
    assert string_at(node("n = Const(^a) dtype=string value=string:['a']"), 0) is None
    assert string_at(node("n = Identity(a) T=string"), 0) is None
    assert string_at(NodeDef(name="n", op="Const"), 0) == ""
    made.attr["value"].tensor.tensor_shape.dim[0].size = size
    assert string_at(made, 0) is None
