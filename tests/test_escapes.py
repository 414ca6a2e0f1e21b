"""Text of strangers: what is shown obeys nobody, and what is copied runs nothing and means what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

import migrate
from migrate import cli
from migrate.escapes import flag, visible, visible_lines
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import GraphDef, SavedModel
from migrate.report.json import to_document
from migrate.report.junit import to_junit
from migrate.report.sarif import to_sarif
from migrate.report.text import render
from migrate.signature_flag import parse_signature, to_copy

_FLOAT = dtype_value("float32")
_NAMES = (
    "x';touch pwned;'",
    "x`touch pwned`",
    "$(touch pwned)",
    "--help",
    "-",
    "a\nb",
    "a\rtouch pwned\n",
    "x'reboot",
    'x";touch pwned;"',
    "a;method=evil",
    "a=b,c=d",
    "a\\x41",
    "\\",
    "a b",
    "!!",
    "*",
    "~/x",
    "\x1b[31mred",
    "\x9b31m",
    "\x7f",
    "\u202egpj.exe",
    "\u2066\u2069",
    "\u2028\u2029",
    "\u00e4\u6f22\U0001f600",
    "a/",
    "/",
    "#",
    "&& touch pwned",
    "> pwned",
    "|touch pwned",
)


def _graph(name: str) -> GraphDef:
    graph = GraphDef()
    graph.node.add(name=name, op="Placeholder").attr["dtype"].type = _FLOAT
    graph.node.add(name=f"{name}y", op="Neg", input=[name]).attr["T"].type = _FLOAT
    return graph


def _pasted(words: str, folder) -> list[str]:
    """The words that a shell makes of what is pasted into it, in an empty folder that must stay so."""
    folder.mkdir()
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "import json, sys; print(json.dumps(sys.argv[1:]))" {words}', sys.executable],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "" and os.listdir(folder) == []
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", _NAMES, ids=ascii)
def test_the_flag_that_audit_proposes_can_be_pasted(name, tmp_path, capsys):
    """A real shell runs nothing of it, and gives the program the proposal."""
    (tmp_path / "graph.pb").write_bytes(_graph(name).SerializeToString())
    (model,) = migrate.audit(str(tmp_path / "graph.pb")).models
    (proposal,) = model.proposals
    assert proposal.inputs[0][1] == f"{name}:0"
    text = render(migrate.Report((model,)), 60)
    (shown,) = [line for line in text.splitlines() if "--signature=" in line]
    assert shown.isprintable() and shown.lstrip().startswith("--signature=")
    (word,) = _pasted(shown, tmp_path / "empty")
    assert parse_signature(word.removeprefix("--signature=")) == proposal
    assert cli.main(["migrate", "audit", str(tmp_path / "graph.pb"), word, "--format=json"]) in (0, 1)
    (report,) = json.loads(capsys.readouterr().out)["models"]
    assert "signature-tensor-missing" not in {finding["code"] for finding in report["findings"]}


def test_a_flag_that_cannot_be_copied_is_none():
    assert flag("tags", "a';b") == "--tags='a'\"'\"';b'"
    assert flag("tags", "a\x1b") is None


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (["a;touch pwned"], ["--tags=a;touch pwned"]),
        (["a,b", 'c"d'], ['--tags="a,b","c""d"']),
        ([" a"], None),
        (["a\n"], None),
        (["\x1b"], None),
        ([""], None),
    ],
)
def test_the_tags_in_a_hint_are_those_of_the_meta_graph(tags, words, tmp_path):
    from absl import flags

    model = SavedModel(saved_model_schema_version=1)
    for names in (["serve"], tags):
        meta_graph = model.meta_graphs.add()
        meta_graph.meta_info_def.tags.extend(names)
        meta_graph.graph_def.CopyFrom(_graph("x"))
        output = meta_graph.signature_def["s"].outputs["y"]
        output.name, output.dtype = "x:0", _FLOAT
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(model.SerializeToString())
    (report,) = migrate.audit(str(tmp_path / "model")).models
    (hint,) = [finding.hint for finding in report.findings if finding.code == "other-meta-graph"]
    if words is None:
        assert "--tags" not in hint and "--all_tags" in hint
        return
    copied = re.search(r"take it with (.*), or every one", hint)[1]
    assert _pasted(copied, tmp_path / "empty") == words
    values = flags.FlagValues()
    flags.DEFINE_list("tags", None, "", flag_values=values)
    values(["migrate", *words])
    assert set(values.tags) == set(tags)


# What is shown.

_ORDERS = "".join(map(chr, [*range(32), *range(127, 160), 0xAD, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]))
_HOSTILE = f"{_ORDERS}\udcff\ufffe\uffff\U000e0001</script><img src=x onerror=alert(1)>](https://evil)]]>&lt;"
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def test_visible():
    assert visible("a\x1b[31m\n\u202e\udcff\U000e0001\u00e4\U0001f600") == (
        r"a\x1b[31m\n\u202e\udcff\U000e0001" + "\u00e4\U0001f600"
    )
    assert visible_lines("a\n\rb") == "a\n\\rb"


def _hostile_report():
    from tests.report.reports import MODELS

    def spoilt(value):
        """The same value with the hostile text in the place of every text that a model or a file may bring."""
        if isinstance(value, str):
            return value if value in _KEPT else value + _HOSTILE
        if isinstance(value, dict):
            return {key if key in _KEYS else spoilt(key): spoilt(inner) for key, inner in value.items()}
        return [spoilt(inner) for inner in value] if isinstance(value, list) else value

    document = to_document(migrate.Report(tuple(MODELS)))
    models = [{key: value if key in _ENUMS else spoilt(value) for key, value in m.items()} for m in document["models"]]
    return {**document, "models": models}


_ENUMS = ("outcome", "kind")
_KEPT = ("note", "warning", "refusal", "dense", "coo_sparse", "ragged", "NaN", "Infinity", "-Infinity")
_KEYS = frozenset(
    [
        "source",
        "destination",
        "detail",
        "findings",
        "signatures",
        "meta_graphs",
        "keras",
        "checkpoint",
        "proposed_signatures",
        "verification",
        "seconds",
        "bytes",
        "skipped",
        "duplicate_of",
        "converted_signatures",
        "sketches",
        "code",
        "severity",
        "message",
        "nodes",
        "hint",
        "method_name",
        "inputs",
        "outputs",
        "name",
        "dtype",
        "shape",
        "encoding",
        "components",
        "tags",
        "tf_version",
        "ops",
        "variables",
        "tables",
        "assets",
        "init_ops",
        "control_flow_nodes",
        "functions",
        "is_resource",
        "trainable",
        "needed",
        "keras_version",
        "runtime",
        "backend",
        "layers",
        "weights",
        "optimizer",
        "class_name",
        "custom",
        "path",
        "format",
        "object_based",
        "shards",
        "tensors",
        "slices",
        "passed",
        "calls",
        "compared",
        "values",
        "bitwise_equal",
        "max_abs_difference",
        "max_ulps",
        "variables_compared",
        "nondeterministic",
        "mismatches",
        "signature",
        "output",
        "call",
        "reason",
        "run",
        "changed",
        "op",
        "before",
        "after",
        "edges",
        "from",
        "to",
        "control",
        "step",
        "exit_code",
        "stderr_tail",
    ]
)


def test_no_form_of_a_report_has_what_a_terminal_a_browser_or_a_parser_obeys():
    document = _hostile_report()
    junit, sarif = to_junit(document), to_sarif(document)
    assert not _FORBIDDEN.search(junit)
    for element in ET.fromstring(junit).iter():
        for text in (element.text or "", *element.attrib.values()):
            assert not _FORBIDDEN.search(text)
    assert sarif.isascii()
    for run in json.loads(sarif)["runs"]:
        for result in run["results"]:
            assert not _FORBIDDEN.search(result["message"]["text"])
            assert "](" not in result["message"]["text"]
            assert "\x1b" not in result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_the_page_has_no_markup_of_a_model():
    from migrate.report.html import to_html

    page = to_html(_hostile_report())
    assert "<img" not in page and not _FORBIDDEN.search(page)
    # Scripts: the data, which is base64, and our own.
    *data, own = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]*", text) for text in data)
    assert "innerHTML" not in own and "document.write" not in own


def test_a_terminal_gets_no_order(tmp_path):
    graph = _graph(f"x{_ORDERS}")
    folder = tmp_path / f"model\x1b]0;title\x07{os.fsdecode(bytes([255]))}\n"
    folder.mkdir()
    (folder / "graph.pb").write_bytes(graph.SerializeToString())
    for arguments in (["audit", folder], ["audit", folder, "-v=1"], ["audit", f"{folder}/absent"]):
        done = subprocess.run(
            [sys.executable, "-m", "migrate", *arguments], capture_output=True, check=False, env={**os.environ}
        )
        for said in (done.stdout, done.stderr):
            assert not _FORBIDDEN.search(said.decode("utf-8")), arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ["\x1b[31m"],
        ["audit", "\x1b[31m"],
        ["audit", "--\x1b[31m"],
        ["audit", "x", "--format=\x1b[31m\n"],
        ["audit", "x", "--tags=\x1b"],
        ["audit", "x", "--signature=\x1b[31m"],
        ["audit", "x", "--custom_objects=\x1b[31m"],
        ["audit", "x", "--report=\x1b/\0"],
        ["convert", "\u202ex", "\x9b"],
        ["convert", "x", "y", "--beam_options='\x1b"],
        ["validate", "\x1b", "--against=\x1b"],
        ["report", "\x1b]0;t\x07"],
        ["report", "\x1b", "\x1b"],
        ["help", "\x1b"],
        ["-\x1b"],
    ],
    ids=ascii,
)
def test_what_is_wrong_with_a_command_line_is_told_in_a_line_without_orders(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["migrate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n") and err[:-1].isprintable(), err


def test_a_bug_of_ours_is_told_without_orders(capsys, monkeypatch):
    from migrate import api

    def fail(*_, **__):
        raise ValueError("\x1b[31m\u202e\r")

    monkeypatch.setattr(api, "audit", fail)
    assert cli.main(["migrate", "audit", "x"]) == 3
    err = capsys.readouterr().err
    assert "ValueError" in err and not _FORBIDDEN.search(err)


def test_a_keras_class_with_no_name_of_a_class_is_not_to_be_copied():
    from migrate.checks.keras_loading import _custom_flags

    assert _custom_flags(["package>Scale", "x;touch pwned", "$(reboot)"]) == "--custom_objects=MODULE:Scale"


def test_a_flag_that_needs_no_quotes_has_none():
    assert to_copy(parse_signature("s:outputs=y")) == "--signature=s:outputs=y=y:0"
