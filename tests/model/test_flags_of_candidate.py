"""What a candidate says of its conversion is a hint beside a bad outcome, and nothing more. No TensorFlow."""

from __future__ import annotations

import dataclasses
import json

import pytest

from migrate.model.flags_of_candidate import with_flags_not_given
from migrate.records import Finding, Mismatched, Options, Refused, Severity, Validated, shaping
from tests.model.recorded import report

_OTHER = Finding("other-meta-graph", Severity.NOTE, "was not taken")
_BAD = report(Mismatched("it differs"), findings=(_OTHER,))
_CONVERTED = Options(
    signature="f:inputs=x=x:0;outputs=y=y:0",
    feed={"keep_prob": 1.0},
    drop_signatures=True,
    variables="large",
    verify="replay",
    jobs=3,
)


def _said(tmp_path, options):
    """A candidate whose migration.json has these options."""
    said = shaping(options) if isinstance(options, Options) else options
    (tmp_path / "assets.extra").mkdir(exist_ok=True)
    (tmp_path / "assets.extra" / "migration.json").write_text(json.dumps({"source": {}, "options": said}))
    return str(tmp_path)


def test_the_flags_of_the_conversion_are_told_first(tmp_path):
    found = with_flags_not_given(_BAD, _said(tmp_path, _CONVERTED), Options())
    assert found.outcome == _BAD.outcome
    hint, other = found.findings
    assert (hint.code, hint.severity, other) == ("flags-not-given", Severity.WARNING, _OTHER)
    assert (
        "converted with --signature='f:inputs=x=x:0;outputs=y=y:0', --feed=keep_prob:0=1.0, --drop_signatures, "
        "--variables=large, and validate was not given that"
    ) in hint.message
    assert "--config" in hint.hint


def test_only_what_was_not_given_is_told(tmp_path):
    given = Options(feed={"keep_prob": 1.0}, drop_signatures=True, variables="large")
    (hint, _) = with_flags_not_given(_BAD, _said(tmp_path, _CONVERTED), given).findings
    assert "--signature" in hint.message and "--feed" not in hint.message
    assert with_flags_not_given(_BAD, _said(tmp_path, _CONVERTED), _CONVERTED) == _BAD
    # What was not asked of convert is no flag that was forgotten.
    assert with_flags_not_given(_BAD, _said(tmp_path, Options()), _CONVERTED) == _BAD


def test_a_refused_source_is_told_of_and_a_good_outcome_is_not(tmp_path):
    candidate = _said(tmp_path, Options(tags="train"))
    (hint,) = with_flags_not_given(report(Refused()), candidate, Options()).findings
    assert "--tags=train" in hint.message
    assert with_flags_not_given(report(Validated()), candidate, Options()) == report(Validated())


@pytest.mark.parametrize(
    "said", [None, 3, [], {"feed": 3}, {"feed": [{"tensor": 1}]}, {"signature": [[]]}, {"tags": {}}]
)
def test_whatever_a_stranger_has_written_is_read(tmp_path, said):
    found = with_flags_not_given(_BAD, _said(tmp_path, said), Options())
    assert found.outcome == _BAD.outcome
    for hint in found.findings[:-1]:
        assert hint.message.startswith(f"migration.json says that this model was converted with --{next(iter(said))},")


def test_nothing_unprintable_is_told(tmp_path):
    candidate = _said(tmp_path, {"variables": "\x1b[31m", "feed": [{"tensor": "a\x1b:0", "value": "1"}]})
    (hint, _) = with_flags_not_given(_BAD, candidate, Options()).findings
    assert hint.message.isprintable()


def test_a_candidate_without_a_provenance_says_nothing(tmp_path):
    assert with_flags_not_given(_BAD, str(tmp_path), Options()) == _BAD
    assert with_flags_not_given(dataclasses.replace(_BAD, findings=()), str(tmp_path), Options()).findings == ()
