"""The ranking of a run so far, in a few narrow lines whose intervals are seen to shrink."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from core.domain import Interval, RankRow
from core.export.formats import verdict_sentence
from core.export.report import RankingReport
from sap_tui.text import MUTED, plain, shortened
from sap_tui.widgets.interval_plot import Scale
from sap_tui.words import counted

LEAST_PLOT = 9
LEAST_NAME, WIDEST_NAME = 14, 24
# A scale is kept until all intervals are narrower than this share of it.
LEAST_SHARE = 0.2
HEADING = "$primary bold"


def steady_scale(before: Scale | None, report: RankingReport, width: int) -> Scale:
    """The scale of before, as long as the intervals lie on it and fill enough of it; else one made for them."""
    intervals = [row.scores[report.ranking.metric] for row in report.ranking.rows]
    new = Scale.of([(each.low, each.high) for each in intervals], width)
    if before is None or before.width != width or not before.low <= new.low <= new.high <= before.high:
        return new
    widest = max((each.high - each.low for each in intervals), default=0.0)
    return before if widest >= LEAST_SHARE * (before.high - before.low) else new


def plot_width(report: RankingReport, width: int) -> int:
    """Cells that are left for the intervals in lines of so many; 0 where they would not be readable."""
    left = _room(report, width) - _names_width(report, width)
    return left if left >= LEAST_PLOT else 0


def ranking_so_far(report: RankingReport, out: Mapping[str, str], scale: Scale, width: int) -> Content:
    """A line for every strategy, best first, then the verdict; those in `out` are not scored any more."""
    ranking = report.ranking
    so_far = " so far" if report.partial else ""
    lines = [Content.styled(f"Ranking{so_far}: {ranking.metric}, {counted(ranking.questions, 'question')}", HEADING)]
    lines += [_line(report, row, scale, width, is_out=row.strategy in out) for row in ranking.rows]
    lines += [
        Content.assemble(("  ! ", "$warning"), plain(name), ": ", plain(why, MUTED))
        for name, why in ranking.left_out.items()
    ]
    return Content("\n").join([*lines, plain(verdict_sentence(report), MUTED)])


def _line(report: RankingReport, row: RankRow, scale: Scale, width: int, *, is_out: bool) -> Content:
    place = f"{row.rank}" if row.rank_low == row.rank_high else f"{row.rank_low}-{row.rank_high}"
    interval = row.scores[report.ranking.metric]
    colour = MUTED if is_out else "$success" if row.rank == 1 and report.ranking.verdict == "decided" else "$accent"
    cells = _names_width(report, width)
    name = shortened(plain(row.strategy, MUTED if is_out else ""), cells)
    name = name.pad_right(cells - name.cell_length)
    value = _value(report, interval).rjust(_values_width(report))
    drawn = scale.bar(interval.low, interval.value, interval.high) if plot_width(report, width) else ""
    sign = ("× " if is_out else "  ", MUTED)
    return Content.assemble(f"{place:<4} ", name, sign, (value, colour), " ", (drawn, colour))


def _value(report: RankingReport, interval: Interval) -> str:
    decimals = next(metric.decimals for metric in report.metrics if metric.id == report.ranking.metric)
    return f"{interval.value:.{decimals}f} ±{(interval.high - interval.low) / 2:.{decimals}f}"


def _values_width(report: RankingReport) -> int:
    return max((len(_value(report, row.scores[report.ranking.metric])) for row in report.ranking.rows), default=0)


def _names_width(report: RankingReport, width: int) -> int:
    longest = max((plain(row.strategy).cell_length for row in report.ranking.rows), default=0)
    room = _room(report, width)
    beside_a_plot = min(longest, WIDEST_NAME, room - LEAST_PLOT)
    return beside_a_plot if beside_a_plot >= min(longest, LEAST_NAME) else max(6, min(longest, room))


def _room(report: RankingReport, width: int) -> int:
    """Cells of a line for the name and the plot."""
    return width - _values_width(report) - len("1-10 ") - 3
