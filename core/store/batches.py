"""Many keys in one query, in slices that every SQLite takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Key = TypeVar("Key")

MOST_PARAMETERS = 500


def slices(keys: Sequence[Key], width: int = 1) -> Iterator[Sequence[Key]]:
    """Slices of the keys that need at most 500 parameters, `width` a key."""
    size = MOST_PARAMETERS // width
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def wanted(pairs: Sequence[tuple[object, object]]) -> tuple[str, list[object]]:
    """A table `wanted (first, second)` of the pairs for a CROSS JOIN, and its parameters.

    SQLite looks pairs that it joins with up in an index; for `(first, second) IN (VALUES ...)` it scans the table.
    """
    marks = ",".join(["(?,?)"] * len(pairs))
    return f"WITH wanted (first, second) AS (VALUES {marks})", [value for pair in pairs for value in pair]
