"""One metric of several strategies, with its bootstrap draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.domain import Interval
from core.errors import SapError
from core.metrics.base import Metric, ScoreArrays
from core.stats import bootstrap

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

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

    @property
    def questions(self) -> int:
        return int(self.numerator.shape[1])

    @property
    def lower_is_better(self) -> bool:
        return self.metric.direction == "lower"

    def intervals(self) -> dict[str, Interval]:
        """The score of every strategy."""
        return dict(zip(self.strategies, intervals_of(self.values, self.draws), strict=True))


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
    values = numerator.sum(axis=1) / denominator.sum(axis=1)
    resampled = bootstrap.bootstrap_scores(numerator, denominator, draws, seed)
    return Scored(by, arrays.strategies, numerator, denominator, failed, values, resampled)


def intervals_of(values: FloatArray, draws: FloatArray) -> list[Interval]:
    """Values (S,) with the 95% intervals of their draws (D, S)."""
    low, high = bootstrap.interval_ends(draws)
    return [
        Interval(float(value), float(bottom), float(top)) for value, bottom, top in zip(values, low, high, strict=True)
    ]
