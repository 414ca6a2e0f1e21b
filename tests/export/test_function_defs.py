"""Functions that only call another one. No TensorFlow."""

from __future__ import annotations

import itertools

from google.protobuf import text_format

from migrate.export.function_defs import ArgumentNames, Function, OpNames, Tensor, calling, normalized, vector
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import AttrValue, FunctionDef, TensorShapeProto
from migrate.plan.records import VariablePlan
from migrate.plan.restore import Uninitialized

FLOAT, INT = dtype_value("float32"), dtype_value("int32")
ATTRIBUTES = {"config_proto": AttrValue(s=b"settings")}


def variable(name, dtype=FLOAT, shape=None):
    return VariablePlan(name, name, dtype, shape or vector(2), True, False, Uninitialized(False))


def test_names_of_operations_are_told_apart_without_regard_to_case():
    names = OpNames()
    asked = ["a", "A", "a_1", "a", "b/c", "b/C"]
    assert [names.unique(name) for name in asked] == ["a", "A_1", "a_1_1", "a_2", "b/c", "b/C_1"]


def test_an_argument_takes_the_name_of_a_node():
    names = ArgumentNames()
    assert [names.argument("identity"), names.argument("7"), names.argument("9")] == [
        "identity",
        "unknown",
        "unknown_0",
    ]
    assert [names.result("Identity"), names.node("identity"), names.node("Identity")] == [
        "identity_0",
        "identity_1",
        "Identity",
    ]
    assert names["identity"] == "identity_1"


def test_a_name_that_is_normalized_begins_with_a_letter():
    found = [normalized(name) for name in ("X", "1st", "a/b.c", "_", "", "é")]
    assert found == ["x", "st", "a_b_c", "unknown", "unknown", "unknown"]


def test_a_caller_hands_on_what_it_is_given_and_the_handles():
    called = Function(
        "body",
        {"argument_0": Tensor(INT, vector(3)), "argument_1": Tensor(FLOAT, TensorShapeProto(unknown_rank=True))},
        (Tensor(FLOAT, vector(1)), Tensor(INT, vector(4))),
        (variable("w"),),
        (2,),
        True,
    )
    definition, caller = calling("caller", called, ["a", "B"], [1, 0], [1, 0], itertools.count(5), ATTRIBUTES)
    assert definition == text_format.Parse(
        """
        signature {
          name: "caller"
          input_arg { name: "a" type: DT_FLOAT }
          input_arg { name: "b" type: DT_INT32 }
          input_arg {
            name: "unknown" type: DT_RESOURCE handle_data { dtype: DT_FLOAT shape { dim { size: 2 } } }
          }
          output_arg { name: "identity" type: DT_INT32 }
          output_arg { name: "identity_1" type: DT_FLOAT }
          is_stateful: true
          control_output: "StatefulPartitionedCall"
        }
        node_def {
          name: "StatefulPartitionedCall" op: "StatefulPartitionedCall" input: "b" input: "a" input: "unknown"
          attr { key: "f" value { func { name: "body" } } }
          attr { key: "config_proto" value { s: "settings" } }
          attr { key: "Tin" value { list { type: DT_INT32 type: DT_FLOAT type: DT_RESOURCE } } }
          attr { key: "Tout" value { list { type: DT_FLOAT type: DT_INT32 } } }
          attr { key: "_read_only_resource_inputs" value { list { i: 2 } } }
          attr { key: "_output_shapes" value { list { shape { dim { size: 1 } } shape { dim { size: 4 } } } } }
        }
        node_def {
          name: "Identity" op: "Identity" input: "StatefulPartitionedCall:output:1" input: "^NoOp"
          attr { key: "T" value { type: DT_INT32 } }
          attr { key: "_output_shapes" value { list { shape { dim { size: 4 } } } } }
        }
        node_def {
          name: "Identity_1" op: "Identity" input: "StatefulPartitionedCall:output:0" input: "^NoOp"
          attr { key: "T" value { type: DT_FLOAT } }
          attr { key: "_output_shapes" value { list { shape { dim { size: 1 } } } } }
        }
        node_def {
          name: "NoOp" op: "NoOp" input: "^StatefulPartitionedCall"
          attr { key: "_output_shapes" value { list { } } }
        }
        ret { key: "identity" value: "Identity:output:0" }
        ret { key: "identity_1" value: "Identity_1:output:0" }
        control_ret { key: "StatefulPartitionedCall" value: "StatefulPartitionedCall" }
        attr { key: "_construction_context" value { s: "kEagerRuntime" } }
        attr {
          key: "_input_shapes"
          value { list { shape { unknown_rank: true } shape { dim { size: 3 } } shape { } } }
        }
        arg_attr {
          key: 0
          value {
            attr { key: "_user_specified_name" value { s: "a" } }
            attr { key: "_output_shapes" value { list { shape { unknown_rank: true } } } }
          }
        }
        arg_attr {
          key: 1
          value {
            attr { key: "_user_specified_name" value { s: "B" } }
            attr { key: "_output_shapes" value { list { shape { dim { size: 3 } } } } }
          }
        }
        arg_attr { key: 2 value { attr { key: "_user_specified_name" value { s: "5" } } } }
        """,
        FunctionDef(),
    )
    assert (list(caller.arguments), caller.read_only, caller.op) == (["a", "B"], (2,), "StatefulPartitionedCall")
    assert [result.dtype for result in caller.results] == [INT, FLOAT]


def test_nothing_waits_for_a_call_that_changes_nothing():
    called = Function("body", {}, (Tensor(FLOAT, vector(1)),), (), (), False)
    definition, caller = calling("caller", called, [], [], [0], itertools.count(), ATTRIBUTES)
    assert [node.op for node in definition.node_def] == ["PartitionedCall", "Identity"]
    assert not definition.signature.is_stateful and not definition.control_ret
    assert list(definition.node_def[1].input) == ["PartitionedCall:output:0"]
    assert caller.op == "PartitionedCall"
    assert "_input_shapes" in definition.attr and definition.attr["_input_shapes"].WhichOneof("value") is None
