from __future__ import annotations

import pytest

from migrate.errors import InputError
from migrate.graph.protos import MetaGraphDef
from migrate.records import Kind
from migrate.sources.source import Source, choose_meta_graph, training_meta_graph


def _source(*tag_sets, kind=Kind.TF1_SAVED_MODEL):
    meta_graphs = tuple(MetaGraphDef(meta_info_def={"tags": tags.split()}) for tags in tag_sets)
    return Source("m", kind, "m/saved_model.pb", meta_graphs, None, "m/assets", "m/assets.extra")


def _chosen(source, tags=None):
    found = choose_meta_graph(source, None if tags is None else frozenset(tags.split()))
    return next(number for number, meta_graph in enumerate(source.meta_graphs) if meta_graph is found)


@pytest.mark.parametrize(
    ("tag_sets", "tags", "number"),
    [
        (["train"], None, 0),
        ([""], None, 0),
        (["train", "serve"], None, 1),
        (["serve gpu", "serve"], None, 1),
        (["serve gpu", "train"], None, 0),
        (["serve", "serve"], None, 0),
        (["serve gpu", "serve"], "gpu serve", 0),
        (["serve", "train"], "train", 1),
        (["train", ""], "", 1),
        (["a", "b", "b"], "b", 1),
    ],
)
def test_the_meta_graph_that_is_taken(tag_sets, tags, number):
    assert _chosen(_source(*tag_sets), tags) == number


@pytest.mark.parametrize(
    ("tag_sets", "tags", "says"),
    [
        (["serve", "serve gpu"], "gpu", "exactly the tags {gpu}; there are {gpu, serve}, {serve}"),
        (["serve"], "", "exactly the tags {}; there are {serve}"),
        (["serve gpu", "serve tpu", "train"], None, "2 meta graphs have the tag 'serve': {gpu, serve}, {serve, tpu};"),
        (["a", ""], None, "no meta graph has the tag 'serve'; there are {a}, {}; choose one with --tags"),
    ],
)
def test_what_fits_none_or_several(tag_sets, tags, says):
    with pytest.raises(InputError) as caught:
        _chosen(_source(*tag_sets), tags)
    assert str(caught.value).startswith("m: ") and says in str(caught.value)


def test_a_hub_module_is_taken_without_tags_and_trained_with_one():
    source = _source("train", "", kind=Kind.TF1_HUB_MODULE)
    assert _chosen(source) == 1
    assert training_meta_graph(source, source.meta_graphs[1]) is source.meta_graphs[0]
    assert training_meta_graph(source, source.meta_graphs[0]) is None


def test_only_a_hub_module_has_a_meta_graph_for_training():
    for source in (_source("train", ""), _source("", "train other", kind=Kind.TF1_HUB_MODULE)):
        assert [training_meta_graph(source, meta_graph) for meta_graph in source.meta_graphs] == [None, None]
    with pytest.raises(InputError, match="no meta graph has the tag 'serve'"):
        _chosen(_source("train", "other", kind=Kind.TF1_HUB_MODULE))
