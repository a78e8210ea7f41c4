"""Is a strategy different from the leader? Paired sign-flip tests over questions, with Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray: TypeAlias = NDArray[np.float64]

ALPHA = 0.05
FLIPS = 10_000

_BLOCK_FLIPS = 1_000
# A flip whose sum differs from the observed one by less than this share of all differences equals it.
_ROUNDING = 1e-10


def linear_contributions(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """What every question adds to sum(numerator) / sum(denominator): (S, n) twice in, (S, n) out.

    Rows average to the score. For a mean these are the values themselves, for a ratio of sums its first-order
    expansion (the jackknife's linearisation).
    """
    score = numerator.sum(axis=1, keepdims=True) / denominator.sum(axis=1, keepdims=True)
    contributions: FloatArray = score + (numerator - score * denominator) / denominator.mean(axis=1, keepdims=True)
    return contributions


def sign_flip_p_values(differences: FloatArray, *, flips: int = FLIPS, seed: int = 0) -> FloatArray:
    """Two-sided p of every row's mean being 0: (rivals, n) paired differences in, (rivals,) out.

    Under the null hypothesis a difference is as likely with either sign (Fisher's randomisation test). All 2**n flips
    are counted where they are at most `flips`; otherwise random ones, the observed one counting as one more.
    """
    questions = differences.shape[1]
    exact = 2**questions <= flips
    blocks = _all_signs(questions) if exact else _random_signs(questions, flips, seed)
    threshold = np.abs(differences.sum(axis=1)) - _ROUNDING * np.abs(differences).sum(axis=1)
    as_extreme = np.zeros(differences.shape[0], dtype=np.int64)
    for signs in blocks:
        as_extreme += (np.abs(signs @ differences.T) >= threshold).sum(axis=0)
    return as_extreme / 2**questions if exact else (as_extreme + 1) / (flips + 1)


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


def questions_needed(differences: FloatArray) -> int | None:
    """About how many questions would bring every adjusted p below 0.05: (rivals, n) paired differences in.

    Supposes that the observed means and standard deviations stay; then z grows with the root of the questions. Each
    rival is held against its own step of Holm's correction, the clearest one against the strictest. None where a
    mean difference is zero: no number of questions would do.
    """
    rivals = differences.shape[0]
    mean = np.abs(differences.mean(axis=1))
    if (mean <= _ROUNDING * np.abs(differences).mean(axis=1)).any():
        return None
    z_per_root_question = np.sort(mean / np.maximum(differences.std(axis=1, ddof=1), mean * 1e-12))[::-1]
    steps = np.arange(rivals, 0, -1)
    critical = np.array([NormalDist().inv_cdf(1 - ALPHA / (2 * step)) for step in steps])
    needed = max(float(((critical / z_per_root_question) ** 2).max()), _fewest_for_significance(rivals))
    return math.ceil(needed) if math.isfinite(needed) else None


def _fewest_for_significance(rivals: int) -> int:
    """With fewer questions even differences of one sign, p = 2 / 2**n, stay above the strictest step."""
    return math.floor(math.log2(2 * rivals / ALPHA)) + 1
