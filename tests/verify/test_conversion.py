"""What a new model says of its own conversion."""

from __future__ import annotations

import json
import os

import pytest

from migrate.errors import InputError
from migrate.verify.conversion import read_conversion

_SAID = {
    "arguments": {"f": {"x": "x_1", "sparse": {"indices": "a", "values": "b", "dense_shape": "c"}, "gone": None}},
    "results": {"f": {"y": "output_0"}},
    "variables": {"w": "vars/w/.ATTRIBUTES/VARIABLE_VALUE"},
}


def _model(path, content):
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "migration.json").write_text(content)
    return str(path)


def test_it_is_read_whole(tmp_path):
    assert read_conversion(_model(tmp_path, json.dumps(_SAID))) == _SAID


@pytest.mark.parametrize("key", _SAID)
def test_any_part_may_be_missing(key, tmp_path):
    rest = {name: value for name, value in _SAID.items() if name != key}
    assert read_conversion(_model(tmp_path, json.dumps(rest))) == rest


def test_a_strangers_model_has_none(tmp_path):
    assert read_conversion(str(tmp_path)) == {}


def test_what_else_the_file_says_is_no_matter(tmp_path):
    model = _model(tmp_path, json.dumps({"source": {"path": "m"}, **_SAID}))
    assert read_conversion(model)["results"] == _SAID["results"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"arguments": {"f": {"x": 3}}}',
        '{"arguments": {"f": ["x"]}}',
        '{"variables": {"w": null}}',
        '{"results": {"f": {"y": {"indices": 1}}}}',
    ],
)
def test_a_damaged_one_is_an_error(content, tmp_path):
    with pytest.raises(ValueError):
        read_conversion(_model(tmp_path, content))


def test_a_pipe_is_not_opened(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    os.mkfifo(tmp_path / "assets.extra" / "migration.json")
    with pytest.raises(InputError, match="not a regular file"):
        read_conversion(str(tmp_path))
