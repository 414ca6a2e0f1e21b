"""A hint never leads in a circle: what it names takes the finding away from the model that has it. No TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Mapping

import pytest

import migrate
from migrate.feed_flag import parse_feed
from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel
from migrate.records import Finding, Options, Severity, Unreadable
from migrate.signature_flag import parse_signature
from tests import attacks, conversions
from tests.sampling import few

TREES = tuple(str(conversions.ROOT / "testdata" / name) for name in ("forms", "keras", "models"))
_FLAG = re.compile(r"--([a-z_]+)(?:=('[^']*'|[^\s),;]+))?")
GIVEN = frozenset({"architecture", "checkpoint", "custom_objects", "import_module", "op_library"})
"""Flags that name something of the user's own, which a test cannot give."""


def refusals(path: str, options: Options) -> list[Finding]:
    """What audit refuses a model for."""
    (model,) = migrate.audit(path, options).models
    return [finding for finding in model.findings if finding.severity is Severity.REFUSAL]


def followed(finding: Finding, options: Options, give: str) -> dict[str, Options]:
    """For each flag that a hint names the options with it; flags of one kind go together, as they are to be copied.

    `give` is the value of a tensor where the hint says none; without it such a hint is not followed.
    """
    found: dict[str, Options] = {}
    for flag, written in _FLAG.findall(finding.hint):
        value = written.strip("'")
        now = found.get(flag, options)
        if flag == "feed":
            feeds = [value] if value else [f"{node}:0={give}" for node in finding.nodes if give]
            now = dataclasses.replace(now, feed=(*now.feed, *map(parse_feed, feeds)))
        elif flag == "signature":
            now = dataclasses.replace(now, signature=(parse_signature(value),)) if value else now
        elif flag == "tags":
            now = dataclasses.replace(now, tags=frozenset(value.split(",")))
        elif flag not in GIVEN:
            now = dataclasses.replace(now, **{flag: True})
        found[flag] = now
    return {flag: given for flag, given in found.items() if given != options}


def assert_no_circle(path: str, options: Options, give: str = "0") -> list[str]:
    """Follows the hint of each refusal; gives the flags that were followed, as `code flag`."""
    before = refusals(path, options)
    told = []
    for finding in before:
        for flag, given in followed(finding, options, give).items():
            after = refusals(path, given)
            assert (finding.code, finding.nodes) not in {(f.code, f.nodes) for f in after}, (path, finding, flag)
            # What is refused after that is another thing, and no flag asked for again.
            again = {"no-signature", "unfed-placeholder"} & {f.code for f in after}
            assert len(after) < len(before) or not again, (path, finding, flag, after)
            told.append(f"{finding.code} {flag}")
    return told


@pytest.mark.slow
def test_no_hint_of_the_models_here_leads_in_a_circle():
    models = [model.source for tree in TREES for model in migrate.audit(tree).models]
    told = [line for model in models for line in assert_no_circle(model, Options())]
    assert {"no-signature signature", "no-signature take_proposals", "unfed-placeholder feed"} <= set(told)
    assert {"keras-lambda trust"} <= set(told)


@pytest.mark.corpus
def test_no_hint_of_the_corpus_leads_in_a_circle():
    corpus = os.environ.get("MIGRATE_CORPUS")
    if not corpus:
        pytest.skip("MIGRATE_CORPUS is not set")
    for model in few(migrate.audit(corpus).models, 4):
        if not isinstance(model.outcome, Unreadable):
            assert_no_circle(model.source, Options(), give="")


def _placeholder(graph: GraphDef, name: str, dtype: int = 1) -> None:
    node = graph.node.add(name=name, op="Placeholder")
    node.attr["dtype"].type = dtype
    node.attr["shape"].shape.unknown_rank = True


def _op(graph: GraphDef, name: str, op: str, *inputs: str) -> None:
    graph.node.add(name=name, op=op, input=inputs).attr["T"].type = 1


def _model(directory: pathlib.Path, signatures: Mapping[str, str], fill: Callable[[MetaGraphDef], None]) -> str:
    """A SavedModel whose signatures feed `x` and fetch a tensor each."""
    saved = SavedModel(saved_model_schema_version=1)
    meta_graph = saved.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.graph_def.versions.producer = 1000
    _placeholder(meta_graph.graph_def, "x")
    fill(meta_graph)
    for key, output in signatures.items():
        signature = meta_graph.signature_def[key]
        signature.method_name = "tensorflow/serving/predict"
        for info, tensor in ((signature.inputs["x"], "x:0"), (signature.outputs["y"], output)):
            info.name, info.dtype = tensor, 1
            info.tensor_shape.unknown_rank = True
    directory.mkdir()
    (directory / "saved_model.pb").write_bytes(saved.SerializeToString())
    return str(directory)


def _unfed(dtype: int = 1) -> Callable[[MetaGraphDef], None]:
    def fill(meta_graph: MetaGraphDef) -> None:
        _placeholder(meta_graph.graph_def, "rate", dtype)
        _op(meta_graph.graph_def, "y", "Mul", "x", "rate")

    return fill


def _sound_and(bad: str) -> Callable[[MetaGraphDef], None]:
    def fill(meta_graph: MetaGraphDef) -> None:
        _op(meta_graph.graph_def, "y", "Neg", "x")
        _op(meta_graph.graph_def, "z", bad, "x")

    return fill


def _init_op_asks(meta_graph: MetaGraphDef) -> None:
    """The init op assigns what nobody feeds."""
    graph = meta_graph.graph_def
    _placeholder(graph, "start")
    variable = graph.node.add(name="v", op="VariableV2")
    variable.attr["dtype"].type = 1
    variable.attr["shape"].shape.SetInParent()
    _op(graph, "set", "Assign", "v", "start")
    _op(graph, "y", "Add", "x", "v")
    graph.node.add(name="init", op="NoOp", input=["^set"])
    meta_graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"


@pytest.mark.parametrize(
    ("signatures", "fill", "expected"),
    [
        pytest.param({"s": "y:0"}, _unfed(), ["unfed-placeholder feed"], id="unfed"),
        pytest.param({"s": "y:0"}, _unfed(20), [], id="unfed resource"),
        pytest.param({"s": "y:0"}, _init_op_asks, ["unfed-placeholder feed"], id="unfed init op"),
        pytest.param({"s": "y:0", "t": "z:0"}, _sound_and("Strange"), ["unknown-op drop_signatures"], id="one of two"),
        pytest.param({"t": "z:0"}, _sound_and("Strange"), [], id="the only one"),
    ],
)
def test_a_hint_names_only_what_helps(signatures, fill, expected, tmp_path):
    path = _model(tmp_path / "model", signatures, fill)
    assert refusals(path, Options())
    assert assert_no_circle(path, Options()) == expected


def test_a_link_that_leads_out(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(attacks.MODELS / "vocabulary", model)
    words = tmp_path / "words.txt"
    shutil.move(model / "assets" / "vocab.txt", words)
    os.symlink(words, model / "assets" / "vocab.txt")
    assert assert_no_circle(str(model), Options()) == ["link-leads-out follow_links"]


def test_a_restore_op_that_does_more_asks_for_an_issue(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(attacks.MODELS / "vocabulary", model)
    attacks.attack_on_disk(attacks.restore_deletes, model, str(tmp_path / "outside"))
    hints = [finding.hint for finding in refusals(str(model), Options()) if finding.code == "restore-op-effect"]
    assert hints
    assert all("open an issue" in hint for hint in hints)
