"""Imported score columns as metrics of a run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from core.domain import Run
from core.metrics.base import Contributions, Metric, ScoreArrays
from core.metrics.registry import all_metrics
from core.rank.compared import Compared
from core.store.score_columns import REWARD, ScoreColumn, column_values, score_columns

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def column_metrics(reader: sqlite3.Connection, run: Run) -> dict[str, Metric]:
    """The task's columns that have values of the run's strategies, by name; `reward` is an input and none of them."""
    rows = reader.execute(
        "SELECT DISTINCT score_column FROM column_values JOIN run_strategies USING (strategy) WHERE run = ?", (run.id,)
    )
    with_values = {row[0] for row in rows}
    return {
        column.name: _metric(column)
        for column in score_columns(reader, run.task)
        if column.id in with_values and column.name != REWARD and column.name not in all_metrics()
    }


def column_contributions(compared: Compared, names: Iterable[str]) -> dict[str, Contributions]:
    """The values of these columns times their weights, and the weights: (S, Q), NaN where there is none."""
    found = {}
    for column in score_columns(compared.reader, compared.run.task):
        if column.name in names:
            values, weights = compared.unknown(), compared.unknown()
            for strategy, question, value, weight in column_values(compared.reader, column.id, compared.strategies):
                if question in compared.columns:
                    place = compared.rows[strategy], compared.columns[question]
                    values[place], weights[place] = value * weight, weight
            found[column.name] = Contributions(values, weights)
    return found


def _metric(column: ScoreColumn) -> Metric:
    def numerator(arrays: ScoreArrays) -> FloatArray:
        return arrays.column(column.name).numerator

    def denominator(arrays: ScoreArrays) -> FloatArray:
        return arrays.column(column.name).denominator

    direction: Literal["lower", "higher"] = "higher" if column.direction == "higher" else "lower"
    return Metric(
        id=column.name,
        label=column.name,
        description="Imported values, their mean over questions (by their weights where the file has any).",
        direction=direction,
        contexts=(),
        source=f"imported from {column.source}",
        numerator=numerator,
        denominator=denominator,
    )
