"""Models on a file system that TensorFlow knows by its scheme; `file://` is one that every machine has."""

from __future__ import annotations

import json
import pathlib
import shutil

import pytest

import migrate
from migrate.errors import InputError
from migrate.records import Converted, Convertible, Refused, Validated

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

MODELS = pathlib.Path(__file__).parents[2] / "testdata" / "models"


def _url(path: pathlib.Path) -> str:
    return f"file://{path}"


def test_a_remote_model_is_audited_converted_and_validated(tmp_path: pathlib.Path) -> None:
    source, new = _url(MODELS / "vocabulary"), _url(tmp_path / "new" / "vocabulary")
    (audited,) = migrate.audit(source).models
    assert (audited.source, type(audited.outcome)) == (source, Convertible)
    (converted,) = migrate.convert(source, new).models
    assert isinstance(converted.outcome, Converted), converted.outcome
    assert (converted.source, converted.destination) == (source, new)
    assert converted.verification is not None and converted.verification.passed
    written = json.loads((tmp_path / "new" / "vocabulary" / "assets.extra" / "migration.json").read_text())
    assert written["source"]["path"] == source
    (validated,) = migrate.validate(new, against=source).models
    assert isinstance(validated.outcome, Validated), validated.outcome
    with pytest.raises(InputError, match="exists already"):
        migrate.convert(source, new, migrate.Options(verify=False))
    (again,) = migrate.convert(source, new, migrate.Options(verify=False, overwrite=True)).models
    assert isinstance(again.outcome, Converted)


def test_a_remote_tree_is_mirrored(tmp_path: pathlib.Path) -> None:
    for name in ("simple_save", "refused_pyfunc"):
        shutil.copytree(MODELS / name, tmp_path / "old" / name / "1")
    found = migrate.convert(_url(tmp_path / "old"), _url(tmp_path / "new"), migrate.Options(verify=False)).models
    assert [(m.source, type(m.outcome)) for m in found] == [
        (_url(tmp_path / "old" / "refused_pyfunc" / "1"), Refused),
        (_url(tmp_path / "old" / "simple_save" / "1"), Converted),
    ]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["simple_save"]
    assert (tmp_path / "new" / "simple_save" / "1" / "variables" / "variables.index").is_file()


def test_what_is_not_there_and_what_no_file_system_knows() -> None:
    with pytest.raises(InputError, match="no such file"):
        migrate.audit("file:///nonexistent/model")
    with pytest.raises(InputError, match="nosuch"):
        migrate.audit("nosuch://bucket/model")
