"""The app on a real terminal: killed at any moment, and left by a connection that drops."""

from __future__ import annotations

import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from core.domain import RunState
from core.processes.identity import is_alive
from core.processes.launcher import ensure_runner
from core.store.db import Writer, open_reader
from core.store.runs import runs, wish_cancel
from tests.conftest import end_processes, wait_until
from tests.jobs.helpers import all_scores, run_now
from tests.terminal import Terminal
from tests.torture.runs import LANES, Prepared, Tally, Watched, prepared, rounds, slowly, times

APP_KILLS = times(20)
DROPS = times(10)


@pytest.fixture
def queued(tmp_path: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setenv("SAP_TUI_FAKE", slowly(0.05))
    return prepared(tmp_path, stand_in_model)


def test_the_app(queued: Prepared, tmp_path: Path, figures: dict[str, object]) -> None:
    """kill -9 of the app in a terminal, while a run goes on and while it starts another"""

    def one_round(folder: Path, moments: random.Random, tally: Tally) -> None:
        watched = Watched(queued.copy(folder), queued.run)
        ensure_runner(watched.catalogue)
        while not watched.is_done and tally.left() > 0:
            terminal = open_app(watched.catalogue)
            if moments.random() < 0.7:
                terminal.shows("sums")
                terminal.type("".join(moments.choices("1234nj?", k=moments.randrange(8))))
            time.sleep(moments.uniform(0, 1))
            terminal.end()
            tally.ended(terminal.process.returncode, watched.where())
            tally.look(watched)
            wait_until(lambda: terminal.group() == [], what="the end of the app's process group")  # noqa: B023
            terminal.hang_up()
        tally.finish(watched, queued.expected)
        assert run_now(watched.catalogue, queued.run).attempt == 1, "the run was disturbed"
        end_processes(watched.catalogue)

    tally = rounds(APP_KILLS, tmp_path / "rounds", one_round)
    figures.update(tally.figures())
    assert tally.problems == []
    assert tally.exit_codes.keys() <= {-signal.SIGKILL}


def test_a_dropped_connection(
    queued: Prepared, stand_in_model: Path, tmp_path: Path, figures: dict[str, object]
) -> None:
    """the app starts a run, its terminal is hung up on, the run ends, the app shows it when it is opened again"""
    with Writer(queued.catalogue) as writer, writer.transaction() as connection:
        wish_cancel(connection, queued.run)
    undisturbed = scores_of_a_run_from_the_app(queued.copy(tmp_path / "no-drop"), stand_in_model, hang_up=False)

    def drop(number: int) -> bool:
        catalogue = queued.copy(tmp_path / f"drop-{number}")
        same = scores_of_a_run_from_the_app(catalogue, stand_in_model, hang_up=True) == undisturbed
        shows_the_end(catalogue)
        end_processes(catalogue)
        return same

    with ThreadPoolExecutor(LANES) as pool:
        same = sum(pool.map(drop, range(DROPS)))
    figures.update({"connections dropped": DROPS, "runs that ended with equal bits and were shown": same})
    assert same == DROPS


def scores_of_a_run_from_the_app(catalogue: Path, model: Path, *, hang_up: bool) -> list[tuple[object, ...]]:
    """Start a run in the app, hang up on it or not, and wait for the end of all its processes."""
    terminal = open_app(catalogue)
    terminal.shows("2 strategies")
    start_run(terminal, model)
    run = wait_until(lambda: scoring_run(catalogue), 60, "the new run")
    if hang_up:
        terminal.hang_up()
        terminal.process.wait(20)
        wait_until(lambda: terminal.group() == [], 20, "the end of the app's process group")
        assert run_now(catalogue, run).state is RunState.RUNNING, "the run had ended before the connection dropped"
    wait_until(lambda: run_now(catalogue, run).state is RunState.DONE, 120, "the end of the run")
    if not hang_up:
        terminal.end()
    owner = run_now(catalogue, run).owner
    assert owner is not None
    wait_until(lambda: not is_alive(owner), 20, "the end of the scorer")
    assert Watched(catalogue, run).look() == []
    assert run_now(catalogue, run).attempt == 1
    return all_scores(catalogue, run)


def shows_the_end(catalogue: Path) -> None:
    terminal = open_app(catalogue)
    terminal.shows("2 strategies")
    terminal.type("2")
    terminal.shows("✓ done")
    terminal.end()
    terminal.hang_up()


def open_app(catalogue: Path) -> Terminal:
    return Terminal([sys.executable, "-m", "sap_tui.cli", "--catalogue", str(catalogue)], catalogue.parent)


def start_run(terminal: Terminal, model: Path) -> None:
    terminal.type("n")
    terminal.shows("The same from a shell")
    terminal.type("\x15")
    terminal.shows("a model folder, a .gguf file or a hub id")
    terminal.type(str(model))
    terminal.shows("2 strategies on 24 questions")
    terminal.type("\r")


def scoring_run(catalogue: Path) -> int:
    """The number of the run that scores; 0 while none does."""
    with closing(open_reader(catalogue)) as reader:
        return next((run.id for run in runs(reader) if run.state is RunState.RUNNING and run.done > 0), 0)
