"""Score columns: values that another program gave to responses, kept by task, name, strategy and question."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from core.store.catalogue import task_by_name

REWARD = "reward"


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """An imported column. `values` counts what it holds, `strategies` of how many strategies."""

    id: int
    name: str
    direction: str
    source: str
    strategies: int
    values: int


def score_columns(reader: sqlite3.Connection, task: str) -> list[ScoreColumn]:
    """The columns of a task by name. Raises NotFoundError for a task that is not there."""
    rows = reader.execute(
        "SELECT id, name, direction, source, count(DISTINCT strategy), count(strategy) FROM score_columns"
        " LEFT JOIN column_values ON score_column = score_columns.id WHERE task = ? GROUP BY id ORDER BY name",
        (task_by_name(reader, task).id,),
    )
    return [ScoreColumn(*row) for row in rows]


def column_stamps(reader: sqlite3.Connection) -> dict[str, tuple[int, float]]:
    """By task how many columns it has, and when values were last imported: changes whenever they may have changed."""
    rows = reader.execute(
        "SELECT tasks.name, count(*), max(score_columns.created_at) FROM score_columns"
        " JOIN tasks ON tasks.id = score_columns.task GROUP BY score_columns.task"
    )
    return {row[0]: (int(row[1]), float(row[2])) for row in rows}


def column_values(
    reader: sqlite3.Connection, column: int, strategies: Sequence[int]
) -> list[tuple[int, int, float, float]]:
    """Strategy, question, value and weight of every value that the column has of these strategies."""
    marks = ",".join("?" * len(strategies))
    rows = reader.execute(
        f"SELECT strategy, question, value, weight FROM column_values WHERE score_column = ? AND strategy IN ({marks})",
        (column, *strategies),
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]
