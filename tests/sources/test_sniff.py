from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel
from migrate.sources import sniff
from migrate.sources.sniff import Head, is_v1_checkpoint, text_proto
from tests.conversions import ROOT

FORMS = ROOT / "testdata" / "forms"
_RECOGNISERS = {
    name: getattr(sniff, name)
    for name in (
        *("is_hdf5", "is_keras_archive", "is_archive", "is_stray", "is_keras_config", "is_saved_model"),
        *("is_graph_def", "is_meta_graph", "is_table_file"),
    )
}


def _graph():
    return GraphDef(node=[{"name": "x", "op": "NoOp"}])


def _meta_graph(version=""):
    return MetaGraphDef(meta_info_def={"tensorflow_version": version}, graph_def=_graph()).SerializeToString()


def _archive(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    return stream.getvalue()


def _tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return stream.getvalue()


_FILES = [
    (b"\x89HDF\r\n\x1a\n rest", {"is_hdf5"}),
    (b" \x89HDF\r\n\x1a\n", set()),
    (_archive("config.json", "metadata.json", "x"), {"is_keras_archive", "is_archive"}),
    (_archive("config.json"), {"is_archive"}),
    (_archive(), {"is_archive"}),
    (b"PK\x03\x04 damaged", {"is_archive"}),
    (b"\x1f\x8b\x08", {"is_archive"}),
    (_tar(), {"is_archive"}),
    (b"", {"is_stray"}),
    (b"<html>", {"is_stray"}),
    (b'{"backend": "tensorflow", "class_name": "Sequential"}', {"is_keras_config"}),
    (b'{"class_name": 3}', set()),
    (b"backend: tensorflow\nclass_name: Sequential\nconfig:\n", {"is_keras_config"}),
    (b"name: x\nclass_name: Sequential\nconfig:\n", set()),
    (SavedModel(saved_model_schema_version=1, meta_graphs=[{}]).SerializeToString(), {"is_saved_model"}),
    (b"meta_graphs { }", set()),
    (_graph().SerializeToString(), {"is_graph_def"}),
    (b'# made by hand\nnode { name: "x" op: "NoOp" }', {"is_graph_def"}),
    (GraphDef(node=[{"name": "x"}]).SerializeToString(), set()),
    (GraphDef(node=[{"name": "x", "op": "no op"}]).SerializeToString(), set()),
    (_meta_graph(), {"is_meta_graph"}),
    (_meta_graph("v" * 5000), {"is_meta_graph"}),  # The graph is not in the first bytes.
    (_meta_graph("v" * 5000)[:5005], set()),
    (b"meta_info_def { }", {"is_meta_graph"}),
    ((FORMS / "saver_v1" / "model.ckpt").read_bytes(), {"is_table_file"}),
    (b"plain text", set()),
]


def _recognised(path):
    with path.open("rb") as stream:
        head = Head(str(path), stream)
        return {name for name, recognise in _RECOGNISERS.items() if recognise(head)}


@pytest.mark.parametrize(("content", "expected"), _FILES)
def test_each_form_by_its_bytes(content, expected, tmp_path):
    (tmp_path / "file").write_bytes(content)
    assert _recognised(tmp_path / "file") == expected


@settings(max_examples=50)
@given(st.binary(max_size=200), st.sampled_from([content for content, _ in _FILES]), st.integers(0, 200))
def test_no_bytes_are_a_bug(tmp_path_factory, data, start, cut):
    path = tmp_path_factory.getbasetemp() / "sniffed"
    path.write_bytes(start[:cut] + data)
    assert _recognised(path) <= _RECOGNISERS.keys()


@pytest.mark.parametrize(
    ("text", "proto"),
    [
        (b"node {", "GraphDef"),
        (b"node: <", "GraphDef"),
        (b"\xef\xbb\xbf# a\n\n  # b\n graph_def{", "MetaGraphDef"),
        (b"meta_graphs {", "SavedModel"),
        (b"saved_model_schema_version: 1", "SavedModel"),
        (b"nodes {", None),
        (b"node", None),
        (b"# node {", None),
        (b"", None),
    ],
)
def test_a_text_by_its_first_field(text, proto):
    assert text_proto(text) == proto


def test_checkpoints_of_both_formats(tmp_path):
    table = (FORMS / "saver_steps" / "model.ckpt-5.index").read_bytes()
    (tmp_path / "c.index").write_bytes(table)
    assert not is_v1_checkpoint(str(tmp_path / "c.index"))
    assert not is_v1_checkpoint(str(tmp_path / "c"))
    (tmp_path / "c").write_bytes(table)
    assert is_v1_checkpoint(str(tmp_path / "c"))
    (tmp_path / "c").write_bytes(b"text")
    assert not is_v1_checkpoint(str(tmp_path / "c"))
    assert is_v1_checkpoint(str(tmp_path / "none-?????-of-00002"))
    assert not is_v1_checkpoint(str(tmp_path / "none-00000-of-00002"))
