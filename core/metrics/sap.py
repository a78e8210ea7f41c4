"""Self-aligned perplexity: perplexity after the target model's own answers to other questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ScoreArrays
from core.metrics.ppl import perplexity

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def self_aligned_perplexity(arrays: ScoreArrays) -> FloatArray:
    """exp(L) behind the self-aligned prompt: (S, Q)."""
    return perplexity(arrays.mean_nll(ContextKind.SELF_ALIGNED))


METRIC = Metric(
    id="sap",
    label="Self-aligned perplexity",
    description="Perplexity of the responses after the target model has seen its own answers to other questions.",
    direction="lower",
    contexts=(ContextKind.SELF_ALIGNED,),
    source="Ren, Chen, Liu: arXiv 2502.11779",
    numerator=self_aligned_perplexity,
)
