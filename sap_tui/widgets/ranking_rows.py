"""A ranking as rows of the table: scores, intervals drawn on one scale, and the details of one strategy."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content

from core.domain import Interval, RankRow
from core.export.report import RankingReport
from core.metrics.base import Metric
from sap_tui.text import MUTED, plain
from sap_tui.widgets.detail_pane import fields
from sap_tui.widgets.interval_plot import Scale
from sap_tui.widgets.records import Column, Record

PLACE_WIDTH = 5
LEAST_PLOT_WIDTH = 24


def ranking_columns(report: RankingReport | None, plot_width: int = 0) -> tuple[Column, ...]:
    """The columns of a report; with the plot's width its title is the axis."""
    if report is None:
        return (Column("strategy", "", 20), Column("plot", "", LEAST_PLOT_WIDTH, stretch=True))
    others = [metric.id for metric in _others(report)]
    titles = ["", report.ranking.metric, "", "95% interval", *others, "P(best)", "tokens", "right", "n"]
    cells = [record.cells for record in ranking_records(report, plot_width)]
    widths = [max(cell_len(title), *(row[place].cell_length for row in cells)) for place, title in enumerate(titles)]
    return (
        Column("strategy", f"{'rank':>{PLACE_WIDTH}}   strategy", max(20, min(40, widths[0])), is_name=True),
        Column("score", report.ranking.metric, widths[1], "right"),
        Column("plot", _scale(report, plot_width).axis() if plot_width else "", LEAST_PLOT_WIDTH, stretch=True),
        Column("interval", "95% interval", widths[3]),
        *(
            Column(metric.id, metric.id, width, "right")
            for metric, width in zip(_others(report), widths[4:], strict=False)
        ),
        Column("best", "P(best)", widths[-4], "right"),
        Column("tokens", "tokens", widths[-3], "right"),
        Column("right", "right", widths[-2], "right"),
        Column("questions", "n", widths[-1], "right"),
    )


def ranking_records(report: RankingReport | None, plot_width: int) -> list[Record]:
    """A row for every strategy, first those with a rank; keys are the strategies' names."""
    if report is None:
        return []
    scale = _scale(report, plot_width)
    return [
        *(_record(report, row, scale) for row in report.ranking.rows),
        *(_unranked(report, name, reason) for name, reason in report.ranking.left_out.items()),
    ]


def score_details(report: RankingReport, row: RankRow) -> Content:
    """Everything that the ranking says about one strategy, in numbers."""
    by = next(metric for metric in report.metrics if metric.id == report.ranking.metric)
    scores = [(metric.id, _with_interval(row.scores.get(metric.id), metric)) for metric in report.metrics]
    return fields(
        [
            ("rank", Content(_place(row))),
            ("P(best)", Content(f"{row.p_best:.2f}")),
            ("questions", Content(f"{row.n:,}")),
            *scores,
            ("tokens", Content(f"{_tokens(row)} a response" if _tokens(row) else "")),
            ("right", Content(f"{_right(row)} of the final answers" if _right(row) else "")),
            ("family", Content("the target model's own" if row.same_family else "")),
            ("vs leader", _with_interval(row.difference, by, "+") if row.difference else Content()),
            ("p value", Content(f"{row.p_value:.4f}, Holm-adjusted" if row.p_value is not None else "")),
        ]
    )


def metric_meanings(report: RankingReport) -> Content:
    """What the run's metrics measure and where they come from."""
    return Content("\n").join(
        Content.assemble(
            (f"{metric.label} ({metric.id})\n", "$primary bold"),
            f"{metric.description} {metric.direction.capitalize()} is better. ",
            (f"{metric.source}\n", MUTED),
        )
        for metric in report.metrics
    )


def _record(report: RankingReport, row: RankRow, scale: Scale) -> Record:
    interval = row.scores[report.ranking.metric]
    by = next(metric for metric in report.metrics if metric.id == report.ranking.metric)
    colour = _colour(report, row)
    others = [row.scores.get(metric.id) for metric in _others(report)]
    return Record(
        row.strategy,
        (
            Content.assemble(f"{_place(row):>{PLACE_WIDTH}} ", _sign(report, row), " ", plain(row.strategy)),
            Content.styled(f"{interval.value:.{by.decimals}f}", f"{colour} bold"),
            _plot(scale, interval, colour),
            Content.styled(f"[{interval.low:.{by.decimals}f}, {interval.high:.{by.decimals}f}]", MUTED),
            *(
                Content(f"{other.value:.{metric.decimals}f}" if other else "–")
                for metric, other in zip(_others(report), others, strict=True)
            ),
            Content(f"{row.p_best:.2f}"),
            *(Content.styled(control, MUTED) for control in (_tokens(row), _right(row), f"{row.n:,}")),
        ),
    )


def _unranked(report: RankingReport, name: str, reason: str) -> Record:
    first = Content.assemble(" " * PLACE_WIDTH, (" ! ", "$warning"), plain(name, MUTED))
    blanks = [Content()] * (len(_others(report)) + 5)
    return Record(name, (first, Content(), plain(reason, "$warning"), *blanks))


def _plot(scale: Scale, interval: Interval, colour: str) -> Content:
    bar = scale.bar(interval.low, interval.value, interval.high)
    point = bar.find("●")
    return Content(bar).stylize(colour).stylize("bold", point, point + 1) if point >= 0 else Content.styled(bar, colour)


def _colour(report: RankingReport, row: RankRow) -> str:
    """Green for a leader that is settled, cyan for a group that is not, blue for those behind."""
    if report.ranking.verdict == "decided" and row.rank == 1:
        return "$success"
    return "$primary" if row.separable else "$accent"


def _sign(report: RankingReport, row: RankRow) -> Content:
    return Content.styled(" " if row.separable or len(report.ranking.rows) == 1 else "=", "$accent")


def _place(row: RankRow) -> str:
    return f"{row.rank}" if row.rank_low == row.rank_high else f"{row.rank_low}-{row.rank_high}"


def _tokens(row: RankRow) -> str:
    return "" if row.mean_tokens is None else f"{row.mean_tokens:,.0f}"


def _right(row: RankRow) -> str:
    return "" if row.accuracy is None else f"{row.accuracy:.0%}"


def _others(report: RankingReport) -> list[Metric]:
    return [metric for metric in report.metrics if metric.id != report.ranking.metric]


def _scale(report: RankingReport, width: int) -> Scale:
    intervals = [row.scores[report.ranking.metric] for row in report.ranking.rows]
    return Scale.of([(each.low, each.high) for each in intervals], max(width, LEAST_PLOT_WIDTH))


def _with_interval(interval: Interval | None, metric: Metric, sign: str = "") -> Content:
    if interval is None:
        return Content.styled("no value", MUTED)
    value, low, high = (
        f"{number:{sign}.{metric.decimals}f}" for number in (interval.value, interval.low, interval.high)
    )
    return Content.assemble(value, (f"  [{low}, {high}]", MUTED))
