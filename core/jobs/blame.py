"""Which sample killed the process: a death is laid at the chunk that was being scored, then at a sample of it.

A death while the model answered questions is laid at all of them, then at one that is answered alone.

A new attempt commits its first chunks one by one, so when a process dies while scoring, the first open chunk is what it
worked on. Whoever finds the death writes it down, in the same transaction that lets anybody else work on the run: that
is as safe as a note before every chunk, and costs no commit while all is well. A chunk that was being scored at two
deaths is scored sample by sample, and a sample that was alone at two deaths gets no third.
"""

from __future__ import annotations

import sqlite3

from core.domain import Run

TRIES = 2
CRASHED, DEVICE = "crashed", "device"
ANSWERING = "predicting"
# So many samples in a row that kill the process when they are alone: it is not the samples.
MOST_IN_A_ROW = 3


def blame(connection: sqlite3.Connection, run: Run, why: str, code: str) -> int:
    """Write down that the run's process died of something; returns how often what it worked on was the last by now.

    0 where it neither scored nor answered. A sample that has had its tries becomes an error with this code.
    """
    if run.phase == ANSWERING:
        return _blame_answer(connection, run, why)
    if run.phase != "scoring":
        return 0
    chunk = connection.execute(
        "SELECT number, tries FROM chunks WHERE run = ? AND fence IS NULL ORDER BY number LIMIT 1", (run.id,)
    ).fetchone()
    if chunk is None:
        return 0
    if chunk["tries"] < TRIES:
        connection.execute(
            "UPDATE chunks SET tries = tries + 1 WHERE run = ? AND number = ?", (run.id, chunk["number"])
        )
        return int(chunk["tries"]) + 1
    return _blame_sample(connection, run, chunk["number"], why, code)


def _blame_answer(connection: sqlite3.Connection, run: Run, why: str) -> int:
    (alone,) = connection.execute("SELECT answering FROM runs WHERE id = ?", (run.id,)).fetchone()
    if alone is None:
        row = connection.execute(
            "UPDATE runs SET answer_tries = answer_tries + 1 WHERE id = ? RETURNING answer_tries", (run.id,)
        ).fetchone()
        return int(row[0])
    row = connection.execute(
        "INSERT INTO unanswered (run, context, tries, why) VALUES (?, ?, 1, ?)"
        " ON CONFLICT DO UPDATE SET tries = tries + 1, why = excluded.why RETURNING tries",
        (run.id, alone, why[:500]),
    ).fetchone()
    if row[0] >= TRIES:
        # The others may be answered together again.
        connection.execute("UPDATE runs SET answer_tries = 0 WHERE id = ?", (run.id,))
    return int(row[0])


def answers_alone(reader: sqlite3.Connection, run: int) -> bool:
    """Whether the run's questions are to be answered one by one, since answering them together ended the process."""
    return int(reader.execute("SELECT answer_tries FROM runs WHERE id = ?", (run,)).fetchone()[0]) >= TRIES


def unanswerable(reader: sqlite3.Connection, run: int) -> dict[bytes, str]:
    """The contexts that have had their tries in this run, each with what happened last."""
    rows = reader.execute("SELECT context, why FROM unanswered WHERE run = ? AND tries >= ?", (run, TRIES))
    return {row[0]: row[1] for row in rows}


def excuse(connection: sqlite3.Connection, run: int) -> None:
    """Something was answered: earlier deaths were not the device's fault."""
    connection.execute("UPDATE unanswered SET lately = 0 WHERE run = ? AND lately", (run,))
    connection.execute("UPDATE runs SET answer_tries = 0 WHERE id = ? AND answering IS NULL", (run,))


def _blame_sample(connection: sqlite3.Connection, run: Run, chunk: int, why: str, code: str) -> int:
    item = connection.execute(
        "SELECT number, context, response, tries FROM run_items WHERE run = ? AND chunk = ? AND state = 'planned'"
        " ORDER BY number LIMIT 1",
        (run.id, chunk),
    ).fetchone()
    tries = int(item["tries"]) + 1
    connection.execute("UPDATE run_items SET tries = ? WHERE run = ? AND number = ?", (tries, run.id, item["number"]))
    if tries >= TRIES:
        named = connection.execute(
            "UPDATE run_items SET state = 'error', code = ?, detail = ?, fence = ?"
            " WHERE run = ? AND chunk = ? AND context = ? AND response = ? AND state = 'planned'",
            (code, _words(tries, why), run.fence, run.id, chunk, item["context"], item["response"]),
        ).rowcount
        connection.execute("UPDATE runs SET done = done + ?, errors = errors + ? WHERE id = ?", (named, named, run.id))
        _close_if_finished(connection, run, chunk)
    return tries


def _words(tries: int, why: str) -> str:
    return f"scored alone it ended the process {tries} times: {why}"[:500]


def _close_if_finished(connection: sqlite3.Connection, run: Run, chunk: int) -> None:
    closed = connection.execute(
        "UPDATE chunks SET fence = ? WHERE run = ? AND number = ? AND NOT EXISTS"
        " (SELECT 1 FROM run_items WHERE run = chunks.run AND chunk = chunks.number AND state = 'planned')"
        " RETURNING tokens",
        (run.fence, run.id, chunk),
    ).fetchone()
    if closed is not None:
        connection.execute("UPDATE runs SET tokens_done = tokens_done + ? WHERE id = ?", (closed[0], run.id))


def is_hopeless(connection: sqlite3.Connection, run: int) -> bool:
    """Whether what killed the process was so many in a row, with nothing that went well between."""
    row = connection.execute(
        "SELECT (SELECT count(DISTINCT fence) FROM run_items WHERE run = :run AND code IN (:crashed, :device)"
        " AND fence > ifnull((SELECT max(fence) FROM run_items WHERE run = :run AND state <> 'planned'"
        " AND code NOT IN (:crashed, :device)), 0)),"
        " (SELECT count(*) FROM unanswered WHERE run = :run AND tries >= :tries AND lately)",
        {"run": run, "crashed": CRASHED, "device": DEVICE, "tries": TRIES},
    ).fetchone()
    return max(int(count) for count in row) >= MOST_IN_A_ROW
