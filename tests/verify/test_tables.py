"""What a candidate's tables are filled with, followed from the op to the file."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.tables import table_differences


def _source(*names: str) -> MetaGraphDef:
    """Each table is filled from a file of its name."""
    graph = MetaGraphDef()
    for name in names:
        graph.graph_def.node.add(name=f"{name}/path", op="Const")
        graph.graph_def.node.add(name=name, op="HashTableV2")
        _fill(graph.graph_def.node, name, f"{name}/path")
        graph.asset_file_def.add(filename=f"{name}.txt").tensor_info.name = f"{name}/path:0"
    return graph


def _fill(nodes, name: str, path: str, **settings: int) -> None:
    node = nodes.add(name=f"{name}/init", op="InitializeTableFromTextFileV2", input=[f"{name}/table", path])
    for key, value in {"key_index": -2, "value_index": -1, "vocab_size": 3, **settings}.items():
        node.attr[key].i = value
    node.attr["delimiter"].s = b"\t"


def _candidate(*names: str) -> MetaGraphDef:
    """A function fills all tables; its paths are arguments of another one, and variables or assets beyond that."""
    graph = MetaGraphDef()
    inner, outer = (graph.graph_def.library.function.add() for _ in range(2))
    inner.signature.name, outer.signature.name = "inner", "outer"
    call = outer.node_def.add(name="call", op="StatefulPartitionedCall")
    call.attr["f"].func.name = "inner"
    main = graph.graph_def.node.add(name="call", op="StatefulPartitionedCall")
    main.attr["f"].func.name = "outer"
    concrete = graph.object_graph_def.concrete_functions["outer"]
    for number, name in enumerate(names):
        outer.signature.input_arg.add(name=f"path_{number}")
        inner.signature.input_arg.add(name=f"asset_{number}")
        call.input.append(f"path_{number}")
        _fill(inner.node_def, name, f"asset_{number}")
        nodes = graph.graph_def.node
        nodes.add(name=f"given_{number}", op="Placeholder")
        nodes.add(name=f"variable_{number}", op="VarHandleOp")
        nodes.add(name=f"assign_{number}", op="AssignVariableOp", input=[f"variable_{number}", f"given_{number}"])
        nodes.add(name=f"read_{number}", op="ReadVariableOp", input=[f"variable_{number}"])
        main.input.append(f"read_{number}")
        graph.asset_file_def.add(filename=f"{name}.txt").tensor_info.name = f"given_{number}:0"
        graph.object_graph_def.nodes.add().asset.asset_file_def_index = number
        concrete.bound_inputs.append(number)
    return graph


@pytest.fixture
def told(tmp_path):
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        for name in ("a", "b"):
            (tmp_path / folder / f"{name}.txt").write_text(f"words of {name}\n")

    def compare(before, after):
        found = table_differences(before, str(tmp_path / "old"), after, str(tmp_path / "new"), "contract")
        assert all(difference.code == "table-differs" for difference in found)
        found = table_differences(before, str(tmp_path / "old"), after, str(tmp_path / "new"), "contract")
        return [difference.output for difference in found]

    return compare


def _node(graph, name):
    bodies = [graph.graph_def.node, *(f.node_def for f in graph.graph_def.library.function)]
    return next(node for nodes in bodies for node in nodes if node.name == name)


def test_tables_of_the_same_files(told):
    assert told(_source("a", "b"), _candidate("a", "b")) == []
    # A signature may have been left out, with its table.
    assert told(_source("a", "b"), _candidate("a")) == []


def test_assets_that_a_session_takes_for_each_other(told):
    new = _candidate("a", "b")
    one, two = new.asset_file_def
    one.tensor_info.name, two.tensor_info.name = two.tensor_info.name, one.tensor_info.name
    assert told(_source("a", "b"), new) == ["a/init", "b/init"]


def test_assets_that_python_takes_for_each_other(told):
    new = _candidate("a", "b")
    new.object_graph_def.concrete_functions["outer"].bound_inputs[:] = [1, 0]
    assert told(_source("a", "b"), new) == ["a/init", "b/init"]


@pytest.mark.parametrize("place", [-1, 2, 99])
def test_an_asset_that_is_not_there(told, place):
    new = _candidate("a", "b")
    new.object_graph_def.nodes.add()
    new.object_graph_def.concrete_functions["outer"].bound_inputs[:] = [0, place]
    assert told(_source("a", "b"), new) == ["b/init"]


@pytest.mark.parametrize("setting", ["key_index", "value_index", "vocab_size", "offset"])
def test_a_table_that_is_filled_in_another_way(told, setting):
    new = _candidate("a")
    _node(new, "a/init").attr[setting].i = 2
    assert told(_source("a"), new) == ["a/init"]


def test_another_delimiter(told):
    new = _candidate("a")
    _node(new, "a/init").attr["delimiter"].s = b","
    assert told(_source("a"), new) == ["a/init"]
    # The default, written or not.
    del _node(new, "a/init").attr["delimiter"]
    assert told(_source("a"), new) == []


def test_nodes_of_one_name_in_several_functions(told):
    before, new = _source("a"), _candidate("a")
    function = before.graph_def.library.function.add()
    function.signature.name = "f"
    _fill(function.node_def, "a", "somewhere", vocab_size=9)
    assert told(before, new) == []


def test_circles_end(told):
    new = _candidate("a")
    call = _node(new, "call")
    call.attr["f"].func.name = "outer"
    for node in new.graph_def.library.function[1].node_def:
        node.attr["f"].func.name = "outer"
    assert told(_source("a"), new) == ["a/init"]
