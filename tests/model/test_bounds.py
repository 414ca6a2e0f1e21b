"""How much memory and time the study of a model may take. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.errors import InputError
from migrate.graph.protos import MetaGraphDef
from migrate.model.bounds import check_report, check_signatures, watch_over
from migrate.records import Convertible, Finding, GivenFeed, Kind, Options, Severity
from migrate.sources.source import Source
from migrate.sources.watch import OWN_BYTES
from tests.model.recorded import report

_LITTLE = Options(graph_memory_bytes=OWN_BYTES + (1 << 20))


def test_the_watch_has_the_users_bounds():
    watch = watch_over(Options(graph_memory_bytes=7 << 20, audit_seconds=3.0, unpacked_bytes=5), is_whole=True)
    assert (watch.memory_bytes, watch.seconds_allowed, watch.unpacked_bytes) == (7 << 20, 3.0, 5)
    assert watch.is_whole


@pytest.mark.parametrize(
    ("options", "may_be_stored"),
    [
        (Options(), True),
        (Options(drop_signatures=True), True),
        (Options(feed=(GivenFeed("a:0", "1"),)), False),
        (Options(variables=True), False),
        (Options(plain_gradients=True), False),
        (Options(keep_tensor_names=True), False),
    ],
)
def test_what_changes_nodes_needs_them_as_they_are(options, may_be_stored):
    assert watch_over(options).may_be_stored is may_be_stored


def _finding(message="why", nodes=()):
    return Finding("unknown-op", Severity.REFUSAL, message, nodes)


def test_an_ordinary_report_is_within_bounds():
    check_report(report(Convertible(), findings=(_finding(nodes=("a", "b")),)), watch_over(_LITTLE))


@pytest.mark.parametrize(
    "fields",
    [
        {"findings": (_finding(nodes=("a",) * 2000),)},
        {"findings": (_finding("x" * 200_000),)},
        {"seconds": {f"step {n}": 0.0 for n in range(1500)}},
    ],
    ids=["many nodes", "a long text", "a large mapping"],
)
def test_a_report_that_takes_more_is_refused(fields):
    with pytest.raises(InputError, match=r"^old: .*at least \d+ MB for its report.*--graph_memory"):
        check_report(report(Convertible(), **fields), watch_over(_LITTLE))


def _source(signatures, inputs):
    meta_graph = MetaGraphDef()
    for number in range(signatures):
        for place in range(inputs):
            meta_graph.signature_def[f"s{number}"].inputs[f"x{place}"].name = "x:0"
    return Source("old", Kind.TF1_SAVED_MODEL, "saved_model.pb", (meta_graph,), None, "", "")


def test_signatures_are_counted_before_they_are_planned():
    check_signatures(_source(3, 2), watch_over(_LITTLE))
    for signatures, inputs in (200, 2), (1, 300):
        with pytest.raises(InputError, match=r"^old: .* for its report"):
            check_signatures(_source(signatures, inputs), watch_over(_LITTLE))
