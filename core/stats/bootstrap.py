"""Paired bootstrap: questions are drawn with replacement, every strategy gets the same draw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray: TypeAlias = NDArray[np.float64]
    IntArray: TypeAlias = NDArray[np.int64]
    BoolArray: TypeAlias = NDArray[np.bool_]

Statistic: TypeAlias = Literal["mean", "median"]

DRAWS = 2_000
TAILS = (0.025, 0.975)

# Draws are made in blocks of this many drawn questions, which bounds the memory to some tens of megabytes.
_BLOCK_CELLS = 1_000_000
# Scores that agree in this many binary digits are tied: the rest is rounding of the sums.
_TIE_BITS = 40


def question_counts(questions: int, draws: int, seed: int) -> Iterator[FloatArray]:
    """How often every question was drawn: blocks (some draws, questions), together `draws` rows."""
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK_CELLS // questions)
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        drawn = generator.integers(questions, size=(rows, questions))
        drawn += np.arange(rows)[:, None] * questions
        counts = np.bincount(drawn.ravel(), minlength=rows * questions)
        yield counts.reshape(rows, questions).astype(np.float64)


def bootstrap_scores(numerator: FloatArray, denominator: FloatArray, draws: int = DRAWS, seed: int = 0) -> FloatArray:
    """Scores of S strategies in every draw, sum(numerator) / sum(denominator): (S, n) twice in, (draws, S) out."""
    blocks = [
        (counts @ numerator.T) / (counts @ denominator.T) for counts in question_counts(numerator.shape[1], draws, seed)
    ]
    return np.concatenate(blocks)


def bootstrap_medians(values: FloatArray, draws: int = DRAWS, seed: int = 0) -> FloatArray:
    """Medians of S strategies in every draw: (S, n) in, (draws, S) out."""
    questions = values.shape[1]
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    medians = np.empty((draws, len(values)))
    done = 0
    for counts in question_counts(questions, draws, seed):
        for column in range(len(values)):
            places = np.cumsum(counts[:, order[column]], axis=1)
            middle = [(places <= place).sum(axis=1) for place in ((questions - 1) // 2, questions // 2)]
            medians[done : done + len(counts), column] = ordered[column, middle].mean(axis=0)
        done += len(counts)
    return medians


def interval_ends(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Low and high end of the 95% percentile interval of every column: (draws, S) in, (S,) twice out."""
    low, high = np.quantile(values, TAILS, axis=0)
    return low, high


def without_rounding(scores: FloatArray) -> FloatArray:
    """The scores cut to the digits that tell strategies apart, so that equal strategies are tied in every draw."""
    mantissa, exponent = np.frexp(scores)
    rounded: FloatArray = np.ldexp(np.round(np.ldexp(mantissa, _TIE_BITS)), exponent - _TIE_BITS)
    return rounded


def ranks(scores: FloatArray, *, lower_is_better: bool) -> tuple[IntArray, IntArray]:
    """Best and worst place of every strategy, from 1; they differ where strategies are tied: (..., S) in and out."""
    comparable = without_rounding(scores if lower_is_better else -scores)
    better = np.zeros(scores.shape, dtype=np.int64)
    not_worse = np.zeros(scores.shape, dtype=np.int64)
    for rival in range(scores.shape[-1]):
        better += comparable[..., rival, None] < comparable
        not_worse += comparable[..., rival, None] <= comparable
    return better + 1, not_worse


def rank_interval_ends(best: IntArray, worst: IntArray) -> tuple[IntArray, IntArray]:
    """The 95% interval of the places: (draws, S) twice in, (S,) twice out; quantiles between two places are widened."""
    low = np.floor(np.quantile(best, TAILS[0], axis=0))
    high = np.ceil(np.quantile(worst, TAILS[1], axis=0))
    return low.astype(np.int64), high.astype(np.int64)


def probability_best(best: IntArray) -> FloatArray:
    """Share of draws in which a strategy comes first, a tied first place divided: (draws, S) in, (S,) out, sum 1."""
    first = best == 1
    share: FloatArray = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    return share
