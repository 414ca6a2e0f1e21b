from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from migrate import api, cli
from migrate.errors import InputError
from migrate.records import (
    AlreadyTF2,
    Convertible,
    Crashed,
    Kind,
    Mismatched,
    ModelReport,
    Options,
    Refused,
    Report,
    Unreadable,
)
from tests.waiting import PATIENCE_SECONDS


def _report(*outcomes):
    return Report(tuple(ModelReport("model", None, Kind.TF1_SAVED_MODEL, outcome) for outcome in outcomes))


class _Calls(list):
    """Stands in for `migrate.api`: keeps what it was asked and gives one answer."""

    answer = _report(Convertible())

    def __call__(self, name):
        def verb(*operands, **settings):
            self.append((name, operands, settings))
            if isinstance(self.answer, BaseException):
                raise self.answer
            return self.answer

        return verb


@pytest.fixture
def calls(monkeypatch):
    calls = _Calls()
    for verb in ("audit", "convert", "validate"):
        monkeypatch.setattr(api, verb, calls(verb))
    return calls


def _main(line):
    return cli.main(["migrate", *line.split()])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "say what to do: migrate audit PATH..., migrate convert SOURCE DESTINATION,"),
        ("convrt a b", "there is no command 'convrt'; did you mean migrate convert?"),
        ("help audt", "there is no command 'audt'; did you mean migrate audit?"),
        ("some/model", "there is no command 'some/model'; the commands are audit, convert, validate"),
        ("--format=json audit a", "a command comes first, then its flags: migrate audit --format=json PATH"),
        ("audit", "audit takes PATH..., not nothing: migrate audit PATH..."),
        ("convert a", "convert takes SOURCE and DESTINATION, not 'a': migrate convert SOURCE DESTINATION"),
        ("convert a b --verify false", "convert takes SOURCE and DESTINATION, not 'a', 'b', 'false'"),
        ("validate a", "validate needs --against: migrate validate CANDIDATE --against=SOURCE"),
        ("audit a --tag=serve", "audit has no flag --tag; did you mean --tags?"),
        ("convert a b --noverfy", "convert has no flag --noverfy; did you mean --noverify?"),
        (
            "audit a --zz=2",
            "audit has no flag --zz; it has --architecture, --audit_seconds, --checkpoint_root, --config, "
            "--custom_objects, --details, --drop_signatures, --exclude, --feed, --follow_links, --format, "
            "--graph_memory, --help, --include, --jobs, --only_latest_version, --overwrite_signatures, --report, "
            "--security, --signature, --summary, --tags, --take_proposals, --trust, --unpacked_size, --verbosity, "
            "--write_config",
        ),
        ("audit a --format=xml", "audit: flag --format=xml: value should be one of <text|json|sarif>"),
        ("audit a --tags", "audit: Missing value for flag --tags"),
        ("convert a b --max_ulps=-1", "convert: flag --max_ulps=-1: "),
        ("convert a b --timeout=0", "convert: flag --timeout=0: "),
        ("convert a b --timeout=nan", "convert: flag --timeout=nan: "),
        ("convert a b --noverify=yes", "convert: --noverify=yes does not take an argument"),
        ("audit a --flagfile=no/such/file", "audit: "),
        ("audit a --audit_seconds=nan", "--audit_seconds=nan: wants a number of seconds"),
        ("audit a --audit_seconds=inf", "--audit_seconds=inf: wants a number of seconds"),
    ],
)
def test_wrong_use_is_one_line_that_says_what_is_right(line, expected, calls, capsys):
    assert _main(line) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"migrate: {expected}")
    assert err.count("\n") == 1
    assert not calls


def test_an_empty_operand_is_wrong_use(calls, capsys):
    assert cli.main(["migrate", "convert", "a", ""]) == 2
    assert capsys.readouterr().err.startswith("migrate: convert was given an empty path")
    assert not calls


@pytest.mark.parametrize(
    ("answer", "code", "err"),
    [
        (_report(Convertible()), 0, ""),
        (_report(Convertible(), AlreadyTF2()), 0, ""),
        (_report(Convertible(), Refused()), 1, ""),
        (_report(Unreadable("no such proto")), 1, ""),
        (_report(Mismatched("1 of 2 outputs differs")), 1, ""),
        (_report(Crashed("golden", -9, "")), 1, ""),
        (_report(), 2, "migrate: no model was found in model\n"),
        (InputError("model: there is no such directory"), 2, "migrate: model: there is no such directory\n"),
        (KeyboardInterrupt(), 130, "interrupted; nothing was written\n"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_exit_codes(answer, code, err, form, calls, capsys):
    calls.answer = answer
    assert _main(f"audit model --format={form}") == code
    captured = capsys.readouterr()
    assert captured.err == err
    assert (captured.out == "") == (code > 1)


def test_interrupted_convert_says_that_finished_models_stay(calls, capsys):
    calls.answer = KeyboardInterrupt()
    assert _main("convert a b") == 130
    assert capsys.readouterr().err == "interrupted; nothing was written except the models already finished\n"


def test_a_bug_of_ours_comes_with_a_traceback(calls, capsys):
    calls.answer = ZeroDivisionError("one by zero")
    assert _main("audit model") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Traceback")
    assert "ZeroDivisionError: one by zero\nmigrate: this is a bug of migrate, not of your model" in err


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("audit a", ("audit", (["a"],), Options())),
        ("audit a b --tags=serve,gpu", ("audit", (["a", "b"],), Options(tags=frozenset({"serve", "gpu"})))),
        ("audit --tags= a", ("audit", (["a"],), Options(tags=frozenset()))),
        ("audit -- --odd", ("audit", (["--odd"],), Options())),
        ("convert a b", ("convert", ("a", "b"), Options())),
        ("convert a --noverify b", ("convert", ("a", "b"), Options(verify=False))),
        (
            "convert a b --drop_signatures --overwrite --inputs=calls.npz --allow_side_effects"
            " --max_ulps=4 --timeout=60 --tags serve --verify=false",
            (
                "convert",
                ("a", "b"),
                Options(
                    tags=frozenset({"serve"}),
                    verify=False,
                    drop_signatures=True,
                    overwrite=True,
                    inputs="calls.npz",
                    allow_side_effects=True,
                    max_ulps=4,
                    timeout_seconds=60.0,
                ),
            ),
        ),
        ("validate b --against=a --max_ulps=1", ("validate", ("b",), Options(max_ulps=1))),
    ],
)
def test_flags_become_options(line, call, calls):
    assert _main(line) == 0
    ((verb, operands, settings),) = calls
    assert (verb, operands, settings["options"]) == call
    assert (settings["progress"] is None) == (verb != "convert")
    assert settings.get("against") == ("a" if verb == "validate" else None)


def test_each_run_starts_from_the_defaults(calls):
    _main("convert a b --overwrite")
    _main("convert a b")
    assert [settings["options"].overwrite for _, _, settings in calls] == [True, False]


@pytest.mark.parametrize("line", ["--help", "-h", "help"])
def test_help(line, capsys):
    assert _main(line) == 0
    out, err = capsys.readouterr()
    assert "migrate convert SOURCE DESTINATION [FLAGS]" in out
    assert err == ""


@pytest.mark.parametrize("verb", ["audit", "convert", "validate"])
@pytest.mark.parametrize("line", ["{} --help", "help {}", "{} -h", "{} some operand --help"])
def test_help_of_a_verb(verb, line, calls, capsys):
    assert _main(line.format(verb)) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: migrate {verb} ")
    assert "--format=text" in out
    assert max(map(len, out.splitlines())) <= 100
    assert not calls


def test_version(capsys):
    assert _main("--version") == 0
    assert re.fullmatch(r"migrate \S+ \(Python \S+, TensorFlow .+\)\n", capsys.readouterr().out)


def test_what_the_stream_cannot_encode_is_spelled_out(calls, capsys):
    calls.answer = InputError("bad \udcff path")
    assert _main("audit model") == 2
    assert capsys.readouterr().err == "migrate: bad \\udcff path\n"


def _run(code, **pipes):
    return subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, timeout=PATIENCE_SECONDS, **pipes
    )


_FAKE = """
import sys
from migrate import api, cli
from migrate.records import *
def audit(paths, options, progress):
    from absl import logging
    logging.info("a line of log")
    if progress is not None:
        progress("[reading] the model")
    return Report(tuple(ModelReport(p, None, Kind.TF1_SAVED_MODEL, Refused()) for p in paths) * {copies})
api.audit = audit
sys.exit(cli.main(["migrate", "audit", "model", {flags}]))
"""


def test_standard_output_carries_the_report_and_nothing_else():
    done = _run(_FAKE.format(copies=1, flags="'--format=json', '-v=0'"))
    assert done.returncode == 1
    assert json.loads(done.stdout)["models"][0]["outcome"] == "refused"
    assert re.fullmatch(r"I\d+ .*\] a line of log\nI\d+ .*\] \[reading\] the model\n", done.stderr)


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
        while b"[reading] the model" not in shown:
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
