"""Self-consistency: how often a response's final answer is the one that the target model itself gives most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.metrics.base import Input, Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def agreements_with_target(arrays: ScoreArrays) -> FloatArray:
    """(S, Q): 1 where the response passes, else 0. SapError without sampled answers."""
    return arrays.input(Input.TARGET_VOTE)


METRIC = Metric(
    id="self_consistency",
    label="Self-consistency",
    description="Share of the responses whose final answer is that of most sampled answers of the target model.",
    direction="higher",
    contexts=(),
    source="Jiang et al.: arXiv 2408.09849, after Huang et al.: arXiv 2210.11610",
    numerator=agreements_with_target,
    inputs=(Input.TARGET_VOTE,),
    is_share=True,
)
