"""How the scores settle with the number of questions: what `sap-tui converge RUN --json` found."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from math import log10
from typing import Any

from textual.content import Content

from core.domain import Run
from core.export.scale import near_intervals
from sap_tui.text import MUTED, plain
from sap_tui.themes import PlotColour
from sap_tui.widgets.detail_pane import fields
from sap_tui.widgets.drawing import Axis, Band, Drawing, Line, Mark, around, round_ticks
from sap_tui.widgets.plot_view import PlotView, cut, sentences
from sap_tui.widgets.records import Column, Record

# With more strategies than this only the band under the cursor is drawn.
MOST_BANDS = 8
# The first steps, whose bands are wide, do not set the scale.
FIRST_STEPS = 3


class ConvergenceView(PlotView):
    """The score of every strategy with its band over growing numbers of questions."""

    def __init__(self, answer: dict[str, Any], run: Run, colours: Sequence[PlotColour]) -> None:
        super().__init__(answer, run, colours)
        self.metrics = tuple(answer["metrics"])
        self.metric = answer["metric"]["id"]
        self._decimals: int = answer["metric"]["decimals"]
        self._sizes: list[int] = answer["questions"]
        self._series = {each["strategy"]: each for each in answer["strategies"]}

    def columns(self) -> tuple[Column, ...]:
        return (
            Column("strategy", "  strategy", 18, stretch=True, is_name=True),
            Column("score", self.metric, min(17, max(8, len(self.metric))), "right"),
            Column("interval", "95% interval", 20),
            Column("questions", "n", 7, "right"),
        )

    def records(self) -> list[Record]:
        return [
            Record(
                name,
                (
                    self.lettered(name),
                    Content.styled(self._number(series["values"][-1]), "bold"),
                    Content.styled(self._interval(series, -1), MUTED),
                    Content.styled(f"{self._sizes[len(series['values']) - 1]:,}", MUTED),
                ),
            )
            for name, series in self._series.items()
        ]

    def _number(self, value: float) -> str:
        return f"{value:.{self._decimals}f}"

    def _interval(self, series: dict[str, Any], place: int) -> str:
        return f"[{self._number(series['low'][place])}, {self._number(series['high'][place])}]"

    def drawing(self, cursor: Hashable | None) -> Drawing | None:
        shown = self._shown(cursor)
        xs = tuple(log10(size) for size in self._sizes)
        low, high = self._limits(shown)
        ends = (xs[0], xs[-1]) if len(xs) > 1 else (xs[0] - 0.5, xs[0] + 0.5)
        title = f"questions, in the order of the run ({self.answer['metric']['direction']} is better)"
        return Drawing(
            Axis(*ends, _powers(self._sizes), title),
            Axis(low, high, round_ticks(low, high, 6), f"{self.metric}, with its 95% interval"),
            tuple(self._mark(name, cursor) for name in shown),
            tuple(line for name in shown for line in self._lines(name, xs, len(shown) <= MOST_BANDS, cursor)),
            tuple(self._band(name, xs) for name in shown if name == cursor),
            labels_beside=True,
        )

    def _shown(self, cursor: Hashable | None) -> list[str]:
        """Without those that would squeeze the others, unless the cursor is on one of them."""
        names = list(self._series)
        near = near_intervals([(series["low"][-1], series["high"][-1]) for series in self._series.values()])
        return names if cursor in names[len(near) :] else names[: len(near)]

    def _limits(self, shown: Sequence[str]) -> tuple[float, float]:
        values: list[float] = []
        for name in shown:
            series = self._series[name]
            skipped = min(FIRST_STEPS, len(series["values"]) - 1)
            values += [*series["low"][skipped:], *series["high"][skipped:], *series["values"]]
        return around(values, 0.02)

    def _mark(self, name: str, cursor: Hashable | None) -> Mark:
        place = self.place(name)
        return Mark(0.0, self._series[name]["values"][-1], self.letter(name), name, place, strong=name == cursor)

    def _lines(self, name: str, xs: tuple[float, ...], bands: bool, cursor: Hashable | None) -> Iterable[Line]:
        series, place = self._series[name], self.place(name)
        own = xs[: len(series["values"])]
        if bands and name != cursor:
            yield Line(own, tuple(series["low"]), place, dotted=True)
            yield Line(own, tuple(series["high"]), place, dotted=True)
        yield Line(own, tuple(series["values"]), place)

    def _band(self, name: str, xs: tuple[float, ...]) -> Band:
        series = self._series[name]
        own = xs[: len(series["values"])]
        return Band(own, tuple(series["low"]), tuple(series["high"]), self.place(name))

    def verdict(self) -> Content:
        words = self.answer["sentences"]
        return sentences(words[:2], "$accent bold")

    def notes(self) -> Iterable[Content]:
        names = list(self._series)
        beyond = [name for name in names if name not in self._shown(None)]
        if beyond:
            yield plain(f"· Beyond the scale: {', '.join(map(cut, beyond))}; the cursor brings one in.", MUTED)
        if len(names) - len(beyond) > MOST_BANDS:
            yield Content.styled("· So many strategies: only the band under the cursor is drawn.", MUTED)
        for text in self.answer["sentences"][2:]:
            yield plain(f"· {text}", MUTED)

    def details(self, key: Hashable | None) -> tuple[Content, Content, Content]:
        series = self._series.get(key) if isinstance(key, str) else None
        if series is None:
            return Content(), Content(), Content()
        steps = [
            (f"{size:,}", Content.assemble(self._number(value), (f"  {self._interval(series, place)}", MUTED)))
            for place, (size, value) in enumerate(zip(self._sizes, series["values"], strict=False))
        ]
        return plain(str(key)), fields([("questions", Content(self.metric)), *steps]), Content()


def _powers(sizes: Sequence[int]) -> tuple[tuple[float, str], ...]:
    """1, 2, 5, 10, ... within the sizes, and their ends."""
    steps = [factor * 10**power for power in range(8) for factor in (1, 2, 5)]
    inside = [step for step in steps if sizes[0] <= step <= sizes[-1]]
    return tuple((log10(size), f"{size:,}") for size in sorted({sizes[0], sizes[-1], *inside}))
