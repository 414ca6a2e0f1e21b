"""The program as a whole: exit codes, streams, and what is said of wrong use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from migrate.errors import InputError, InterruptedRunError
from migrate.records import (
    AlreadyTF2,
    Convertible,
    Crashed,
    Mismatched,
    Refused,
    Unreadable,
)
from tests.cli.fake_api import calls as calls
from tests.cli.fake_api import report, run
from tests.waiting import PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "say what to do: migrate audit PATH says what can be converted; migrate --help lists all commands"),
        ("convrt a b", "there is no command 'convrt'; did you mean migrate convert?"),
        ("help audt", "there is no command 'audt'; did you mean migrate audit?"),
        ("some/model", "there is no command 'some/model'; the commands are audit, convert, validate"),
        ("--format=json audit a", "a command comes first, then its flags: migrate audit --format=json PATH"),
        ("audit", "audit needs PATH...: migrate audit PATH..."),
        ("convert a", "convert takes SOURCE and DESTINATION, not 'a': migrate convert SOURCE DESTINATION"),
        ("convert a b --verify false", "convert takes SOURCE and DESTINATION, not 'a', 'b', 'false'"),
        ("validate a", "validate needs --against=SOURCE or --golden=FILE: migrate validate CANDIDATE --against=SOURCE"),
        ("audit a --tag=serve", "audit has no flag --tag; did you mean --tags?"),
        ("convert a b --noverfy", "convert has no flag --noverfy; did you mean --noverify?"),
        ("audit a --zz=2", "audit has no flag --zz; migrate audit --help lists its flags"),
        ("audit a --judge=tf1", "audit has no flag --judge; --judge is a flag of convert, validate, config, record"),
        ("audit a --judgee=tf1", "audit has no flag --judgee; --judge is a flag of convert, validate, config, record"),
        ("tests", "there is no command 'tests'; did you mean migrate audit tests?"),
        ("convert a b --jobs", "convert: --jobs needs a value: --jobs=N"),
        ("convert a b --judge", "convert: --judge needs a value: --judge=auto|tf2|tf1|both"),
        ("convert a b --jobs=1 -j2", "--jobs is given twice, as '1' and as '2'; give it once"),
        ("audit a --tags x --tags=serve", "--tags is given twice, as 'x' and as 'serve'; give it once"),
        ("audit a --format=xml", "audit: --format=xml: expected text, json, jsonl, csv, markdown or sarif"),
        (
            "audit a --format=jsn",
            "audit: --format=jsn: expected text, json, jsonl, csv, markdown or sarif; did you mean json?",
        ),
        ("audit a --format=csv --security", "--security is shown as text, json, jsonl or sarif, not as csv"),
        ("reprot out", "there is no command 'reprot'; did you mean migrate report?"),
        ("verify a", "there is no command 'verify'; did you mean migrate validate?"),
        ("check a", "there is no command 'check'; did you mean migrate audit?"),
        ("show a", "there is no command 'show'; did you mean migrate audit?"),
        ("convert a b --jobs two", "convert: --jobs=two: expected a whole number, 1 or more"),
        ("convert a b -j two", "convert: --jobs=two: expected a whole number, 1 or more"),
        ("convert a b -j0", "convert: --jobs=0: expected a whole number, 1 or more"),
        ("convert a b --drop-signature", "convert has no flag --drop-signature; did you mean --drop_signatures?"),
        ("convert a b --timeout=soon", "convert: --timeout=soon: expected a whole number from 1 to 604,800"),
        ("audit a --audit_seconds=soon", "audit: --audit_seconds=soon: expected a number, 1 or more"),
        ("audit a --trust=maybe", "audit: --trust=maybe: expected true or false"),
        ("audit a --tags", "audit: --tags needs a value: --tags=TAG,..."),
        ("convert a b --max_ulps=-1", "convert: --max_ulps=-1: expected a whole number, 0 or more"),
        ("convert a b --timeout=0", "convert: --timeout=0: expected a whole number from 1 to 604,800"),
        ("convert a b --timeout=nan", "convert: --timeout=nan: expected a whole number from 1 to 604,800"),
        ("convert a b --noverify=yes", "convert: --noverify=yes does not take an argument"),
        ("audit a --flagfile=no/such/file", "audit: "),
        ("audit a --audit_seconds=nan", "--audit_seconds=nan: expected a number of seconds"),
        ("audit a --audit_seconds=inf", "--audit_seconds=inf: expected a number of seconds"),
    ],
)
def test_wrong_use_is_one_line_that_says_what_is_right(line, expected, calls, capsys):
    assert run(line) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"migrate: {expected}")
    assert err.count("\n") == 1
    assert not calls


@pytest.mark.parametrize(
    ("answer", "code", "err"),
    [
        (report(Convertible()), 0, ""),
        (report(Convertible(), AlreadyTF2()), 0, ""),
        (report(Convertible(), Refused()), 1, ""),
        (report(Unreadable("no such proto")), 1, ""),
        (report(Mismatched("1 of 2 outputs differs")), 1, ""),
        (report(Crashed("golden", -9, "")), 1, ""),
        (report(), 2, "migrate: no model was found in model\n"),
        (InputError("model: there is no such directory"), 2, "migrate: model: there is no such directory\n"),
        (KeyboardInterrupt(), 130, "interrupted; nothing was written\n"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_exit_codes(answer, code, err, form, calls, capsys):
    calls.answer = answer
    assert run(f"audit model --format={form}") == code
    captured = capsys.readouterr()
    assert captured.err == err
    assert (captured.out == "") == (code > 1)


def test_an_interrupted_command_says_how_far_it_came(calls, capsys):
    calls.answer = InterruptedRunError("interrupted: 44 of 169 models done; the same command continues")
    assert run("convert a b") == 130
    assert capsys.readouterr().err == "interrupted: 44 of 169 models done; the same command continues\n"


def test_a_bug_of_ours_comes_with_a_traceback(calls, capsys):
    calls.answer = ZeroDivisionError("one by zero")
    assert run("audit model") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Traceback")
    assert "ZeroDivisionError: one by zero\nmigrate: this is a bug of migrate, not of your model" in err


@pytest.mark.parametrize("line", ["--version", "-V"])
def test_version(line, capsys):
    assert run(line) == 0
    assert re.fullmatch(r"migrate \S+ \(Python \S+, TensorFlow .+\)\n", capsys.readouterr().out)


def _run(code, **pipes):
    return subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, timeout=PATIENCE_SECONDS, **pipes
    )


_FAKE = """
import sys
from migrate import api, cli
from migrate.events import Step
from migrate.records import *
def audit(paths, options, progress):
    from absl import logging
    logging.info("a line of log")
    if progress is not None:
        progress(Step(0, "model", "[reading] it"))
    return Report(tuple(ModelReport(p, None, Kind.TF1_SAVED_MODEL, Refused()) for p in paths) * {copies})
api.audit = audit
sys.exit(cli.main(["migrate", "audit", "model", {flags}]))
"""


def test_standard_output_carries_the_report_and_nothing_else():
    done = _run(_FAKE.format(copies=1, flags="'--format=json', '-v=0'"))
    assert done.returncode == 1
    assert json.loads(done.stdout)["models"][0]["outcome"] == "refused"
    assert re.fullmatch(r"I\d+ .*\] a line of log\nI\d+ .*\] model: \[reading\] it\n", done.stderr)


def test_piped_text_is_plain():
    done = _run(_FAKE.format(copies=1, flags=""))
    assert (done.returncode, done.stderr) == (1, "")
    assert "\x1b" not in done.stdout


def test_progress_is_shown_on_a_terminal_and_gone_when_the_report_comes():
    pty = pytest.importorskip("pty")
    terminal, end = pty.openpty()
    # The model is not done before the terminal has shown it.
    code = _FAKE.format(copies=1, flags="'--format=json'").replace("return", "sys.stdin.readline(); return")
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=end,
        text=True,
        env={**os.environ, "TERM": "xterm"},
    ) as child:
        os.close(end)
        shown = b""
        while b"model: [reading] it" not in shown:
            shown += os.read(terminal, 1 << 16)
        out, _ = child.communicate("go on\n")
    os.close(terminal)
    assert json.loads(out)["models"][0]["source"] == "model"


def test_a_closed_pipe_is_quiet():
    code = _FAKE.format(copies=20000, flags="'--format=json'")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait() == 1


def test_a_full_disk_is_no_bug_of_ours():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", _FAKE.format(copies=1, flags="")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("migrate: standard output cannot be written: ")
    assert done.stderr.count("\n") == 1


def test_python_m_migrate_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "migrate", "convrt"], text=True, capture_output=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 2
    assert done.stderr == "migrate: there is no command 'convrt'; did you mean migrate convert?\n"
