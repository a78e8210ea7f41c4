"""Rank-surprisal ratio: how far down the model's own order the tokens stand, by how surprising they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ScoreArrays
from core.metrics.nll import plain_mean_nll

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

FEWEST_TOKENS = 8


def mean_clipped_rank(rank_sum: FloatArray, tokens: FloatArray) -> FloatArray:
    """Mean over the tokens of min(rank, 100): (S, Q) sums and token counts in; NaN under 8 tokens."""
    import numpy as np

    return np.divide(rank_sum, tokens, out=np.full_like(rank_sum, np.nan), where=tokens >= FEWEST_TOKENS)


def plain_mean_clipped_rank(arrays: ScoreArrays) -> FloatArray:
    """Mean clipped rank behind the question: (S, Q), ranks from 1; NaN under 8 tokens and without stored ranks."""
    scores = arrays.contexts.get(ContextKind.PLAIN)
    if scores is None:
        return arrays.mean_nll(ContextKind.PLAIN)
    return mean_clipped_rank(scores.rank_sum, scores.tokens)


METRIC = Metric(
    id="rsr",
    label="Rank-surprisal ratio",
    description=(
        "Sum over responses of the mean token rank (clipped at 100), divided by the sum of their mean surprisals. "
        "Responses under 8 tokens are left out."
    ),
    direction="lower",
    contexts=(ContextKind.PLAIN,),
    source="Yang et al.: arXiv 2601.14249",
    numerator=plain_mean_clipped_rank,
    denominator=plain_mean_nll,
)
