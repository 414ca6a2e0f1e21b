"""What the steps of one model may touch. No TensorFlow: the processes are recorded."""

from __future__ import annotations

import functools
import os

from migrate.keras_loader.request import Request
from migrate.model import confined_steps
from migrate.processes.confinement import ConfinedJob, Confinement
from migrate.records import Options
from migrate.sources.boundary import Boundary
from migrate.sources.discover import place_of
from migrate.sources.keras_source import read_keras
from migrate.sources.read import files_of
from migrate.sources.saved_model import read_saved_model
from tests.conversions import MODELS, ROOT
from tests.model.recorded import Runner

FREE = Options(allow_side_effects=True)
_SOURCE = str(MODELS / "simple_save")


def _touched(make) -> Confinement | None:
    """What a step may touch that runs with what `make` makes of a runner; None for everything."""
    runner = Runner(None)
    make(runner).run("golden", "module", "job", str, 1.0)
    ((step, _, job, kind, timeout),) = runner.asked
    assert (step, kind, timeout) == ("golden", str, 1.0)
    if not isinstance(job, ConfinedJob):
        assert job == "job"
        return None
    assert (job.module, job.job) == ("module", "job")
    return job.confinement


@functools.cache
def _file():
    return read_keras(files_of(place_of(str(ROOT / "testdata" / "keras" / "functional" / "model.h5"))))


def _keras(*custom_objects):
    return Request(_file(), custom_objects, trust=False)


def test_what_asks_is_confined_unless_the_user_allows_side_effects():
    source, request = read_saved_model(_SOURCE), _keras()
    for make in (
        lambda runner, options: confined_steps.asking(runner, source, options),
        lambda runner, options: confined_steps.replaying(runner, _SOURCE, options),
        lambda runner, options: confined_steps.asking_keras(runner, request, options),
    ):
        assert _touched(lambda runner, make=make: make(runner, FREE)) is None
        assert _touched(lambda runner, make=make: make(runner, Options())).write == ()


def test_what_exports_writes_the_new_model_alone(tmp_path):
    source, request = read_saved_model(_SOURCE), _keras()
    for name, make in (
        ("a", lambda runner, staged: confined_steps.exporting(runner, source, staged)),
        ("b", lambda runner, staged: confined_steps.exporting_keras(runner, request, staged)),
    ):
        staged = str(tmp_path / name)
        found = _touched(lambda runner, make=make, staged=staged: make(runner, staged))
        assert found.write == (staged,)
        assert os.path.isdir(staged)


def test_a_model_in_the_working_directory_has_a_whole_path(monkeypatch):
    monkeypatch.chdir(MODELS)
    found = _touched(lambda runner: confined_steps.asking(runner, read_saved_model("simple_save"), Options()))
    assert all(map(os.path.isabs, (*found.read, *found.names)))
    assert f"{_SOURCE}/saved_model.pb" in found.read


def test_the_users_calls_and_modules_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = _touched(lambda runner: confined_steps.asking_keras(runner, _keras(), Options()))
    given = _touched(
        lambda runner: confined_steps.asking_keras(
            runner,
            _keras("tests.model.recorded:Runner", "no_such_module:X", "..:Y"),
            Options(inputs="calls.json"),
        )
    )
    assert plain.imports == ()
    assert given.imports == (str(tmp_path),)
    assert set(given.read) - set(plain.read) == {
        str(tmp_path / "calls.json"),
        str(ROOT / "tests"),
        str(ROOT / "tests" / "__init__.py"),
    }


def test_a_link_is_followed_where_the_boundary_allows_it(tmp_path):
    for name in ("assets", "within", "outside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
    (tmp_path / "assets" / "a").symlink_to(tmp_path / "within" / "file")
    (tmp_path / "assets" / "b").symlink_to(tmp_path / "outside" / "file")
    assets, within, outside = (str(tmp_path / name) for name in ("assets", "within/file", "outside/file"))
    found = list(confined_steps._with_links([assets], Boundary((assets, os.path.dirname(within)))))
    assert found == [assets, within]
    assert set(confined_steps._with_links([assets], None)) == {assets, within, outside}


def test_a_checkpoints_files_and_not_their_neighbours(tmp_path):
    names = ("m.index", "m.data-00000-of-00001", "m", "m.key", "m2.index", ".index", ".data-00000-of-00001", ".ssh")
    for name in names:
        (tmp_path / name).write_text("")

    def found(prefix: str) -> list[str]:
        return sorted(os.path.basename(path) for path in confined_steps._checkpoint(f"{tmp_path}/{prefix}"))

    assert found("m") == ["m", "m.data-00000-of-00001", "m.index"]
    assert found("") == [".data-00000-of-00001", ".index"]
    for name in ("v-00000-of-00002", "v-00001-of-00002", "v-00000-of-00003"):
        (tmp_path / name).write_text("")
    assert found("v-?????-of-00002") == ["v-00000-of-00002", "v-00001-of-00002"]


def test_a_file_beside_a_saved_model_is_not_the_models():
    source = read_saved_model(str(MODELS / "vocabulary"))
    found = confined_steps._source(source)
    read, names = found.read, found.names
    assert str(MODELS / "vocabulary") not in read
    assert str(MODELS / "vocabulary" / "assets") in read
    assert names == (str(MODELS / "vocabulary" / "variables"),)
