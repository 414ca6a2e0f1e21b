"""What the files of a model are, before anything opens them. No TensorFlow."""

from __future__ import annotations

import os
import shutil

import pytest

from migrate.errors import InputError
from migrate.model.file_checks import check_candidate_files, link_findings, own_boundary, refuse_links
from migrate.records import Options, Severity
from migrate.sources.boundary import boundary_of
from migrate.sources.discover import place_of
from tests.conversions import MODELS

_FOLLOW = Options(follow_links=True)


@pytest.fixture
def model(tmp_path):
    return shutil.copytree(MODELS / "vocabulary", tmp_path / "model", copy_function=shutil.copyfile)


@pytest.fixture
def linked(model, tmp_path):
    """A model of which one file is a link that leads out of it."""
    shutil.move(model / "saved_model.pb", tmp_path / "elsewhere")
    (model / "saved_model.pb").symlink_to(tmp_path / "elsewhere")
    return str(model)


def test_an_ordinary_model_passes(model, tmp_path):
    (tmp_path / "link").symlink_to(model)
    for path in (str(model), str(tmp_path / "link")):  # What the user names may be a link.
        assert link_findings(place_of(path), path, Options()) == ()
        refuse_links(path, Options())
        check_candidate_files(path, Options())


def test_a_link_that_leads_out_is_refused(linked):
    (found,) = link_findings(place_of(linked), linked, Options())
    assert (found.code, found.severity) == ("link-leads-out", Severity.REFUSAL)
    for check in refuse_links, check_candidate_files:
        with pytest.raises(InputError, match=f"^{linked}: .*saved_model.pb.*--follow_links"):
            check(linked, Options())


def test_a_link_is_followed_where_the_user_says_so(linked):
    assert all(found.severity is not Severity.REFUSAL for found in link_findings(place_of(linked), linked, _FOLLOW))
    refuse_links(linked, _FOLLOW)
    check_candidate_files(linked, _FOLLOW)


def test_a_pipe_in_a_candidate_is_refused_and_not_opened(model):
    os.mkfifo(model / "assets" / "pipe")
    for options in Options(), _FOLLOW:
        with pytest.raises(InputError, match=r"assets/pipe .*; put a file in its place or remove it"):
            check_candidate_files(str(model), options)


def test_a_pipe_that_a_followed_link_leads_to_is_refused(model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    os.mkfifo(tmp_path / "elsewhere" / "pipe")
    (model / "assets" / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"assets/more/pipe .*; put a file in its place or remove it"):
        check_candidate_files(str(model), _FOLLOW)


def test_what_is_no_model_is_told(tmp_path):
    for check in refuse_links, check_candidate_files:
        with pytest.raises(InputError, match="absent: not a model "):
            check(str(tmp_path / "absent"), Options())


def test_own_files_are_below_the_path_that_is_named(model):
    place = place_of(str(model))
    assert own_boundary(place, str(model)) == boundary_of(str(model))
    assert own_boundary(place, str(model)).holds(os.path.realpath(model / "saved_model.pb"))
    assert not own_boundary(place, str(model)).holds(os.path.realpath(MODELS))
