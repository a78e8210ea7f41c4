"""How fast a run went: a bounded history of its progress, speed and memory, for drawing and for estimates."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS_BETWEEN = 2.0
MOST_ROWS = 240
RECENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Speed:
    """A run at one moment. `done` counts in the phase's own units, 0 bytes of `memory` are unknown."""

    at: float
    phase: str
    done: int
    tokens_per_second: float
    memory: int


def add_speed(connection: sqlite3.Connection, run: int, memory: int = 0) -> None:
    """Remember the run's present row inside the caller's transaction, unless its phase was remembered a moment ago.

    A full history loses every second row: it always reaches back to the start.
    """
    now = time.time()
    count, last = connection.execute(
        "SELECT count(*), max(at) FILTER (WHERE phase = (SELECT phase FROM runs WHERE id = ?)) FROM run_speeds"
        " WHERE run = ?",
        (run, run),
    ).fetchone()
    if last is not None and 0 <= now - last < SECONDS_BETWEEN:
        return
    if count >= MOST_ROWS:
        connection.execute(
            "DELETE FROM run_speeds WHERE run = ? AND at IN (SELECT at FROM"
            " (SELECT at, row_number() OVER (ORDER BY at) AS place FROM run_speeds WHERE run = ?) WHERE place % 2 = 0)",
            (run, run),
        )
    connection.execute(
        "INSERT OR REPLACE INTO run_speeds"
        " SELECT id, ?, phase, CASE phase WHEN 'scoring' THEN done ELSE phase_done END,"
        " CASE phase WHEN 'scoring' THEN tokens_per_second ELSE 0 END, ? FROM runs WHERE id = ?",
        (now, memory, run),
    )


def speeds(reader: sqlite3.Connection, run: int) -> list[Speed]:
    """What is remembered of a run, oldest first."""
    rows = reader.execute(
        "SELECT at, phase, done, tokens_per_second, memory FROM run_speeds WHERE run = ? ORDER BY at", (run,)
    )
    return [Speed(*row) for row in rows]


def units_per_second(history: Sequence[Speed], phase: str) -> float | None:
    """How fast a phase went in its own units over its last minute; None while that is not known."""
    recent = [each for each in history if each.phase == phase and history[-1].at - each.at <= RECENT_SECONDS]
    if not recent or recent[-1] is not history[-1] or recent[-1].done <= recent[0].done:
        return None
    return (recent[-1].done - recent[0].done) / (recent[-1].at - recent[0].at)
