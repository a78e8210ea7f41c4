"""Runs scored in this process by the stand-in engine, and their scores read straight from the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from core.domain import ContextKind, Run
from core.jobs.claim import claim_run
from core.run_work.work import Worker
from core.scoring.fake import FakeEngine, Faults
from core.scoring.prompts import context_digest
from core.store.catalogue import questions_of, task_by_name
from core.store.db import Writer, open_reader
from tests.jobs.helpers import queue_run, run_now


def scored_run(
    catalogue: Path, model: Path, metrics: Sequence[str] = ("ppl",), faults: Faults | None = None, **options: object
) -> Run:
    """A finished run of the task `sums`."""
    return do_here(catalogue, queue_run(catalogue, model, metrics, **options), faults)


def do_here(catalogue: Path, number: int, faults: Faults | None = None) -> Run:
    """Finish a queued run."""
    with Writer(catalogue) as writer:
        claim = claim_run(writer, number)
        assert claim is not None
        Worker(writer, claim, lambda *_: FakeEngine(faults or Faults()), lambda: False).work()
    return run_now(catalogue, number)


def stored_nll(
    catalogue: Path, run: Run, strategy: str | int, kind: ContextKind = ContextKind.PLAIN
) -> dict[int, list[float]]:
    """L of every score of a strategy (a name, or a row number) behind a kind of context, by question."""
    reader = sqlite3.connect(catalogue)
    rows = reader.execute(
        "SELECT question, nll_sum / scores.tokens FROM run_items JOIN scores USING (context, response)"
        " LEFT JOIN strategies ON strategies.id = run_items.strategy"
        " WHERE run = ? AND context_kind = ? AND ? IN (run_items.strategy, strategies.name) AND scores.spec = ?"
        " ORDER BY number",
        (run.id, str(kind), strategy, run.spec),
    ).fetchall()
    reader.close()
    found: dict[int, list[float]] = {}
    for question, value in rows:
        found.setdefault(question, []).append(value)
    return found


def plain_contexts(catalogue: Path) -> list[bytes]:
    """Digests of the plain contexts of the task `sums`, in its order."""
    reader = open_reader(catalogue)
    return [context_digest(each.turns) for each in questions_of(reader, task_by_name(reader, "sums").id)]


def change(catalogue: Path, statement: str, *parameters: object) -> None:
    """Run a statement that changes something."""
    with Writer(catalogue) as writer, writer.transaction() as connection:
        assert connection.execute(statement, parameters).rowcount
