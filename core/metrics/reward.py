"""Mean reward of the responses, of a reward model or of an imported column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.metrics.base import Input, Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def rewards(arrays: ScoreArrays) -> FloatArray:
    """(S, Q), in the unit of the rewards. SapError without rewards."""
    return arrays.input(Input.REWARD)


METRIC = Metric(
    id="reward",
    label="Reward",
    description="Mean reward of the responses, of a reward model or of an imported column.",
    direction="higher",
    contexts=(),
    source="Xu et al.: arXiv 2411.07133",
    numerator=rewards,
    inputs=(Input.REWARD,),
)
