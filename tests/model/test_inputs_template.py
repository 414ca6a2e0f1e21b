"""A file with calls to begin with, for one model on the disk. No TensorFlow."""

from __future__ import annotations

import json

import pytest

from migrate.errors import InputError
from migrate.model.inputs_template import calls_of, template_of
from migrate.model.study import Studied
from migrate.records import Convertible, Options
from tests.conversions import MODELS, ROOT
from tests.model.recorded import report

_KERAS = ROOT / "testdata" / "keras"


def _calls(path, options=None):
    text, left_out = template_of(str(path), options or Options())
    assert left_out == {}
    return [(call["signature"], sorted(call["inputs"])) for call in json.loads(text)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (MODELS / "simple_save", [("serving_default", ["x"])]),
        (MODELS / "tf2", [("serving_default", ["x"])]),
        (_KERAS / "archive_3", [("serving_default", ["ids", "x"])]),
    ],
    ids=["graph", "tf2", "keras"],
)
def test_each_form_has_its_own_signatures(path, expected):
    assert _calls(path) == expected


def test_what_the_options_choose_is_called():
    tags = Options(tags=frozenset({"train"}))
    assert _calls(MODELS / "multi_tags", tags) != _calls(MODELS / "multi_tags", Options(tags=frozenset({"serve"})))
    proposed = _calls(ROOT / "testdata" / "forms" / "saver_steps", Options(take_proposals=True))
    assert proposed == [("serving_default", ["x"])]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (ROOT / "absent", "absent: not a model "),
        (MODELS.parent / "forms" / "saver_steps", "could be called: the MetaGraphDef has no"),
        (_KERAS / "weights_alone", "has no signature that could be called: "),
    ],
)
def test_what_cannot_be_called_is_told(path, told):
    with pytest.raises(InputError, match=told) as raised:
        template_of(str(path), Options())
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_a_refusal_is_told_with_what_to_do():
    with pytest.raises(InputError, match=r"\(say what to call, or give --take_proposals; for example --signature"):
        template_of(str(MODELS.parent / "forms" / "saver_steps"), Options())


def test_a_model_of_which_nothing_is_known_has_no_calls():
    assert calls_of(Studied(report(Convertible())), report(Convertible())) == ("", {})
