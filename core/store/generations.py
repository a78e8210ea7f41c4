"""The target model's own answers that were generated here, kept per spec and context and reused by every later run."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from core.domain import Prediction


@dataclass(frozen=True, slots=True)
class StoredGeneration:
    """A generated answer; `finished` is False where it was cut at the limit."""

    text: str
    finished: bool


def imported_pool(reader: sqlite3.Connection, task: int, weights_digest: str) -> list[Prediction]:
    """Predictions imported for this task and these weights, in the file's order; empty where there are none."""
    rows = reader.execute(
        "SELECT text, question FROM imported_predictions WHERE task = ? AND weights_digest = ? ORDER BY position",
        (task, weights_digest),
    )
    return [Prediction(text=row[0], question=row[1]) for row in rows]


def generated_texts(reader: sqlite3.Connection, spec: int) -> dict[bytes, str]:
    """Every answer generated under a spec, by its context."""
    rows = reader.execute("SELECT context, text FROM generated_predictions WHERE spec = ?", (spec,))
    return {row[0]: row[1] for row in rows}


def stored_generation(reader: sqlite3.Connection, spec: int, context: bytes) -> StoredGeneration | None:
    row = reader.execute(
        "SELECT text, finished FROM generated_predictions WHERE spec = ? AND context = ?", (spec, context)
    ).fetchone()
    return None if row is None else StoredGeneration(row[0], bool(row[1]))


def insert_generation(
    connection: sqlite3.Connection, spec: int, context: bytes, text: str, token_ids: tuple[int, ...], finished: bool
) -> None:
    """Store a generated answer with its token ids (int32) if there is none yet."""
    from array import array

    connection.execute(
        "INSERT INTO generated_predictions (spec, context, text, token_ids, finished) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (spec, context) DO NOTHING",
        (spec, context, text, array("i", token_ids).tobytes(), int(finished)),
    )
