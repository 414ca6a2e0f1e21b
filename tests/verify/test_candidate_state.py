"""How the variables of a loaded model are found, by stand-ins for what TensorFlow gives."""

from __future__ import annotations

import types

import numpy as np
import pytest

from migrate.verify.arrays import fingerprint
from migrate.verify.calls import NO_VALUE
from migrate.verify.candidate_state import Layout, at, loaded_values, loaded_variables, value_of
from migrate.verify.object_graph import Place


def _variable(value, is_initialized=True):
    return types.SimpleNamespace(numpy=lambda: value, is_initialized=lambda: is_initialized)


_W = _variable(np.float32([1]))
_LOADED = types.SimpleNamespace(vars={"a/b": _W}, layers=[types.SimpleNamespace(kernel=_W)], step=7)


@pytest.mark.parametrize("path", [("vars", "a/b"), ("layers", "0", "kernel")])
def test_attributes_keys_and_positions_lead_to_a_variable(path):
    assert at(_LOADED, path) is _W


@pytest.mark.parametrize("path", [("gone",), ("vars", "gone"), ("layers", "1"), ("layers", "first")])
def test_what_leads_nowhere_is_an_error(path):
    with pytest.raises((LookupError, ValueError)):
        at(_LOADED, path)


def _layout(*paths):
    places = {"/".join(path): Place(number, path, "", True) for number, path in enumerate(paths)}
    return Layout(places, {}, {}, {}, ())


def test_what_nobody_can_come_to_is_left_out():
    layout = _layout(("vars", "a/b"), ("gone",), ("layers", "x"), ("step",))
    assert list(loaded_variables(layout, _LOADED)) == ["vars/a/b"]
    assert loaded_values(layout, _LOADED) == {"vars/a/b": fingerprint(np.float32([1]))}


def test_a_variable_without_a_value_has_none():
    assert value_of(_variable(np.zeros(0), False)) == NO_VALUE
    assert value_of(_variable(b"x\0")) == fingerprint(np.array(b"x\0", object))
