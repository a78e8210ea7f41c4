"""Answers that the target model gave to a question when sampled at a temperature."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


def insert_sampled_answers(
    connection: sqlite3.Connection,
    spec: int,
    context: bytes,
    temperature: float,
    answers: Iterable[tuple[int, str, bool]],
) -> None:
    """Store (number from 0, text, whether it is finished) of one context's answers; known numbers stay."""
    connection.executemany(
        "INSERT INTO sampled_answers (spec, context, temperature, number, text, finished) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (spec, context, temperature, number) DO NOTHING",
        [(spec, context, temperature, *answer) for answer in answers],
    )


def sampled_answers(
    reader: sqlite3.Connection, spec: int, context: bytes, temperature: float, limit: int
) -> list[tuple[str, bool]]:
    """Text and whether it is finished of the first `limit` answers, in the order of their numbers."""
    rows = reader.execute(
        "SELECT text, finished FROM sampled_answers WHERE spec = ? AND context = ? AND temperature = ?"
        " ORDER BY number LIMIT ?",
        (spec, context, temperature, limit),
    )
    return [(row[0], bool(row[1])) for row in rows]
