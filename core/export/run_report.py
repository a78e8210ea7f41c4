"""The report of a run: everything behind its ranking, as one document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.domain import Event, RankRow, Run, ScoreSpec
from core.export.agreement import LEGEND, agreement_matrix, agreement_sentences, leader_rows, pair_rows
from core.export.document import Block, Document, Grid, Items, Paragraph, Section
from core.export.formats import verdict_sentence
from core.export.interval_plot import Bar, IntervalPlot
from core.export.report import RankingReport
from core.export.run_provenance import model_section, repeat_section, run_section, scored_section
from core.export.run_words import methods_section, uncertainty_section
from core.metrics.base import Metric
from core.stats.agreement import Agreement


@dataclass(frozen=True, slots=True)
class StrategyFacts:
    """Where a strategy's responses come from, and how many of its samples have a score; digests are hexadecimal.

    A sample is one response behind one context. `failed` maps error codes to counts, `out` says why a strategy dropped
    out of the run.
    """

    name: str
    teacher: str
    prompt_digest: str
    source: str
    source_digest: str
    responses: int
    scored: int
    failed: dict[str, int]
    out: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run with its ranking and everything that it depends on.

    `engines` maps what computed the scores to how many samples. `program` is the version that writes the report,
    `written_at` is in seconds since 1970.
    """

    run: Run
    ranking: RankingReport
    agreement: Agreement
    spec: ScoreSpec
    strategies: tuple[StrategyFacts, ...]
    task_questions: int
    predictions: str
    engines: dict[str, int]
    events: tuple[Event, ...]
    program: str
    written_at: float


def run_document(report: RunReport) -> Document:
    """The report as titled blocks; texts as they are, the document's writers make them harmless."""
    ranking = report.ranking
    sections = (
        _verdict_section(ranking),
        _ranking_section(ranking),
        *_metrics_section(ranking),
        _controls_section(ranking),
        _agreement_section(report.agreement),
        methods_section(_described(report)),
        uncertainty_section(report.run.request),
        scored_section(report),
        model_section(report),
        run_section(report),
        repeat_section(report),
    )
    return Document(f"{ranking.task} under {ranking.model}: ranking of run {ranking.run}", sections)


def _described(report: RunReport) -> tuple[Metric, ...]:
    """The ranking's metrics, then those that only the agreement has."""
    by_id = {metric.id: metric for metric in (*report.ranking.metrics, *report.agreement.metrics)}
    return tuple(by_id.values())


def _verdict_section(report: RankingReport) -> Section:
    ranking = report.ranking
    metric = _metric(report)
    blocks: list[Block] = [
        Paragraph(verdict_sentence(report), is_strong=True),
        Paragraph(
            f"{len(ranking.rows)} strategies on {ranking.questions} common questions, ranked by {metric.id} "
            f"({metric.label}; {metric.direction} is better)."
        ),
    ]
    warnings = ([f"Partial: {report.partial}."] if report.partial else []) + list(ranking.warnings)
    left_out = [f"{name} has no rank: {reason}." for name, reason in ranking.left_out.items()]
    if warnings or left_out:
        blocks.append(Items((*warnings, *left_out), are_warnings=True))
    if report.notes:
        blocks.append(Items(report.notes))
    return Section("Verdict", tuple(blocks))


def _ranking_section(report: RankingReport) -> Section:
    metric = _metric(report)
    header = ("rank", "strategy", metric.id, "95% interval", "beside the leader", "adjusted p", "P(best)", "questions")
    rows = tuple(
        (
            _place(row),
            row.strategy,
            *_value_and_ends(row, metric),
            _difference(row, metric),
            _p_value(row.p_value),
            f"{row.p_best:.2f}",
            f"{row.n}",
        )
        for row in report.ranking.rows
    )
    return Section(
        "Ranking",
        (
            Grid(header, rows, frozenset({0, 2, 3, 4, 5, 6, 7})),
            IntervalPlot(
                f"{metric.label}, {metric.direction} is better, with 95% intervals. In colour: the leader and what is "
                "not separable from it.",
                tuple(_bar(row, metric) for row in report.ranking.rows),
            ),
        ),
    )


def _bar(row: RankRow, metric: Metric) -> Bar:
    interval = row.scores[metric.id]
    is_settled = row.rank > 1 and row.separable
    return Bar(row.strategy, interval.low, interval.value, interval.high, is_settled, score_words(row, metric))


def _metrics_section(report: RankingReport) -> Iterator[Section]:
    rows = report.ranking.rows
    metrics = [metric for metric in report.metrics if any(metric.id in row.scores for row in rows)]
    if len(metrics) < 2:
        return
    header = ("strategy", *(f"{metric.id} ({metric.direction})" for metric in metrics))
    cells = tuple((row.strategy, *(score_words(row, metric) for metric in metrics)) for row in rows)
    text = "Scores with 95% intervals; behind each metric whether lower or higher is better."
    yield Section("Every metric", (Paragraph(text), Grid(header, cells, frozenset(range(1, len(header))))))


def _controls_section(report: RankingReport) -> Section:
    header = ("strategy", "mean response tokens", "accuracy of the responses", "teacher and target of one family")
    rows = tuple(
        (
            row.strategy,
            "-" if row.mean_tokens is None else f"{row.mean_tokens:.1f}",
            "-" if row.accuracy is None else f"{row.accuracy:.1%}",
            "-" if row.same_family is None else ("yes" if row.same_family else "no"),
        )
        for row in report.ranking.rows
    )
    text = (
        "What may explain a score besides the strategy. A dash stands where it is unknown: no gold answer to check "
        "against, or no known teacher."
    )
    return Section("Controls", (Paragraph(text), Grid(header, rows, frozenset({1, 2}))))


def _agreement_section(agreement: Agreement) -> Section:
    blocks: list[Block] = [Items(tuple(agreement_sentences(agreement)) or ("There is one metric only.",))]
    if agreement.leaders:
        header = ("metric", "questions", "", "leader")
        blocks.append(Grid(header, tuple(leader_rows(agreement)), frozenset({1})))
    if agreement.pairs:
        ids = tuple(metric.id for metric in agreement.metrics)
        matrix = tuple((name, *cells) for name, cells in zip(ids, agreement_matrix(agreement), strict=True))
        blocks += [
            Paragraph(LEGEND),
            Grid(("", *ids), matrix, frozenset(range(1, len(ids) + 1))),
            Grid(
                ("metrics", "rho with 95% interval", "tau-b with 95% interval", "strategies", "questions"),
                tuple(pair_rows(agreement)),
                frozenset({3, 4}),
            ),
        ]
    return Section("Agreement of metrics", tuple(blocks))


def score_words(row: RankRow, metric: Metric) -> str:
    """The strategy's score with its interval, rounded; a dash where it has none."""
    if metric.id not in row.scores:
        return "-"
    return " ".join(_value_and_ends(row, metric))


def _value_and_ends(row: RankRow, metric: Metric) -> tuple[str, str]:
    interval, decimals = row.scores[metric.id], metric.decimals
    return f"{interval.value:.{decimals}f}", f"[{interval.low:.{decimals}f}, {interval.high:.{decimals}f}]"


def _difference(row: RankRow, metric: Metric) -> str:
    if row.difference is None:
        return ""
    value, low, high = (
        f"{each:+.{metric.decimals}f}" for each in (row.difference.value, row.difference.low, row.difference.high)
    )
    return f"{value} [{low}, {high}]"


def _place(row: RankRow) -> str:
    return (
        f"{row.rank}" if row.rank_low == row.rank_high == row.rank else f"{row.rank} ({row.rank_low}-{row.rank_high})"
    )


def _p_value(value: float | None) -> str:
    return "" if value is None else "below 0.001" if value < 0.001 else f"{value:.3f}"


def _metric(report: RankingReport) -> Metric:
    return next(metric for metric in report.metrics if metric.id == report.ranking.metric)
