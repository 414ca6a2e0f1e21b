"""The types of report.json."""

from __future__ import annotations

import copy
import json

import pytest

from migrate.codec import decode
from migrate.decoders import DecodeError
from migrate.records import Report
from migrate.report.document import Document, SignatureDocument
from migrate.report.json import to_document
from tests.report.fleet import HOSTILE, hostile_model, make_fleet
from tests.report.reports import MODELS

_DOCUMENT = json.loads(json.dumps(to_document(Report(MODELS))))


@pytest.mark.parametrize("models", [MODELS, make_fleet(20), tuple(map(hostile_model, HOSTILE)), ()])
def test_what_is_written_here_is_read_whole(models):
    document = json.loads(json.dumps(to_document(Report(models))))
    assert decode(Document, copy.deepcopy(document)) == document


@pytest.mark.parametrize("key", ["models", "tool", "schema_version"])
def test_a_key_of_every_version_is_needed(key):
    with pytest.raises(DecodeError, match=f"'{key}' is missing"):
        decode(Document, {name: value for name, value in _DOCUMENT.items() if name != key})


@pytest.mark.parametrize("key", ["destination", "detail", "signatures", "keras", "bytes", "expected", "sketches"])
def test_a_key_of_a_newer_version_may_be_missing(key):
    older = copy.deepcopy(_DOCUMENT)
    for model in older["models"]:
        del model[key]
    assert decode(Document, copy.deepcopy(older)) == older


def test_keys_of_other_versions_pass():
    decode(Document, {**_DOCUMENT, "made_later": [{"x": 1}]})


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("source", 3, r"models\[0\].source"),
        ("findings", [{"code": "c", "severity": "note", "message": "m", "nodes": "n", "hint": ""}], "nodes"),
        ("seconds", {"read": "soon"}, "seconds"),
        ("bytes", "many", "bytes"),
    ],
)
def test_a_changed_value_is_found(key, value, place):
    changed = copy.deepcopy(_DOCUMENT)
    changed["models"][0][key] = value
    with pytest.raises(DecodeError, match=place):
        decode(Document, changed)


@pytest.mark.parametrize(
    ("shape", "good"), [([2, None], True), (None, True), ([], True), ([-0.5], False), ("2", False)]
)
def test_a_shape_may_have_unknown_parts(shape, good):
    tensor = {"name": "x:0", "dtype": "float32", "shape": shape, "encoding": "dense", "components": []}
    signature = {"method_name": "", "inputs": {"x": tensor}, "outputs": {}}
    if good:
        assert decode(SignatureDocument, signature) == signature
    else:
        with pytest.raises(DecodeError, match="shape"):
            decode(SignatureDocument, signature)
