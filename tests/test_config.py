"""What a migrate.toml may say, and for which models."""

from __future__ import annotations

import dataclasses
import os

import hypothesis
import hypothesis.strategies as st
import pytest

from migrate.cli.verbs import VERBS
from migrate.config import (
    KEYS,
    Config,
    ConfigTable,
    Matcher,
    flags_of,
    flags_to_take,
    parse_config,
    read_config,
    unread_configs,
)
from migrate.errors import InputError
from migrate.records import (
    GivenFeed,
    GivenSignature,
    ModelOptions,
    Options,
)

_SIGNATURE = GivenSignature("serving_default", (("x", "x:0"),), (("y", "y:0"),))
_FLAG = "serving_default:inputs=x=x:0;outputs=y=y:0"


def _parsed(text: str) -> Config:
    return parse_config("m.toml", text)


def _options(*lines: str) -> ModelOptions:
    (table,) = _parsed("\n".join(('[models."a"]', *lines))).tables
    return table.options


# What a file may say.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'signature = "{_FLAG}"', {"signature": (_SIGNATURE,)}),
        (f'signature = ["{_FLAG}"]', {"signature": (_SIGNATURE,)}),
        ("signature = []", {"signature": ()}),
        (
            'feed = ["keep_prob=1.0", "train:0=false"]',
            {"feed": (GivenFeed("keep_prob:0", "1.0"), GivenFeed("train:0", "false"))},
        ),
        ('tags = ["serve", "gpu"]', {"tags": ("gpu", "serve")}),
        ('tags = "serve"', {"tags": ("serve",)}),
        ("tags = []", {"tags": ()}),
        ('inputs = "/calls.json"', {"inputs": "/calls.json"}),
        ('golden = "/golden.npz"', {"golden": "/golden.npz"}),
        ("max_ulps = 0", {"max_ulps": 0}),
        ('judge = "tf1"', {"judge": "tf1"}),
        ("max_absolute = 1e-3\nmax_relative = 0", {"max_absolute": 1e-3, "max_relative": 0.0}),
        ("drop_signatures = true", {"drop_signatures": True}),
        ("keep_tensor_names = true", {"keep_tensor_names": True}),
        ("overwrite_signatures = true", {"overwrite_signatures": True}),
        ("verify = false", {"verify": "none"}),
        ("verify = true", {"verify": "full"}),
        ('verify = "replay"', {"verify": "replay"}),
        ("allow_unverified = true", {"allow_unverified": True}),
        ("variables = true", {"variables": True}),
        ('custom_objects = ["my_layers:Scale"]', {"custom_objects": ("my_layers:Scale",)}),
        ('expect = "refused: unknown-op"', {"expect": "refused: unknown-op"}),
        ('expect = "unreadable"', {"expect": "unreadable"}),
    ],
)
def test_each_key_is_read(line, expected):
    assert _options(line) == ModelOptions(**expected)


def test_every_key_is_a_flag_and_an_option():
    assert set(KEYS) == {field.name for field in dataclasses.fields(ModelOptions)}
    options = {field.name for field in dataclasses.fields(Options)}
    assert {*KEYS} - {"expect"} <= options
    # A flag that counts megabytes has another name than the attribute, which counts bytes.
    in_bytes = {"graph_memory_bytes", "memory_limit_bytes", "unpacked_bytes"}
    assert options - {flag.name for verb in VERBS for flag in verb.flags} == {"given", "libraries", *in_bytes}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models = 1", "m.toml: models is 1, not a table"),
        ("[model.a]", "m.toml: unknown table or key 'model'; did you mean models?"),
        ("max_ulps = 1", "m.toml: unknown table or key 'max_ulps'; known are models"),
        ("[models]\na = 1", 'm.toml: [models."a"]: is 1, not a table of options'),
        ('[models.""]\n', 'm.toml: [models.""]: an empty pattern, which matches no model'),
        ('[models."a"]\nmax_ulp = 1', "m.toml: [models.\"a\"]: unknown key 'max_ulp'; did you mean max_ulps?"),
        ('[models."a"]\ntrust = true', "m.toml: [models.\"a\"]: unknown key 'trust'; known are signature, "),
        ('[models."a"]\nmax_ulps = -1', 'm.toml: [models."a"] max_ulps: expected a whole number from 0 on, not -1'),
        ('[models."a"]\nmax_ulps = true', 'm.toml: [models."a"] max_ulps: expected a whole number from 0 on, not true'),
        (
            '[models."a"]\njudge = "tf3"',
            'm.toml: [models."a"] judge: expected one of auto, tf2, tf1, both, not the string',
        ),
        ('[models."a"]\njudge = true', 'm.toml: [models."a"] judge: expected one of auto, tf2, tf1, both, not true'),
        ('[models."a"]\nmax_absolute = -1', 'm.toml: [models."a"] max_absolute: expected a number from 0 on, not -1'),
        ('[models."a"]\nmax_relative = inf', 'm.toml: [models."a"] max_relative: expected a number from 0 on, not inf'),
        ('[models."a"]\nmax_relative = nan', 'm.toml: [models."a"] max_relative: expected a number from 0 on, not nan'),
        ('[models."a"]\nmax_relative = "1"', 'm.toml: [models."a"] max_relative: expected a number from 0 on, not the'),
        ('[models."a"]\nmax_ulps = 1.5', 'm.toml: [models."a"] max_ulps: expected a whole number from 0 on, not 1.5'),
        (
            '[models."a"]\nverify = "no"',
            'm.toml: [models."a"] verify: expected true, false or one of "none", "proof", "replay", "full", not the '
            "string 'no'",
        ),
        (
            '[models."a"]\nverify = 0',
            'm.toml: [models."a"] verify: expected true, false or one of "none", "proof", "replay", "full", not 0',
        ),
        ('[models."a"]\nverify = "true"', 'm.toml: [models."a"] verify: expected true, false or one of'),
        ('[models."a"]\ntags = [1]', 'm.toml: [models."a"] tags: expected a string or a list of strings, not 1'),
        ('[models."a"]\ninputs = ["a"]', "m.toml: [models.\"a\"] inputs: expected a string, not the list ['a']"),
        ('[models."a"]\ninputs = ""', "m.toml: [models.\"a\"] inputs: expected a string, not the string ''"),
        (
            '[models."a"]\nfeed = {a = 1}',
            'm.toml: [models."a"] feed: expected a string or a list of strings, not a table',
        ),
        ('[models."a"]\nfeed = "a"', "m.toml: [models.\"a\"] feed: --feed='a': expected TENSOR=VALUE"),
        ('[models."a"]\nfeed = ["a=1", "a:0=2"]', "m.toml: [models.\"a\"] feed: names 'a:0' twice"),
        ('[models."a"]\nsignature = "x"', "m.toml: [models.\"a\"] signature: --signature='x': has no outputs"),
        ('[models."a"]\nsignature = ["s:outputs=a:0", "s:outputs=b:0"]', "names 's' twice"),
        ('[models."a"]\ncustom_objects = "a"', 'm.toml: [models."a"] custom_objects: --custom_objects=a: expected MOD'),
        (
            '[models."a"]\nexpect = "mismatched"',
            'm.toml: [models."a"] expect: expected "unreadable" or "refused: CODE"',
        ),
        (
            '[models."a"]\nexpect = "refused: unreadable"',
            'm.toml: [models."a"] expect: a model that cannot be read is not refused; write expect = "unreadable"',
        ),
        (
            '[models."a"]\nexpect = "refused: unknwn-op"',
            "m.toml: [models.\"a\"] expect: there is no finding 'unknwn-op'; did you mean unknown-op?",
        ),
        (
            '[models."a"]\nexpect = "refused: answer-differs"',
            "m.toml: [models.\"a\"] expect: there is no finding 'answer-differs'",
        ),
        ("[models", "m.toml: not valid TOML (Expected ']'"),
        ("a = 1\na = 2", "m.toml: not valid TOML (Cannot overwrite a value"),
        ("a = " + "[" * 100_000, "m.toml: not valid TOML"),
        ("a = 1" + "0" * 10_000, "m.toml: not valid TOML"),
        ('[models."\\u001b[2J\\u202e"]\nx = 1', 'm.toml: [models."\\x1b[2J\\u202e"]: unknown key'),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_is_near(text, expected):
    with pytest.raises(InputError) as caught:
        _parsed(text)
    assert expected in str(caught.value)
    assert str(caught.value).isprintable()  # So it is one line, and moves no cursor.


def test_a_file_of_calls_is_named_from_where_the_config_is(tmp_path):
    file = tmp_path / "conf" / "m.toml"
    file.parent.mkdir()
    file.write_text('[models.a]\ninputs = "calls/a.json"\ngolden = "a.npz"\n')
    (table,) = read_config(str(file)).tables
    assert table.options.inputs == str(tmp_path / "conf" / "calls" / "a.json")
    assert table.options.golden == str(tmp_path / "conf" / "a.npz")


def test_what_is_no_file_is_not_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(1 << 40)
    for path, expected in (
        (tmp_path, "directory"),
        (pipe, "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (binary, "no text in UTF-8"),
        (large, "bytes"),
        (tmp_path / "none", "migrate audit MODELS --write_config="),
    ):
        with pytest.raises(InputError, match=expected):
            read_config(str(path))


@pytest.mark.slow
@hypothesis.given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(), st.lists)
)
def test_no_value_of_toml_is_a_bug(value):
    for key in KEYS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("migrate.config.parse_toml", lambda *_, key=key: {"models": {"a": {key: value}}})
            try:
                parse_config("m.toml", "")
            except InputError as error:
                assert str(error).isprintable()


@hypothesis.given(st.text())
def test_no_text_is_a_bug(text):
    try:
        _parsed(text)
    except InputError as error:
        assert str(error).isprintable()


# Which table is for which model.


def _patterns(name: str, *patterns: str) -> list[str]:
    config = Config("m.toml", tuple(ConfigTable(pattern, ModelOptions()) for pattern in patterns))
    return [table.pattern for table in Matcher(config).tables(name)]


@pytest.mark.parametrize(
    ("name", "patterns", "expected"),
    [
        # As --include takes them: the whole path, or a directory on the way; * goes over slashes.
        ("ads/7", ("a", "d", "7", "ds/7", "ads/77"), []),
        ("ads/7", ("ads",), ["ads"]),
        ("ads/7", ("ads/",), ["ads/"]),
        ("a/b/c/1", ("a/*/1", "b/*", "*/c"), ["a/*/1", "*/c"]),
        # The most specific first: the model itself, then the most characters that are no wildcards, then the later.
        ("ads/7", ("*", "ads/7", "ads", "ads/?", "a*"), ["ads/7", "ads/?", "ads", "a*", "*"]),
        ("ads/7", ("ads/[0-9]", "ads*", "ads"), ["ads/[0-9]", "ads", "ads*"]),
        ("ab", ("a*", "*b"), ["*b", "a*"]),
        ("ab", ("*b", "a*"), ["a*", "*b"]),
        # A name may have the characters of patterns in it.
        ("a[1]", ("a[1]",), ["a[1]"]),
        ("a1", ("a[1]",), ["a[1]"]),
        ("a[1]", ("a[[]1]",), ["a[[]1]"]),
        ("a1", ("a[[]1]",), []),
        ("a*", ("a[*]",), ["a[*]"]),
        ("ab", ("a[*]",), []),
        ("a[1]", ("a[1]", "a[[]1]"), ["a[[]1]", "a[1]"]),
        ("x\udcff", ("x?",), ["x?"]),
    ],
)
def test_the_most_specific_pattern_comes_first(name, patterns, expected):
    assert _patterns(name, *patterns) == expected


@pytest.mark.parametrize(
    ("path", "patterns", "expected"),
    [
        ("/m/ads/7", ("ads/7", "7", "m/ads/7", "/m/ads/7"), ["/m/ads/7", "m/ads/7", "ads/7", "7"]),
        ("/m/ads/7", ("ads", "m*", "ads*7", "s/7", "x/m/ads/7"), []),
        ("/m/ads/7", ("*", "ads/*", "*/7"), ["ads/*", "*/7", "*"]),
    ],
)
def test_of_a_model_given_alone_a_pattern_fits_the_end_of_its_path_part_by_part(path, patterns, expected):
    config = Config("m.toml", tuple(ConfigTable(pattern, ModelOptions()) for pattern in patterns))
    assert [table.pattern for table in Matcher(config).tables_alone(path)] == expected


@hypothesis.given(st.lists(st.text("ab/*?[]", min_size=1), max_size=6), st.text("ab/[", min_size=1))
def test_the_order_of_tables_is_total_and_literal_patterns_match_what_fnmatch_does(patterns, name):
    import fnmatch

    found = _patterns(name, *dict.fromkeys(patterns))
    parts = name.split("/")
    ways = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    for pattern in dict.fromkeys(patterns):
        bare = pattern.rstrip("/")
        assert (pattern in found) == any(way == bare or fnmatch.fnmatchcase(way, bare) for way in ways)


_PROPOSED = ModelOptions(signature=(_SIGNATURE,), feed=(GivenFeed("keep_prob:0", "1.0"),))


# What is shown.


def test_flags_are_quoted_and_proposals_are_one_flag_for_many_models():
    assert flags_of("tags", ["a b", "c,d"]) == ("--tags='a b,\"c,d\"'",)
    assert flags_of("drop_signatures", False) == ("--nodrop_signatures",)
    assert flags_of("verify", "none") == ("--verify=none",)
    assert flags_of("feed", ["a:0=1", "b:0=\n"]) == ("--feed=a:0=1", "--feed=b:0=\\n")
    assert flags_to_take(_PROPOSED) == ("--take_proposals",)
    assert flags_to_take(ModelOptions(drop_signatures=True, feed=_PROPOSED.feed)) == (
        "--take_proposals",
        "--drop_signatures",
    )
    assert flags_to_take(ModelOptions(tags=("serve",))) == ("--tags=serve",)


def test_a_config_that_nobody_names_is_found_and_one_that_is_named_is_not(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "migrate.toml").write_text("")
    assert unread_configs(["models", "gs://x"]) == ("models/migrate.toml",)
    (tmp_path / "migrate.toml").symlink_to("models/migrate.toml")
    assert unread_configs(["models"]) == ("migrate.toml",)
