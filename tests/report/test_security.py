"""security.py: whether it is safe to open a model, whatever becomes of it otherwise."""

from __future__ import annotations

import json
import re
import shutil

import pytest

import migrate
from migrate import cli
from migrate.checks.effects import HARMLESS, UNKNOWN
from migrate.graph.dtypes import dtype_value
from migrate.graph.op_table import EFFECTS as ALL_EFFECTS
from migrate.graph.protos import SavedModel
from migrate.report import security
from migrate.report.json import to_document
from migrate.report.sarif import to_sarif
from tests import attacks
from tests.conversions import MODELS, ROOT

FORMS, KERAS, FAULTS = (ROOT / "testdata" / name for name in ("forms", "keras", "faults"))
_STRING = dtype_value("string")


def _edited(folder, edit, model="simple_save"):
    """A copy of a model whose proto is changed."""
    shutil.copytree(MODELS / model, folder)
    file = folder / "saved_model.pb"
    proto = SavedModel.FromString(file.read_bytes())
    edit(proto.meta_graphs[0])
    file.write_bytes(proto.SerializeToString())
    return folder


def _writes(node):
    node.op = "WriteFile"


def _nobodys(meta_graph):
    _writes(meta_graph.graph_def.node.add(name="idle"))


def _called(meta_graph):
    meta_graph.graph_def.node.add(name="evil", op="WriteFile")
    output = meta_graph.signature_def["serving_default"].outputs["z"]
    output.name, output.dtype = "evil2:0", _STRING
    meta_graph.graph_def.node.add(name="evil2", op="ReadFile", input=["^evil"])


def _nested(meta_graph):
    """In a function that is passed through a function attribute of a function attribute."""
    library = meta_graph.graph_def.library
    inner = library.function.add()
    inner.signature.name = "inner"
    inner.node_def.add(name="w", op="WriteFile")
    outer = meta_graph.graph_def.node.add(name="map", op="StatefulPartitionedCall")
    outer.attr["f"].func.name = "outer"
    outer.attr["f"].func.attr["g"].func.name = "inner"
    library.function.add().signature.name = "outer"
    output = meta_graph.signature_def["serving_default"].outputs["z"]
    output.name, output.dtype = "map:0", 1


def _function_of_objects(meta_graph):
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = "__inference_evil"
    function.node_def.add(name="w", op="WriteFile")
    meta_graph.object_graph_def.concrete_functions["__inference_evil"].SetInParent()


def _audit(*paths):
    return to_document(migrate.audit([str(path) for path in paths]))


def _verdict(document):
    return security.render(document, 200, color=False).splitlines()[0].partition(": ")[2]


@pytest.mark.parametrize(
    ("edit", "model", "verdict"),
    [
        (_called, "simple_save", "dangerous: WriteFile writes files, ReadFile reads files"),
        (_nested, "simple_save", "dangerous: WriteFile writes files"),
        (_function_of_objects, "tf2", "dangerous: WriteFile writes files"),
        (_nobodys, "simple_save", "nothing dangerous is run"),
        (lambda meta_graph: None, "vocabulary", "nothing dangerous"),
        (lambda meta_graph: None, "tf2", "nothing dangerous"),
        (lambda meta_graph: None, "unfed_placeholder", "nothing dangerous"),
    ],
)
def test_the_verdict_on_a_saved_model(edit, model, verdict, tmp_path):
    document = _audit(_edited(tmp_path / "model", edit, model))
    assert _verdict(document) == verdict
    assert security.is_safe(document["models"][0]) == (not verdict.startswith("dangerous"))


@pytest.mark.parametrize("attack", [*attacks.LOADING, *attacks.IMPORT, *attacks.CALLS])
def test_an_attack_on_whoever_loads_or_calls_is_dangerous(attack, tmp_path):
    """The op may be one that every saver or table has: then the name of its file tells."""
    shutil.copytree(MODELS / "vocabulary", tmp_path / "model")
    attacks.attack_on_disk(attack, tmp_path / "model", str(tmp_path / "outside"))
    (model,) = _audit(tmp_path / "model")["models"]
    assert not security.is_safe(model)


@pytest.mark.parametrize(("follow", "safe"), [(False, False), (True, True)])
def test_a_link_that_leads_out_is_dangerous_unless_the_user_allows_it(follow, safe, tmp_path):
    shutil.copytree(MODELS / "vocabulary", tmp_path / "model")
    asset = next((tmp_path / "model" / "assets").iterdir())
    asset.rename(tmp_path / "elsewhere")
    asset.symlink_to(tmp_path / "elsewhere")
    report = migrate.audit(str(tmp_path / "model"), migrate.Options(follow_links=follow))
    (model,) = to_document(report)["models"]
    assert security.is_safe(model) is safe


def test_a_node_is_named_once(tmp_path):
    """An op that is dangerous in itself is not listed again for the name of its file."""
    shutil.copytree(MODELS / "vocabulary", tmp_path / "model")
    attacks.attack_on_disk(attacks.import_reads, tmp_path / "model", str(tmp_path / "outside"))
    (model,) = _audit(tmp_path / "model")["models"]
    assert [danger.what for danger in security.dangers(model) if danger.counts] == ["ReadFile"]


def test_ops_are_told_by_effect_and_place_the_worst_first(tmp_path):
    document = _audit(_edited(tmp_path / "model", _called))
    assert security.render(document, 100, color=False).splitlines()[1:] == [
        "  writes-files  WriteFile in main graph",
        "                nodes: evil",
        "  reads-files   ReadFile in main graph",
        "                nodes: evil2",
    ]


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        (MODELS / "refused_pyfunc", "dangerous: PyFunc runs Python code"),
        (MODELS / "unknown_op", "dangerous: MyCustomOp is no op of TensorFlow"),
        (FAULTS / "abort", "dangerous: Abort ends or changes the process, or loads code"),
        (FORMS / "saver_no_state", "dangerous: ReaderReadV2 reads files"),  # No signature says what is run.
        (FORMS / "saver_signatures", "nothing dangerous is run"),  # A second saver.
        (KERAS / "marshalled", "dangerous: twice runs Python code"),
        (KERAS / "functional", "nothing dangerous"),
        (KERAS / "saved_model", "nothing dangerous"),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else "",
)
def test_the_verdict_on_other_forms(path, verdict):
    assert _verdict(_audit(path)) == verdict


def test_a_file_that_cannot_be_read_is_not_called_safe(tmp_path, capsys):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    assert cli.main(["migrate", "audit", "--security", str(tmp_path)]) == 1
    assert ": cannot be read: " in capsys.readouterr().out


def test_a_tree_has_a_verdict_a_model_and_totals(tmp_path, capsys):
    for name in ("a", "b"):
        shutil.copytree(MODELS / "simple_save", tmp_path / "tree" / name)
    _edited(tmp_path / "tree" / "c", _called)
    assert cli.main(["migrate", "audit", "--security", str(tmp_path / "tree")]) == 1
    out = capsys.readouterr().out
    assert re.findall(r"/(.): (nothing dangerous|dangerous)", out) == [
        ("a", "nothing dangerous"),
        ("b", "nothing dangerous"),
        ("c", "dangerous"),
    ]
    assert out.endswith("\n3 models: 2 with nothing dangerous, 1 dangerous, 0 unreadable\n")
    assert cli.main(["migrate", "audit", "--security", str(tmp_path / "tree" / "a")]) == 0


def test_the_code_is_about_security_alone(capsys):
    """A model that cannot be converted may be safe to open, and one that can may not."""
    refused, convertible = str(KERAS / "keras_1"), str(FAULTS / "abort")
    assert [cli.main(["migrate", "audit", path]) for path in (refused, convertible)] == [1, 0]
    assert [cli.main(["migrate", "audit", path, "--security"]) for path in (refused, convertible)] == [0, 1]
    capsys.readouterr()


def test_json(tmp_path, capsys):
    model = _edited(tmp_path / "model", _called)
    assert cli.main(["migrate", "audit", "--security", "--format=json", str(model), str(MODELS / "tf2")]) == 1
    bad, good = (found["security"] for found in json.loads(capsys.readouterr().out)["models"])
    assert bad == {"safe": False, "effects": ["writes-files", "reads-files"], "severity": 9.1}
    assert good == {"safe": True, "effects": [], "severity": 0.0}


def test_sarif(tmp_path, capsys):
    sarif = pytest.importorskip("sarif_pydantic")
    model = _edited(tmp_path / "model", _called)
    paths = [str(model), str(MODELS / "unfed_placeholder"), str(MODELS / "unknown_op")]
    assert cli.main(["migrate", "audit", "--security", "--format=sarif", *paths]) == 1
    text = capsys.readouterr().out
    sarif.Sarif.model_validate_json(text)
    (run,) = json.loads(text)["runs"]
    severities = {rule["id"]: float(rule["properties"]["security-severity"]) for rule in run["tool"]["driver"]["rules"]}
    assert severities == {"op-writes-files": 9.1, "op-reads-files": 7.5, "op-unknown": 7.0}
    assert all(rule["properties"]["tags"] == ["security"] for rule in run["tool"]["driver"]["rules"])
    assert [result["message"]["text"] for result in run["results"]] == [
        "WriteFile in main graph writes files",
        "ReadFile in main graph reads files",
        "MyCustomOp in main graph is no op of TensorFlow",
    ]
    # Every report has these results, beside the findings.
    (run,) = json.loads(to_sarif(_audit(*paths)))["runs"]
    assert {"op-writes-files", "unfed-placeholder", "unknown-op"} <= {result["ruleId"] for result in run["results"]}


def test_every_effect_that_is_dangerous_has_words_and_a_severity():
    assert set(security.EFFECTS) == (set(ALL_EFFECTS) - HARMLESS) | {UNKNOWN}
    assert all(0.0 < number <= 10.0 for _, number in security.EFFECTS.values())
    numbers = [number for _, number in security.EFFECTS.values()]
    assert numbers == sorted(numbers, reverse=True)


def test_names_are_shown_without_orders(tmp_path):
    def edit(meta_graph):
        name = "\x1b[31m\n\u202e"
        meta_graph.graph_def.node.add(name=name, op=f"Evil{name}")
        output = meta_graph.signature_def["serving_default"].outputs["z"]
        output.name, output.dtype = f"{name}:0", _STRING

    text = security.render(_audit(_edited(tmp_path / "model", edit)), 100, color=False)
    assert r"\x1b[31m\n\u202e" in text
    assert text.replace("\n", "").isprintable()
