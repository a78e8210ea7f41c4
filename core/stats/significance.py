"""Is a strategy different from the leader? Paired sign-flip tests over questions, with Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from core.stats.bootstrap import FloatArray, Statistic

ALPHA = 0.05
FLIPS = 10_000

_BLOCK_FLIPS = 1_000
# A flip that is less extreme than the observed one by no more than this share equals it.
_ROUNDING = 1e-6
# Of the mean square: what is below is rounding, the differences are all the same.
_SMALLEST_VARIANCE = 1e-8


def linear_contributions(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """What every question adds to sum(numerator) / sum(denominator): (S, n) twice in, (S, n) out.

    Rows average to the score. For a mean these are the values themselves, for a ratio of sums its first-order
    expansion (the jackknife's linearisation).
    """
    score = numerator.sum(axis=1, keepdims=True) / denominator.sum(axis=1, keepdims=True)
    contributions: FloatArray = score + (numerator - score * denominator) / denominator.mean(axis=1, keepdims=True)
    return contributions


def paired_differences(
    numerator: FloatArray, denominator: FloatArray, statistic: Statistic, leader: int, rivals: Sequence[int]
) -> FloatArray:
    """Differences of rivals to the leader whose signs are random if the two are alike: (S, n) twice in, (R, n) out.

    For means and ratios they average to the difference of the scores. For medians they are those of the sides (-1, 1)
    on which the two values lie of the median of all values of the pair, which does not change when the values of a
    question are swapped (Mood's median test, paired).
    """
    if statistic == "mean":
        contributions = linear_contributions(numerator, denominator)
        differences: FloatArray = contributions[rivals] - contributions[leader]
        return differences
    theirs, own = numerator[rivals], numerator[leader]
    middle = np.median(np.concatenate([theirs, np.broadcast_to(own, theirs.shape)], axis=1), axis=1, keepdims=True)
    sides: FloatArray = np.sign(theirs - middle) - np.sign(own - middle)
    return sides


def sign_flip_p_values(differences: FloatArray, *, flips: int = FLIPS, seed: int = 0) -> FloatArray:
    """Two-sided p of every row's mean being 0: (rivals, n) paired differences in, (rivals,) out.

    Under the null hypothesis a difference is as likely with either sign (Fisher's randomisation test). All 2**n flips
    are counted where they are at most `flips`; otherwise random ones, the observed one counting as one more.
    """
    questions = differences.shape[1]
    exact = 2**questions <= flips
    blocks = _all_signs(questions) if exact else _random_signs(questions, flips, seed)
    powers = Powers.of(differences)
    threshold = powers.observed()
    as_extreme = np.zeros(differences.shape[0], dtype=np.int64)
    for signs in blocks:
        as_extreme += (powers.extremity(powers.first @ signs.T, powers.third @ signs.T) >= threshold).sum(axis=1)
    return as_extreme / 2**questions if exact else (as_extreme + 1) / (flips + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Powers:
    """Paired differences (R, n), scaled, with what their flips are judged by."""

    first: FloatArray
    third: FloatArray
    squares: FloatArray
    """(R, 1), their sum: no flip changes it."""
    questions: int

    @classmethod
    def of(cls, differences: FloatArray, questions: int | None = None) -> Powers:
        """`questions` says how many of the columns hold a difference, if not all; the others are 0."""
        largest = np.abs(differences).max(axis=1, keepdims=True)
        scaled = np.divide(differences, largest, out=np.zeros_like(differences), where=largest > 0)
        squares = np.where(largest > 0, (scaled**2).sum(axis=1, keepdims=True), 1.0)
        return cls(scaled, scaled**3, squares, questions or differences.shape[1])

    def extremity(self, sums: FloatArray, cubes: FloatArray) -> FloatArray:
        """|t| of flips, corrected for skewness, from the sums of their differences and cubes: (R, F) twice in, one out.

        Sign flips alone are exact for symmetric differences only; a heavy tail that was hardly drawn yet makes a
        strategy look better than it is. The correction is Hall's (Journal of the Royal Statistical Society B 54, 1992).
        """
        n = self.questions
        mean, mean_square = sums / n, np.maximum(self.squares / n, np.finfo(float).tiny)
        variance = np.maximum(mean_square - mean**2, _SMALLEST_VARIANCE * mean_square)
        skewness = (cubes / n - 3 * mean * mean_square + 2 * mean**3) / variance**1.5
        t, a = mean / np.sqrt(variance / n), skewness / math.sqrt(n)
        corrected: FloatArray = np.abs(t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6)
        return corrected

    def observed(self) -> FloatArray:
        """From where on a flip is as extreme as the differences themselves: (R, 1)."""
        own = self.extremity(self.first.sum(axis=1, keepdims=True), self.third.sum(axis=1, keepdims=True))
        return own * (1 - _ROUNDING)


def _all_signs(questions: int) -> Iterator[FloatArray]:
    bits = np.arange(2**questions)[:, None] >> np.arange(questions) & 1
    yield 1.0 - 2.0 * bits.astype(np.float64)


def _random_signs(questions: int, flips: int, seed: int) -> Iterator[FloatArray]:
    generator = np.random.default_rng(seed)
    for start in range(0, flips, _BLOCK_FLIPS):
        size = (min(_BLOCK_FLIPS, flips - start), questions)
        yield 1.0 - 2.0 * generator.integers(2, size=size, dtype=np.int8).astype(np.float64)


def holm(p_values: FloatArray) -> FloatArray:
    """Adjusted p values, at most 1, in the order given (Holm: Scandinavian Journal of Statistics 6, 1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def questions_needed(differences: FloatArray, level: float = ALPHA) -> int | None:
    """About how many questions would bring every adjusted p below the level: (rivals, n) paired differences in.

    Supposes that the observed means and standard deviations stay; then z grows with the root of the questions. Each
    rival is held against its own step of Holm's correction, the clearest one against the strictest. None where a
    mean difference is zero: no number of questions would do.
    """
    rivals = differences.shape[0]
    mean = np.abs(differences.mean(axis=1))
    if (mean <= 1e-10 * np.abs(differences).mean(axis=1)).any():
        return None
    z_per_root_question = np.sort(mean / np.maximum(differences.std(axis=1, ddof=1), mean * 1e-12))[::-1]
    steps = np.arange(rivals, 0, -1)
    critical = np.array([NormalDist().inv_cdf(1 - level / (2 * step)) for step in steps])
    needed = max(float(((critical / z_per_root_question) ** 2).max()), _fewest_for_significance(rivals, level))
    return math.ceil(needed) if math.isfinite(needed) else None


def _fewest_for_significance(rivals: int, level: float) -> int:
    """With fewer questions even differences of one sign, p = 2 / 2**n, stay above the strictest step."""
    return math.floor(math.log2(2 * rivals / level)) + 1
