"""Models whose ops come from a library that the user gives, from the command line to what is loaded."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import pathlib

import pytest

import migrate
from migrate import cli
from migrate.records import Converted, Options, Refused, Report, Validated
from tests.conversions import run_child
from tests.op_library import compiled, write_model

pytestmark = pytest.mark.tensorflow

_ASK = """
import sys, tensorflow as tf
tf.load_op_library(sys.argv[1])
loaded = tf.saved_model.load(sys.argv[2]).signatures["serving_default"]
assert loaded(x=tf.constant([3.0, -1.0]))["y"].numpy().tolist() == [1.5, -0.5]
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The library."""
    return compiled(tmp_path_factory.mktemp("library"), "halve")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Two models that need it, and one that needs none."""
    path = tmp_path_factory.mktemp("op_libraries") / "models"
    write_model(path / "one")
    write_model(path / "two")
    write_model(path / "plain", op="Neg")
    return path


@pytest.fixture(scope="module")
def new(library: str, tree: pathlib.Path) -> tuple[Report, pathlib.Path]:
    """The models, converted side by side; what became of them, and where they are."""
    path = tree.parent / "new"
    return migrate.convert(tree, path, Options(op_library=library, jobs=2)), path


def test_a_model_is_refused_without_it(tree):
    (report,) = migrate.audit(str(tree / "one")).models
    assert isinstance(report.outcome, Refused)
    assert [f.nodes for f in report.findings if f.code == "unknown-op"] == [("y",)]


def test_with_it_models_are_converted_and_verified_and_say_that_they_need_it(library, new):
    report, path = new
    assert [type(model.outcome) for model in report.models] == [Converted] * 3, report
    assert all(model.verification.passed and model.verification.compared for model in report.models)
    codes = {pathlib.Path(model.source).name: [f.code for f in model.findings] for model in report.models}
    assert codes == {"one": ["needs-op-library"], "plain": [], "two": ["needs-op-library"]}
    (told,) = json.loads((path / "one" / "assets.extra" / "migration.json").read_text())["op_libraries"]
    assert told["name"] == library and "MigrateHalve" in told["ops"]
    assert told["sha256"] == hashlib.sha256(pathlib.Path(library).read_bytes()).hexdigest()
    run_child(["-c", _ASK, library, str(path / "one")])


def test_the_same_command_again_does_nothing(library, tree, new):
    again = migrate.convert(tree, new[1], Options(op_library=library, jobs=2))
    assert all(model.skipped for model in again.models)


@pytest.mark.slow
def test_another_file_is_another_library_whatever_it_is_called(library, tree, new, tmp_path):
    other = tmp_path / "halve.so"
    other.write_bytes(pathlib.Path(library).read_bytes() + b"\0")
    again = migrate.convert(tree, new[1], Options(op_library=str(other), include="two"))
    assert [(type(model.outcome), model.skipped) for model in again.models] == [(Converted, False)]


@pytest.mark.slow
def test_validation_and_recording_load_it(library, tree, new, tmp_path):
    options = Options(op_library=library)
    (report,) = migrate.validate(new[1] / "one", against=tree / "one", options=options).models
    assert isinstance(report.outcome, Validated), report
    assert migrate.record(tree / "one", tmp_path / "golden.npz", options)


def test_an_op_without_a_kernel_is_refused_as_one_of_tensorflow(library, tmp_path):
    model = write_model(tmp_path / "unmade", op="MigrateUnmade")
    (report,) = migrate.audit(model, Options(op_library=library)).models
    assert isinstance(report.outcome, Refused)
    assert "op-without-kernel" in [finding.code for finding in report.findings]


def test_the_security_report_lists_its_ops(library, tree, capsys):
    assert cli.main(["migrate", "audit", str(tree / "one"), "--security", f"--op_library={library}"]) == 1
    assert "MigrateHalve" in capsys.readouterr().out


def test_no_config_names_a_library(library, tree, tmp_path, capsys):
    config = tmp_path / "migrate.toml"
    config.write_text(f'[models."*"]\nop_library = ["{library}"]\n')
    assert cli.main(["migrate", "audit", str(tree / "one"), f"--config={config}"]) == 2
    assert "op_library" in capsys.readouterr().err


def test_tensorflow_text_is_imported(tmp_path):
    if importlib.util.find_spec("tensorflow_text") is None:
        pytest.skip("needs tensorflow-text")
    model = write_model(tmp_path / "fold", op="CaseFoldUTF8", dtype=7)
    (report,) = migrate.convert(model, tmp_path / "new", Options(import_module="tensorflow_text")).models
    assert isinstance(report.outcome, Converted), report
    assert report.verification.passed and report.verification.compared
    (told,) = json.loads((tmp_path / "new" / "assets.extra" / "migration.json").read_text())["op_libraries"]
    assert (told["name"], told["version"]) == ("tensorflow_text", importlib.metadata.version("tensorflow-text"))
