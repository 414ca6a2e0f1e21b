"""selection.py: which models of a tree are converted."""

from __future__ import annotations

import pytest

from migrate.errors import InputError
from migrate.fleet.selection import select
from migrate.records import Options

_TREE = ("ads/1", "ads/2", "ads/10", "old/ranker/3", "old/ranker/notes", "ranker/7", "ranker/8", "single")


def _names(**options):
    return [t.name for t in select("/t/", [f"/t/{name}" for name in _TREE], "/new", Options(**options))]


def test_all_by_default_and_where_they_go():
    tasks = select("/t/", [f"/t/{name}" for name in _TREE], "/new", Options())
    assert [t.name for t in tasks] == list(_TREE)
    assert (tasks[0].path, tasks[0].destination) == ("/t/ads/1", "/new/ads/1")


def test_a_model_given_alone_is_taken_whatever_the_patterns():
    (task,) = select("/t/ads/1/", ["/t/ads/1"], "/new", Options(include=("x",), only_latest_version=True))
    assert (task.name, task.path, task.destination) == (".", "/t/ads/1", "/new")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": ("ranker",)}, ["ranker/7", "ranker/8"]),
        ({"include": ("ranker/",)}, ["ranker/7", "ranker/8"]),
        ({"include": ("*/ranker",)}, ["old/ranker/3", "old/ranker/notes"]),
        ({"include": ("*ranker*",)}, ["old/ranker/3", "old/ranker/notes", "ranker/7", "ranker/8"]),
        ({"include": ("ads/1",)}, ["ads/1"]),
        ({"include": ("ads/?", "single")}, ["ads/1", "ads/2", "single"]),
        ({"exclude": ("old", "ads")}, ["ranker/7", "ranker/8", "single"]),
        ({"include": ("ads",), "exclude": ("*/10",)}, ["ads/1", "ads/2"]),
        ({"only_latest_version": True}, ["ads/10", "old/ranker/3", "old/ranker/notes", "ranker/8", "single"]),
        ({"only_latest_version": True, "exclude": ("ads/10",), "include": ("ads",)}, ["ads/2"]),
    ],
)
def test_what_the_options_choose(options, expected):
    assert _names(**options) == expected


def test_nothing_left_is_told():
    with pytest.raises(InputError, match="leave out all 8 models, such as ads/1"):
        _names(include=("nowhere",))
