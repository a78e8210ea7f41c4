"""The values that steps read of one strategy's responses: a run's, imported ones, and whether answers are correct."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.domain import Run, Strategy
from core.metrics.base import Metric, ScoreArrays
from core.rank import run_arrays
from core.rank.arrays import metric_of, why_missing
from core.scoring.answers import is_correct
from core.store.answer_checks import answer_checks
from core.store.catalogue import Sample
from core.store.score_columns import ScoreColumn, column_values

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

CORRECT = "response_accuracy"
"""The one metric whose values need no run."""


@dataclass(frozen=True, slots=True, eq=False)
class RunValues:
    """Per-sample values of a run's metrics."""

    run: Run
    metrics: Mapping[str, Metric]
    arrays: ScoreArrays

    @classmethod
    def load(cls, reader: sqlite3.Connection, run: Run, metric_ids: Iterable[str]) -> RunValues:
        """UsageError for a metric that neither the program nor the task has, SapError for one that the run lacks."""
        metrics = {metric_id: metric_of(reader, run, metric_id) for metric_id in dict.fromkeys(metric_ids)}
        for metric in metrics.values():
            missing = why_missing(reader, run, metric)
            if missing is not None:
                raise missing
        return cls(run, metrics, run_arrays(reader, run, tuple(metrics.values())))

    def among(self, strategies: Sequence[str]) -> RunValues:
        """The values when only these strategies are compared with each other."""
        return replace(self, arrays=self.arrays.select(strategies))

    def of(self, metric_id: str) -> FloatArray:
        """(S, Q), NaN where a response has none; SapError where an input is missing, with how to get it."""
        import numpy as np

        found = self.metrics[metric_id].contributions(self.arrays)
        return found.numerator / np.where(found.denominator == 0, np.nan, found.denominator)


class StrategyValues:
    """The values of one strategy's n samples; without a run of imported columns, and whether answers are correct."""

    def __init__(
        self,
        reader: sqlite3.Connection,
        strategy: Strategy,
        samples: Sequence[Sample],
        run_values: RunValues | None,
        columns: Mapping[str, ScoreColumn],
    ) -> None:
        self._reader = reader
        self._strategy = strategy
        self._samples = samples
        self._run_values = run_values
        self._columns = columns

    def of(self, metric_id: str) -> FloatArray:
        """(n,), NaN where a sample has none. SapError where an input is missing."""
        import numpy as np

        if metric_id == CORRECT:
            return self._correct()
        column = self._columns.get(metric_id)
        by_question = self._of_run(metric_id) if column is None else self._of_column(column)
        return np.array([by_question.get(sample.question.id, np.nan) for sample in self._samples], dtype=np.float64)

    def _of_run(self, metric_id: str) -> dict[int, float]:
        assert self._run_values is not None, metric_id
        arrays = self._run_values.arrays
        row = self._run_values.of(metric_id)[arrays.strategies.index(self._strategy.name)]
        return dict(zip(arrays.questions, row.tolist(), strict=True))

    def _of_column(self, column: ScoreColumn) -> dict[int, float]:
        rows = column_values(self._reader, column.id, [self._strategy.id])
        return {question: value for _, question, value, _ in rows}

    def _correct(self) -> FloatArray:
        import numpy as np

        checked = [(sample.response.digest, sample.question.answer) for sample in self._samples]
        known = answer_checks(self._reader, [(digest, gold) for digest, gold in checked if gold is not None])
        values = np.full(len(self._samples), np.nan)
        for place, (digest, gold) in enumerate(checked):
            if gold is None:
                continue
            pair = digest, gold
            agrees = known[pair] if pair in known else is_correct(self._samples[place].response.text, gold)
            values[place] = np.nan if agrees is None else agrees
        return values
