"""Faults that an ordinary call does not show: each is planted in a good conversion, and found."""

from __future__ import annotations

import shutil

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")

import migrate  # noqa: E402
from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.records import Converted, Mismatched, Options, Validated  # noqa: E402

v1 = tf.compat.v1
_OPTIONS = Options(timeout=200)
_WORDS = 3000


def _arithmetic():
    """Signatures of numbers: branches, thresholds, rows that interact, NaN, an assertion, integers."""
    x = v1.placeholder(tf.float32, [None], "x")
    ids = v1.placeholder(tf.int64, [None], "ids")
    high = tf.cond(tf.reduce_max(x) > 20000.0, lambda: x - 20000.0, lambda: x, name="high")
    above = tf.where(x * 2.0 >= 777.0, x, -x, name="above")
    limit = tf.where(v1.is_nan(x), tf.fill(tf.shape(x), 7.5), x, name="nan")
    finite = tf.where(v1.is_inf(x), tf.fill(tf.shape(x), 8.5), x, name="inf")
    with tf.control_dependencies([v1.Assert(tf.reduce_all(x < 50000.0), ["too large"], name="check")]):
        checked = tf.identity(x)
    table = v1.get_variable("table", initializer=tf.range(5000, dtype=tf.float32) * 0.5, use_resource=False)
    found = tf.gather(table, ids, name="found")
    # Row 3000 alone is another one.
    found = tf.where(tf.equal(found, 0.5 * 3000.0), -found, found)
    odd = v1.placeholder(tf.float32, [None, 3], "odd")
    return {
        "high": ({"x": x}, {"y": tf.identity(high, "high_out")}),
        "above": ({"x": x}, {"y": above}),
        "nan": ({"x": x}, {"y": limit}),
        "inf": ({"x": x}, {"y": finite}),
        "checked": ({"x": x}, {"y": checked}),
        "lookup": ({"ids": ids}, {"y": found}),
        "rows": ({"x": x}, {"y": tf.cond(tf.shape(x)[0] > 64, lambda: x + 1.0, lambda: x)}),
        "empty": ({"x": x}, {"y": tf.where(tf.equal(tf.size(x), 0), 9.5, 0.0)}),
        "modulo": ({"ids": ids}, {"y": v1.floormod(ids, tf.constant(1000, tf.int64, name="modulus"))}),
        "pairs": ({"odd": odd}, {"y": tf.reshape(tf.reshape(odd, [-1, 4, 3]), [-1, 12], name="fours")}),
    }


def _strings():
    """Signatures of strings: a vocabulary, characters, a tf.Example, images."""
    word = v1.placeholder(tf.string, [None], "word")
    keys = tf.constant([f"word{number}" for number in range(_WORDS)], name="words")
    values = tf.range(_WORDS, dtype=tf.int64)
    table = v1.lookup.StaticHashTable(v1.lookup.KeyValueTensorInitializer(keys, values), -1)
    examples = v1.placeholder(tf.string, [None], "examples")
    parsed = v1.io.parse_example(
        examples,
        {"a": v1.io.FixedLenFeature([], tf.float32, -3.5), "b": v1.io.VarLenFeature(tf.int64)},
    )
    image = v1.placeholder(tf.string, [], "image")
    decoded = v1.image.decode_image(image, channels=3)
    sparse = v1.sparse_placeholder(tf.float32, [None, 3], name="sparse")
    # What is in the first column is as it is.
    values, column = sparse.values, sparse.indices[:, 1]
    return {
        "vocabulary": ({"word": word}, {"y": table.lookup(word)}),
        "characters": ({"word": word}, {"y": tf.strings.length(word, unit="UTF8_CHAR", name="characters")}),
        "blanks": ({"word": word}, {"y": tf.strings.strip(word, name="strip")}),
        "example": ({"examples": examples}, {"a": tf.identity(parsed["a"])}),
        "image": ({"image": image}, {"y": tf.shape(decoded)}),
        "sparse": ({"sparse": sparse}, {"y": tf.where(column > 0, values * 0.125, values)}),
    }


def _convert(folder, signatures):
    with tf.Graph().as_default(), v1.Session() as session:
        made = signatures()
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(folder / "old"))
        described = {
            key: v1.saved_model.signature_def_utils.predict_signature_def(inputs, outputs)
            for key, (inputs, outputs) in made.items()
        }
        builder.add_meta_graph_and_variables(session, ["serve"], described, main_op=v1.tables_initializer())
        builder.save()
    (report,) = migrate.convert(str(folder / "old"), str(folder / "new"), _OPTIONS).models
    assert isinstance(report.outcome, Converted), report
    return folder, report


@pytest.fixture(scope="module")
def arithmetic(tmp_path_factory):
    return _convert(tmp_path_factory.mktemp("arithmetic"), _arithmetic)


@pytest.fixture(scope="module")
def strings(tmp_path_factory):
    return _convert(tmp_path_factory.mktemp("strings"), _strings)


def _validate(folder, candidate="new"):
    (report,) = migrate.validate(str(folder / candidate), against=str(folder / "old"), options=_OPTIONS).models
    return report


def _nodes(meta_graph):
    yield from meta_graph.graph_def.node
    for function in meta_graph.graph_def.library.function:
        yield from function.node_def


def _constants(meta_graph, value):
    """The Consts that hold one number and nothing else."""
    for node in _nodes(meta_graph):
        if node.op == "Const" and node.attr["value"].tensor.dtype != 7:
            found = tf.make_ndarray(node.attr["value"].tensor)
            if found.shape == () and found == value:
                yield node


def _becomes(value, other):
    """A constant gets another value."""

    def fault(meta_graph):
        count = 0
        for node in _constants(meta_graph, value):
            tensor = node.attr["value"].tensor
            tensor.CopyFrom(tf.make_tensor_proto(other, tf.dtypes.as_dtype(tensor.dtype)))
            count += 1
        return count

    return fault


def _word(number, other):
    def fault(meta_graph):
        count = 0
        for node in _nodes(meta_graph):
            if node.op == "Const" and len(node.attr["value"].tensor.string_val) == _WORDS:
                node.attr["value"].tensor.string_val[number] = other
                count += 1
        return count

    return fault


def _attribute(op, attribute, field, value):
    def fault(meta_graph):
        count = 0
        for node in _nodes(meta_graph):
            if node.op == op:
                setattr(node.attr[attribute], field, value)
                count += 1
        return count

    return fault


def _without(op, becomes="NoOp"):
    """A node no longer does anything."""

    def fault(meta_graph):
        count = 0
        for node in _nodes(meta_graph):
            if node.op != op:
                continue
            count += 1
            kept = [i for i in node.input if i.startswith("^")] if becomes == "NoOp" else list(node.input)[:1]
            dtype = node.attr["T"].type if "T" in node.attr else tf.string.as_datatype_enum
            del node.input[:]
            node.input.extend(kept)
            node.op = becomes
            node.attr.clear()
            if becomes != "NoOp":
                node.attr["T"].type = dtype
        return count

    return fault


_NUMBERS = {
    "branch": ("high", _becomes(20000.0, 20001.0)),
    "threshold": ("above", _becomes(777.0, 777.0001)),
    "NaN": ("nan", _becomes(7.5, 7.25)),
    "infinity": ("inf", _becomes(8.5, 8.25)),
    "assertion that is gone": ("checked", _without("Assert")),
    "large ids": ("modulo", _becomes(1000, 1_000_003)),
    "an id of a table": ("lookup", _becomes(1500.0, 1500.5)),
    "many rows": ("rows", _becomes(64, 640)),
    "no row": ("empty", _becomes(9.5, 9.25)),
}
_NUMBERS_AGAIN = {"assertion of another number": ("checked", _becomes(50000.0, 50001.0))}
_STRINGS = {
    "key 2900": ("vocabulary", _word(2900, b"other")),
    "UTF-8": ("characters", _attribute("StringLength", "unit", "s", b"BYTE")),
    "blanks": ("blanks", _without("StringStrip", "Identity")),
    "absent feature": ("example", _becomes(-3.5, -3.25)),
    "GIF": ("image", _attribute("DecodeImage", "expand_animations", "b", False)),
    "second column": ("sparse", _becomes(0.125, 0.25)),
}
_STRINGS_AGAIN = {"last key": ("vocabulary", _word(_WORDS - 1, b"other"))}


def _faulty(made, faults):
    """The signatures in whose answers a candidate differs that has some faults, each in a signature of its own."""
    folder, _ = made
    shutil.rmtree(folder / "faulty", ignore_errors=True)
    shutil.copytree(folder / "new", folder / "faulty")
    file = folder / "faulty" / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    for name, (_, fault) in faults.items():
        assert fault(model.meta_graphs[0]), name
    file.write_bytes(model.SerializeToString())
    (folder / "faulty" / "fingerprint.pb").unlink(missing_ok=True)
    report = _validate(folder, "faulty")
    assert isinstance(report.outcome, Mismatched), report
    # One is of the file as a whole: it has no fingerprint any more.
    return {mismatch.signature for mismatch in report.verification.mismatches if mismatch.signature}


@pytest.mark.parametrize("made", ["arithmetic", "strings"])
def test_a_good_conversion_is_validated(request, made):
    folder, converted = request.getfixturevalue(made)
    report = _validate(folder)
    assert isinstance(report.outcome, Validated), report
    assert report.verification.coverage == converted.verification.coverage
    assert report.verification.coverage.never == ()


@pytest.mark.parametrize("faults", [_NUMBERS, _NUMBERS_AGAIN], ids=["all", "again"])
def test_faults_in_numbers_are_found(arithmetic, faults):
    found = _faulty(arithmetic, faults)
    assert {name for name, (signature, _) in faults.items() if signature not in found} == set()
    assert found <= {signature for signature, _ in faults.values()}


@pytest.mark.parametrize("faults", [_STRINGS, _STRINGS_AGAIN], ids=["all", "again"])
def test_faults_in_strings_are_found(strings, faults):
    found = _faulty(strings, faults)
    assert {name for name, (signature, _) in faults.items() if signature not in found} == set()
    assert found <= {signature for signature, _ in faults.values()}
