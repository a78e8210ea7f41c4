"""The ranking of a run, from its scores in the catalogue."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from core.domain import Run, RunState
from core.errors import SapError
from core.export.report import RankingReport
from core.metrics.registry import metric
from core.stats.ranking import available_metrics, rank_strategies
from core.store.runs import last_run, run_by_id
from core.store.scores import redone_notes, sample_errors, score_arrays


def ranking_report(reader: sqlite3.Connection, number: int | None = None, by: str | None = None) -> RankingReport:
    """Rank a run (the last one without a number) by a metric (without one, the run's first that has scores).

    Raises SapError when there is nothing to rank yet.
    """
    run = last_run(reader) if number is None else run_by_id(reader, number)
    arrays = score_arrays(reader, run.id)
    if not arrays.questions:
        raise SapError(f"Run {run.id} has no scores to rank yet ({run.shown}).", run.why or "See it: sap-tui runs")
    metrics = tuple(metric(name) for name in run.request.metrics)
    chosen = by or next(iter(available_metrics(arrays, metrics)), metrics[0]).id
    ranking = rank_strategies(arrays, metrics, chosen)
    return RankingReport(
        run=run.id,
        task=run.task,
        model=run.model,
        model_digest=run.weights_digest,
        dtype=run.request.dtype,
        quantization=run.request.quantization,
        metrics=metrics,
        ranking=replace(ranking, warnings=(*ranking.warnings, *_reasons(reader, run), *redone_notes(reader, run.id))),
        partial=_partial(run, len(arrays.questions)),
    )


def _partial(run: Run, finished: int) -> str:
    if run.state is RunState.DONE:
        return ""
    return f"run {run.id} is {run.shown}, {finished} of {run.questions} questions scored"


def _reasons(reader: sqlite3.Connection, run: Run) -> list[str]:
    """Why samples of the run have no score, one line for each strategy, context and reason."""
    return [
        f"{failed:,} of {strategy} without a score ({context.replace('_', '-')} context): {code.replace('_', ' ')}."
        for strategy, context, code, failed in sample_errors(reader, run.id)
    ]
