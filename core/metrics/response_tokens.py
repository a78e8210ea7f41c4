"""Control: how long the responses are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def response_tokens(arrays: ScoreArrays) -> FloatArray:
    """(S, Q), tokens of the target model's tokenizer."""
    return arrays.tokens()


METRIC = Metric(
    id="response_tokens",
    label="Response tokens",
    description="Control: mean length of the responses in tokens of the target model.",
    direction="lower",
    contexts=(ContextKind.PLAIN,),
    source="control",
    numerator=response_tokens,
    decimals=1,
    contested="A control: neither long nor short responses are better as such, but many metrics follow the length.",
)
