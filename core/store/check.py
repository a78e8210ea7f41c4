"""The invariants of a catalogue, checked by `sap-tui doctor` and by every test that kills something."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from core.domain import Identity

_MUST_BE_EMPTY = {
    "runs whose counter differs from their finished samples": """
        SELECT runs.id FROM runs WHERE planned = 1 AND done <>
        (SELECT count(*) FROM run_items WHERE run = runs.id AND state <> 'planned')""",
    "runs whose error counter differs from their failed samples": """
        SELECT runs.id FROM runs WHERE planned = 1 AND errors <>
        (SELECT count(*) FROM run_items WHERE run = runs.id AND state = 'error')""",
    "runs whose total differs from their plan": """
        SELECT runs.id FROM runs WHERE total <> (SELECT count(*) FROM run_items WHERE run = runs.id)""",
    "runs whose token counters differ from their chunks": """
        SELECT runs.id FROM runs WHERE planned = 1 AND (tokens_total, tokens_done) <>
        (SELECT ifnull(sum(tokens), 0), ifnull(sum(tokens * (fence IS NOT NULL)), 0) FROM chunks
        WHERE run = runs.id)""",
    "runs that are done with samples or chunks left": """
        SELECT runs.id FROM runs WHERE state = 'done' AND (planned = 0 OR done <> total
        OR EXISTS (SELECT 1 FROM chunks WHERE run = runs.id AND fence IS NULL))""",
    "runs that have ended without a time, or have a time without having ended": """
        SELECT id FROM runs WHERE (state IN ('done', 'failed', 'cancelled')) <> (ended_at IS NOT NULL)""",
    "running runs without an owner": """
        SELECT id FROM runs WHERE state = 'running' AND (pid IS NULL OR pid_start IS NULL OR boot IS NULL)""",
    "attempts that neither ended nor belong to a running run's owner": """
        SELECT attempts.run FROM attempts JOIN runs ON runs.id = attempts.run WHERE attempts.ended_at IS NULL
        AND (runs.state, runs.attempt, runs.boot, runs.pid, runs.pid_start)
        IS NOT ('running', attempts.number, attempts.boot, attempts.pid, attempts.pid_start)""",
    "samples that count as scored without a score": """
        SELECT run_items.run FROM run_items JOIN runs ON runs.id = run_items.run
        LEFT JOIN scores ON scores.spec = runs.spec AND scores.context = run_items.context
        AND scores.response = run_items.response
        WHERE run_items.state IN ('ok', 'reused') AND scores.id IS NULL""",
    "failed samples without a reason": "SELECT run FROM run_items WHERE state = 'error' AND code = ''",
    "samples or chunks written under a fence that was never given": """
        SELECT run_items.run FROM run_items JOIN runs ON runs.id = run_items.run WHERE run_items.fence > runs.fence
        UNION ALL SELECT chunks.run FROM chunks JOIN runs ON runs.id = chunks.run WHERE chunks.fence > runs.fence""",
    "finished chunks with samples left": """
        SELECT chunks.run FROM chunks JOIN run_items ON run_items.run = chunks.run AND chunk = chunks.number
        WHERE chunks.fence IS NOT NULL AND run_items.state = 'planned'""",
    "open chunks without a sample left": """
        SELECT chunks.run FROM chunks WHERE fence IS NULL AND NOT EXISTS (SELECT 1 FROM run_items
        WHERE run_items.run = chunks.run AND chunk = chunks.number AND state = 'planned')""",
    "samples left that no chunk holds": """
        SELECT run_items.run FROM run_items LEFT JOIN chunks ON chunks.run = run_items.run AND chunks.number = chunk
        WHERE state = 'planned' AND chunks.number IS NULL""",
    "scores that are no finite numbers": """
        SELECT id FROM scores WHERE tokens < 1 OR nll_sum IS NULL OR abs(nll_sum) >= 1e300
        OR abs(ifnull(rank_sum, 0)) >= 1e300""",
    "scores with equal keys": """
        SELECT min(id) FROM scores NOT INDEXED GROUP BY spec, context, response HAVING count(*) > 1""",
    "scores without their per-token arrays": """
        SELECT scores.id FROM scores LEFT JOIN token_scores ON score = scores.id WHERE score IS NULL""",
    "strategies whose response counter is wrong": """
        SELECT strategies.id FROM strategies WHERE responses <>
        (SELECT count(*) FROM responses WHERE strategy = strategies.id)""",
}


def problems(reader: sqlite3.Connection, is_alive: Callable[[Identity], bool] | None = None) -> list[str]:
    """One line for every invariant that does not hold; empty for a sound catalogue.

    With `is_alive` also for running runs whose owner is dead: a runner puts those back into the queue.
    """
    found = [f"SQLite: {row[0]}" for row in reader.execute("PRAGMA integrity_check") if row[0] != "ok"]
    _add(found, "rows that refer to nothing, in table", [row[0] for row in reader.execute("PRAGMA foreign_key_check")])
    for what, query in _MUST_BE_EMPTY.items():
        _add(found, what, [row[0] for row in reader.execute(query)])
    if is_alive is not None:
        _add(found, "running runs whose process is gone", _orphans(reader, is_alive))
    return found


def _add(found: list[str], what: str, which: list[object]) -> None:
    if which:
        found.append(f"{len(which)} {what} (first: {', '.join(str(each) for each in which[:5])})")


def _orphans(reader: sqlite3.Connection, is_alive: Callable[[Identity], bool]) -> list[object]:
    rows = reader.execute("SELECT id, host, boot, pid, pid_start FROM runs WHERE state = 'running' AND pid IS NOT NULL")
    return [row[0] for row in rows if not is_alive(Identity(row[1], row[2], row[3], row[4]))]
