"""How well one metric's order of n strategies agrees with their outcomes. Values and outcomes are (n,) arrays."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from core.metrics.base import FloatArray, IntArray

# Outcomes nearer than this are tied: means of seeds carry the rounding of their sums.
TIED = 1e-9


@dataclass(frozen=True, slots=True)
class Agreement:
    """Outcome of the metric's pick and correlations in the metric's direction, so that positive is good.

    NaN where a correlation is undefined: all values or all outcomes are equal.
    """

    chosen: float
    spearman: float
    spearman_tie_corrected: float
    kendall: float
    pairwise: float

    def values(self) -> tuple[float, ...]:
        return astuple(self)


def agreement(values: FloatArray, outcomes: FloatArray, *, higher_is_better: bool, by_position: bool) -> Agreement:
    """Finite values against outcomes, n >= 2.

    `by_position`: tied values keep the given order, or the reversed one where higher is better, the first is the
    pick, and Spearman is 1 - 6 sum((r - p)^2) / (n (n^2 - 1)) of those positions. Otherwise ties share their mean
    rank, and the pick is the mean outcome of the best ones.
    """
    badness = -values if higher_is_better else values
    from_outcomes, from_values = outcome_ranks(outcomes), average_ranks(badness)
    tie_corrected = correlation(from_values, from_outcomes)
    kendall, pairwise = pair_orders(from_values, from_outcomes)
    if not by_position:
        chosen = float(outcomes[badness == badness.min()].mean())
        return Agreement(chosen, tie_corrected, tie_corrected, kendall, pairwise)
    order = positions_order(values, higher_is_better=higher_is_better)
    positions = np.empty(len(order))
    positions[order] = np.arange(1, len(order) + 1)
    count = len(values)
    spearman = 1 - 6 * float(((from_outcomes - positions) ** 2).sum()) / (count * (count**2 - 1))
    return Agreement(float(outcomes[order[0]]), spearman, tie_corrected, kendall, pairwise)


def positions_order(values: FloatArray, *, higher_is_better: bool) -> IntArray:
    """The indices, best first: a stable ascending sort, reversed as a whole where higher is better."""
    ascending = np.argsort(values, kind="stable")
    return ascending[::-1] if higher_is_better else ascending


def average_ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1, lowest first; equal values share their mean rank."""
    from scipy.stats import rankdata

    ranks: FloatArray = rankdata(values)
    return ranks


def outcome_ranks(outcomes: FloatArray) -> FloatArray:
    """Ranks from 1, highest first; outcomes that differ by less than `TIED` share their mean rank."""
    order = np.argsort(-outcomes, kind="stable")
    steps = np.cumsum(np.diff(outcomes[order], prepend=outcomes[order[0]]) <= -TIED)
    groups = np.empty(len(outcomes))
    groups[order] = steps
    return average_ranks(groups)


def correlation(left: FloatArray, right: FloatArray) -> float:
    """Pearson's correlation; NaN where one side is constant."""
    left, right = left - left.mean(), right - right.mean()
    scale = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / scale if scale else float("nan")


def pair_orders(from_values: FloatArray, from_outcomes: FloatArray) -> tuple[float, float]:
    """Kendall's tau-b, and the share of pairs with different outcomes that the metric orders right, ties half."""
    above = np.triu_indices(len(from_values), k=1)
    by_values = np.sign(np.subtract.outer(from_values, from_values))[above]
    by_outcomes = np.sign(np.subtract.outer(from_outcomes, from_outcomes))[above]
    concordance = float((by_values * by_outcomes).sum())
    untied = int((by_outcomes != 0).sum())
    scale = float(np.sqrt((by_values != 0).sum() * untied))
    nan = float("nan")
    return concordance / scale if scale else nan, (concordance / untied + 1) / 2 if untied else nan
