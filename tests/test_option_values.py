from __future__ import annotations

import pathlib

import numpy as np
import pytest

from migrate.errors import UsageError
from migrate.records import GivenFeed, GivenSignature, Options


@pytest.mark.parametrize(
    ("given", "field", "value"),
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
        ({"feed": "x:0=1"}, "feed", (GivenFeed("x:0", "1"),)),
        ({"signature": "f:outputs=y"}, "signature", (GivenSignature("f", (), (("y", "y:0"),)),)),
        (
            {"signature": [GivenSignature("f", (), (("y", "y:0"),))]},
            "signature",
            (GivenSignature("f", (), (("y", "y:0"),)),),
        ),
    ],
)
def test_options_take_what_people_write(given, field, value):
    found = getattr(Options(**given), field)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"checkpoint": "lnk"}, "Options(checkpoint='lnk'): wants auto, link, copy or rewrite; did you mean 'link'?"),
        ({"verify": "no"}, "Options(verify='no'): wants True or False"),
        ({"verify": 1}, "Options(verify=1): wants True or False"),
        ({"allow_unverified": None}, "Options(allow_unverified=None): wants True or False"),
        ({"max_ulps": -1}, "Options(max_ulps=-1): wants a whole number, 0 or more"),
        ({"max_ulps": True}, "Options(max_ulps=True): wants a whole number, 0 or more"),
        ({"max_ulps": 1.5}, "Options(max_ulps=1.5): wants a whole number, 0 or more"),
        ({"jobs": 0}, "Options(jobs=0): wants a whole number, 1 or more"),
        ({"timeout": float("nan")}, "Options(timeout=nan): wants a number of seconds"),
        ({"audit_seconds": "10"}, "Options(audit_seconds='10'): wants a number of seconds"),
        ({"tags": 3}, "Options(tags=3): wants a sequence"),
        ({"tags": [3]}, "Options(tags=3): wants the tags of one tag set"),
        ({"include": [3]}, "Options(include=3): wants text"),
        ({"inputs": 3}, "Options(inputs=3): wants a path"),
        ({"signature": "f"}, "--signature='f': has no outputs"),
        ({"signature": [3]}, "Options(signature=3): wants GivenSignature, or the text of the flag"),
        ({"signature": ["f:outputs=y", "f:outputs=z"]}, "Options(signature=...): 'f' is there twice"),
        ({"feed": "x"}, "--feed='x': expected"),
        ({"metadata": [("a",)]}, "Options(metadata=('a',)): wants pairs of text"),
    ],
)
def test_options_are_checked_when_they_are_made(given, said):
    with pytest.raises(UsageError) as error:
        Options(**given)
    assert str(error.value).startswith(said)
