"""Instruction-following difficulty as a ratio of perplexities, the form of Superfiltering."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ScoreArrays
from core.metrics.ifd import CONTESTED
from core.metrics.ppl import perplexity

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def perplexity_ratio(arrays: ScoreArrays) -> FloatArray:
    """exp(L(plain) - L(alone)), the perplexity behind the question divided by that of the response alone: (S, Q)."""
    return perplexity(arrays.mean_nll(ContextKind.PLAIN) - arrays.mean_nll(ContextKind.ALONE))


METRIC = Metric(
    id="ifd_ppl",
    label="Instruction-following difficulty (perplexities)",
    description="Mean over questions of the perplexity behind the question, divided by that of the response alone.",
    direction="lower",
    contexts=(ContextKind.PLAIN, ContextKind.ALONE),
    source="Li et al.: arXiv 2402.00530",
    numerator=perplexity_ratio,
    contested=CONTESTED,
)
