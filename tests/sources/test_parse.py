from __future__ import annotations

import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.errors import InputError
from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel
from migrate.sources import files
from migrate.sources import parse as module
from migrate.sources.boundary import Boundary
from migrate.sources.parse import describe_unreadable, parse, parse_file
from migrate.sources.watch import TIMES, Watch

_GRAPH = GraphDef(node=[{"name": "x", "op": "NoOp"}])
_META_GRAPH = MetaGraphDef(meta_info_def={"tags": ["serve"]}, graph_def=_GRAPH)
_SAVED_MODEL = SavedModel(saved_model_schema_version=1, meta_graphs=[_META_GRAPH])
_PROTOS = [_GRAPH, _META_GRAPH, _SAVED_MODEL]


def _file(tmp_path, content, name="file"):
    (tmp_path / name).write_bytes(content)
    return str(tmp_path / name)


@pytest.mark.parametrize("proto", _PROTOS, ids=lambda proto: type(proto).__name__)
@pytest.mark.parametrize("is_text", [False, True])
def test_each_proto_in_each_form(proto, is_text, tmp_path):
    file = _file(tmp_path, str(proto).encode() if is_text else proto.SerializeToString())
    found = parse(file, "GraphDef")
    assert type(found.proto) is type(proto) and found.proto == proto
    assert parse_file(file, "GraphDef") == proto
    if proto is _GRAPH:
        assert found.holder == MetaGraphDef(graph_def=_GRAPH)
        found.holder.graph_def.node[0].name = "y"
        assert found.proto.node[0].name == "y"  # It is a part of the holder, and not a copy.
    else:
        assert found.holder is None


@pytest.mark.parametrize("least", [0, 1 << 30])
def test_a_large_file_is_what_a_small_one_is(least, tmp_path, monkeypatch):
    """A large one is not parsed as a SavedModel first where it has no version."""
    monkeypatch.setattr(module, "_LARGE_BYTES", least)
    without_version = SavedModel(meta_graphs=[_META_GRAPH])
    late_version = without_version.SerializeToString() + SavedModel(saved_model_schema_version=1).SerializeToString()
    for proto in (*_PROTOS, without_version):
        assert parse(_file(tmp_path, proto.SerializeToString()), "GraphDef").proto == proto
    assert parse(_file(tmp_path, late_version), "GraphDef").proto == _SAVED_MODEL
    for content, said in ((b"\xff\xff\xff", "not a SavedModel"), (_GRAPH.SerializeToString()[:-1], "not a SavedModel")):
        with pytest.raises(InputError, match=said):
            parse(_file(tmp_path, content), "SavedModel")


def test_fields_of_a_later_version_are_kept(tmp_path):
    later = b"\xa2\x7d\x03new"  # Field 2004, of bytes.
    for proto in _PROTOS:
        found = parse_file(_file(tmp_path, proto.SerializeToString() + later), "GraphDef")
        assert found.SerializeToString() == proto.SerializeToString() + later
    assert parse_file(_file(tmp_path, str(_GRAPH).encode() + b"later { a: 1 }"), "GraphDef") == _GRAPH


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\xff\xff\xff", "not a SavedModel (3 bytes"),
        (SavedModel(saved_model_schema_version=1).SerializeToString(), "a SavedModel without a meta graph"),
        (_SAVED_MODEL.SerializeToString()[:-4], "at least 4 more belong to it"),
        (_SAVED_MODEL.SerializeToString() + "\ufffd".encode(), "mangled by a text conversion"),
        (b"saved_model_schema_version: 1", "a SavedModel without a meta graph"),
        (b"node { name: }", "line 1: not a SavedModel as text"),
        (b'node { name: "x" }\nnode {\n  op: 3 }', "line 3: not a SavedModel as text"),
        (b"versions { producer: 1 }", "a GraphDef without nodes"),
        (b"meta_info_def { }", "a MetaGraphDef without nodes"),
        (b'node { name: "x" }\n# \xff', "line 2 is not UTF-8"),
        (b"versions { producer: " + b"9" * 30 + b" }", "not a SavedModel as text"),
        (b"library { " * 500, "not a SavedModel as text"),
    ],
)
def test_what_cannot_be_parsed_is_said_in_a_line(content, says, tmp_path):
    file = _file(tmp_path, content)
    with pytest.raises(InputError) as caught:
        parse(file, "SavedModel")
    assert str(caught.value).startswith(f"{file}: ") and says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_promises_text(tmp_path):
    with pytest.raises(InputError, match=r"x\.pbtxt: line 3: not a GraphDef as text"):
        parse(_file(tmp_path, _GRAPH.SerializeToString(), "x.pbtxt"), "GraphDef")
    with pytest.raises(InputError, match="cannot be read"):
        parse(str(tmp_path / "none"), "GraphDef")


def test_a_file_outside_of_the_boundary_is_not_read(tmp_path):
    file = _file(tmp_path, _GRAPH.SerializeToString())
    assert parse_file(file, "GraphDef", Boundary((str(tmp_path),))) == _GRAPH
    with pytest.raises(InputError, match="outside of the model"):
        parse_file(file, "GraphDef", Boundary((str(tmp_path / "other"),)))


def test_memory_that_is_not_there_is_no_damage(tmp_path, monkeypatch):
    def refused(*_):
        raise MemoryError

    monkeypatch.setattr(module, "_parse_binary", refused)
    with pytest.raises(InputError, match="takes more memory than this process may use"):
        parse(_file(tmp_path, _GRAPH.SerializeToString()), "GraphDef")


@settings(max_examples=40)
@given(st.sampled_from(_PROTOS), st.integers(0, 60), st.binary(max_size=20), st.booleans())
def test_damage_is_told_and_never_a_bug(tmp_path_factory, proto, cut, data, is_text):
    whole = str(proto).encode() if is_text else proto.SerializeToString()
    file = _file(tmp_path_factory.getbasetemp(), whole[:cut] + data + whole[cut:], "damaged")
    try:
        assert isinstance(parse_file(file, "GraphDef"), (GraphDef, MetaGraphDef, SavedModel))
    except InputError as error:
        assert str(error).startswith(f"{file}: ")


def test_why_a_file_is_no_model(tmp_path):
    def said(content):
        (tmp_path / "file").write_bytes(content)
        return describe_unreadable(str(tmp_path / "file"), None)

    assert said(b"") == "is empty (0 bytes); copy or download it again"
    assert said(b"\xff\xff").startswith("not a GraphDef (2 bytes")
    assert said(GraphDef(node=[{"name": "x", "op": "NoOp"}]).SerializeToString()) == "no model"
    assert describe_unreadable(str(tmp_path / "none"), None).startswith("cannot be read")
    assert describe_unreadable(str(tmp_path), None).startswith(("is a directory", "cannot be read", "not a regular"))
    (tmp_path / "link").symlink_to("nowhere")
    assert describe_unreadable(str(tmp_path / "link"), None) == "a link that leads nowhere (nowhere)"
    (tmp_path / "annex").symlink_to(".git/annex/objects/KEY")
    assert "git annex get" in describe_unreadable(str(tmp_path / "annex"), None)
    outside = describe_unreadable(str(tmp_path / "file"), Boundary((str(tmp_path / "model"),)))
    assert outside.startswith("a link to ") and "outside of the model" in outside


def test_a_file_is_allowed_what_it_is_worth_before_it_is_read(tmp_path, monkeypatch):
    """The watch may look at the memory as soon as the bytes are there."""
    file = _file(tmp_path, _GRAPH.SerializeToString())
    watch, allowed = Watch(), []

    class Stream(io.FileIO):
        def read(self, size=-1):
            allowed.append(watch.bytes_allowed - Watch().bytes_allowed)
            return super().read(size)

    monkeypatch.setattr(files, "open_stream", lambda path, boundary: Stream(path))
    parse(file, "GraphDef", None, watch)
    assert allowed == [TIMES * os.path.getsize(file)]
