from __future__ import annotations

import json
import re
import shutil
import sys

import hypothesis
import hypothesis.strategies as st
import pytest
import yaml

import migrate
from migrate.errors import InputError
from migrate.records import Convertible, Unreadable
from migrate.sources.keras_source import load_architecture
from migrate.sources.keras_yaml import parse_yaml
from tests.conversions import ROOT

MODELS = ROOT / "testdata" / "keras"


OF_TF1 = ROOT / "testdata" / "keras_tf1"


_LAUGHS = "class_name: Sequential\nconfig:\n" + "".join(
    f"  k{i}: &a{i} [{f'*a{i - 1}, ' * 9 if i else 'x'}]\n" for i in range(40)
)


_HEAD = "class_name: Sequential\nconfig:\n  name: s\n"


def test_a_real_file_of_tf1_is_plain_values():
    config = load_architecture(str(OF_TF1 / "yaml" / "model.yaml"))
    conv, normal = config["config"]["layers"][:2]
    assert conv["config"]["batch_input_shape"] == [None, 6, 6, 2]
    assert conv["config"]["strides"] == conv["config"]["dilation_rate"] == [1, 1]
    assert normal["config"]["axis"] == [3]
    assert (normal["config"]["epsilon"], normal["config"]["center"]) == (0.001, True)
    json.dumps(config)


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch here']",
        "!!python/object/new:os.system ['touch here']",
        "!!python/object:collections.OrderedDict {}",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object/apply:tensorflow.python.training.tracking.data_structures.ListWrapper {args: [[1]]}",
        "!!python/object/apply:tensorflow.python.training.tracking.data_structures.Other [[1]]",
        "!!python/complex 1j",
        "!!binary aGk=",
        "!!set {a}",
        "!mine {a: 1}",
        "2001-12-14",
        "{<<: {a: 1}}",
        "=",
    ],
)
def test_a_tag_that_may_make_an_object_is_refused(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "model.yaml"
    file.write_text(f"{_HEAD}  layers: {value}\n")
    (report,) = migrate.convert(str(file), str(tmp_path / "new")).models
    assert isinstance(report.outcome, Unreadable), report
    assert "line 4" in report.outcome.reason
    assert "\n" not in report.outcome.reason
    assert [path.name for path in tmp_path.iterdir()] == ["model.yaml"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_HEAD + "  layers: [1, 2\n", "cannot be read as YAML"),
        (_HEAD + "  layers: " + "[" * 200 + "]" * 200, "levels"),
        (_HEAD + "  layers: " + "[" * 100_000, "more levels than any|exceeded maximum nesting depth"),
        (_HEAD + "  layers: " + "[\n" * 100_000, "has more levels than any architecture"),
        (_HEAD + "  layers: &a [*a]\n", "not read yet"),
        (_HEAD + "  1: 2\n", "no string"),
        (_HEAD + "--- 1\n", "several YAML documents"),
        (_LAUGHS, "values"),
        ("class_name: Sequential\nbackend: t\n", "not a Keras architecture"),
    ],
    ids=["open", "deep", "deepest", "long", "round", "key", "two", "laughs", "none"],
)
def test_a_bad_yaml_is_named_in_a_line(text, words, tmp_path):
    file = tmp_path / "model.yaml"
    file.write_text(text)
    (report,) = migrate.audit(str(file)).models
    assert isinstance(report.outcome, Unreadable), report
    assert re.search(words, report.outcome.reason)
    assert "\n" not in report.outcome.reason


_NUMBERS = [
    *(("!!bool", text) for text in ("foo", "''", "2")),
    *(
        ("!!int", text)
        for text in ("''", "_", "'-'", "foo", "'0x'", "1:a", "1" * 5000, "0x" + "f" * 5000, "1:" * 3000 + "1")
    ),
    *(("!!float", text) for text in ("''", "foo", "'.'", "_", "'1:'", "1:" * 3000 + "1", "1" * 5000)),
    *(("!!python/long", text) for text in ("''", "foo", "1" * 5000)),
    *(("", text) for text in ("1" * 5000, "0x" + "f" * 5000, "0b" + "1" * 5000, "1" * 5000 + ".0", "1:" * 3000 + "1")),
]


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_what_is_not_of_its_tag_is_named_in_a_line(loader, monkeypatch):
    monkeypatch.setattr(yaml, "CSafeLoader", getattr(yaml, loader))
    for tag, text in _NUMBERS:
        with pytest.raises(InputError, match=r"^f: line 2 has ") as told:
            parse_yaml("f", f"a: 1\nb: {tag} {text}\n".encode())
        assert len(str(told.value)) < 120


@pytest.mark.parametrize("value", ["!!bool foo", "!!int ''", "0x" + "f" * 5000])
def test_such_a_value_ends_no_audit_of_a_tree(value, tmp_path):
    for name in ("a", "c"):
        shutil.copytree(MODELS / "json_hdf5", tmp_path / name)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model.yaml").write_text(f"class_name: Sequential\nconfig: {value}\n")
    outcomes = [type(model.outcome) for model in migrate.audit(str(tmp_path)).models]
    assert outcomes == [Convertible, Unreadable, Convertible]


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize("text", [b"a: \xff\n", b"\xff\xfe\x00", b"a: \x01\n", b"\xfe\xff\xd8\x00"])
def test_a_text_that_is_none_is_named_in_a_line(text, loader, monkeypatch):
    monkeypatch.setattr(yaml, "CSafeLoader", getattr(yaml, loader))
    with pytest.raises(InputError, match=r"^f: cannot be read as YAML: [^\n]+$"):
        parse_yaml("f", text)


def test_what_tags_mean():
    found = parse_yaml("f", b"a: !!python/tuple [1, !!python/unicode 'x', ~, 1e3, 1.0e+3, yes, 0x10]\nb: ! 'q'\n")
    assert found == {"a": [1, "x", None, "1e3", 1000.0, True, 16], "b": "q"}


def _dumped(value):
    return yaml.safe_dump(value, default_flow_style=None).encode()


_PLAIN = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text("aB1.:-~ \n'")
_VALUES = st.recursive(
    _PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1:", max_size=3), inner, max_size=3)
)


@hypothesis.settings(max_examples=40)
@hypothesis.given(_VALUES)
def test_plain_values_are_read_as_pyyaml_wrote_them(value):
    assert parse_yaml("f", _dumped(value)) == value


def test_lists_that_tensorflow_tracks_are_lists():
    tag = "!!python/object/apply:tensorflow.python.training.tracking.data_structures.ListWrapper"
    assert parse_yaml("f", f"a: {tag}\n- [1, 2]\n".encode()) == {"a": [1, 2]}
    assert parse_yaml("f", b"a: &x [1]\nb: *x\n") == {"a": [1], "b": [1]}
    assert parse_yaml("f", b"") is None


def test_without_pyyaml_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(InputError, match=r"^f: a YAML file, which needs PyYAML; run: pip install pyyaml"):
        parse_yaml("f", b"a: 1")


def test_a_text_that_is_too_long_is_not_parsed():
    with pytest.raises(InputError, match=r"^f: a YAML file of 8,388,609 bytes"):
        parse_yaml("f", bytes((1 << 23) + 1))
