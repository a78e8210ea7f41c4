"""Metrics judged by outcomes: what their picks gave, and how their orders agree, with intervals over tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from core.errors import SapError
from core.judging.agreement import agreement
from core.judging.directions import Direction
from core.judging.lengths import without_terse
from core.judging.over_tasks import Figure, Outcomes, OverTasks
from core.judging.pairs import Pair, Pairs
from core.stats.cautions import LENGTH_RATIO
from core.text import visible

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

FEW_TASKS = 10
SPREADS = (0.02, 0.04)
FIGURES = (
    "chosen", "regret", "weighted_spearman", "weighted_spearman_tie_corrected", "spearman", "kendall", "pairwise",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MetricJudgement:
    """One metric over its pairs; `figures` by the names in `FIGURES`.

    `undefined` counts pairs where it correlates with nothing: all values or all outcomes are equal.
    """

    direction: Direction
    pairs: int
    figures: dict[str, Figure]
    by_target: dict[str, float]
    undefined: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """All metrics over the kept pairs; `fixed` has the strategies that are candidates in every one of them."""

    protocol: str
    pairs: int
    tasks: int
    upper_bound: Outcomes
    random: Outcomes
    fixed: dict[str, Outcomes]
    metrics: dict[str, MetricJudgement]
    notes: tuple[str, ...]

    @property
    def best_fixed(self) -> str | None:
        """The strategy that would have been best to use always, seen from behind."""
        return max(self.fixed, key=lambda name: self.fixed[name].chosen.value or 0.0, default=None)


def judge(pairs: Pairs, directions: Mapping[str, Direction], *, min_spread: float | None = None) -> Judgement:
    """Judge every metric over the pairs, with `min_spread` those whose spread is above it; SapError if none is."""
    kept = [pair for pair in pairs.pairs if min_spread is None or pair.spread > min_spread]
    if not kept:
        largest = max(pair.spread for pair in pairs.pairs)
        raise SapError(
            f"No pair has a spread above {min_spread:g}; the largest is {largest:.4f}.", "Lower --min-spread."
        )
    tasks = OverTasks(kept)
    common = [name for name in kept[0].strategies if all(name in pair.strategies for pair in kept)]
    metrics = {name: _judge_metric(name, kept, tasks, directions[name], pairs.by_position) for name in pairs.metrics}
    return Judgement(
        protocol=pairs.protocol,
        pairs=len(kept),
        tasks=tasks.count,
        upper_bound=tasks.outcomes(tasks.best),
        random=tasks.outcomes(np.array([pair.outcomes.mean() for pair in kept])),
        fixed={
            name: tasks.outcomes(np.array([pair.outcomes[pair.strategies.index(name)] for pair in kept]))
            for name in common
        },
        metrics=metrics,
        notes=(*pairs.notes, *_notes(metrics, len(kept), tasks.count), *_mixed_lengths(pairs, kept)),
    )


def above_spreads(pairs: Pairs, directions: Mapping[str, Direction]) -> dict[float, Judgement]:
    """The judgements of the pairs above each of the usual spreads, as far as there are such pairs."""
    largest = max(pair.spread for pair in pairs.pairs)
    return {spread: judge(pairs, directions, min_spread=spread) for spread in SPREADS if spread < largest}


def judge_without_terse(
    pairs: Pairs, directions: Mapping[str, Direction], *, min_spread: float | None = None
) -> Judgement | None:
    """The same pairs without terse strategies where they are mixed with long ones; None where they are not."""
    kept = [pair for pair in pairs.pairs if min_spread is None or pair.spread > min_spread]
    long = without_terse(replace(pairs, pairs=tuple(kept)))
    return judge(long, directions) if long else None


def picks(pair: Pair, metric: str, direction: Direction) -> tuple[str, ...]:
    """The strategies with the metric's best score in a pair of one range of rows; several where they are tied."""
    (scores,) = pair.scores[metric]
    badness = -scores if direction.better == "higher" else scores
    return tuple(pair.strategies[index] for index in np.flatnonzero(badness == np.nanmin(badness)))


def _judge_metric(
    name: str, pairs: Sequence[Pair], tasks: OverTasks, direction: Direction, by_position: bool
) -> MetricJudgement:
    values = np.stack([_of_pair(pair, name, direction, by_position) for pair in pairs], axis=1)
    chosen, spearman, tie_corrected, kendall, pairwise = values
    rows = np.stack([chosen, tasks.best - chosen, spearman, tie_corrected, spearman, kendall, pairwise])
    weights = np.ones_like(rows)
    weights[[FIGURES.index("weighted_spearman"), FIGURES.index("weighted_spearman_tie_corrected")]] = [
        pair.spread for pair in pairs
    ]
    return MetricJudgement(
        direction,
        int((~np.isnan(chosen)).sum()),
        dict(zip(FIGURES, tasks.figures(rows, weights), strict=True)),
        tasks.by_target(chosen),
        int((np.isnan(tie_corrected) & ~np.isnan(chosen)).sum()),
    )


def _of_pair(pair: Pair, metric: str, direction: Direction, by_position: bool) -> FloatArray:
    """The `Agreement` in this pair, averaged over the ranges of rows: (5,), NaN where there is none."""
    ranges = []
    for values in pair.scores.get(metric, ()):
        known = ~np.isnan(values)
        found = agreement(
            values[known],
            pair.outcomes[known],
            higher_is_better=direction.better == "higher",
            by_position=by_position,
        )
        ranges.append(found.values())
    return _mean_of_known(np.array(ranges)) if ranges else np.full(5, np.nan)


def _mean_of_known(rows: FloatArray) -> FloatArray:
    known = ~np.isnan(rows)
    sums, counts = np.where(known, rows, 0.0).sum(axis=0), known.sum(axis=0)
    means: FloatArray = np.divide(sums, counts, out=np.full(rows.shape[1], np.nan), where=counts > 0)
    return means


def _notes(metrics: Mapping[str, MetricJudgement], pairs: int, tasks: int) -> list[str]:
    notes = []
    for name, judged in metrics.items():
        shown = visible(name)
        if judged.direction.assumed:
            notes.append(f"{shown} is not known: lower counts as better (--direction {shown}=higher turns it).")
        if judged.pairs < pairs:
            notes.append(f"{shown} is judged in {judged.pairs} of {pairs} pairs.")
        if judged.undefined:
            notes.append(
                f"{shown} has no correlation in {judged.undefined} of {judged.pairs} pairs: all its scores or all "
                "outcomes are equal there."
            )
    if tasks == 1:
        notes.append("One task only: how far this holds for other tasks cannot be told, so there are no intervals.")
    elif tasks < FEW_TASKS:
        notes.append(f"Only {tasks} tasks: the intervals are rough.")
    return notes


def _mixed_lengths(pairs: Pairs, kept: Sequence[Pair]) -> list[str]:
    if without_terse(replace(pairs, pairs=tuple(kept))) is None:
        return []
    return [
        f"Terse and long strategies are mixed (lengths differ more than {LENGTH_RATIO:g} times): one correlation over "
        "both misleads, so the long ones are shown alone too."
    ]
