from __future__ import annotations

import dataclasses
import math
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.errors import UsageError
from migrate.option_values import checked
from migrate.records import GivenFeed, GivenSignature, Options


@pytest.mark.parametrize(
    ("taken", "field", "value"),
    [
        ({"tags": "serve"}, "tags", frozenset({"serve"})),
        ({"tags": "serve,gpu"}, "tags", frozenset({"serve", "gpu"})),
        ({"tags": ["serve"]}, "tags", frozenset({"serve"})),
        ({"tags": ""}, "tags", frozenset()),
        ({"tags": None}, "tags", None),
        ({"inputs": pathlib.Path("calls.json")}, "inputs", "calls.json"),
        ({"include": "ads/*"}, "include", ("ads/*",)),
        ({"include": ["a", "b"]}, "include", ("a", "b")),
        ({"max_ulps": np.int64(3)}, "max_ulps", 3),
        ({"timeout": 5}, "timeout", 5.0),
        ({"metadata": {"team": "ads"}}, "metadata", (("team", "ads"),)),
        (
            {"feed": {"keep_prob": 1.0, "training:0": False}},
            "feed",
            (GivenFeed("keep_prob:0", "1.0"), GivenFeed("training:0", "false")),
        ),
        (
            {"feed": {"a": np.float32(0.5), "b": np.array([[1, 2]]), "c": np.str_("text"), "d": np.bool_(True)}},
            "feed",
            (
                GivenFeed("a:0", "0.5"),
                GivenFeed("b:0", "[[1, 2]]"),
                GivenFeed("c:0", "text"),
                GivenFeed("d:0", "true"),
            ),
        ),
        ({"feed": "x:0=1"}, "feed", (GivenFeed("x:0", "1"),)),
        ({"verify": False}, "verify", "none"),
        ({"verify": True}, "verify", "full"),
        ({"verify": "replay"}, "verify", "replay"),
        ({"signature": "f:outputs=y"}, "signature", (GivenSignature("f", (), (("y", "y:0"),)),)),
        (
            {"signature": [GivenSignature("f", (), (("y", "y:0"),))]},
            "signature",
            (GivenSignature("f", (), (("y", "y:0"),)),),
        ),
    ],
)
def test_options_take_what_people_write(taken, field, value):
    found = getattr(Options(**taken), field)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"checkpoint": "lnk"},
            "Options(checkpoint='lnk'): expected auto, link, copy or rewrite; did you mean 'link'?",
        ),
        (
            {"verify": "no"},
            "Options(verify='no'): expected True, False, none, proof, replay or full; did you mean 'none'?",
        ),
        ({"verify": 1}, "Options(verify=1): expected True, False, none, proof, replay or full"),
        ({"allow_unverified": None}, "Options(allow_unverified=None): expected True or False"),
        ({"max_ulps": -1}, "Options(max_ulps=-1): expected a whole number, 0 or more"),
        ({"max_ulps": True}, "Options(max_ulps=True): expected a whole number, 0 or more"),
        ({"max_ulps": 1.5}, "Options(max_ulps=1.5): expected a whole number, 0 or more"),
        ({"jobs": 0}, "Options(jobs=0): expected a whole number, 1 or more"),
        ({"timeout": float("nan")}, "Options(timeout=nan): expected a number of seconds"),
        ({"audit_seconds": "10"}, "Options(audit_seconds='10'): expected a number of seconds"),
        ({"tags": 3}, "Options(tags=3): expected a sequence"),
        ({"tags": [3]}, "Options(tags=3): expected the tags of one tag set"),
        ({"include": [3]}, "Options(include=3): expected text"),
        ({"inputs": 3}, "Options(inputs=3): expected a path"),
        ({"signature": "f"}, "--signature='f': has no outputs"),
        ({"signature": [3]}, "Options(signature=3): expected GivenSignature, or the text of the flag"),
        ({"signature": ["f:outputs=y", "f:outputs=z"]}, "Options(signature=...): 'f' is there twice"),
        ({"feed": "x"}, "--feed='x': expected"),
        ({"feed": {"x": b"1"}}, "Options(feed=b'1'): expected a value of a tensor that JSON can hold"),
        ({"feed": {"x": {1: {2}}}}, "Options(feed={1: {2}}): expected a value of a tensor that JSON can hold"),
        ({"metadata": [("a",)]}, "Options(metadata=('a',)): expected pairs of text"),
    ],
)
def test_options_are_checked_when_they_are_made(wrong, said):
    with pytest.raises(UsageError) as error:
        Options(**wrong)
    assert str(error.value).startswith(said)


def test_the_default_is_not_looked_at():
    default = object()
    assert checked("tags", default, default) is default
    assert checked("unknown", default, default) is default
    assert checked("unknown", 3, None) == 3


@pytest.mark.parametrize(
    "name", ["jobs", "memory_limit_bytes", "tags", "inputs", "config", "runner", "checkpoint_root"]
)
def test_options_that_may_be_none(name):
    assert checked(name, None, "another default") is None


@pytest.mark.parametrize("name", ["max_ulps", "timeout", "include", "metadata", "signature", "feed"])
def test_options_that_may_not(name):
    default = next(field.default for field in dataclasses.fields(Options) if field.name == name)
    with pytest.raises(UsageError, match=rf"^Options\({name}=None\): expected "):
        checked(name, None, default)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=15)
@given(_ANY)
def test_any_value_is_taken_or_told_in_a_line(value):
    for field in dataclasses.fields(Options):
        try:
            found = checked(field.name, value, field.default)
        except UsageError as error:
            assert str(error).startswith(("Options(", "--signature=", "--feed="))
        else:
            assert checked(field.name, found, field.default) == found  # What was checked is what it takes.


@given(st.integers() | st.floats())
def test_a_number_of_seconds_is_one_that_ends(value):
    try:
        found = checked("timeout", value, 600.0)
    except UsageError:
        assert not 0.001 <= value < math.inf
    else:
        assert type(found) is float and 0.001 <= found < math.inf
