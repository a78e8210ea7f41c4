"""The looks at a run that ends when it is decided, from its scores."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.domain import Run
from core.metrics.base import ScoreArrays
from core.metrics.registry import metric
from core.rank.arrays import run_arrays
from core.stats.look_sizes import look_sizes
from core.stats.sequential import Look, sequential_looks
from core.store.runs import scope_questions

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def stored_looks(reader: sqlite3.Connection, run: Run) -> list[Look]:
    """The looks so far at what the catalogue holds. Raises SapError where the run's first metric has no values yet."""
    return run_looks(reader, run, run_arrays(reader, run, [metric(run.request.metrics[0])]))


def run_looks(reader: sqlite3.Connection, run: Run, arrays: ScoreArrays) -> list[Look]:
    """The looks so far, by the run's first metric, at its questions in the order in which they are scored.

    A look needs all questions before it: later ones may be finished early because their scores existed.
    """
    order = scope_questions(reader, run.id)
    finished = set(arrays.questions)
    ready = next((place for place, question in enumerate(order) if question not in finished), len(order))
    by = metric(run.request.metrics[0])

    def among(rows: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        found = by.contributions(arrays.select([arrays.strategies[row] for row in rows]))
        return found.numerator[:, :ready], found.denominator[:, :ready]

    return sequential_looks(
        *among(tuple(range(len(arrays.strategies)))),
        lower_is_better=by.direction == "lower",
        sizes=look_sizes(len(order)),
        statistic=by.statistic,
        among=among,
    )


def dropped_early(run: Run, looks: Sequence[Look]) -> dict[str, str]:
    """Strategies that dropped out before the last look, each with the reason: later questions were not scored."""
    return {
        run.strategies[row]: f"dropped out after {each.questions} questions" for each in looks[:-1] for row in each.out
    }
