"""Who may work on a run: claiming it under a fence, and every way of letting it go.

Each arrow of the state machine is one compare-and-set on the fence: whoever was overtaken writes nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.domain import Identity, RunState
from core.jobs.identity import is_alive, own_identity
from core.store.db import Writer
from core.store.runs import add_event, run_by_id

BARREN_LIMIT = 3


class LostClaimError(Exception):
    """Somebody else owns the run now, or it has ended: stop at once and write nothing."""


class StopWorkError(Exception):
    """The user wants the run paused or cancelled, or this process was asked to end."""

    def __init__(self, want: str) -> None:
        super().__init__(want)
        self.want = want


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write the results of one run, as long as its fence stands."""

    run: int
    fence: int


def claim_run(writer: Writer, number: int, log: Path | None = None, *, paused_too: bool = False) -> Claim | None:
    """Take a queued run, or one whose owner is dead; None when it is not to be had.

    With `paused_too` a paused run is taken and thereby resumed.
    """
    me = own_identity()
    with writer.transaction() as connection:
        run = run_by_id(connection, number)
        orphaned = run.state is RunState.RUNNING and not (run.owner and is_alive(run.owner))
        wanted = run.want == "run" or (paused_too and run.want == "pause")
        if not wanted or not (run.state is RunState.QUEUED or orphaned):
            return None
        now = time.time()
        fence, attempt = run.fence + 1, run.attempt + 1
        connection.execute(
            "UPDATE runs SET state = 'running', want = 'run', fence = ?, attempt = ?, host = ?, boot = ?, pid = ?,"
            " pid_start = ?, beat_at = ?, started_at = coalesce(started_at, ?), phase = 'starting', why = '', log = ?"
            " WHERE id = ?",
            (fence, attempt, me.host, me.boot, me.pid, me.start, now, now, str(log or run.log), number),
        )
        connection.execute(
            "INSERT INTO attempts (run, number, host, boot, pid, pid_start, started_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, attempt, me.host, me.boot, me.pid, me.start, now),
        )
        connection.execute(
            "UPDATE attempts SET ended_at = ?, outcome = 'lost' WHERE run = ? AND number < ? AND ended_at IS NULL",
            (now, number, attempt),
        )
    return Claim(number, fence)


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
        {**columns, "now": time.time(), "run": claim.run, "fence": claim.fence},
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
        update_claimed(connection, claim, state="done", ended_at=time.time(), phase="")
        _end_attempt(connection, claim, "done")
        for warning in warnings:
            add_event(connection, claim.run, "warning", warning)
        add_event(connection, claim.run, "info", "done")


def fail(writer: Writer, claim: Claim, why: str) -> None:
    """The claimed run cannot succeed."""
    with writer.transaction() as connection:
        update_claimed(connection, claim, state="failed", ended_at=time.time(), why=why, phase="")
        _end_attempt(connection, claim, "failed")
        add_event(connection, claim.run, "error", why)


def release(writer: Writer, claim: Claim, want: str) -> None:
    """Let go of the claimed run: cancelled when that was wanted, else back into the queue."""
    cancelled = want == "cancel"
    with writer.transaction() as connection:
        update_claimed(
            connection,
            claim,
            state="cancelled" if cancelled else "queued",
            ended_at=time.time() if cancelled else None,
            phase="",
        )
        _end_attempt(connection, claim, want)


def requeue_orphan(
    writer: Writer, number: int, owner: Identity, why: str, *, rebooted: bool, auto_resume: bool
) -> bool:
    """Put a run whose owner died back into the queue, or end it after three attempts without progress.

    Returns False when the run has changed hands meanwhile.
    """
    with writer.transaction() as connection:
        run = run_by_id(connection, number)
        if run.state is not RunState.RUNNING or run.owner != owner or is_alive(owner):
            return False
        barren = connection.execute("SELECT barren FROM runs WHERE id = ?", (number,)).fetchone()[0] + 1
        state, want = RunState.QUEUED, run.want
        if run.want == "cancel":
            state = RunState.CANCELLED
        elif barren >= BARREN_LIMIT:
            state, why = RunState.FAILED, f"{why}; {barren} attempts in a row made no progress"
        elif rebooted and not auto_resume:
            want, why = "pause", f"interrupted by a restart of the machine: {run.done} of {run.total} kept"
        now = time.time()
        connection.execute(
            "UPDATE runs SET state = ?, want = ?, why = ?, barren = ?, fence = fence + 1, phase = '', not_before = ?,"
            " ended_at = ? WHERE id = ?",
            (state, want, why, barren, now + min(2 ** (barren - 1), 60), now if state.ended else None, number),
        )
        _end_attempt(connection, Claim(number, run.fence), why, run.attempt)
        add_event(connection, number, "error" if state is RunState.FAILED else "warning", why)
    return True


def _end_attempt(connection: sqlite3.Connection, claim: Claim, outcome: str, attempt: int | None = None) -> None:
    connection.execute(
        "UPDATE attempts SET ended_at = ?, outcome = ? WHERE run = ? AND ended_at IS NULL"
        " AND number = coalesce(?, (SELECT attempt FROM runs WHERE id = ?))",
        (time.time(), outcome[:200], claim.run, attempt, claim.run),
    )
