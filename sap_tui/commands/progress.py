"""Showing a run's progress on stderr: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.domain import Run

POLL_SECONDS = 0.25
RUNNER_CHECK_SECONDS = 2.0
PHASES = {
    "starting": ("starting", ""),
    "rewarding": ("the reward model judges the responses", "responses"),
    "sampling": ("the target model answers every question several times", "answers"),
    "predicting": ("the target model answers the questions", "answers"),
    "choosing examples": ("trying which examples help most", "examples"),
    "checking answers": ("comparing final answers with the gold answers", "responses"),
    "planning": ("planning what is to be scored", ""),
    "loading": ("loading the model", ""),
    "scoring": ("scoring responses", "scores"),
    "finding tokens": ("finding where the tokens end in the texts", "responses"),
}
"""What a run does, in words, and what it counts meanwhile."""


def wait_for(catalogue: Path, number: int) -> str:
    """Show progress until the run ends; returns its final state. Keeps a runner alive meanwhile."""
    from core.processes.identity import is_gone
    from core.processes.launcher import ensure_runner
    from core.store.db import open_reader
    from core.store.runs import run_by_id

    reader = open_reader(catalogue)
    checked = time.monotonic()
    with _display() as show:
        while True:
            run = run_by_id(reader, number, is_gone)
            show(run)
            if run.state.ended:
                return str(run.state)
            if time.monotonic() - checked > RUNNER_CHECK_SECONDS:
                checked = time.monotonic()
                ensure_runner(catalogue)
            time.sleep(POLL_SECONDS)


@contextmanager
def shown_while(catalogue: Path, number: int) -> Iterator[None]:
    """Show a run's progress from a waiting thread while this process works on it."""
    from core.store.db import open_reader
    from core.store.runs import run_by_id

    ended = threading.Event()

    def follow() -> None:
        reader = open_reader(catalogue)
        with _display() as show:
            while not ended.wait(2 * POLL_SECONDS):
                show(run_by_id(reader, number))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def state_line(run: Run) -> str:
    """What a run does, or why it does nothing at the moment."""
    from core.text import visible

    word, why = progress_line(run) if run.shown == "running" else run.shown, visible(run.why)
    return why if why.startswith(word) else ": ".join(filter(None, [word, why]))


def progress_line(run: Run) -> str:
    """One plain line, for example `scoring 120/400, 2,310 tokens/s, 0:45 left`."""
    if run.phase != "scoring":
        return phase_line(run)
    left = f", {duration(run.seconds_left)} left" if run.seconds_left is not None else ""
    failed = f", {run.errors} failed" if run.errors else ""
    return f"scoring {run.done:,}/{run.total:,}, {run.tokens_per_second:,.0f} tokens/s{left}{failed}"


def phase_line(run: Run) -> str:
    """What the run does at the moment, with its counts: `the target model answers the questions, 3 of 24 answers`."""
    words, units = PHASES.get(run.phase, (run.phase or run.shown, ""))
    done, total = (run.done, run.total) if run.phase == "scoring" else (run.phase_done, run.phase_total)
    counts = f"{done:,} of {total:,} {units}".rstrip() if total else ""
    # What the phase before counted says nothing about these.
    return ", ".join(filter(None, [words, counts if units else ""]))


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _display() -> Iterator[Callable[[Run], None]]:
    if not sys.stderr.isatty():
        yield _plain_lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[line]}", markup=False),
    )
    with Progress(*columns, console=Console(file=sys.__stderr__), transient=True) as progress:
        task = progress.add_task("run", total=1.0, line="")

        def show(run: Run) -> None:
            progress.update(task, description=f"run {run.id}", completed=run.share_done, line=state_line(run))

        yield show


def _plain_lines() -> Callable[[Run], None]:
    """A line at every change of state or phase and every tenth of the way."""
    last: list[object] = [None]

    def show(run: Run) -> None:
        step = (run.shown, run.why, run.phase, int(10 * run.share_done))
        if step != last[0] and not run.state.ended:
            last[0] = step
            print(f"run {run.id}: {state_line(run)}", file=sys.stderr, flush=True)

    return show
