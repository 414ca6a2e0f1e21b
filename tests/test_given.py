from __future__ import annotations

import pytest

from migrate.given import GivenFeed, GivenSignature

_SIGNATURE = GivenSignature("s", (("x", "x:0"),), (("y", "y:0"),))


def test_a_signature_predicts_where_nothing_else_is_said():
    assert _SIGNATURE.method_name == "tensorflow/serving/predict"
    assert GivenSignature("s", (("x", "x:0"),), (("y", "y:0"),), "tensorflow/serving/classify") != _SIGNATURE


def test_they_are_keys_and_do_not_change():
    feed = GivenFeed("x:0", "1")
    assert {_SIGNATURE: 1, feed: 2}[GivenFeed("x:0", "1")] == 2
    for record, name in ((_SIGNATURE, "key"), (feed, "value")):
        with pytest.raises(AttributeError):
            setattr(record, name, "other")
