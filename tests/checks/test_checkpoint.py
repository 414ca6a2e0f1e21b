from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.checks.checkpoint import check, check_entries, parse_slice
from migrate.checks.subject import Subject, Wanted
from migrate.graph.protos import MetaGraphDef
from migrate.records import Kind, Options, Severity
from migrate.sources.bundle import Entry
from migrate.sources.source import Source
from tests.conversions import ROOT

FORMS = ROOT / "testdata" / "forms"
_W = Wanted("var", "w", "", "float32", (4, 2))
_ENTRY = Entry("w", "float32", (4, 2), 0, 0, 32, 0)


def _problem(wanted):
    found = check_entries((wanted,), {"w": _ENTRY}, "model.ckpt")
    assert all((f.severity, f.nodes) == (Severity.REFUSAL, ("var",)) for f in found)
    return [(f.code, f.message) for f in found]


@pytest.mark.parametrize(
    ("slice_spec", "shape"),
    [("", (4, 2)), ("", (None, 2)), ("", (None, None)), ("", None), ("4 2 1,2:-", (2, 2)), ("4 2 -:1,1", (None, 1))],
)
def test_what_the_variable_can_take(slice_spec, shape):
    assert _problem(Wanted("var", "w", slice_spec, "float32", shape)) == []


@pytest.mark.parametrize(
    ("wanted", "code", "says"),
    [
        (("none", "", "float32", (4, 2)), "checkpoint-key-missing", "'none', which is not in model.ckpt"),
        (
            ("w", "", "float64", (4, 2)),
            "checkpoint-entry-differs",
            "is float64 [4, 2], 'w' in the checkpoint is float32",
        ),
        (("w", "", "float64", None), "checkpoint-entry-differs", "of unknown rank"),
        (("w", "", "float32", (2, 4)), "checkpoint-entry-differs", "gives the shape [4, 2]"),
        (("w", "", "float32", (None, 3)), "checkpoint-entry-differs", "is float32 [?, 3]"),
        (("w", "", "float32", (4,)), "checkpoint-entry-differs", "gives the shape [4, 2]"),
        (("w", "4 2 0,2:-", "float32", (4, 2)), "checkpoint-entry-differs", "gives the shape [2, 2]"),
        (("w", "8 2 0,4:-", "float32", (4, 2)), "checkpoint-entry-differs", "not [8, 2] as the restore op says"),
        (("w", "4 2 a", "float32", (4, 2)), "checkpoint-entry-differs", "'4 2 a', which nobody can read"),
    ],
)
def test_what_it_cannot_take(wanted, code, says):
    ((found, message),) = _problem(Wanted("var", *wanted))
    assert found == code
    assert says in message


def test_each_variable_has_a_finding_of_its_own():
    assert _problem(Wanted("var", "w", "", None, None)) == []  # A value is computed of it.
    other = Wanted("other", "none", "", None, None)
    found = check_entries((other, _W, Wanted("third", "w", "", "int8", None)), {"w": _ENTRY}, "model.ckpt")
    assert [f.nodes for f in found] == [("other",), ("third",)]


@pytest.mark.parametrize(
    "spec",
    [
        *("", " ", "4", "x", "4 2", "4 2 0,2", "4 2 0,2:0", "4 2 0,x:-", "a 2 -:-", "4 2 -:-:-", "4 0,2,9", "4 -1,2"),
        *("-4 -", "4_0 -", "\u0664 -", "4 3,2", "4 0,5", "4 0,0", "4 4,1", "9" * 5000 + " -", "4  -", "4 - ", "4 -\n"),
    ],
)
def test_what_is_no_slice(spec):
    """The restore op fails with such a text, and with a slice that is not inside of its tensor."""
    assert parse_slice(spec) is None


def _part(numbers):
    start, length, rest = numbers
    return start + length + rest, (start, length)


_PARTS = st.tuples(st.integers(0, 9), st.integers(1, 9), st.integers(0, 9)).map(_part)
_PARTS |= st.tuples(st.integers(0, 99), st.none())


@settings(max_examples=30)
@given(st.lists(_PARTS, min_size=1, max_size=6))
def test_a_slice_as_restore_ops_spell_it(parts):
    spelled = ":".join("-" if part is None else f"{part[0]},{part[1]}" for _, part in parts)
    full, found = parse_slice(" ".join([*(str(dim) for dim, _ in parts), spelled]))
    assert full == tuple(dim for dim, _ in parts)
    assert list(zip(found.starts, found.lengths, strict=True)) == [part or (0, dim) for dim, part in parts]


def _checked(checkpoint, *wanted, is_restored=True):
    source = Source("m", Kind.CHECKPOINT_META, "m.meta", (MetaGraphDef(),), checkpoint, "assets", "assets.extra")
    return list(check(Subject(source, MetaGraphDef(), (), None, 1, wanted, is_restored, Options())))


def test_a_checkpoint_of_each_format():
    w = Wanted("var", "w", "", "float32", None)
    none = Wanted("var", "none", "", "float32", None)
    for name in ("saver_v1/model.ckpt", "saver_v1_sharded/model.ckpt-?????-of-00002", "saver_steps/model.ckpt-5"):
        assert _checked(str(FORMS / name), w) == []
        (found,) = _checked(str(FORMS / name), w, none)
        assert (found.code, found.nodes) == ("checkpoint-key-missing", ("var",))


def test_what_is_not_restored_is_not_read(tmp_path):
    assert _checked(None) == []
    assert _checked(str(tmp_path / "none"), is_restored=False) == []
    (found,) = _checked(str(tmp_path / "none"))
    assert (found.code, found.severity) == ("checkpoint-unreadable", Severity.REFUSAL)
    assert found.hint.startswith("it holds the values of 1 variable;")


def test_missing_shards_of_an_old_checkpoint_are_told_a_few_at_a_time(tmp_path):
    shutil.copy(FORMS / "saver_v1_sharded" / "model.ckpt-00000-of-00002", tmp_path / "model.ckpt-00000-of-00099")
    found = _checked(os.path.join(tmp_path, "model.ckpt-?????-of-00099"), Wanted("var", "none", "", "float32", None))
    assert [f.code for f in found] == ["checkpoint-shard-missing"] * 10
    assert found[0].nodes == (str(tmp_path / "model.ckpt-00001-of-00099"),)
    assert "1 of 99 shards are there" in found[0].message
