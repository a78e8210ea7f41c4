"""Intervals drawn with characters on one scale for all rows of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.export.scale import near_intervals, round_step


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale from `low` to `high` over `width` cells."""

    low: float
    high: float
    width: int

    @staticmethod
    def of(intervals: Sequence[tuple[float, float]], width: int) -> Scale:
        """The scale for intervals that come best first, but for those far off; never empty, even for one point."""
        near = near_intervals(intervals)
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
        step, free = round_step((self.high - self.low) / max(1, self.width // 8)), 0
        decimals = max(0, -math.floor(math.log10(step)))
        tick = math.ceil(self.low / step)
        while tick * step <= self.high:
            label, place = f"{tick * step:.{decimals}f}", self.cell(tick * step)
            if free <= place <= self.width - len(label):
                cells[place : place + len(label)] = label
                free = place + len(label) + 1
            tick += 1
        return "".join(cells)
