"""One model that is converted again: what stands there, made of the same files by the same command, stays."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

import migrate
from migrate.export.publish import check_writable
from migrate.records import Converted, Options
from tests.conversions import MODELS
from tests.fleet.conftest import one_time  # noqa: F401 (for every test)

_OPTIONS = Options(timeout=100)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    shutil.copytree(MODELS / "simple_save", folder / "old")
    (report,) = migrate.convert(folder / "old", folder / "new", _OPTIONS).models
    assert isinstance(report.outcome, Converted) and not report.skipped
    return folder


def _again(folder, options=_OPTIONS):
    before = (folder / "new" / "saved_model.pb").stat().st_ino
    (report,) = migrate.convert(folder / "old", folder / "new", options).models
    return report, (folder / "new" / "saved_model.pb").stat().st_ino == before


@pytest.mark.tensorflow
def test_the_same_command_again_says_so(converted):
    report, stays = _again(converted)
    assert isinstance(report.outcome, Converted) and report.skipped and stays
    assert migrate.Report((report,)).ok


@pytest.mark.tensorflow
@pytest.mark.parametrize("change", ["options", "source", "new model"])
def test_another_command_source_or_model_is_not_the_same(converted, tmp_path, change):
    for name in ("old", "new"):
        shutil.copytree(converted / name, tmp_path / name)
    options = _OPTIONS
    # The path of the source counts; here it is another one, so the model is made anew for this folder.
    (report,) = migrate.convert(tmp_path / "old", tmp_path / "new", dataclasses.replace(options, overwrite=True)).models
    assert not report.skipped
    assert _again(tmp_path, options)[0].skipped
    if change == "options":
        options = dataclasses.replace(options, keep_tensor_names=True)
    elif change == "source":
        (tmp_path / "old" / "assets.extra").mkdir(exist_ok=True)
        (tmp_path / "old" / "assets.extra" / "note").write_text("new")
    else:
        with (tmp_path / "new" / "saved_model.pb").open("ab") as file:
            file.write(b"\x08\x01")
    with pytest.raises(migrate.InputError, match="exists already"):
        migrate.convert(tmp_path / "old", tmp_path / "new", options)


@pytest.mark.tensorflow
def test_reconvert_makes_it_anew(converted):
    report, stays = _again(converted, dataclasses.replace(_OPTIONS, reconvert=True))
    assert isinstance(report.outcome, Converted) and not report.skipped and not stays


def test_a_place_where_nothing_can_be_written_is_wrong_use():
    with pytest.raises(migrate.InputError, match="nothing can be written in /proc"):
        check_writable("/proc/nowhere/new")
    with pytest.raises(migrate.InputError, match="nothing can be written in /proc"):
        migrate.convert(MODELS / "simple_save", "/proc/nowhere/new", _OPTIONS)
