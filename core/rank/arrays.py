"""Everything that a run's metrics are computed from, as arrays."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.domain import ContextKind, Run
from core.errors import SapError, UsageError
from core.metrics.base import Metric, ScoreArrays
from core.metrics.needs import CONTEXT_WORDS
from core.metrics.registry import all_metrics
from core.rank.columns import column_contributions, column_metrics
from core.rank.compared import Compared
from core.rank.inputs import Inputs
from core.rank.token_values import token_values
from core.store.scores import score_arrays
from core.text import visible


@dataclass(frozen=True, slots=True)
class Gathered:
    """The arrays for some metrics of a run, with where they come from."""

    arrays: ScoreArrays
    compared: Compared
    inputs: Inputs


def gather(reader: sqlite3.Connection, run: Run, metrics: Sequence[Metric]) -> Gathered:
    """What these metrics are computed from."""
    compared = Compared(reader, run)
    inputs = Inputs(compared)
    names = {metric.id for metric in metrics} - set(all_metrics())
    arrays = replace(
        score_arrays(reader, run.id),
        token_values=token_values(compared, metrics),
        columns=column_contributions(compared, names),
        inputs={kind: inputs.get(kind) for kind in dict.fromkeys(kind for each in metrics for kind in each.inputs)},
    )
    return Gathered(arrays, compared, inputs)


def run_arrays(reader: sqlite3.Connection, run: Run, metrics: Sequence[Metric]) -> ScoreArrays:
    """The scores of the questions that a run has finished, with the token values, inputs and columns of these metrics.

    An input that is missing, or a plugin's function that fails, is an error that the metric's contributions raise.
    """
    return gather(reader, run, metrics).arrays


def computable_metrics(reader: sqlite3.Connection, run: Run) -> tuple[Metric, ...]:
    """The metrics whose contexts the run scored and whose inputs can be had: the run's own, the others, the columns."""
    inputs, known = Inputs(Compared(reader, run)), all_metrics()
    own = [known[name] for name in run.request.metrics if name in known]
    others = [metric for metric in known.values() if metric not in own]
    return (
        *(
            metric
            for metric in (*own, *others)
            if why_missing(reader, run, metric) is None and all(inputs.can_be_had(kind) for kind in metric.inputs)
        ),
        *column_metrics(reader, run).values(),
    )


def metric_of(reader: sqlite3.Connection, run: Run, name: str) -> Metric:
    """The metric or imported column of this name; UsageError with the names that there are."""
    found = {**all_metrics(), **column_metrics(reader, run)}
    if name not in found:
        raise UsageError(f"There is no metric or imported column '{visible(name)}'.", f"There are: {', '.join(found)}.")
    return found[name]


def why_missing(reader: sqlite3.Connection, run: Run, metric: Metric) -> SapError | None:
    """What the run would have to score for this metric, besides its inputs; None where it has all of it."""
    scored = scored_contexts(reader, run.id)
    missing = [CONTEXT_WORDS[context] for context in metric.contexts if context not in scored]
    if not missing and metric.needs_token_ends and not _has_token_ends(reader, run.id):
        missing = ["places of tokens in the responses"]
    if not missing:
        return None
    return SapError(
        f"Run {run.id} has no {' and no '.join(missing)}, which {metric.id} needs.",
        f"Score again with --metric {metric.id}; what is scored already is reused.",
    )


def scored_contexts(reader: sqlite3.Connection, run: int) -> set[ContextKind]:
    """The contexts behind which the run's strategies have scores."""
    rows = reader.execute(
        "SELECT DISTINCT context_kind FROM run_items JOIN run_strategies USING (run, strategy)"
        " WHERE run = ? AND state IN ('ok', 'reused')",
        (run,),
    )
    return {ContextKind(row[0]) for row in rows}


def _has_token_ends(reader: sqlite3.Connection, run: int) -> bool:
    row = reader.execute(
        "SELECT 1 FROM run_items JOIN runs ON runs.id = run_items.run JOIN run_strategies USING (run, strategy)"
        " JOIN token_ends ON token_ends.spec = runs.spec AND token_ends.response = run_items.response"
        " WHERE run_items.run = ? LIMIT 1",
        (run,),
    ).fetchone()
    return row is not None
