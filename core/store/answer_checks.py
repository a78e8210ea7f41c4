"""Whether a response's final answer equals a gold answer, judged once and kept by response and gold answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from core.store.batches import slices, wanted


def insert_answer_checks(connection: sqlite3.Connection, checks: Iterable[tuple[bytes, str, bool | None]]) -> None:
    """Store (response digest, gold answer, whether they agree; None where that cannot be told); known ones stay."""
    connection.executemany(
        "INSERT INTO answer_checks (response, gold, correct) VALUES (?, ?, ?) ON CONFLICT (response, gold) DO NOTHING",
        checks,
    )


def answer_checks(
    reader: sqlite3.Connection, pairs: Iterable[tuple[bytes, str]]
) -> dict[tuple[bytes, str], bool | None]:
    """What is known of these pairs of response digest and gold answer."""
    found: dict[tuple[bytes, str], bool | None] = {}
    for some in slices(list(dict.fromkeys(pairs)), width=2):
        table, values = wanted(some)
        rows = reader.execute(
            f"{table} SELECT response, gold, correct FROM wanted"
            " CROSS JOIN answer_checks ON response = first AND gold = second",
            values,
        )
        found.update({(row[0], row[1]): None if row[2] is None else bool(row[2]) for row in rows})
    return found
