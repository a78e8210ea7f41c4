"""Runs that end when they are decided: after each stage a look at the scores, and strategies that drop out."""

from __future__ import annotations

import sqlite3

from core.domain import Run
from core.errors import SapError
from core.jobs.claim import Claim, update_claimed
from core.metrics.registry import metric
from core.rank import stored_looks
from core.stats.sequential import Look
from core.store.db import Writer
from core.store.runs import add_event, run_by_id


def look(writer: Writer, claim: Claim, run: Run) -> bool:
    """Look at what is scored so far and end the scoring of strategies that are out; True when the run is decided.

    A look depends on the scores alone, so that an interrupted run drops the same strategies.
    """
    looks = _looks(writer.connection, run)
    if not looks:
        return False
    out = {place: each for each in looks for place in each.out}
    with writer.transaction() as connection:
        for place, when in out.items():
            _drop(connection, claim, run, place, when)
        if looks[-1].decided:
            _drop_the_rest(connection, claim, run, looks[-1])
    return looks[-1].decided


def _looks(reader: sqlite3.Connection, run: Run) -> list[Look]:
    try:
        return stored_looks(reader, run_by_id(reader, run.id))
    except SapError:
        return []


def _drop(connection: sqlite3.Connection, claim: Claim, run: Run, place: int, when: Look) -> None:
    name, leader = run.strategies[place], run.strategies[when.leader]
    reason = f"out after {when.questions} questions, behind {leader} by {metric(run.request.metrics[0]).id}"
    changed = connection.execute(
        "UPDATE run_strategies SET out = ? WHERE run = ? AND position = ? AND out = ''", (reason, run.id, place)
    ).rowcount
    if changed:
        strategy = connection.execute(
            "SELECT strategy FROM run_strategies WHERE run = ? AND position = ?", (run.id, place)
        ).fetchone()[0]
        _forget(connection, claim, run.id, when, strategy)
        add_event(connection, run.id, "info", f"{name} is {reason}")


def _drop_the_rest(connection: sqlite3.Connection, claim: Claim, run: Run, when: Look) -> None:
    if _forget(connection, claim, run.id, when):
        text = f"decided after {when.questions} of {run.questions} questions: {run.strategies[when.leader]} leads"
        add_event(connection, run.id, "info", text)


def _forget(connection: sqlite3.Connection, claim: Claim, run: int, when: Look, strategy: int | None = None) -> int:
    """Take a strategy, or all, out of the plan from this look on; returns how many planned items that were.

    Items behind the look that existed before go too: the ranking stands on the questions that were looked at.
    """
    behind = (
        "run = :run AND (:strategy IS NULL OR strategy = :strategy) AND question IN"
        " (SELECT question FROM run_questions WHERE run = :run AND position >= :questions)"
    )
    names = {"run": run, "strategy": strategy, "questions": when.questions}
    connection.execute(
        "UPDATE chunks SET tokens = max(0, tokens - ifnull((SELECT sum(tokens) FROM run_items"
        f" WHERE {behind} AND run_items.chunk = chunks.number), 0)) WHERE run = :run AND fence IS NULL",
        names,
    )
    planned = connection.execute(f"SELECT count(*) FROM run_items WHERE {behind} AND state = 'planned'", names)
    count = int(planned.fetchone()[0])
    connection.execute(f"DELETE FROM run_items WHERE {behind}", names)
    connection.execute(
        "DELETE FROM chunks WHERE run = :run AND fence IS NULL AND number NOT IN"
        " (SELECT chunk FROM run_items WHERE run = :run AND state = 'planned' AND chunk IS NOT NULL)",
        names,
    )
    counters = connection.execute(
        "SELECT count(*) AS total, ifnull(sum(state <> 'planned'), 0) AS done,"
        " ifnull(sum(state = 'error'), 0) AS errors, ifnull(sum(state = 'reused'), 0) AS reused,"
        " (SELECT ifnull(sum(tokens), 0) FROM chunks WHERE run = :run) AS tokens_total FROM run_items WHERE run = :run",
        names,
    ).fetchone()
    update_claimed(connection, claim, **dict(counters))
    return count
