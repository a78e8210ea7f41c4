"""sap-tui rank: the ranking of a run as a table or a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.domain import RankRow
    from core.export.report import RankingReport

DESCRIPTION = """\
The strategies of a run, best first, with 95% intervals (paired bootstrap over questions) and a verdict.
Without RUN: the last run."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("rank", help="the ranking of a run", description=DESCRIPTION)
    parser.add_argument("number", nargs="?", type=int, metavar="RUN", help="the run's number")
    parser.add_argument("--by", metavar="METRIC", help="the metric to rank by; default: the run's first")
    parser.add_argument(
        "--format", choices=("table", "json", "csv", "markdown", "latex"), default="table", help="default: table"
    )
    parser.add_argument("--output", metavar="FILE", help="write to a file instead of stdout")
    parser.set_defaults(run=rank)


def rank(arguments: argparse.Namespace) -> int:
    from core.export.files import write_atomically
    from core.rank import ranking_report
    from core.store.db import open_reader, prepare
    from core.text import visible

    prepare(arguments.catalogue)
    report = ranking_report(open_reader(arguments.catalogue), arguments.number, arguments.by)
    text = _formatted(report, arguments.format)
    if arguments.output:
        write_atomically(Path(arguments.output), text)
        print(f"Written: {visible(arguments.output)}", file=sys.stderr)
    else:
        sys.stdout.write(text)
    return 0


def _formatted(report: RankingReport, name: str) -> str:
    from core.export import formats

    writers = {
        "table": ranking_table,
        "json": formats.ranking_json,
        "csv": formats.ranking_csv,
        "markdown": formats.ranking_markdown,
        "latex": formats.ranking_latex,
    }
    return writers[name](report)


def ranking_table(report: RankingReport) -> str:
    """The ranking for people: interval plot on one scale, verdict in words, warnings."""
    from core.export.formats import verdict_sentence
    from core.text import visible
    from sap_tui.commands.tables import aligned
    from sap_tui.widgets.interval_plot import Scale

    ranking = report.ranking
    intervals = [row.scores[ranking.metric] for row in ranking.rows]
    scale = Scale.of([(each.low, each.high) for each in intervals], width=26)
    header = ("rank", "", "strategy", ranking.metric, "95% interval", scale.axis(), *_other_titles(report), "n")
    rows = [
        (
            _place(row),
            " " if row.separable else "=",
            visible(row.strategy),
            _number(report, ranking.metric, row),
            "[{}, {}]".format(*_ends(report, row)),
            scale.bar(interval.low, interval.value, interval.high),
            *(_number(report, other.id, row) for other in _others(report)),
            f"{row.n}",
        )
        for row, interval in zip(ranking.rows, intervals, strict=True)
    ]
    right = (0, 3, *range(6, 6 + len(_others(report)) + 1))
    notes = [f"! {visible(note)}" for note in _notes(report)]
    table = aligned(header, rows, right)
    return (
        "\n".join([_title(report), *table, *_legend(report, table), visible(verdict_sentence(report)), *notes]) + "\n"
    )


def _legend(report: RankingReport, table: list[str]) -> list[str]:
    """What the signs in the table mean, for those that occur."""
    signs = []
    if any(not row.separable for row in report.ranking.rows):
        signs.append("= not separable from the leader")
    if any("▸" in line or "◂" in line for line in table):
        signs.append("▸ far beyond the scale")
    return ["   ".join(signs)] if signs else []


def _title(report: RankingReport) -> str:
    from core.text import visible

    precision = report.dtype if report.quantization == "none" else f"{report.quantization} {report.dtype}"
    what = f"{visible(report.task)} under {visible(report.model)} ({precision})"
    return f"Run {report.run}: {what}, {report.ranking.questions} questions, by {report.ranking.metric}"


def _place(row: RankRow) -> str:
    return f"{row.rank}" if row.rank_low == row.rank_high else f"{row.rank} ({row.rank_low}-{row.rank_high})"


def _others(report: RankingReport) -> list[Any]:
    return [metric for metric in report.metrics if metric.id != report.ranking.metric]


def _other_titles(report: RankingReport) -> list[str]:
    return [metric.id for metric in _others(report)]


def _decimals(report: RankingReport, metric_id: str) -> int:
    return next(metric.decimals for metric in report.metrics if metric.id == metric_id)


def _number(report: RankingReport, metric_id: str, row: RankRow) -> str:
    interval = row.scores.get(metric_id)
    return "-" if interval is None else f"{interval.value:.{_decimals(report, metric_id)}f}"


def _ends(report: RankingReport, row: RankRow) -> tuple[str, str]:
    interval, decimals = row.scores[report.ranking.metric], _decimals(report, report.ranking.metric)
    return f"{interval.low:.{decimals}f}", f"{interval.high:.{decimals}f}"


def _notes(report: RankingReport) -> list[str]:
    partial = [f"Partial: {report.partial}."] if report.partial else []
    left_out = [f"{name} has no rank: {reason}." for name, reason in report.ranking.left_out.items()]
    return [*partial, *left_out, *report.ranking.warnings]
