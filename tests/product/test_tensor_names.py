"""--keep_tensor_names: who feeds and fetches by the source's tensor names gets the source's answers."""

from __future__ import annotations

import pathlib
import pickle
import shutil

import numpy as np
import pytest

import migrate
from migrate.records import Options
from tests.conversions import BY_NAME, MODELS, ROOT, Conversions, ask, ask_client, compare, run_child

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

_NAMES = ("odd_names", "sparse_signature", "tensor_names", "training", "vocabulary", "estimator_dnn_classifier")

# What a finding says that cannot be had by name, as (signature, tensor).
_NOT_KEPT = {
    "odd_names": {("fed_intermediate", "y:0")},
    "tensor_names": {("count", "plain:0")},
}

_BY_NAME = """
import pickle, sys, tensorflow as tf
sys.path.insert(0, sys.argv[2])
import answers
v1 = tf.compat.v1
job = pickle.load(open(sys.argv[1], "rb"))
found = {}
for name, (source, new, calls, not_kept) in job.items():
    signatures = answers.meta_graph_of(source, ["serve"]).signature_def
    for side, path in (("source", source), ("new", new)):
        with tf.Graph().as_default(), v1.Session(config=answers.config()) as session:
            v1.saved_model.load(session, ["serve"], path)
            found[name, side] = []
            for key, inputs in calls:
                feeds = {}
                for label, value in inputs.items():
                    parts = answers.tensors(signatures[key].inputs[label])
                    values = value if len(parts) > 1 else (value,)
                    feeds.update({tensor: part for (_, tensor), part in zip(parts, values)})
                wanted = {t for info in signatures[key].outputs.values() for _, t in answers.tensors(info)}
                # What changes a variable must run once a call, so the tensors of a call are fetched together.
                wanted -= {tensor for signature, tensor in not_kept if signature == key} if side == "new" else set()
                answer = {t: answers.plain(v) for t, v in session.run({t: t for t in wanted}, feeds).items()}
                found[name, side].append(answer)
            missing = []
            for key, tensor in not_kept:
                parts = [t for info in signatures[key].inputs.values() for _, t in answers.tensors(info)]
                inputs = next(inputs for called, inputs in calls if called == key)
                feeds = {t: value for t, value in zip(parts, inputs.values())}
                try:
                    session.run(tensor, feeds)
                except (KeyError, ValueError, tf.errors.OpError) as error:
                    missing.append((key, tensor))
            found[name, side, "missing"] = missing
pickle.dump(found, open(sys.argv[1] + ".answers", "wb"))
"""


@pytest.fixture(scope="module")
def named(tmp_path_factory) -> Conversions:
    """The models, converted with their tensor names kept."""
    work = tmp_path_factory.mktemp("named")
    for name in (*_NAMES, "simple_save"):
        shutil.copytree(MODELS / name, work / "source" / name)
    options = Options(verify=False, keep_tensor_names=True)
    report = migrate.convert(str(work / "source"), str(work / "new"), options)
    return Conversions(work / "new", work, {pathlib.Path(m.source).name: m for m in report.models})


@pytest.fixture(scope="module")
def by_name(named):
    file = named.work / "job"
    job = {
        name: (
            str(MODELS / name),
            str(named.path(name)),
            [(key, inputs) for key, inputs in BY_NAME[name].calls],
            _NOT_KEPT.get(name, set()),
        )
        for name in _NAMES
    }
    file.write_bytes(pickle.dumps(job))
    run_child(["-c", _BY_NAME, str(file), str(ROOT / "tests")])
    return pickle.loads(pathlib.Path(f"{file}.answers").read_bytes())


@pytest.mark.parametrize("name", _NAMES)
def test_a_session_that_feeds_and_fetches_by_name_gets_the_sources_answers(name, by_name):
    compared = 0
    for expected, found in zip(by_name[name, "source"], by_name[name, "new"], strict=True):
        for tensor, value in found.items():
            assert (value.dtype, value.shape) == (expected[tensor].dtype, expected[tensor].shape), tensor
            np.testing.assert_array_equal(value, expected[tensor], tensor)
            compared += value.size
    assert compared


@pytest.mark.parametrize("name", _NOT_KEPT)
def test_what_is_not_kept_is_told_and_cannot_be_fetched(name, by_name, named):
    told = {f.nodes[0] for f in named.reports[name].findings if f.code == "tensor-name-not-kept"}
    assert told == {tensor for _, tensor in _NOT_KEPT[name]}
    assert set(by_name[name, "source", "missing"]) == set()
    assert set(by_name[name, "new", "missing"]) == _NOT_KEPT[name]


def test_it_loads_and_is_saved_again_as_any_other(named, golden, tmp_path):
    paths = {name: named.path(name) for name in _NAMES}
    found = ask("tf2", paths, named.work, save=tmp_path)
    again = ask("tf2", {name: tmp_path / name for name in _NAMES}, named.work)
    session = ask("session", paths, named.work)
    for name in _NAMES:
        compare(name, golden, found)
        compare(name, golden, again)
        compare(name, golden, session)


_CONFIG = """
import sys
sys.path.insert(0, sys.argv[1])
import answers
config = answers.config()
config.ClearField("device_count")
print(config.SerializeToString().hex())
"""


@pytest.fixture(scope="module")
def config():
    """A serialized ConfigProto in hexadecimal, as the C client takes it."""
    return run_child(["-c", _CONFIG, str(ROOT / "tests")]).split()[-1]


# (model, its first call with that signature, fed tensor, fetched tensor) -> output of the signature.
_C_CALLS = {
    ("simple_save", "serving_default", "x:0", "y:0"): "y",
    ("tensor_names", "serving_default", "StatefulPartitionedCall:0", "saver_filename:0"): "scores",
    ("tensor_names", "low", "StatefulPartitionedCall:0", "halves:1"): "high",
    ("odd_names", "custom_method", "x:0", "y:0"): "y",
    ("odd_names", "ref_output", "x:0", "w:0"): "w",
}


@pytest.mark.parametrize("call", _C_CALLS, ids="-".join)
def test_the_c_api_feeds_and_fetches_by_name(call, client, config, named, golden):
    name, signature, fed, fetched = call
    number, inputs = next((n, i) for n, (key, i) in enumerate(BY_NAME[name].calls) if key == signature)
    (value,) = inputs.values()
    answered = ask_client(client, str(named.path(name)), config, fed, fetched, value)
    expected = golden[name]["answers"][number][_C_CALLS[call]]
    assert answered.shape == expected.shape
    assert answered.tobytes() == expected.tobytes()
