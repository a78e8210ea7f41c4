"""Compatibility-adjusted reward: good responses that the target model also finds familiar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.errors import SapError
from core.metrics.base import Input, Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

SURPRISAL_WEIGHT = 3.0


def positive_rewards(arrays: ScoreArrays) -> FloatArray:
    """(S, Q), in the unit of the rewards. SapError without rewards, or where one is not above 0."""
    rewards = arrays.input(Input.REWARD)
    if (rewards <= 0).any():
        raise SapError(
            f"car needs rewards above 0, and {int((rewards <= 0).sum())} are not.",
            "Take car_shifted, which shifts them by the lowest reward of the compared strategies.",
        )
    return rewards


def compatibility(arrays: ScoreArrays) -> FloatArray:
    """1 + 3 L behind the question: (S, Q)."""
    return 1 + SURPRISAL_WEIGHT * arrays.mean_nll(ContextKind.PLAIN)


METRIC = Metric(
    id="car",
    label="Compatibility-adjusted reward",
    description="Mean reward divided by 1 + 3 times the mean surprisal. Rewards must be above 0.",
    direction="higher",
    contexts=(ContextKind.PLAIN,),
    source="Xu et al.: arXiv 2411.07133",
    numerator=positive_rewards,
    denominator=compatibility,
    inputs=(Input.REWARD,),
)
