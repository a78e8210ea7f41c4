"""What a model computed for the probe's text when it was first used, per spec and engine."""

from __future__ import annotations

import sqlite3
import time
from array import array
from collections.abc import Sequence


def stored_probe(reader: sqlite3.Connection, spec: int, engine: str) -> tuple[float, ...] | None:
    """Log-probabilities in nats, a float64 for every token."""
    row = reader.execute("SELECT logprobs FROM probes WHERE spec = ? AND engine = ?", (spec, engine)).fetchone()
    return None if row is None else tuple(array("d", row[0]))


def store_probe(connection: sqlite3.Connection, spec: int, engine: str, logprobs: Sequence[float]) -> None:
    connection.execute(
        "INSERT INTO probes (spec, engine, logprobs, created_at) VALUES (?, ?, ?, ?)",
        (spec, engine, array("d", logprobs).tobytes(), time.time()),
    )


def forget_probes(connection: sqlite3.Connection) -> int:
    """Forget them all; every model's next numbers become the ones to compare with. Returns how many there were."""
    return connection.execute("DELETE FROM probes").rowcount
