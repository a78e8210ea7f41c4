"""How the scores of a metric settle: every strategy's score and 95% interval at growing numbers of questions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.domain import Interval
from core.errors import SapError
from core.metrics.base import Metric, ScoreArrays
from core.stats import bootstrap
from core.stats.ranking import rankable
from core.stats.scored import Scored, score_metric

GROWTH = 1.2
FIRST = 10
# Fewer questions than this would have hardly a step between the first and the last.
FEW_QUESTIONS = 20


@dataclass(frozen=True, slots=True)
class Convergence:
    """One metric at growing numbers of questions: `series` by strategy, as long as it has scores, the best ones first.

    `left_out` maps strategies without all the questions to why. `leaders` (several where tied) and the order of those
    with all of them are what they are at the end since so many questions.
    """

    metric: Metric
    questions: tuple[int, ...]
    series: dict[str, tuple[Interval, ...]]
    left_out: dict[str, str]
    leaders: tuple[str, ...]
    leaders_since: int
    order_since: int


def growing_sizes(questions: int) -> tuple[int, ...]:
    """Numbers of questions that grow by a fifth, the last one all of them."""
    size = FIRST if questions >= FEW_QUESTIONS else 2
    sizes = [size]
    while size < questions:
        size = max(size + 1, round(size * GROWTH))
        # A last step that is hardly one gives way to the end.
        sizes.append(questions if size * math.sqrt(GROWTH) > questions else size)
        size = sizes[-1]
    return tuple(sizes)


def convergence(
    arrays: ScoreArrays,
    by: Metric,
    *,
    draws: int = bootstrap.DRAWS,
    seed: int = 0,
    incomplete: Mapping[str, str] | None = None,
) -> Convergence:
    """The metric over the first so many of the questions that all the ranked strategies have a value of, in order.

    The last score and interval of a strategy are those of its ranking. Strategies in `incomplete` (name to reason),
    which dropped out, have a series of their own up to there. Raises SapError as a ranking does.
    """
    ranked, left_out = rankable(arrays, by, incomplete or {})
    whole = score_metric(ranked, by, draws, seed)
    sizes = growing_sizes(whole.questions)
    looks = [whole.of_first(size) for size in sizes]
    places = np.array([_places(look) for look in looks])
    intervals = [look.intervals() for look in looks]
    order = [whole.strategies[row] for row in np.argsort(places[-1], kind="stable")]
    series = {name: tuple(found[name] for found in intervals) for name in order}
    for name in left_out:
        found = tuple(_own_intervals(arrays.select([*ranked.strategies, name]), by, sizes, draws, seed))
        series |= {name: found} if found else {}
    return Convergence(
        by,
        sizes,
        series,
        left_out,
        tuple(name for name, place in zip(whole.strategies, places[-1], strict=True) if place == 1),
        _since(sizes, (places == 1) == (places[-1] == 1)),
        _since(sizes, places == places[-1]),
    )


def _places(scored: Scored) -> bootstrap.IntArray:
    best, _ = bootstrap.ranks(scored.values, lower_is_better=scored.lower_is_better)
    return best


def _own_intervals(arrays: ScoreArrays, by: Metric, sizes: Sequence[int], draws: int, seed: int) -> Iterator[Interval]:
    """Of the last of the strategies, at the sizes for which it has questions in common with the others."""
    if not by.contributions(arrays).usable[-1].any():
        return
    try:
        whole = score_metric(arrays, by, draws, seed)
    except SapError:
        return
    for size in sizes:
        if size <= whole.questions:
            yield whole.of_first(size).intervals()[arrays.strategies[-1]]


def _since(sizes: Sequence[int], same: bootstrap.BoolArray) -> int:
    """The size from which on all of a row (K, S) are true."""
    as_at_end = same.all(axis=1)
    changes = np.flatnonzero(~as_at_end)
    return sizes[int(changes[-1]) + 1] if changes.size else sizes[0]
