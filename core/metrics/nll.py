"""Mean surprisal of the responses under the target model: perplexity that a few outliers do not rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def plain_mean_nll(arrays: ScoreArrays) -> FloatArray:
    """L behind the question: (S, Q), nats per token."""
    return arrays.mean_nll(ContextKind.PLAIN)


METRIC = Metric(
    id="nll",
    label="Surprisal",
    description="Mean over questions of the mean token surprisal in nats, behind the question alone.",
    direction="lower",
    contexts=(ContextKind.PLAIN,),
    source="Ren, Wu, Liu: arXiv 2402.11192",
    numerator=plain_mean_nll,
)
