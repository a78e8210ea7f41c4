"""A ranking for people, as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.domain import RankRow
    from core.export.report import RankingReport
    from core.metrics.base import Metric

WIDTH = 80
PLOT_WIDTH = 26


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    cells: list[str]
    is_right: bool = True


def ranking_table(report: RankingReport, width: int = WIDTH) -> str:
    """The ranking with an interval plot on one scale, the other metrics and the controls, verdict, warnings, notes.

    What does not fit into `width` cells beside the plot stands in tables of its own below.
    """
    from core.export.formats import verdict_sentence
    from core.text import visible

    blocks = _blocks(_leading(report), _others(report), width)
    lines = [line for block in blocks for line in [*block, ""]][:-1]
    warnings = [f"! {visible(note)}" for note in _warnings(report)]
    notes = [f"· {visible(note)}" for note in report.notes]
    verdict = visible(verdict_sentence(report))
    return "\n".join([_title(report), *lines, *_legend(report, lines), verdict, *warnings, *notes]) + "\n"


def _blocks(leading: Sequence[_Column], others: Sequence[_Column], width: int) -> Iterator[list[str]]:
    from rich.cells import cell_len

    def fits(lines: list[str]) -> bool:
        return all(cell_len(line) <= width for line in lines)

    whole = _lines([*leading, *others])
    if fits(whole):
        yield whole
        return
    yield _lines(leading)
    names = next(column for column in leading if column.title == "strategy")
    some: list[_Column] = []
    for column in others:
        if some and not fits(_lines([names, *some, column])):
            yield _lines([names, *some])
            some = []
        some.append(column)
    yield _lines([names, *some])


def _lines(columns: Sequence[_Column]) -> list[str]:
    from sap_tui.commands.tables import aligned

    rows = list(zip(*(column.cells for column in columns), strict=True))
    right = [place for place, column in enumerate(columns) if column.is_right]
    return aligned([column.title for column in columns], rows, right)


def _leading(report: RankingReport) -> list[_Column]:
    from core.text import visible
    from sap_tui.widgets.interval_plot import Scale

    ranking = report.ranking
    metric = next(metric for metric in report.metrics if metric.id == ranking.metric)
    intervals = [row.scores[ranking.metric] for row in ranking.rows]
    scale = Scale.of([(each.low, each.high) for each in intervals], PLOT_WIDTH)
    ends = [f"[{each.low:.{metric.decimals}f}, {each.high:.{metric.decimals}f}]" for each in intervals]
    return [
        _Column("rank", [_place(row) for row in ranking.rows]),
        _Column("", [" " if row.separable else "=" for row in ranking.rows], is_right=False),
        _Column("strategy", [visible(row.strategy) for row in ranking.rows], is_right=False),
        _scores(report, metric),
        _Column("95% interval", ends, is_right=False),
        _Column(scale.axis(), [scale.bar(each.low, each.value, each.high) for each in intervals], is_right=False),
    ]


def _others(report: RankingReport) -> list[_Column]:
    """The other metrics that have a score, and the controls that are known."""
    rows = report.ranking.rows
    metrics = [metric for metric in report.metrics if metric.id != report.ranking.metric]
    columns = [_scores(report, metric) for metric in metrics if any(metric.id in row.scores for row in rows)]
    if any(row.mean_tokens is not None for row in rows):
        columns.append(
            _Column("tokens", ["-" if row.mean_tokens is None else f"{row.mean_tokens:.0f}" for row in rows])
        )
    if any(row.accuracy is not None for row in rows):
        columns.append(_Column("right", ["-" if row.accuracy is None else f"{row.accuracy:.0%}" for row in rows]))
    return [*columns, _Column("n", [f"{row.n}" for row in rows])]


def _scores(report: RankingReport, metric: Metric) -> _Column:
    scores = [row.scores.get(metric.id) for row in report.ranking.rows]
    return _Column(metric.id, ["-" if each is None else f"{each.value:.{metric.decimals}f}" for each in scores])


def _place(row: RankRow) -> str:
    return f"{row.rank}" if row.rank_low == row.rank_high else f"{row.rank} ({row.rank_low}-{row.rank_high})"


def _title(report: RankingReport) -> str:
    from core.text import visible

    precision = report.dtype if report.quantization == "none" else f"{report.quantization} {report.dtype}"
    what = f"{visible(report.task)} under {visible(report.model)} ({precision})"
    return f"Run {report.run}: {what}, {report.ranking.questions} questions, by {report.ranking.metric}"


def _legend(report: RankingReport, table: Sequence[str]) -> list[str]:
    """What the signs in the table mean, for those that occur."""
    signs = []
    if any(not row.separable for row in report.ranking.rows):
        signs.append("= not separable from the leader")
    if any("▸" in line or "◂" in line for line in table):
        signs.append("▸ far beyond the scale")
    return ["   ".join(signs)] if signs else []


def _warnings(report: RankingReport) -> list[str]:
    partial = [f"Partial: {report.partial}."] if report.partial else []
    left_out = [f"{name} has no rank: {reason}." for name, reason in report.ranking.left_out.items()]
    return [*partial, *left_out, *report.ranking.warnings]
