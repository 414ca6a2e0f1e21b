"""Which releases may import a candidate. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.graph_versions import version_differences


def _graph(producer, min_consumer=0, bad=()):
    graph = MetaGraphDef()
    versions = graph.graph_def.versions
    versions.producer, versions.min_consumer = producer, min_consumer
    versions.bad_consumers.extend(bad)
    return graph


@pytest.mark.parametrize(
    ("source", "new"),
    [
        (_graph(22), _graph(2474, 12)),
        (_graph(440, 30, [7]), _graph(2474, 30, [7])),
        (_graph(440), _graph(440)),
    ],
)
def test_what_an_export_writes_is_no_difference(source, new):
    assert list(version_differences([source], new, "contract")) == []


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (_graph(2474, 2474), "releases before 2474 are to refuse it, expected 12"),
        (_graph(2474, 13), "releases before 13"),
        (_graph(2474, 12, [2475]), "the release 2475 is to refuse it"),
        (_graph(20, 12), "it is of the release 20, and the source's of 440"),
    ],
)
def test_a_release_that_is_shut_out_is_told(new, reason):
    (found,) = version_differences([_graph(440, 12)], new, "contract")
    assert found.code == "graph-version-differs" and found.reason.startswith(reason)


def test_a_keras_file_has_no_version():
    assert list(version_differences((), _graph(2474, 12), "contract")) == []
    assert len(list(version_differences((), _graph(2474, 99, [1]), "contract"))) == 2
