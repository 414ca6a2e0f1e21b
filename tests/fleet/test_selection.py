"""selection.py: which models of a tree are converted."""

from __future__ import annotations

import shlex

import pytest

from migrate.errors import InputError
from migrate.fleet.selection import select, select_to_read, shared_destinations
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


def _destinations(*names):
    return [t.destination for t in select("/t", [f"/t/{name}" for name in names], "/new", Options())]


def test_a_keras_file_becomes_a_directory_without_its_suffix():
    names = ("a/model-01.h5", "a/model-02.h5", "b.keras", "c.hdf5", "d.pb", "e.meta", ".h5", "f.v2.h5")
    expected = ["a/model-01", "a/model-02", "b", "c", "d.pb", "e.meta", ".h5", "f.v2"]
    assert _destinations(*names) == [f"/new/{name}" for name in expected]


@pytest.mark.parametrize("names", [("m.h5", "m.keras"), ("m", "m.h5"), ("m.h5", "m/1"), ("a/m.keras", "a/m/x/1")])
def test_two_models_for_one_directory_are_an_error_that_names_both(names):
    with pytest.raises(InputError) as raised:
        _destinations(*names)
    assert all(f"/t/{name}" in str(raised.value) for name in names)


def test_one_of_two_can_be_left_out():
    models = ["/t/m.h5", "/t/m.keras"]
    (task,) = select("/t", models, "/new", Options(exclude=("m.keras",)))
    assert (task.path, task.destination) == ("/t/m.h5", "/new/m")


@pytest.mark.parametrize(
    ("names", "flags"),
    [
        (("run/x.h5", "run/x.keras"), ["--exclude=run/x.h5"]),
        (("run/x", "run/x.h5"), ["--exclude=run/x.h5"]),
        (("a/x.h5", "a/x.hdf5", "a/x.keras", "b.h5"), ["--exclude=a/x.h5", "--exclude=a/x.hdf5"]),
        (("m.h5", "m/1", "m/2"), ["--exclude=m.h5"]),
        (("m.h5", "m/a.h5", "m/b.h5"), ["--exclude=m.h5"]),
        (("m", "m/1.h5"), ["--exclude=m/1.h5"]),
        (("a b/[1].h5", "a b/[1].keras"), ["--exclude='a b/[[]1].h5'"]),
        (tuple(f"r/{n}.{kind}" for n in "123" for kind in ("h5", "keras")), [f"--exclude=r/{n}.h5" for n in "123"]),
    ],
)
def test_the_flags_that_leave_out_what_clashes_are_told_and_do(names, flags):
    with pytest.raises(InputError) as raised:
        _destinations(*names)
    assert [word for word in shlex.split(str(raised.value)) if word.startswith("--")] == [
        word for flag in flags for word in shlex.split(flag)
    ]
    assert all(flag in str(raised.value) for flag in flags)
    models = [f"/t/{name}" for name in names]
    excluded = tuple(word.partition("=")[2] for flag in flags for word in shlex.split(flag))
    assert len(select("/t", models, "/new", Options(exclude=excluded))) == len(names) - len(flags)
    told = shared_destinations(select_to_read("/t", models, Options()))
    assert [finding.hint.split(", and")[0] for finding in told.values()] == [f"leave it out with {f}" for f in flags]


def test_of_many_that_clash_the_first_few_are_told():
    with pytest.raises(
        InputError, match=r"r/x2\.keras would both .*\.\.\. \(9 in all\); leave out with --exclude"
    ) as raised:
        _destinations(*(f"r/x{n}.{kind}" for n in range(9) for kind in ("h5", "keras")))
    assert str(raised.value).count("--exclude") == 3
