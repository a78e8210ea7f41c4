"""Scorers that live and do nothing: a runner counts how long it has seen no sign of life."""

from __future__ import annotations

import sqlite3

from core import clock
from core.domain import Run
from core.store.runs import LOADING_FACTOR, LOADING_PHASES

HANG_CHUNKS = 50


class Silence:
    """Counts time in which both the machine is awake and a runner looks on: neither sleep nor a set clock is silence.

    `limit` in seconds; 0 means that nothing is ever too long.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._heard: dict[int, tuple[object, float]] = {}

    def seconds(self, run: Run) -> float:
        """How long the run's row has shown the same sign of life."""
        sign = (run.fence, run.beat_at, run.phase)
        if self._heard.get(run.id, (None, 0.0))[0] != sign:
            self._heard[run.id] = (sign, clock.awake())
        return clock.awake() - self._heard[run.id][1]

    def is_too_long(self, reader: sqlite3.Connection, run: Run) -> bool:
        """Longer than the limit, and than 50 of the run's largest chunks take."""
        silent = self.seconds(run)
        if not self._limit or silent <= self._limit:
            return False
        if run.phase in LOADING_PHASES:
            return silent > LOADING_FACTOR * self._limit
        largest = reader.execute("SELECT ifnull(max(tokens), 0) FROM chunks WHERE run = ?", (run.id,)).fetchone()[0]
        return run.tokens_per_second <= 0 or silent > HANG_CHUNKS * largest / run.tokens_per_second
