"""Compatibility-adjusted reward for rewards that are not all positive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Input, Metric, ScoreArrays
from core.metrics.car import compatibility

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

LOWEST_SHARE = 0.01


def shifted(rewards: FloatArray) -> FloatArray:
    """Rewards less the lowest, plus a hundredth of the range from lowest to highest: (S, Q), all above 0.

    The order by `car` stays the same in any unit of the rewards. Where all rewards are equal they become 1.
    """
    import numpy as np

    known = rewards[np.isfinite(rewards)]
    if len(known) == 0:
        return rewards
    lowest, highest = float(known.min()), float(known.max())
    return rewards - lowest + (LOWEST_SHARE * (highest - lowest) or 1.0)


def shifted_rewards(arrays: ScoreArrays) -> FloatArray:
    """(S, Q), in the unit of the rewards, shifted by those of the compared strategies. SapError without rewards."""
    return shifted(arrays.input(Input.REWARD))


METRIC = Metric(
    id="car_shifted",
    label="Compatibility-adjusted reward (shifted)",
    description=(
        "As car, after every reward is shifted by the lowest reward of the compared strategies: less the lowest, plus "
        "a hundredth of the range from the lowest to the highest. Depends on which strategies are compared."
    ),
    direction="higher",
    contexts=(ContextKind.PLAIN,),
    source="Xu et al.: arXiv 2411.07133",
    numerator=shifted_rewards,
    denominator=compatibility,
    inputs=(Input.REWARD,),
)
