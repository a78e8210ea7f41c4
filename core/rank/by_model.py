"""The rankings of a task side by side: the newest finished run under every target model."""

from __future__ import annotations

import sqlite3

from core.domain import Run, RunState
from core.errors import SapError
from core.export.by_model import ModelRankings
from core.export.report import RankingReport
from core.rank.report import ranking_report
from core.store.catalogue import task_by_name
from core.store.runs import runs


def rankings_by_model(reader: sqlite3.Connection, task: str, by: str | None = None) -> ModelRankings:
    """A ranking for every model and precision that finished a run of the task, all by one metric.

    Without `by` it is the metric by which the newest run is ranked. Raises NotFoundError for a task that is not there,
    and SapError where there is nothing to rank.
    """
    name = task_by_name(reader, task).name
    newest = _newest_of_each_spec([run for run in runs(reader) if run.task == name and run.state is RunState.DONE])
    if not newest:
        raise SapError(f"No run of the task '{name}' has finished yet.", "See them: sap-tui runs")
    reports: list[RankingReport] = []
    missing: dict[int, SapError] = {}
    for run in newest:
        try:
            reports.append(ranking_report(reader, run.id, by or (reports[0].ranking.metric if reports else None)))
        except SapError as error:
            missing[run.id] = error
    if not reports:
        raise next(iter(missing.values()))
    return ModelRankings(name, tuple(reports), {run: str(error) for run, error in missing.items()})


def _newest_of_each_spec(newest_first: list[Run]) -> list[Run]:
    found: dict[int, Run] = {}
    for run in newest_first:
        found.setdefault(run.spec, run)
    return list(found.values())
