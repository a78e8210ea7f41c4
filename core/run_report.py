"""What a report and an agreement of metrics need of a run, gathered from the catalogue."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace

from core.domain import Run, digest
from core.errors import SapError
from core.export.run_report import RunReport, StrategyFacts
from core.metrics.base import Metric
from core.metrics.registry import all_metrics
from core.rank import computable_metrics, dropped_early, ranking_report, run_arrays, stored_looks
from core.rank.arrays import metric_of, why_missing
from core.stats.agreement import Agreement, metric_agreement
from core.store.catalogue import task_by_name, valid_path
from core.store.runs import events, last_run, run_by_id, spec_by_id


def run_agreement(reader: sqlite3.Connection, number: int | None = None, ids: Sequence[str] = ()) -> Agreement:
    """How far metrics of a run (the last one without a number) agree: those named, else all that can be computed.

    Raises SapError where nothing is scored yet, UsageError for a metric that does not exist.
    """
    run = last_run(reader) if number is None else run_by_id(reader, number)
    missing, metrics = _metrics(reader, run, ids)
    arrays = run_arrays(reader, run, metrics)
    if not arrays.questions:
        raise SapError(f"Run {run.id} has no scores to compare yet ({run.shown}).", run.why or "See it: sap-tui runs")
    looks = stored_looks(reader, run) if run.request.until_decided else []
    early = dropped_early(run, looks)
    agreement = metric_agreement(arrays, metrics, incomplete=early, looks={run.request.metrics[0]: looks})
    return replace(agreement, missing={**missing, **agreement.missing})


def _metrics(reader: sqlite3.Connection, run: Run, ids: Sequence[str]) -> tuple[dict[str, str], list[Metric]]:
    """What the metrics that the run cannot give are missing, and the others."""
    wanted = [metric_of(reader, run, name) for name in ids]
    if not wanted:
        known = all_metrics()
        own = (known[name] for name in run.request.metrics if name in known)
        wanted = [*own, *computable_metrics(reader, run)]
    by_id = {each.id: each for each in wanted}
    problems = {name: why_missing(reader, run, each) for name, each in by_id.items()}
    missing = {name: str(problem) for name, problem in problems.items() if problem}
    return missing, [each for name, each in by_id.items() if name not in missing]


def run_report(reader: sqlite3.Connection, number: int | None, by: str | None, program: str) -> RunReport:
    """Everything that the report of a run says. `program` is the version that writes it."""
    ranking = ranking_report(reader, number, by)
    run = run_by_id(reader, ranking.run)
    run = replace(run, request=replace(run.request, valid=valid_path(reader, run.request)))
    return RunReport(
        run=run,
        ranking=ranking,
        agreement=run_agreement(reader, run.id),
        spec=spec_by_id(reader, run.spec),
        strategies=tuple(_strategy_facts(reader, run.id)),
        task_questions=task_by_name(reader, run.task).questions,
        predictions=_imported_examples(reader, run),
        engines=_engines(reader, run.id),
        events=tuple(events(reader, run.id)),
        program=program,
        written_at=time.time(),
    )


def _strategy_facts(reader: sqlite3.Connection, run: int) -> list[StrategyFacts]:
    """The strategies of a run in its order, deleted ones too."""
    rows = reader.execute(
        "SELECT strategies.*, out, (SELECT count(*) FROM run_items WHERE run = :run"
        " AND strategy = strategies.id AND state IN ('ok', 'reused')) AS scored"
        " FROM run_strategies JOIN strategies ON strategies.id = strategy WHERE run = :run ORDER BY position",
        {"run": run},
    )
    return [
        StrategyFacts(
            name=row["name"],
            teacher=row["teacher"],
            prompt_digest=digest("prompt", row["prompt"]).hex() if row["prompt"] else "",
            source=row["source"],
            source_digest=(row["source_digest"] or b"").hex(),
            responses=row["responses"],
            scored=row["scored"],
            failed=_failed(reader, run, row["id"]),
            out=row["out"],
        )
        for row in rows
    ]


def _failed(reader: sqlite3.Connection, run: int, strategy: int) -> dict[str, int]:
    rows = reader.execute(
        "SELECT code, count(*) FROM run_items WHERE run = ? AND strategy = ? AND state = 'error' GROUP BY 1 ORDER BY 1",
        (run, strategy),
    )
    return {row[0]: row[1] for row in rows}


def _engines(reader: sqlite3.Connection, run: int) -> dict[str, int]:
    """What computed the scores that a run uses, with how many of its samples."""
    rows = reader.execute(
        "SELECT scores.engine, count(*) FROM run_items JOIN runs ON runs.id = run_items.run"
        " JOIN scores ON scores.spec = runs.spec AND scores.context = run_items.context"
        " AND scores.response = run_items.response"
        " WHERE run_items.run = ? AND run_items.state IN ('ok', 'reused') GROUP BY 1 ORDER BY 2 DESC",
        (run,),
    )
    return {row[0]: row[1] for row in rows}


def _imported_examples(reader: sqlite3.Connection, run: Run) -> str:
    """Where imported predictions of the run's model come from; empty where there are none for its task."""
    row = reader.execute(
        "SELECT count(*), min(source) FROM imported_predictions JOIN tasks ON tasks.id = task"
        " WHERE tasks.name = ? AND weights_digest = ?",
        (run.task, run.weights_digest),
    ).fetchone()
    return f"{row[0]:,} imported predictions of {row[1]}" if row[0] else ""
