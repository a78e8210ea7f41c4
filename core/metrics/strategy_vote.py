"""The strategies' own vote: how often a response's final answer is the one that most strategies give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.metrics.base import Input, Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def agreements_with_strategies(arrays: ScoreArrays) -> FloatArray:
    """(S, Q): 1 where the response passes, else 0. SapError without final answers."""
    return arrays.input(Input.STRATEGY_VOTE)


METRIC = Metric(
    id="strategy_vote",
    label="Vote of the strategies",
    description="Share of the responses whose final answer is that of most of the strategies.",
    direction="higher",
    contexts=(),
    source="after Huang et al.: arXiv 2210.11610",
    numerator=agreements_with_strategies,
    inputs=(Input.STRATEGY_VOTE,),
    is_share=True,
)
