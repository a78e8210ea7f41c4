"""What a selection works on: the strategies, the run whose scores count, and how much of them it has scored."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.domain import Run, RunState, Strategy
from core.errors import NotFoundError, SapError, UsageError
from core.metrics.registry import all_metrics
from core.selection.steps import Step
from core.selection.values import CORRECT
from core.store.catalogue import strategies, strategy_by_name, task_by_name
from core.store.runs import run_by_id
from core.store.score_columns import REWARD, ScoreColumn, score_columns
from core.store.scores import finished_questions


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """What to keep. Without `run` the newest finished one counts; `best_of` is a metric's id or empty."""

    task: str
    strategies: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    run: int | None = None
    best_of: str = ""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The ids of the metrics whose values it reads."""
        named = [step.metric for step in self.steps] + ([self.best_of] if self.best_of else [])
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """The run whose scores count (None where nothing needs one), the strategies in its order, what to know before.

    `columns` are the imported columns that the request names; their values count whatever a run has scored.
    """

    run: Run | None
    strategies: tuple[Strategy, ...]
    notes: tuple[str, ...] = ()
    columns: Mapping[str, ScoreColumn] = field(default_factory=dict)


def plan_selection(reader: sqlite3.Connection, request: SelectionRequest) -> SelectionPlan:
    """Find the run and the strategies. Raises NotFoundError, UsageError or SapError in the words of what is missing."""
    task_by_name(reader, request.task)
    chosen = [strategy_by_name(reader, request.task, name) for name in dict.fromkeys(request.strategies)]
    if not request.best_of and len(chosen) != 1:
        raise UsageError("A filter takes one --strategy.", "To choose among several: --best-of METRIC")
    columns = _columns(reader, request)
    if request.run is None and not metrics_of_run(request, columns):
        return SelectionPlan(None, tuple(chosen or strategies(reader, request.task)), columns=columns)
    run = _newest_run(reader, request, chosen) if request.run is None else _checked_run(reader, request, chosen)
    of_run = _strategies_of_run(reader, run)
    kept = tuple(of_run[name] for name in of_run if not chosen or name in request.strategies)
    if run.request.reward_model:
        columns.pop(REWARD, None)
    if not metrics_of_run(request, columns):
        return SelectionPlan(run, kept, columns=columns)
    unscored = [] if chosen else _without_scores(reader, run, of_run)
    return SelectionPlan(run, kept, (*_unfinished(run), *unscored, *_coverage(reader, run, kept)), columns)


def metrics_of_run(request: SelectionRequest, columns: Mapping[str, ScoreColumn]) -> tuple[str, ...]:
    """The metrics that a run must give. Whether a response is correct needs none, the best by it does."""
    return tuple(
        name for name in request.metrics if name not in columns and (name != CORRECT or request.best_of == CORRECT)
    )


def _columns(reader: sqlite3.Connection, request: SelectionRequest) -> dict[str, ScoreColumn]:
    """The task's columns that the request names, among them `reward`, which is what the metric is computed from."""
    metrics = all_metrics()
    return {
        column.name: column
        for column in score_columns(reader, request.task)
        if column.name in request.metrics and column.values and (column.name == REWARD or column.name not in metrics)
    }


def _newest_run(reader: sqlite3.Connection, request: SelectionRequest, chosen: Sequence[Strategy]) -> Run:
    """The newest finished run of the task that has all the chosen strategies, as they are now."""
    wanted = {strategy.id for strategy in chosen}
    rows = reader.execute(
        "SELECT runs.id FROM runs JOIN tasks ON tasks.id = runs.task"
        " WHERE tasks.name = ? AND runs.state = 'done' AND runs.deleted_at IS NULL ORDER BY runs.id DESC",
        (request.task,),
    )
    for row in rows.fetchall():
        if wanted <= _scored_strategies(reader, row[0]):
            return run_by_id(reader, row[0])
    names = ", ".join(f"'{strategy.name}'" for strategy in chosen)
    raise NotFoundError(
        f"No finished run of the task '{request.task}' has scored {names or 'anything'} as it is now.",
        f"Score it: {_score_command(request.task, strategy=chosen[0].name if len(chosen) == 1 else '')}",
    )


def _checked_run(reader: sqlite3.Connection, request: SelectionRequest, chosen: Sequence[Strategy]) -> Run:
    assert request.run is not None
    run = run_by_id(reader, request.run)
    if run.task != request.task:
        raise UsageError(f"Run {run.id} scored the task '{run.task}', not '{request.task}'.", "See: sap-tui runs")
    scored = _scored_strategies(reader, run.id)
    for strategy in chosen:
        if strategy.id not in scored:
            hint = f"Score it: {_score_command(request.task, run.model, strategy=strategy.name)}"
            raise SapError(_not_scored(run, strategy), hint)
    return run


def _not_scored(run: Run, strategy: Strategy) -> str:
    replaced = " as it is now" if strategy.name in run.strategies else ""
    return f"Run {run.id} has not scored the strategy '{strategy.name}'{replaced}."


def _without_scores(reader: sqlite3.Connection, run: Run, scored: Mapping[str, Strategy]) -> list[str]:
    """A line about the task's strategies that the run was not asked for. SapError for one that was replaced since."""
    others = [each for each in strategies(reader, run.task) if each.responses and each.name not in scored]
    for strategy in others:
        if strategy.name in run.strategies:
            hint = f"Score all again: {_score_command(run.task, run.model)}, or name the others with --strategy."
            raise SapError(_not_scored(run, strategy), hint)
    if not others:
        return []
    names = ", ".join(f"'{strategy.name}'" for strategy in others)
    return [f"Run {run.id} has no scores of {names}, which can therefore not be the best."]


def _scored_strategies(reader: sqlite3.Connection, run: int) -> set[int]:
    return {row[0] for row in reader.execute("SELECT strategy FROM run_strategies WHERE run = ?", (run,))}


def _strategies_of_run(reader: sqlite3.Connection, run: Run) -> dict[str, Strategy]:
    """The run's strategies by name, in its order, but for those that were deleted or replaced since."""
    scored = _scored_strategies(reader, run.id)
    current = {strategy.name: strategy for strategy in strategies(reader, run.task) if strategy.id in scored}
    return {name: current[name] for name in run.strategies if name in current}


def _unfinished(run: Run) -> list[str]:
    return [] if run.state is RunState.DONE else [f"Run {run.id} is {run.shown}; only what it has scored counts."]


def _coverage(reader: sqlite3.Connection, run: Run, chosen: Sequence[Strategy]) -> list[str]:
    """A line about the strategies of whose responses the run scored only a part."""
    finished = set(finished_questions(reader, run.id))
    parts, lacking = [], 0
    for strategy in chosen:
        answered = reader.execute("SELECT question FROM responses WHERE strategy = ?", (strategy.id,))
        scored = sum(row[0] in finished for row in answered)
        if scored < strategy.responses:
            parts.append(f"{scored:,} of the {strategy.responses:,} responses of '{strategy.name}'")
            lacking = max(lacking, strategy.responses - scored)
    if not parts:
        return []
    return [
        f"Run {run.id} has scored {', '.join(parts)}; what needs scores drops the others. "
        f"To score them: sap-tui score --more {lacking} {run.id}, or a new run with --samples all."
    ]


def _score_command(task: str, model: str = "", strategy: str = "") -> str:
    """The command that scores all responses of a task, or of one of its strategies."""
    command = ["sap-tui", "score", "--task", task, "--model", model or "MODEL", "--samples", "all"]
    return shlex.join([*command, "--strategy", strategy] if strategy else command)
