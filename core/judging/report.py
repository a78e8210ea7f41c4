"""A judgement as a JSON object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from core.judging.directions import Direction
from core.judging.judgement import Judgement, MetricJudgement, picks
from core.judging.over_tasks import Figure, Outcomes
from core.judging.pairs import Pair, Pairs

WEIGHTED = ("weighted_spearman", "weighted_spearman_tie_corrected")
UNWEIGHTED = ("spearman", "kendall", "pairwise")


def judgement_object(
    judgement: Judgement, by_spread: Mapping[float, Judgement], without_terse: Judgement | None
) -> dict[str, object]:
    """The contract of `judge --json`: accuracies as fractions, what is undefined as null.

    `details` has what is beside the figures: intervals (low, high), directions, notes, the spread-weighted
    correlations of the pairs above each threshold of `by_spread`, and the correlations without terse strategies.
    """
    return {
        "pairs": judgement.pairs,
        "upper_bound": judgement.upper_bound.chosen.value,
        "random": judgement.random.chosen.value,
        "fixed": {
            name: {"chosen": outcomes.chosen.value, "by_target": outcomes.by_target}
            for name, outcomes in judgement.fixed.items()
        },
        "metrics": {name: _metric(judged) for name, judged in judgement.metrics.items()},
        "details": {
            **_details(judgement),
            "by_spread": [
                {"min_spread": threshold, **_correlations(above, WEIGHTED)} for threshold, above in by_spread.items()
            ],
            "without_terse": without_terse and _correlations(without_terse, UNWEIGHTED),
        },
    }


def judgement_rows(judgement: Judgement) -> tuple[list[str], list[tuple[object, ...]]]:
    """The contract of `judge --format csv`: one row a metric, figures with their intervals; accuracies as fractions."""
    names = list(dict.fromkeys(name for judged in judgement.metrics.values() for name in judged.figures))
    columns = ["metric", "direction", "pairs", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
    return columns, [
        (metric, judged.direction.better, judged.pairs, *(part for name in names for part in _parts(judged, name)))
        for metric, judged in judgement.metrics.items()
    ]


def _parts(judged: MetricJudgement, name: str) -> tuple[float | None, ...]:
    figure = judged.figures.get(name)
    return (None, None, None) if figure is None else (figure.value, figure.low, figure.high)


def points_rows(pairs: Pairs, directions: Mapping[str, Direction]) -> tuple[list[str], list[tuple[object, ...]]]:
    """The contract of `judge --points --format csv`: one row for every model, task, metric and strategy."""
    columns = ["target_model", "task", "metric", "direction", "strategy", "score", "outcome", "picked"]
    return columns, [row for pair in pairs.pairs for row in _point_rows(pair, pairs.metrics, directions)]


def _point_rows(
    pair: Pair, metrics: Sequence[str], directions: Mapping[str, Direction]
) -> Iterator[tuple[object, ...]]:
    outcomes = dict(zip(pair.strategies, pair.outcomes.tolist(), strict=True))
    for name in metrics:
        if name in pair.scores:
            points = _points(pair, name, directions[name])
            scores, picked = points["scores"], points["picks"] or ()
            for strategy, score in scores.items():
                head = (pair.target_model, pair.task, name, directions[name].better)
                yield *head, strategy, score, outcomes[strategy], int(strategy in picked)


def points_object(pairs: Pairs, directions: Mapping[str, Direction]) -> list[dict[str, object]]:
    """What each pair is judged by: outcomes by strategy, and by metric the scores (mean over ranges) and the picks."""
    return [
        {
            "target_model": pair.target_model,
            "task": pair.task,
            "outcomes": dict(zip(pair.strategies, pair.outcomes.tolist(), strict=True)),
            "metrics": {name: _points(pair, name, directions[name]) for name in pairs.metrics if name in pair.scores},
        }
        for pair in pairs.pairs
    ]


def _points(pair: Pair, metric: str, direction: Direction) -> dict[str, Any]:
    means = pair.scores[metric].mean(axis=0).tolist()
    return {
        "scores": {name: mean for name, mean in zip(pair.strategies, means, strict=True) if isfinite(mean)},
        "picks": list(picks(pair, metric, direction)) if len(pair.scores[metric]) == 1 else None,
    }


def _metric(judged: MetricJudgement) -> dict[str, object]:
    values = {name: figure.value for name, figure in judged.figures.items()}
    return {"chosen": values.pop("chosen"), "by_target": judged.by_target, **values}


def _details(judgement: Judgement) -> dict[str, object]:
    return {
        "protocol": judgement.protocol,
        "tasks": judgement.tasks,
        "best_fixed": judgement.best_fixed,
        "upper_bound": _outcomes(judgement.upper_bound),
        "random": _outcomes(judgement.random),
        "fixed": {name: _outcomes(outcomes) for name, outcomes in judgement.fixed.items()},
        "metrics": {
            name: {
                "direction": judged.direction.better,
                "direction_assumed": judged.direction.assumed,
                "pairs": judged.pairs,
                "undefined": judged.undefined,
                "intervals": {figure: _interval(value) for figure, value in judged.figures.items()},
            }
            for name, judged in judgement.metrics.items()
        },
        "notes": list(judgement.notes),
    }


def _outcomes(outcomes: Outcomes) -> dict[str, object]:
    return {"by_target": outcomes.by_target, "interval": _interval(outcomes.chosen), **_regret(outcomes)}


def _regret(outcomes: Outcomes) -> dict[str, object]:
    return {"regret": outcomes.regret.value, "regret_interval": _interval(outcomes.regret)}


def _correlations(judgement: Judgement, names: Sequence[str]) -> dict[str, object]:
    metrics = judgement.metrics.items()
    return {
        "pairs": judgement.pairs,
        "metrics": {metric: {name: judged.figures[name].value for name in names} for metric, judged in metrics},
    }


def _interval(figure: Figure) -> list[float] | None:
    return None if figure.low is None or figure.high is None else [figure.low, figure.high]
