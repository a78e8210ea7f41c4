"""The invariants of a catalogue, checked by `sap-tui doctor` and by every test that kills something."""

from __future__ import annotations

import sqlite3

_MUST_BE_EMPTY = {
    "runs whose counter differs from their finished samples": """
        SELECT runs.id FROM runs WHERE planned = 1 AND done <>
        (SELECT count(*) FROM run_items WHERE run = runs.id AND state <> 'planned')""",
    "runs whose error counter differs from their failed samples": """
        SELECT runs.id FROM runs WHERE planned = 1 AND errors <>
        (SELECT count(*) FROM run_items WHERE run = runs.id AND state = 'error')""",
    "runs that are done with samples left": """
        SELECT runs.id FROM runs WHERE state = 'done' AND done <> total""",
    "samples that count as scored without a score": """
        SELECT run_items.run FROM run_items JOIN runs ON runs.id = run_items.run
        LEFT JOIN scores ON scores.spec = runs.spec AND scores.context = run_items.context
        AND scores.response = run_items.response
        WHERE run_items.state IN ('ok', 'reused') AND scores.id IS NULL""",
    "scores without their per-token arrays": """
        SELECT scores.id FROM scores LEFT JOIN token_scores ON score = scores.id WHERE score IS NULL""",
    "samples written under a fence that was never given": """
        SELECT run_items.run FROM run_items JOIN runs ON runs.id = run_items.run WHERE run_items.fence > runs.fence""",
    "finished chunks with samples left": """
        SELECT chunks.run FROM chunks JOIN run_items ON run_items.run = chunks.run AND chunk = chunks.number
        WHERE chunks.fence IS NOT NULL AND run_items.state = 'planned'""",
    "runs whose token counters differ from their chunks": """
        SELECT runs.id FROM runs WHERE planned = 1 AND (tokens_total, tokens_done) <>
        (SELECT ifnull(sum(tokens), 0), ifnull(sum(tokens * (fence IS NOT NULL)), 0) FROM chunks
        WHERE run = runs.id)""",
    "strategies whose response counter is wrong": """
        SELECT strategies.id FROM strategies WHERE responses <>
        (SELECT count(*) FROM responses WHERE strategy = strategies.id)""",
}


def problems(reader: sqlite3.Connection) -> list[str]:
    """One line for every invariant that does not hold; empty for a sound catalogue."""
    found = [f"SQLite: {row[0]}" for row in reader.execute("PRAGMA integrity_check") if row[0] != "ok"]
    for what, query in _MUST_BE_EMPTY.items():
        rows = reader.execute(query).fetchall()
        if rows:
            numbers = ", ".join(str(row[0]) for row in rows[:5])
            found.append(f"{len(rows)} {what} (first: {numbers})")
    return found
