"""LARK: how fast training on a response would lower the loss over all the strategies' responses to a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ResponseTokens, ScoreArrays
from core.metrics.compared import compared_questions

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def mean_squared_error(response: ResponseTokens) -> float:
    """B, the mean over tokens of 1 - 2p + the step's sum of squared probabilities, p the token's own probability."""
    import numpy as np

    return float(np.mean(1 - 2 * np.exp(-response.surprisal) + response.sum_of_squares))


def gains(squared_error: FloatArray, mean_nll: FloatArray) -> FloatArray:
    """g = (2 B - L sum(B) / sum(L)) / sum(L), sums over the compared strategies of a question.

    B (S, Q) without unit and L (S, Q) in nats per token. NaN for questions on which a compared strategy lacks either.
    """
    import numpy as np

    known = ~np.isnan(squared_error + mean_nll)
    errors, surprisals = np.where(known, squared_error, np.nan), np.where(known, mean_nll, np.nan)
    error_sum, surprisal_sum = np.nansum(errors, axis=0), np.nansum(surprisals, axis=0)
    surprisal_sum[~compared_questions(errors) | (surprisal_sum <= 0)] = np.nan
    return np.asarray((2 * errors - surprisals * error_sum / surprisal_sum) / surprisal_sum, dtype=np.float64)


def plain_gains(arrays: ScoreArrays) -> FloatArray:
    """g behind the question: (S, Q), per nat."""
    return gains(arrays.token_value("lark"), arrays.mean_nll(ContextKind.PLAIN))


METRIC = Metric(
    id="lark",
    label="LARK",
    description=(
        "Mean over questions of (2B - L sum(B) / sum(L)) / sum(L): B the mean squared error of the predicted "
        "probabilities, L the mean surprisal, sums over the compared strategies."
    ),
    direction="higher",
    contexts=(ContextKind.PLAIN,),
    source="Yu et al.: arXiv 2605.30651",
    numerator=plain_gains,
    token_value=mean_squared_error,
)
