"""Simulations with known truth: how often intervals cover it, and how often a wrong leader is called decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from core.stats import significance
from core.stats.bootstrap import bootstrap_medians, bootstrap_scores, interval_ends
from core.stats.intervals import score_ends
from core.stats.look_sizes import look_sizes
from core.stats.sequential import sequential_looks

if TYPE_CHECKING:
    from core.stats.bootstrap import FloatArray

    Draw: TypeAlias = Callable[[np.random.Generator, int], FloatArray]

SIZES = (20, 50, 100, 200, 300)
BUDGET = 300
DRAWS = 1_000
FLIPS = 2_000
# Values this many times their median make a population whose mean no sample of these sizes can know.
EXTREME = 20.0

CANDIDATES = (
    "claude", "gpt4", "mini_gpt4", "step_by_step", "openai_human_written_examples", "gpt4_style_in_context_examples",
)  # fmt: skip
WITH_SOLUTIONS = ("gsm8k", "math_algebra", "ecqa", "math_geometry")


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Draws (2, S, n): numerators and denominators of S strategies; `truth` (S,) are their scores."""

    name: str
    draw: Draw
    truth: FloatArray


def read_record(path: Path) -> dict[str, FloatArray]:
    """Values (S, 300) of the candidates of every main pair of the published record, with two examples in the prompt."""
    pairs: dict[tuple[str, str], dict[str, list[float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["in_context_examples"] == 2 and not row["task"].startswith("plan_bench"):
            pairs.setdefault((row["target_model"], row["task"]), {})[row["strategy"]] = row["values"]
    with_solutions = (*CANDIDATES, "rewrite_groundtruth_in_own_words", "groundtruth")
    return {
        f"{target}, {task}": np.array(
            [values[name] for name in (with_solutions if task in WITH_SOLUTIONS else CANDIDATES)]
        )
        for (target, task), values in pairs.items()
    }


def coverage(record: dict[str, FloatArray], repeats: int, repeats_of_record: int) -> list[dict[str, Any]]:
    """Per population and kind of interval the share that holds the truth, by the number of questions."""
    rows = []
    for population in _populations():
        rows += _rows(population.name, [population], repeats)
    rows += _rows("lognormal 0.5", [_means_of_lognormals()], repeats, median=True)
    usual: list[Population] = []
    extreme: list[Population] = []
    for name, values in record.items():
        has_extremes = (values.max(axis=1) > EXTREME * np.median(values, axis=1)).any()
        (extreme if has_extremes else usual).append(_resampled(name, values))
    if usual:
        rows += _rows(f"published record, {len(usual)} pairs", usual, repeats_of_record)
    if extreme:
        rows += _rows(f"published record, {len(extreme)} pairs with extreme values", extreme, repeats_of_record)
    return rows


def _rows(name: str, populations: list[Population], repeats: int, median: bool = False) -> list[dict[str, Any]]:
    ends = _median_ends if median else _mean_ends
    rows: list[dict[str, Any]] = [
        {
            "population": name,
            "interval": f"{'median' if median else 'score'}{kind}",
            "samples": repeats * len(populations),
            "coverage": {},
        }
        for kind in ("", ", difference")
    ]
    for size in SIZES:
        generator = np.random.default_rng(size)
        held: list[list[bool]] = [[], []]
        for population in populations:
            for repeat in range(repeats):
                for place, beside in enumerate((None, 0)):
                    truth = population.truth if beside is None else population.truth - population.truth[0]
                    if place == 0:
                        numerator, denominator = population.draw(generator, size)
                    low, high = ends(numerator, denominator, repeat, beside)
                    inside = (low <= truth) & (truth <= high)
                    held[place] += inside[0 if beside is None else 1 :].tolist()
        for row, found in zip(rows, held, strict=True):
            row["coverage"][str(size)] = float(np.mean(found))
    return rows


def _mean_ends(
    numerator: FloatArray, denominator: FloatArray, seed: int, beside: int | None
) -> tuple[FloatArray, FloatArray]:
    drawn = bootstrap_scores(numerator, denominator, DRAWS, seed)
    return score_ends(numerator, denominator, drawn, seed, beside)


def _median_ends(
    numerator: FloatArray, denominator: FloatArray, seed: int, beside: int | None
) -> tuple[FloatArray, FloatArray]:
    drawn = bootstrap_medians(numerator, DRAWS, seed)
    return interval_ends(drawn if beside is None else drawn - drawn[:, [beside]])


def _populations() -> Iterator[Population]:
    yield _values("normal", np.array([0.0, 0.2]), lambda generator, size: generator.normal(size=size))
    yield _values("exponential", np.array([1.0, 1.2]), lambda generator, size: generator.exponential(size=size) - 1)
    for spread in (0.5, 1.0):
        yield _lognormals(spread, np.array([1.0, 1.1]))
    yield Population("ratio of lognormals", _ratios, np.exp(np.array([0.0, 0.1]) + 0.205))


def _values(name: str, truth: FloatArray, noise: Callable[[np.random.Generator, Any], FloatArray]) -> Population:
    def draw(generator: np.random.Generator, size: int) -> FloatArray:
        shared = noise(generator, size)
        values = truth[:, None] + (shared + noise(generator, (len(truth), size))) / np.sqrt(2)
        return np.stack([values, np.ones_like(values)])

    return Population(name, draw, truth)


def _lognormals(spread: float, truth: FloatArray, spreads: FloatArray | None = None) -> Population:
    """Half of the variance of the logarithm is the question's; a strategy's own where `spreads` says so."""

    def draw(generator: np.random.Generator, size: int) -> FloatArray:
        shared, own = generator.normal(size=size), generator.normal(size=(len(truth), size))
        sigma = np.full(len(truth), spread)[:, None] if spreads is None else spreads[:, None]
        values = truth[:, None] * np.exp(sigma * (shared + own) / np.sqrt(2) - sigma**2 / 2)
        return np.stack([values, np.ones_like(values)])

    return Population(f"lognormal {spread:g}", draw, truth)


def _means_of_lognormals() -> Population:
    population = _lognormals(0.5, np.array([1.0, 1.1]))
    return Population(population.name, population.draw, population.truth * np.exp(-0.125))


def _ratios(generator: np.random.Generator, size: int) -> FloatArray:
    shared, own = generator.normal(size=size), generator.normal(size=(2, 2, size))
    top = np.exp(np.array([[0.0], [0.1]]) + 0.6 * shared + 0.5 * own[0])
    return np.stack([top, np.exp(0.4 * shared + 0.2 * own[1])])


def _resampled(name: str, values: FloatArray) -> Population:
    def draw(generator: np.random.Generator, size: int) -> FloatArray:
        drawn = values[:, generator.integers(values.shape[1], size=size)]
        return np.stack([drawn, np.ones_like(drawn)])

    return Population(name, draw, values.mean(axis=1))


def wrong_leaders(record: dict[str, FloatArray], repeats: int) -> list[dict[str, Any]]:
    """Share of verdicts that are "decided", and of those with a leader that is not the best one.

    Where all are equally good, everyone is the best one.
    """
    return [_verdicts(population, repeats) for population in (*_close_races(), *_record_races(record))]


def _close_races() -> Iterator[Population]:
    for strategies in (2, 6, 20):
        equal, nearly = np.ones(strategies), 1 - 0.02 * np.eye(strategies)[0]
        lognormal = _lognormals(0.5, equal)
        yield Population(f"{strategies} equal, lognormal 0.5", lognormal.draw, equal)
        yield Population(f"{strategies}, best by 2%, lognormal 0.5", _lognormals(0.5, nearly).draw, nearly)
    for own, others in ((0.25, 0.5), (0.5, 1.0), (0.25, 1.0)):
        truth, spreads = np.array([0.99, 1.0]), np.array([own, others])
        population = _lognormals(0.0, truth, spreads)
        yield Population(f"2, best by 1%, lognormal {own:g}, the other {others:g}", population.draw, truth)


def _record_races(record: dict[str, FloatArray]) -> Iterator[Population]:
    """The pairs of the record whose two best strategies are nearest to each other."""
    gaps = {name: np.diff(np.sort(values.mean(axis=1))[:2])[0] for name, values in record.items()}
    for name in sorted(gaps, key=gaps.__getitem__)[:4]:
        yield _resampled(f"resampled record: {name}", record[name])


def _verdicts(population: Population, repeats: int) -> dict[str, Any]:
    found: dict[str, list[tuple[bool, bool]]] = {"50": [], "100": [], "300": [], "looks": []}
    generator = np.random.default_rng(0)
    best = population.truth.min()
    repeats *= 3 if len(population.truth) == 2 else 1
    for seed in range(repeats):
        values, ones = population.draw(generator, BUDGET)
        for size in (50, 100, 300):
            leader, decided = _verdict(values[:, :size], ones[:, :size], seed)
            found[str(size)].append((decided, bool(population.truth[leader] > best)))
        last = sequential_looks(values, ones, lower_is_better=True, sizes=look_sizes(BUDGET), flips=FLIPS, seed=seed)[
            -1
        ]
        found["looks"].append((last.decided, bool(population.truth[last.leader] > best)))
    return {
        "setting": population.name,
        "repeats": repeats,
        "decided": {name: float(np.mean([decided for decided, _ in each])) for name, each in found.items()},
        "wrong": {name: float(np.mean([decided and wrong for decided, wrong in each])) for name, each in found.items()},
    }


def _verdict(values: FloatArray, ones: FloatArray, seed: int) -> tuple[int, bool]:
    """The leader and whether it is decided, as a ranking by a mean has it."""
    leader = int(values.mean(axis=1).argmin())
    rivals = [row for row in range(len(values)) if row != leader]
    differences = significance.paired_differences(values, ones, "mean", leader, rivals)
    adjusted = significance.holm(significance.sign_flip_p_values(differences, flips=FLIPS, seed=seed))
    return leader, bool((adjusted < significance.ALPHA).all())


def stopping(record: dict[str, FloatArray], orders: int) -> list[dict[str, Any]]:
    """Per pair: is all of it decided, and over seeded orders how often the looks pick the same and what they cost."""
    rows = []
    for name, values in record.items():
        ones = np.ones_like(values)
        leader, separable = _verdict(values, ones, seed=0)
        agreed, decided, scored = [], [], []
        for seed in range(orders):
            order = np.random.default_rng(seed).permutation(values.shape[1])
            looks = sequential_looks(values[:, order], ones, lower_is_better=True, sizes=look_sizes(BUDGET))
            sizes = np.diff([0, *(look.questions for look in looks)])
            agreed.append(looks[-1].leader == leader)
            decided.append(looks[-1].decided)
            scored.append(sum(len(look.active) * size for look, size in zip(looks, sizes, strict=True)) / values.size)
        rows.append({
            "pair": name, "strategies": len(values), "separable": separable, "agreed": float(np.mean(agreed)),
            "decided": float(np.mean(decided)), "scored": float(np.mean(scored)),
        })  # fmt: skip
    return rows
