"""From scores to a ranking with its uncertainty: intervals, rank intervals, tests, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.domain import Ranking, RankRow
from core.errors import SapError, UsageError
from core.metrics.base import Metric, ScoreArrays
from core.stats import bootstrap, significance
from core.stats.cautions import cautions
from core.stats.comparison import Comparison, Tested, compare
from core.stats.scored import Scored, score_metric
from core.stats.sequential import Look, share_spent
from core.text import visible


def available_metrics(arrays: ScoreArrays, metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """Those of the metrics in which at least one response has a value."""
    return tuple(each for each in metrics if _has_values(arrays, each))


def _has_values(arrays: ScoreArrays, metric: Metric) -> bool:
    try:
        return bool(metric.contributions(arrays).usable.any())
    except SapError:
        return False


def rank_strategies(
    arrays: ScoreArrays,
    metrics: Sequence[Metric],
    by: str,
    *,
    draws: int = bootstrap.DRAWS,
    seed: int = 0,
    incomplete: Mapping[str, str] | None = None,
    looks: Sequence[Look] = (),
) -> Ranking:
    """The strategies by one metric, best first, with the scores of all the metrics.

    A question that failed under any ranked strategy is left out for all in that metric; `failed` counts those of the
    metric ranked by. Strategies in `incomplete` (name to reason) and those without any value have no rank and stand
    in `left_out`. Equal scores share a place and keep the order of `arrays`. UsageError if `by` is not among the
    metrics, SapError if nothing can be ranked. A metric that cannot be had for these scores becomes a warning.
    `looks` are those at a run that stops early, made of the rows of `arrays`: who dropped out before the last one
    stands in `left_out` too, and the last one has the verdict.
    """
    by_id = {each.id: each for each in metrics}
    if by not in by_id:
        raise UsageError(f"'{visible(by)}' is not a metric of this run.", f"Metrics: {', '.join(by_id)}.")
    ranked, left_out = rankable(arrays, by_id[by], {**(incomplete or {}), **_dropped(arrays.strategies, looks)})
    main = score_metric(ranked, by_id[by], draws, seed)
    scored, problems = {by: main}, []
    for each in metrics:
        if each.id != by:
            try:
                scored[each.id] = score_metric(_with_values(ranked, each), each, draws, seed)
            except SapError as error:
                problems.append(f"{each.id} is missing: {error}")
    comparison = compare(main, seed, _tested(arrays.strategies, ranked.strategies, looks))
    return Ranking(
        metric=by,
        verdict=comparison.verdict,
        questions=main.questions,
        rows=_rows(main, comparison, [scored[each.id] for each in metrics if each.id in scored]),
        more_questions=comparison.more_questions,
        left_out=left_out,
        failed=main.failed,
        warnings=(*problems, *_incomplete(arrays, scored), *cautions(ranked, main.questions)),
    )


def _dropped(strategies: Sequence[str], looks: Sequence[Look]) -> dict[str, str]:
    """Who dropped out before the last look, and why."""
    return {
        strategies[row]: f"out after {look.questions} questions: behind {strategies[look.leader]} "
        f"(p {look.p_values[row]:.2g})"
        for look in looks[:-1]
        for row in look.out
    }


def _tested(strategies: Sequence[str], ranked: Sequence[str], looks: Sequence[Look]) -> Tested | None:
    """The last look's tests of the ranked strategies; None where it has no say."""
    if not looks or strategies[looks[-1].leader] not in ranked:
        return None
    last, level = looks[-1], significance.ALPHA * share_spent(len(looks))
    rows = {ranked.index(strategies[row]): row for row in last.active if strategies[row] in ranked}
    p_values = {place: last.p_values.get(row, 1.0) for place, row in rows.items() if row != last.leader}
    return Tested(ranked.index(strategies[last.leader]), p_values, level)


def rankable(arrays: ScoreArrays, by: Metric, incomplete: Mapping[str, str]) -> tuple[ScoreArrays, dict[str, str]]:
    """The strategies that have values and are complete, and why the others are left out; SapError if none is."""
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


def _with_values(arrays: ScoreArrays, metric: Metric) -> ScoreArrays:
    """Without the strategies that have no value of this metric, unless none has."""
    has_value = np.any(metric.contributions(arrays).usable, axis=1)
    names = [name for name, has in zip(arrays.strategies, has_value, strict=True) if has]
    return arrays.select(names or arrays.strategies)


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
            scores={
                name: by_strategy[main.strategies[index]]
                for name, by_strategy in intervals.items()
                if main.strategies[index] in by_strategy
            },
            difference=None if index == comparison.leader else comparison.differences[index],
        )
        for index in order
    )


def _incomplete(arrays: ScoreArrays, scored: Mapping[str, Scored]) -> tuple[str, ...]:
    """Metrics that are not on every question, because a response failed."""
    warnings = []
    for name, each in scored.items():
        if each.failed:
            count = len(arrays.questions) - each.questions
            failures = ", ".join(f"{visible(strategy)} {failed}" for strategy, failed in each.failed.items())
            warnings.append(
                f"{count} of {len(arrays.questions)} questions are left out of {name}, because a response has no value "
                f"({failures})."
            )
    return tuple(warnings)
