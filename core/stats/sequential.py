"""Stopping early: looks at a growing number of questions, at which strategies that are surely behind drop out.

Two strategies are told apart by the sign-flip test of their paired differences that a ranking uses too.
Over the looks its error is spent after Lan and DeMets (Biometrika 70, 1983): a random flip that crossed a bound at an
earlier look counts as extreme at every later one, so the bounds are those of the joint distribution of all looks. Over
the strategies it is Holm's correction at every look (a group sequential Holm procedure; Ye, Li, Liu and Yao:
Statistics in Medicine 32, 2013). The shares spent do not depend on how many looks follow, so a run may be extended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.stats import significance
from core.stats.bootstrap import ranks
from core.stats.scored import FEWEST_QUESTIONS, scores

if TYPE_CHECKING:
    from core.stats.bootstrap import BoolArray, FloatArray, Statistic

# The first look spends 1 / (1 + this) of the error rate; half of it is spent at the look of this number.
_HALF_SPENT = 8
_BLOCK_QUESTIONS = 128


@dataclass(frozen=True, slots=True)
class Look:
    """What the first `questions` questions say. Strategies are named by their row.

    `active` were still compared, `p_values` are those of the active ones beside the `leader`, adjusted for looks and
    strategies; who has one below 0.05 is `out`. `decided`: nobody but the leader is left.
    """

    questions: int
    active: tuple[int, ...]
    leader: int
    p_values: dict[int, float]
    out: tuple[int, ...]
    decided: bool


def share_spent(looks: int) -> float:
    """The share of the error rate that the first so many looks may use; it nears 1."""
    return looks / (looks + _HALF_SPENT)


def sequential_looks(
    numerator: FloatArray,
    denominator: FloatArray,
    *,
    lower_is_better: bool,
    sizes: Sequence[int],
    statistic: Statistic = "mean",
    flips: int = significance.FLIPS,
    seed: int = 0,
    among: Callable[[tuple[int, ...]], tuple[FloatArray, FloatArray]] | None = None,
) -> list[Look]:
    """The looks at the first `sizes` questions, up to the one that decides: (S, n) twice in, in the scored order.

    A size beyond the questions, or without any value since the look before, has no look. Every look compares the
    strategies that are left with the best of them, whoever led before; those without any value so far wait. A question
    where one of the compared has no value (NaN) is left out for all of them, with fewer than 2 others nobody drops out.
    `among` gives the contributions (A, n) of the strategies that are left, where they depend on who is compared.
    """
    looks: list[Look] = []
    active, before = tuple(range(len(numerator))), 0
    for number, size in enumerate(sizes, start=1):
        top, bottom = among(active) if among else (numerator[list(active)], denominator[list(active)])
        known = np.isfinite(top[:, :size])
        if size > top.shape[1] or not known[:, before:].any():
            continue
        rows = np.flatnonzero(known.any(axis=1))
        compared = [active[row] for row in rows]
        pairs = _Compared(top[rows, :size], bottom[rows, :size], statistic, tuple(sizes[:number]))
        leader, adjusted = pairs.test(lower_is_better, flips, seed)
        p_values = {compared[row]: p for row, p in adjusted.items()}
        out = tuple(strategy for strategy, p in p_values.items() if p < significance.ALPHA)
        decided = bool(p_values) and len(out) == len(p_values)
        looks.append(Look(size, active, compared[leader], p_values, out, decided))
        if decided:
            break
        active, before = tuple(strategy for strategy in active if strategy not in out), size
    return looks


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """The contributions (A, n) of the compared strategies to the last of the looks at `sizes` questions."""

    numerator: FloatArray
    denominator: FloatArray
    statistic: Statistic
    sizes: tuple[int, ...]

    def test(self, lower_is_better: bool, flips: int, seed: int) -> tuple[int, dict[int, float]]:
        """Row of the best strategy, and the adjusted p of all the others."""
        common: BoolArray = np.asarray(np.isfinite(self.numerator).all(axis=0))
        if common.sum() < FEWEST_QUESTIONS:
            return 0, dict.fromkeys(range(1, len(self.numerator)), 1.0)
        values = scores(self.numerator[:, common], self.denominator[:, common], self.statistic)
        best, _ = ranks(values, lower_is_better=lower_is_better)
        leader = int(best.argmin())
        rivals = [row for row in range(len(values)) if row != leader]
        if not rivals:
            return leader, {}
        powers = [self._powers(size, common, leader, rivals) for size in self.sizes]
        adjusted = significance.holm(_p_values(powers, flips, seed)) / share_spent(len(self.sizes))
        return leader, {rival: min(1.0, float(p)) for rival, p in zip(rivals, adjusted, strict=True)}

    def _powers(self, size: int, common: BoolArray, leader: int, rivals: list[int]) -> significance.Powers:
        """Paired differences (R, size) as they were known at the look of this size; 0 where one has no value."""
        differences = np.zeros((len(rivals), size))
        used = common[:size]
        if used.sum() >= FEWEST_QUESTIONS:
            numerator, denominator = self.numerator[:, :size][:, used], self.denominator[:, :size][:, used]
            differences[:, used] = significance.paired_differences(
                numerator, denominator, self.statistic, leader, rivals
            )
        return significance.Powers.of(differences, int(used.sum()) or None)


def _p_values(looks: Sequence[significance.Powers], flips: int, seed: int) -> FloatArray:
    """The chance to be as extreme as at the last look, or beyond a bound before it, if signs are random: (R,)."""
    flipped = _flipped(looks, flips, seed)
    level = significance.ALPHA / len(flipped[0])
    crossed = np.zeros(flipped[0].shape, dtype=bool)
    for number, extremity in enumerate(flipped[:-1], start=1):
        for row, gone in zip(extremity, crossed, strict=True):
            gone[:] = _beyond_bound(row, gone, int(level * share_spent(number) * flips))
    extreme = crossed | (flipped[-1] >= looks[-1].observed())
    p_values: FloatArray = (extreme.sum(axis=1) + 1) / (flips + 1)
    return p_values


def _beyond_bound(extremity: FloatArray, gone: BoolArray, allowed: int) -> BoolArray:
    """Which flips (F,) cross the lowest bound that lets at most `allowed` cross, those gone before included."""
    left = allowed - int(gone.sum())
    if left <= 0:
        return gone
    remaining = np.where(gone, -1.0, extremity)
    bound = np.partition(remaining, -left - 1)[-left - 1]
    beyond: BoolArray = gone | (remaining > bound)
    return beyond


def _flipped(looks: Sequence[significance.Powers], flips: int, seed: int) -> list[FloatArray]:
    """How extreme each look's differences are under random signs, the same at all looks: each (R, F)."""
    generator = np.random.default_rng(seed)
    sums = [np.zeros((2, len(look.first), flips)) for look in looks]
    for start, signs in _sign_blocks(generator, looks[-1].first.shape[1], flips):
        for look, (ones, cubes) in zip(looks, sums, strict=True):
            first, third = (power[:, start : start + len(signs)] for power in (look.first, look.third))
            ones += first @ signs[: first.shape[1]]
            cubes += third @ signs[: third.shape[1]]
    return [look.extremity(*both) for look, both in zip(looks, sums, strict=True)]


def _sign_blocks(generator: np.random.Generator, questions: int, flips: int) -> Iterator[tuple[int, FloatArray]]:
    """Blocks (some questions, F) of random signs; whatever follows, a question has the same ones."""
    for start in range(0, questions, _BLOCK_QUESTIONS):
        size = (min(_BLOCK_QUESTIONS, questions - start), flips)
        yield start, 1.0 - 2.0 * generator.integers(2, size=size, dtype=np.int8).astype(np.float64)
