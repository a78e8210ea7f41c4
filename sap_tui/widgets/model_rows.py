"""The rankings of a task under several target models as rows: what `sap-tui rank --by-model --format json` found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.cells import cell_len
from textual.content import Content

from sap_tui.cells import on_screen, shortened
from sap_tui.text import MUTED, plain
from sap_tui.widgets.detail_pane import fields
from sap_tui.widgets.records import Column, Record
from sap_tui.words import counted

LONGEST_NAME = 28
PLACE_WIDTH, SCORE_WIDTH = 5, 8


def model_columns(found: Mapping[str, Any]) -> tuple[Column, ...]:
    """A column for every model with the places and scores under it."""
    names = [cell_len(on_screen(name)) for name in found["strategies"]]
    return (
        Column("strategy", "strategy", max(12, min(40, max(names, default=12))), is_name=True),
        *(
            Column(str(ranking["run"]), _heading(ranking), _width(ranking), sortable=False)
            for ranking in found["rankings"]
        ),
    )


def model_records(found: Mapping[str, Any]) -> list[Record]:
    """A row for every strategy, in the order of the newest ranking."""
    return [
        Record(name, (plain(name), *(_cell(found, ranking, name) for ranking in found["rankings"])))
        for name in found["strategies"]
    ]


def model_words(found: Mapping[str, Any]) -> tuple[Content, Content]:
    """The sentence that matters most, and a line for every model."""
    first, *others = found["sentences"]
    style = "$success bold" if first.startswith("All ") else "$accent bold"
    return plain(first, style), Content("\n").join([plain(f"· {text}", MUTED) for text in others])


def model_details(found: Mapping[str, Any], strategy: str) -> tuple[Content, Content]:
    """Where the strategy stands under every model, and over how many questions of which run."""
    decimals = found["metric"]["decimals"]
    standings, sources = [], []
    for ranking in found["rankings"]:
        name, row = _heading(ranking), _row(ranking, strategy)
        if row is None:
            standings.append((name, plain(ranking["left_out"].get(strategy, "not in this run"), "$warning")))
            continue
        score = row["scores"][ranking["metric"]]
        interval = f"  [{score['low']:.{decimals}f}, {score['high']:.{decimals}f}]"
        standings.append((name, Content.assemble(f"{_place(row):<{PLACE_WIDTH}}{score['value']:.{decimals}f}",
                                                 (interval, MUTED))))  # fmt: skip
        what = f"P(best) {row['p_best']:.2f} over {counted(row['n'], 'question')}, run {ranking['run']}"
        sources.append((name, Content(what)))
    return fields(standings), fields(sources)


def _heading(ranking: Mapping[str, Any]) -> str:
    """The model, whose name may be cut, and its precision."""
    model = ranking["model"]
    precision = model["dtype"] if model["quantization"] == "none" else model["quantization"]
    return f"{shortened(on_screen(model['name']), LONGEST_NAME)} {precision}"


def _width(ranking: Mapping[str, Any]) -> int:
    return max(PLACE_WIDTH + 2 + SCORE_WIDTH + 2, cell_len(_heading(ranking)))


def _cell(found: Mapping[str, Any], ranking: Mapping[str, Any], strategy: str) -> Content:
    row = _row(ranking, strategy)
    if row is None:
        return Content.styled(f"{'!':>{PLACE_WIDTH}}" if strategy in ranking["left_out"] else f"{'–':>{PLACE_WIDTH}}",
                              "$warning")  # fmt: skip
    decided = ranking["verdict"] == "decided" and row["rank"] == 1
    colour = "$success bold" if decided else "$accent" if not row["separable"] else ""
    score = f"{row['scores'][ranking['metric']]['value']:.{found['metric']['decimals']}f}"
    return Content.assemble((f"{_place(row):>{PLACE_WIDTH}}", colour), (f"  {score:>{SCORE_WIDTH}}", MUTED))


def _row(ranking: Mapping[str, Any], strategy: str) -> Mapping[str, Any] | None:
    return next((row for row in ranking["strategies"] if row["strategy"] == strategy), None)


def _place(row: Mapping[str, Any]) -> str:
    low, high = row["rank_low"], row["rank_high"]
    return f"{row['rank']}" if low == high else f"{low}-{high}"
