"""The weights of cuDNN's networks: which are known, and what nobody may do with the vector that holds them."""

from __future__ import annotations

import pytest

from migrate.graph.nodes import read_nodes
from migrate.plan.cudnn import with_known_weights
from migrate.plan.plan import make_plan
from migrate.plan.restore import Computed
from migrate.rewrite.rules.recurrent import LAYERS
from tests.plan.graphs import meta_graph

_NETWORK = """
x = Placeholder() dtype=float32
h = Placeholder() dtype=float32
c = Const() dtype=float32 value=float32:0.0
v = VariableV2() dtype=float32 shape=(...)
read = Identity(v) T=float32
y = CudnnRNN(x, h, c, read) T=float32 direction='unidirectional' dropout=0.0 is_training=false rnn_mode='rnn_tanh'
"""
_SAVER = """
save/Const = Const() dtype=string value=string:'model'
save/names = Const() dtype=string value=string:['v', 'a', 'b', 'd', 'e']
save/slices = Const() dtype=string value=string:['', '', '', '', '']
save/RestoreV2 = RestoreV2(save/Const, save/names, save/slices) dtypes=[float32, float32, float32, float32, float32]
save/n = Const() dtype=int32 value=int32:1
save/made = CudnnRNNCanonicalToParams(save/n, save/n, save/n, save/RestoreV2:1, save/RestoreV2:2, save/RestoreV2:3, \
save/RestoreV2:4) T=float32 direction='unidirectional' num_params=2 rnn_mode='rnn_tanh'
save/plain = Assign(v, save/RestoreV2) T=float32 validate_shape=false
save/Assign = Assign(v, save/made) T=float32 validate_shape=false
save/restore_all = NoOp(^save/plain, ^save/Assign)
""".replace("\\\n", "")
_CALLED = ({"x": "x:0", "h": "h:0"}, {"y": "y:0"})


def _layers(text, **signatures):
    """The layers of each network whose weights are known."""
    of = meta_graph(text, **(signatures or {"s": _CALLED}))
    changed = with_known_weights(of, read_nodes(of))
    return {
        n.name: n.attr[LAYERS].i for n in changed.graph_def.node if n.op.startswith("CudnnRNN") and LAYERS in n.attr
    }


def test_a_graph_without_networks_is_itself():
    of = meta_graph("x = Placeholder() dtype=float32")
    assert with_known_weights(of, read_nodes(of)) is of


def test_canonical_weights_take_the_place_of_the_stored_vector():
    assert _layers(_NETWORK + _SAVER) == {"y": 1}
    plan = make_plan(meta_graph(_NETWORK + _SAVER, s=_CALLED))
    assert not plan.refused
    (variable,) = plan.variables
    assert isinstance(variable.value, Computed) and {read.key for read in variable.value.reads} == {"a", "b", "d", "e"}


def test_a_graph_cannot_say_itself_that_its_weights_are_known():
    assert _layers(_NETWORK.replace("y = CudnnRNN(x, h, c, read)", f"y = CudnnRNN(x, h, c, read) {LAYERS}=1")) == {}


@pytest.mark.parametrize(
    "text",
    [
        _NETWORK,
        _NETWORK + _SAVER.replace("save/Assign = Assign(v, save/made)", "save/Assign = Assign(v, save/RestoreV2)"),
        # Of another network.
        _NETWORK + _SAVER.replace("rnn_mode='rnn_tanh'", "rnn_mode='rnn_relu'"),
        _NETWORK + _SAVER.replace("num_params=2", "num_params=3"),
        _NETWORK + _SAVER.replace("num_params=2", "num_params=2 num_proj=2"),
        _NETWORK + _SAVER.replace("num_params=2", "input_mode='skip_input' num_params=2"),
        # Something else is written as well.
        _NETWORK + _SAVER + "z = Const() dtype=float32 value=float32:[0.5]\nw = Assign(v, z) T=float32",
        # Of a constant nobody knows the order.
        _NETWORK.replace("v = VariableV2() dtype=float32 shape=(...)", "v = Const() dtype=float32 value=float32:[0.5]"),
    ],
)
def test_weights_of_which_the_order_is_not_known(text):
    assert _layers(text) == {}
    plan = make_plan(meta_graph(text, s=_CALLED))
    assert "cudnn-weights-opaque" in {finding.code for finding in plan.findings} and plan.refused


def test_a_call_that_looks_at_the_vector():
    looks = {"s": _CALLED, "t": ({}, {"v": "read:0"})}
    assert _layers(_NETWORK + _SAVER, **looks) == {}
    text = _NETWORK + _SAVER + "n = Neg(read) T=float32"
    assert _layers(text) == {"y": 1}
    assert _layers(text, s=_CALLED, t=({}, {"n": "n:0"})) == {}


_KERAS = """
x = Placeholder() dtype=float32
h = Placeholder() dtype=float32
c = Const() dtype=float32 value=float32:0.0
row = Const() dtype=int32 value=int32:[-1]
zero = Const() dtype=int32 value=int32:0
w = VariableV2() dtype=float32 shape=(1, 1)
flat = Reshape(w, row) T=float32 Tshape=int32
all = ConcatV2(flat, flat, flat, flat, zero) N=4 T=float32 Tidx=int32
y = CudnnRNN(x, h, c, all) T=float32 rnn_mode='rnn_tanh'
"""


def test_weights_that_the_graph_puts_together():
    assert _layers(_KERAS) == {"y": 1}
    assert _layers(_KERAS.replace("rnn_mode='rnn_tanh'", "rnn_mode='gru'")) == {}
    assert _layers(_KERAS.replace("rnn_mode", "direction='bidirectional' rnn_mode")) == {}
    assert _layers(_KERAS.replace("value=int32:0", "value=int32:1")) == {}
    assert _layers(_KERAS.replace("ConcatV2(flat, flat", "ConcatV2(w, flat")) == {}
