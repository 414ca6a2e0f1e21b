"""How audit adds what it proposes to a migrate.toml."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import hypothesis
import hypothesis.strategies as st
import pytest

from migrate import config_writer
from migrate.config import (
    Config,
    ConfigTable,
    Matcher,
    parse_config,
    parse_toml,
    read_config,
    values_of,
)
from migrate.config_writer import add_proposals
from migrate.errors import InputError
from migrate.records import (
    Convertible,
    GivenFeed,
    GivenSignature,
    Kind,
    ModelOptions,
    ModelReport,
    Refused,
    Report,
    Unreadable,
    refusal,
)
from migrate.signature_flag import parse_signature

_SIGNATURE = GivenSignature("serving_default", (("x", "x:0"),), (("y", "y:0"),))


_FLAG = "serving_default:inputs=x=x:0;outputs=y=y:0"


def _parsed(text: str) -> Config:
    return parse_config("m.toml", text)


def _report(*models: ModelReport) -> Report:
    return Report(models)


def _refused(source: str, proposed: ModelOptions | None = None, message: str = "there is none") -> ModelReport:
    finding = refusal("no-signature", message)
    return ModelReport(source, None, Kind.FROZEN_GRAPH, Refused(), (finding,), proposed=proposed)


_PROPOSED = ModelOptions(signature=(_SIGNATURE,), feed=(GivenFeed("keep_prob:0", "1.0"),))


def _add(tmp_path: pathlib.Path, *models: ModelReport, text: str | None = None, tree: str = "/t"):
    file = tmp_path / "migrate.toml"
    if text is not None:
        file.write_text(text)
    written = add_proposals(str(file), _report(*models), {tree: [model.source for model in models]})
    return written, file.read_text() if file.exists() else ""


def test_what_is_proposed_is_written_with_its_reason(tmp_path):
    written, text = _add(tmp_path, _refused("/t/a", _PROPOSED), _refused("/t/b"), _ready("/t/c"))
    assert (written.added, written.blocked, written.unmatched) == (("a",), 1, ())
    assert read_config(written.path).tables == (ConfigTable("a", _PROPOSED),)
    assert '# no-signature: there is none\n[models."a"]\n' in text
    assert '# [models."b"]\n# expect = "refused: no-signature"\n' in text
    assert '"c"' not in text


def _ready(source: str) -> ModelReport:
    return ModelReport(source, None, Kind.FROZEN_GRAPH, Convertible())


def test_a_comment_of_a_blocked_model_can_be_made_a_table(tmp_path):
    _, text = _add(tmp_path, _refused("/t/b"))
    uncommented = text.replace('# [models."b"]\n# ', '[models."b"]\n')
    assert _parsed(uncommented).tables == (ConfigTable("b", ModelOptions(expect="refused: no-signature")),)


def test_a_model_that_cannot_be_read_is_a_comment_as_well(tmp_path):
    written, text = _add(tmp_path, _torn("/t/b"))
    assert (written.added, written.blocked) == ((), 1)
    assert "# unreadable: b: torn\\x1b\n" in text
    uncommented = text.replace('# [models."b"]\n# ', '[models."b"]\n')
    assert _parsed(uncommented).tables == (ConfigTable("b", ModelOptions(expect="unreadable")),)


def _torn(source: str) -> ModelReport:
    return ModelReport(source, None, Kind.UNKNOWN, Unreadable("b: torn\x1b"))


def test_again_it_adds_nothing(tmp_path):
    models = (_refused("/t/a", _PROPOSED), _refused("/t/b"), _torn("/t/c"))
    _, text = _add(tmp_path, *models)
    written, again = _add(tmp_path, *models)
    assert (again, written.added, written.blocked) == (text, (), 0)


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("", ["signature", "feed"]),
        ('[models."a"]\nfeed = []  # none\n', ["signature"]),
        (f'[models."a"]\nsignature = "{_FLAG}"', ["feed"]),
        (f'[models."*"]\nsignature = "{_FLAG}"\n', ["feed"]),  # A table for `a` alone would come before the user's.
        (f'[models."*"]\nsignature = "{_FLAG}"\n[models.a]\nfeed=[]', []),
        ("# mine\n\n[models]  # all\n\n[ models . 'a' ] # this\r\ntags=['x']\r\n# end", ["signature", "feed"]),
    ],
)
def test_it_adds_what_nothing_in_the_file_says_and_keeps_every_line(text, added, tmp_path):
    written, whole = _add(tmp_path, _refused("/t/a", _PROPOSED), text=text)
    lines = iter(whole.splitlines())
    assert all(line in lines for line in text.splitlines())
    before, after = _parsed(text), {table.pattern: values_of(table.options) for table in _parsed(whole).tables}
    assert written.added == (("a",) if added else ())
    for table in before.tables:
        assert values_of(table.options).items() <= after[table.pattern].items()
    said = {key for table in before.tables if table.pattern == "a" for key in values_of(table.options)}
    assert set(after.get("a", {})) == said | set(added)
    assert (whole == text) == (not added)


@pytest.mark.parametrize(
    "text",
    ["models.a.tags = ['x']\n", "models = {a = {tags = ['x']}}\n", "[models]\na = {tags = ['x']}\n"],
)
def test_what_cannot_be_added_to_without_a_change_is_left_alone(text, tmp_path):
    with pytest.raises(InputError, match="cannot be added to"):
        _add(tmp_path, _refused("/t/a", _PROPOSED), text=text)
    assert (tmp_path / "migrate.toml").read_text() == text
    assert os.listdir(tmp_path) == ["migrate.toml"]


def test_a_header_in_a_text_of_several_lines_is_no_header(tmp_path):
    text = '[models.b]\ninputs = """\n[models.a]\n"""\n[models."a"]\ntags = ["x"]\n'
    with pytest.raises(InputError, match="cannot be added to"):
        _add(tmp_path, _refused("/t/a", _PROPOSED), _ready("/t/b"), text=text)
    assert (tmp_path / "migrate.toml").read_text() == text


@pytest.mark.parametrize("mark", ["\u2028", "\u0085"])
def test_what_looks_like_a_line_to_python_alone_is_none(mark, tmp_path):
    text = f"[models.b]\nmax_ulps = 1\n# {mark}[models.a]\n[models]\na.max_ulps = 2\n"
    with pytest.raises(InputError, match="cannot be added to"):
        _add(tmp_path, _refused("/t/a", _PROPOSED), _ready("/t/b"), text=text)
    assert (tmp_path / "migrate.toml").read_text() == text


def test_tables_that_match_nothing_any_more_are_told_and_kept(tmp_path):
    text = '[models."gone/*"]\nmax_ulps = 1\n[models."a"]\nmax_ulps = 1\n'
    written, whole = _add(tmp_path, _ready("/t/a"), text=text)
    assert (written.unmatched, whole) == (("gone/*",), text)


def test_versions_of_a_model_that_need_the_same_have_one_table(tmp_path):
    same = [_refused(f"/t/{name}", _PROPOSED) for name in ("ads/1", "ads/2", "b/1", "c/1", "c/2")]
    other = _refused("/t/b/2", dataclasses.replace(_PROPOSED, feed=None))
    ready = _ready("/t/c/3")
    written, _ = _add(tmp_path, *same, other, ready)
    assert sorted(written.added) == ["ads", "b/1", "b/2", "c/1", "c/2"]


def test_a_model_given_alone_is_known_again_by_the_end_of_its_path(tmp_path):
    model = _refused("/m/ads/7", _PROPOSED)
    written, _ = _add(tmp_path, model, tree="/m/ads/7")
    assert written.added == ("ads/7",)
    assert Matcher(read_config(written.path)).tables_alone("/m/ads/7")
    again, _ = _add(tmp_path, model, tree="/m/ads/7")
    assert again.added == ()


_ANY_NAME = st.text(
    st.characters(blacklist_characters="/\0")
    | st.sampled_from("\n\r\t\x7f\x1b\x85\u2028\u202e\ud800\udcff[]*?\"'\\#=.")
).filter(lambda text: text not in ("", ".", ".."))


@hypothesis.given(names=st.lists(_ANY_NAME, min_size=1, max_size=4, unique=True), message=_ANY_NAME)
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_names_and_messages_of_strangers_say_nothing_but_what_they_are(names, message, tmp_path):
    file = tmp_path / "migrate.toml"
    file.unlink(missing_ok=True)
    proposed = ModelOptions(
        signature=(GivenSignature(message, ((names[0], f"{message}:0"),), (("y", "y:0"),)),),
        feed=(GivenFeed("x:0", message),),
    )
    proposed = dataclasses.replace(proposed, feed=None) if _has_surrogates(message) else proposed
    models = [_refused(f"/t/{name}", proposed, message) for name in names]
    blocked = _refused(f"/t/{names[-1]}!", message=message)
    written = add_proposals(str(file), _report(*models, blocked), {"/t": [m.source for m in (*models, blocked)]})
    text = file.read_text()
    assert all(line.isprintable() for line in text.split("\n"))
    config = read_config(str(file))
    assert [table.pattern for table in config.tables] == list(dict.fromkeys(written.added))
    matcher = Matcher(config)
    for name in names:
        assert matcher.tables(name)[0].options == _as_read(proposed)
    assert set(parse_toml("m.toml", text)) == {"models"}


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def _as_read(options: ModelOptions) -> ModelOptions:
    """What a flag means after it was written: a character that is none is read as the one that stands for it."""
    values = values_of(options)
    return dataclasses.replace(options, signature=tuple(parse_signature(text) for text in values["signature"]))


def test_it_is_written_whole_and_through_no_link(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.write_text("")
    link = tmp_path / "migrate.toml"
    link.symlink_to(target)
    with pytest.raises(InputError, match="a link, through which nothing"):
        _add(tmp_path, _refused("/t/a", _PROPOSED))
    assert target.read_text() == ""
    link.unlink()
    link.write_text("# mine\n")
    link.chmod(0o640)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(config_writer.os, "fsync", full)
        with pytest.raises(InputError, match="No space left"):
            _add(tmp_path, _refused("/t/a", _PROPOSED))
    assert link.read_text() == "# mine\n"
    assert sorted(os.listdir(tmp_path)) == ["migrate.toml", "target"]
    _add(tmp_path, _refused("/t/a", _PROPOSED))
    assert link.stat().st_mode & 0o777 == 0o640
