"""What is being done, live on a terminal."""

from __future__ import annotations

from migrate.report.live import Display


def test_progress_has_no_orders():
    from rich.console import Console

    from migrate.events import Step, Warned

    console = Console(width=100, force_terminal=True, color_system=None)
    display = Display(console)
    with console.capture() as shown:
        display(Warned("\x1b[32mdamaged"))
        display(Step(0, "\x1b[31mmodel\u202e", "\x07converting\n"))
        console.print(display)
    assert r"\x1b[31mmodel\u202e: \x07converting\n" in shown.get()
    assert r"migrate: \x1b[32mdamaged" in shown.get()


def test_a_long_step_has_a_clock():
    from rich.console import Console

    from migrate.events import Called, Step

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
