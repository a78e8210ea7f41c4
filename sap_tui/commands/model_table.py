"""Rankings under several target models for people, as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.domain import RankRow
    from core.export.by_model import ModelRankings
    from core.export.report import RankingReport

WIDTH = 80


def model_table(found: ModelRankings) -> str:
    """A row for every strategy with its place and score under each model, then the models and what it means."""
    from textwrap import wrap

    from core.export.by_model import by_model_sentences, model_name
    from core.export.formats import verdict_sentence
    from core.text import visible
    from sap_tui.commands.tables import aligned

    metric = found.metric
    header = ("strategy", *(part for report in found.reports for part in ("rank", f"run {report.run}")))
    rows = [
        (visible(name), *(part for report in found.reports for part in _cells(report, name)))
        for name in found.strategies
    ]
    lines = [f"{visible(found.task)} by {metric.id} ({metric.direction} is better), the newest run of every model", ""]
    lines += [*aligned(header, rows, range(1, len(header))), ""]
    runs = [
        (f"run {report.run}", visible(model_name(report)), visible(verdict_sentence(report)))
        for report in found.reports
    ]
    for number, name, verdict in runs:
        lines += wrap(f"{number}: {name}. {verdict}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    for sentence in by_model_sentences(found):
        lines += wrap(visible(sentence), WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def _cells(report: RankingReport, strategy: str) -> tuple[str, str]:
    row = next((row for row in report.ranking.rows if row.strategy == strategy), None)
    by = next(metric for metric in report.metrics if metric.id == report.ranking.metric)
    return ("-", "-") if row is None else (place(row), f"{row.scores[by.id].value:.{by.decimals}f}")


def place(row: RankRow) -> str:
    return f"{row.rank}" if row.rank_low == row.rank_high else f"{row.rank_low}-{row.rank_high}"
