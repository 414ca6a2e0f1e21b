"""What lies in a directory is found by its content, and read as what it is."""

from __future__ import annotations

import collections
import dataclasses
import os
import shutil
import subprocess
import sys

import pytest

import migrate
from migrate.errors import InputError
from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel
from migrate.records import Convertible, Kind, Refused, Unreadable
from migrate.signature_flag import as_flag
from migrate.sources import forms
from migrate.sources.discover import find_models, place_of
from migrate.sources.forms import form_of
from migrate.sources.leveldb import write_table
from migrate.sources.location import Form
from migrate.sources.read import opened, read_source
from tests.audits import audited
from tests.conversions import MODELS, ROOT

FORMS = ROOT / "testdata" / "forms"


def _source(path):
    with opened(str(path)) as place:
        return read_source(place, str(path))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("saver_steps", Kind.CHECKPOINT_META),
        ("saver_empty_prefix", Kind.CHECKPOINT_META),
        ("saver_signatures", Kind.CHECKPOINT_META),
        ("saver_v1", Kind.CHECKPOINT_META),
        ("saver_v1_sharded", Kind.CHECKPOINT_META),
        ("session_bundle", Kind.SESSION_BUNDLE),
        ("frozen", Kind.FROZEN_GRAPH),
        ("frozen_text", Kind.FROZEN_GRAPH),
        ("checkpoint_alone", Kind.CHECKPOINT),
        ("checkpoint_alone_v1", Kind.CHECKPOINT),
    ],
)
def test_names_of_files_do_not_matter(name, kind, tmp_path):
    assert audited(FORMS / name).kind is kind
    if kind is not Kind.FROZEN_GRAPH:
        return
    (file,) = (FORMS / name).iterdir()
    shutil.copy(file, tmp_path / "weights.bin")
    assert audited(tmp_path).kind is kind
    assert audited(tmp_path / "weights.bin").kind is kind


def test_a_tree_of_forms():
    found = [os.path.relpath(path, FORMS) for path in find_models(str(FORMS))]
    # One model is called by its directory, several by their files; the graph that a trainer wrote down is no model.
    assert "saver_steps" in found
    assert [path for path in found if path.startswith("several")] == [
        "several_graphs/model",
        "several_graphs/one.pb",
        "several_graphs/two.pb",
    ]
    with pytest.raises(InputError, match=r"holds 3 models \(model, one.pb, two.pb\)"):
        place_of(str(FORMS / "several_graphs"))


def test_a_model_with_models_below_it_is_called_by_its_file(tmp_path):
    shutil.copytree(FORMS / "frozen", tmp_path / "a")
    assert find_models(str(tmp_path)) == (str(tmp_path / "a"),)
    shutil.copytree(FORMS / "frozen", tmp_path / "a" / "b")
    assert find_models(str(tmp_path)) == (str(tmp_path / "a" / "b"), str(tmp_path / "a" / "frozen.pb"))


def test_files_that_are_no_models_are_passed_by(tmp_path):
    for name, content in {
        "labels.txt": b"cat\ndog\n",
        "notes.json": b'{"a": 1}',
        "image.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "page.html": b"<html></html>",
        "empty": b"",
        "labels": b"item { id: 1 }\n",
        "label_map.pbtxt": b"item { id: 1 }\n",
        "scene.meta": b"fileFormatVersion: 2\n",
        "000005.ldb": write_table([(b"key", b"value")]),
        "data.zip": b"PK\x05\x06" + bytes(18),
    }.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="no model in this tree"):
        find_models(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.pb", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        ("model.h5", b"/annex/objects/SHA256E-s9--0.h5\n", "git annex get"),
        ("model.pb", b"<!DOCTYPE html><html></html>", "web page"),
        ("model.pb", b"", "is empty"),
        ("model.pb", bytes(range(255, 0, -1)), "not a GraphDef"),
        ("model.meta", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
    ],
)
def test_what_lies_in_a_models_place_is_named(name, content, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path, tmp_path / name):
        report = audited(path)
        assert isinstance(report.outcome, Unreadable)
        assert says in report.outcome.reason and str(tmp_path / name) in report.outcome.reason


def test_a_link_into_an_annex_that_was_not_fetched(tmp_path):
    (tmp_path / "model.pb").symlink_to("../.git/annex/objects/a/b/SHA256E-s9--0.pb/SHA256E-s9--0.pb")
    report = audited(tmp_path / "model.pb")
    assert isinstance(report.outcome, Unreadable) and "git annex get" in report.outcome.reason


def test_forms_of_files(tmp_path):
    graph = GraphDef()
    graph.node.add(name="x" * 3000, op="NoOp")
    cases = {
        "odd name": (graph.SerializeToString(), None),
        "graph": ((FORMS / "frozen" / "frozen.pb").read_bytes(), Form.GRAPH_DEF),
        "meta": ((FORMS / "saver_v1" / "model.ckpt.meta").read_bytes(), Form.META_GRAPH),
        "no info": (MetaGraphDef(graph_def=_small_graph()).SerializeToString(), Form.META_GRAPH),
        "saved model": ((MODELS / "simple_save" / "saved_model.pb").read_bytes(), Form.SAVED_MODEL),
        "comment": (b"# made by hand\n\nnode { name: 'x' op: 'NoOp' }", Form.GRAPH_DEF),
        "index": ((FORMS / "saver_steps" / "model.ckpt-5.index").read_bytes(), Form.TABLE),
        "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(10), Form.HDF5),
        "keras": (b'{"class_name": "Sequential", "config": {}}', Form.KERAS_JSON),
        "example": (b"\n\x05\n\x03\n\x01x", None),
    }
    for name, (content, form) in cases.items():
        (tmp_path / name).write_bytes(content)
        assert form_of(str(tmp_path / name)) is form, name


def _small_graph():
    graph = GraphDef()
    graph.node.add(name="x", op="NoOp")
    return graph


def test_a_saved_models_file_alone(tmp_path):
    shutil.copy(MODELS / "simple_save" / "saved_model.pb", tmp_path / "renamed.pb")
    with pytest.raises(InputError, match=r"pass its directory, with it as saved_model\.pb"):
        find_models(str(tmp_path / "renamed.pb"))


# Checkpoints


def test_the_latest_checkpoint(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FORMS / "saver_steps", model)
    assert place_of(str(model)).checkpoint == str(model / "model.ckpt-5")
    # The path of the machine that trained it counts for nothing.
    (model / "checkpoint").write_text('model_checkpoint_path: "/home/x/train/model.ckpt-10"\n')
    assert place_of(str(model)).checkpoint == str(model / "model.ckpt-10")
    (model / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-99"\n')
    assert place_of(str(model)).checkpoint == str(model / "model.ckpt-10")
    (model / "checkpoint").unlink()
    found = _source(model)
    assert found.checkpoint == str(model / "model.ckpt-10")
    assert [f.code for f in found.findings] == ["checkpoint-chosen"]
    assert _source(model / "model.ckpt-5").checkpoint == str(model / "model.ckpt-5")


def test_one_graph_for_several_checkpoints(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FORMS / "saver_steps", model)
    (model / "model.ckpt-5.meta").unlink()
    place = place_of(str(model))
    assert (place.file, place.checkpoint) == (str(model / "model.ckpt-10.meta"), str(model / "model.ckpt-5"))


def test_a_proposal_is_taken_only_where_it_is_asked_for_and_there_is_no_signature():
    model = FORMS / "saver_steps"
    proposed = audited(model).proposals[0]
    (report,) = migrate.audit(str(model), migrate.Options(take_proposals=True)).models
    assert isinstance(report.outcome, Convertible)
    assert report.proposals == ()
    (signature,) = report.meta_graphs[0].signatures
    assert [(n, s.name) for n, s in signature.outputs.items()] == list(proposed.outputs)
    (finding,) = [f for f in report.findings if f.code == "signature-proposed"]
    assert as_flag(proposed) in finding.message
    # A model with a signature is left as it is, and so is one that is given another.
    given = dataclasses.replace(proposed, key="mine")
    (report,) = migrate.audit(str(model), migrate.Options(take_proposals=True, signature=(given,))).models
    assert [s.key for s in report.meta_graphs[0].signatures] == ["mine"]
    whole = str(FORMS.parent / "models" / "simple_save")
    plain, asked = (
        migrate.audit(whole, o).models[0] for o in (migrate.Options(), migrate.Options(take_proposals=True))
    )
    assert dataclasses.replace(plain, seconds={}) == dataclasses.replace(asked, seconds={})


def test_checkpoints_that_lack_a_part(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FORMS / "saver_no_state", model)
    for step in (9, 10):
        (model / f"model-{step}.index").unlink()
    given = migrate.Options(signature=(audited(FORMS / "frozen").proposals[0],))
    (report,) = migrate.audit(str(model), given).models
    assert isinstance(report.outcome, Refused)
    (finding,) = [f for f in report.findings if f.code == "checkpoint-unreadable"]
    assert "model-10.index: no such file" in finding.message
    for file in model.glob("*.data*"):
        file.unlink()
    (report,) = migrate.audit(str(model), given).models
    assert "checkpoint-unreadable" in {f.code for f in report.findings}
    shutil.copytree(FORMS / "saver_no_state", tmp_path / "again")
    (tmp_path / "again" / "model-10.data-00000-of-00001").unlink()
    (report,) = migrate.audit(str(tmp_path / "again"), given).models
    assert "checkpoint-shard-missing" in {f.code for f in report.findings}


def test_a_wrong_prefix(tmp_path):
    with pytest.raises(InputError, match=r"no such file.*did you mean model\.ckpt-5 or model\.ckpt-10\?"):
        find_models(str(FORMS / "saver_steps" / "model.ckpt-7"))


def test_a_chunked_saved_model_is_named(tmp_path):
    (tmp_path / "saved_model.cpb").write_bytes(b"x")
    assert "chunked" in audited(tmp_path).outcome.reason


def test_other_meta_graphs_are_named():
    report = audited(MODELS / "multi_tags", tags=frozenset({"serve"}))
    told = [f.message for f in report.findings if f.code == "other-meta-graph"]
    assert len(told) == 2
    assert any("{gpu, serve}" in message and "can be converted as well" in message for message in told)


def test_a_saved_model_needs_its_object_graph_to_be_tf2(tmp_path):
    model = SavedModel.FromString((MODELS / "tf2" / "saved_model.pb").read_bytes())
    model.meta_graphs[0].ClearField("object_graph_def")
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    assert _source(tmp_path).kind is Kind.TF1_SAVED_MODEL


@pytest.mark.timeout(20)
@pytest.mark.parametrize("start", [b"{", b" ", b"#", b"\n# \n", b'{"a": 1,\n'])
def test_white_space_takes_no_time(start, tmp_path):
    (tmp_path / "file").write_bytes(start + b" \n\t" * 5000 + b'"class_nam')
    assert form_of(str(tmp_path / "file")) is None


def test_every_form_has_one_row_and_every_kind_its_labels():
    assert {row.form for row in forms.FORMS} == set(Form)
    assert len(forms.FORMS) == len(Form)
    listed = [kind for row in forms.FORMS for kind in row.kinds]
    assert sorted(kind.value for kind in [*listed, Kind.UNKNOWN]) == sorted(kind.value for kind in Kind)
    assert set(forms.LABELS) == set(Kind)
    for row in forms.FORMS:
        assert set(row.ends) >= set(row.ends_of_strays) >= set(row.ends_of_unreadable), row.form


@pytest.mark.parametrize("form", list(Form), ids=lambda form: form.name)
def test_every_form_but_an_archive_can_be_read(form):
    row = forms.row_of(form)
    assert (row.read is None) + (row.keras_files is None) == (2 if form is Form.ARCHIVE else 1)


@pytest.mark.parametrize(
    "path",
    [
        FORMS / "frozen" / "frozen.pb",
        FORMS / "saver_steps",
        FORMS / "saver_steps" / "model.ckpt-5",
        FORMS / "saver_steps" / "model.ckpt-5.index",
        FORMS / "saver_v1" / "model.ckpt",
        FORMS / "saver_v1_sharded",
        MODELS.parent / "keras" / "json_hdf5",
    ],
    ids=lambda path: path.name,
)
def test_finding_a_model_opens_each_file_once(path):
    """Except those that have to be read for more than their form: the state file, a V1 checkpoint's first key."""
    program = (
        "import os, sys\n"
        "from migrate.sources.discover import find_models, place_of\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and isinstance(arguments[0], str) and arguments[0].startswith(sys.argv[1]):\n"
        "        print(os.path.basename(arguments[0]))\n"
        "sys.addaudithook(hook)\n"
        "(find_models if sys.argv[2] == 'find' else place_of)(sys.argv[1])\n"
    )
    # A hook cannot be taken away again, so a child has it.
    for what in ("find", "place"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(path), what], capture_output=True, text=True, check=True
        )
        opened = collections.Counter(done.stdout.splitlines())
        twice = {name for name, times in opened.items() if times > 1}
        assert opened and twice <= {"model.ckpt-00000-of-00002", "model.ckpt-00001-of-00002"}, opened
