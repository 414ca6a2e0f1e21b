"""What saves and restores variables in a Session. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.export.saver_functions import Saved, restore_function, save_function
from migrate.graph.dtypes import dtype_value
from tests.export.test_function_defs import variable

INT = dtype_value("int64")
SAVED = (Saved(variable("a/w"), "vars/a.Sw", "a/w"), Saved(variable("step", INT), "vars/step", "step_1"))


def _by_name(function):
    return {node.name: node for node in function.node_def}


@pytest.mark.parametrize("reads_in_shard", [False, True])
def test_saving_reads_each_variable_under_its_key(reads_in_shard):
    definition, function = save_function("save", SAVED, "Const", reads_in_shard)
    nodes = _by_name(definition)
    keys = [*nodes["SaveV2/tensor_names"].attr["value"].tensor.string_val]
    assert keys == [b"vars/a.Sw", b"vars/step", b"_CHECKPOINTABLE_OBJECT_GRAPH"]
    arguments = [argument.name for argument in definition.signature.input_arg]
    assert arguments == [
        "file_prefix",
        "read_disablecopyonread_a_w",
        "read_1_disablecopyonread_step_1",
        "savev2_const",
    ]
    written = nodes["SaveV2"].input[3:]
    assert list(written) == ["Identity_1:output:0", "Identity_3:output:0", "savev2_const"]
    for value, read, handle in (("Identity", "Read", arguments[1]), ("Identity_2", "Read_1", arguments[2])):
        assert list(nodes[value].input) == [f"{read}/ReadVariableOp:value:0"]
        assert nodes[f"{read}/ReadVariableOp"].input[0] == handle
    assert [*nodes["SaveV2"].attr["dtypes"].list.type] == [1, 9, 7]
    order = list(nodes)
    assert (order.index("ShardedFilename") < order.index("Read/ReadVariableOp")) == reads_in_shard
    assert bool(nodes["Read/ReadVariableOp"].device) == reads_in_shard
    assert [v.name for v in function.captured] == ["a/w", "step"]
    assert [*function.types] == [7, 20, 20, 7]


def test_restoring_assigns_each_variable_its_tensor():
    definition, function = restore_function("restore", SAVED)
    nodes = _by_name(definition)
    for number, (op, handle) in enumerate(
        (("AssignVariableOp", "assignvariableop_a_w"), ("AssignVariableOp_1", "assignvariableop_1_step_1"))
    ):
        target, value = nodes[op].input
        assert target == handle
        assert list(nodes[value.partition(":")[0]].input) == [f"RestoreV2:tensors:{number}"]
    assert [*definition.signature.control_output] == ["AssignVariableOp", "AssignVariableOp_1"]
    assert [*nodes["RestoreV2"].attr["dtypes"].list.type] == [1, 9, 7]
    assert [*function.types] == [7, 20, 20]


def test_a_model_without_variables_has_an_object_graph_to_save():
    definition, _ = save_function("save", (), "Const", False)
    assert list(_by_name(definition)["SaveV2"].input[3:]) == ["savev2_const"]
    definition, _ = restore_function("restore", ())
    assert not definition.control_ret


def test_more_than_ten_variables_are_waited_for_in_the_order_of_their_names():
    saved = [Saved(variable(f"v{n}"), f"vars/v{n}", f"v{n}") for n in range(12)]
    definition, _ = restore_function("restore", saved)
    waits = [name.removeprefix("^") for name in definition.node_def[-1].input]
    assert waits == sorted(waits) == sorted(definition.control_ret)
    assert len(waits) == 12
