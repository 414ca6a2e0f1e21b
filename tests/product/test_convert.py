"""Converts every convertible model of testdata/ and asks old and new the same, through each way of loading."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from migrate.records import Converted
from tests.conversions import (
    BY_NAME,
    CASES,
    MODELS,
    ROOT,
    ask,
    close,
    compare,
    migrate_command,
    of,
    run_child,
    same,
)

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
def optimized(converted, present):
    return ask("tf2", present, converted.work, optimize=True)


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


@every_case
def test_outcome(name, converted):
    report = converted.reports[name]
    assert isinstance(report.outcome, Converted), report.outcome
    assert report.verification is None
    assert converted.path(name).is_dir()


def test_nothing_else_was_written(converted, present):
    folders = {os.path.relpath(folder, converted.new) for folder, _, _ in os.walk(converted.new)}
    assert {folder.split(os.sep)[0] for folder in folders} <= {*NAMES, ".", ".migrate"}
    for path in present.values():
        parts = {p.name for p in path.iterdir()}
        assert parts <= {"assets", "assets.extra", "fingerprint.pb", "saved_model.pb", "variables"}


@every_case
def test_loaded_by_tf2_it_answers_as_the_source(name, golden, tf2):
    compare(name, golden, tf2)


@every_case
def test_with_the_graph_optimiser_it_answers_as_the_source(name, golden, optimized):
    """What users run: the optimiser must not find that an init op, or a write, is for nothing."""
    compare(name, golden, optimized, same=close)


@every_case
def test_in_a_v1_session_it_answers_as_the_source(name, golden, session):
    # A call of a function has the optimiser on, whatever the Session's config says: it folds what is constant.
    compare(name, golden, session, **({"same": close} if name == "constant_weights" else {}))


@every_case
def test_saved_again_it_answers_as_the_source(name, golden, tf2, round_trip):
    assert of(tf2, name)["save_error"] is None, tf2[name]["save_error"]
    if name == "uninitialized":
        # TensorFlow saves no value of a variable that has none, and then looks for it when it loads the copy.
        assert "not found in checkpoint" in round_trip[name]["error"]
        return
    compare(name, golden, round_trip)


def test_an_input_with_a_default_may_be_left_out_in_a_session(golden, session):
    found = of(session, "odd_names")
    number = BY_NAME["odd_names"].calls.index(next(c for c in BY_NAME["odd_names"].calls if _leaves_out(*c, golden)))
    expected, answer = golden["odd_names"]["answers"][number], found["answers"][number]
    assert not isinstance(answer, str), answer
    assert all(same(value, answer[output]) for output, value in expected.items())


def _leaves_out(signature, inputs, golden):
    return set(inputs) < set(golden["odd_names"]["signatures"][signature]["inputs"])


@every_case
def test_signatures(name, golden, tf2):
    expected = dict(of(golden, name)["signatures"])
    for dropped in BY_NAME[name].skip:
        del expected[dropped]
    found = of(tf2, name)["signatures"]
    assert set(found) == set(expected)
    for key, signature in expected.items():
        assert found[key]["method_name"] == signature["method_name"], key
        for side in ("inputs", "outputs"):
            assert found[key][side] == signature[side], (key, side)
    assert tf2[name]["loaded_signatures"] == sorted(expected)
    assert tf2[name]["tags"] == golden[name]["tags"] == set(BY_NAME[name].tags)


@every_case
def test_loaded_signatures_answer_by_the_source_names(name, golden, tf2):
    for key in of(tf2, name)["loaded_signatures"]:
        outputs = of(golden, name)["signatures"][key]["outputs"]
        assert {n for n, info in outputs.items() if info[0] == "name"} <= set(tf2[name]["results"][key])


@every_case
def test_variables(name, golden, tf2):
    source, found = of(golden, name), of(tf2, name)
    names = [variable for variable, _, _ in found["variables"]]
    assert len(set(names)) == len(names)
    assert set(names) <= source["all_variables"]
    if not BY_NAME[name].skip:
        assert source["reached"] <= set(names)
    trainable = [variable for variable, flag, _ in found["variables"] if flag]
    assert set(trainable) == set(names) & source["source_trainable"]
    assert found["trainable_variables"] == trainable
    assert len(found["regularization_losses"]) == (BY_NAME[name].model == "hub_module")


@every_case
def test_a_default_signature_makes_the_model_callable(name, tf2):
    found = of(tf2, name)
    assert found["callable"] or "serving_default" not in found["loaded_signatures"]


@every_case
def test_no_ref_dtype_is_left(name, tf2):
    assert of(tf2, name)["refs"] == []


@every_case
def test_the_fingerprint_fits(name, tf2):
    written, fresh = of(tf2, name)["fingerprints"]
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
    assert content["options"]["verify"] == "none"
    assert content["options"]["drop_signatures"] is case.options.drop_signatures
    assert content["options"]["tags"] == (None if case.options.tags is None else sorted(case.options.tags))


def test_the_new_model_knows_nothing_of_where_the_source_lay(converted, present):
    # Paths of assets above all: a graph that holds one works until the source is gone.
    for path in present.values():
        assert str(converted.work).encode() not in (path / "saved_model.pb").read_bytes(), path.name


_TOGETHER = """
import gc, sys, tensorflow as tf
first, second = tf.saved_model.load(sys.argv[1]), tf.saved_model.load(sys.argv[2])
tokens = tf.constant(["cat", "dog", "unseen"])
def ask(model):
    outputs = model.signatures["serving_default"](tokens=tokens)
    return {name: value.numpy().tolist() for name, value in sorted(outputs.items())}
before = ask(first), ask(second)
del second
gc.collect()
assert ask(first) == before[0], "one model harms another that goes"
tf.saved_model.save(first, sys.argv[3], first.signatures)
gc.collect()
assert ask(first) == before[0], "saving harms the loaded model"
print(before[0])
print(before[1])
"""


@pytest.fixture
def both(tmp_path):
    """Loads two models in one process, drops the second, saves the first; gives the answer of each."""

    def ask_both(first, second):
        return run_child(["-c", _TOGETHER, str(first), str(second), str(tmp_path / "saved")]).splitlines()

    return ask_both


def test_one_model_loaded_twice_in_one_process(converted, both):
    path = converted.path("vocabulary")
    first, second = both(path, path)
    assert first == second


def test_two_models_with_tables_of_one_name_in_one_process(converted, both, tmp_path):
    """Two versions of a model differ in their vocabulary, and a process may hold both."""
    path, other = converted.path("vocabulary"), tmp_path / "other"
    shutil.copytree(path, other)
    for file in (other / "assets").rglob("vocab*"):
        file.write_bytes(b"\n".join(reversed(file.read_bytes().rstrip(b"\n").split(b"\n"))) + b"\n")
    first, second = both(path, other)
    assert (second, first) == tuple(both(other, path))
    assert first != second


def test_floats_are_compared_by_their_bits():
    assert not same(np.float32(0.0), np.float32(-0.0))
    assert same(np.float32("nan"), np.float32("nan"))
    assert not same(np.zeros(2, np.int32), np.zeros(2, np.int64))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["auto", "copy", "link"])
def test_a_flipped_bit_in_large_weights_is_an_error_that_names_the_variable(tmp_path, mode, large_model):
    """Large enough for a process of its own, which goes on while TensorFlow is imported."""
    source, new = tmp_path / "model", tmp_path / "new"
    shutil.copytree(large_model, source)
    done = migrate_command("convert", source, new, "--noverify", f"--checkpoint={mode}")
    assert done.returncode == 0, done.stdout
    shutil.rmtree(new)
    with open(source / "variables" / "variables.data-00000-of-00001", "r+b") as file:
        file.seek(7_000_001)
        byte = file.read(1)[0]
        file.seek(7_000_001)
        file.write(bytes([byte ^ 16]))
    # Hard links are the source's own bytes; they are read where the model is verified.
    verify = "--verify" if mode == "link" else "--noverify"
    done = migrate_command("convert", source, new, verify, f"--checkpoint={mode}")
    assert done.returncode == 1
    assert "the bytes of 'part_0' do not match their checksum; they fill variable 'part_0'" in " ".join(
        done.stdout.split()
    )
    assert sorted(os.listdir(tmp_path)) == ["model"]


@pytest.fixture(scope="module")
def large_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "model"
    command = [sys.executable, "-m", "benchmarks.models", "embedding", str(path), "12"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return path
