"""Where the tokens of a response end in its text, for metrics that look at single steps of a response."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from core.store.batches import slices

if TYPE_CHECKING:
    from core.metrics.base import IntArray


def insert_token_ends(connection: sqlite3.Connection, spec: int, ends: Mapping[bytes, Sequence[int]]) -> None:
    """Store by response the place behind each token, in characters, where there is none under this spec yet."""
    connection.executemany(
        "INSERT INTO token_ends (spec, response, ends) VALUES (?, ?, ?) ON CONFLICT (spec, response) DO NOTHING",
        [(spec, response, _pack(places)) for response, places in ends.items()],
    )


def token_ends(reader: sqlite3.Connection, spec: int, responses: Iterable[bytes]) -> dict[bytes, IntArray]:
    """The places behind the tokens, (T,) characters, of those of the responses that have any."""
    found = {}
    for some in slices(list(dict.fromkeys(responses))):
        marks = ",".join("?" * len(some))
        rows = reader.execute(
            f"SELECT response, ends FROM token_ends WHERE spec = ? AND response IN ({marks})", (spec, *some)
        )
        found.update({row[0]: _unpack(row[1]) for row in rows})
    return found


def _pack(places: Sequence[int]) -> bytes:
    import numpy as np

    return zlib.compress(np.asarray(places, dtype="<i4").tobytes(), 6)


def _unpack(packed: bytes) -> IntArray:
    import numpy as np

    return np.frombuffer(zlib.decompress(packed), "<i4").astype(np.int64)
