"""How the scores of a run settle, from its scores in the catalogue."""

from __future__ import annotations

import sqlite3

from core.domain import Run
from core.errors import SapError
from core.export.convergence import ConvergenceReport
from core.metrics.base import Metric
from core.metrics.registry import all_metrics
from core.rank.arrays import computable_metrics, metric_of, run_arrays, why_missing
from core.rank.looks import dropped_early, stored_looks
from core.stats.convergence import convergence
from core.stats.ranking import available_metrics
from core.store.runs import last_run, run_by_id


def run_convergence(reader: sqlite3.Connection, number: int | None = None, by: str | None = None) -> ConvergenceReport:
    """Of a run (the last one without a number) by a metric (without one, by the run's first that has scores).

    The questions come in the order in which the run scores them. Raises UsageError for a metric that does not exist
    and SapError for one that the run cannot give, or when nothing is scored yet.
    """
    run = last_run(reader) if number is None else run_by_id(reader, number)
    metrics = _wanted(reader, run, by)
    arrays = run_arrays(reader, run, metrics)
    if not arrays.questions:
        raise SapError(f"Run {run.id} has no scores yet ({run.shown}).", run.why or "See it: sap-tui runs")
    chosen = next(iter(available_metrics(arrays, metrics)), metrics[0])
    dropped = dropped_early(run, stored_looks(reader, run)) if run.request.until_decided else {}
    return ConvergenceReport(run, convergence(arrays, chosen, incomplete=dropped), computable_metrics(reader, run))


def _wanted(reader: sqlite3.Connection, run: Run, by: str | None) -> list[Metric]:
    """The metric of that name, or the run's own. SapError where the run cannot give it."""
    if by is None:
        known = all_metrics()
        own = [known[name] for name in run.request.metrics if name in known]
        return own or list(computable_metrics(reader, run))
    metric = metric_of(reader, run, by)
    problem = why_missing(reader, run, metric)
    if problem:
        raise problem
    return [metric]
