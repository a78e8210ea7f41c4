"""95% intervals of scores and of differences: the bootstrap's t, and percentiles where it does not hold.

How far a draw lies from the score is measured in the draw's own standard errors, which adapts the ends to skewed
values (Efron and Tibshirani: An Introduction to the Bootstrap, chapter 12.5). The standard errors are those of the
linearised ratio of sums; constant factors of them cancel. Percentiles: chapter 13. No end lies beyond what single
questions have: where a few of them rule the score, t would reach perplexities below 0. Shares of the questions have
Wilson's interval (Journal of the American Statistical Association 22, 1927): 0 of 20 is not surely 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.stats import bootstrap

if TYPE_CHECKING:
    from core.stats.bootstrap import FloatArray

# With fewer questions the standard errors of some draws come so near to 0 that the ends run away.
FEWEST_QUESTIONS = 10
# A draw's standard error that is below this share of the observed one is none: it drew one value again and again.
_VANISHING = 1e-6
# Where more than this share of draws has none, the t quantiles mean nothing.
_MOST_VANISHING = 0.001
# A squared error below this share of the strategies' own is the rounding of theirs.
_ROUNDING = 1e-12


def score_ends(
    numerator: FloatArray, denominator: FloatArray, drawn: FloatArray, seed: int, beside: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Ends of the intervals of the scores sum(numerator) / sum(denominator), or of their differences to one strategy.

    Contributions (S, n) twice and the scores (D, S) of the draws with this seed in, (S,) twice out.
    """
    values = numerator.sum(axis=1) / denominator.sum(axis=1)
    if beside is not None:
        values, drawn = values - values[beside], drawn - drawn[:, [beside]]
    low, high = bootstrap.interval_ends(drawn)
    questions = numerator.shape[1]
    if questions < FEWEST_QUESTIONS:
        return low, high
    error = standard_errors(np.ones((1, questions)), numerator, denominator, beside)[0]
    blocks = bootstrap.question_counts(questions, len(drawn), seed)
    errors = np.concatenate([standard_errors(counts, numerator, denominator, beside) for counts in blocks])
    vanishing = errors <= _VANISHING * error
    holds = (error > 0) & (vanishing.mean(axis=0) <= _MOST_VANISHING)
    deviations = np.divide(drawn - values, errors, out=np.zeros_like(errors), where=~vanishing)
    low_deviation, high_deviation = bootstrap.interval_ends(deviations)
    lowest = np.minimum(values - high_deviation * error, values)
    highest = np.maximum(values - low_deviation * error, values)
    least, most = _range_of_questions(numerator, denominator, beside)
    lowest, highest = np.maximum(lowest, np.minimum(least, values)), np.minimum(highest, np.maximum(most, values))
    return np.where(holds, lowest, low), np.where(holds, highest, high)


def share_ends(shares: FloatArray, questions: int) -> tuple[FloatArray, FloatArray]:
    """Ends of Wilson's interval of shares of so many questions: (S,) in, (S,) twice out."""
    from scipy.stats import binomtest

    tests = [binomtest(round(share * questions), questions) for share in shares.tolist()]
    found = [test.proportion_ci(method="wilson") for test in tests]
    return np.array([each.low for each in found]), np.array([each.high for each in found])


def _range_of_questions(
    numerator: FloatArray, denominator: FloatArray, beside: int | None
) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest value of single questions, or difference to one strategy's: (S, n) twice in, (S,) twice out.

    Infinite where denominators are not positive, so that a score may lie anywhere.
    """
    positive = denominator > 0
    least = np.divide(numerator, denominator, out=np.full_like(numerator, -np.inf), where=positive).min(axis=1)
    most = np.divide(numerator, denominator, out=np.full_like(numerator, np.inf), where=positive).max(axis=1)
    return (least, most) if beside is None else (least - most[beside], most - least[beside])


def standard_errors(
    counts: FloatArray, numerator: FloatArray, denominator: FloatArray, beside: int | None = None
) -> FloatArray:
    """Standard errors of every draw's scores, or of their differences to one strategy, but for root(n / (n - 1)).

    Draws as counts (D, n), contributions (S, n) twice in; (D, S) out, 0 for a strategy beside its equal.
    """
    # What is left of the numerators has the same errors, and sums that do not cancel.
    score = numerator.sum(axis=1, keepdims=True) / denominator.sum(axis=1, keepdims=True)
    every = numerator - score * denominator, denominator
    own = _covariances(counts, every, every)
    if beside is None:
        return np.sqrt(np.maximum(own, 0.0))
    shared = _covariances(counts, every, (every[0][[beside]], every[1][[beside]]))
    squared = own + own[:, [beside]] - 2 * shared
    return np.sqrt(np.where(squared > _ROUNDING * own, squared, 0.0))


def _covariances(
    counts: FloatArray, one: tuple[FloatArray, FloatArray], other: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Of the scores of two lots of strategies, numerators and denominators each, linearised at every draw: (D, S)."""
    (top, bottom), (other_top, other_bottom) = one, other
    total, other_total = counts @ bottom.T, counts @ other_bottom.T
    score, other_score = counts @ top.T / total, counts @ other_top.T / other_total
    products = (
        counts @ (top * other_top).T
        - score * (counts @ (bottom * other_top).T)
        - other_score * (counts @ (top * other_bottom).T)
        + score * other_score * (counts @ (bottom * other_bottom).T)
    )
    covariances: FloatArray = products / (total * other_total)
    return covariances
