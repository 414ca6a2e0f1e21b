from __future__ import annotations

import contextlib
import json
import os
import pathlib

import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrate.errors import InputError
from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.records import Kind
from migrate.sources.discover import find_models
from migrate.sources.read import opened, read_source
from migrate.sources.saved_model import read_saved_model
from migrate.sources.source import choose_meta_graph


def _model(*tag_sets: tuple[str, ...]) -> SavedModel:
    model = SavedModel(saved_model_schema_version=1)
    for tags in tag_sets:
        meta_graph = model.meta_graphs.add()
        meta_graph.meta_info_def.tags.extend(tags)
        meta_graph.meta_info_def.tensorflow_version = "1.15.0"
        node = meta_graph.graph_def.node.add(name="w", op="Const")
        node.attr["value"].tensor.tensor_content = bytes(range(256)) * 2
        meta_graph.signature_def["serving_default"].method_name = "tensorflow/serving/predict"
    return model


SMALL = _model(("serve",)).SerializeToString(deterministic=True)


def _write(path, data: bytes, name: str = "saved_model.pb") -> str:
    (path / name).write_bytes(data)
    return str(path)


def _refused(path, data: bytes, name: str = "saved_model.pb") -> str:
    with pytest.raises(InputError) as caught:
        read_saved_model(_write(path, data, name))
    message = str(caught.value)
    assert message.startswith(str(path / name))
    assert message.count("\n") < 2
    return message


def test_binary(tmp_path):
    source = read_saved_model(_write(tmp_path, SMALL))
    assert source.file == str(tmp_path / "saved_model.pb")
    assert list(source.meta_graphs) == list(_model(("serve",)).meta_graphs)
    assert source.checkpoint == str(tmp_path / "variables/variables")
    assert source.assets_dir == str(tmp_path / "assets")


def test_text(tmp_path):
    text = text_format.MessageToString(_model(("serve",))) + "field_of_the_future { x: 1 }\n"
    source = read_saved_model(_write(tmp_path, text.encode(), "saved_model.pbtxt"))
    assert os.path.basename(source.file) == "saved_model.pbtxt"
    assert list(source.meta_graphs) == list(_model(("serve",)).meta_graphs)
    # The binary file comes first, as in TensorFlow's loaders.
    assert read_saved_model(_write(tmp_path, SMALL)).file == str(tmp_path / "saved_model.pb")


def test_fields_of_a_newer_tensorflow_are_fine(tmp_path):
    source = read_saved_model(_write(tmp_path, SMALL + b"\xfa\x3e\x03new"))
    assert source.meta_graphs[0].graph_def.node[0].name == "w"


def test_what_is_no_saved_model(tmp_path):
    assert "is empty" in _refused(tmp_path, b"")
    assert "git lfs pull" in _refused(tmp_path, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "web page" in _refused(tmp_path, b"\n<!DOCTYPE html><html><body>Sign in</body></html>")
    assert "without a meta graph" in _refused(tmp_path, b"\x08\x01")
    assert "not a SavedModel" in _refused(tmp_path, bytes(range(255, 0, -1)))
    assert "mangled by a text conversion" in _refused(tmp_path, SMALL.decode(errors="replace").encode())
    lines = _model(*[("serve",)] * 9).SerializeToString()
    assert "mangled by a text conversion" in _refused(tmp_path, lines.replace(b"\n", b"\r\n"))
    assert "cut off after 300 bytes" in _refused(tmp_path, SMALL[:300])


def test_a_graph_named_like_a_saved_model_is_what_it_is(tmp_path):
    meta_graph = _model(("serve",)).meta_graphs[0]
    graph = meta_graph.graph_def
    assert read_saved_model(_write(tmp_path, graph.SerializeToString())).kind is Kind.FROZEN_GRAPH
    graph.library.function.add().signature.name = "f"
    graph.versions.producer = 24
    source = read_saved_model(_write(tmp_path, graph.SerializeToString()))
    assert (source.kind, source.saved_model) == (Kind.FROZEN_GRAPH, None)
    assert source.meta_graphs[0].graph_def == graph
    source = read_saved_model(_write(tmp_path, meta_graph.SerializeToString()))
    assert source.kind is Kind.CHECKPOINT_META
    assert list(source.meta_graphs) == [meta_graph]


def test_what_is_no_saved_model_as_text(tmp_path):
    name = "saved_model.pbtxt"
    assert "line 3: " in _refused(tmp_path, b"saved_model_schema_version: 1\nmeta_graphs {\n  <<\n}\n", name)
    assert "line 2 is not UTF-8" in _refused(tmp_path, b"# text\nmeta_graphs: \xff\n", name)
    assert "without a meta graph" in _refused(tmp_path, b"saved_model_schema_version: 1\n", name)
    assert "is empty" in _refused(tmp_path, b"", name)


def test_paths_that_hold_no_file(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such directory"):
        read_saved_model(str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"no saved_model\.pb"):
        read_saved_model(str(tmp_path))
    with pytest.raises(InputError, match="pass the directory"):
        read_saved_model(_write(tmp_path, SMALL) + "/saved_model.pb")

    def refuse(file, *args, **kwargs):
        raise PermissionError(13, "Permission denied", file)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
            read_saved_model(str(tmp_path))
    chunked = tmp_path / "chunked"
    chunked.mkdir()
    (chunked / "saved_model.cpb").write_bytes(b"x")
    assert find_models(str(chunked)) == (str(chunked),)
    with pytest.raises(InputError, match="chunked"):
        read_saved_model(str(chunked))


def test_kind(tmp_path):
    model = _model(("serve",))
    assert read_saved_model(_write(tmp_path, SMALL)).kind is Kind.TF1_SAVED_MODEL
    model.meta_graphs[0].meta_info_def.tensorflow_version = "2.3.0"
    model.meta_graphs[0].object_graph_def.SetInParent()
    assert read_saved_model(_write(tmp_path, model.SerializeToString())).kind is Kind.TF1_SAVED_MODEL
    model.meta_graphs[0].object_graph_def.nodes.add()
    assert read_saved_model(_write(tmp_path, model.SerializeToString())).kind is Kind.TF2_SAVED_MODEL


@pytest.mark.parametrize(
    ("tag_sets", "tags", "chosen"),
    [
        ([("serve",)], None, 0),
        ([()], None, 0),
        ([("eval",)], None, 0),
        ([("train",), ("serve", "gpu")], None, 1),
        ([("serve", "tpu"), ("serve",), ("serve", "gpu")], None, 1),
        ([("serve",), ("serve", "gpu")], {"serve"}, 0),
        ([("serve",), ("gpu", "serve")], {"serve", "gpu"}, 1),
        ([("serve",), ()], set(), 1),
        ([("serve",), ("serve",)], {"serve"}, 0),
    ],
)
def test_choose(tmp_path, tag_sets, tags, chosen):
    source = read_saved_model(_write(tmp_path, _model(*tag_sets).SerializeToString()))
    got = choose_meta_graph(source, None if tags is None else frozenset(tags))
    assert isinstance(got, MetaGraphDef)
    assert got is source.meta_graphs[chosen]


@pytest.mark.parametrize(
    ("tag_sets", "tags", "says"),
    [
        ([("serve", "tpu"), ("serve", "gpu")], None, "2 meta graphs .*{gpu, serve}, {serve, tpu}"),
        ([("train",), ()], None, "no meta graph has the tag 'serve'.*{train}, {}"),
        ([("serve", "tpu")], {"serve"}, "exactly the tags {serve}; there are {serve, tpu}"),
    ],
)
def test_choose_none(tmp_path, tag_sets, tags, says):
    source = read_saved_model(_write(tmp_path, _model(*tag_sets).SerializeToString()))
    with pytest.raises(InputError, match=says):
        choose_meta_graph(source, None if tags is None else frozenset(tags))


_ANY_FILE = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_ANY_FILE
@given(cut=st.integers(0, len(SMALL) - 1))
def test_a_cut_file_is_always_refused(tmp_path, cut):
    _refused(tmp_path, SMALL[:cut])


@_ANY_FILE
@given(flips=st.lists(st.integers(0, len(SMALL) * 8 - 1), min_size=1, max_size=6))
def test_flipped_bits_give_a_model_or_a_refusal(tmp_path, flips):
    data = bytearray(SMALL)
    for bit in flips:
        data[bit // 8] ^= 1 << bit % 8
    try:
        assert read_saved_model(_write(tmp_path, bytes(data))).meta_graphs
    except InputError as error:
        assert str(error).count("\n") < 2


@_ANY_FILE
@given(data=st.binary(max_size=200))
def test_random_bytes_give_a_model_or_a_refusal(tmp_path, data):
    for start in (b"", b"\x08", b"\x08\x01\x12"):
        with contextlib.suppress(InputError):
            assert read_saved_model(_write(tmp_path, start + data)).meta_graphs


@_ANY_FILE
@given(text=st.text(max_size=80), position=st.integers(0, 400))
def test_text_with_insertions_gives_a_model_or_a_refusal(tmp_path, text, position):
    whole = text_format.MessageToString(_model(("serve",)))
    folder = tmp_path / "text"
    folder.mkdir(exist_ok=True)
    try:
        read_saved_model(_write(folder, (whole[:position] + text + whole[position:]).encode(), "saved_model.pbtxt"))
    except InputError as error:
        assert str(error).count("\n") < 2


@pytest.mark.corpus
def test_kinds_of_the_corpus():
    corpus = os.environ.get("MIGRATE_CORPUS")
    if not corpus:
        pytest.skip("MIGRATE_CORPUS is not set")
    index = [json.loads(line) for line in (pathlib.Path(corpus) / "INDEX.jsonl").read_text().splitlines()]
    kinds = {entry["name"]: entry["kind"] for entry in index}
    checked = 0
    for path in find_models(corpus):
        kind = kinds[pathlib.Path(path).relative_to(corpus).parts[0]]
        if not kind.startswith("saved_model_tf"):
            continue
        with opened(path) as place:
            source = read_source(place, path)
        assert (source.kind in (Kind.TF2_SAVED_MODEL, Kind.KERAS_SAVED_MODEL)) == (kind == "saved_model_tf2"), path
        choose_meta_graph(source, None)
        checked += 1
    assert checked > 100
