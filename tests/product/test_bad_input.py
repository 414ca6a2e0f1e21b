"""Bad input and bad luck: one or two lines that say what is wrong, the right exit code, nothing lost or left behind."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest

from migrate.graph.protos import AssetFileDef, SavedModel
from tests.conversions import MODELS, ROOT, migrate_command
from tests.waiting import interruptible, wait_until

pytestmark = pytest.mark.process

_NOT_GOOD, _WRONG_USE, _INTERRUPTED = 1, 2, 130


def _copy(model, directory):
    shutil.copytree(MODELS / model, directory)
    return directory


def _tree(directory):
    """Path, link target or content's hash of all that is in a directory."""
    return {
        str(path.relative_to(directory)): os.readlink(path)
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "directory"
        for path in directory.rglob("*")
    }


def _edit(model):
    """Gives the proto of a model on the disk to change, and writes it back."""

    @contextlib.contextmanager
    def edited():
        file = model / "saved_model.pb"
        proto = SavedModel.FromString(file.read_bytes())
        yield proto
        file.write_bytes(proto.SerializeToString())

    return edited()


def _explanation(done):
    """What a command says is wrong: stderr's lines, else the report's outcome and refusals; fails on a traceback."""
    assert "Traceback" not in done.stdout + done.stderr
    if done.returncode == _WRONG_USE:
        assert done.stdout == ""
        assert 1 <= done.stderr.count("\n") <= 2, done.stderr
        return done.stderr
    assert done.stderr == ""
    (model,) = json.loads(done.stdout)["models"]
    refusals = [f["message"] for f in model["findings"] if f["severity"] == "refusal"]
    reasons = [model["detail"]["reason"]] if model["detail"].get("reason") else refusals
    assert reasons, model
    for reason in reasons:
        assert len(reason.splitlines()) <= 2, reason
        assert len(reason) < 600, reason
    return " ".join(reasons)


# Broken sources. Each breaks a copy of a model and says what the message must name.


def _missing(model):
    shutil.rmtree(model)
    return _WRONG_USE, [str(model), "no such file or directory"]


def _file_instead_of_directory(model):
    shutil.rmtree(model)
    model.write_bytes(b"weights")
    return _WRONG_USE, [str(model), "not a model"]


def _saved_model_file_itself(model):
    file = model / "saved_model.pb"
    content = file.read_bytes()
    shutil.rmtree(model)
    model.write_bytes(content)
    return _WRONG_USE, [str(model), "directory"]


def _empty_directory(model):
    shutil.rmtree(model)
    model.mkdir()
    return _WRONG_USE, [str(model), "no model"]


def _link_to_itself(model):
    shutil.rmtree(model)
    model.symlink_to(model)
    return _WRONG_USE, [str(model), "link"]


def _empty_proto(model):
    (model / "saved_model.pb").write_bytes(b"")
    return _NOT_GOOD, ["saved_model.pb"]


def _truncated_proto(model):
    file = model / "saved_model.pb"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return _NOT_GOOD, ["saved_model.pb"]


def _random_bytes(model):
    import random

    (model / "saved_model.pb").write_bytes(random.Random(1).randbytes(5000))
    return _NOT_GOOD, ["saved_model.pb"]


def _lfs_pointer(model):
    (model / "saved_model.pb").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    )
    return _NOT_GOOD, ["saved_model.pb"]


def _proto_is_a_directory(model):
    (model / "saved_model.pb").unlink()
    (model / "saved_model.pb").mkdir()
    return (_NOT_GOOD, _WRONG_USE), ["saved_model.pb"]


def _text_with_a_syntax_error(model):
    shutil.rmtree(model)
    _copy("pbtxt", model)
    file = model / "saved_model.pbtxt"
    lines = file.read_text().splitlines()
    lines[20] += " }{"
    file.write_text("\n".join(lines))
    return _NOT_GOOD, ["saved_model.pbtxt", "21"]


def _text_that_is_not_utf8(model):
    shutil.rmtree(model)
    _copy("pbtxt", model)
    (model / "saved_model.pbtxt").write_bytes(b"\xff\xfe\x00meta_graphs")
    return _NOT_GOOD, ["saved_model.pbtxt"]


def _no_variables(model):
    shutil.rmtree(model / "variables")
    return _NOT_GOOD, ["variables"]


def _no_index(model):
    (model / "variables" / "variables.index").unlink()
    return _NOT_GOOD, ["variables.index"]


def _no_shard(model):
    (model / "variables" / "variables.data-00000-of-00001").unlink()
    return _NOT_GOOD, ["variables.data-00000-of-00001"]


def _second_shard_missing(model):
    shutil.rmtree(model)
    _copy("sharded", model)
    (model / "variables" / "variables.data-00001-of-00002").unlink()
    return _NOT_GOOD, ["variables.data-00001-of-00002"]


def _short_shard(model):
    file = model / "variables" / "variables.data-00000-of-00001"
    file.write_bytes(file.read_bytes()[:-4])
    return _NOT_GOOD, ["variables.data-00000-of-00001"]


def _wrong_checksum_in_the_index(model):
    file = model / "variables" / "variables.index"
    content = bytearray(file.read_bytes())
    content[10] ^= 0xFF
    file.write_bytes(content)
    return _NOT_GOOD, ["variables.index"]


def _index_without_its_end(model):
    file = model / "variables" / "variables.index"
    file.write_bytes(file.read_bytes()[:-20])
    return _NOT_GOOD, ["variables.index"]


def _variable_absent_from_the_checkpoint(model):
    shutil.rmtree(model / "variables")
    shutil.copytree(MODELS / "renaming_saver" / "variables", model / "variables")
    return _NOT_GOOD, ["'w'"]


def _other_shape_in_the_checkpoint(model):
    shutil.rmtree(model / "variables")
    shutil.copytree(MODELS / "training" / "variables", model / "variables")
    return _NOT_GOOD, ["'w'", "[3, 2]", "[2, 1]"]


def _no_asset(model):
    shutil.rmtree(model)
    _copy("vocabulary", model)
    gone = sorted((model / "assets").iterdir())[0]
    gone.unlink()
    return _NOT_GOOD, [gone.name]


def _asset_outside(model):
    shutil.rmtree(model)
    _copy("vocabulary", model)
    with _edit(model) as proto:
        value = proto.meta_graphs[0].collection_def["saved_model_assets"].any_list.value
        asset = AssetFileDef.FromString(value[0].value)
        asset.filename = "../../etc/passwd"
        value[0].value = asset.SerializeToString()
    secret = model.parent / "etc"
    secret.mkdir()
    (secret / "passwd").write_text("root\n")
    return _NOT_GOOD, ["../../etc/passwd"]


def _asset_at_an_absolute_path(model):
    shutil.rmtree(model)
    _copy("vocabulary", model)
    secret = model.parent / "secret"
    secret.write_text("root\n")
    with _edit(model) as proto:
        value = proto.meta_graphs[0].collection_def["saved_model_assets"].any_list.value
        asset = AssetFileDef.FromString(value[0].value)
        asset.filename = str(secret)
        value[0].value = asset.SerializeToString()
    return _NOT_GOOD, [str(secret)]


def _no_meta_graph(model):
    with _edit(model) as proto:
        del proto.meta_graphs[:]
    return _NOT_GOOD, ["meta graph"]


def _no_signature(model):
    with _edit(model) as proto:
        proto.meta_graphs[0].signature_def.clear()
    return _NOT_GOOD, ["signature"]


def _signature_of_a_tensor_that_is_not_there(model):
    with _edit(model) as proto:
        proto.meta_graphs[0].signature_def["serving_default"].outputs["y"].name = "gone:0"
    return _NOT_GOOD, ["gone"]


def _node_with_an_input_that_is_not_there(model):
    with _edit(model) as proto:
        for node in proto.meta_graphs[0].graph_def.node:
            if node.op == "MatMul":
                node.input[0] = "gone"
    return _NOT_GOOD, ["gone"]


def _checkpoint_of_huge_sizes(model):
    # A length in the footer that points beyond the end of the file.
    file = model / "variables" / "variables.index"
    content = bytearray(file.read_bytes())
    content[-48:-38] = struct.pack("<QH", 0xFFFFFFFFFFFFFFFF, 0x7F7F)
    file.write_bytes(content)
    return _NOT_GOOD, ["variables.index"]


_BROKEN = [
    _missing,
    _file_instead_of_directory,
    _saved_model_file_itself,
    _empty_directory,
    _link_to_itself,
    _empty_proto,
    _truncated_proto,
    _random_bytes,
    _lfs_pointer,
    _proto_is_a_directory,
    _text_with_a_syntax_error,
    _text_that_is_not_utf8,
    _no_variables,
    _no_index,
    _no_shard,
    _second_shard_missing,
    _short_shard,
    _wrong_checksum_in_the_index,
    _index_without_its_end,
    _variable_absent_from_the_checkpoint,
    _other_shape_in_the_checkpoint,
    _no_asset,
    _asset_outside,
    _asset_at_an_absolute_path,
    _no_meta_graph,
    _no_signature,
    _signature_of_a_tensor_that_is_not_there,
    _node_with_an_input_that_is_not_there,
    _checkpoint_of_huge_sizes,
]


@pytest.mark.slow
@pytest.mark.sampled(3)
@pytest.mark.parametrize("breaks", _BROKEN, ids=lambda f: f.__name__.strip("_"))
def test_a_broken_source(breaks, tmp_path):
    model = _copy("simple_save", tmp_path / "place" / "model")
    code, words = breaks(model)
    codes = code if isinstance(code, tuple) else (code,)
    before = _tree(tmp_path)
    audited = migrate_command("audit", model, "--format=json")
    assert audited.returncode in codes, audited.stdout + audited.stderr
    said = _explanation(audited)
    assert all(word in said for word in words), said
    converted = migrate_command("convert", model, tmp_path / "new", "--format=json")
    assert converted.returncode in codes, converted.stdout + converted.stderr
    said = _explanation(converted)
    assert all(word in said for word in words), said
    text = migrate_command("convert", model, tmp_path / "new")
    assert text.returncode in codes
    assert "Traceback" not in text.stdout + text.stderr
    if (tmp_path / "new" / ".migrate").exists():  # It was taken for a tree of models, and has a journal.
        shutil.rmtree(tmp_path / "new" / ".migrate")
        (tmp_path / "new").rmdir()
    assert _tree(tmp_path) == before


def test_no_such_tag_set_lists_those_that_are_there(tmp_path):
    done = migrate_command("convert", MODELS / "multi_tags", tmp_path / "new", "--tags=tpu", "--format=json")
    assert done.returncode == _NOT_GOOD
    said = _explanation(done)
    assert all(tags in said for tags in ("tpu", "{serve}", "{gpu, serve}", "{train}")), said
    assert not os.listdir(tmp_path)


def test_several_tag_sets_that_fit_are_listed(tmp_path):
    model = _copy("multi_tags", tmp_path / "model")
    proto = SavedModel.FromString((model / "saved_model.pb").read_bytes())
    for meta_graph in proto.meta_graphs:
        if list(meta_graph.meta_info_def.tags) == ["serve"]:
            meta_graph.meta_info_def.tags.append("tpu")
    (model / "saved_model.pb").write_bytes(proto.SerializeToString())
    done = migrate_command("convert", model, tmp_path / "new", "--format=json")
    assert done.returncode == _NOT_GOOD
    said = _explanation(done)
    assert all(tags in said for tags in ("{serve, tpu}", "{gpu, serve}", "--tags")), said
    assert os.listdir(tmp_path) == ["model"]


def test_an_unsound_signature_is_refused_by_name(tmp_path):
    done = migrate_command("convert", MODELS / "unfed_training", tmp_path / "new", "--format=json")
    assert done.returncode == _NOT_GOOD
    assert "'serving_default'" in _explanation(done)
    assert not os.listdir(tmp_path)


def test_a_loop_of_links_in_a_tree_is_walked_once(tmp_path):
    tree = tmp_path / "tree"
    _copy("simple_save", tree / "model")
    (tree / "folder").mkdir()
    (tree / "folder" / "back").symlink_to(tree)
    (tree / "self").symlink_to(tree / "self")
    (tree / "nowhere").symlink_to(tmp_path / "gone")
    done = migrate_command("audit", tree, "--format=json")
    assert done.returncode == 0, done.stderr
    (model,) = json.loads(done.stdout)["models"]
    assert model["source"] == str(tree / "model")


def test_one_bad_model_does_not_hide_the_others(tmp_path):
    tree = tmp_path / "tree"
    _copy("simple_save", tree / "good")
    _copy("unknown_op", tree / "unknown")
    _truncated_proto(_copy("simple_save", tree / "cut"))
    done = migrate_command("audit", tree, "--format=json")
    assert done.returncode == _NOT_GOOD
    outcomes = {os.path.basename(m["source"]): m["outcome"] for m in json.loads(done.stdout)["models"]}
    assert outcomes == {"cut": "unreadable", "good": "convertible", "unknown": "refused"}


# Bad destinations: wrong use, told before anything is done.


@pytest.mark.parametrize("where", ["exists", "is_a_file", "below_a_file", "in_the_source", "is_the_source"])
def test_a_bad_destination(where, tmp_path):
    model = _copy("simple_save", tmp_path / "model")
    (tmp_path / "exists").mkdir()
    (tmp_path / "exists" / "precious").write_text("data")
    (tmp_path / "is_a_file").write_text("data")
    destination = {
        "below_a_file": tmp_path / "is_a_file" / "new",
        "in_the_source": model / "new",
        "is_the_source": model,
    }.get(where, tmp_path / where)
    before = _tree(tmp_path)
    done = migrate_command("convert", model, destination, "--format=json")
    assert done.returncode == _WRONG_USE, done.stdout
    assert str(destination) in _explanation(done)
    assert _tree(tmp_path) == before


def test_in_a_tree_a_model_whose_destination_exists_fails_alone(tmp_path):
    _copy("simple_save", tmp_path / "tree" / "model")
    (tmp_path / "new" / "model").mkdir(parents=True)
    (tmp_path / "new" / "model" / "precious").write_text("data")
    before = _tree(tmp_path)
    done = migrate_command("convert", tmp_path / "tree", tmp_path / "new", "--format=json")
    assert done.returncode == _NOT_GOOD, done.stderr
    said = _explanation(done)
    assert str(tmp_path / "new" / "model") in said and "--overwrite" in said
    shutil.rmtree(tmp_path / "new" / ".migrate")
    assert _tree(tmp_path) == before


@pytest.mark.parametrize("where", ["in_the_source", "is_the_source", "around_the_source", "link_into_the_source"])
def test_overwriting_never_touches_the_source(where, tmp_path):
    model = _copy("simple_save", tmp_path / "around" / "model")
    (tmp_path / "link").symlink_to(model)
    destination = {
        "in_the_source": model / "variables",
        "is_the_source": model,
        "around_the_source": tmp_path / "around",
        "link_into_the_source": tmp_path / "link" / "new",
    }[where]
    before = _tree(tmp_path)
    done = migrate_command("convert", model, destination, "--overwrite", "--format=json")
    assert done.returncode == _WRONG_USE, done.stdout
    assert str(destination) in _explanation(done)
    assert _tree(tmp_path) == before


def test_a_destination_that_may_not_be_written(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    if os.access(locked, os.W_OK):
        pytest.skip("this user may write everywhere")
    done = migrate_command("convert", MODELS / "simple_save", locked / "new", "--format=json")
    assert done.returncode == _WRONG_USE
    assert "permission" in _explanation(done)


@pytest.mark.parametrize("command", [["audit"], ["convert"]], ids=["audit", "convert"])
def test_a_path_that_no_file_system_takes(command, tmp_path):
    arguments = [*command, "x" * 5000, *([str(tmp_path / "new")] if command == ["convert"] else [])]
    done = migrate_command(*arguments)
    assert done.returncode == _WRONG_USE
    assert "Traceback" not in done.stderr
    assert not os.listdir(tmp_path)


# What happens to a conversion on its way. TensorFlow starts in its children.

started = pytest.mark.tensorflow


def _environment(temporary):
    temporary.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(temporary)}


def _convert(source, destination, temporary, *flags, **keywords):
    """Starts a conversion in a process group of its own, with its own directory for temporary files."""
    return subprocess.Popen(
        [sys.executable, "-m", "migrate", "convert", source, destination, "--noverify", "--format=json", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(temporary),
        start_new_session=True,
        **keywords,
    )


def _processes(temporary):
    """Ids of the processes that were started with this directory for temporary files: the command's and its children's.

    A zombie, which has no environment, is not counted.
    """
    mark = f"TMPDIR={temporary}".encode()
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def _wait_for_the_end_of_all(temporary):
    wait_until(lambda: not _processes(temporary))


def _is_whole(model):
    parts = {path.name for path in model.iterdir()}
    return {"saved_model.pb", "variables", "fingerprint.pb", "assets.extra"} <= parts and (
        model / "assets.extra" / "migration.json"
    ).is_file()


@started
def test_the_source_is_only_read(tmp_path):
    """Hard links give away a write in place, hashes any other."""
    source = _copy("vocabulary", tmp_path / "source")
    before, times = _tree(source), {p: p.stat().st_mtime_ns for p in source.rglob("*")}
    process = _convert(source, tmp_path / "new" / "1", tmp_path / "temporary")
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert _tree(source) == before
    assert {p: p.stat().st_mtime_ns for p in source.rglob("*")} == times
    for file in (tmp_path / "new").rglob("*"):
        if file.is_file():
            file.write_bytes(b"changed")
    assert _tree(source) == before
    assert os.listdir(tmp_path / "new") == ["1"]
    assert os.listdir(tmp_path / "temporary") == []


@started
def test_an_existing_destination_is_replaced_when_asked(tmp_path):
    destination = tmp_path / "new" / "1"
    destination.mkdir(parents=True)
    (destination / "old").write_text("old")
    process = _convert(MODELS / "simple_save", destination, tmp_path / "temporary", "--overwrite")
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert not (destination / "old").exists()
    assert _is_whole(destination)
    assert os.listdir(tmp_path / "new") == ["1"]


def _existing(destination):
    destination.mkdir(parents=True)
    (destination / "old").write_text("old")
    return _tree(destination)


@started
@pytest.mark.parametrize("existing", [False, True], ids=["absent", "existing"])
def test_a_file_size_limit_leaves_nothing_behind(existing, tmp_path):
    """Stands in for a full disk where none can be mounted: a write fails in the middle of a file."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (12 * 1024, 12 * 1024))

    destination = tmp_path / "new" / "1"
    before = _existing(destination) if existing else None
    source = MODELS / "estimator_vocabulary_column"
    process = _convert(source, destination, tmp_path / "temporary", "--overwrite", preexec_fn=limit)
    out, err = process.communicate()
    assert process.returncode == _NOT_GOOD, out + err
    assert _explanation(subprocess.CompletedProcess([], _NOT_GOOD, out, err))
    assert os.listdir(tmp_path / "new") == (["1"] if existing else [])
    if existing:
        assert _tree(destination) == before


@started
def test_a_full_disk_leaves_nothing_behind(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        process = _convert(MODELS / "estimator_vocabulary_column", disk / "new", tmp_path / "temporary")
        out, err = process.communicate()
        assert process.returncode == _NOT_GOOD, out + err
        said = _explanation(subprocess.CompletedProcess([], _NOT_GOOD, out, err))
        assert "space" in said or "new" in said
        assert os.listdir(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


_MODELS = 4
_STAGES = {
    "TensorFlow is imported": lambda new, temporary: os.listdir(temporary),
    "a model is done": lambda new, temporary: any((new / str(number)).exists() for number in range(_MODELS)),
    "a model runs": lambda new, temporary: all((new / str(number)).exists() for number in range(_MODELS)),
}


@pytest.mark.slow
@started
@pytest.mark.parametrize("stage", _STAGES)
def test_an_interrupted_conversion_leaves_nothing_behind(stage, tmp_path):
    tree, new = tmp_path / "tree", tmp_path / "new"
    for number in range(_MODELS):
        (_copy("vocabulary", tree / str(number)) / "different").write_text(str(number))
    # Its golden answers never come, so that the run is at work whenever the signal comes.
    shutil.copytree(ROOT / "testdata" / "faults" / "endless_loop", tree / "endless")
    new.mkdir()
    (new / "precious").write_text("data")
    process = _convert(tree, new, tmp_path / "temporary", "--verify", "--jobs=2", preexec_fn=interruptible)
    wait_until(lambda: _STAGES[stage](new, tmp_path / "temporary"))
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate()
    assert process.returncode == _INTERRUPTED, out + err
    assert out == ""
    assert "Traceback" not in err
    said = [line for line in err.splitlines() if not line.startswith("[")]  # Less a line for each model that was done.
    (told,) = said
    done = re.fullmatch(rf"interrupted: (\d+) of {_MODELS + 1} models done; the same command continues", told)
    # Before the first model has begun there is nothing to count.
    assert done is not None or told == "interrupted; nothing was written", err
    assert int(done[1] if done else 0) == err.count("] converted")
    _wait_for_the_end_of_all(tmp_path / "temporary")
    assert os.listdir(tmp_path / "temporary") == []
    left = set(os.listdir(new)) - {".migrate"}
    assert (new / "precious").read_text() == "data"
    assert left - {"precious"} <= {str(n) for n in range(_MODELS)}
    assert all(_is_whole(new / name) for name in left - {"precious"})


@started
def test_an_interrupt_that_the_parent_has_had_ignored_is_ignored(tmp_path):
    """So does a shell that is no terminal's with what it starts in the background."""
    ignore = functools.partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    process = _convert(MODELS / "vocabulary", tmp_path / "new", tmp_path / "temporary", preexec_fn=ignore)
    wait_until(lambda: os.listdir(tmp_path / "temporary"))
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert _is_whole(tmp_path / "new")


_MOMENTS = {
    "started": lambda new, temporary: True,
    "job": lambda new, temporary: os.listdir(temporary),
    "staging": lambda new, temporary: _listing(new),
    "variables": lambda new, temporary: any(new.rglob("variables.index")),
    "proto": lambda new, temporary: any(new.rglob("saved_model.pb")),
    "provenance": lambda new, temporary: any(new.rglob("migration.json")),
    "published": lambda new, temporary: (new / "1").exists(),
}


@pytest.mark.slow
@started
@pytest.mark.sampled(2)
@pytest.mark.parametrize("moment", _MOMENTS)
def test_a_killed_conversion_leaves_no_half_model_and_no_process(moment, tmp_path):
    new, temporary = tmp_path / "new", tmp_path / "temporary"
    process = _convert(MODELS / "vocabulary", new / "1", temporary)
    while process.poll() is None and not _MOMENTS[moment](new, temporary):
        time.sleep(0.001)
    process.kill()
    process.communicate()
    _wait_for_the_end_of_all(temporary)
    # A model server takes a directory with an integer for a name for a version.
    assert not [name for name in _listing(new) if name.isdigit() and not _is_whole(new / name)]
    again = _convert(MODELS / "vocabulary", new / "1", temporary, "--overwrite")
    out, err = again.communicate()
    assert again.returncode == 0, out + err
    assert _is_whole(new / "1")
    assert _listing(new) == ["1"]


def _listing(directory):
    return os.listdir(directory) if directory.exists() else []
