"""One metric of several strategies, with its bootstrap draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.domain import Interval
from core.errors import SapError
from core.metrics.base import Metric, ScoreArrays
from core.stats.bootstrap import bootstrap_medians, bootstrap_scores, interval_ends
from core.stats.intervals import score_ends, share_ends

if TYPE_CHECKING:
    from core.stats.bootstrap import FloatArray, Statistic

FEWEST_QUESTIONS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One metric of S strategies over the n questions on which all of them have a value, D bootstrap draws."""

    metric: Metric
    strategies: tuple[str, ...]
    numerator: FloatArray
    """(S, n)"""
    denominator: FloatArray
    """(S, n)"""
    failed: dict[str, int]
    values: FloatArray
    """(S,)"""
    draws: FloatArray
    """(D, S)"""
    seed: int

    @property
    def questions(self) -> int:
        return int(self.numerator.shape[1])

    @property
    def lower_is_better(self) -> bool:
        return self.metric.direction == "lower"

    def intervals(self) -> dict[str, Interval]:
        """The score of every strategy."""
        return dict(zip(self.strategies, _intervals(self.values, *self._ends()), strict=True))

    def differences(self, leader: int) -> list[Interval]:
        """The score of every strategy minus the leader's."""
        return _intervals(self.values - self.values[leader], *self._ends(leader))

    def of_first(self, questions: int) -> Scored:
        """The same over the first so many of its questions, with draws of its own."""
        if questions == self.questions:
            return self
        numerator, denominator = self.numerator[:, :questions], self.denominator[:, :questions]
        return _scored(self.metric, self.strategies, numerator, denominator, self.failed, len(self.draws), self.seed)

    def _ends(self, beside: int | None = None) -> tuple[FloatArray, FloatArray]:
        if self.metric.is_share and beside is None:
            return share_ends(self.values, self.questions)
        if self.metric.statistic == "mean":
            return score_ends(self.numerator, self.denominator, self.draws, self.seed, beside)
        return interval_ends(self.draws if beside is None else self.draws - self.draws[:, [beside]])


def score_metric(arrays: ScoreArrays, by: Metric, draws: int, seed: int) -> Scored:
    """The strategies of `arrays` by this metric; SapError with fewer than 2 common questions."""
    contributions = by.contributions(arrays)
    usable = contributions.usable
    common = np.all(usable, axis=0)
    failures = (~usable).sum(axis=1)
    failed = {name: int(count) for name, count in zip(arrays.strategies, failures, strict=True) if count}
    if common.sum() < FEWEST_QUESTIONS:
        raise SapError(
            f"{int(common.sum())} of {len(common)} questions have a value of {by.id} under every strategy; "
            f"a ranking needs at least {FEWEST_QUESTIONS}.",
            "Score more questions, or leave out the strategy that fails.",
        )
    numerator, denominator = contributions.numerator[:, common], contributions.denominator[:, common]
    return _scored(by, arrays.strategies, numerator, denominator, failed, draws, seed)


def _scored(
    by: Metric,
    strategies: tuple[str, ...],
    numerator: FloatArray,
    denominator: FloatArray,
    failed: dict[str, int],
    draws: int,
    seed: int,
) -> Scored:
    values = scores(numerator, denominator, by.statistic)
    if by.statistic == "mean":
        resampled = bootstrap_scores(numerator, denominator, draws, seed)
    else:
        resampled = bootstrap_medians(numerator, draws, seed)
    return Scored(by, strategies, numerator, denominator, failed, values, resampled, seed)


def scores(numerator: FloatArray, denominator: FloatArray, statistic: Statistic) -> FloatArray:
    """The score of every strategy over these questions: contributions (S, n) twice in, (S,) out."""
    if statistic == "median":
        medians: FloatArray = np.median(numerator, axis=1)
        return medians
    ratios: FloatArray = numerator.sum(axis=1) / denominator.sum(axis=1)
    return ratios


def _intervals(values: FloatArray, low: FloatArray, high: FloatArray) -> list[Interval]:
    return [Interval(*map(float, ends)) for ends in zip(values, low, high, strict=True)]
