"""DS weight: how far a response's surprisal is from that of trusted responses, in either direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Input, Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def valid_ratios(mean_nll: FloatArray, valid_nll: FloatArray) -> FloatArray:
    """w' = mean valid L / L: (S, Q) and (N,) nats per token in, (S, Q) out; NaN where either is not known."""
    import numpy as np

    known = valid_nll[~np.isnan(valid_nll)]
    valid_mean = known.mean() if len(known) else np.nan
    return np.divide(valid_mean, mean_nll, out=np.full_like(mean_nll, np.nan), where=mean_nll > 0)


def weights(mean_nll: FloatArray, valid_nll: FloatArray) -> FloatArray:
    """w = max(w', 1 / w'), 1 where a response is as surprising as the trusted ones: (S, Q), at least 1."""
    import numpy as np

    ratios = valid_ratios(mean_nll, valid_nll)
    inverse = np.divide(1.0, ratios, out=np.full_like(ratios, np.nan), where=ratios > 0)
    return np.maximum(ratios, inverse)


def plain_weights(arrays: ScoreArrays) -> FloatArray:
    """w behind the question: (S, Q). SapError without a valid set."""
    return weights(arrays.mean_nll(ContextKind.PLAIN), arrays.input(Input.VALID_NLL))


METRIC = Metric(
    id="ds_weight",
    label="DS weight",
    description=(
        "Median over questions of how many times more or less surprising a response is than the trusted responses of "
        "the valid set are on average. Never average it with perplexity: 1 is perfect, whatever the perplexity."
    ),
    direction="lower",
    contexts=(ContextKind.PLAIN,),
    source="Jiang et al.: arXiv 2408.09849",
    numerator=plain_weights,
    inputs=(Input.VALID_NLL,),
    statistic="median",
)
