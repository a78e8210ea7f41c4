"""Rewards that a reward model gave to a response behind its question, kept by the model's weights."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from core.store.batches import slices, wanted


def insert_rewards(connection: sqlite3.Connection, model: str, rewards: Iterable[tuple[bytes, bytes, float]]) -> None:
    """Store (context digest, response digest, reward) under a weights digest; known ones stay."""
    connection.executemany(
        "INSERT INTO rewards (model, context, response, value) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (model, context, response) DO NOTHING",
        [(model, *reward) for reward in rewards],
    )


def rewards(
    reader: sqlite3.Connection, model: str, pairs: Iterable[tuple[bytes, bytes]]
) -> dict[tuple[bytes, bytes], float]:
    """The rewards that are known of these pairs of context and response digests."""
    found: dict[tuple[bytes, bytes], float] = {}
    for some in slices(list(dict.fromkeys(pairs)), width=2):
        table, values = wanted(some)
        rows = reader.execute(
            f"{table} SELECT context, response, value FROM wanted"
            " CROSS JOIN rewards ON model = ? AND context = first AND response = second",
            (*values, model),
        )
        found.update({(row[0], row[1]): row[2] for row in rows})
    return found
