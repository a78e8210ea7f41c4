"""What intervals of several strategies are drawn on: which of them set the scale, and its round steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

# A last strategy that squeezes the others into less than a quarter of the scale is shown at its end instead.
FAR = 4.0


def near_intervals(intervals: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """All but the last ones, at most a third, that would squeeze the others; intervals come best first."""
    for count in range(max(2, math.ceil(len(intervals) * 2 / 3)), len(intervals)):
        if _span(intervals[: count + 1]) > FAR * _span(intervals[:count]) > 0:
            return intervals[:count]
    return intervals


def _span(intervals: Sequence[tuple[float, float]]) -> float:
    return max(ends[1] for ends in intervals) - min(ends[0] for ends in intervals)


def round_step(step: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)
