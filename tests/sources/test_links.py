"""A link that leads out of a model is refused before anything is read through it. The path that is named may be one."""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
import shutil
import stat

import pytest

import migrate
from migrate.errors import InputError
from migrate.model.study import audit_model
from migrate.records import AlreadyTF2, Convertible, Kind, Options, Refused, Severity, Unreadable
from migrate.sources import forms, links
from migrate.sources.boundary import Boundary, LinkError, boundary_of
from migrate.sources.copies import copy_tree
from migrate.sources.discover import find_models
from migrate.sources.files import open_file, read_file
from migrate.sources.fingerprint import fingerprint
from migrate.sources.forms import form_of
from tests.conversions import MODELS, ROOT

pytestmark = [pytest.mark.timeout(60), pytest.mark.process]

FORMS, KERAS = ROOT / "testdata" / "forms", ROOT / "testdata" / "keras"
FOLLOW = Options(follow_links=True)


def _copy(source, tmp_path, name="model"):
    shutil.copytree(source, tmp_path / name)
    for folder, _, files in os.walk(tmp_path / name):
        for file in files:
            os.chmod(os.path.join(folder, file), 0o644)
    return tmp_path / name


def _move_out(path, tmp_path, absolute=True):
    """Moves a file or directory out of a model and leaves a link."""
    store = tmp_path / "store"
    store.mkdir(exist_ok=True)
    target = store / path.name
    path.rename(target)
    path.symlink_to(target if absolute else os.path.relpath(target, path.parent))
    return target


def _refusal(path, options=None):
    report = audit_model(str(path), options or Options())
    assert isinstance(report.outcome, Refused), report.outcome
    (found,) = [f for f in report.findings if f.severity is Severity.REFUSAL]
    return found


# (model, what in it becomes a link)
OUTSIDE = [
    (MODELS / "vocabulary", "saved_model.pb"),
    (MODELS / "vocabulary", "variables"),
    (MODELS / "vocabulary", "variables/variables.index"),
    (MODELS / "vocabulary", "variables/variables.data-00000-of-00001"),
    (MODELS / "vocabulary", "assets"),
    (MODELS / "vocabulary", "assets/vocab.txt"),
    (MODELS / "warmup", "assets.extra"),
    (MODELS / "warmup", "assets.extra/tf_serving_warmup_requests"),
    (MODELS / "pbtxt", "saved_model.pbtxt"),
    (MODELS / "tf2", "saved_model.pb"),
    (MODELS / "tf2", "variables/variables.data-00000-of-00001"),
    (MODELS / "tf2", "fingerprint.pb"),
    (FORMS / "saver_steps", "*.meta"),
    (FORMS / "saver_steps", "*-5.index"),
    (FORMS / "saver_steps", "*-5.data-00001-*"),
    (FORMS / "saver_v1", "*.meta"),
    (FORMS / "frozen", "*.pb"),
    (FORMS / "session_bundle", "export.meta"),
    (FORMS / "session_bundle", "export-00000-of-00001"),
    (FORMS / "checkpoint_alone", "*.index"),
    (KERAS / "json_hdf5", "*.json"),
    (KERAS / "json_hdf5", "*.h5"),
    (KERAS / "functional", "*.h5"),
]


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize(("source", "name"), OUTSIDE, ids=[f"{s.name}-{n}" for s, n in OUTSIDE])
def test_a_part_of_a_model_that_is_elsewhere(source, name, absolute, tmp_path):
    model = _copy(source, tmp_path)
    expected = audit_model(str(model), Options())
    path = sorted(model.glob(name))[-1]
    target = _move_out(path, tmp_path, absolute)
    found = _refusal(model)
    assert found.code == "link-leads-out"
    assert f"{path} -> {target}" in found.message
    assert found.nodes == (os.path.relpath(path, model),)
    assert "--follow_links" in found.hint
    # Allowed, it is the model that it was, and the report says so.
    report = audit_model(str(model), FOLLOW)
    assert type(report.outcome) is type(expected.outcome)
    assert [f.code for f in report.findings if f.code == "link-followed"] == ["link-followed"]
    assert report.kind is expected.kind


def test_nothing_is_read_of_a_model_with_such_a_link(tmp_path, monkeypatch):
    model = _copy(MODELS / "vocabulary", tmp_path)
    target = _move_out(model / "assets" / "vocab.txt", tmp_path)
    opened = []
    really = os.open
    monkeypatch.setattr(os, "open", lambda path, *a, **k: (opened.append(str(path)), really(path, *a, **k))[1])
    assert _refusal(model).code == "link-leads-out"
    assert fingerprint(str(model)) is not None
    assert not {str(target), str(model / "assets" / "vocab.txt")} & set(opened)


@pytest.mark.parametrize(("name", "code"), [("model.json", "link-leads-out"), ("notes", None)])
def test_what_lies_beside_weights_is_not_opened_where_it_leads_out(name, code, tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    model = tmp_path / "model"
    model.mkdir()
    with h5py.File(model / "weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = []
    target = tmp_path / "outside"
    target.write_text('{"class_name": "Sequential", "config": {"name": "m", "layers": []}}')
    (model / name).symlink_to(target)
    opened = []
    for module in (links, forms):
        monkeypatch.setattr(module, "form_of", lambda path: opened.append(str(path)) or form_of(path))
    (report,) = migrate.audit(str(model / "weights.h5")).models
    codes = {finding.code for finding in report.findings if finding.severity.value == "refusal"}
    assert (code in codes) if code else ("link-leads-out" not in codes)
    assert not {str(target), str(model / name)} & set(opened)


def test_a_model_that_is_named_through_links(tmp_path):
    """Model stores: the path, and each model directory of a tree, may be links."""
    shutil.copytree(MODELS / "vocabulary", tmp_path / "store" / "abc")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "vocabulary").symlink_to(tmp_path / "store" / "abc")
    (tmp_path / "link").symlink_to("tree/vocabulary")
    (tmp_path / "model.pb").symlink_to(next((FORMS / "frozen").glob("*.pb")))
    for path in (tmp_path / "link", tmp_path / "tree" / "vocabulary"):
        assert isinstance(audit_model(str(path), Options()).outcome, Convertible)
    (report,) = migrate.audit(str(tmp_path / "tree")).models
    assert isinstance(report.outcome, Convertible)
    named = audit_model(str(tmp_path / "model.pb"), Options())
    assert not [f for f in named.findings if "link" in f.code]
    assert named.kind is Kind.FROZEN_GRAPH


def _kubernetes(source, tmp_path):
    """A volume as kubelet makes it (pkg/volume/util/atomic_writer.go): links through `..data` to the newest version."""
    model = tmp_path / "volume"
    shutil.copytree(source, model / "..2026_11_26")
    (model / "..data").symlink_to("..2026_11_26")
    for name in os.listdir(source):
        (model / name).symlink_to(os.path.join("..data", name))
    return model


@pytest.mark.parametrize("name", ["vocabulary", "warmup", "tf2"])
def test_links_that_stay_in_the_model(name, tmp_path):
    model = _kubernetes(MODELS / name, tmp_path)
    report = audit_model(str(model), Options())
    expected = audit_model(str(MODELS / name), Options())
    assert type(report.outcome) is type(expected.outcome)
    assert [f.code for f in report.findings] == [f.code for f in expected.findings]


def test_a_hub_cache(tmp_path):
    """huggingface_hub's: snapshots/REVISION/FILE links to ../../blobs/DIGEST."""
    model = _copy(MODELS / "counter", tmp_path, "snapshots/abc")
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(p for p in model.rglob("*") if p.is_file())):
        path.rename(blobs / str(number))
        path.symlink_to(os.path.relpath(blobs / str(number), path.parent))
    found = _refusal(model)
    assert "3 links out of the model" in found.message
    assert "hub caches" in found.hint
    assert isinstance(audit_model(str(model), FOLLOW).outcome, Convertible)


def test_a_link_to_nowhere_is_a_missing_file(tmp_path):
    model = _copy(MODELS / "vocabulary", tmp_path)
    _move_out(model / "assets" / "vocab.txt", tmp_path).unlink()
    assert _refusal(model).code == "asset-missing"


def test_a_sibling_of_the_same_prefix_is_inside(tmp_path):
    """/x/model-private is not below /x/model."""
    assert not Boundary(("/x/model",)).holds("/x/model-private/key")
    assert Boundary(("/x/model",)).holds("/x/model")
    assert Boundary(("/",)).holds("/x")
    model = _copy(MODELS / "vocabulary", tmp_path)
    (tmp_path / "model-private").write_text("key")
    (model / "assets" / "vocab.txt").unlink()
    (model / "assets" / "vocab.txt").symlink_to("../../model-private")
    assert _refusal(model).code == "link-leads-out"


def test_the_files_of_a_checkpoint_in_a_directory_whose_name_is_a_pattern(tmp_path):
    model = _copy(FORMS / "saver_v1_sharded", tmp_path, "[m]*")
    _move_out(sorted(p for p in model.iterdir() if "-of-" in p.name)[0], tmp_path)
    assert _refusal(model).code == "link-leads-out"


def test_a_chain_of_links_is_followed_to_its_end(tmp_path):
    model = _copy(MODELS / "vocabulary", tmp_path)
    target = _move_out(model / "assets" / "vocab.txt", tmp_path)
    (model / "assets" / "between").symlink_to(target)
    (model / "assets" / "vocab.txt").unlink()
    (model / "assets" / "vocab.txt").symlink_to("between")
    assert f"vocab.txt -> {target}" in _refusal(model).message
    # Out and in again: what counts is where it ends.
    (model / "assets" / "between").unlink()
    shutil.copy(target, model / "assets" / "words")
    (tmp_path / "back").symlink_to(model / "assets" / "words")
    (model / "assets" / "between").symlink_to(tmp_path / "back")
    assert isinstance(audit_model(str(model), Options()).outcome, Convertible)


def test_a_checkpoint_file_that_names_another_place(tmp_path):
    """Only the last name of it counts."""
    (tmp_path / "elsewhere").mkdir()
    for file in (FORMS / "saver_steps").iterdir():
        shutil.copy(file, tmp_path / "elsewhere")
    for place in (str(tmp_path / "elsewhere"), "../elsewhere", "../../elsewhere"):
        model = _copy(FORMS / "saver_steps", tmp_path, place.replace("/", "_"))
        state = model / "checkpoint"
        name = state.read_text().split('"')[1].rsplit("/", 1)[-1]
        state.write_text(f'model_checkpoint_path: "{place}/{name}"\n')
        for index in model.glob("*.index"):
            index.unlink()
        report = audit_model(str(model), Options())
        assert "elsewhere/" not in str(report.findings).replace(str(model), "")
        assert isinstance(report.outcome, (Refused, Unreadable))


# Directories that are copied whole.


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("..", "file-not-copied"),
        ("../variables", "file-not-copied"),
        ("../..", "link-leads-out"),
        ("/", "link-leads-out"),
        ("gone", "file-not-copied"),
        ("/dev/zero", "link-leads-out"),
        (".", None),
        ("sub", None),
        ("../saved_model.pb", None),
    ],
)
def test_links_in_assets_extra(to, code, tmp_path):
    model = _copy(MODELS / "counter", tmp_path)
    (model / "assets.extra" / "sub").mkdir(parents=True)
    (model / "assets.extra" / "sub" / "file").write_text("content")
    (model / "assets.extra" / "loop").symlink_to(to)
    report = audit_model(str(model), Options())
    assert [f.code for f in report.findings if f.severity is Severity.REFUSAL] == ([code] if code else [])
    if code is None:
        copy_tree(str(model / "assets.extra"), str(tmp_path / "new"), boundary_of(str(model)))
        assert sorted(os.listdir(tmp_path / "new")) == ["loop", "sub"]
        assert (tmp_path / "new" / "sub" / "file").read_text() == "content"
        assert (tmp_path / "new" / "loop").is_symlink() == (to in (".", "sub"))
    else:
        with pytest.raises(InputError):
            copy_tree(str(model / "assets.extra"), str(tmp_path / "new"), boundary_of(str(model)))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.mknod(path, stat.S_IFSOCK)])
@pytest.mark.parametrize(("name", "folder"), [("counter", "assets.extra"), ("tf2", ".")])
def test_what_is_no_file_is_said_before_it_is_copied(name, folder, make, tmp_path):
    model = _copy(MODELS / name, tmp_path)
    (model / folder).mkdir(exist_ok=True)
    make(str(model / folder / "odd"))
    found = _refusal(model)
    assert found.code == "file-not-copied"
    assert "is a pipe, a socket or a device" in found.message


def test_the_copy_of_a_tf2_model(tmp_path):
    model = _kubernetes(MODELS / "tf2", tmp_path)
    os.utime(model / "..2026_11_26" / "saved_model.pb", ns=(10**18, 10**18))
    assert migrate.convert(str(model), str(tmp_path / "new"), Options(verify=False)).ok
    new = tmp_path / "new"
    assert (new / "saved_model.pb").read_bytes() == (MODELS / "tf2" / "saved_model.pb").read_bytes()
    assert (new / "saved_model.pb").stat().st_mtime_ns == 10**18
    assert not (new / "saved_model.pb").is_symlink()
    assert os.readlink(new / "variables") == os.path.join("..2026_11_26", "variables")
    assert os.path.realpath(new / "variables").startswith(str(new))
    assert isinstance(audit_model(str(new), Options()).outcome, AlreadyTF2)


def test_nothing_of_a_tf2_model_with_a_link_out_is_copied(tmp_path):
    model = _copy(MODELS / "tf2", tmp_path)
    (tmp_path / "key").write_text("secret")
    (model / "assets").mkdir(exist_ok=True)
    (model / "assets" / "words").symlink_to(tmp_path / "key")
    (model / "notes").symlink_to(tmp_path / "key")
    report = migrate.convert(str(model), str(tmp_path / "new"), Options()).models[0]
    assert isinstance(report.outcome, Refused)
    assert {n for f in report.findings for n in f.nodes} >= {"assets/words"}
    assert not (tmp_path / "new").exists()
    (model / "assets" / "words").unlink()
    assert _refusal(model).nodes == ("notes",)
    report = migrate.convert(str(model), str(tmp_path / "new"), FOLLOW).models[0]
    assert (tmp_path / "new" / "notes").read_text() == "secret"
    assert "link-followed" in [f.code for f in report.findings]


def test_circles_are_not_walked_when_links_are_followed(tmp_path):
    model = _copy(MODELS / "tf2", tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("content")
    (outside / "round").symlink_to(outside)
    (model / "extra").symlink_to(outside)
    found = _refusal(model, FOLLOW)
    assert found.code == "file-not-copied"
    assert "which it is in itself" in found.message
    (outside / "round").unlink()
    copy_tree(str(model), str(tmp_path / "new"), None)
    assert (tmp_path / "new" / "extra" / "file").read_text() == "content"
    assert not (tmp_path / "new" / "extra").is_symlink()


def test_links_that_double_what_is_followed_end(tmp_path):
    levels = [tmp_path / f"level{number}" for number in range(30)]
    for level in levels:
        level.mkdir()
    for one, next_one in itertools.pairwise(levels):
        (one / "a").symlink_to(next_one)
        (one / "b").symlink_to(next_one)
    model = _copy(MODELS / "tf2", tmp_path)
    (model / "bomb").symlink_to(levels[0])
    assert "one of more than 1,000 such links" in _refusal(model, FOLLOW).message


def test_a_link_that_is_put_there_meanwhile(tmp_path):
    """Where a file is is looked at when it is open, not only before."""
    (tmp_path / "model").mkdir()
    (tmp_path / "key").write_text("secret")
    (tmp_path / "model" / "file").symlink_to(tmp_path / "key")
    (tmp_path / "model" / "folder").symlink_to(tmp_path)
    boundary = boundary_of(str(tmp_path / "model"))
    for name in ("file", "folder/key", "../key"):
        with pytest.raises(LinkError, match="outside of the model"):
            read_file(str(tmp_path / "model" / name), 100, boundary)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(LinkError):
        open_file(str(tmp_path / "model" / "file"), boundary)
    assert len(os.listdir("/proc/self/fd")) == before


def test_where_a_file_is_without_proc(tmp_path, monkeypatch):
    model = tmp_path / "model"
    model.mkdir()
    (model / "real").write_text("content")
    (model / "link").symlink_to("real")
    (tmp_path / "key").write_text("secret")
    (model / "out").symlink_to(tmp_path / "key")

    def readlink(path, **_):
        raise FileNotFoundError(2, "No such file or directory", path)

    really = os.readlink
    monkeypatch.setattr(os, "readlink", lambda p, **k: readlink(p) if str(p).startswith("/proc") else really(p, **k))
    boundary = boundary_of(str(model))
    assert read_file(str(model / "link"), 100, boundary) == b"content"
    with pytest.raises(LinkError):
        read_file(str(model / "out"), 100, boundary)


# What is known of a model's files.


def test_the_fingerprint_of_links(tmp_path):
    model = _copy(MODELS / "vocabulary", tmp_path)
    target = _move_out(model / "assets" / "vocab.txt", tmp_path)
    before = fingerprint(str(model))
    assert before == fingerprint(str(model))
    target.write_text("other words\n")
    assert fingerprint(str(model)).identity != before.identity
    # A directory outside: what is in it counts, and nothing of it is read.
    folder = _move_out(model / "variables", tmp_path)
    marks = {fingerprint(str(model)).identity}
    (folder / "variables.index").write_bytes(b"")
    marks.add(fingerprint(str(model)).identity)
    (folder / "more").write_bytes(b"")
    marks.add(fingerprint(str(model)).identity)
    assert len(marks) == 3


def test_the_fingerprint_of_a_link_to_everything(tmp_path):
    model = _copy(MODELS / "vocabulary", tmp_path)
    (model / "assets.extra").mkdir()
    (model / "assets.extra" / "loop").symlink_to("..")
    (model / "assets.extra" / "root").symlink_to("/")
    assert fingerprint(str(model)) is not None
    assert find_models(str(model)) == (str(model),)


def test_two_models_with_links_to_different_files_are_different(tmp_path):
    marks = set()
    for name in ("a", "b"):
        model = _copy(MODELS / "vocabulary", tmp_path, name)
        (tmp_path / f"key_{name}").write_text("same")
        (model / "assets" / "vocab.txt").unlink()
        (model / "assets" / "vocab.txt").symlink_to(tmp_path / f"key_{name}")
        marks.add(fingerprint(str(model)).content)
    assert len(marks) == 2


def test_a_candidate_with_a_link_out_is_not_loaded(tmp_path):
    candidate = _copy(MODELS / "tf2", tmp_path)
    _move_out(candidate / "variables" / "variables.index", tmp_path)
    with pytest.raises(InputError, match="out of the model"):
        migrate.validate(str(candidate), against=str(MODELS / "counter"))


def test_the_option_shapes_a_model():
    from migrate.records import shaping

    assert shaping(Options()) != shaping(dataclasses.replace(Options(), follow_links=True))


@pytest.mark.tensorflow
@pytest.mark.timeout(300)
def test_a_model_whose_files_are_elsewhere_is_converted_when_that_is_allowed(tmp_path):
    model = _copy(MODELS / "warmup", tmp_path)
    for name in ("variables/variables.data-00000-of-00001", "assets.extra/tf_serving_warmup_requests"):
        _move_out(model / name, tmp_path)
    report = migrate.convert(str(model), str(tmp_path / "new")).models[0]
    assert isinstance(report.outcome, Refused)
    assert not (tmp_path / "new").exists()
    report = migrate.convert(str(model), str(tmp_path / "new"), FOLLOW)
    assert report.ok
    assert "link-followed" in [f.code for f in report.models[0].findings]
    new = pathlib.Path(tmp_path / "new" / "assets.extra" / "tf_serving_warmup_requests")
    assert new.read_bytes() == (MODELS / "warmup" / "assets.extra" / new.name).read_bytes()
    assert not new.is_symlink()


@pytest.mark.tensorflow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["link", "copy"])
def test_a_kubernetes_volume_is_converted(mode, tmp_path):
    model = _kubernetes(MODELS / "vocabulary", tmp_path)
    assert migrate.convert(str(model), str(tmp_path / "new"), Options(checkpoint=mode)).ok
