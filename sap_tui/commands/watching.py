"""Watching runs from the command line: a table that refreshes in a terminal, a line a change elsewhere."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from core.domain import Run

POLL_SECONDS = 0.5
RUNNER_CHECK_SECONDS = 3.0
Show = Callable[["Sequence[Run]"], None]


def watch_runs(
    catalogue: Path, number: int | None, *, as_json: bool, lines: Callable[[Sequence[Run]], list[str]]
) -> int:
    """Show one run, or all, until none goes on by itself; 1 when the one, or one that was seen going on, failed.

    `lines` draws the table. Raises NotFoundError where there is no such run.
    """
    from core.store.db import open_reader

    reader = open_reader(catalogue)
    found = _read(reader, number)
    watched = {run.id for run in found if number is not None or goes_on(run)}
    with _display(lines, as_json, [run for run in found if run.id not in watched]) as show:
        checked = -math.inf
        show(found)
        while any(goes_on(run) for run in found):
            if time.monotonic() - checked > RUNNER_CHECK_SECONDS:
                checked = time.monotonic()
                _keep_runner(catalogue)
            time.sleep(POLL_SECONDS)
            found = _read(reader, number)
            watched |= {run.id for run in found if goes_on(run)}
            show(found)
    return int(any(run.state == "failed" for run in found if run.id in watched))


def goes_on(run: Run) -> bool:
    """Whether the run will do something without being asked to: a paused one stays as it is."""
    return run.state == "running" or (run.state == "queued" and run.want == "run")


def _read(reader: sqlite3.Connection, number: int | None) -> list[Run]:
    from core.processes.identity import is_gone
    from core.store.runs import run_by_id, runs

    return runs(reader, is_gone=is_gone) if number is None else [run_by_id(reader, number, is_gone)]


def _keep_runner(catalogue: Path) -> None:
    from core.processes.launcher import ensure_runner

    ensure_runner(catalogue)


@contextmanager
def _display(lines: Callable[[Sequence[Run]], list[str]], as_json: bool, known: Iterable[Run]) -> Iterator[Show]:
    if as_json or not sys.stdout.isatty():
        yield _changes(as_json, known)
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:

        def show(runs: Sequence[Run]) -> None:
            drawn = [Text(line, no_wrap=True, overflow="ellipsis") for line in lines(runs)]
            live.update(Text("\n").join(drawn), refresh=True)

        yield show


def _changes(as_json: bool, known: Iterable[Run]) -> Show:
    """A line for every change of a run; the known ones are shown when they change."""
    last = {run.id: _step(run) for run in known}

    def show(runs: Sequence[Run]) -> None:
        for run in reversed(runs):
            if last.get(run.id) != _step(run):
                print(_line(run, as_json), flush=True)
            last[run.id] = _step(run)

    return show


def _step(run: Run) -> tuple[object, ...]:
    """State, phase and tenth of the way."""
    return run.shown, run.phase, int(10 * run.share_done)


def _line(run: Run, as_json: bool) -> str:
    from sap_tui.commands.progress import state_line
    from sap_tui.commands.runs import run_json

    if as_json:
        return json.dumps(run_json(run), ensure_ascii=False)
    return f"run {run.id}: {state_line(run)}"
