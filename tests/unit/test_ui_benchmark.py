"""The parts of the app's benchmark: the terminal, what counts as an answer, and what its tables say."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.ui import quantiles
from benchmarks.ui_measure import Keyboard, KeyTimes, measure_bytes, measure_first_paint, measure_keys
from benchmarks.ui_page import checks, keys_table, summary
from benchmarks.ui_plan import SCREENS, Part, ScreenPlan
from benchmarks.ui_terminal import SYNC_ANSWER, Terminal, changed_cells
from sap_tui.keys import PLACES

# Draws a counter, all of whose digits change within a second, in its first line all the time and answers each key in
# the fourth after so many seconds; a row's colour moves with every key.
PROGRAM = """\
import os, select, sys, termios, time, tty
late, answers = float(sys.argv[1]), sys.argv[2] == "answers"
tty.setraw(0)
out = lambda text: os.write(1, text.encode())
out("\\x1b[2J\\x1b[?2026$pready")
number = 0
while True:
    if select.select([0], [], [], 0.02)[0]:
        key = os.read(0, 100).decode()
        if key == "q":
            break
        if "\\x1b[?2026" in key:
            out("\\x1b[9;1Hwhole frames")
            continue
        number += 1
        time.sleep(late)
        if answers:
            out(f"\\x1b[4;1Hkey {key} {number}")
            out(f"\\x1b[{5 + number % 2};1H\\x1b[41m   \\x1b[0m\\x1b[{6 - number % 2};1H   ")
    out(f"\\x1b[1;1H{time.monotonic() % 1:.3f}")
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    program, opened = tmp_path / "program.py", list[Terminal]()
    program.write_text(PROGRAM)

    def start(late: float = 0.0, answers: str = "answers") -> Terminal:
        opened.append(Terminal([sys.executable, str(program), str(late), answers], dict(os.environ)))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_a_counter_that_goes_on_by_itself_is_no_answer(terminal: Callable[..., Terminal]) -> None:
    opened, times = terminal(late=0.2), KeyTimes()
    opened.wait_for("whole frames")
    keyboard = Keyboard(opened, by_background=False)
    keyboard.learn(1.0)
    for key in "ab":
        keyboard.press(key, times)
    assert "key b 2" in opened.text()
    assert times.keys == ["a", "b"]
    assert all(0.2 <= seconds < 5 for seconds in times.seconds)
    assert all(0 <= computed < 1 for computed in times.computed)


def test_with_backgrounds_only_a_moved_colour_is_an_answer(terminal: Callable[..., Terminal]) -> None:
    opened, times = terminal(late=0.02), KeyTimes()
    opened.wait_for("whole frames")
    Keyboard(opened, by_background=True).press("a", times)
    assert opened.screen.buffer[5][0].bg == "red"
    assert len(times.seconds) == 1


def test_a_key_without_an_answer_fails(terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.ui_measure.NO_ANSWER_SECONDS", 0.5)
    opened = terminal(answers="nothing")
    opened.wait_for("whole frames")
    keyboard = Keyboard(opened, by_background=False)
    keyboard.learn(1.0)
    with pytest.raises(AssertionError, match="no answer to a"):
        keyboard.press("a", KeyTimes())


def test_a_screen_that_shows_the_wrong_fails(
    terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.ui_terminal.LONGEST_WAIT_SECONDS", 0.5)
    opened = terminal(late=0.02)
    plan = ScreenPlan("made", (), (Part(("a",), ("key b",)),), watched=0.2)
    with pytest.raises(AssertionError, match="key b"):
        measure_keys(opened, plan, 1)


def test_bytes_and_first_paint(terminal: Callable[..., Terminal]) -> None:
    opened = terminal()
    opened.wait_for("whole frames")
    (count,) = measure_bytes(opened, 1)
    assert count > 100
    assert 0 < measure_first_paint(terminal, ("ready",)) < 30
    assert opened.peak_memory() > 1_000_000


def test_the_terminal_says_that_it_draws_whole_frames() -> None:
    assert SYNC_ANSWER.startswith(b"\x1b[?2026;2")


def test_changed_cells() -> None:
    assert changed_cells([("a", "b"), ("c", "d")], [("a", "x"), ("c", "d")]) == {(0, 1)}


def figures(**changes: Any) -> dict[str, Any]:
    times = KeyTimes([0.004, 0.008, 0.06], [0.002] * 3, ["up", "down", "G"], 2)
    slow = KeyTimes([0.011, 0.02, 0.03], [0.002] * 3, ["up", "down", "G"])
    rows = [{"screen": name, "scored": 7} | quantiles(one) for name, one in (("live", times), ("help", slow))]
    machine = {"machine": {"cores": "2"}, "versions": {"textual": "8"}, "date": "2026-01-01", "seconds": 9}
    return {"device": "terminal", "lines": 40, "columns": 120, "keys": rows} | machine | changes


def test_the_worst_screen_is_held_against_the_goal() -> None:
    found = {check.what: check.verdict for check in checks(figures())}
    assert found["key, p50 of the slowest screen (help)"] == "missed"
    assert found["key, p90 of the slowest screen (live)"] == "reached"
    assert found["first paint alone, p50"] == "not measured"
    assert "| live | 3 | 8.0 | 49.6 | 60 | `G` | 2.0 | 2 | 7 |" in keys_table(figures())
    assert "**20.0**" in keys_table(figures())


def test_the_page_holds_what_was_measured() -> None:
    million = {"responses": 1_000_000, "scored": 10, "opened": [0.2, 0.4, 0.25], "turned": [0.012] * 9 + [0.5]}
    found = figures(live_bytes=[2048, 4096], first_paint_beside=[0.4, 0.6, 0.45], peak_bytes=70e6, million=million)
    text = report.page({"ui": found})
    assert "| live screen, mean, in the colours that take more | under 20.0 KiB/s | 3.0 KiB/s | reached |" in text
    assert "| many responses: open, p50 | under 300 ms | 250 ms | reached |" in text
    assert "the worst second 4.0 KiB" in text
    assert "not measured on a GPU" in text
    assert summary(found) in text.replace("### From a key to the first changed byte\n\n", "")


def test_every_screen_of_the_app_is_measured() -> None:
    """Every place that has keys of its own; those in tables and texts are pressed within the screens."""
    names = {plan.name for plan in SCREENS} - {"new run form", "import form", "agreement", "convergence"}
    without = {"app", "table", "text", "choices", "dialog", "log"}
    assert names - {"command palette"} == set(PLACES) - without


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_screen_is_really_measured(tmp_path: Path) -> None:
    from benchmarks.record import read_records
    from benchmarks.ui import main

    assert main(["--quick", "--screen", "help", "--json", str(tmp_path / "out.json")]) == 0
    (row,) = read_records(tmp_path / "out.json")["keys"]
    assert row["screen"] == "help"
    assert row["keys"] == 12
    assert row["scored"] > 0
    assert row["computed_p50"] > 0
    assert 0 < row["p50"] <= row["p90"] <= row["worst"] < 5
