"""Who may work on a run: claiming it under a fence, and every way of letting it go.

Each arrow of the state machine is one compare-and-set on the fence: whoever was overtaken writes nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core import clock
from core.domain import Identity, Run, RunState
from core.jobs.blame import CRASHED, blame, is_hopeless
from core.processes.identity import is_alive, own_identity
from core.store.db import Writer
from core.store.runs import INTERRUPTED, add_event, run_by_id

BARREN_LIMIT = 3
LONGEST_DELAY_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 15.0


class LostClaimError(Exception):
    """Somebody else owns the run now, or it has ended: stop at once and write nothing."""


class StopWorkError(Exception):
    """The user wants the run paused or cancelled, or this process was asked to end."""

    def __init__(self, want: str) -> None:
        super().__init__(want)
        self.want = want


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write the results of one run, as long as its fence stands.

    A run that is let go of `in_foreground` is paused: only its user knows where it should go on.
    """

    run: int
    fence: int
    in_foreground: bool = False


@dataclass(frozen=True, slots=True)
class Death:
    """Why an attempt came to nothing: in words, and as the code of a sample that turns out to be the reason."""

    why: str
    code: str = CRASHED


def claim_run(writer: Writer, number: int, log: Path | None = None, *, in_foreground: bool = False) -> Claim | None:
    """Take a queued run, or one whose owner is dead; None when it is not to be had.

    In the foreground a paused run is taken too and thereby resumed.
    """
    me = own_identity()
    with writer.transaction() as connection:
        run = run_by_id(connection, number)
        orphaned = run.state is RunState.RUNNING and not (run.owner and is_alive(run.owner))
        wanted = run.want == "run" or (in_foreground and run.want == "pause")
        if not wanted or not (run.state is RunState.QUEUED or orphaned):
            return None
        if orphaned and run.owner and run.owner.boot == clock.boot_id():
            blame(connection, run, "its process was gone", CRASHED)
        now = time.time()
        fence, attempt = run.fence + 1, run.attempt + 1
        _end_attempt(connection, number, "lost")
        connection.execute(
            "UPDATE runs SET state = 'running', want = 'run', fence = ?, attempt = ?, host = ?, boot = ?, pid = ?,"
            " pid_start = ?, beat_at = ?, started_at = coalesce(started_at, ?), phase = 'starting', why = '', log = ?,"
            " answering = NULL WHERE id = ?",
            (fence, attempt, me.host, me.boot, me.pid, me.start, clock.since_boot(), now, str(log or run.log), number),
        )
        connection.execute(
            "INSERT INTO attempts (run, number, host, boot, pid, pid_start, started_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, attempt, me.host, me.boot, me.pid, me.start, now),
        )
    return Claim(number, fence, in_foreground)


def beat(writer: Writer, claim: Claim, **progress: object) -> None:
    """Write a sign of life with columns of progress. Raises LostClaimError, or StopWorkError for a user's wish."""
    with writer.transaction() as connection:
        want = update_claimed(connection, claim, **progress)
    if want != "run":
        raise StopWorkError(want)


def update_claimed(connection: sqlite3.Connection, claim: Claim, **columns: object) -> str:
    """Update the run's row inside the caller's transaction if the claim stands; returns what the user wants."""
    assignments = "".join(f"{name} = :{name}, " for name in columns)
    row = connection.execute(
        f"UPDATE runs SET {assignments} beat_at = :now WHERE id = :run AND fence = :fence AND state = 'running'"
        " RETURNING want",
        {**columns, "now": clock.since_boot(), "run": claim.run, "fence": claim.fence},
    ).fetchone()
    if row is None:
        raise LostClaimError(claim.run)
    return str(row[0])


def finish(writer: Writer, claim: Claim, warnings: Sequence[str] = ()) -> None:
    """The claimed run is done: every planned item has a result. The warnings become events."""
    with writer.transaction() as connection:
        left = connection.execute(
            "SELECT count(*) FROM run_items WHERE run = ? AND state = 'planned'", (claim.run,)
        ).fetchone()[0]
        if left:
            raise AssertionError(f"run {claim.run} has {left} items without a result")
        update_claimed(connection, claim, state="done", ended_at=time.time(), phase="", why="")
        _end_attempt(connection, claim.run, "done")
        for warning in warnings:
            add_event(connection, claim.run, "warning", warning)
        add_event(connection, claim.run, "info", "done")


def fail(writer: Writer, claim: Claim, why: str) -> None:
    """The claimed run cannot succeed."""
    with writer.transaction() as connection:
        update_claimed(connection, claim, state="failed", ended_at=time.time(), why=why, phase="")
        _end_attempt(connection, claim.run, "failed")
        add_event(connection, claim.run, "error", why)


def release(writer: Writer, claim: Claim) -> None:
    """Let go of the claimed run: cancelled when the user wants that by now, else back into the queue."""
    with writer.transaction() as connection:
        want = update_claimed(connection, claim, phase="", why="")
        _hold(connection, claim)
        if want == "cancel":
            update_claimed(connection, claim, state="cancelled", ended_at=time.time())
        else:
            update_claimed(connection, claim, state="queued")
        _end_attempt(connection, claim.run, {"run": "let go", "pause": "paused", "cancel": "cancelled"}[want])


def wait_for_memory(writer: Writer, claim: Claim, why: str, *, is_barren: bool) -> None:
    """Put the claimed run back until there is memory for it. `is_barren` says that there was, and yet it failed."""
    with writer.transaction() as connection:
        update_claimed(connection, claim)
        _hold(connection, claim)
        _put_back(connection, run_by_id(connection, claim.run), why, is_barren, LOOK_AGAIN_SECONDS)


def put_back(writer: Writer, claim: Claim, death: Death) -> None:
    """The claimed run goes on in another process: this one is no longer fit for it."""
    with writer.transaction() as connection:
        update_claimed(connection, claim)
        _hold(connection, claim)
        _bury(connection, run_by_id(connection, claim.run), death)


def _hold(connection: sqlite3.Connection, claim: Claim) -> None:
    if claim.in_foreground:
        connection.execute("UPDATE runs SET want = 'pause' WHERE id = ? AND want = 'run'", (claim.run,))


def requeue_orphan(
    writer: Writer, number: int, owner: Identity, death: Death, *, rebooted: bool, auto_resume: bool
) -> bool:
    """Put a run whose owner died back into the queue, or end it after three attempts without progress.

    Returns False when the run has changed hands meanwhile.
    """
    with writer.transaction() as connection:
        run = run_by_id(connection, number)
        if run.state is not RunState.RUNNING or run.owner != owner or is_alive(owner):
            return False
        if not rebooted:
            _bury(connection, run, death)
        elif run.want == "cancel" or auto_resume:
            _put_back(connection, run, "the machine was restarted", False, 0.0)
        else:
            why = f"{INTERRUPTED} by a restart of the machine: {run.done} of {run.total} kept"
            _put_back(connection, run, why, False, 0.0)
            connection.execute("UPDATE runs SET want = 'pause' WHERE id = ?", (number,))
    return True


def _bury(connection: sqlite3.Connection, run: Run, death: Death) -> None:
    """After a death the run waits longer each time; what was being scored is remembered."""
    tries = blame(connection, run, death.why, death.code)
    barren = _barren(connection, run.id) + 1
    delay = min(2.0 ** ((tries or barren) - 1), LONGEST_DELAY_SECONDS)
    if tries and is_hopeless(connection, run.id):
        why = f"{death.why}; this happened to every one of the last samples, each of them alone"
        _put_back(connection, run, why, False, delay, RunState.FAILED)
    else:
        _put_back(connection, run, death.why, not tries, delay)


def _put_back(
    connection: sqlite3.Connection,
    run: Run,
    why: str,
    is_barren: bool,
    delay: float,
    state: RunState = RunState.QUEUED,
) -> None:
    barren = _barren(connection, run.id) + 1 if is_barren else 0
    if run.want == "cancel":
        state = RunState.CANCELLED
    elif barren >= BARREN_LIMIT:
        state, why = RunState.FAILED, f"{why}; {barren} attempts in a row made no progress"
    connection.execute(
        "UPDATE runs SET state = ?, why = ?, barren = ?, fence = fence + 1, phase = '', not_before = ?,"
        " not_before_boot = ?, ended_at = ? WHERE id = ?",
        (state, why, barren, clock.since_boot() + delay, clock.boot_id(), time.time() if state.ended else None, run.id),
    )
    _end_attempt(connection, run.id, why)
    add_event(connection, run.id, "error" if state is RunState.FAILED else "warning", why)


def _barren(connection: sqlite3.Connection, run: int) -> int:
    return int(connection.execute("SELECT barren FROM runs WHERE id = ?", (run,)).fetchone()[0])


def _end_attempt(connection: sqlite3.Connection, run: int, outcome: str) -> None:
    connection.execute(
        "UPDATE attempts SET ended_at = ?, outcome = ? WHERE run = ? AND ended_at IS NULL",
        (time.time(), outcome[:200], run),
    )
