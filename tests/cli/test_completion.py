"""`migrate completion SHELL`: the scripts, in the shells that this machine has."""

from __future__ import annotations

import os
import pathlib
import select
import shutil
import subprocess
import time

import pytest

from migrate import cli
from migrate.cli.completion import SHELLS
from migrate.cli.flags import HELP, Kind
from migrate.cli.verbs import VERBS
from migrate.finding_codes import explanations
from tests.waiting import PATIENCE_SECONDS

_NAMES = [verb.name for verb in VERBS]


def _program(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"needs {shell}")
    return found


@pytest.fixture
def script(request, capsys, tmp_path) -> pathlib.Path:
    shell = request.param
    assert cli.main(["migrate", "completion", shell]) == 0
    file = tmp_path / f"completion.{shell}"
    file.write_text(capsys.readouterr().out)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "my models").mkdir()
    (tmp_path / "here" / "my models" / "one.pb").write_text("")
    return file


def test_a_shell_that_is_not_known_is_said(capsys):
    assert cli.main(["migrate", "completion", "zhs"]) == 2
    assert capsys.readouterr().err == "migrate: completion knows bash, zsh, fish, not 'zhs'; did you mean zsh?\n"


@pytest.mark.parametrize("script", SHELLS, indirect=True)
def test_a_script_has_every_command_flag_and_code(script):
    text = script.read_text()
    for verb in VERBS:
        assert verb.name in text
        for flag in verb.flags:
            assert flag.name in text
    for code in explanations():
        assert code in text


def _bash(script: pathlib.Path, line: str) -> list[str]:
    """What bash offers for a line of which the last word is not complete, parted as bash parts words."""
    words = line.replace("=", " = ").split(" ")
    words = [word for number, word in enumerate(words) if word or number == len(words) - 1]
    code = (
        f"source {script}; COMP_WORDS=({' '.join(map(_quoted, words))}); COMP_CWORD={len(words) - 1}; _migrate; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [_program("bash"), "--norc", "-c", code],
        cwd=script.parent / "here",
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert done.stderr == ""
    return sorted(filter(None, done.stdout.split("\n")))


def _fish(script: pathlib.Path, line: str) -> list[str]:
    """What fish offers."""
    done = subprocess.run(
        [_program("fish"), "--no-config", "-c", f"source {script}; complete -C {_quoted(line)}"],
        cwd=script.parent / "here",
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
        env={**os.environ, "HOME": str(script.parent)},
    )
    return sorted(offer.split("\t")[0] for offer in done.stdout.splitlines())


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'") + "'"


@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash(script):
    assert _bash(script, "migrate ") == sorted([*_NAMES, "help", "--help", "--version"])
    assert _bash(script, "migrate aud") == ["audit"]
    assert _bash(script, "migrate help conv") == ["convert"]
    assert _bash(script, "migrate audit --format=") == sorted(["text", "json", "jsonl", "csv", "markdown", "sarif"])
    assert _bash(script, "migrate audit --format=js") == ["json", "jsonl"]
    assert _bash(script, "migrate convert a b --checkpoint l") == ["link"]
    assert _bash(script, "migrate convert --drop-s") == ["--drop_signatures"]
    assert _bash(script, "migrate convert --nover") == ["--noverify"]
    assert _bash(script, "migrate convert --verify=r") == ["replay"]
    assert _bash(script, "migrate convert --jobs=") == []
    assert _bash(script, "migrate audit my") == ["my models"]
    assert _bash(script, "migrate convert --report=my") == ["my models"]
    assert _bash(script, "migrate explain unknown-") == ["unknown-op"]
    assert _bash(script, "migrate completion ") == sorted(SHELLS)
    for verb in VERBS:
        offered = _bash(script, f"migrate {verb.name} --")
        expected = [f"--{flag.name}{'' if flag.kind is Kind.SWITCH else '='}" for flag in verb.flags]
        expected += [f"--{flag.name}" for flag in verb.flags if flag.kind is Kind.LEVEL]
        expected += [f"--no{flag.name}" for flag in verb.flags if flag.is_switch and flag is not HELP]
        assert offered == sorted(expected)


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish(script):
    assert [name for name in _fish(script, "migrate ") if name != "help"] == sorted(_NAMES)
    assert _fish(script, "migrate aud") == ["audit"]
    assert _fish(script, "migrate audit --format=js") == ["--format=json", "--format=jsonl"]
    assert _fish(script, "migrate convert --drop_s") == ["--drop_signatures"]
    assert _fish(script, "migrate audit my") == ["'my models/'"] or _fish(script, "migrate audit my") == ["my models/"]
    assert _fish(script, "migrate explain unknown-") == ["unknown-op"]
    assert _fish(script, "migrate completion ") == sorted(SHELLS)


_STARTED = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
}
_BEFORE = {
    "bash": "bind 'set bell-style none'; source {script}",
    "zsh": "autoload -Uz compinit; compinit -u -D; source {script}",
}


@pytest.mark.parametrize("script", _STARTED, indirect=True)
def test_keys_in_a_terminal(script):
    """Somebody presses Tab; the command that is run then has the whole words."""
    pty = pytest.importorskip("pty")
    shell = script.suffix[1:]
    terminal, end = pty.openpty()
    child = subprocess.Popen(
        [_program(shell), *_STARTED[shell]],
        stdin=end,
        stdout=end,
        stderr=end,
        cwd=script.parent / "here",
        start_new_session=True,
        env={**os.environ, "HOME": str(script.parent), "TERM": "dumb", "PS1": "$ "},
    )
    os.close(end)
    try:
        _type(terminal, f"{_BEFORE[shell].format(script=script)}\n")
        _type(terminal, "migrate() { printf '<%s>' \"$@\"; printf '%s\\n' end; }\n")
        for keys, said in (
            ("migrate aud\tx", b"<audit><x>end"),
            ("migrate convert --dry\t", b"<convert><--dry_run>end"),
            ("migrate audit --format=mark\t", b"<audit><--format=markdown>end"),
            ("migrate audit my\tone\t", b"<audit><my models/one.pb>end"),
            ("migrate explain unknown-\t", b"<explain><unknown-op>end"),
        ):
            _type(terminal, f"{keys}\n")
            shown = _until(terminal, b"end\r\n")
            assert said in shown.replace(b"\r\n", b""), (keys, shown)
    finally:
        child.kill()
        child.wait()
        os.close(terminal)


def _type(terminal: int, keys: str) -> None:
    os.write(terminal, keys.encode())


def _until(terminal: int, mark: bytes) -> bytes:
    shown = b""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not shown.endswith(mark) and shown.count(mark) < 1:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 1 << 16)
    return shown
