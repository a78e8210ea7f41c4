"""How far a response is from the target model's own answer, in surprisal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Input, Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def margins(arrays: ScoreArrays) -> FloatArray:
    """L of the model's own prediction less L of the response, both behind the question: (S, Q), nats per token.

    SapError without scores of the own predictions.
    """
    return arrays.input(Input.OWN_NLL) - arrays.mean_nll(ContextKind.PLAIN)


METRIC = Metric(
    id="self_margin",
    label="Margin to the own answer",
    description=(
        "Mean over questions of the mean surprisal of the target model's own prediction less that of the response. "
        "Mostly below 0; the higher, the closer to what the model would write itself."
    ),
    direction="higher",
    contexts=(ContextKind.PLAIN,),
    source="after Chen et al.: arXiv 2401.01335",
    numerator=margins,
    inputs=(Input.OWN_NLL,),
    contested="Close to the own answer is familiar; self-play fine-tuning learns from what is still far from it.",
)
