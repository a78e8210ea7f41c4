"""Every kind of statement of a run fails, and the process is killed at each: sound at once, equal bits when resumed.

Statements are counted on the connection of a scorer in a forked process. `make torture` does the same below SQLite.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import core.store.db
from core.domain import RunState
from core.scorer import Scorer
from tests.jobs.helpers import all_scores, assert_sound, queue_run, run_now

CRASHED = 1


@dataclass
class Place:
    """A statement, by its text and how often it came before in the same process."""

    sql: str
    number: int


class WatchedConnection(sqlite3.Connection):
    """Calls `fault` before every statement inside a transaction, BEGIN and COMMIT too."""

    fault: Callable[[str], None]

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
        if self.in_transaction or sql.startswith("BEGIN"):
            type(self).fault(sql)
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
        type(self).fault(sql)
        return super().executemany(sql, *parameters)  # type: ignore[arg-type]


def scored_in_a_fork(catalogue: Path, run: int, fault: Callable[[str], None]) -> int:
    """What became of a scorer with that fault: its exit code, or the signal's number below zero."""
    pid = os.fork()
    if pid == 0:
        code = CRASHED
        try:
            WatchedConnection.fault = staticmethod(fault)
            connect = sqlite3.connect
            core.store.db.sqlite3.connect = (  # type: ignore[assignment, attr-defined]
                lambda *arguments, **options: connect(*arguments, **options, factory=WatchedConnection)
            )
            code = Scorer(catalogue).run(run)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def statements(catalogue: Path, run: int) -> list[str]:
    """Every statement of an undisturbed run that is part of a transaction."""
    read, write = os.pipe()
    with os.fdopen(read) as lines:
        assert scored_in_a_fork(catalogue, run, lambda sql: os.write(write, f"{sql!r}\n".encode()) and None) == 0
        os.close(write)
        return [line.rstrip("\n") for line in lines]


def last_of_each(found: list[str]) -> list[Place]:
    return [Place(kind, found.count(kind) - 1) for kind in dict.fromkeys(found)]


def fail_at(place: Place, fault: Callable[[], None]) -> Callable[[str], None]:
    seen = iter(range(1_000_000))

    def count(sql: str) -> None:
        if repr(sql) == place.sql and next(seen) == place.number:
            fault()

    return count


def kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def disk_error() -> None:
    raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize(("fault", "ending"), [(kill_this_process, -signal.SIGKILL), (disk_error, CRASHED)])
def test_every_kind_of_statement(
    fault: Callable[[], None], ending: int, catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    run = queue_run(catalogue, stand_in_model, ("sap", "nll"), answer_filter=False, samples=4)
    copies = [tmp_path / f"copy-{number}.db" for number in range(2)]
    back_up(catalogue, copies[0])
    places = last_of_each(statements(copies[0], run))
    expected = all_scores(copies[0], run)
    assert len(places) > 20
    for place in places:
        back_up(catalogue, copies[1])
        assert scored_in_a_fork(copies[1], run, fail_at(place, fault)) == ending, place
        assert_sound(copies[1])
        assert scored_in_a_fork(copies[1], run, lambda _: None) == 0, place
        assert run_now(copies[1], run).state is RunState.DONE, place
        assert_sound(copies[1])
        assert all_scores(copies[1], run) == expected, place


def back_up(catalogue: Path, copy: Path) -> None:
    for end in ("", "-wal", "-shm", ".wlock"):
        Path(f"{copy}{end}").unlink(missing_ok=True)
    shutil.rmtree(f"{copy}.d", ignore_errors=True)
    with sqlite3.connect(catalogue) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    copy.chmod(0o600)
