"""What is being done, live on a terminal."""

from __future__ import annotations

import dataclasses
import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from migrate.events import Began, Called, Finished, Step, Warned
from migrate.records import Converted, Refused
from migrate.report.live import Display, clock, live
from tests.report.reports import model


def _display():
    console = Console(width=100, force_terminal=False)
    return Display(console), console


def _shown(display, console):
    with console.capture() as shown:
        console.print(display)
    return shown.get()


def test_progress_has_no_orders():
    console = Console(width=100, force_terminal=True, color_system=None)
    display = Display(console)
    with console.capture() as shown:
        display(Warned("\x1b[32mdamaged"))
        display(Step(0, "\x1b[31mmodel\u202e", "\x07converting\n"))
        console.print(display)
    assert r"\x1b[31mmodel\u202e: \x07converting\n" in shown.get()
    assert r"migrate: \x1b[32mdamaged" in shown.get()


def test_a_long_step_has_a_clock():
    now = [100.0]
    console = Console(width=100, force_terminal=True, color_system=None)
    display = Display(console, lambda: now[0])
    display(Step(0, "model", "converting"))
    for seconds, said in ((1, "model: converting"), (67, "[1:07] model: converting"), (3700, "[1:01:40] model: conv")):
        now[0] = 100.0 + seconds
        with console.capture() as shown:
            console.print(display)
        assert any(line.startswith(said) for line in shown.get().splitlines())
    display(Called(0, "model", 3, 10))
    with console.capture() as shown:
        console.print(display)
    assert any(line.startswith("[1:01:40] model: converting, call 3 of 10") for line in shown.get().splitlines())
    display(Step(0, "model", "publishing"))
    with console.capture() as shown:
        console.print(display)
    assert any(line.startswith("model: publishing") for line in shown.get().splitlines())


def test_counts_of_a_fleet():
    display, console = _display()
    display(Began(4, 2))
    for done, (outcome, skipped) in enumerate(((Converted(), False), (Refused(), False), (Converted(), True)), 1):
        display(Finished(0, dataclasses.replace(model("m", outcome), skipped=skipped), done, 4))
    shown = _shown(display, console)
    assert "3/4" in shown and "1 not good, 1 skipped" in shown


def test_a_model_alone_has_no_bar():
    display, console = _display()
    display(Began(1, 1))
    display(Step(0, "m", "reading"))
    assert _shown(display, console).split() == ["m:", "reading"]


def test_workers_are_in_order_and_one_that_has_finished_is_gone():
    display, console = _display()
    for worker in (2, 0, 1):
        display(Step(worker, f"m{worker}", "reading"))
    display(Finished(1, model("m", Converted()), 1, 3))
    assert _shown(display, console).split() == ["m0:", "reading", "m2:", "reading"]
    for worker in range(40):
        display(Step(worker, f"m{worker}", "reading"))
    assert _shown(display, console).count("reading") == 16


@given(st.integers(0, 10**6))
def test_the_clock_is_the_time_that_has_passed(seconds):
    shown = clock(seconds + 0.9)
    assert (shown == "") == (seconds < 2)
    if shown:
        parts = list(map(int, shown.strip("[] ").split(":")))
        assert sum(part * 60**place for place, part in enumerate(reversed(parts))) == seconds
        assert all(part < 60 for part in parts[1:])


def test_live_takes_events_and_leaves_nothing_on_the_screen():
    stream = io.StringIO()
    with live(Console(file=stream, width=80, force_terminal=False)) as listen:
        listen(Step(0, "m", "reading"))
        listen(Warned("damaged"))
    assert stream.getvalue().split() == ["migrate:", "damaged"]
