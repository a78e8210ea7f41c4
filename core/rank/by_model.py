"""The rankings of a task side by side: one finished run under every target model."""

from __future__ import annotations

import sqlite3

from core.domain import Run, RunState
from core.errors import SapError
from core.export.by_model import ModelRankings
from core.export.report import RankingReport
from core.rank.report import ranking_report
from core.store.catalogue import strategies, task_by_name
from core.store.run_details import earlier_responses
from core.store.runs import fullest_run, run_by_id, runs


def rankings_by_model(reader: sqlite3.Connection, task: str, by: str | None = None) -> ModelRankings:
    """A ranking for every model and precision that finished a run of the task, all by one metric.

    Each is of the run that scored the most strategies, of equals the newest. Without `by` it is the metric by which the
    first of them is ranked. Raises NotFoundError for a task that is not there, and SapError where there is nothing to
    rank.
    """
    name = task_by_name(reader, task).name
    finished = [run for run in runs(reader) if run.task == name and run.state is RunState.DONE]
    if not finished:
        raise SapError(f"No run of the task '{name}' has finished yet.", "See them: sap-tui runs")
    reports: list[RankingReport] = []
    missing: dict[int, SapError] = {}
    for run in _fullest_of_each_spec(finished, {strategy.name for strategy in strategies(reader, name)}):
        try:
            reports.append(ranking_report(reader, run.id, by or (reports[0].ranking.metric if reports else None)))
        except SapError as error:
            missing[run.id] = error
    if not reports:
        raise next(iter(missing.values()))
    notes = [note for report in reports for note in earlier_responses(reader, run_by_id(reader, report.run))]
    return ModelRankings(name, tuple(reports), {run: str(error) for run, error in missing.items()}, tuple(notes))


def _fullest_of_each_spec(newest_first: list[Run], names: set[str]) -> list[Run]:
    specs = dict.fromkeys(run.spec for run in newest_first)
    found = (fullest_run([run for run in newest_first if run.spec == spec], names) for spec in specs)
    return [run for run in found if run is not None]
