"""Converts every convertible model of testdata/ and asks old and new the same, through each way of loading."""

from __future__ import annotations

import hashlib
import json
import keyword
import os
import pathlib

import numpy as np
import pytest

from migrate.records import Converted
from tests.conversions import BY_NAME, CASES, MODELS, ask, calls, run_child

pytestmark = pytest.mark.tensorflow

NAMES = [case.name for case in CASES]
every_case = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def present(converted):
    """The models that were written, where `test_outcome` says which should have been."""
    return {name: converted.path(name) for name in NAMES if converted.path(name).is_dir()}


@pytest.fixture(scope="module")
def saved_again(converted):
    return converted.work / "again"


@pytest.fixture(scope="module")
def tf2(converted, present, saved_again):
    saved_again.mkdir()
    return ask("tf2", present, converted.work, save=saved_again)


@pytest.fixture(scope="module")
def session(converted, present):
    return ask("session", present, converted.work)


@pytest.fixture(scope="module")
def round_trip(converted, tf2, saved_again):
    """Loaded, saved again and loaded again, with the first new model out of reach."""
    away = converted.work / "away"
    converted.new.rename(away)
    try:
        paths = {n: saved_again / n for n in tf2 if (saved_again / n / "saved_model.pb").exists()}
        return ask("tf2", paths, converted.work)
    finally:
        away.rename(converted.new)


def _of(answers, name):
    assert name in answers, "the model was not written; see test_outcome"
    assert "error" not in answers[name], answers[name]["error"]
    return answers[name]


def _same(expected, found):
    if expected.dtype == object or found.dtype == object:
        return expected.shape == found.shape and expected.tolist() == found.tolist()
    return (expected.dtype, expected.shape, expected.tobytes()) == (found.dtype, found.shape, found.tobytes())


def _compare(name, golden, found, skip=()):
    """Compares all answers bit for bit."""
    case = BY_NAME[name]
    unordered = calls.UNORDERED.get(case.model, ())
    compared = 0
    steps = zip(case.calls, _of(golden, name)["answers"], _of(found, name)["answers"], strict=True)
    for number, ((signature, inputs), expected, answer) in enumerate(steps):
        where = f"call {number}, {signature}"
        assert not isinstance(expected, str), f"{where}: the source fails: {expected}"
        if set(inputs) != set(golden[name]["signatures"][signature]["inputs"]):
            continue  # test_an_input_with_a_default_may_be_left_out
        assert not isinstance(answer, str), f"{where}: {answer}"
        if signature in skip:
            continue
        assert set(answer) == set(expected), where
        for output, value in expected.items():
            same = _same(value, answer[output]) or output in unordered
            assert same, f"{where}, {output}: source {value!r}, new model {answer[output]!r}"
            compared += value.size
    assert compared


@every_case
def test_outcome(name, converted):
    report = converted.reports[name]
    assert isinstance(report.outcome, Converted), report.outcome
    assert report.verification is None
    assert converted.path(name).is_dir()


def test_nothing_else_was_written(converted, present):
    folders = {os.path.relpath(folder, converted.new) for folder, _, _ in os.walk(converted.new)}
    assert {folder.split(os.sep)[0] for folder in folders} <= {*NAMES, "."}
    for path in present.values():
        parts = {p.name for p in path.iterdir()}
        assert parts <= {"assets", "assets.extra", "fingerprint.pb", "saved_model.pb", "variables"}


@every_case
def test_loaded_by_tf2_it_answers_as_the_source(name, golden, tf2):
    _compare(name, golden, tf2)


@every_case
def test_in_a_v1_session_it_answers_as_the_source(name, golden, session):
    _compare(name, golden, session)


@every_case
def test_saved_again_it_answers_as_the_source(name, golden, tf2, round_trip):
    assert _of(tf2, name)["save_error"] is None, tf2[name]["save_error"]
    _compare(name, golden, round_trip)


@pytest.mark.parametrize("way", ["tf2", "session"])
def test_an_input_with_a_default_may_be_left_out(way, golden, request):
    found = _of(request.getfixturevalue(way), "odd_names")
    number = BY_NAME["odd_names"].calls.index(next(c for c in BY_NAME["odd_names"].calls if _leaves_out(*c, golden)))
    expected, answer = golden["odd_names"]["answers"][number], found["answers"][number]
    assert not isinstance(answer, str), answer
    assert all(_same(value, answer[output]) for output, value in expected.items())


def _leaves_out(signature, inputs, golden):
    return set(inputs) < set(golden["odd_names"]["signatures"][signature]["inputs"])


@every_case
def test_signatures(name, golden, tf2):
    expected = dict(_of(golden, name)["signatures"])
    for dropped in BY_NAME[name].skip:
        del expected[dropped]
    found = _of(tf2, name)["signatures"]
    assert set(found) == set(expected)
    for key, signature in expected.items():
        assert found[key]["method_name"] == signature["method_name"], key
        for side in ("inputs", "outputs"):
            assert found[key][side] == signature[side], (key, side)
    assert tf2[name]["loaded_signatures"] == sorted(expected)
    assert tf2[name]["tags"] == golden[name]["tags"] == set(BY_NAME[name].tags)


@every_case
def test_loaded_signatures_are_called_by_the_source_names(name, golden, tf2):
    for key in _of(tf2, name)["loaded_signatures"]:
        signature = _of(golden, name)["signatures"][key]
        dense = {side: {n for n, i in signature[side].items() if i[0] == "name"} for side in ("inputs", "outputs")}
        impossible = {n for n in dense["inputs"] if keyword.iskeyword(n) or n == "self"}
        assert dense["inputs"] - impossible <= set(tf2[name]["arguments"][key])
        assert dense["outputs"] <= set(tf2[name]["results"][key])


@every_case
def test_variables(name, golden, tf2):
    source, found = _of(golden, name), _of(tf2, name)
    names = [variable for variable, _, _ in found["variables"]]
    assert len(set(names)) == len(names)
    assert set(names) <= source["all_variables"]
    if not BY_NAME[name].skip:
        assert source["reached"] <= set(names)
    trainable = [variable for variable, flag, _ in found["variables"] if flag]
    assert set(trainable) == set(names) & source["source_trainable"]
    assert found["trainable_variables"] == trainable
    assert found["regularization_losses"] == []


@every_case
def test_a_default_signature_makes_the_model_callable(name, tf2):
    found = _of(tf2, name)
    assert found["callable"] or "serving_default" not in found["loaded_signatures"]


@every_case
def test_no_ref_dtype_is_left(name, tf2):
    assert _of(tf2, name)["refs"] == []


@every_case
def test_the_fingerprint_fits(name, tf2):
    written, fresh = _of(tf2, name)["fingerprints"]
    assert written == fresh
    assert written["saved_model_checksum"]


@every_case
def test_extra_assets_are_copied(name, converted, present):
    assert name in present
    source = MODELS / BY_NAME[name].model / "assets.extra"
    new = converted.path(name) / "assets.extra"
    found = {p.relative_to(new): p.read_bytes() for p in new.rglob("*") if p.is_file()}
    found.pop(pathlib.Path("migration.json"))
    assert found == {p.relative_to(source): p.read_bytes() for p in source.rglob("*") if p.is_file()}


def test_warm_up_requests_are_copied(converted):
    file = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
    assert (converted.path("warmup") / file).read_bytes() == (MODELS / "warmup" / file).read_bytes()


@every_case
def test_provenance(name, converted, present):
    assert name in present
    content = json.loads((converted.path(name) / "assets.extra" / "migration.json").read_text())
    case = BY_NAME[name]
    (source,) = (MODELS / case.model).glob("saved_model.pb*")
    assert content["tool"]["name"] == "migrate"
    assert content["tool"]["version"]
    assert content["tensorflow"].count(".") == 2
    assert content["source"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert set(content["source"]["tags"]) == set(case.tags)
    assert content["options"]["verify"] is False
    assert content["options"]["drop_signatures"] is case.options.drop_signatures
    assert content["options"]["tags"] == (None if case.options.tags is None else sorted(case.options.tags))


def test_the_new_model_knows_nothing_of_where_the_source_lay(converted, present):
    # Paths of assets above all: a graph that holds one works until the source is gone.
    for path in present.values():
        assert str(converted.work).encode() not in (path / "saved_model.pb").read_bytes(), path.name


_TOGETHER = """
import sys, tensorflow as tf
first = tf.saved_model.load(sys.argv[1])
second = tf.saved_model.load(sys.argv[2])
tokens = tf.constant(["cat", "dog", "unseen"])
def ask(model):
    outputs = model.signatures["serving_default"](tokens=tokens)
    return {name: value.numpy().tolist() for name, value in sorted(outputs.items())}
before = ask(first), ask(second)
del second
import gc; gc.collect()
assert ask(first) == before[0]
print(before[0]); print(before[1])
"""


def _both(first, second):
    return run_child(["-c", _TOGETHER, str(first), str(second)]).splitlines()


def test_one_model_loaded_twice_in_one_process(converted):
    path = converted.path("vocabulary")
    first, second = _both(path, path)
    assert first == second


def test_two_models_with_tables_of_one_name_in_one_process(converted, tmp_path):
    """Two versions of a model differ in their vocabulary, and a process may hold both."""
    import shutil

    other = tmp_path / "other"
    shutil.copytree(converted.path("vocabulary"), other)
    for file in (other / "assets").iterdir():
        file.write_bytes(b"\n".join(reversed(file.read_bytes().rstrip(b"\n").split(b"\n"))) + b"\n")
    alone = _both(converted.path("vocabulary"), converted.path("vocabulary"))[0]
    first, second = _both(converted.path("vocabulary"), other)
    assert first == alone
    assert second != alone


def test_floats_are_compared_by_their_bits():
    assert not _same(np.float32(0.0), np.float32(-0.0))
    assert _same(np.float32("nan"), np.float32("nan"))
    assert not _same(np.zeros(2, np.int32), np.zeros(2, np.int64))
