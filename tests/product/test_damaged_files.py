"""Files of ours that somebody or something has changed: what is wrong is said in a line, and nothing of it is a bug."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import socket

import pytest

import migrate
from migrate import cli
from migrate.errors import InputError
from migrate.export.provenance import rename_source, source_of
from migrate.fleet.existing import copy_model, is_ours
from migrate.fleet.journal import Entry, damage, open_journal, read_journal
from migrate.records import Report
from tests.conversions import MODELS as BUNDLED
from tests.report.reports import MODELS

pytestmark = pytest.mark.process

_SEEDS = 60
_VALUES = (
    *(None, True, 0, -1, 1.5, 1e308, -1e308, 10**30, 10**5000, float("nan"), float("inf")),
    *("", "x", "NaN", "\ud800", "\udcff", "\x00\x1b[2J", "../../x", "/"),
    *([], {}, [[]], [None], {"": None}, {"_": "dict"}, {"_": "Finding"}, {"_": []}),
)


def _values(text, chance):
    """JSON with one to three of its values changed, taken out or put in twice."""
    try:
        content = json.loads(text)
    except ValueError:
        return text
    for _ in range(chance.randint(1, 3)):
        places = list(_places(content))
        if not places:
            break
        holder, key = chance.choice(places)
        match chance.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[chance.choice(("", "_", "source", "x"))] = holder.pop(key)
            case 2:
                other, place = chance.choice(places)
                if (isinstance(other, dict) and place in other) or (isinstance(other, list) and place < len(other)):
                    holder[key] = copy.deepcopy(other[place])
            case _:
                holder[key] = copy.deepcopy(chance.choice(_VALUES))
    return "\n".join(_dumped(content).splitlines()).encode()


def _dumped(content):
    try:
        return json.dumps(content)
    except ValueError:  # A number of more digits than Python writes.
        return "{}"


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


def _bytes(text, chance):
    """Text with some of its bytes changed, cut out or put in twice."""
    data = bytearray(text)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randrange(40)]
            case 2:
                data[at:at] = data[at : at + chance.randrange(40)]
            case 3:
                data[at:at] = chance.choice((b"\0", b"[", b"{", b'"', b"1" * 5000, b"\xff", b"[" * 1200, b"\n"))
            case _:
                data = data[: chance.randrange(len(data) + 1)]
    return bytes(data)


def _lines(change):
    def changed(text, chance):
        lines = text.splitlines()
        at = chance.randrange(len(lines))
        lines[at] = change(lines[at], chance)
        return b"\n".join(lines) + b"\n"

    return changed


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    migrate.write_report(Report(MODELS), str(directory))
    return directory


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tree")
    with open_journal(str(directory)) as journal:
        for model in MODELS:
            journal.add(Entry(model.source, "identity", "settings", model))
    return directory


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """A model that this program has converted, as far as its own notes say."""
    directory = tmp_path_factory.mktemp("new") / "model"
    shutil.copytree(BUNDLED / "simple_save", directory)
    (directory / "assets.extra").mkdir(exist_ok=True)
    content = {
        "schema_version": 1,
        "source": {"path": "/models/simple", "file": "saved_model.pb"},
        "saved_model_sha256": "0",
        "options": {"verify": True, "tags": ["serve"]},
        "arguments": {
            "serving_default": {"x": "x", "y": {"indices": "a", "values": "b", "dense_shape": "c"}, "z": None}
        },
        "results": {"serving_default": {"y": "y"}},
        "variables": {f"v{number}": f"vars/{number}/.ATTRIBUTES/VARIABLE_VALUE" for number in range(20)},
        "sources": {"v": {"key": "v", "slice": ""}},
    }
    (directory / "assets.extra" / "migration.json").write_text(json.dumps(content, indent=1))
    return directory


def _said(arguments, capsys):
    """The exit code of a command and what it says, which is never a traceback."""
    code = cli.main(["migrate", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert code in (0, 1, 2), err
    assert "Traceback" not in err
    return code, out, err


@pytest.mark.parametrize("change", [_bytes, _values])
def test_a_damaged_report_is_told_in_a_line_or_shown(change, report, tmp_path, capsys):
    text = (report / "report.json").read_bytes()
    codes = set()
    for seed in range(_SEEDS):
        (tmp_path / "report.json").write_bytes(change(text, random.Random(seed)))
        code, _, err = _said(["report", tmp_path], capsys)
        assert err.count("\n") == 1 and "\x1b" not in err
        codes.add(code)
    assert 2 in codes <= {0, 2}
    (tmp_path / "report.json").write_bytes(text)
    assert _said(["report", tmp_path], capsys)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("change", [_bytes, _lines(_bytes), _lines(_values)])
def test_a_damaged_journal_is_told_in_a_line_and_the_rest_is_known(change, tree, tmp_path, capsys):
    text = (tree / ".migrate" / "journal.jsonl").read_bytes()
    names = {model.source for model in MODELS}
    (tmp_path / ".migrate").mkdir()
    damaged = 0
    for seed in range(_SEEDS):
        (tmp_path / ".migrate" / "journal.jsonl").write_bytes(change(text, random.Random(seed)))
        journal = read_journal(str(tmp_path))
        known = [name for name in names if journal.get(name)]
        if change is not _bytes:
            assert len(known) + journal.damaged >= len(names) - 2  # Of the line that was changed nothing may be left.
        _, _, err = _said(["report", tmp_path], capsys)
        assert err.count("\n") <= 2 and "\x1b" not in err
        assert ("damaged line" in err) == bool(journal.damaged)
        damaged += journal.damaged
        with open_journal(str(tmp_path)) as again:
            assert {name for name in names if again.get(name)} == set(known)
            again.add(Entry("one more", None, "settings", MODELS[0]))
        assert read_journal(str(tmp_path)).get("one more")
    assert damaged > _SEEDS // 4


@pytest.mark.parametrize("change", [_bytes, _values])
def test_a_damaged_provenance_is_believed_in_nothing(change, new, tmp_path):
    text = (new / "assets.extra" / "migration.json").read_bytes()
    for seed in range(_SEEDS):
        model = tmp_path / str(seed)
        shutil.copytree(new, model)
        (model / "assets.extra" / "migration.json").write_bytes(change(text, random.Random(seed)))
        assert not is_ours(str(model), "/models/simple", None, None)
        assert source_of(str(model)) is None or isinstance(source_of(str(model)), str)
        for act in (
            lambda model=model: rename_source(str(model), "/other"),
            lambda model=model: copy_model(str(model), f"{model}-copy", "/other", "copy", overwrite=False),
        ):
            try:
                act()
            except (InputError, ValueError) as error:
                assert "\n" not in str(error)


def test_a_model_whose_line_is_damaged_is_done_again_and_it_is_said(tmp_path, capsys):
    """In a dry run, which starts no TensorFlow."""
    for name in ("a", "b"):
        shutil.copytree(BUNDLED / "simple_save", tmp_path / "tree" / name)
    new = tmp_path / "new"
    with open_journal(str(new)) as journal:
        journal.add(Entry("a", "x", "y", MODELS[0]))
    (new / ".migrate" / "journal.jsonl").open("ab").write(b'{"schema_version": 2, "name": 3}\n')
    code, _, err = _said(["convert", tmp_path / "tree", new, "--dry_run"], capsys)
    assert code == 0
    assert f"migrate: {damage(str(new), read_journal(str(new)))}\n" in err and "1 damaged line;" in err


def _pipe(path):
    os.mkfifo(path)


def _socket(path):
    here = os.getcwd()
    os.chdir(os.path.dirname(path))  # A socket's path has a hundred bytes at most.
    try:
        socket.socket(socket.AF_UNIX).bind(os.path.basename(path))
    finally:
        os.chdir(here)


def _link_to_a_pipe(path):
    os.mkfifo(f"{path}.pipe")
    os.symlink(f"{path}.pipe", path)


_OTHERS = (_pipe, _socket, os.mkdir, _link_to_a_pipe)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", _OTHERS, ids=lambda make: make.__name__.strip("_"))
@pytest.mark.parametrize("name", ["journal.jsonl", "lock"])
def test_something_else_than_a_file_of_a_journal_is_told_and_not_waited_for(name, make, tmp_path, capsys):
    (tmp_path / "new" / ".migrate").mkdir(parents=True)
    make(str(tmp_path / "new" / ".migrate" / name))
    for model in ("a", "b"):
        shutil.copytree(BUNDLED / "simple_save", tmp_path / "tree" / model)
    code, _, err = _said(["convert", tmp_path / "tree", tmp_path / "new"], capsys)
    assert code == 2 and err.count("\n") == 1 and name in err
    if name == "journal.jsonl":
        code, _, err = _said(["report", tmp_path / "new"], capsys)
        assert code == 2 and err.count("\n") == 1 and name in err


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", _OTHERS, ids=lambda make: make.__name__.strip("_"))
def test_something_else_than_a_report_is_told_and_not_waited_for(make, tmp_path, capsys):
    make(str(tmp_path / "report.json"))
    code, _, err = _said(["report", tmp_path], capsys)
    assert code == 2 and err.count("\n") == 1 and "report.json" in err


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", _OTHERS[:3], ids=lambda make: make.__name__.strip("_"))
def test_something_else_than_a_provenance_is_told_and_not_waited_for(make, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    make(str(tmp_path / "assets.extra" / "migration.json"))
    assert source_of(str(tmp_path)) is None
