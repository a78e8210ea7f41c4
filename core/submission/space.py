"""Whether the disk has room for what a run is going to store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from core.domain import ContextKind, RunRequest
from core.errors import SapError
from core.metrics.registry import contexts_needed
from core.store.space import free_bytes
from core.text import visible

# Measured with the bundled model, whose tokens are short: rows and index entries of a score with their share of what
# else a run stores, and its compressed arrays, of which the plain context has four.
_ROW_BYTES = 1200
_BYTES_PER_CHARACTER = {ContextKind.PLAIN: 5.0, ContextKind.SELF_ALIGNED: 1.5, ContextKind.ALONE: 1.5}
# The write-ahead log holds everything once more until it is moved into the catalogue.
_TIMES = 2


def stored_bytes(reader: sqlite3.Connection, run: int, request: RunRequest) -> int:
    """Estimate of what all scores of a run take, as if none existed."""
    count, characters = reader.execute(
        "SELECT count(*), ifnull(sum(characters), 0) FROM run_questions"
        " JOIN run_strategies ON run_strategies.run = run_questions.run"
        " JOIN responses ON responses.strategy = run_strategies.strategy"
        " AND responses.question = run_questions.question WHERE run_questions.run = ?",
        (run,),
    ).fetchone()
    total = 0.0
    for kind in contexts_needed(request.metrics):
        orders = request.example_orders if kind is ContextKind.SELF_ALIGNED else 1
        total += orders * (_ROW_BYTES * count + _BYTES_PER_CHARACTER[kind] * characters)
    return int(total)


def refuse_little_space(reader: sqlite3.Connection, catalogue: Path, run: int, request: RunRequest) -> None:
    """Raises SapError where less than twice the estimate is free."""
    needed, free = _TIMES * stored_bytes(reader, run, request), free_bytes(catalogue)
    if free < needed:
        raise SapError(
            f"The scores take about {needed / 2**20:,.0f} MiB, {visible(str(catalogue.parent))} has"
            f" {free / 2**20:,.0f} MiB free.",
            "Free some space, score fewer questions, or use another --catalogue.",
        )
