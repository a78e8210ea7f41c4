"""What the target model already expects and a small model does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Input, Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def learnabilities(arrays: ScoreArrays) -> FloatArray:
    """L under the small model less L under the target model: (S, Q), nats per token of each model's own tokenizer.

    SapError without scores under a small model.
    """
    return arrays.input(Input.SMALL_MODEL_NLL) - arrays.mean_nll(ContextKind.PLAIN)


METRIC = Metric(
    id="learnability",
    label="Learnability",
    description="Mean over questions of the mean surprisal under a small model less that under the target model.",
    direction="higher",
    contexts=(ContextKind.PLAIN,),
    source="after Rawat et al.: arXiv 2410.18779",
    numerator=learnabilities,
    inputs=(Input.SMALL_MODEL_NLL,),
    contested="The paper judges pretraining text by the small model alone, not by the difference of two models.",
)
