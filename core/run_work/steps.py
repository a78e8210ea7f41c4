"""What every step of the work on a run shares: its claim, its model, signs of life, and results kept as they come."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.domain import Run
from core.jobs.claim import Claim, beat, update_claimed
from core.scoring.protocol import Engine
from core.store.db import Writer
from core.store.runs import add_event
from core.store.speeds import add_speed

COMMIT_SECONDS = 0.5

Result = TypeVar("Result")


def at_once(write: Callable[[], None]) -> None:
    write()


@dataclass(frozen=True, slots=True)
class RunWork:
    """A claimed run with what its steps need. `engine` loads the target model when it is first called.

    `on_step` is to be called from time to time; what it raises ends the work. `patiently` repeats a write until the
    disk has space for it.
    """

    writer: Writer
    claim: Claim
    run: Run
    engine: Callable[[], Engine]
    on_step: Callable[[], None]
    patiently: Callable[[Callable[[], None]], None] = at_once

    @property
    def reader(self) -> sqlite3.Connection:
        return self.writer.connection

    def begin(self, phase: str, done: int, total: int) -> None:
        """Show a phase with its progress. Raises LostClaimError, or StopWorkError for a user's wish."""
        beat(self.writer, self.claim, phase=phase, phase_done=done, phase_total=total)

    def say(self, level: str, texts: Iterable[str]) -> None:
        """Add events to the run."""
        lines = list(texts)
        if lines:
            with self.writer.transaction() as connection:
                for text in lines:
                    add_event(connection, self.run.id, level, text)


class BatchStore(Generic[Result]):
    """Stores results as they come, with the run's progress; quick ones share a commit.

    The first are committed at once: every attempt that gets anywhere makes progress.
    """

    def __init__(self, work: RunWork, done: int, store: Callable[[sqlite3.Connection, Sequence[Result]], None]) -> None:
        self._work = work
        self._done = done
        self._store = store
        self._open: list[Result] = []
        self._committed = -math.inf

    def add(self, results: Sequence[Result]) -> None:
        """Raises LostClaimError where somebody else owns the run now."""
        self._open += results
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Keeps the results in memory while the disk is full. Raises StopWorkError for a user's wish meanwhile."""
        if self._open:
            self._work.patiently(self._commit)
            self._done += len(self._open)
            self._open = []
            self._committed = time.monotonic()

    def _commit(self) -> None:
        with self._work.writer.transaction() as connection:
            update_claimed(connection, self._work.claim, phase_done=self._done + len(self._open), barren=0, why="")
            self._store(connection, self._open)
            add_speed(connection, self._work.run.id)
