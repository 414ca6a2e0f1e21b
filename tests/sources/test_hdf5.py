from __future__ import annotations

import h5py
import numpy as np
import pytest

from migrate.errors import InputError
from migrate.sources.hdf5 import StoredTensor, datasets, elements, has_entry, is_in_file, open_hdf5


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as content:
        content["a/kernel"] = np.zeros((2, 3), np.float32)
        content["a/names"] = np.array([b"x"])
        content["a/again"] = content["a"]
        content["soft"] = h5py.SoftLink("/a/kernel")
        content["other"] = h5py.ExternalLink("other.h5", "/a")
        content.attrs["names"] = np.array([[b"one"], [b"two"]])
        content.attrs["name"] = "one"
    return str(path)


def test_the_datasets_of_a_file_and_the_links_that_are_not_followed(file):
    links: list[str] = []
    with open_hdf5(file) as content:
        found = list(datasets(content, "", links, set()))
    assert found == [StoredTensor("a/kernel", "float32", (2, 3)), StoredTensor("a/names", "string", (1,))]
    assert links == ["other", "soft"]


def test_entries_are_looked_at_and_not_opened(file):
    with open_hdf5(file) as content:
        assert [has_entry(content, name) for name in ("a", "soft", "other", "none")] == [True, True, True, False]
        assert [is_in_file(content, name) for name in ("a", "soft", "other", "none")] == [True, False, False, False]


def test_the_elements_of_an_attribute(file):
    with open_hdf5(file) as content:
        assert elements(content.attrs["names"]) == [b"one", b"two"]
        assert elements(content.attrs["name"]) == ["one"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"<!DOCTYPE html><html>", "web page"), (b"\x89HDF\r\n\x1a\n" + b"\xff" * 99, "cannot be read as HDF5")],
)
def test_what_is_no_hdf5(content, said, tmp_path):
    (tmp_path / "model.h5").write_bytes(content)
    with pytest.raises(InputError, match=said), open_hdf5(str(tmp_path / "model.h5")):
        pass
