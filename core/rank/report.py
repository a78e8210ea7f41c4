"""The ranking of a run, from its scores in the catalogue."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.domain import Ranking, Run, RunState
from core.errors import SapError
from core.export.report import RankingReport
from core.metrics.base import Input, Metric
from core.metrics.registry import all_metrics
from core.rank.arrays import Gathered, gather, metric_of, why_missing
from core.rank.columns import column_metrics
from core.rank.compared import Compared
from core.rank.controls import copied_shares, with_controls
from core.rank.looks import dropped_early, run_looks
from core.stats import cautions
from core.stats.ranking import available_metrics, rank_strategies
from core.stats.sequential import Look
from core.store.catalogue import valid_strategy
from core.store.run_details import earlier_responses
from core.store.runs import last_run, run_by_id
from core.store.scores import engine_notes, sample_errors


def ranking_report(
    reader: sqlite3.Connection, number: int | None = None, by: str | None = None, columns: Sequence[str] = ()
) -> RankingReport:
    """Rank a run (the last one without a number) by a metric (without one, by the run's first that has scores).

    `by` may be any metric that can be computed from what the run scored, or an imported column. Beside it stand the
    run's metrics, those in `columns`, and the task's imported columns. Raises UsageError for a metric that does not
    exist and SapError for one that the run cannot give, or when there is nothing to rank yet.
    """
    run = last_run(reader) if number is None else run_by_id(reader, number)
    metrics, missing = _metrics(reader, run, by, columns)
    gathered = gather(reader, run, metrics)
    if not gathered.arrays.questions:
        raise SapError(f"Run {run.id} has no scores to rank yet ({run.shown}).", run.why or "See it: sap-tui runs")
    chosen = by or next(iter(available_metrics(gathered.arrays, metrics)), metrics[0]).id
    looks = run_looks(reader, run, gathered.arrays) if run.request.until_decided else ()
    if chosen == run.request.metrics[0]:
        ranking = rank_strategies(gathered.arrays, metrics, chosen, looks=looks)
    else:
        ranking = rank_strategies(gathered.arrays, metrics, chosen, incomplete=dropped_early(run, looks))
        missing += _not_for_looks(run, looks)
    ranking = replace(ranking, rows=with_controls(ranking.rows, gathered))
    shown = tuple(metric for metric in metrics if any(metric.id in row.scores for row in ranking.rows))
    more = (
        *earlier_responses(reader, run), *_cautions(gathered, ranking, shown), *missing, *_reasons(reader, run),
        *engine_notes(reader, run.id),
    )  # fmt: skip
    return RankingReport(
        run=run.id,
        task=run.task,
        model=run.model,
        model_digest=run.weights_digest,
        dtype=run.request.dtype,
        quantization=run.request.quantization,
        metrics=metrics,
        ranking=replace(ranking, warnings=(*ranking.warnings, *more)),
        partial=_partial(run, len(gathered.arrays.questions)),
        notes=(*gathered.inputs.notes, *_notes(gathered, ranking, shown)),
    )


def _not_for_looks(run: Run, looks: Sequence[Look]) -> list[str]:
    """A run that ended early was looked at by one metric, and the tests of the others do not know of the looks."""
    if len(looks) < 2:
        return []
    return [f"This run was stopped by {run.request.metrics[0]}; by other metrics its verdict is too sure."]


def _metrics(
    reader: sqlite3.Connection, run: Run, by: str | None, columns: Sequence[str]
) -> tuple[tuple[Metric, ...], list[str]]:
    """The metrics to show, and a warning for every wanted one that cannot be. SapError if that is the one ranked by."""
    known = {**all_metrics(), **column_metrics(reader, run)}
    warnings = [
        f"{name} is missing: its plugin is not installed any more." for name in run.request.metrics if name not in known
    ]
    found = {name: known[name] for name in run.request.metrics if name in known}
    for name in dict.fromkeys([*([by] if by else []), *columns]):
        metric = metric_of(reader, run, name)
        problem = None if name in run.request.metrics else why_missing(reader, run, metric)
        if problem and name == by:
            raise problem
        if problem:
            warnings.append(f"{name} is missing: {problem}")
        else:
            found[name] = metric
    return tuple((found | column_metrics(reader, run)).values()), warnings


def _cautions(gathered: Gathered, ranking: Ranking, shown: Sequence[Metric]) -> Iterator[str]:
    ranked = [row.strategy for row in ranking.rows]
    arrays = gathered.arrays.select(ranked)
    ids = {metric.id for metric in shown}
    copied = copied_shares(gathered.compared)
    yield from cautions.own_output({name: copied[name] for name in ranked})
    yield from cautions.same_family([row.strategy for row in ranking.rows if row.same_family])
    yield from cautions.contested(metric for metric in shown if metric.id == ranking.metric)
    if any(Input.VALID_NLL in metric.inputs for metric in shown):
        yield from cautions.few_valid_pairs(arrays.input(Input.VALID_NLL))
        yield from cautions.own_valid_set(name for name in ranked if name == _ranked_valid_set(gathered.compared))
    if "ds_weight" in ids:
        yield from cautions.as_surprising_as_gold(
            {row.strategy: row.scores["ds_weight"].value for row in ranking.rows if "ds_weight" in row.scores}
        )


def _ranked_valid_set(compared: Compared) -> str | None:
    """The name of the run's strategy that is its valid set too."""
    row = compared.rows.get(valid_strategy(compared.reader, compared.run.request) or 0)
    return None if row is None else compared.run.strategies[row]


def _notes(gathered: Gathered, ranking: Ranking, shown: Sequence[Metric]) -> Iterator[str]:
    arrays = gathered.arrays.select([row.strategy for row in ranking.rows])
    if any(Input.VALID_NLL in metric.inputs for metric in shown):
        yield from cautions.error_of_valid_mean(arrays.input(Input.VALID_NLL))
    if any(metric.id.startswith("ifd") for metric in shown):
        yield from cautions.questions_without_help(arrays)


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
