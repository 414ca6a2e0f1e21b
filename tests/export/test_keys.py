"""The keys of a checkpoint. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.export.keys import Keys


def test_they_cannot_be_changed():
    keys = Keys({"v": "vars/v"}, b"")
    with pytest.raises(AttributeError):
        keys.object_graph = b"other"
    assert keys == Keys({"v": "vars/v"}, b"")
