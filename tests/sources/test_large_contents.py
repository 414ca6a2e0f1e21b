"""What large constants hold is found in a file byte by byte, and mapped from it."""

from __future__ import annotations

import os

import pytest

from migrate.errors import InputError
from migrate.graph.large_constants import Contents
from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel
from migrate.sources.large_contents import InFile, finder_in
from tests.graph.test_large_constants import _constant


def _file(tmp_path, form: str = "GraphDef"):
    graph = GraphDef(
        node=[_constant("a", "float32", 1), _constant("b", "float64", 2), _constant("small", "float32", 3, 9)]
    )
    model = MetaGraphDef(graph_def=graph)
    saved = SavedModel(saved_model_schema_version=1, meta_graphs=[model])
    written = {"GraphDef": graph, "MetaGraphDef": model, "SavedModel": saved}[form]
    file = tmp_path / "model.pb"
    file.write_bytes(written.SerializeToString())
    return str(file), [node.attr["value"].tensor.tensor_content for node in graph.node]


@pytest.mark.parametrize("form", ["GraphDef", "MetaGraphDef", "SavedModel"])
def test_a_content_is_found_in_a_file_of_each_form(form, tmp_path):
    file, (first, second, small) = _file(tmp_path, form)
    with finder_in(file) as (finder, state):
        held = InFile(file, (finder.place(second), b"carried", finder.place(first)), state)
        assert finder.place(small) is None, "only large ones are looked for"
        assert finder.place(first[:-1] + bytes([first[-1] ^ 1])) is None
        assert finder.place(first[:-1]) is None
    assert [held.size(number) for number in range(3)] == [len(second), 7, len(first)]
    with held.contents() as contents:
        assert [bytes(part) for part in contents] == [second, b"carried", first]


def test_a_content_of_several_parts_is_compared_to_its_end(tmp_path):
    large = _constant("a", "float32", 1, (9 << 20) // 4)
    file = tmp_path / "model.pb"
    file.write_bytes(GraphDef(node=[large]).SerializeToString())
    content = large.attr["value"].tensor.tensor_content
    with finder_in(str(file)) as (finder, _):
        start, end = finder.place(content)
        assert end - start == len(content)
        assert finder.place(content[:-1] + bytes([content[-1] ^ 1])) is None


def test_what_is_carried_needs_no_file():
    with InFile(parts=(b"a", b"b")).contents() as contents:
        assert contents == [b"a", b"b"]


def test_contents_have_the_places_that_are_known():
    contents = Contents({_constant("a", "float32", 1).attr["value"].tensor.tensor_content: (3, 9)}.get)
    stubs = [contents.node(_constant(name, "float32", seed)) for name, seed in (("a", 1), ("b", 2), ("again", 1))]
    assert [stub.attr["_migrate_constant"].i for stub in stubs] == [0, 1, 0]
    assert contents.all() == ((3, 9), _constant("b", "float32", 2).attr["value"].tensor.tensor_content)


@pytest.mark.parametrize("why", ["small", "absent", "no model"])
def test_nothing_is_found_where_there_is_nothing(why, tmp_path):
    file, contents = _file(tmp_path)
    if why == "no model":
        (tmp_path / "model.pb").write_bytes(b"\xff" * (1 << 17))
        with finder_in(file) as (finder, _):
            assert finder.place(contents[0]) is None
        return
    if why == "absent":
        os.remove(file)
    with finder_in(file, 1 << 30) as found:
        assert found is None


def test_a_file_that_changes_meanwhile_is_not_read(tmp_path):
    file, contents = _file(tmp_path)
    with finder_in(file) as (finder, state):
        held = InFile(file, (finder.place(contents[0]),), state)
    os.utime(file, ns=(1, 1))
    with pytest.raises(InputError, match="was changed while it was read"), held.contents():
        pass
