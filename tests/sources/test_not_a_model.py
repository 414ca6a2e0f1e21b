from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.sources.not_a_model import describe_stray, is_mangled_text

_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty (0 bytes)"),
        (_POINTER, "run `git lfs pull`"),
        (b"/annex/objects/SHA256E-s1--00.pb\n", "run `git annex get`"),
        (b"../.git/annex/objects/x/y/KEY/KEY", "run `git annex get`"),
        (b"\n <!DOCTYPE html><p>", "is a web page"),
        (b"<HTML>", "is a web page"),
        (b"<?xml version='1.0'?><Error>", "is a web page"),
    ],
)
def test_what_replaces_a_file_by_mistake(data, says):
    assert says in describe_stray(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x01\x12\x00",
        b"node { name: '<html>' }",
        b"x" + _POINTER,
        b"see annex/objects/KEY and more\n",
        b"a\nannex/objects/KEY",
        b"annex/objects/" + b"x" * 1024,
    ],
)
def test_what_may_be_a_model(data):
    assert describe_stray(data) is None


@pytest.mark.parametrize(
    ("data", "mangled"),
    [
        (b"", False),
        (b"\r\n" * 15, False),
        (b"\r\n" * 16, True),
        (b"\r\n" * 16 + b"\n", False),
        ("a\ufffdb".encode(), True),
        ("a\ufffdb".encode() + b"\xff", False),
        ("caf\u00e9".encode(), False),
    ],
)
def test_text_conversions(data, mangled):
    assert is_mangled_text(data) is mangled


@settings(max_examples=50)
@given(st.binary(min_size=1))
def test_bytes_that_went_through_a_conversion(data):
    decoded = data.decode("utf-8", "replace")
    if decoded.encode() != data:
        assert is_mangled_text(decoded.encode())
    assert is_mangled_text(data.replace(b"\n", b"\r\n") + b"\r\n" * 16)
