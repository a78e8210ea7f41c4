"""Every strategy beside the leader: places, differences, tests, verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.domain import Interval
from core.stats import bootstrap, significance
from core.stats.scored import Scored, intervals_of

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


def compare(main: Scored, seed: int) -> Comparison:
    """The strategies beside the one with the best score, ties going to the earlier one."""
    places, _ = bootstrap.ranks(main.values, lower_is_better=main.lower_is_better)
    leader = int(places.argmin())
    best, worst = bootstrap.ranks(main.draws, lower_is_better=main.lower_is_better)
    place_low, place_high = bootstrap.rank_interval_ends(best, worst)
    p_values, more_questions = _tests(main, leader, seed)
    return Comparison(
        leader,
        places,
        place_low,
        place_high,
        bootstrap.probability_best(best),
        intervals_of(main.values - main.values[leader], main.draws - main.draws[:, [leader]]),
        p_values,
        more_questions,
    )


def _tests(main: Scored, leader: int, seed: int) -> tuple[dict[int, float], int | None]:
    """Holm-adjusted p value of every rival of the leader, and how many more questions would settle them."""
    rivals = [index for index in range(len(main.strategies)) if index != leader]
    if not rivals:
        return {}, None
    contributions = significance.linear_contributions(main.numerator, main.denominator)
    differences = contributions[rivals] - contributions[leader]
    adjusted = significance.holm(significance.sign_flip_p_values(differences, seed=seed))
    needed = significance.questions_needed(differences)
    undecided = bool((adjusted >= significance.ALPHA).any())
    more = max(1, needed - main.questions) if undecided and needed is not None else None
    return {rival: float(p) for rival, p in zip(rivals, adjusted, strict=True)}, more
