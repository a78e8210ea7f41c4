"""Metric against outcome, one point a strategy: what `sap-tui judge --run RUN --points --json` found."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from textual.content import Content

from core.domain import Run
from core.export.scale import near_intervals
from sap_tui.text import MUTED, plain
from sap_tui.themes import PlotColour
from sap_tui.widgets.detail_pane import fields
from sap_tui.widgets.drawing import Axis, Drawing, Mark, around, round_ticks
from sap_tui.widgets.plot_view import PlotView, cut, note
from sap_tui.widgets.records import Column, Record

CLOSE_ORDER, SIMILAR_ORDER = 0.8, 0.4
MOST_NAMES = 3


class OutcomeView(PlotView):
    """One metric of one run beside what fine-tuning gave."""

    def __init__(
        self, answer: dict[str, Any], run: Run, colours: Sequence[PlotColour], metric: str | None = None
    ) -> None:
        super().__init__(answer, run, colours)
        (points,) = answer["points"]
        self._points = points["metrics"]
        self._outcomes = {name: 100 * accuracy for name, accuracy in points["outcomes"].items()}
        self.metrics = tuple(self._points)
        self.metric = metric if metric is not None and metric in self._points else self.metrics[0]
        self._scores: dict[str, float] = self._points[self.metric]["scores"]
        self._picks: list[str] = self._points[self.metric]["picks"] or []
        self._judged = answer["metrics"][self.metric]
        self._better = answer["details"]["metrics"][self.metric]["direction"]
        self._best = max(self._outcomes.values())

    def columns(self) -> tuple[Column, ...]:
        return (
            Column("strategy", "  strategy", 18, stretch=True, is_name=True),
            Column("score", self.metric, min(17, max(8, len(self.metric))), "right"),
            Column("outcome", "outcome", 7, "right"),
            Column("regret", "below best", 10, "right"),
            Column("word", "", 15),
        )

    def records(self) -> list[Record]:
        return [
            Record(
                name,
                (
                    self.lettered(name),
                    Content(f"{self._scores[name]:.3f}"),
                    Content.styled(f"{self._outcomes[name]:.1f}%", "bold"),
                    Content.styled(f"{self._best - self._outcomes[name]:.1f}", MUTED),
                    self._word(name),
                ),
            )
            for name in self._ordered()
        ]

    def _ordered(self) -> list[str]:
        return sorted(self._scores, key=self._scores.__getitem__, reverse=self._better == "higher")

    def _word(self, name: str) -> Content:
        picked = ("● picked" if len(self._picks) == 1 else "● tied first") if name in self._picks else ""
        best = "★ best" if self._outcomes[name] == self._best else ""
        return Content.styled(" ".join(filter(None, (picked, best))), "$success" if best else "$warning")

    def drawing(self, cursor: Hashable | None) -> Drawing | None:
        ordered = self._ordered()
        near = near_intervals([(self._scores[name], self._scores[name]) for name in ordered])
        low, high = around(value for value, _ in near)
        bottom, top = around(self._outcomes.values())
        marks = [
            Mark(
                self._scores[name],
                self._outcomes[name],
                self.letter(name),
                name if place < len(near) else f"{name}, beyond: {self._scores[name]:.3f}",
                self.place(name),
                strong=name == cursor,
            )
            for place, name in enumerate(ordered)
        ]
        return Drawing(
            Axis(low, high, round_ticks(low, high, 8), f"{self.metric} ({self._better} is better)"),
            Axis(bottom, top, round_ticks(bottom, top, 6), "outcome, accuracy in %"),
            tuple(marks),
        )

    def verdict(self) -> Content:
        return Content.assemble(self._pick_words(), "\n", plain(self._order_words(), MUTED))

    def _pick_words(self) -> Content:
        chosen, regret = 100 * self._judged["chosen"], 100 * self._judged["regret"]
        best = next(name for name, outcome in self._outcomes.items() if outcome == self._best)
        if len(self._picks) == 1:
            picks = f"{self.metric} picks {cut(self._picks[0])}: {chosen:.1f}%"
        else:
            picks = f"{self.metric} cannot choose among {_some(self._picks)}: {chosen:.1f}% on average"
        if regret < 0.05:
            return plain(f"{picks}, the best of {len(self._outcomes)} (regret 0).", "$success bold")
        return plain(f"{picks}. Regret {regret:.1f}: {cut(best)} gave {self._best:.1f}%.", "$warning bold")

    def _order_words(self) -> str:
        rho, tau = self._judged["spearman"], self._judged["kendall"]
        if rho is None:
            return "No correlation: all scores or all outcomes are equal."
        random = f"Any strategy at random: {100 * self.answer['random']:.1f}%."
        return f"Spearman {rho:+.2f} (Kendall {tau:+.2f}): {_order(rho)} as the outcomes.{self._long_words()} {random}"

    def _long_words(self) -> str:
        long = self.answer["details"]["without_terse"]
        rho = long and long["metrics"].get(self.metric, {}).get("spearman")
        return "" if rho is None else f" Without terse strategies {rho:+.2f}."

    def notes(self) -> Iterable[Content]:
        return [note(text) for text in self.answer["details"]["notes"]]

    def details(self, key: Hashable | None) -> tuple[Content, Content, Content]:
        if not isinstance(key, str) or key not in self._outcomes:
            return Content(), Content(), Content()
        scores = [
            (metric, Content(f"{points['scores'][key]:.3f}"))
            for metric, points in self._points.items()
            if key in points["scores"]
        ]
        outcome = Content.styled(f"{self._outcomes[key]:.1f}%", "bold")
        return plain(key), fields([("outcome", outcome), *scores]), self._every_metric()

    def _every_metric(self) -> Content:
        width = max(map(len, self.metrics))
        lines = [Content.styled(f"\n{'Every metric':<{width}}  Spearman  regret", "$primary bold")]
        for name in self.metrics:
            judged = self.answer["metrics"][name]
            rho = "–" if judged["spearman"] is None else f"{judged['spearman']:+.2f}"
            line = f"{name:<{width}}  {rho:>8}  {100 * judged['regret']:>6.1f}"
            lines.append(plain(line, "bold" if name == self.metric else MUTED))
        return Content("\n").join(lines)


def _order(rho: float) -> str:
    if rho >= CLOSE_ORDER:
        return "nearly the same order"
    if rho >= SIMILAR_ORDER:
        return "a similar order"
    return "hardly the same order" if rho > -SIMILAR_ORDER else "rather the opposite order"


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(map(cut, names[:MOST_NAMES])) + (f" and {more} more" if more > 0 else "")
