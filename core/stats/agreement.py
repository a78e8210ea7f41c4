"""Do metrics agree? Rank correlations between them over strategies, and the leaders that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from core.domain import Interval
from core.errors import SapError
from core.metrics.base import Metric, ScoreArrays
from core.stats import bootstrap
from core.stats.ranking import rank_strategies
from core.stats.scored import score_metric
from core.stats.sequential import Look

if TYPE_CHECKING:
    from core.metrics.base import BoolArray, FloatArray

# Signs of pairs of strategies are made in blocks of this many, which bounds the memory to some tens of megabytes.
_BLOCK_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Pair:
    """Two metrics over the strategies and questions that have values of both; 1 where they order strategies alike.

    A correlation is None where it is not defined, and `why` says it.
    """

    first: str
    second: str
    strategies: int
    questions: int
    spearman: Interval | None = None
    kendall: Interval | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Leader:
    """The strategies, more than one where they are tied, that a metric puts first. `separable` from all others."""

    metric: str
    strategies: tuple[str, ...]
    separable: bool
    questions: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the metrics of a run agree. `missing` maps those without any value to why."""

    metrics: tuple[Metric, ...]
    pairs: tuple[Pair, ...]
    leaders: tuple[Leader, ...]
    missing: dict[str, str]


def metric_agreement(
    arrays: ScoreArrays,
    metrics: Sequence[Metric],
    *,
    draws: int = bootstrap.DRAWS,
    seed: int = 0,
    incomplete: Mapping[str, str] | None = None,
    looks: Mapping[str, Sequence[Look]] | None = None,
) -> Agreement:
    """Every pair of the metrics that have values, without the strategies in `incomplete` (name to reason).

    Spearman's rho and Kendall's tau-b over strategies, each metric in its direction. The 95% intervals are those of
    the same paired draws of questions for both metrics. `looks` has those that settle a metric's leader, by its id.
    """
    leaders, missing = [], {}
    for each in metrics:
        try:
            if _has_values(arrays, each).any():
                leaders.append(_leader(arrays, each, seed, incomplete, (looks or {}).get(each.id, ())))
            else:
                missing[each.id] = "No response has a value of it."
        except SapError as error:
            missing[each.id] = str(error)
    known = tuple(each for each in metrics if each.id not in missing)
    compared = arrays.select([name for name in arrays.strategies if name not in (incomplete or {})])
    places = _Places(compared, draws, seed)
    pairs = tuple(places.pair(first, second) for first, second in combinations(known, 2))
    return Agreement(known, pairs, tuple(leaders), missing)


def _leader(
    arrays: ScoreArrays, metric: Metric, seed: int, incomplete: Mapping[str, str] | None, looks: Sequence[Look]
) -> Leader:
    # Neither places nor tests depend on the draws.
    ranking = rank_strategies(arrays, [metric], metric.id, draws=1, seed=seed, incomplete=incomplete, looks=looks)
    first = tuple(row.strategy for row in ranking.rows if row.rank == 1)
    return Leader(metric.id, first, ranking.verdict == "decided", ranking.questions)


@dataclass(frozen=True, slots=True, eq=False)
class _Ordered:
    """Places of S strategies by one metric, ties at their mean place: (S,), and in every draw (D, S)."""

    values: FloatArray
    draws: FloatArray


class _Places:
    """Places by metric over given strategies and questions, each computed once."""

    def __init__(self, arrays: ScoreArrays, draws: int, seed: int) -> None:
        self._arrays = arrays
        self._draws = draws
        self._seed = seed
        self._known: dict[tuple[str, tuple[str, ...], bytes], _Ordered] = {}

    def pair(self, first: Metric, second: Metric) -> Pair:
        usable = [_has_values(self._arrays, each) for each in (first, second)]
        names = [name for name, *both in zip(self._arrays.strategies, *usable, strict=True) if all(both)]
        arrays = self._arrays.select(names)
        common = np.logical_and.reduce([each.contributions(arrays).usable.all(axis=0) for each in (first, second)])
        pair = Pair(first.id, second.id, len(names), int(common.sum()) if names else 0)
        if len(names) < 2:
            return replace(pair, why="fewer than 2 strategies have values of both")
        try:
            one, other = (self._ordered(arrays, each, common) for each in (first, second))
        except SapError:
            return replace(pair, why="fewer than 2 questions have values of both under every strategy")
        constant = [each.id for each, found in ((first, one), (second, other)) if np.ptp(found.values) == 0]
        if constant:
            return replace(pair, why=f"{' and '.join(constant)}: all strategies score the same")
        return replace(
            pair,
            spearman=_interval(spearman(one.values, other.values), spearman(one.draws, other.draws)),
            kendall=_interval(kendall(one.values, other.values), kendall(one.draws, other.draws)),
        )

    def _ordered(self, arrays: ScoreArrays, metric: Metric, common: BoolArray) -> _Ordered:
        key = metric.id, arrays.strategies, common.tobytes()
        if key not in self._known:
            scored = score_metric(arrays, _only(metric, arrays, common), self._draws, self._seed)
            lower = metric.direction == "lower"
            self._known[key] = _Ordered(_mean_places(scored.values, lower), _mean_places(scored.draws, lower))
        return self._known[key]


def _has_values(arrays: ScoreArrays, metric: Metric) -> BoolArray:
    has: BoolArray = np.logical_or.reduce(metric.contributions(arrays).usable, axis=1)
    return has


def _only(metric: Metric, arrays: ScoreArrays, questions: BoolArray) -> Metric:
    """The metric with values on these questions only."""
    found = metric.contributions(arrays)
    numerator = np.where(questions, found.numerator, np.nan)
    denominator = None if metric.denominator is None else lambda _: found.denominator
    return replace(metric, numerator=lambda _: numerator, denominator=denominator)


def _mean_places(scores: FloatArray, lower_is_better: bool) -> FloatArray:
    best, worst = bootstrap.ranks(scores, lower_is_better=lower_is_better)
    return (best + worst) / 2


def spearman(first: FloatArray, second: FloatArray) -> FloatArray:
    """Spearman's rho of every row: places (..., S) twice in, (...) out; NaN where all of a row's places are equal."""
    return _cosine(first - first.mean(axis=-1, keepdims=True), second - second.mean(axis=-1, keepdims=True))


def kendall(first: FloatArray, second: FloatArray) -> FloatArray:
    """Kendall's tau-b of every row: places (..., S) twice in, (...) out; NaN where all of a row's places are equal."""
    rows = np.atleast_2d(first), np.atleast_2d(second)
    blocks = [_cosine(_signs(one), _signs(other)) for one, other in _blocks(*rows)]
    found: FloatArray = np.concatenate(blocks).reshape(first.shape[:-1])
    return found


def _blocks(first: FloatArray, second: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    size = max(1, _BLOCK_CELLS // first.shape[1] ** 2)
    for start in range(0, len(first), size):
        yield first[start : start + size], second[start : start + size]


def _signs(places: FloatArray) -> FloatArray:
    """Which of every two strategies comes first: (D, S) in, (D, S * (S - 1) / 2) out."""
    one, other = np.triu_indices(places.shape[-1], k=1)
    return np.sign(places[:, one] - places[:, other])


def _cosine(first: FloatArray, second: FloatArray) -> FloatArray:
    lengths = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    with np.errstate(invalid="ignore"):
        cosine: FloatArray = np.clip((first * second).sum(axis=-1) / lengths, -1.0, 1.0)
    return cosine


def _interval(value: FloatArray, draws: FloatArray) -> Interval | None:
    """The value with the 95% interval of the draws that have one.

    Noise of the draws weakens a correlation, so the interval of a strong one can end before it; it then ends there.
    """
    defined = draws[~np.isnan(draws)]
    if not defined.size:
        return None
    low, high = np.quantile(defined, bootstrap.TAILS)
    return Interval(float(value), float(min(low, value)), float(max(high, value)))
