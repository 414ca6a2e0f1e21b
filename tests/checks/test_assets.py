from __future__ import annotations

import pytest

from migrate.checks.assets import check
from migrate.checks.subject import Subject
from migrate.graph.protos import MetaGraphDef
from migrate.records import Kind, Options, Severity
from migrate.sources.source import Source


def _found(folder, *files):
    meta_graph = MetaGraphDef()
    for number, file in enumerate(files):
        meta_graph.asset_file_def.add(filename=file).tensor_info.name = f"asset_{number}:0"
    source = Source("m", Kind.TF1_SAVED_MODEL, "m/saved_model.pb", (meta_graph,), None, str(folder), "m/assets.extra")
    return list(check(Subject(source, meta_graph, (), None, 0, (), False, Options())))


@pytest.fixture
def assets(tmp_path):
    folder = tmp_path / "assets"
    (folder / "sub").mkdir(parents=True)
    for name in ("vocab.txt", "sub/vocab.txt", "..odd"):
        (folder / name).touch()
    (tmp_path / "outside.txt").touch()
    (tmp_path / "assets-2").mkdir()
    (tmp_path / "assets-2" / "outside.txt").touch()
    return folder


@pytest.mark.parametrize("file", ["vocab.txt", "sub/vocab.txt", "sub/../vocab.txt", "..odd", "./vocab.txt"])
def test_files_of_the_model(file, assets):
    assert _found(assets, file) == []
    assert _found(f"{assets}/", file) == []


@pytest.mark.parametrize("file", ["../outside.txt", "sub/../../outside.txt", "../assets-2/outside.txt", "/etc/passwd"])
def test_a_file_elsewhere(file, assets):
    (finding,) = _found(assets, file)
    assert (finding.code, finding.severity, finding.nodes) == ("asset-escapes", Severity.REFUSAL, (file,))


def test_an_absolute_path_into_the_model(assets):
    (finding,) = _found(assets, str(assets / "vocab.txt"))
    assert finding.code == "asset-escapes"


@pytest.mark.parametrize("file", ["none.txt", "sub"])
def test_a_file_that_is_not_there(file, assets):
    (finding,) = _found(assets, "vocab.txt", file)
    assert (finding.code, finding.nodes) == ("asset-missing", (file,))
    assert str(assets / file) in finding.message
