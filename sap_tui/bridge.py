"""Between the catalogue and the app: one thread that reads, and posts what it read as one frozen value."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from textual.message import Message

from core.domain import Run, RunState, Strategy, Task
from core.errors import SapError
from core.processes.identity import is_gone
from core.processes.launcher import ensure_runner, runner_lives
from core.processes.scorers import ScorerRow, idle_scorers
from core.store import catalogue as tables
from core.store.catalogue import Sample
from core.store.damage import explained
from core.store.db import open_reader, read_only_reason
from core.store.outcomes import OutcomeCount, outcome_counts
from core.store.run_details import RunDetails, run_details
from core.store.runs import fullest_run, recent_models, runs
from core.store.score_columns import column_stamps

RUNNER_CHECK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Watched:
    """The run and the strategy whose details the user looks at, by their numbers."""

    run: int | None = None
    strategy: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the screens show, as it was at one moment. `problem` says why the catalogue cannot be read."""

    tasks: tuple[Task, ...] = ()
    strategies: tuple[Strategy, ...] = ()
    runs: tuple[Run, ...] = ()
    models: tuple[tuple[str, str], ...] = ()
    watched: Watched = Watched()
    details: RunDetails = field(default_factory=RunDetails)
    loaded: tuple[ScorerRow, ...] = ()
    sample: Sample | None = None
    problem: str = ""
    read_at: float = 0.0
    last_runs: Mapping[tuple[str, str], Run] = field(default_factory=dict)
    outcomes: Mapping[tuple[str, str], OutcomeCount] = field(default_factory=dict)
    columns: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def unfinished(self) -> list[Run]:
        return [run for run in self.runs if not run.state.ended]

    def run(self, number: int | None) -> Run | None:
        return next((run for run in self.runs if run.id == number), None)

    def is_unfinished(self, number: int) -> bool:
        run = self.run(number)
        return run is not None and not run.state.ended

    def strategies_of(self, task: str) -> list[Strategy]:
        return [strategy for strategy in self.strategies if strategy.task == task]

    def last_run(self, task: str, names: frozenset[str] = frozenset()) -> Run | None:
        """The newest run of a task that has all these strategies. `last_runs` has it by task and single strategy."""
        return next((run for run in self.runs if run.task == task and names <= set(run.strategies)), None)

    def fullest_run(self, task: str) -> Run | None:
        """The finished run by whose ranking the strategies of a task are known."""
        names = {strategy.name for strategy in self.strategies_of(task)}
        return fullest_run((run for run in self.runs if run.task == task), names)


class SnapshotRead(Message):
    """The catalogue was read; a newer message takes the place of one that still waits."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SnapshotRead)


class Bridge:
    """Polls the catalogue from its own thread and hands every new Snapshot to `post`."""

    def __init__(self, catalogue: Path, post: Callable[[SnapshotRead], object], seconds: float) -> None:
        self._catalogue = catalogue
        self._post = post
        self.seconds = seconds
        self._watched = Watched()
        self._wake = threading.Event()
        self._ending = False
        self._reader: sqlite3.Connection | None = None
        self._data_version = -1
        self._file_number = 0
        self._last_fault = self._fault_line = ""
        self._catalogue_stamp: tuple[object, ...] = ()
        self._last = Snapshot()
        self._runner_checked = 0.0
        self.polls = 0
        self._thread = threading.Thread(target=self._poll, name="bridge", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def watch(self, *, run: int | None = None, strategy: int | None = None) -> None:
        """Say whose details the next snapshots should carry."""
        wanted = Watched(run, strategy)
        if wanted != self._watched:
            self._watched = wanted
            self._wake.set()

    def _poll(self) -> None:
        while not self._ending:
            self._wake.clear()
            try:
                self._step()
            except Exception as error:
                # A damaged catalogue may hold anything, and this thread must go on.
                self._forget()
                self._send(replace(self._last, problem=self._problem(error)))
            self.polls += 1
            self._wake.wait(self.seconds)
        self._forget()

    def _problem(self, error: Exception) -> str:
        if isinstance(error, SapError | OSError):
            return str(error)
        # Explaining may check the whole file, which one look in many may take.
        if self._last_fault != repr(error):
            self._last_fault = repr(error)
            self._fault_line = str(
                explained(error, self._catalogue) or f"What the catalogue holds cannot be read: {error!r}."
            )
        return self._fault_line

    def _step(self) -> None:
        if not self._catalogue.exists():
            self._forget()
            return self._send(Snapshot(read_at=time.time()))
        # A restored backup is another file under the same name.
        if self._reader is not None and self._catalogue.stat().st_ino != self._file_number:
            self._forget()
        if self._reader is None:
            self._reader = open_reader(self._catalogue)
            self._file_number = self._catalogue.stat().st_ino
        version = self._reader.execute("PRAGMA data_version").fetchone()[0]
        # While something is unfinished the clock alone changes what is shown: stalled, waiting, time left. A model that
        # stays loaded goes without a word when its process is killed.
        moving = self._last.unfinished or self._last.loaded
        if version != self._data_version or self._watched != self._last.watched or moving:
            self._data_version = version
            self._send(self._read(self._reader))
        self._keep_runner()

    def _read(self, reader: sqlite3.Connection) -> Snapshot:
        stamp = _catalogue_stamp(reader)
        tasks, strategies = self._last.tasks, self._last.strategies
        if stamp != self._catalogue_stamp:
            self._catalogue_stamp = stamp
            tasks, strategies = tuple(tables.tasks(reader)), tuple(tables.strategies(reader))
        watched, found = self._watched, tuple(runs(reader, is_gone=is_gone))
        return Snapshot(
            tasks=tasks,
            strategies=strategies,
            runs=found,
            last_runs=_last_runs(found),
            outcomes=outcome_counts(reader),
            columns=column_stamps(reader),
            models=tuple(recent_models(reader)),
            watched=watched,
            details=next((run_details(reader, run) for run in found if run.id == watched.run), RunDetails()),
            loaded=tuple(idle_scorers(reader)),
            sample=self._sample(reader, watched.strategy),
            read_at=time.time(),
        )

    def _sample(self, reader: sqlite3.Connection, strategy: int | None) -> Sample | None:
        found = [] if strategy is None else tables.responses_page(reader, strategy, limit=1)
        return found[0] if found else None

    def _send(self, snapshot: Snapshot) -> None:
        moving = snapshot.unfinished or snapshot.loaded or not self._last.read_at
        if moving or snapshot != replace(self._last, read_at=snapshot.read_at):
            self._last = snapshot
            self._post(SnapshotRead(snapshot))

    def _keep_runner(self) -> None:
        """Start a runner when there is work and none lives, as after a reboot."""
        work = any(run.state is RunState.RUNNING or run.want == "run" for run in self._last.unfinished)
        if work and time.monotonic() - self._runner_checked > RUNNER_CHECK_SECONDS:
            self._runner_checked = time.monotonic()
            if not runner_lives(self._catalogue) and not read_only_reason(self._catalogue):
                ensure_runner(self._catalogue)

    def _forget(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader, self._data_version, self._catalogue_stamp = None, -1, ()


def _last_runs(newest_first: Iterable[Run]) -> dict[tuple[str, str], Run]:
    last: dict[tuple[str, str], Run] = {}
    for run in newest_first:
        for name in run.strategies:
            last.setdefault((run.task, name), run)
    return last


def _catalogue_stamp(reader: sqlite3.Connection) -> tuple[object, ...]:
    """Changes with every task and strategy; cheap, unlike counting a task's questions."""
    strategies = reader.execute(
        "SELECT count(*), max(id), max(updated_at), sum(responses), count(deleted_at) FROM strategies"
    ).fetchone()
    return (*strategies, *reader.execute("SELECT count(*), max(id), group_concat(name) FROM tasks").fetchone())
