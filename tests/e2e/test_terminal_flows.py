"""From a file to an exported ranking in real terminals of two sizes, and what terminals do: copy, resize, differ."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.conftest import wait_until, write_strategy
from tests.e2e.command_line import CommandLine
from tests.e2e.terminal import QUICK_ENGINE, Terminal, needs_tmux
from tests.e2e.test_terminal import import_in_the_app, start_a_run

pytestmark = needs_tmux
TERMS = ("xterm-256color", "tmux-256color", "screen", "linux", "vt100", "dumb", "")
QUESTIONS = 24


@pytest.fixture
def scored(own_catalogue: Path, stand_in_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue with a finished run."""
    monkeypatch.setenv("SAP_TUI_FAKE", "{}")
    sap_tui = CommandLine(own_catalogue)
    sap_tui("import", *strategies(tmp_path), "--task", "sums")
    sap_tui("score", "--task", "sums", "--model", stand_in_model, "--metric", "nll", "--device", "cpu", "--foreground")
    return own_catalogue


def strategies(folder: Path) -> Iterator[Path]:
    for name, sentence in (("terse", "{}"), ("wordy", "Let us see: it is {}.")):
        yield write_strategy(folder / f"{name}.jsonl", [sentence.format(2 * n) for n in range(QUESTIONS)])


@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=["wide", "narrow"])
def test_from_a_file_to_an_exported_ranking(
    size: tuple[int, int], terminal: Terminal, own_catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    first, second = strategies(tmp_path)
    CommandLine(own_catalogue)("import", first, "--task", "sums")
    terminal.open(own_catalogue, size, QUICK_ENGINE)
    import_in_the_app(terminal, second)
    start_a_run(terminal, stand_in_model)
    terminal.shows("2 strategies on 24 questions")
    terminal.keys("Enter")
    terminal.shows("#1", "✓ done", seconds=90)
    terminal.keys("Enter")
    terminal.shows("Run 1 ·", "ecided:", "●")
    compare(terminal)
    look_at_outcomes(terminal, tmp_path)
    terminal.keys("3")
    terminal.shows("ecided:", "95% interval")
    terminal.keys("E")
    terminal.shows("Write the ranking as CSV to", "ranking-sums-run-1.csv")
    terminal.keys("Enter")
    terminal.shows("Written:")
    with (tmp_path / "ranking-sums-run-1.csv").open() as file:
        assert {row["strategy"] for row in csv.DictReader(file)} == {"terse", "wordy"}
    terminal.keys("q")
    terminal.shows("ended with 0")


def compare(terminal: Terminal) -> None:
    """The leader beside the other one, and the worst token of a text."""
    terminal.keys("Down", "c")
    terminal.shows("compare", "A ahead", "surprisal from")
    terminal.keys("n", "w")
    terminal.shows("probability", "rank")
    terminal.keys("Escape")
    terminal.shows("Run 1 ·", "ecided:")


def look_at_outcomes(terminal: Terminal, folder: Path) -> None:
    """Import what fine-tuning gave, then see all three views."""
    file = folder / "outcomes.csv"
    file.write_text("strategy,accuracy\nterse,0.4\nwordy,0.7\n")
    terminal.keys("4")
    terminal.shows("No outcomes yet")
    terminal.keys("i")
    terminal.shows("Import outcomes", "accuracy")
    terminal.keys(str(file))
    terminal.shows("terse", "40.0%")
    terminal.keys("Enter")
    terminal.shows("70.0%", "below best", seconds=60)
    terminal.keys("v")
    terminal.shows("first by")
    terminal.keys("v")
    terminal.shows("questions, in the order of the run", seconds=60)


@pytest.mark.parametrize("inside", [True, False], ids=["tmux knows", "only the terminal knows"])
def test_what_is_copied_arrives(inside: bool, terminal: Terminal, scored: Path) -> None:
    """Through tmux itself where the app knows that it runs in it; else as OSC 52, as over a connection."""
    terminal.open(scored, without="" if inside else "TMUX")
    terminal.option("set-clipboard", "external" if inside else "on")
    terminal.shows("terse")
    terminal.keys("Down", "y")
    terminal.shows("Sent to the clipboard")
    assert wait_until(terminal.buffer, 10, "the copied text").startswith("terse\t24")


def test_the_window_may_change_its_size(terminal: Terminal, scored: Path) -> None:
    terminal.open(scored)
    terminal.shows("terse")
    terminal.keys("3")
    terminal.shows("ecided:", "95% interval")
    for size in ((80, 24), (40, 10), (20, 4), (200, 60), (100, 30)):
        terminal.resize(*size)
        wait_until(lambda size=size: fits(terminal.text(), size), 30, f"a screen of {size}")
    terminal.keys("1")
    terminal.shows("1 task, 2 strategies", "q Quit")
    terminal.resize(80, 24)
    terminal.keys("Down", "Down", "Enter")
    terminal.shows("Let us see: it is 0.", "esc Back")
    terminal.resize(120, 36)
    terminal.keys("Escape")
    terminal.shows("1 task, 2 strategies", "q Quit")
    terminal.keys("q")
    terminal.shows("ended with 0")


def fits(text: str, size: tuple[int, int]) -> bool:
    """Whether the screen is drawn for this size: its first line is the title, its last is the footer's."""
    lines = text.rstrip("\n").split("\n")
    return "sap-tui" in lines[0] and len(lines) == size[1] and max(map(len, lines)) <= size[0]


def test_every_kind_of_terminal_shows_the_app(scored: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        terminals = {term: stack.enter_context(closing(Terminal(tmp_path))) for term in TERMS}
        for term, terminal in terminals.items():
            terminal.open(scored, TERM=term)
        for terminal in terminals.values():
            terminal.shows("1 task, 2 strategies", "wordy", "q Quit", seconds=60)
            terminal.keys("3")
        for terminal in terminals.values():
            terminal.shows("95% interval", "●", seconds=60)
            terminal.keys("q")
        for terminal in terminals.values():
            terminal.shows("ended with 0")


def test_a_terminal_without_colours_or_a_language_shows_the_app(scored: Path, terminal: Terminal) -> None:
    terminal.open(scored, NO_COLOR="1", LANG="C", LC_ALL="C")
    terminal.shows("1 task, 2 strategies", "q Quit")
    terminal.keys("q")
    terminal.shows("ended with 0")
    assert json.loads(CommandLine(scored)("runs", "--json"))[0]["state"] == "done"
    assert os.environ.get("SAP_TUI_FAKE") == "{}"
