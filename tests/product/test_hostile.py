"""Models that are broken at random or made to hurt: audit tells, in bounded time and memory, and writes nothing.

`make hostile` runs thousands; docs/hostile.md has its counts. What it has found stands here, case by case.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import subprocess

import pytest
from google.protobuf import text_format
from google.protobuf.message import DecodeError

from migrate.graph.protos import AssetFileDef, SavedModel
from migrate.model.jobs import convert_model
from migrate.model.messages import ConvertJob
from migrate.model.study import audit_model
from migrate.records import Converted, Convertible, Options, Refused, Severity, Unchanged, Unreadable, outcome_name
from tests.conversions import MODELS
from tests.sampling import EVERY
from tools import hostile
from tools.hostile import BAD, LARGEST_BYTES, ROOTS, audit_mutant
from tools.mutant_models import choose, make_mutant, models, turns
from tools.mutants import HOSTILE, nest
from tools.outside import make_outside

_MUTANTS = 360 if EVERY else 48
_CONVERTED = 12 if EVERY else 6
_FORMS = 16


@pytest.fixture(scope="module")
def by_form():
    return turns(models(*ROOTS, largest_bytes=LARGEST_BYTES))


@pytest.mark.slow
def test_mutants_of_every_form(by_form, tmp_path, monkeypatch):
    monkeypatch.setattr(hostile, "SECONDS", 60)  # `make hostile` measures; this must hold on a slow machine, too.
    assert len({models[0].form for models in by_form}) == _FORMS
    for seed in range(_MUTANTS):
        ended = audit_mutant(choose(by_form, seed), seed, str(tmp_path))
        assert ended.outcome not in BAD, ended


@pytest.mark.slow
def test_a_mutant_is_made_again_from_its_seed(by_form, tmp_path):
    for seed in range(3 * _FORMS):
        model = choose(by_form, seed)
        made = [make_mutant(model, str(tmp_path / f"{seed}{n}"), seed, _outside(tmp_path)) for n in "ab"]
        assert made[0][1] == made[1][1]
        one, other = ({p.name: _content(p) for p in (tmp_path / f"{seed}{n}").rglob("*")} for n in "ab")
        assert one == other, model


def _through_python(path, options):
    open(_beside(path) + "/secret").close()


def _through_a_child(path, options):
    subprocess.run(["cat", _beside(path) + "/secret"], stdout=subprocess.DEVNULL, check=True)


def _by_a_write(path, options):
    os.symlink("x", _beside(path) + "/new")


def _by_a_link(path, options):
    os.symlink(_beside(path), f"{path}/link")
    open(f"{path}/link/folder/secret").close()


def _beside(path):
    return f"{path}.outside"


@pytest.mark.parametrize("way", [_through_python, _through_a_child, _by_a_write, _by_a_link])
def test_who_reaches_out_of_a_model_is_seen(way, by_form, tmp_path, monkeypatch):
    seed = next(s for s in range(1000) if choose(by_form, s).form == "Hub module")
    model = choose(by_form, seed)
    monkeypatch.setattr(hostile, "make_mutant", lambda m, to, seed, _: (shutil.copytree(m.folder, to), "none"))
    assert audit_mutant(model, seed, str(tmp_path)).outcome not in BAD
    monkeypatch.setattr(hostile, "audit_model", way)
    assert audit_mutant(model, seed, str(tmp_path)).outcome == "escaped"


def _outside(tmp_path):
    outside = tmp_path / "beside" / "outside"
    shutil.rmtree(outside.parent, ignore_errors=True)
    make_outside(str(outside))
    return str(outside)


def _content(path):
    """A file's bytes, protos by what they say: a map has no order."""
    if not path.is_file() or path.stat().st_size > 1 << 30:
        return None
    data = path.read_bytes()
    try:
        return text_format.MessageToString(SavedModel.FromString(data))
    except DecodeError:
        return data if path.suffix != ".pb" else None


def _edited(tmp_path, model, edit):
    copy = tmp_path / "model"
    shutil.copytree(MODELS / model, copy)
    file = copy / "saved_model.pb"
    proto = SavedModel.FromString(file.read_bytes())
    edit(proto)
    file.write_bytes(proto.SerializeToString())
    return str(copy)


def _refusals(report):
    return {finding.code for finding in report.findings if finding.severity is Severity.REFUSAL}


def _hurt(way, seed, proto):
    way(proto, random.Random(seed))


@pytest.mark.process
@pytest.mark.parametrize("way", HOSTILE)
@pytest.mark.parametrize("model", ["training", "vocabulary_v1_ops", "estimator_all_modes"])
def test_graphs_made_to_hurt(way, model, tmp_path):
    for seed in range(3):
        path = tmp_path / str(seed)
        path.mkdir()
        report = audit_model(_edited(path, model, functools.partial(_hurt, way, seed)), Options())
        # A parser stops at 100 messages within one another.
        assert isinstance(report.outcome, (Convertible, Refused, Unreadable) if way is nest else (Convertible, Refused))


def _node(proto, op):
    return next(n for n in proto.meta_graphs[0].graph_def.node if n.op == op)


def _restoring(proto):
    """The first Assign of the restore op; the others are initialisers."""
    nodes = proto.meta_graphs[0].graph_def.node
    return next(n for n in nodes if n.op == "Assign" and n.name.startswith("save/"))


def _restore_without_inputs(proto):
    del _node(proto, "RestoreV2").input[:]


def _restore_of_a_lost_node(proto):
    _node(proto, "RestoreV2").input[1] = "gone"


def _restore_of_output_minus_one(proto):
    node = _restoring(proto)
    node.input[1] = node.input[1].partition(":")[0] + ":-1"


def _assign_without_a_value(proto):
    for node in proto.meta_graphs[0].graph_def.node:
        if node.op == "Assign":
            del node.input[1:]


def _restored_through_a_circle(proto):
    assign = _restoring(proto)
    node = proto.meta_graphs[0].graph_def.node.add(name="round", op="Identity", input=["round"])
    node.attr["T"].type = 1
    assign.input[1] = "round"


def _keys_without_end(proto):
    node = next(n for n in proto.meta_graphs[0].graph_def.node if n.name.endswith("RestoreV2/tensor_names"))
    node.attr["value"].tensor.tensor_shape.dim[0].size = 1 << 60


_RESTORES = {
    _restore_without_inputs: "graph-broken",
    _restore_of_a_lost_node: "graph-broken",
    _restore_of_output_minus_one: "graph-broken",
    _assign_without_a_value: "graph-broken",
    _restored_through_a_circle: "cyclic-graph",
    _keys_without_end: "restore-key-computed",
}


@pytest.mark.parametrize("edit", _RESTORES)
def test_broken_restore_graphs(edit, tmp_path):
    report = audit_model(_edited(tmp_path, "training", edit), Options())
    assert _RESTORES[edit] in _refusals(report)


@pytest.mark.parametrize("name", ["x:-1", "x:abc", "x:99999999999999999999", "x:\u0661", "x:0:0", "x:"])
def test_names_that_are_no_tensors(name, tmp_path):
    def edit(proto):
        graph = proto.meta_graphs[0].graph_def
        node = next(n for n in graph.node if n.op == "MatMul")
        node.input[1] = name.replace("x", node.input[1].partition(":")[0])

    assert "graph-broken" in _refusals(audit_model(_edited(tmp_path, "training", edit), Options()))

    def output(proto):
        for signature in proto.meta_graphs[0].signature_def.values():
            for info in signature.outputs.values():
                info.name = name.replace("x", info.name.partition(":")[0])

    (tmp_path / "other").mkdir()
    assert _refusals(audit_model(_edited(tmp_path / "other", "training", output), Options()))


def test_a_damaged_collection_of_trainable_variables_is_told(tmp_path):
    def edit(proto):
        proto.meta_graphs[0].collection_def["trainable_variables"].bytes_list.value.append(b"\xff\xff\xff")

    report = audit_model(_edited(tmp_path, "training", edit), Options())
    assert isinstance(report.outcome, Convertible)
    assert [f.severity for f in report.findings if f.code == "collection-damaged"] == [Severity.WARNING]


def test_a_damaged_collection_of_assets_is_refused(tmp_path):
    def edit(proto):
        value = proto.meta_graphs[0].collection_def["saved_model_assets"].any_list.value[0]
        assert value.Is(AssetFileDef.DESCRIPTOR)
        value.value = b"\xff\xff\xff"

    assert "collection-damaged" in _refusals(audit_model(_edited(tmp_path, "vocabulary", edit), Options()))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_mutants_are_converted_or_end_in_a_type(by_form, nursery, tmp_path):
    done = 0
    for seed in range(1000, 1400):
        folder = tmp_path / f"mutant{seed}"
        path, _ = make_mutant(choose(by_form, seed), str(folder), seed, _outside(tmp_path))
        if isinstance(audit_model(path, Options()).outcome, Convertible):
            new = tmp_path / f"new{seed}"
            options = Options(timeout=30, verify=bool(done % 2))
            outcome = convert_model(ConvertJob(path, str(new), options), nursery, lambda _: None).outcome
            assert new.exists() == isinstance(outcome, (Converted, Unchanged)), outcome_name(outcome)
            done += 1
        shutil.rmtree(folder)
        if done == _CONVERTED:
            return
    pytest.fail("too few mutants can be converted")


@pytest.mark.tensorflow
@pytest.mark.parametrize("model", ["counter", "tf2"])
def test_a_pipe_among_the_extra_files_is_no_trap(model, nursery, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(MODELS / model, copy)
    (copy / "assets.extra").mkdir(exist_ok=True)
    os.mkfifo(copy / "assets.extra" / "pipe")
    options = Options(timeout=60, verify=False)
    report = convert_model(ConvertJob(str(copy), str(tmp_path / "new"), options), nursery, lambda _: None)
    assert outcome_name(report.outcome) == "refused"
    assert [f.code for f in report.findings if f.severity is Severity.REFUSAL] == ["file-not-copied"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
