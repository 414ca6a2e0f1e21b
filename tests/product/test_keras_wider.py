"""Faults of converted Keras models that an ordinary call does not show: each is planted in a graph, and found."""

from __future__ import annotations

import re
import shutil

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")

import migrate  # noqa: E402
from migrate.graph.dtypes import dtype_value  # noqa: E402
from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.records import Converted, Mismatched, Options, Validated  # noqa: E402
from tests.conversions import run_child  # noqa: E402
from tests.sampling import few  # noqa: E402

_OPTIONS = Options(timeout=300)
_MAKE = """
import importlib, sys
k = importlib.import_module(sys.argv[1])
x, word = k.Input([4], name="x"), k.Input([1], dtype="string", name="word")
ids, few = k.Input([3], dtype="int64", name="ids"), k.Input([3], dtype="int64", name="few")
named = k.layers.StringLookup(vocabulary=[f"word{n}" for n in range(1500)], name="index")(word)
k.Model(
    [x, word, ids, few],
    [k.layers.Dense(1, name=name)(x) for name in ("clipped", "cleaned", "many")]
    + [k.layers.Embedding(5000, 2, name="rows")(ids), k.layers.Embedding(300, 2, name="some")(few)]
    + [k.layers.Embedding(1501, 1, name="words")(named)],
).save(sys.argv[2])
"""


@pytest.fixture(scope="module", params=few(["keras", "tf_keras"]))
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    run_child(["-c", _MAKE, request.param, str(folder / "old.keras")])
    (report,) = migrate.convert(str(folder / "old.keras"), str(folder / "new"), _OPTIONS).models
    assert isinstance(report.outcome, Converted), report
    return folder


def _validate(folder, candidate):
    (report,) = migrate.validate(str(folder / candidate), against=str(folder / "old.keras"), options=_OPTIONS).models
    return report


class _Body:
    """A function's nodes, and a way to put others behind one of them."""

    def __init__(self, function):
        self.function = function

    def nodes(self, layer, *ops):
        pattern = re.compile(rf"(^|/){layer}(_\d+)?/")
        return [node for node in self.function.node_def if pattern.search(node.name) and node.op in ops]

    def constant(self, name, value, dtype):
        node = self.function.node_def.add(name=name, op="Const")
        node.attr["dtype"].type = dtype
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.as_dtype(dtype)))
        return f"{name}:output:0"

    def node(self, name, op, inputs, result, **types):
        node = self.function.node_def.add(name=name, op=op, input=inputs)
        for key, value in types.items():
            node.attr[key].type = value
        return f"{name}:{result}:0"

    def instead(self, old, make):
        """Has those that take a tensor take another one, which is made of it."""
        takers = [(n, i) for n in self.function.node_def for i, given in enumerate(n.input) if given == old]
        results = [key for key, value in self.function.ret.items() if value == old]
        new = make(old)
        for node, place in takers:
            node.input[place] = new
        for key in results:
            self.function.ret[key] = new


_FLOAT, _INT32, _INT64, _STRING, _BOOL = map(dtype_value, ("float32", "int32", "int64", "string", "bool"))


def _sum_of(node):
    return f"{node.name}:{'output' if node.op == 'BiasAdd' else 'z'}:0"


def _clipped(body, node):
    """Numbers over 20,000 become 20,000."""
    most = body.constant("fault_most", 20000.0, _FLOAT)
    body.instead(_sum_of(node), lambda x: body.node("fault_clip", "Minimum", [x, most], "z", T=_FLOAT))


def _cleaned(body, node):
    """A NaN becomes 0."""
    zero = body.constant("fault_zero", 0.0, _FLOAT)

    def make(x):
        is_nan = body.node("fault_nan", "IsNan", [x], "y", T=_FLOAT)
        return body.node("fault_clean", "SelectV2", [is_nan, zero, x], "output", T=_FLOAT)

    body.instead(_sum_of(node), make)


def _many(body, node):
    """In a batch of more than 64 rows each answer is another one."""
    most = body.constant("fault_batch", 64, _INT32)

    def make(x):
        size = body.node("fault_size", "Size", [x], "output", T=_FLOAT, out_type=_INT32)
        above = body.node("fault_above", "Greater", [size, most], "z", T=_INT32)
        number = body.node("fault_number", "Cast", [above], "y", SrcT=_BOOL, DstT=_FLOAT)
        return body.node("fault_many", "AddV2", [x, number], "z", T=_FLOAT)

    body.instead(_sum_of(node), make)


def _dtype_of_ids(node):
    return node.attr["Tindices"].type


def _one_row(body, node):
    """Row 4321 of a table is another one, although the variable is not."""
    ids, dtype = node.input[1], _dtype_of_ids(node)
    row = body.constant("fault_row", 4321, dtype)
    last = body.constant("fault_last", -1, _INT32)

    def make(found):
        same = body.node("fault_same", "Equal", [ids, row], "z", T=dtype)
        number = body.node("fault_one", "Cast", [same], "y", SrcT=_BOOL, DstT=_FLOAT)
        wide = body.node("fault_wide", "ExpandDims", [number, last], "output", T=_FLOAT, Tdim=_INT32)
        return body.node("fault_rows", "AddV2", [found, wide], "z", T=_FLOAT)

    body.instead(f"{node.name}:output:0", make)


def _no_error(body, node):
    """An id beyond the table is no error."""
    dtype = _dtype_of_ids(node)
    most = body.constant("fault_end", 299, dtype)
    node.input[1] = body.node("fault_within", "Minimum", [node.input[1], most], "z", T=dtype)


def _one_word(body, node):
    """One word of a vocabulary is another one."""
    given, word = node.input[1], body.constant("fault_word", b"word1234", _STRING)

    def make(found):
        same = body.node("fault_is", "Equal", [given, word], "z", T=_STRING)
        number = body.node("fault_shift", "Cast", [same], "y", SrcT=_BOOL, DstT=_INT64)
        return body.node("fault_words", "Sub", [found, number], "z", T=_INT64)

    body.instead(f"{node.name}:values:0", make)


_SUMS, _GATHERS = ("BiasAdd", "AddV2"), ("ResourceGather", "GatherV2")
_FAULTS = {
    "clipped": ("clipped", _SUMS, _clipped),
    "cleaned": ("cleaned", _SUMS, _cleaned),
    "many": ("many", _SUMS, _many),
    "rows": ("rows", _GATHERS, _one_row),
    "": ("some", _GATHERS, _no_error),  # Of a call that ends in an error no output is compared.
    "words": ("index", ("LookupTableFindV2",), _one_word),
}
"""Output, layer, ops, fault."""


def _planted(functions, layer, ops, fault):
    """In how many functions a fault is."""
    bodies = [(body, node) for body in map(_Body, functions) for node in body.nodes(layer, *ops)[:1]]
    for body, node in bodies:
        fault(body, node)
    return len(bodies)


def test_a_good_conversion_is_validated(made):
    report = _validate(made, "new")
    assert isinstance(report.outcome, Validated), report


def test_faults_are_found(made):
    shutil.rmtree(made / "faulty", ignore_errors=True)
    shutil.copytree(made / "new", made / "faulty")
    file = made / "faulty" / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    for layer, ops, fault in _FAULTS.values():
        assert _planted(model.meta_graphs[0].graph_def.library.function, layer, ops, fault), layer
    file.write_bytes(model.SerializeToString())
    (made / "faulty" / "fingerprint.pb").unlink(missing_ok=True)
    report = _validate(made, "faulty")
    assert isinstance(report.outcome, Mismatched), report
    # Beside these its graph in training is another one, and so are answers of `__call__`.
    answers = [m for m in report.verification.mismatches if m.code in ("answer-differs", "ending-differs")]
    assert {m.output for m in answers} == set(_FAULTS), report.verification.mismatches
    # None of them is one that an ordinary call shows.
    assert min(m.call for m in answers) >= _ORDINARY


_ORDINARY = 10
"""Five calls, each made twice."""

_MAKE_TWO_MINDS = """
import sys, tf_keras, two_minds
x = tf_keras.Input([4], name="x")
y = two_minds.Many(name="many")(tf_keras.layers.Dense(2, name="a")(x))
tf_keras.Model(x, y).save(sys.argv[1])
"""
_TWO_MINDS = """
import tensorflow as tf, tf_keras

class Many(tf_keras.layers.Layer):
    def call(self, x):
        if x.shape[0] is not None and x.shape[0] > 64:
            return x + 1.0
        if x.shape[0] == 0:
            raise ValueError("no rows")
        tf.gather(tf.zeros([3]), tf.cast(tf.reduce_max(x) > 1e9, tf.int32) * 7)
        return x
"""


def test_a_model_of_which_keras_has_two_answers_is_converted(tmp_path, monkeypatch):
    """What Python code decides by the number of rows, and an error of what no output needs, no SavedModel has."""
    (tmp_path / "two_minds.py").write_text(_TWO_MINDS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    run_child(["-c", _MAKE_TWO_MINDS, str(tmp_path / "old.h5")])
    options = Options(timeout=300, custom_objects=("two_minds:Many",))
    (report,) = migrate.convert(str(tmp_path / "old.h5"), str(tmp_path / "new"), options).models
    assert isinstance(report.outcome, Converted), report
    assert report.verification.calls > _ORDINARY
