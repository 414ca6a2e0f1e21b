"""Which options apply to which model, and what the journal remembers of them."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.config import COMMAND_LINE, CONFIG, JOURNAL, ConfigTable
from migrate.fleet.model_options import decide, given_options, to_remember, with_expectation
from migrate.records import (
    Converted,
    Crashed,
    GivenFeed,
    Kind,
    ModelOptions,
    ModelReport,
    Options,
    Refused,
    Unchanged,
    Unreadable,
    refusal,
)
from migrate.signature_flag import parse_signature
from tests.fleet.conftest import one_time  # noqa: F401 (for every test)

_LINEAR = "serving_default:inputs=x=x:0;outputs=y=y:0"


_A = ModelOptions(max_ulps=1, tags=("a",), feed=(GivenFeed("a:0", "1"),), verify="none")


_B = ModelOptions(max_ulps=2, drop_signatures=True, expect="refused: unknown-op")


@pytest.mark.parametrize(
    ("options", "tables", "remembered", "expected"),
    [
        (Options(), (), ModelOptions(), {}),
        (
            Options(max_ulps=3),
            (_A, _B),
            ModelOptions(),
            {"max_ulps": 3, "tags": frozenset("a"), "drop_signatures": True},
        ),
        (Options(), (_A, _B), ModelOptions(), {"max_ulps": 1, "verify": "none"}),
        (Options(), (_B, _A), ModelOptions(), {"max_ulps": 2, "tags": frozenset("a")}),
        (
            Options(),
            (_A,),
            ModelOptions(tags=("b",), drop_signatures=True),
            {"tags": frozenset("a"), "drop_signatures": True},
        ),
        # A default that somebody has asked for.
        (Options(given=frozenset({"max_ulps", "verify"})), (_A,), ModelOptions(), {"max_ulps": 0, "verify": "full"}),
        (Options(), (ModelOptions(drop_signatures=False),), _B, {"drop_signatures": False}),
        (Options(), (ModelOptions(feed=()),), _A, {"feed": ()}),
        # Lists are taken whole.
        (Options(feed=(GivenFeed("b:0", "2"),)), (_A,), ModelOptions(), {"feed": (GivenFeed("b:0", "2"),)}),
        # Every tag set is taken.
        (Options(all_tags=True), (_A,), _A, {"tags": None, "max_ulps": 1}),
    ],
)
def test_the_first_that_says_something_has_it(options, tables, remembered, expected):
    decision = decide(options, [ConfigTable(f"t{i}", said) for i, said in enumerate(tables)], remembered)
    assert {name: getattr(decision.options, name) for name in expected} == expected


def test_each_option_says_where_it_comes_from():
    tables = [ConfigTable("a/*", _A), ConfigTable("*", _B)]
    decision = decide(Options(max_ulps=3), tables, ModelOptions(overwrite_signatures=True, tags=("z",)))
    assert [(origin.key, origin.source, origin.pattern) for origin in decision.origins] == [
        ("overwrite_signatures", JOURNAL, ""),
        ("feed", CONFIG, "a/*"),
        ("tags", CONFIG, "a/*"),
        ("drop_signatures", CONFIG, "*"),
        ("max_ulps", COMMAND_LINE, ""),
        ("verify", CONFIG, "a/*"),
        ("expect", CONFIG, "*"),
    ]
    assert decision.expect == "refused: unknown-op"


_ALL = Options(
    signature=(parse_signature(_LINEAR),),
    overwrite_signatures=True,
    feed=(GivenFeed("a:0", "1"),),
    tags=frozenset({"b", "a"}),
    drop_signatures=True,
    inputs="calls.npz",
    max_ulps=3,
    verify=False,
    allow_unverified=True,
    allow_side_effects=True,
    trust=True,
    variables=True,
    custom_objects=("a:B",),
)


def _ended(outcome: object) -> ModelReport:
    return ModelReport("m", None, Kind.FROZEN_GRAPH, outcome)


def test_what_says_what_a_model_is_is_remembered_and_nothing_that_weakens_a_check():
    assert to_remember(_ALL, _ended(Converted()), ModelOptions()) == ModelOptions(
        signature=_ALL.signature, overwrite_signatures=True, feed=_ALL.feed, tags=("a", "b"), drop_signatures=True
    )
    assert to_remember(Options(given=frozenset({"tags"})), _ended(Converted()), _A) == ModelOptions()


@pytest.mark.parametrize("outcome", [Refused(), Crashed("export", -9, "")])
def test_an_attempt_that_comes_to_nothing_is_not_remembered(outcome):
    assert to_remember(_ALL, _ended(outcome), _B) == _B


@pytest.mark.parametrize(
    ("outcome", "codes", "expected", "told"),
    [
        (Refused(), ["unknown-op"], "refused: unknown-op", None),
        (Refused(), ["no-signature", "unknown-op"], "refused: unknown-op", None),
        (Refused(), ["no-signature"], "", "refused for no-signature"),
        (Converted(), [], "", "the model is converted"),
        (Unchanged(), [], "", "the model is unchanged"),
        (Crashed("export", -9, ""), [], "", "the model is crashed"),
    ],
)
def test_a_known_refusal_is_no_failure_and_any_other_ending_is_told(outcome, codes, expected, told):
    report = dataclasses.replace(_ended(outcome), findings=tuple(refusal(code, "why") for code in codes))
    found = with_expectation(report, "refused: unknown-op")
    assert found.expected == expected
    said = [finding.message for finding in found.findings if finding.code == "expectation-outdated"]
    assert [told in message for message in said] == ([True] if told else [])
    assert with_expectation(found, None) == report
    assert with_expectation(found, "refused: unknown-op") == found


@pytest.mark.parametrize(
    ("expect", "outcome", "expected"),
    [
        ("unreadable", Unreadable("torn"), "unreadable"),
        ("unreadable", Refused(), ""),
        ("unreadable", Converted(), ""),
        ("refused: unknown-op", Unreadable("torn"), ""),
    ],
)
def test_a_model_that_is_known_to_be_unreadable_is_no_failure(expect, outcome, expected):
    found = with_expectation(_ended(outcome), expect)
    assert (found.expected, found.ok) == (expected, bool(expected) or outcome == Converted())
    assert [finding.code for finding in found.findings] == ([] if expected else ["expectation-outdated"])


def test_given_options_are_those_that_differ_and_those_that_were_asked_for():
    assert given_options(Options()) == ModelOptions()
    assert given_options(Options(given=frozenset({"drop_signatures"}))) == ModelOptions(drop_signatures=False)
    assert given_options(Options(tags=frozenset())) == ModelOptions(tags=())
