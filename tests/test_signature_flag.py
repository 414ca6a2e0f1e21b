from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.errors import UsageError
from migrate.records import GivenSignature
from migrate.signature_flag import as_flag, parse_signature, to_copy


def test_a_flag_there_and_back():
    text = "s:inputs=a=x:0,b=scope/y:1;outputs=c=z:0"
    given = parse_signature(text)
    assert given == GivenSignature("s", (("a", "x:0"), ("b", "scope/y:1")), (("c", "z:0"),))
    assert as_flag(given) == text
    assert parse_signature("s:outputs=scope/z") == GivenSignature("s", (), (("z", "scope/z:0"),))
    text += ";method=tensorflow/serving/classify"
    assert as_flag(parse_signature(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "s:",
        ":outputs=y",
        "s:inputs=x",
        "s:outputs=y:one",
        "s:outputs=a=y,a=z",
        "s:out=y",
        "s:outputs==y",
        "s:outputs=",
        "s:outputs=,;",
    ],
)
def test_what_is_no_signature_says_how_one_is_written(text):
    with pytest.raises(UsageError, match="NAME:inputs=a=x:0"):
        parse_signature(text)


@given(st.lists(st.text(min_size=1), min_size=3, max_size=3, unique=True), st.text())
def test_every_name_can_be_said(names, method):
    key, alias, node = names
    given_signature = GivenSignature(key, ((alias, f"{node}:1"),), (("y", f"{alias}:0"),), method)
    flag_value = as_flag(given_signature)
    assert parse_signature(flag_value) == given_signature
    assert flag_value.isprintable() and not set(flag_value) & set("'\"`$!*?~#&|<(){}[] ")


@pytest.mark.parametrize("text", ["s:outputs=a\\q", "s:outputs=a\\", "s:outputs=a\\x4", "s:outputs=y=y:\u00b2"])
def test_what_escapes_nothing_is_told(text):
    with pytest.raises(UsageError, match=r"backslash|names no tensor"):
        parse_signature(text)


@settings(max_examples=60)
@given(
    st.text(max_size=20)
    | st.lists(st.sampled_from(["s:", "inputs=", "outputs=", ";", "a", ":0", ",", "\\x41"])).map("".join)
)
def test_any_text_is_a_signature_or_says_how_one_is_written(text):
    try:
        found = parse_signature(text)
    except UsageError as error:
        assert str(error).startswith(f"--signature={text!r}: ")
    else:
        assert parse_signature(as_flag(found)) == found


@pytest.mark.parametrize(
    ("text", "key", "outputs"),
    [
        ("a\\:b:outputs=y", "a:b", (("y", "y:0"),)),
        ("s:outputs=a\\,b=y\\=z:1", "s", (("a,b", "y=z:1"),)),
        ("s:outputs=\\x41=\\u00e4:0,\\U0001f600=y", "s", (("A", "\u00e4:0"), ("\U0001f600", "y:0"))),
        ("s:outputs=a=\\U00110000", "s", (("a", "\ufffd:0"),)),
        ("s:;outputs=a/b/c;;", "s", (("c", "a/b/c:0"),)),
    ],
)
def test_escapes_are_parts_of_names(text, key, outputs):
    assert parse_signature(text) == GivenSignature(key, (), outputs)


def test_a_flag_to_copy_is_quoted_where_a_shell_needs_it():
    assert to_copy(GivenSignature("s", (), (("y", "y:0"),))) == "--signature=s:outputs=y=y:0"
    assert (
        to_copy(GivenSignature("s", (("x", "x:0"),), (("y", "y:0"),))) == "--signature='s:inputs=x=x:0;outputs=y=y:0'"
    )
