"""Perplexity of the responses under the target model (familiarity)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def perplexity(mean_nll: FloatArray) -> FloatArray:
    """exp(L) of every response: (S, Q) nats in, (S, Q) out; infinite where it leaves the range of a double."""
    import numpy as np

    with np.errstate(over="ignore"):
        return np.exp(mean_nll)


def plain_perplexity(arrays: ScoreArrays) -> FloatArray:
    """exp(L) behind the question: (S, Q)."""
    return perplexity(arrays.mean_nll(ContextKind.PLAIN))


METRIC = Metric(
    id="ppl",
    label="Perplexity",
    description="How surprised the target model is by the responses: mean over questions of exp(mean token surprisal).",
    direction="lower",
    contexts=(ContextKind.PLAIN,),
    source="Ren, Wu, Liu: arXiv 2402.11192",
    numerator=plain_perplexity,
)
