"""The variables of a model, by stand-ins for what TensorFlow gives: nothing of it is started."""

from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest

from migrate.verify.arrays import fingerprint
from migrate.verify.variables import loaded_states, states, stored


class _Unset(Exception):
    pass


_TF = types.SimpleNamespace(errors=types.SimpleNamespace(FailedPreconditionError=_Unset))


@dataclasses.dataclass
class _Tensor:
    op: _Operation


class _Operation:
    def __init__(self, name, op, inputs=(), control=()):
        self.name, self.type = name, op
        self.outputs = [_Tensor(self)]
        self.inputs = [operation.outputs[0] for operation in inputs]
        self.control_inputs = list(control)


class _Session:
    """Gives each variable its value, or fails as TensorFlow does where it has none."""

    def __init__(self, operations, values):
        by_name = {operation.name: operation for operation in operations}
        self.graph = types.SimpleNamespace(get_operation_by_name=by_name.__getitem__)
        self.values = values

    def run(self, tensor):
        if tensor.op.name not in self.values:
            raise _Unset
        return self.values[tensor.op.name]


def _graph(writer):
    variable = _Operation("v", "VariableV2")
    other = _Operation("w", "VariableV2")
    unset = _Operation("u", "Variable")
    change = _Operation("change", writer, [variable])
    result = _Operation("y", "Identity", [unset], [change])
    return [variable, other, unset, change, result]


@pytest.mark.parametrize("writer", ["AssignAdd", "PartitionedCall", "AnOpThatNobodyKnows"])
def test_variables_behind_the_targets_are_read_as_they_are_then(writer):
    session = _Session(_graph(writer), {"v": np.float32([1]), "w": np.float32([2])})
    read = states(_TF, session, ["y:0"])
    assert read() == {"v": fingerprint(np.float32([1]))}  # Not w, which no target reaches, nor u, which has no value.
    session.values["v"] = np.float32([5])
    assert read() == {"v": fingerprint(np.float32([5]))}


def test_where_nothing_is_written_nothing_is_read():
    session = _Session(_graph("Identity"), {"v": np.float32([1])})
    assert states(_TF, session, ["y:0"])() == {}
    session = _Session(_graph("AssignAdd"), {"v": np.float32([1])})
    assert states(_TF, session, ["w:0"])() == {}


def test_a_circle_ends():
    first, second = _Operation("a", "Merge"), _Operation("b", "AssignAdd")
    first.inputs, second.inputs = [second.outputs[0]], [first.outputs[0]]
    assert states(_TF, _Session([first, second], {}), ["a:0"])() == {}


def test_of_a_loaded_model_the_variables_that_it_has():
    def variable(value):
        return types.SimpleNamespace(numpy=lambda: value)

    loaded = types.SimpleNamespace(vars={"a": variable(b"x\0"), "b": variable(np.float32(1))})
    assert loaded_states(loaded, ["a", "gone"]) == {"a": fingerprint(np.array(b"x\0", object))}
    assert loaded_states(types.SimpleNamespace(), ["a"]) == {}


def test_of_a_checkpoint_nothing_is_asked_where_nothing_is_wanted():
    assert stored(None, "no/such/checkpoint", {}) == {}
