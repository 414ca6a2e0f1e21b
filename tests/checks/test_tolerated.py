from __future__ import annotations

import itertools
import re

import pytest
from google.protobuf import text_format

from migrate.checks.tolerated import find_forgiven
from migrate.graph.protos import MetaGraphDef, NodeDef


def _node(text: str) -> NodeDef:
    return text_format.Parse(text, NodeDef())


def _shapes(*dims: str) -> str:
    told = " ".join("unknown_rank: true" if d == "?" else f"dim {{ size: {d} }}" for d in dims)
    return f"attr {{ key: '_output_shapes' value {{ list {{ shape {{ {told} }} }} }} }}"


_PLACEHOLDER = "name: 'x' op: 'Placeholder' attr { key: 'shape' value { shape { dim { size: -1 } dim { size: 3 } } } }"
_CONST = "name: 'c' op: 'Const' attr { key: 'value' value { tensor { tensor_shape { dim { size: 2 } } } } }"


@pytest.mark.parametrize(
    "version", ["", "1.15.0", "1.8.0-rc1", "2.15.1", "1.13.0-dev20190101", "2.4.0+nv", "0.11.0rc2"]
)
def test_versions_that_are_none_of_our_business(version):
    meta_graph = MetaGraphDef()
    meta_graph.meta_info_def.tensorflow_version = version
    assert find_forgiven(meta_graph, []) == ()


# The last one took a minute for 26 of these parts, and twice as long for each more.
@pytest.mark.parametrize("version", ["0.12.head", "unknown", "1.x", "1" + "a-" * 200 + "!"])
def test_an_unreadable_version(version):
    meta_graph = MetaGraphDef()
    meta_graph.meta_info_def.tensorflow_version = version
    assert [f.code for f in find_forgiven(meta_graph, [])] == ["version-unreadable"]


def test_versions_are_told_as_by_the_plain_pattern():
    """The same language as where each separator may belong to either side, which takes too long for long versions."""
    plain = re.compile(r"\d+(\.\d+)*([-.]?(a|b|rc|dev|post)[-.]?\d*)*(\+[a-z0-9.]+)?", re.IGNORECASE)
    for length in range(5):
        for parts in itertools.product(("a", "rc", "-", ".", "7", "+", "x"), repeat=length):
            version = "1" + "".join(parts)
            meta_graph = MetaGraphDef()
            meta_graph.meta_info_def.tensorflow_version = version
            assert bool(find_forgiven(meta_graph, [])) == (plain.fullmatch(version) is None), version


@pytest.mark.parametrize(
    ("text", "is_stale"),
    [
        (_PLACEHOLDER, False),
        (_PLACEHOLDER + _shapes("-1", "3"), False),
        (_PLACEHOLDER + _shapes("5", "3"), False),
        (_PLACEHOLDER + _shapes("?"), False),
        (_PLACEHOLDER + _shapes("-1", "4"), True),
        (_PLACEHOLDER + _shapes("3"), True),
        (_CONST + _shapes("2"), False),
        (_CONST + _shapes("7"), True),
        ("name: 'y' op: 'Add'" + _shapes("7"), False),
    ],
)
def test_output_shapes(text, is_stale):
    found = find_forgiven(MetaGraphDef(), [_node(text)])
    assert [f.code for f in found] == (["output-shapes-stale"] if is_stale else [])
