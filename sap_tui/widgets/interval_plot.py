"""Intervals drawn with characters on one scale for all rows of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FAR = 4.0


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale from `low` to `high` over `width` cells."""

    low: float
    high: float
    width: int

    @staticmethod
    def of(intervals: Sequence[tuple[float, float]], width: int) -> Scale:
        """The scale for intervals that come best first, but for those far off; never empty, even for one point."""
        near = _near(intervals)
        low = min((ends[0] for ends in near), default=0.0)
        high = max((ends[1] for ends in near), default=1.0)
        margin = (high - low) * 0.02 or abs(low) * 0.05 or 0.5
        return Scale(low - margin, high + margin, width)

    def cell(self, value: float) -> int:
        """The cell, from 0, that a value falls into; values beyond the scale go to its ends."""
        share = (value - self.low) / (self.high - self.low)
        return max(0, min(self.width - 1, int(share * self.width)))

    def bar(self, low: float, value: float, high: float) -> str:
        """An interval as `├──●──┤`, exactly `width` cells wide; one that lies beyond the scale as `▸` or `◂`."""
        if low > self.high:
            return "▸".rjust(self.width)
        if high < self.low:
            return "◂".ljust(self.width)
        start, middle, end = self.cell(low), self.cell(value), self.cell(high)
        cells = [" "] * self.width
        cells[start : end + 1] = "─" * (end + 1 - start)
        cells[start], cells[end] = "├", "┤"
        cells[middle] = "●"
        return "".join(cells)

    def axis(self) -> str:
        """Numbers at round values over the cells where they fall, exactly `width` cells wide."""
        cells = [" "] * self.width
        step, free = _round_step((self.high - self.low) / max(1, self.width // 8)), 0
        decimals = max(0, -math.floor(math.log10(step)))
        tick = math.ceil(self.low / step)
        while tick * step <= self.high:
            label, place = f"{tick * step:.{decimals}f}", self.cell(tick * step)
            if free <= place <= self.width - len(label):
                cells[place : place + len(label)] = label
                free = place + len(label) + 1
            tick += 1
        return "".join(cells)


def _near(intervals: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """All but the last ones, at most a third, that would squeeze the others into a quarter of the scale."""
    least = max(2, math.ceil(len(intervals) * 2 / 3))
    for count in range(least, len(intervals)):
        if _span(intervals[: count + 1]) > FAR * _span(intervals[:count]) > 0:
            return intervals[:count]
    return intervals


def _span(intervals: Sequence[tuple[float, float]]) -> float:
    return max(ends[1] for ends in intervals) - min(ends[0] for ends in intervals)


def _round_step(step: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)
