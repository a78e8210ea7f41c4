"""The target model's own answers, made elsewhere and imported."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from core.ingest.fields import FieldMap
from core.ingest.source import OnProgress, detect
from core.store.alignment import Place, find_questions
from core.store.catalogue import task_by_name
from core.store.db import Writer
from core.store.staging import BadLines, described, refuse, stage, staging
from core.text import visible

IsCorrect = Callable[[str, str], bool | None]
"""Whether a prediction's final answer equals the gold answer; None where that cannot be told."""

_FILE = 0


@dataclass(frozen=True, slots=True)
class PredictionsReport:
    """What an import of predictions did. With the check `wrong` were dropped and `not_checkable` kept.

    `unknown_questions` counts the stored ones that answer questions the task does not hold.
    """

    task: str
    detected: str
    stored: int
    unknown_questions: int
    wrong: int
    not_checkable: int
    replaced: int


def import_predictions(
    writer: Writer,
    path: Path,
    *,
    task: str,
    weights_digest: str,
    check: bool = False,
    is_correct: IsCorrect | None = None,
    field_map: FieldMap | None = None,
    on_progress: OnProgress | None = None,
) -> PredictionsReport:
    """Store a file's predictions in its order, in place of earlier ones for the same task and weights.

    With `check` those whose final answer differs from the gold answer, by `is_correct`, are dropped.
    Raises NotFoundError or InputError; then nothing is kept.
    """
    source = detect(path, field_map)
    place = Place(_FILE, task_by_name(writer.connection, task).id)
    with staging(writer.connection):
        bad = BadLines(path)
        stage(writer.connection, place.file, source, bad, on_progress)
        detected = described(writer.connection, place.file, source)
        find_questions(writer.connection, place, bad)
        refuse([bad], "Mend it.")
        wrong, not_checkable = 0, 0
        if check and is_correct:
            # Judging takes time, so it is done before the catalogue is locked.
            wrong, not_checkable = _drop_wrong(writer.connection, is_correct)
        with writer.transaction() as connection:
            find_questions(connection, place, bad)
            refuse([bad], "Mend it.")
            replaced = _remove(connection, place.task, weights_digest)
            stored, unknown = _store(connection, place, weights_digest, visible(str(path.absolute())))
            if not stored:
                raise InputError(
                    f"No prediction in {visible(path.name)} has the right answer.", "Import it without --check."
                )
    return PredictionsReport(task, detected, stored, unknown, wrong, not_checkable, replaced)


def _drop_wrong(connection: sqlite3.Connection, is_correct: IsCorrect) -> tuple[int, int]:
    """Take wrong predictions out of the staging table; how many, and how many could not be judged."""
    judged = connection.execute(
        """SELECT number, response, coalesce(q.answer, s.answer) AS gold
           FROM temp.staged s JOIN temp.staged_texts USING (number) LEFT JOIN questions q ON q.id = s.question"""
    )
    wrong, not_checkable = [], 0
    for row in judged:
        verdict = None if row["gold"] is None else is_correct(row["response"], row["gold"])
        not_checkable += verdict is None
        if verdict is False:
            wrong.append((row["number"],))
    connection.executemany("DELETE FROM temp.staged WHERE number = ?", wrong)
    return len(wrong), not_checkable


def _remove(connection: sqlite3.Connection, task: int, weights_digest: str) -> int:
    return connection.execute(
        "DELETE FROM imported_predictions WHERE task = ? AND weights_digest = ?", (task, weights_digest)
    ).rowcount


def _store(connection: sqlite3.Connection, place: Place, weights_digest: str, source: str) -> tuple[int, int]:
    """Store the staged predictions; how many, and how many of them without a question of the task."""
    stored = connection.execute(
        """INSERT INTO imported_predictions (task, weights_digest, position, question, text, source)
           SELECT :task, :weights, row_number() OVER (ORDER BY number) - 1, question, response, :source
           FROM temp.staged JOIN temp.staged_texts USING (number) WHERE file = :file ORDER BY number""",
        {**place.parameters, "weights": weights_digest, "source": source},
    ).rowcount
    (unknown,) = connection.execute("SELECT count(*) FROM temp.staged WHERE question IS NULL").fetchone()
    return stored, int(unknown)
