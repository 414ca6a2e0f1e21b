"""Which models are ready, which are with a flag, and which are blocked."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.records import (
    Convertible,
    Finding,
    ModelOptions,
    ModelReport,
    Refused,
    Severity,
    Unreadable,
    refusal,
)
from migrate.report.buckets import buckets, first_code, same_findings
from tests.report.reports import model

_UNKNOWN = refusal("unknown-op", "an op nobody knows")
_PYTHON = refusal("python-op", "calls Python")
_NOTE = Finding("device-pin", Severity.NOTE, "pinned")
_WARNING = Finding("random-op", Severity.WARNING, "draws")


def _sources(models: tuple[ModelReport, ...]) -> list[str]:
    return [one.source.removeprefix("models/") for one in models]


def test_each_bucket_has_its_models_in_order_and_most_models_first():
    take = ModelOptions(drop_signatures=True)
    found = buckets(
        [
            model("a", Refused(), findings=(_PYTHON,)),
            model("b", Convertible()),
            model("c", Refused(), findings=(_UNKNOWN,), proposed=take),
            model("d", Unreadable("damaged")),
            model("e", Refused(), findings=(_NOTE, _UNKNOWN, _PYTHON)),
            model("f", Refused(), findings=(_UNKNOWN,)),
            model("g", Refused(), findings=(_UNKNOWN,), expected="refused: unknown-op"),
            model("h", Convertible(), findings=(_WARNING,)),
        ]
    )
    assert _sources(found.ready) == ["b", "h"]
    assert [(group.flags, _sources(group.models)) for group in found.flagged] == [(("--drop_signatures",), ["c"])]
    assert [(case.code, _sources(case.models)) for case in found.blocked] == [
        ("unknown-op", ["e", "f"]),
        ("python-op", ["a"]),
        ("unreadable", ["d"]),
    ]
    assert _sources(found.expected) == ["g"]


_OUTCOMES = st.sampled_from([Convertible(), Refused(), Unreadable("damaged")])
_PROPOSED = st.sampled_from([None, ModelOptions(drop_signatures=True), ModelOptions(max_ulps=1)])
_ANY_MODELS = st.lists(
    st.builds(
        ModelReport,
        source=st.uuids().map(str),
        destination=st.none(),
        kind=st.just(model("m", Convertible()).kind),
        outcome=_OUTCOMES,
        findings=st.lists(st.sampled_from([_UNKNOWN, _PYTHON, _NOTE])).map(tuple),
        proposed=_PROPOSED,
        expected=st.sampled_from(["", "refused: unknown-op"]),
    ),
    max_size=12,
)


@settings(max_examples=30)
@given(_ANY_MODELS)
def test_every_model_is_in_one_bucket(models):
    found = buckets(models)
    assert sorted(one.source for one in found.every) == sorted(one.source for one in models)
    for groups in (found.flagged, found.blocked):
        sizes = [len(group.models) for group in groups]
        assert sizes == sorted(sizes, reverse=True) and 0 not in sizes


def test_the_first_refusal_else_the_ending_is_in_the_way():
    assert first_code(model("m", Refused(), findings=(_NOTE, _UNKNOWN, _PYTHON))) == "unknown-op"
    assert first_code(model("m", Unreadable("damaged"), findings=(_NOTE,))) == "unreadable"
    assert first_code(model("m", Convertible(), findings=(_NOTE,))) == ""


def test_what_several_models_have_is_said_once_without_their_names():
    def finding(name: str) -> Finding:
        return refusal("unknown-op", f"models/{name} has an op nobody knows")

    one = model("a", Refused(), findings=(_NOTE, finding("a"), finding("a")))
    two = model("b", Refused(), findings=(_WARNING, finding("b")))
    three = model("c", Convertible(), findings=(_NOTE,))
    said = same_findings([one, two, three])
    assert [(s.finding.code, _sources(s.models)) for s in said] == [
        ("unknown-op", ["a", "b"]),
        ("random-op", ["b"]),
        ("device-pin", ["a", "c"]),
    ]
    other = dataclasses.replace(_NOTE, hint="unpin it")
    assert len(same_findings([three, model("d", Convertible(), findings=(other,))])) == 2
