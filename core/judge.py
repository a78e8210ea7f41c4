"""The metrics of finished runs, judged by the outcomes that the catalogue holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

from core.domain import Run, RunState
from core.errors import NotFoundError, SapError
from core.ingest.score_tables import OutcomeRow, ScoreRow
from core.judging.directions import Direction
from core.judging.notes import Places
from core.judging.pairs import Pairs
from core.judging.plain import plain_pairs
from core.metrics.base import Metric, ScoreArrays
from core.rank import computable_metrics, run_arrays
from core.stats.scored import score_metric
from core.store.outcomes import StoredOutcome, outcomes
from core.store.runs import run_by_id, runs

# No interval of these scores is shown, only their values are used.
_DRAWS = 1


def catalogue_pairs(
    reader: sqlite3.Connection, task: str | None = None, model: str | None = None, number: int | None = None
) -> tuple[Pairs, dict[str, Direction]]:
    """Every metric that each pair's run can give, for the plain protocol, and the metrics' directions.

    The run of a pair is the finished one with the most strategies that have outcomes, the newest of them. With the
    number of a run it is that one, finished or not, and its task and model are the only pair. Raises NotFoundError
    without outcomes, SapError where no pair has a finished run.
    """
    chosen = None if number is None else run_by_id(reader, number)
    if chosen:
        task, model = chosen.task, chosen.model
    stored = outcomes(reader, task, model)
    if not stored:
        raise NotFoundError(
            "The catalogue has no outcomes of these." if task or model else "The catalogue has no outcomes.",
            "Import some: sap-tui outcomes FILE --task NAME --model MODEL; or give --scores and --outcomes.",
        )
    finished = [chosen] if chosen else [run for run in runs(reader, limit=-1) if run.state is RunState.DONE]
    by_pair: dict[tuple[str, str], list[StoredOutcome]] = {}
    for outcome in stored:
        by_pair.setdefault((outcome.task, outcome.model), []).append(outcome)
    places, scores, directions, rows = Places(), [], {}, []
    for (pair_task, pair_model), of_pair in by_pair.items():
        run = _run_of(finished, of_pair)
        if run is None:
            places.add(
                "Outcomes without a finished run do not count (sap-tui score, or sap-tui outcomes --delete)",
                f"{pair_task} under {pair_model}",
            )
            continue
        rows += [OutcomeRow(pair_model, pair_task, each.strategy, each.accuracy, each.seed) for each in of_pair]
        for metric, values in _scores(reader, run, places):
            directions[metric.id] = Direction(metric.direction)
            scores += [ScoreRow(pair_model, pair_task, name, metric.id, value) for name, value in values.items()]
    if not scores:
        notes = " ".join(places.notes())
        raise SapError(f"No outcome meets a finished run's scores. {notes}", "Runs: sap-tui runs")
    pairs = plain_pairs(scores, rows)
    return replace(pairs, notes=(*places.notes(), *pairs.notes)), directions


def _run_of(finished: list[Run], of_pair: list[StoredOutcome]) -> Run | None:
    names = {outcome.strategy for outcome in of_pair}
    matching = [run for run in finished if (run.task, run.model) == (of_pair[0].task, of_pair[0].model)]
    return max(matching, key=lambda run: (len(names & set(run.strategies)), run.id), default=None)


def _scores(reader: sqlite3.Connection, run: Run, places: Places) -> Iterator[tuple[Metric, dict[str, float]]]:
    """What every metric gives the run's strategies on the questions where all of them have a value."""
    metrics = computable_metrics(reader, run)
    arrays = run_arrays(reader, run, metrics)
    for metric in metrics:
        try:
            scored = score_metric(_with_values(arrays, metric), metric, _DRAWS, 0)
        except SapError as error:
            places.add(f"{metric.id} is missing ({error.message})", f"{run.task} under {run.model}")
            continue
        yield metric, dict(zip(scored.strategies, map(float, scored.values), strict=True))


def _with_values(arrays: ScoreArrays, metric: Metric) -> ScoreArrays:
    """Without the strategies that have no value of this metric, unless none has."""
    usable = metric.contributions(arrays).usable
    names = [name for name, row in zip(arrays.strategies, usable, strict=True) if row.any()]
    return arrays.select(names or arrays.strategies)
