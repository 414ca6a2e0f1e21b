from __future__ import annotations

from array import array
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.errors import InputError
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.graph.stored_nodes import Computed, Places, StoredByName, StoredMetaGraph, StoredNodes
from tests.graph.stored_form import stored

_NAMES = st.lists(st.text("ab/é", min_size=1, max_size=4), unique=True, max_size=12)


def _nodes(names: list[str]) -> list[NodeDef]:
    return [NodeDef(name=name, op="NoOp", input=names[:place]) for place, name in enumerate(names)]


def _same(found: Mapping[str, object], expected: dict[str, object], others: list[str]) -> None:
    assert list(found) == list(expected) and len(found) == len(expected)
    assert list(found.items()) == list(expected.items())
    assert list(found.values()) == list(expected.values())
    assert {name: found[name] for name in found} == expected
    for name in (*others, "", "\udc80", "c"):
        assert (name in found) == (name in expected)
        assert found.get(name, "none") == expected.get(name, "none")
    assert 0 not in found


@settings(max_examples=15)
@given(_NAMES, st.lists(st.text("ab/é", max_size=4), max_size=5))
def test_they_answer_as_a_dict_of_the_parsed_nodes_does(names, others):
    nodes = _nodes(names)
    kept = stored(nodes)
    assert list(kept) == [kept[place] for place in range(len(kept))] == nodes
    assert [kept.name(place) for place in range(len(kept))] == names
    assert [kept.place(name) for name in names] == list(range(len(names)))
    by_name = StoredByName(kept)
    _same(by_name, {node.name: node for node in nodes}, others)
    _same(Places(by_name), {name: place for place, name in enumerate(names)}, others)
    _same(Computed(by_name, lambda node: len(node.input)), {n.name: len(n.input) for n in nodes}, others)


def test_names_of_every_length():
    names = ["a", "b" * 127, "c" * 128, "d" * 20_000, "b" * 126, "B" * 127]
    kept = stored(_nodes(names))
    assert [kept.name(kept.place(name)) for name in names] == names
    assert [kept.place(name) for name in ("A", "b" * 128, "d" * 19_999, "a\0")] == [-1] * 4


@pytest.mark.parametrize(
    "nodes",
    [
        [NodeDef(name="a", op="NoOp"), NodeDef(name="a", op="Neg")],
        [NodeDef(op="NoOp")],
        [NodeDef(name="a")],
    ],
    ids=["of one name", "without a name", "without an op"],
)
def test_nodes_that_cannot_be_asked_for_raise(nodes):
    with pytest.raises(ValueError, match="by its name"):
        stored(nodes)


def test_a_name_that_does_not_come_first_raises():
    node = NodeDef(name="a", op="NoOp").SerializeToString()
    turned = node[3:] + node[:3]  # The op before the name.
    assert NodeDef.FromString(turned) == NodeDef.FromString(node)
    with pytest.raises(ValueError, match="by its name"):
        StoredNodes(turned, array("I", [0]), array("I", [len(turned)]))


def test_all_nodes_are_given_or_one():
    kept = stored(_nodes(["a", "b"]))
    assert kept[:] is kept
    assert kept[1] is not kept[1] and kept[1] == kept[-1]
    with pytest.raises(TypeError, match="all nodes, or one"):
        kept[:1]
    with pytest.raises(KeyError, match="c"):
        StoredByName(kept)["c"]


def test_a_meta_graph_answers_what_it_has_and_refuses_what_takes_a_copy():
    rest = MetaGraphDef()
    rest.signature_def["s"].method_name = "m"
    rest.graph_def.versions.producer = 21
    kept = stored(_nodes(["a"]))
    meta_graph = StoredMetaGraph(rest, kept, "too large: allow more", False)
    assert meta_graph.signature_def["s"].method_name == "m"
    assert (meta_graph.graph_def.node, meta_graph.graph_def.versions.producer) == (kept, 21)
    assert meta_graph.HasField("graph_def") and not meta_graph.HasField("saver_def")
    for name in ("SerializeToString", "ByteSize", "CopyFrom"):
        with pytest.raises(InputError, match="too large: allow more"):
            getattr(meta_graph, name)
