"""Means over pairs, with intervals of a bootstrap that draws tasks with all their target models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.judging.pairs import Pair
from core.stats import bootstrap

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

SEED = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over pairs with its 95% interval over tasks; None where it is undefined, or hangs on one task only."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Mean outcome and regret over pairs, and the mean outcome of each target model's pairs."""

    chosen: Figure
    regret: Figure
    by_target: dict[str, float]


class OverTasks:
    """The pairs in their tasks: tasks are drawn with replacement, with all target models of a task."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.targets = [pair.target_model for pair in pairs]
        self.best: FloatArray = np.array([pair.outcomes.max() for pair in pairs])
        names = {name: place for place, name in enumerate(dict.fromkeys(pair.task for pair in pairs))}
        self.count = len(names)
        self._task_of = np.array([names[pair.task] for pair in pairs])

    def figures(self, values: FloatArray, weights: FloatArray) -> list[Figure]:
        """Weighted means of F rows of values over the pairs, NaN left out: (F, pairs) twice in."""
        weights = np.where(np.isnan(values), 0.0, weights)
        numerator, denominator = self._by_task(np.nan_to_num(values) * weights), self._by_task(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = numerator.sum(axis=1) / denominator.sum(axis=1)
            draws = bootstrap.bootstrap_scores(numerator, denominator, bootstrap.DRAWS, SEED)
        tasks = (denominator > 0).sum(axis=1)
        return [_figure(float(mean), column, int(n)) for mean, column, n in zip(means, draws.T, tasks, strict=True)]

    def outcomes(self, values: FloatArray) -> Outcomes:
        """The mean of one outcome a pair: (pairs,) in."""
        rows = np.stack([values, self.best - values])
        chosen, regret = self.figures(rows, np.ones_like(rows))
        return Outcomes(chosen, regret, self.by_target(values))

    def by_target(self, values: FloatArray) -> dict[str, float]:
        """The mean of each target model's pairs that have a value: (pairs,) in."""
        by_target: dict[str, list[float]] = {}
        for target, value in zip(self.targets, values, strict=True):
            if not np.isnan(value):
                by_target.setdefault(target, []).append(float(value))
        return {target: float(np.mean(of_target)) for target, of_target in by_target.items()}

    def _by_task(self, values: FloatArray) -> FloatArray:
        sums: FloatArray = values @ (self._task_of[:, None] == np.arange(self.count)).astype(np.float64)
        return sums


def _figure(value: float, draws: FloatArray, tasks: int) -> Figure:
    if np.isnan(value):
        return Figure(None)
    usable = draws[~np.isnan(draws)]
    if tasks < 2 or not len(usable):
        return Figure(value)
    low, high = np.quantile(usable, bootstrap.TAILS)
    return Figure(value, float(low), float(high))
