from __future__ import annotations

import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.sources.checkpoint_files import DATA_FILE, SHARDED_V1, STATE_FILE, V1_SHARD, latest_name


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ('model_checkpoint_path: "model.ckpt-5"', "model.ckpt-5"),
        ('all_model_checkpoint_paths: "a"\n  model_checkpoint_path:"b"\n', "b"),
        ('model_checkpoint_path: "/home/me/run/model.ckpt-5"', "model.ckpt-5"),
        (r'model_checkpoint_path: "C:\\run\\model.ckpt-5"', "model.ckpt-5"),
        ('model_checkpoint_path: "model.ckpt-?????-of-00002"', "model.ckpt"),
        ('model_checkpoint_path: "a"\nmodel_checkpoint_path: "b"', "a"),
        ('model_checkpoint_path: ""', ""),
        ("model_checkpoint_path: b", ""),
        ('all_model_checkpoint_paths: "a"', ""),
        ('# model_checkpoint_path: "a"', ""),
        ("", ""),
    ],
)
def test_the_name_in_the_state_file(state, name, tmp_path):
    (tmp_path / STATE_FILE).write_text(state)
    assert latest_name(str(tmp_path)) == name


def test_no_state_file_that_can_be_read(tmp_path):
    assert latest_name(str(tmp_path)) == latest_name(str(tmp_path / "none")) == ""
    os.mkfifo(tmp_path / STATE_FILE)
    assert latest_name(str(tmp_path)) == ""
    (tmp_path / STATE_FILE).unlink()
    with (tmp_path / STATE_FILE).open("wb") as stream:
        stream.write(b'model_checkpoint_path: "a"\n')
        stream.truncate((1 << 20) + 1)
    assert latest_name(str(tmp_path)) == ""


@settings(max_examples=30)
@given(st.binary(max_size=40))
def test_a_name_is_never_a_path(tmp_path_factory, path):
    folder = tmp_path_factory.getbasetemp()
    (folder / STATE_FILE).write_bytes(b'model_checkpoint_path: "' + path + b'"\n')
    assert "/" not in latest_name(str(folder))


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        (DATA_FILE, "m.data-00000-of-00001", True),
        (DATA_FILE, "m.data-0-of-1", False),
        (DATA_FILE, "m.data-00000-of-00001.tmp", False),
        (V1_SHARD, "m-00000-of-00002", True),
        (V1_SHARD, "m-?????-of-00002", False),
        (SHARDED_V1, "m-?????-of-00002", True),
        (SHARDED_V1, "m-00000-of-00002", False),
    ],
)
def test_names_of_files(pattern, name, found):
    assert (re.search(pattern, name) is not None) is found
