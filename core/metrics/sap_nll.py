"""Self-aligned surprisal: beside `sap`, and not ruled by a few outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def self_aligned_mean_nll(arrays: ScoreArrays) -> FloatArray:
    """L behind the self-aligned prompt: (S, Q), nats per token."""
    return arrays.mean_nll(ContextKind.SELF_ALIGNED)


METRIC = Metric(
    id="sap_nll",
    label="Self-aligned surprisal",
    description="Mean over questions of the mean token surprisal in nats, after the target model's own answers.",
    direction="lower",
    contexts=(ContextKind.SELF_ALIGNED,),
    source="Ren, Chen, Liu: arXiv 2502.11779",
    numerator=self_aligned_mean_nll,
)
