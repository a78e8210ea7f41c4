"""Every strategy beside the leader: places, differences, tests, verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.domain import Interval
from core.stats import bootstrap, significance
from core.stats.scored import Scored

if TYPE_CHECKING:
    from core.metrics.base import FloatArray
    from core.stats.bootstrap import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Every strategy beside the leader, in the order of `Scored.strategies`."""

    leader: int
    places: IntArray
    place_low: IntArray
    place_high: IntArray
    p_best: FloatArray
    differences: list[Interval]
    p_values: dict[int, float]
    more_questions: int | None

    def separable(self, strategy: int) -> bool:
        """Whether the strategy's place beside the leader is settled; the leader's own when every other one's is."""
        rivals = self.p_values if strategy == self.leader else (strategy,)
        return all(self.p_values[rival] < significance.ALPHA for rival in rivals)

    @property
    def verdict(self) -> str:
        """With a single strategy there is nothing to decide, so it stays undecided."""
        return "decided" if self.p_values and self.separable(self.leader) else "undecided"


@dataclass(frozen=True, slots=True)
class Tested:
    """What the looks at a run said: the leader, and the p values of its rivals, adjusted for looks and rivals.

    `level` is the share of the error rate that was to be had for all of them.
    """

    leader: int
    p_values: dict[int, float]
    level: float


def compare(main: Scored, seed: int, tested: Tested | None = None) -> Comparison:
    """The strategies beside the one with the best score, ties going to the earlier one; or as the looks have it."""
    places, _ = bootstrap.ranks(main.values, lower_is_better=main.lower_is_better)
    leader = tested.leader if tested else int(places.argmin())
    best, worst = bootstrap.ranks(main.draws, lower_is_better=main.lower_is_better)
    place_low, place_high = bootstrap.rank_interval_ends(best, worst)
    p_values, more_questions = _tests(main, leader, seed, tested)
    return Comparison(
        leader,
        places,
        place_low,
        place_high,
        bootstrap.probability_best(best),
        main.differences(leader),
        p_values,
        more_questions,
    )


def _tests(main: Scored, leader: int, seed: int, tested: Tested | None) -> tuple[dict[int, float], int | None]:
    """Adjusted p value of every rival of the leader, and how many more questions would settle them."""
    rivals = [index for index in range(len(main.strategies)) if index != leader]
    if not rivals:
        return {}, None
    statistic = main.metric.statistic
    differences = significance.paired_differences(main.numerator, main.denominator, statistic, leader, rivals)
    if tested is None:
        adjusted = significance.holm(significance.sign_flip_p_values(differences, seed=seed))
        tested = Tested(leader, dict(zip(rivals, map(float, adjusted), strict=True)), significance.ALPHA)
    if all(p < significance.ALPHA for p in tested.p_values.values()):
        return tested.p_values, None
    needed = significance.questions_needed(differences, tested.level)
    return tested.p_values, None if needed is None else max(1, needed - main.questions)
