"""Intervals of several strategies on one scale, as places in a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from core.export.scale import near_intervals, round_step

WIDTH, LABELS, VALUES, ROW, AXIS = 860, 220, 190, 28, 34
LONGEST_LABEL = 30
TICKS = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """One strategy's value with its 95% interval. `is_settled` is whether it is separable from the leader."""

    label: str
    low: float
    value: float
    high: float
    is_settled: bool
    words: str

    @property
    def short_label(self) -> str:
        return self.label if len(self.label) <= LONGEST_LABEL else f"{self.label[: LONGEST_LABEL - 1]}…"


@dataclass(frozen=True, slots=True)
class IntervalPlot:
    """Bars, best first; every length is in the picture's own units."""

    kind: ClassVar[str] = "plot"
    title: str
    bars: tuple[Bar, ...]

    @property
    def width(self) -> int:
        return WIDTH

    @property
    def height(self) -> int:
        return ROW * len(self.bars) + AXIS

    def y(self, place: int) -> float:
        """The middle of the row with this number, from 0."""
        return ROW * (place + 0.5)

    def x(self, value: float) -> float:
        """Where a value lies; what is beyond the scale lies at its end."""
        low, high = self.scale
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return round(LABELS + share * (WIDTH - LABELS - VALUES), 2)

    @property
    def values_at(self) -> int:
        """Where the column with the numbers begins."""
        return WIDTH - VALUES + 14

    @property
    def scale(self) -> tuple[float, float]:
        near = near_intervals([(bar.low, bar.high) for bar in self.bars])
        low, high = min(ends[0] for ends in near), max(ends[1] for ends in near)
        margin = (high - low) * 0.03 or abs(low) * 0.05 or 0.5
        return low - margin, high + margin

    def beyond(self, bar: Bar) -> str:
        """On which side of the scale all of the bar lies, right or left; empty for a bar on the scale."""
        low, high = self.scale
        return "right" if bar.low > high else "left" if bar.high < low else ""

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round values on the scale: where they lie, and how they are written."""
        low, high = self.scale
        step = round_step((high - low) / TICKS)
        decimals = max(0, -math.floor(math.log10(step)))
        places = range(math.ceil(low / step), math.floor(high / step) + 1)
        return [(self.x(place * step), f"{place * step:.{decimals}f}") for place in places]
