"""`python -m tests.torture.load ROLE CATALOGUE SECONDS`: read, write or back up; prints what it took as JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np

from core.domain import TokenScores
from core.store.backups import make_backup
from core.store.db import Writer, open_reader
from core.store.pages import ResponseQuery, response_page
from core.store.runs import add_event, events, runs
from core.store.scores import insert_scores

READ_EVERY_SECONDS = 0.05
SCORES_A_COMMIT = 32
TOKENS = 100


def read(catalogue: Path, seconds: float) -> list[float]:
    """What the app reads when it draws, on one connection as it has."""
    with closing(open_reader(catalogue)) as reader:

        def draw() -> None:
            newest = runs(reader)[0]
            events(reader, newest.id)
            response_page(reader, ResponseQuery(1, run=newest.id))

        return timed(draw, seconds, READ_EVERY_SECONDS)


def write(catalogue: Path, seconds: float) -> list[float]:
    """Commits as large as a scorer's, one after another."""
    numbers = count()
    with Writer(catalogue) as writer:

        def commit() -> None:
            with writer.transaction() as connection:
                number = next(numbers)
                keys = [f"{os.getpid()}-{number}-{place}".encode() for place in range(SCORES_A_COMMIT)]
                insert_scores(connection, 1, "load", {(key, key): _scores() for key in keys})
                connection.execute("UPDATE runs SET beat_at = ?", (time.time(),))
                add_event(connection, 1, "info", f"commit {number}")

        return timed(commit, seconds)


def back_up(catalogue: Path, seconds: float) -> list[float]:
    """Backups as of the day, one after another."""
    return timed(lambda: make_backup(catalogue), seconds, 1.0)


def timed(action: Callable[[], object], seconds: float, pause: float = 0.0) -> list[float]:
    """Milliseconds of every call."""
    found: list[float] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        started = time.perf_counter()
        action()
        found.append(1000 * (time.perf_counter() - started))
        time.sleep(pause)
    return found


def _scores() -> TokenScores:
    return TokenScores(-np.random.default_rng().random(TOKENS, dtype=np.float32))


if __name__ == "__main__":
    roles = {"read": read, "write": write, "back-up": back_up}
    print(json.dumps(roles[sys.argv[1]](Path(sys.argv[2]), float(sys.argv[3]))))
