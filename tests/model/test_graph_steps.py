"""How a TF1 graph answers and becomes a new model. No TensorFlow: the processes are recorded."""

from __future__ import annotations

import os
import shutil

import pytest

from migrate.errors import InputError
from migrate.export.graph_job import Exported, checkpoint_in
from migrate.export.weights import Done
from migrate.model.graph_steps import graph_steps
from migrate.model.graph_study import study_graph
from migrate.processes.confinement import ConfinedJob
from migrate.records import Convertible, Crashed, Failed, Options, TimedOut
from migrate.sources.files import digest_of
from migrate.sources.saved_model import read_saved_model
from migrate.verify.contract import Candidate
from tests.conversions import MODELS
from tests.model.recorded import GOLDEN, Runner, report

_BASE = report(Convertible())


def _steps(runner, options=None, model=MODELS / "simple_save"):
    options = options or Options()
    _, studied = study_graph(read_saved_model(str(model)), (), options)
    return graph_steps(studied, "old", options, runner)


class _Exporting(Runner):
    """Makes the directory of the new checkpoint, as an export does."""

    def run(self, step, module, job, kind, timeout):
        os.mkdir(os.path.join(job.job.staging, "variables"))
        return super().run(step, module, job, kind, timeout)


def _exported(tmp_path, runner, options=None, model=MODELS / "simple_save"):
    """What `export` gives, in processes that give the runner's results; the new model is at `model` below the path."""
    steps = _steps(runner, options, model)
    staged = str(tmp_path / "model")
    with steps.begin(staged) as taking:
        return steps.export(staged, _BASE, taking)


def test_the_source_is_asked():
    runner = Runner(GOLDEN)
    steps = _steps(runner)
    assert (steps.path, steps.golden()) == ("old", GOLDEN)
    assert steps.digest() == digest_of(str(MODELS / "simple_save" / "saved_model.pb"))
    assert runner.asked[0][2].job.saved_model == str(MODELS / "simple_save")


def test_the_new_model_has_the_weights_and_says_where_it_is_from(tmp_path):
    runner = _Exporting(Exported(1))
    assert _exported(tmp_path, runner, Options(metadata=(("owner", "ads"),))) == _BASE
    ((step, _, job, _, _),) = runner.asked
    assert (step, job.module) == ("export", "migrate.export.graph_job")
    assert isinstance(job, ConfinedJob)
    staged = str(tmp_path / "model")
    assert (job.confinement.write, job.job.staging) == ((staged,), staged)
    assert os.listdir(os.path.dirname(checkpoint_in(staged))) == ["variables.data-00000-of-00001"]
    source = job.job.provenance["source"]
    assert (source["path"], source["file"]) == (str(MODELS / "simple_save"), "saved_model.pb")
    assert job.job.provenance["metadata"] == {"owner": "ads"}
    assert job.job.provenance["proposed_signature"] is None


def test_files_beside_the_graph_are_copied(tmp_path):
    runner = _Exporting(Exported(1))
    _exported(tmp_path, runner, model=MODELS / "warmup")
    there = sorted(os.listdir(MODELS / "warmup" / "assets.extra"))
    assert sorted(os.listdir(tmp_path / "model" / "assets.extra")) == there


@pytest.mark.parametrize("ending", [Failed("no"), Crashed("export", -9, ""), TimedOut("export", 1.0)])
def test_an_export_that_fails_is_given_back(tmp_path, ending):
    assert _exported(tmp_path, _Exporting(ending)) == ending


@pytest.mark.parametrize("count", [-1, 0, 100_000])
def test_a_number_of_files_that_cannot_be_is_not_believed(tmp_path, count):
    found = _exported(tmp_path, _Exporting(Exported(count)))
    assert isinstance(found, Crashed)
    assert os.listdir(tmp_path / "model" / "variables") == []


def _large(monkeypatch):
    """Has weights of any size carried by a process of their own."""
    monkeypatch.setattr("migrate.export.weights._LITTLE_BYTES", -1)


class _Carrying(_Exporting):
    """Gives the result of carrying weights when it is waited for."""

    def __init__(self, carried, *results):
        super().__init__(*results)
        self.carried, self.stopped = carried, 0

    def begin(self, step, module, job, kind, timeout):
        assert (step, module) == ("weights", "migrate.export.weights")
        return self

    def result(self):
        return self.carried

    def stop(self):
        self.stopped += 1


@pytest.mark.parametrize("carried", [Done(), Failed("variable 'w'"), Crashed("weights", -9, "")])
def test_large_weights_are_carried_beside_and_waited_for(tmp_path, monkeypatch, carried):
    _large(monkeypatch)
    runner = _Carrying(carried, Failed("no"))
    steps = _steps(runner, Options(checkpoint="link"))
    with steps.begin(str(tmp_path / "model")) as taking:
        assert taking.damage() == (carried if isinstance(carried, Failed) else None)
        assert runner.stopped == 0
    assert runner.stopped == 1
    # The export succeeds, and the model is worth what its weights are.
    runner = _Carrying(carried, Exported(1))
    expected = _BASE if isinstance(carried, Done) else carried
    (tmp_path / "again").mkdir()
    assert _exported(tmp_path / "again", runner, Options(checkpoint="link")) == expected


def _damaged(tmp_path):
    model = shutil.copytree(MODELS / "simple_save", tmp_path / "old", copy_function=shutil.copyfile)
    data = model / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(bytes([data.read_bytes()[0] ^ 1]) + data.read_bytes()[1:])
    return model


def test_little_weights_are_carried_at_once(tmp_path):
    steps = _steps(Runner(), model=_damaged(tmp_path))
    with pytest.raises(InputError, match=r"'[wb]'"), steps.begin(str(tmp_path / "new" / "model")):
        pass
    # A link that nobody asks to check is as it is.
    steps = _steps(Runner(), Options(checkpoint="link", verify=False), _damaged(tmp_path / "more"))
    with steps.begin(str(tmp_path / "more" / "model")) as taking:
        assert taking.running is None


def test_the_contract_is_the_sources_with_what_the_user_asked_for():
    steps = _steps(Runner())
    same = read_saved_model(str(MODELS / "simple_save"))
    found = steps.contract(Candidate(same.path, same.meta_graphs))
    # It still has ref ops, as no new model does; nothing else differs.
    assert found
    assert {mismatch.signature for mismatch in found} == {""}
    other = read_saved_model(str(MODELS / "vocabulary"))
    assert {m.signature for m in steps.contract(Candidate(other.path, other.meta_graphs))} >= {"serving_default"}


@pytest.mark.parametrize("name", ["keras_gru", "lstm"])
def test_what_no_cpu_runs_is_asked_of_nobody(name):
    """Of a network of cuDNN, and of what restores its weights."""
    runner = Runner(GOLDEN)
    finding = _steps(runner, model=MODELS.parent / "cudnn" / name).unasked
    assert finding is not None and "CudnnRNN" in finding.message and "on a GPU alone" in finding.message
    assert not runner.asked
