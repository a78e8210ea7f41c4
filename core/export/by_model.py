"""Rankings of one task under several target models: as JSON, CSV and sentences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from core.domain import RankRow
from core.export.csv_text import csv_text
from core.export.formats import some_names
from core.export.ranking_rows import ranking_object
from core.export.report import RankingReport
from core.metrics.base import Metric

COLUMNS = ("run", "model", "dtype", "quantization", "metric", "rank", "rank_low", "rank_high", "strategy", "n", "score",
           "low", "high", "p_best")  # fmt: skip
SCALES = "Ranks can be set side by side, scores of different models cannot."


@dataclass(frozen=True, slots=True)
class ModelRankings:
    """A ranking per target model, all by one metric; `missing` maps runs that have none to why, `notes` tell of those
    that have one."""

    task: str
    reports: tuple[RankingReport, ...]
    missing: dict[int, str]
    notes: tuple[str, ...] = ()

    @property
    def metric(self) -> Metric:
        by = self.reports[0].ranking.metric
        return next(metric for metric in self.reports[0].metrics if metric.id == by)

    @property
    def strategies(self) -> list[str]:
        """Every ranked strategy, in the order of the first ranking that has it."""
        return list(dict.fromkeys(row.strategy for report in self.reports for row in report.ranking.rows))


def by_model_json(found: ModelRankings) -> str:
    """The contract of `rank --by-model --format json`; names as they are."""
    metric = found.metric
    data: dict[str, Any] = {
        "task": found.task,
        "metric": {"id": metric.id, "direction": metric.direction, "decimals": metric.decimals},
        "strategies": found.strategies,
        "rankings": [ranking_object(report) for report in found.reports],
        "missing": {str(run): why for run, why in found.missing.items()},
        "sentences": by_model_sentences(found),
    }
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def by_model_csv(found: ModelRankings) -> str:
    """One row for every model and strategy, values unrounded; names shown by `visible`, guarded."""
    return csv_text(COLUMNS, [_cells(report, row) for report in found.reports for row in report.ranking.rows])


def _cells(report: RankingReport, row: RankRow) -> tuple[object, ...]:
    score = row.scores[report.ranking.metric]
    model = (report.run, report.model, report.dtype, report.quantization, report.ranking.metric)
    places = (row.rank, row.rank_low, row.rank_high, row.strategy, row.n)
    return *model, *places, score.value, score.low, score.high, row.p_best


def model_name(report: RankingReport) -> str:
    """The model with its precision, which is a target model of its own."""
    return f"{report.model} {report.dtype if report.quantization == 'none' else report.quantization}"


def by_model_sentences(found: ModelRankings) -> list[str]:
    """Whether the models put the same strategy first, and what is missing; names as they are."""
    leaders: dict[str, list[str]] = {}
    for report in found.reports:
        first = [row.strategy for row in report.ranking.rows if row.rank == 1]
        leaders.setdefault(first[0] if len(first) == 1 else "no single strategy", []).append(model_name(report))
    sentences = []
    if len(found.reports) == 1:
        sentences.append(f"Only one target model has ranked them yet: {model_name(found.reports[0])}.")
    elif len(leaders) == 1:
        sentences.append(f"All {len(found.reports)} target models put {next(iter(leaders))} first.")
    else:
        named = "; ".join(f"{leader} under {some_names(models)}" for leader, models in leaders.items())
        sentences.append(f"The target models name different leaders: {named}.")
    if len(found.reports) > 1:
        sentences.append(SCALES)
    sentences += found.notes
    return sentences + [f"Run {run} is left out: {why}" for run, why in found.missing.items()]
