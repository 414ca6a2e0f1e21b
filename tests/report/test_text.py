from __future__ import annotations

import dataclasses
import re

import pytest
from rich.cells import cell_len

from migrate.escapes import visible
from migrate.records import (
    AlreadyTF2,
    Converted,
    Convertible,
    DangerousOp,
    Finding,
    GoldenFile,
    Mismatched,
    NearOutput,
    Refused,
    Report,
    Severity,
    Structure,
    Validated,
    VariableFacts,
    refusal,
)
from migrate.report.layout import UNBOUNDED
from migrate.report.text import render, render_bad
from migrate.signature_flag import parse_signature, to_copy
from tests.report.reports import CLOSE, DIFFERENT, FACTS, LONG, MODELS, NOTE, PARTLY, PASSED, REFUSAL, model

WIDTHS = (60, 80, 120)


def _words(report, width=100):
    """Gives the text with all white space made one space, so that it matters not where lines break."""
    return " ".join(render(report, width).split())


def _one(name, outcome, **fields):
    return _words(Report((model(name, outcome, **fields),)))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "models", [*((m,) for m in MODELS), MODELS], ids=[*(type(m.outcome).__name__ for m in MODELS), "all"]
)
def test_only_a_whole_name_is_wider_than_the_terminal_and_piped_text_is_plain(models, width):
    text = render(Report(models), width)
    assert all(cell_len(line) <= width or LONG in line for line in text.splitlines())
    assert "\x1b" not in text
    assert not any(line != line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("width", WIDTHS)
def test_long_names_are_neither_folded_nor_cut(width):
    shown = " ".join(render(Report((model("m", Refused(), findings=(REFUSAL,)),)), width).split())
    assert f"{LONG}_4 and 12 more" in shown


def test_without_a_width_nothing_is_wrapped():
    """A paragraph is one line, so that grep and diff find it."""
    lines = render(Report(MODELS), UNBOUNDED).splitlines()
    for shown in MODELS:
        for finding in (REFUSAL,) if isinstance(shown.outcome, Refused) else ():
            assert any(line.endswith(visible(finding.message)) for line in lines)


def test_a_path_with_spaces_is_not_broken():
    source = "/models/of a group/" + "x" * 60
    text = render(Report((dataclasses.replace(model("m", Validated()), source=source, destination=source),)), 60)
    assert text.count(source) == 2


@pytest.mark.parametrize("width", [*WIDTHS, UNBOUNDED])
def test_a_flag_to_copy_is_alone_in_its_line_and_there_once(width):
    flag = "--signature='serving_default:inputs=a b=x:0;outputs=y=y:0'"
    hint = f"say what to call, or give --take_proposals; for example {flag} --feed=keep:0=1.0, or ask"
    proposals = (parse_signature("serving_default:inputs=a b=x:0;outputs=y=y:0"), parse_signature("s:outputs=z"))
    flag = to_copy(proposals[0])
    hint = f"say what to call, or give --take_proposals; for example {flag} --feed=keep:0=1.0, or ask"
    refused = model("m", Refused(), findings=(refusal("no-signature", "none", (), hint),), proposals=proposals)
    for models in ((refused,), (refused, model("n", Converted()))):
        lines = [line.strip() for line in render(Report(models), width).splitlines()]
        assert f"{flag} --feed=keep:0=1.0" in lines
        assert "or ask" in lines
        assert to_copy(proposals[1]) in lines
        assert sum(flag in line for line in lines) == 1


def test_a_validation_is_titled_by_the_candidate():
    one = dataclasses.replace(model("m", Validated()), is_validation=True)
    text = _words(Report((one,)))
    assert text.startswith(f"{one.destination}: validated ")
    assert f"against {one.source}" in text and "destination" not in text
    wrong = dataclasses.replace(one, outcome=Mismatched("the signatures differ: ..."))
    assert render(Report((wrong,)), 200).splitlines()[0] == f"{one.destination}: mismatched: the signatures differ: ..."
    table = render(Report((one, dataclasses.replace(wrong, destination="new/other"))), 200).splitlines()
    assert [line.split()[0] for line in table[1:3]] == ["m", "other"]


def test_what_is_not_good_can_be_shown_alone():
    text = render_bad(Report(MODELS), 80)
    assert "models/refused" in text and "models/converted" not in text and "13 models" not in text
    assert render_bad(Report((model("n", Converted()),)), 80) == ""


def test_color_is_for_those_who_ask():
    plain, colored = render(Report(MODELS), 80), render(Report(MODELS), 80, color=True)
    assert "\x1b[" in colored
    unstyled = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert [line.rstrip() for line in unstyled.splitlines()] == plain.splitlines()


@pytest.mark.parametrize(
    ("wanted"),
    [
        "models/m: can be converted",
        "kind TF1 SavedModel",
        "meta graph gpu, serve",
        "TensorFlow 1.15.0",
        "1,234 nodes, 2 ops, 1 function, 12 of them control flow",
        "6 variables (3 ref, 3 resource), at least 50,000 parameters, at least 200.0 kB, 4 trainable, "
        "2 that no signature and no init op reaches",
        "tables 1: hash_table",
        "assets 9: vocabulary_0.txt, vocabulary_1.txt, vocabulary_2.txt, vocabulary_3.txt, vocabulary_4.txt and 4 more",
        "init ops 1: init",
        "signature serving_default, method predict in",
        "in image/encoded string <unknown>",
        "in x float32 (None, 3)",
        "out y float32 ()",
        "signature classify, method classify in inputs int64 coo_sparse (None, 9)",
        "signature bare, no method name",
        r"note stale-shapes first line\nsecond line",
    ],
)
def test_one_model_in_full(wanted):
    shown = _one("m", Convertible(), meta_graphs=(FACTS,), findings=(NOTE,))
    assert wanted in shown.replace("- ", "-")


def test_a_finding_shows_severity_code_message_some_nodes_and_a_hint():
    lines = render(Report((model("m", Refused(), findings=(REFUSAL,)),)), 60).splitlines()
    start = lines.index("  refusal  no-kernel")
    assert lines[start + 1] == "           The op BoostedTreesBucketize has no kernel in"
    assert lines[-2:] == [
        "           hint: Leave out the signature with",
        "           --drop_signatures.",
    ]


@pytest.mark.parametrize(
    ("verification", "wanted"),
    [
        (None, "verification not verified"),
        (
            PASSED,
            "verified: 36 calls, 72 outputs compared, bit for bit; 5 variables",
        ),
        (CLOSE, "verified: 36 calls, 72 outputs compared, at most 3 ulps and 1.25e-07 apart"),
        (CLOSE, "signatures whose calls fail in TF1, too bare You must feed a value"),
        (PARTLY, "unverified: 36 calls, 80 outputs compared, 72 bit for bit, 8 by form alone; 5 variables"),
        (
            PARTLY,
            "no value was compared of other no synthesised call is accepted classify/scores the source itself answers",
        ),
        (DIFFERENT, "differs: 36 calls, 72 outputs compared, 22 mismatches"),
        (DIFFERENT, "serving_default, output y, call 19, tf.saved_model.load value 3: 1.0, not 2.0"),
        (DIFFERENT, "and 2 more; --format=json lists all"),
        (
            dataclasses.replace(PASSED, values=0),
            "unverified: 36 calls, 72 outputs compared, not one value among them",
        ),
    ],
)
def test_verification_in_words(verification, wanted):
    assert wanted in _one("m", Converted(), verification=verification)


def test_the_proof_has_a_line_of_its_own():
    whole = dataclasses.replace(PASSED, gradients_compared=2, structure=Structure(("s/y", "s/z"), 2, 5, 5))
    shown = _one("m", Converted(), verification=whole)
    assert "bit for bit; 5 variables, 2 gradients" in shown
    assert "proof 2 of 2 outputs, 5 of 5 variables" in shown
    is_open = dataclasses.replace(PASSED, structure=Structure(("s/y",), 2, 5, 5, {}, ("s/z",), {"s/z": "no edge"}))
    told = "1 of 2 outputs, 1 as one of the answers that TF1 leaves open, 5 of 5 variables"
    assert f"proof {told}" in _one("m", Converted(), verification=is_open)


def _golden(**more):
    outputs = (
        NearOutput("s", "y", 2, 4, False, 2.5e-7, 1e-8),
        NearOutput("s", "z", 2, 4, False, 1.25e-7, 5e-7),
        NearOutput("s", "n", 2, 4, True, 0.0, 0.0),
    )
    golden = GoldenFile("golden.npz", "TensorFlow 1.4.1", 2, 1e-6, 1e-4, outputs)
    return dataclasses.replace(PASSED, golden=dataclasses.replace(golden, **more))


def test_the_golden_file_has_a_line_of_its_own():
    shown = _one("m", Converted(), verification=_golden())
    assert "golden.npz (TensorFlow 1.4.1): 2 calls, 6 outputs" in shown
    assert "at most 1.25e-07 apart in s/z, 5.0e-07 of the largest in its tensor" in shown
    equal = tuple(dataclasses.replace(o, equal=True, largest=0.0, relative=0.0) for o in _golden().golden.outputs)
    assert "2 calls, 6 outputs, all equal" in _one("m", Converted(), verification=_golden(outputs=equal))
    assert "2 calls, 0 outputs, no value compared" in _one("m", Converted(), verification=_golden(outputs=()))


def test_the_first_thing_that_is_not_proved_is_named():
    not_proved = {"s/z": "TF1 orders nothing", "w": "other bytes"}
    part = dataclasses.replace(PASSED, structure=Structure(("s/y",), 2, 4, 5, not_proved))
    shown = _one("m", Converted(), verification=part)
    assert "1 of 2 outputs, 4 of 5 variables; not s/z (TF1 orders nothing) and 1 more" in shown


def test_a_model_that_was_not_run_is_proved_from_its_graphs():
    alone = dataclasses.replace(PASSED, calls=0, compared=0, values=0, structure=Structure(("s/y",), 1, 5, 5))
    assert "verification proved from the graphs alone" in _one("m", Converted(), verification=alone)


def test_a_call_without_an_answer_names_no_output():
    whole = dataclasses.replace(DIFFERENT, mismatches=(dataclasses.replace(DIFFERENT.mismatches[0], output=""),))
    assert "serving_default, call 0, tf.saved_model.load" in _one("m", Converted(), verification=whole)


def test_a_difference_tells_its_code_and_whom_it_breaks():
    (first, *_) = DIFFERENT.mismatches
    assert "answer-differs, breaks Serving REST, gRPC, Session, Python" in _one(
        "m", Converted(), verification=DIFFERENT
    )
    note = dataclasses.replace(DIFFERENT, mismatches=(dataclasses.replace(first, call=-1, clients=()),), values=1)
    shown = _one("m", Converted(), verification=note)
    assert "answer-differs, breaks nobody" in shown and "mismatch" not in shown
    assert "serving_default, output y, tf.saved_model.load" in shown


def test_audit_says_nothing_of_a_verification_that_it_does_not_make():
    assert "verif" not in _one("m", Convertible(), meta_graphs=(FACTS,))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("already", "is a TF2 SavedModel already; convert copies it as it is"),
        ("unreadable", "cannot be read"),
        ("converted", "converted, verified"),
        ("unverified", "converted, not verified"),
        ("unchanged", "unchanged; it is a TF2 SavedModel already and was copied as it is"),
        ("validated", "validated"),
        ("mismatched", "mismatched: 22 outputs differ"),
        ("nothing", "unverified; nothing differs, and not everything was compared no value was compared"),
        ("failed", "failed No space left on device"),
        ("crashed", "crashed in the step golden killed by signal 11 (SIGSEGV) Fatal Python error: Segmentation fault"),
        ("timed_out", "timed out after 600 seconds in the step candidate"),
    ],
)
def test_headlines(name, wanted):
    (shown,) = (m for m in MODELS if m.source == f"models/{name}")
    assert _words(Report((shown,))).startswith(f"models/{name}: {wanted}")


def test_many_models_are_a_table_then_the_troubles_then_totals():
    lines = render(Report(MODELS), 120).splitlines()
    assert lines[0].split() == ["model", "kind", "TF", "outcome", "sigs", "vars", "findings"]
    assert lines[1].split() == ["convertible", "TF1", "1.15.0", "convertible", "3", "6", "0"]
    assert lines[2].split() == ["already", "TF2", "already", "TF2", "0"]
    text = _words(Report(MODELS))
    assert "models/crashed: crashed" in text
    assert "models/converted: converted" not in text
    assert text.endswith(
        "14 models: 1 convertible; 1 already TF2; 1 unreadable; 1 converted and verified; "
        "1 converted, not verified; 1 unchanged; 1 validated; 1 refused; 1 mismatched; 2 unverified; 1 failed; "
        "1 crashed; 1 timed out blocking findings, by number of models: 1 no-kernel"
    )


def test_a_fleet_is_told_what_most_of_it_waits_for():
    first = next(m for m in MODELS if isinstance(m.outcome, Refused))
    other = dataclasses.replace(first, findings=(refusal("unknown-op", "none"), refusal("unknown-op", "another")))
    text = _words(Report((other, first, first)))
    assert text.endswith("blocking findings, by number of models: 2 no-kernel; 1 unknown-op")


def test_a_narrow_table_leaves_out_kind_and_version():
    assert render(Report(MODELS), 60).splitlines()[0].split() == [
        "model",
        "outcome",
        "sigs",
        "vars",
        "findings",
    ]


def test_trouble_shows_the_refusals_and_not_the_notes():
    refused = model("m", Refused(), findings=(NOTE, REFUSAL))
    text = _words(Report((refused, model("n", Converted()))))
    assert "refusal no-kernel" in text
    assert "stale-shapes" not in text


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (("a/b/one", "a/b/two"), ("one", "two")),
        (("gs://bucket/one", "gs://bucket/two/1"), ("one", "two/1")),
        (("a", "a/b"), ("a", "a/b")),
        (("a/b/", "a/b/c"), ("b", "b/c")),
        (("same", "same"), ("same", "same")),
        (("/x", "y"), ("/x", "y")),
    ],
)
def test_names_in_the_table_leave_out_what_all_share(sources, names):
    models = tuple(dataclasses.replace(model("m", Validated()), source=source) for source in sources)
    lines = render(Report(models), 100).splitlines()
    assert tuple(line.split()[0] for line in lines[1:3]) == names


def test_control_characters_of_a_model_do_not_reach_the_terminal():
    finding = Finding("odd", Severity.NOTE, "\x1b[31mred", ("a\rb", "[bold]c"), "\x07")
    text = render(Report((model("a\x1b]0;title\x07", Converted(), findings=(finding,)),)), 100)
    assert r"\x1b[31mred" in text
    assert r"a\rb, [bold]c" in text
    assert all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize(
    ("shape", "dtype", "wanted"),
    [
        ((), "float32", "1 variable (1 ref), 1 parameter, 4 bytes, 0 trainable"),
        ((2, 3), "complex128", "1 variable (1 ref), 6 parameters, 96 bytes, 0 trainable"),
        ((1_000_000, 535), "float32", "1 variable (1 ref), 535,000,000 parameters, 2.1 GB, 0 trainable"),
        ((None, 3), "float32", "1 variable (1 ref), at least 0 parameters, at least 0 bytes, 0 trainable"),
    ],
)
def test_size_of_variables(shape, dtype, wanted):
    facts = dataclasses.replace(FACTS, variables=(VariableFacts("v", dtype, shape, False, False, True),))
    assert wanted in _one("m", Convertible(), meta_graphs=(facts,))


def test_dangerous_ops_are_shown_and_the_savers_own_are_not():
    write = DangerousOp("WriteFile", "writes-files", "function f", ("a", "b"), True, False, ("serve",))
    lone = DangerousOp("TryRpc", "unknown", "main graph", ("c",), False, False, ("serve",))
    own = DangerousOp("SaveV2", "writes-files", "save graph", ("d",), True, True, ("serve",))
    words = _one("m", AlreadyTF2(), dangerous_ops=(write, lone, own))
    assert "dangerous ops WriteFile writes-files function f nodes: a, b" in words
    assert "TryRpc unknown main graph, which nothing reaches nodes: c" in words
    assert "TryRpc unknown main graph nodes: c" in _one("m", Refused(), dangerous_ops=(write, lone, own))
    assert "SaveV2" not in words
    assert "dangerous ops" not in _one("m", AlreadyTF2(), dangerous_ops=(own,))
