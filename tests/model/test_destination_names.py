"""What a new model's directory is called in a new tree."""

from __future__ import annotations

import pytest

from migrate.model.destination_names import renamed, without_suffix


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ads/1", "ads/1"),
        ("model.pb", "model.pb"),
        ("model.v2", "model.v2"),
        ("a.h5/model", "a.h5/model"),
        # What a name is made of alone is no suffix.
        (".h5", ".h5"),
        ("a/.keras", "a/.keras"),
        ("model-01.h5", "model-01"),
        ("a/model.hdf5", "a/model"),
        ("model.v2.keras", "model.v2"),
    ],
)
def test_the_suffix_of_a_keras_file_is_left_out(name, expected):
    assert without_suffix(name) == expected


def test_a_changed_name_is_told():
    (note,) = renamed("/t/model-01.h5", "/new/model-01")
    assert note.code == "destination-renamed"
    assert "/new/model-01" in note.message
    assert renamed("/t/ads/1", "/new/ads/1") == renamed("/t/model-01.h5", "/elsewhere/x") == ()


def test_a_slash_at_the_end_changes_nothing():
    assert renamed("/t/model-01.h5/", "/new/model-01") == renamed("/t/model-01.h5", "/new/model-01")
