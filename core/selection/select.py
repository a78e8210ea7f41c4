"""Which responses of a task are kept: a strategy's behind the steps, or per question the best strategy's."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.domain import Run, Strategy
from core.selection.pipeline import StepReport, apply_steps
from core.selection.plan import SelectionPlan, SelectionRequest, metrics_of_run
from core.selection.values import RunValues, StrategyValues
from core.store.catalogue import Sample, responses_page
from core.store.score_columns import ScoreColumn

if TYPE_CHECKING:
    from core.metrics.base import BoolArray

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class StrategyReport:
    """What became of a strategy's responses: how many the run scored, what the steps did, how many are written."""

    strategy: str
    responses: int
    scored: int
    steps: tuple[StepReport, ...]
    written: int


@dataclass(frozen=True, slots=True)
class KeptSample:
    """A question with the response that is kept, and whose it is."""

    sample: Sample
    strategy: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What is kept, in task order, with what led to it.

    Of the questions `undecided` counts those without a value of `best_of`, `tied` those whose best value several
    strategies have: the earlier strategy's response is kept.
    """

    request: SelectionRequest
    run: Run | None
    reports: tuple[StrategyReport, ...]
    kept: tuple[KeptSample, ...]
    undecided: int = 0
    tied: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Filtered:
    """A strategy's samples, and the mask of those that the steps kept."""

    strategy: Strategy
    samples: Sequence[Sample]
    mask: BoolArray
    steps: tuple[StepReport, ...]


def select(reader: sqlite3.Connection, request: SelectionRequest, plan: SelectionPlan) -> Selection:
    """The samples of the planned strategies that are kept. Raises UsageError or SapError; `kept` may be empty."""
    wanted = metrics_of_run(request, plan.columns)
    run_values = None if plan.run is None else RunValues.load(reader, plan.run, wanted)
    filtered = [_filter(reader, request, strategy, run_values, plan.columns) for strategy in plan.strategies]
    if request.best_of:
        compared = run_values and run_values.among([strategy.name for strategy in plan.strategies])
        kept, undecided, tied = _best_of(reader, filtered, compared, plan.columns, request.best_of)
    else:
        kept, undecided, tied = _all_kept(filtered), 0, 0
    kept.sort(key=lambda one: one.sample.question.position)
    scored = set() if run_values is None else set(run_values.arrays.questions)
    reports = tuple(_report(one, scored, kept) for one in filtered)
    return Selection(request, plan.run, reports, tuple(kept), undecided, tied)


def _filter(
    reader: sqlite3.Connection,
    request: SelectionRequest,
    strategy: Strategy,
    run_values: RunValues | None,
    columns: Mapping[str, ScoreColumn],
) -> _Filtered:
    samples = _all_samples(reader, strategy.id)
    values = StrategyValues(reader, strategy, samples, run_values, columns)
    mask, steps = apply_steps(request.steps, values, [sample.response.text for sample in samples])
    return _Filtered(strategy, samples, mask, steps)


def _all_samples(reader: sqlite3.Connection, strategy: int) -> list[Sample]:
    samples: list[Sample] = []
    while page := responses_page(reader, strategy, after=samples[-1].question.position if samples else -1, limit=_PAGE):
        samples += page
    return samples


def _all_kept(filtered: Sequence[_Filtered]) -> list[KeptSample]:
    return [
        KeptSample(sample, one.strategy.name)
        for one in filtered
        for sample, keep in zip(one.samples, one.mask.tolist(), strict=True)
        if keep
    ]


def _best_of(
    reader: sqlite3.Connection,
    filtered: Sequence[_Filtered],
    run_values: RunValues | None,
    columns: Mapping[str, ScoreColumn],
    metric_id: str,
) -> tuple[list[KeptSample], int, int]:
    """Per question the kept sample with the best value; how many questions have none, and how many several."""
    sign = 1.0 if _direction(run_values, columns, metric_id) == "lower" else -1.0
    best: dict[int, tuple[float, KeptSample]] = {}
    reached: set[int] = set()
    tied: set[int] = set()
    for one in filtered:
        costs = sign * StrategyValues(reader, one.strategy, one.samples, run_values, columns).of(metric_id)
        for sample, keep, cost in zip(one.samples, one.mask.tolist(), costs.tolist(), strict=True):
            question = sample.question.id
            reached |= {question} if keep else set()
            if not keep or math.isnan(cost):
                continue
            if question not in best or cost < best[question][0]:
                best[question] = cost, KeptSample(sample, one.strategy.name)
                tied.discard(question)
            elif cost == best[question][0]:
                tied.add(question)
    return [sample for _, sample in best.values()], len(reached) - len(best), len(tied)


def _direction(run_values: RunValues | None, columns: Mapping[str, ScoreColumn], metric_id: str) -> str:
    if metric_id in columns or run_values is None:
        return columns[metric_id].direction
    return run_values.metrics[metric_id].direction


def _report(one: _Filtered, scored: set[int], kept: Sequence[KeptSample]) -> StrategyReport:
    return StrategyReport(
        strategy=one.strategy.name,
        responses=len(one.samples),
        scored=sum(sample.question.id in scored for sample in one.samples),
        steps=one.steps,
        written=sum(sample.strategy == one.strategy.name for sample in kept),
    )
