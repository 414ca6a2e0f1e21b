"""The text of `--feed`."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from migrate.errors import UsageError
from migrate.feed_flag import feed_option, parse_feed
from migrate.records import GivenFeed


@pytest.mark.parametrize(
    ("text", "tensor", "value"),
    [
        ("keep_prob=1.0", "keep_prob:0", "1.0"),
        ("dropout_1/keras_learning_phase:0=false", "dropout_1/keras_learning_phase:0", "false"),
        ("split:2=[1, 2]", "split:2", "[1, 2]"),
        ("mode=a=b", "mode:0", "a=b"),
        ("mode=", "mode:0", ""),
    ],
)
def test_a_value_is_read(text, tensor, value):
    assert parse_feed(text) == GivenFeed(tensor, value)


@pytest.mark.parametrize("text", ["", "x", "=1", ":0=1", "x:=1", "x:a=1", "x:²=1", f"x:{'9' * 20}=1"])
def test_what_names_no_tensor_is_wrong_use(text):
    with pytest.raises(UsageError, match="expected TENSOR=VALUE"):
        parse_feed(text)


@pytest.mark.parametrize("tensor", ["is_training:0", "x';touch pwned;':0", "$(touch pwned):1", "a b\n:0"])
def test_an_option_to_copy_says_the_same_to_a_shell(tensor, tmp_path):
    feed = GivenFeed(tensor, "fal`touch pwned`se")
    printed = subprocess.run(
        ["sh", "-c", f"printf %s {feed_option(feed)}"], capture_output=True, text=True, cwd=tmp_path, check=True
    ).stdout
    assert printed == shlex.split(feed_option(feed))[0]
    assert parse_feed(printed.removeprefix("--feed=")) == feed
    assert not list(tmp_path.iterdir())
