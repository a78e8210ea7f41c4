"""From scores to a ranking with its uncertainty: intervals, rank intervals, tests, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.domain import Ranking, RankRow
from core.errors import SapError, UsageError
from core.metrics.base import Metric, ScoreArrays
from core.metrics.registry import metric
from core.stats import bootstrap
from core.stats.cautions import cautions
from core.stats.comparison import Comparison, compare
from core.stats.scored import Scored, score_metric
from core.text import visible


def available_metrics(arrays: ScoreArrays, metric_ids: Sequence[str]) -> tuple[str, ...]:
    """Those of the metrics in which at least one response has a value."""
    return tuple(name for name in metric_ids if metric(name).contributions(arrays).usable.any())


def rank_strategies(
    arrays: ScoreArrays,
    metric_ids: Sequence[str],
    by: str,
    *,
    draws: int = bootstrap.DRAWS,
    seed: int = 0,
    incomplete: Mapping[str, str] | None = None,
) -> Ranking:
    """The strategies by one metric, best first, with the scores of all the metrics.

    A question that failed under any ranked strategy is left out for all in that metric; `failed` counts those of the
    metric ranked by. Strategies in `incomplete` (name to reason) and those without any value have no rank and stand
    in `left_out`. Equal scores share a place and keep the order of `arrays`. UsageError if `by` is not among the
    metrics, SapError if nothing can be ranked.
    """
    if by not in metric_ids:
        raise UsageError(f"'{visible(by)}' is not a metric of this run.", f"Metrics: {', '.join(metric_ids)}.")
    ranked, left_out = _rankable(arrays, metric(by), incomplete or {})
    main = score_metric(ranked, metric(by), draws, seed)
    others = [_scored_or_none(ranked, metric(name), draws, seed) for name in metric_ids if name != by]
    scored = {each.metric.id: each for each in (main, *others) if each is not None}
    comparison = compare(main, seed)
    return Ranking(
        metric=by,
        verdict=comparison.verdict,
        questions=main.questions,
        rows=_rows(main, comparison, [scored[name] for name in metric_ids if name in scored]),
        more_questions=comparison.more_questions,
        left_out=left_out,
        failed=main.failed,
        warnings=(*_missing(arrays, metric_ids, scored), *cautions(ranked, main.questions)),
    )


def _rankable(arrays: ScoreArrays, by: Metric, incomplete: Mapping[str, str]) -> tuple[ScoreArrays, dict[str, str]]:
    scored = np.any(by.contributions(arrays).usable, axis=1)
    left_out = {name: incomplete[name] for name in arrays.strategies if name in incomplete}
    for name, has_value in zip(arrays.strategies, scored, strict=True):
        if not has_value:
            left_out.setdefault(name, f"no response has a value of {by.id}")
    names = [name for name in arrays.strategies if name not in left_out]
    if not names:
        reasons = "; ".join(f"{visible(name)}: {visible(reason)}" for name, reason in left_out.items())
        raise SapError(f"No strategy can be ranked by {by.id} ({reasons or 'there is none'}).")
    return arrays.select(names), left_out


def _scored_or_none(arrays: ScoreArrays, by: Metric, draws: int, seed: int) -> Scored | None:
    try:
        return score_metric(arrays, by, draws, seed)
    except SapError:
        return None


def _rows(main: Scored, comparison: Comparison, scored: Sequence[Scored]) -> tuple[RankRow, ...]:
    intervals = {each.metric.id: each.intervals() for each in scored}
    order = np.argsort(comparison.places, kind="stable")
    return tuple(
        RankRow(
            rank=int(comparison.places[index]),
            rank_low=int(comparison.place_low[index]),
            rank_high=int(comparison.place_high[index]),
            strategy=main.strategies[index],
            n=main.questions,
            p_best=float(comparison.p_best[index]),
            p_value=comparison.p_values.get(int(index)),
            separable=comparison.separable(int(index)),
            scores={name: by_strategy[main.strategies[index]] for name, by_strategy in intervals.items()},
            difference=None if index == comparison.leader else comparison.differences[index],
        )
        for index in order
    )


def _missing(arrays: ScoreArrays, metric_ids: Sequence[str], scored: Mapping[str, Scored]) -> tuple[str, ...]:
    """What is not on every question: questions that failed, and metrics without a value."""
    warnings = []
    for name in metric_ids:
        if name not in scored:
            warnings.append(f"{name} is missing: too few questions have a value under every ranked strategy.")
        elif scored[name].failed:
            count = len(arrays.questions) - scored[name].questions
            failures = ", ".join(f"{visible(strategy)} {failed}" for strategy, failed in scored[name].failed.items())
            warnings.append(
                f"{count} of {len(arrays.questions)} questions are left out of {name}, because a response has no value "
                f"({failures}). See the run's errors."
            )
    return tuple(warnings)
