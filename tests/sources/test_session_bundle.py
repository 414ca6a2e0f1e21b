from __future__ import annotations

import shutil

import pytest

from migrate.errors import InputError
from migrate.graph import contract
from migrate.graph.protos import GraphDef, MetaGraphDef, NodeDef
from migrate.records import GivenSignature, Unreadable
from migrate.sources.session_bundle import is_session_bundle, signatures, unbundle
from tests.audits import audited
from tests.conversions import ROOT

FORMS = ROOT / "testdata" / "forms"


def test_a_session_bundle_that_cannot_be_parsed(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FORMS / "session_bundle", model)
    meta_graph = MetaGraphDef.FromString((model / "export.meta").read_bytes())
    packed = meta_graph.collection_def["serving_signatures"].any_list.value[0]
    packed.value = packed.value[:-3]
    (model / "export.meta").write_bytes(meta_graph.SerializeToString())
    report = audited(model)
    assert isinstance(report.outcome, Unreadable) and "serving_signatures" in report.outcome.reason


def _field(number, content):
    data = content.encode() if isinstance(content, str) else content
    assert len(data) < 128
    return bytes((number << 3 | 2, len(data))) + data


def _binding(name):
    return _field(1, name)


def _regression(x, y):
    return _field(1, _field(1, _binding(x)) + _field(2, _binding(y)))


def _classification(x, classes, scores):
    return _field(2, _field(1, _binding(x)) + _field(2, _binding(classes)) + _field(3, _binding(scores)))


def _generic(**tensors):
    entries = (_field(1, _field(1, name) + _field(2, _binding(tensor))) for name, tensor in tensors.items())
    return _field(3, b"".join(entries))


def _bundle(default=b"", nodes=(), **named):
    meta_graph = MetaGraphDef()
    meta_graph.graph_def.node.extend([NodeDef(name=name, op="Placeholder") for name in nodes])
    content = _field(1, default) if default else b""
    content += b"".join(_field(2, _field(1, key) + _field(2, value)) for key, value in named.items())
    meta_graph.collection_def["serving_signatures"].any_list.value.add(value=content)
    return meta_graph


_SERVING = "tensorflow/serving/"


@pytest.mark.parametrize(
    ("bundle", "expected"),
    [
        (_bundle(), ()),
        (
            _bundle(_regression("x", "y:1")),
            (GivenSignature("serving_default", (("inputs", "x:0"),), (("outputs", "y:1"),), f"{_SERVING}regress"),),
        ),
        (
            _bundle(_classification("x", "", "s"), other=_regression("a", "b")),
            (
                GivenSignature("serving_default", (("inputs", "x:0"),), (("scores", "s:0"),), f"{_SERVING}classify"),
                GivenSignature("other", (("inputs", "a:0"),), (("outputs", "b:0"),), f"{_SERVING}regress"),
            ),
        ),
        (
            _bundle(inputs=_generic(a="x"), outputs=_generic(b="y")),
            (GivenSignature("serving_default", (("a", "x:0"),), (("b", "y:0"),)),),
        ),
        (
            _bundle(_regression("x", "y"), inputs=_generic(a="x"), outputs=_generic(b="y")),
            (
                GivenSignature("serving_default", (("inputs", "x:0"),), (("outputs", "y:0"),), f"{_SERVING}regress"),
                GivenSignature("predict", (("a", "x:0"),), (("b", "y:0"),)),
            ),
        ),
        (
            _bundle(nodes=["x"], mixed=_generic(a="x", b="y"), fed=_generic(a="x:0")),
            (GivenSignature("mixed", (("a", "x:0"),), (("b", "y:0"),)),),
        ),
        (_bundle(inputs=_generic(a="x")), (GivenSignature("inputs", (), (("a", "x:0"),)),)),
        (_bundle(nothing=b""), ()),
    ],
)
def test_signatures_have_the_names_that_serving_gives_them(bundle, expected):
    assert signatures(bundle) == expected


@pytest.mark.parametrize("content", [b"\xff", _field(2, _field(1, b"\xff"))])
def test_signatures_that_cannot_be_parsed(content):
    meta_graph = MetaGraphDef()
    meta_graph.collection_def["serving_signatures"].any_list.value.add(value=content)
    with pytest.raises(InputError, match="the collection serving_signatures of this SessionBundle"):
        signatures(meta_graph)


def test_what_is_in_collections_is_put_where_a_saved_model_has_it():
    meta_graph = _bundle(_regression("x", "y"))
    before = MetaGraphDef.FromString(meta_graph.SerializeToString())
    assert is_session_bundle(meta_graph) and not is_session_bundle(MetaGraphDef())
    assert unbundle(meta_graph) == meta_graph == before
    graph = GraphDef(node=[{"name": "z", "op": "NoOp"}])
    meta_graph.collection_def["serving_graph"].any_list.value.add().Pack(graph)
    asset = _field(1, _binding("path")) + _field(2, "vocab.txt")
    meta_graph.collection_def["serving_assets"].any_list.value.add(value=asset)
    meta_graph.collection_def["serving_init_op"].node_list.value.append("init")
    result = unbundle(meta_graph)
    assert result.graph_def == graph and not meta_graph.graph_def.node
    assert contract.assets(result) == (("path:0", "vocab.txt"),)
    assert contract.init_ops(result) == ("init",)
    assert "serving_graph" not in result.collection_def
    meta_graph.collection_def["legacy_init_op"].node_list.value.append("mine")
    assert contract.init_ops(unbundle(meta_graph)) == ("mine",)


@pytest.mark.parametrize("damage", ["type", "content"])
def test_a_graph_in_a_collection_that_is_none(damage):
    meta_graph = _bundle()
    packed = meta_graph.collection_def["serving_graph"].any_list.value.add()
    packed.Pack(NodeDef() if damage == "type" else GraphDef())
    packed.value = b"" if damage == "type" else b"\xff"
    with pytest.raises(InputError, match="collection serving_graph"):
        unbundle(meta_graph)
