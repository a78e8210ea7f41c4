"""How the scores of a run settle: as rows of a table, as sentences, and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.domain import Interval, Run, RunState
from core.export.csv_text import csv_text
from core.export.formats import some_names
from core.metrics.base import Metric
from core.stats.convergence import Convergence

LEGEND = "Scores over the first so many questions, ± half the width of their 95% intervals."


@dataclass(frozen=True, slots=True)
class ConvergenceReport:
    """The convergence of a run by one of the `metrics` that it can give."""

    run: Run
    convergence: Convergence
    metrics: tuple[Metric, ...]


def shown_places(sizes: int, columns: int) -> list[int]:
    """Places of at most so many of the sizes, evenly spread, the first and the last among them."""
    if sizes <= columns:
        return list(range(sizes))
    return [round(column * (sizes - 1) / (columns - 1)) for column in range(columns)]


def convergence_rows(convergence: Convergence, places: list[int]) -> list[tuple[str, ...]]:
    """A row for every strategy: its name as it is, then a cell for every place; empty where it has dropped out."""
    return [
        (name, *(_cell(convergence.metric, series[place]) if place < len(series) else "" for place in places))
        for name, series in convergence.series.items()
    ]


def _cell(metric: Metric, interval: Interval) -> str:
    half = (interval.high - interval.low) / 2
    return f"{interval.value:.{metric.decimals}f} ±{half:.{metric.decimals}f}"


def convergence_sentences(report: ConvergenceReport) -> list[str]:
    """What the series say, in words; names as they are."""
    found, sentences = report.convergence, []
    questions = f"{found.questions[-1]:,}"
    if report.run.state is not RunState.DONE:
        sentences.append(f"Run {report.run.id} is {report.run.shown}: {questions} questions so far.")
    ranked = len(found.series.keys() - found.left_out.keys())
    if ranked > 1:
        leads = f"{some_names(found.leaders)} {'leads' if len(found.leaders) == 1 else 'share the lead'}"
        sentences += [
            f"{leads} by {found.metric.id} over all {questions} questions, {_since(found.leaders_since, found)}.",
            f"The {ranked} strategies have stood in this order {_since(found.order_since, found)}.",
        ]
    return sentences + [f"{name}: {reason}." for name, reason in found.left_out.items()]


def _since(size: int, found: Convergence) -> str:
    if size == found.questions[0]:
        return f"from the first {size:,} on"
    return "only at the last step" if size == found.questions[-1] else f"since the first {size:,}"


def convergence_csv(report: ConvergenceReport) -> str:
    """The contract of `converge --format csv`: one row for every strategy and number of questions."""
    found = report.convergence
    return csv_text(("strategy", "questions", "score", "low", "high"), [
        (name, questions, each.value, each.low, each.high)
        for name, series in found.series.items()
        for questions, each in zip(found.questions, series, strict=False)
    ])  # fmt: skip


def convergence_object(report: ConvergenceReport) -> dict[str, Any]:
    """The convergence as JSON types, values unrounded, names as they are; `metrics` are those that the run can give."""
    found, run = report.convergence, report.run
    return {
        "run": run.id,
        "task": run.task,
        "model": run.model,
        "state": run.shown,
        "metric": {
            "id": found.metric.id,
            "label": found.metric.label,
            "direction": found.metric.direction,
            "decimals": found.metric.decimals,
        },
        "questions": list(found.questions),
        "strategies": [
            {
                "strategy": name,
                "values": [each.value for each in series],
                "low": [each.low for each in series],
                "high": [each.high for each in series],
            }
            for name, series in found.series.items()
        ],
        "left_out": found.left_out,
        "leaders": list(found.leaders),
        "leaders_since": found.leaders_since,
        "order_since": found.order_since,
        "sentences": convergence_sentences(report),
        "metrics": [metric.id for metric in report.metrics],
    }
