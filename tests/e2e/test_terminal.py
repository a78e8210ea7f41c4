"""The main job in a real terminal: import, start a run, watch it move, quit, come back, rank, export."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

from tests.conftest import wait_until, write_strategy
from tests.e2e.command_line import CommandLine
from tests.e2e.terminal import Terminal, needs_tmux

pytestmark = needs_tmux


def progress(text: str) -> int:
    """How many scores of run 1 are done, by the screen."""
    found = re.search(r"#1 .*?([\d,]+)/[\d,]+", text)
    return int(found[1].replace(",", "")) if found else 0


def test_the_whole_way(terminal: Terminal, own_catalogue: Path, stand_in_model: Path, tmp_path: Path) -> None:
    sap_tui = CommandLine(own_catalogue)
    first = write_strategy(tmp_path / "terse.jsonl", [f"{2 * n}" for n in range(24)])
    second = write_strategy(tmp_path / "wordy.jsonl", [f"Let us see: it is {2 * n}." for n in range(24)])
    sap_tui("import", first, "--task", "sums")

    terminal.open(own_catalogue)
    import_in_the_app(terminal, second)
    start_a_run(terminal, stand_in_model)
    terminal.shows("2 strategies on 24 questions")
    terminal.keys("Enter")
    seen = watch_it_move(terminal)
    terminal.keys("q")
    terminal.shows("1 run goes on in the background.", "ended with 0")
    terminal.close()
    run = wait_until(lambda: state(sap_tui)["done"] > seen and state(sap_tui), 60, "progress without the app")
    assert run["state"] in ("running", "done")

    terminal.open(own_catalogue)
    rank_and_export(terminal)
    rows = list(csv.DictReader((tmp_path / "ranking-sums-run-1.csv").open()))
    assert {row["strategy"] for row in rows} == {"terse", "wordy"}
    assert rows[0]["rank"] == "1"
    terminal.keys("q")
    assert "in the background" not in terminal.shows("ended with 0")


def import_in_the_app(terminal: Terminal, file: Path) -> None:
    terminal.shows("1 task, 1 strategy", "terse", "? Help", "q Quit")
    terminal.keys("i")
    terminal.shows("Import responses")
    terminal.keys(str(file))
    terminal.shows("wordy.jsonl: 24 records")
    terminal.keys("Enter")
    wait_until(lambda: "Import responses" not in terminal.text(), 60, "the end of the form")
    terminal.shows("1 task, 2 strategies", "wordy")


def start_a_run(terminal: Terminal, model: Path) -> None:
    terminal.keys("n")
    terminal.shows("New run", "target model")
    terminal.keys("C-u")
    terminal.shows("a model folder, a .gguf file or a hub id")
    terminal.keys(str(model))


def watch_it_move(terminal: Terminal) -> int:
    terminal.shows("#1", "● scoring")
    seen = wait_until(lambda: progress(terminal.text()), 60, "progress on the screen")
    return wait_until(lambda: max(0, progress(terminal.text()) - seen), 60, "more progress") + seen


def rank_and_export(terminal: Terminal) -> None:
    terminal.shows("1 Catalogue", "wordy")
    terminal.keys("2")
    terminal.shows("#1", "✓ done", seconds=90)
    terminal.keys("Enter")
    terminal.shows("Run 1 ·", "ecided:", "●", "95% interval")
    terminal.keys("E")
    terminal.shows("Write the ranking as CSV to", "ranking-sums-run-1.csv")
    terminal.keys("Enter")
    terminal.shows("Written:")


def test_a_closed_terminal_ends_the_app_and_not_the_run(
    terminal: Terminal, own_catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    sap_tui = CommandLine(own_catalogue)
    for name in ("terse", "wordy"):
        sap_tui("import", write_strategy(tmp_path / f"{name}.jsonl", [name] * 24), "--task", "sums")
    terminal.open(own_catalogue)
    terminal.shows("2 strategies")
    start_a_run(terminal, stand_in_model)
    terminal.keys("Enter")
    terminal.shows("#1", "● scoring")
    terminal.close()
    done = state(sap_tui)["done"]
    wait_until(lambda: state(sap_tui)["done"] > done, 60, "progress after the terminal was closed")


def state(sap_tui: CommandLine) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(sap_tui("runs", "--json"))[0]
    return run
