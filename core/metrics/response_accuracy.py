"""Control: how many responses are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.metrics.base import Input, Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def correct_responses(arrays: ScoreArrays) -> FloatArray:
    """(S, Q): 1 where the final answer equals the gold answer, else 0. SapError without gold answers."""
    return arrays.input(Input.CORRECT)


METRIC = Metric(
    id="response_accuracy",
    label="Accuracy of the responses",
    description="Control: share of the responses whose final answer equals the gold answer.",
    direction="higher",
    contexts=(),
    source="control",
    numerator=correct_responses,
    inputs=(Input.CORRECT,),
    is_share=True,
)
