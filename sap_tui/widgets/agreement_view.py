"""How far the metrics of a run agree: what `sap-tui agree RUN --json` found."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from textual.content import Content

from core.domain import Run
from sap_tui.text import MUTED, plain
from sap_tui.themes import PlotColour
from sap_tui.widgets.detail_pane import fields
from sap_tui.widgets.plot_view import PlotView, cut
from sap_tui.widgets.records import Column, Record

CELL = 7
STRONG = 0.7
# Sides of the scale in the palette: blue for agreement, orange for contradiction.
ALIKE, OPPOSITE = 0, 1
LEGEND = "Spearman: +1 the same order, -1 the opposite; (in parentheses) the interval holds 0"


class AgreementView(PlotView):
    """A matrix of correlations, and the leaders in words."""

    def __init__(self, answer: dict[str, Any], run: Run, colours: Sequence[PlotColour]) -> None:
        super().__init__(answer, run, colours)
        self._ids: list[str] = [metric["id"] for metric in answer["metrics"]]
        self._pairs = {frozenset(pair["metrics"]): pair for pair in answer["pairs"]}
        self._leaders = {leader["metric"]: leader for leader in answer["leaders"]}

    def columns(self) -> tuple[Column, ...]:
        width = max((len(name) for name in self._ids), default=10) + 3
        return (
            Column("metric", "   metric", min(24, width)),
            *(Column(f"{place}", f"{place}", CELL, "right") for place in range(1, len(self._ids) + 1)),
            Column("leader", "puts first", 20, stretch=True, is_name=True),
        )

    def records(self) -> list[Record]:
        return [
            Record(
                name,
                (
                    Content.assemble((f"{place:>2} ", MUTED), plain(name)),
                    *(self._cell(name, other) for other in self._ids),
                    plain(self._leader(name)),
                ),
            )
            for place, name in enumerate(self._ids, 1)
        ]

    def _cell(self, one: str, other: str) -> Content:
        if one == other:
            return Content.styled("· ", MUTED)
        rho = self._pairs[frozenset((one, other))]["spearman"]
        if rho is None:
            return Content.styled("– ", MUTED)
        if rho["low"] <= 0 <= rho["high"]:
            return Content.styled(f"({rho['value']:+.2f})", MUTED)
        style = self.style(ALIKE if rho["value"] > 0 else OPPOSITE)
        return Content.styled(f"{rho['value']:+.2f} ", f"{style} bold" if abs(rho["value"]) >= STRONG else style)

    def _leader(self, metric: str) -> str:
        names = self._leaders[metric]["strategies"]
        return names[0] if len(names) == 1 else f"{len(names)} tied"

    def verdict(self) -> Content:
        """The leaders and the metrics that name them, in brackets those by which they are not separable."""
        named: dict[str, list[str]] = {}
        for metric, leader in self._leaders.items():
            if len(leader["strategies"]) == 1:
                named.setdefault(leader["strategies"][0], []).append(metric if leader["separable"] else f"[{metric}]")
        lines = [
            Content.assemble(plain(cut(name), "$accent bold"), plain(f" first by {', '.join(metrics)}"))
            for name, metrics in named.items()
        ]
        words = self.answer["sentences"][1:2] if len(named) > 1 else self.answer["sentences"][:1]
        return Content("\n").join([*lines, *(plain(text, "$warning") for text in words)])

    def notes(self) -> Iterable[Content]:
        yield Content.styled(LEGEND, MUTED)
        if any(len(leader["strategies"]) == 1 and not leader["separable"] for leader in self._leaders.values()):
            yield Content.styled("[in brackets] by this metric the leader cannot be told from the next", MUTED)

    def details(self, key: Hashable | None) -> tuple[Content, Content, Content]:
        if not isinstance(key, str) or key not in self._leaders:
            return Content(), Content(), Content()
        leader = self._leaders[key]
        direction = next(metric["direction"] for metric in self.answer["metrics"] if metric["id"] == key)
        first = fields(
            [
                ("better", Content(direction)),
                ("leader", plain(", ".join(leader["strategies"]))),
                ("verdict", Content("separable from the others" if leader["separable"] else "not separable")),
                ("questions", Content(f"{leader['questions']:,}")),
            ]
        )
        return plain(key), first, self._correlations(key)

    def _correlations(self, key: str) -> Content:
        """With every other metric, the most alike first, with the 95% interval."""
        width = max(map(len, self._ids))
        lines = [Content.styled("\nSpearman with, 95% interval", "$primary bold")]
        others = [(other, self._pairs[frozenset((key, other))]) for other in self._ids if other != key]
        others.sort(key=lambda found: -found[1]["spearman"]["value"] if found[1]["spearman"] else 2.0)
        for other, pair in others:
            rho = pair["spearman"]
            words = f"{rho['value']:+.2f} [{rho['low']:+.2f}, {rho['high']:+.2f}]" if rho else f"– {pair['why']}"
            lines.append(Content.assemble((f"{other:<{width}} ", MUTED), plain(words)))
        return Content("\n").join([*lines, *self._more()])

    def _more(self) -> Iterable[Content]:
        notes = [*self.answer["sentences"][2:], *self.answer["notes"]]
        return [Content(), *(plain(f"· {text}", MUTED) for text in notes)] if notes else []
