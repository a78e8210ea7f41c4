"""A ranking as plain rows: what the JSON and CSV contracts are written from."""

from __future__ import annotations

from typing import Any

from core.domain import Interval, RankRow
from core.export.report import RankingReport
from core.metrics.base import Metric

LEADING_COLUMNS = ("rank", "rank_low", "rank_high", "strategy", "n", "p_best")
# Not "accuracy", which in files of outcomes is what fine-tuning gave.
CONTROL_COLUMNS = ("mean_tokens", "share_right", "same_family")


def ranking_object(report: RankingReport) -> dict[str, Any]:
    """The ranking as JSON types, values unrounded."""
    ranking = report.ranking
    return {
        "run": report.run,
        "task": report.task,
        "model": {
            "name": report.model,
            "digest": report.model_digest,
            "dtype": report.dtype,
            "quantization": report.quantization,
        },
        "questions": ranking.questions,
        "metric": ranking.metric,
        "verdict": ranking.verdict,
        "strategies": [_strategy_object(row) for row in ranking.rows],
        "more_questions": ranking.more_questions,
        "warnings": list(ranking.warnings),
        "left_out": ranking.left_out,
        "failed": ranking.failed,
        "partial": report.partial or None,
        "notes": list(report.notes),
        "metrics": [_metric_object(metric) for metric in report.metrics],
    }


def _metric_object(metric: Metric) -> dict[str, Any]:
    return {
        "id": metric.id,
        "label": metric.label,
        "direction": metric.direction,
        "decimals": metric.decimals,
        "description": metric.description,
        "source": metric.source,
    }


def _strategy_object(row: RankRow) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "rank_low": row.rank_low,
        "rank_high": row.rank_high,
        "strategy": row.strategy,
        "n": row.n,
        "p_best": row.p_best,
        "scores": {metric: _interval_object(interval) for metric, interval in row.scores.items()},
        "p_value": row.p_value,
        "separable": row.separable,
        "difference": None if row.difference is None else _interval_object(row.difference),
        "mean_tokens": row.mean_tokens,
        "share_right": row.accuracy,
        "same_family": row.same_family,
    }


def _interval_object(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def table_columns(report: RankingReport) -> list[str]:
    """Column names: six of the rank, then three of every metric shown, then the controls."""
    ids = [metric.id for metric in report.metrics]
    scores = (column for name in ids for column in (name, f"{name}_low", f"{name}_high"))
    return [*LEADING_COLUMNS, *scores, *CONTROL_COLUMNS]


def table_row(row: RankRow, report: RankingReport) -> list[str | int | float | None]:
    """The cells under `table_columns`; None where the strategy has no score of a metric or a control is not known."""
    cells: list[str | int | float | None] = [row.rank, row.rank_low, row.rank_high, row.strategy, row.n, row.p_best]
    for metric in report.metrics:
        interval = row.scores.get(metric.id)
        cells += [None] * 3 if interval is None else [interval.value, interval.low, interval.high]
    same_family = None if row.same_family is None else str(row.same_family).lower()
    return [*cells, row.mean_tokens, row.accuracy, same_family]
