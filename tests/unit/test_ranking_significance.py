"""Sign-flip tests, Holm's correction and the estimate of questions needed."""

from __future__ import annotations

from itertools import product
from statistics import NormalDist

import numpy as np
import pytest

from core.stats.significance import (
    holm,
    linear_contributions,
    paired_differences,
    questions_needed,
    sign_flip_p_values,
)


def corrected_t(differences: np.ndarray) -> float:
    """Hall's skewness-corrected t of one row, step by step."""
    from scipy import stats

    n = len(differences)
    if np.ptp(differences) == 0:
        return float("inf")
    t = differences.mean() / (differences.std() / np.sqrt(n))
    skewness = stats.skew(differences)
    return float(t + skewness * t**2 / (3 * np.sqrt(n)) + skewness**2 * t**3 / (27 * n) + skewness / (6 * np.sqrt(n)))


@pytest.mark.parametrize("questions", [2, 5, 9])
def test_small_samples_equal_brute_force(questions: int) -> None:
    differences = np.random.default_rng(questions).normal(0.4, 1.0, size=(3, questions))
    p_values = sign_flip_p_values(differences)
    for row, p_value in zip(differences, p_values, strict=True):
        flips = [abs(corrected_t(np.array(signs) * row)) for signs in product((1, -1), repeat=questions)]
        extreme = sum(value >= abs(corrected_t(row)) * (1 - 1e-6) for value in flips)
        assert p_value == extreme / 2**questions


def test_a_strategy_with_a_heavy_tail_is_not_taken_for_the_better_one_of_equal_means() -> None:
    generator = np.random.default_rng(20)
    steady = np.exp(0.25 * generator.normal(size=(1_500, 100)) - 0.25**2 / 2)
    heavy = np.exp(generator.normal(size=(1_500, 100)) - 1 / 2)
    differences = steady - heavy
    wrongly = (sign_flip_p_values(differences, flips=1_000) < 0.05) & (differences.mean(axis=1) > 0)
    by_t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / 10) > 1.984
    assert wrongly.mean() < 0.05 < by_t.mean()


def test_a_worked_example() -> None:
    # |sum| = 10 is reached by + + + + and - - - - alone; 8 also by either sign of the 1.
    assert sign_flip_p_values(np.array([[1.0, 2.0, 3.0, 4.0]]))[0] == 2 / 16
    assert sign_flip_p_values(np.array([[-1.0, 2.0, 3.0, 4.0]]))[0] == 4 / 16


def test_random_flips_come_near_the_exact_p_value_and_are_never_zero() -> None:
    differences = np.random.default_rng(8).normal(0.5, 1.0, size=(4, 13))
    exact = sign_flip_p_values(differences)
    sampled = sign_flip_p_values(differences, flips=8_000)
    assert (exact * 2**13 == np.round(exact * 2**13)).all()
    assert sampled == pytest.approx(exact, abs=0.02)
    assert (sampled != exact).any()
    assert sign_flip_p_values(np.ones((1, 100)))[0] == 1 / 10_001


def test_the_same_seed_gives_the_same_p_value() -> None:
    differences = np.random.default_rng(9).normal(0.2, 1.0, size=(2, 60))
    assert sign_flip_p_values(differences).tolist() == sign_flip_p_values(differences).tolist()
    assert sign_flip_p_values(differences, seed=1).tolist() != sign_flip_p_values(differences).tolist()


def test_large_samples_agree_with_the_normal_approximation() -> None:
    difference = np.random.default_rng(10).normal(0.1, 1.0, size=(1, 400))
    z = abs(difference.sum()) / np.sqrt((difference**2).sum())
    assert sign_flip_p_values(difference)[0] == pytest.approx(2 * (1 - NormalDist().cdf(z)), abs=0.01)


def test_p_values_are_uniform_without_a_difference() -> None:
    differences = np.random.default_rng(11).laplace(size=(600, 40))
    p_values = sign_flip_p_values(differences, flips=2_000)
    for level in (0.05, 0.25, 0.5, 0.75):
        assert (p_values <= level).mean() == pytest.approx(level, abs=0.06)


def test_equal_strategies_have_p_one() -> None:
    assert sign_flip_p_values(np.zeros((1, 5)))[0] == 1.0
    assert sign_flip_p_values(np.zeros((1, 50)))[0] == 1.0


def test_holm_of_a_worked_example() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.array([0.2])).tolist() == [0.2]


def test_contributions_of_a_mean_are_its_values() -> None:
    values = np.random.default_rng(12).gamma(2.0, size=(2, 9))
    assert linear_contributions(values, np.ones_like(values)) == pytest.approx(values)


def test_contributions_of_a_ratio_average_to_it_and_follow_the_jackknife() -> None:
    generator = np.random.default_rng(13)
    top, bottom = generator.gamma(20.0, size=(1, 500)), generator.gamma(20.0, size=(1, 500))
    contributions = linear_contributions(top, bottom)[0]
    ratio = top.sum() / bottom.sum()
    assert contributions.mean() == pytest.approx(ratio)
    without = np.array([(top.sum() - top[0, i]) / (bottom.sum() - bottom[0, i]) for i in range(500)])
    assert contributions == pytest.approx(500 * ratio - 499 * without, rel=0.01, abs=0.02)


def test_questions_needed_of_one_rival() -> None:
    differences = np.array([[1.0, -1.0] * 50]) + 0.1
    z = 0.1 / differences.std(ddof=1)
    assert questions_needed(differences) == int(np.ceil((NormalDist().inv_cdf(0.975) / z) ** 2))


def test_that_many_questions_bring_p_to_the_level() -> None:
    pattern = np.random.default_rng(14).normal(size=200)
    differences = ((pattern - pattern.mean()) / pattern.std() + 0.1)[None]
    needed = questions_needed(differences)
    assert needed is not None
    p_values = sign_flip_p_values(np.tile(differences, 2)[:, :needed])
    assert 380 <= needed <= 390
    assert p_values[0] == pytest.approx(0.05, abs=0.04)


def test_the_hardest_step_of_holm_counts() -> None:
    pattern = np.array([1.0, -1.0] * 50)
    close, clear = pattern + 0.1, pattern + 2.0
    alone = questions_needed(np.stack([close]))
    assert questions_needed(np.stack([close, clear])) == alone
    both_close = questions_needed(np.stack([close, close]))
    assert alone is not None
    assert both_close is not None
    assert both_close > alone


def test_questions_needed_without_an_estimate() -> None:
    assert questions_needed(np.array([[1.0, -1.0, 1.0, -1.0]])) is None
    assert questions_needed(np.zeros((1, 4))) is None


def test_a_constant_difference_still_needs_enough_questions_for_the_test() -> None:
    needed = questions_needed(np.full((1, 3), 0.5))
    assert needed == 6
    assert sign_flip_p_values(np.full((1, 5), 0.5))[0] >= 0.05
    assert sign_flip_p_values(np.full((1, needed), 0.5))[0] < 0.05


def test_sides_of_two_medians_do_not_change_when_the_values_of_a_question_are_swapped() -> None:
    values = np.random.default_rng(15).gamma(2.0, size=(2, 12))
    sides = paired_differences(values, np.ones_like(values), "median", 0, [1])[0]
    swapped = values.copy()
    swapped[:, 3] = values[::-1, 3]
    expected = sides.copy()
    expected[3] = -sides[3]
    assert paired_differences(swapped, np.ones_like(values), "median", 0, [1])[0].tolist() == expected.tolist()
    middle = np.median(values)
    assert sides.sum() / 2 == (values[1] > middle).sum() - (values[0] > middle).sum()


def test_the_test_of_medians_sees_medians_and_not_means() -> None:
    generator = np.random.default_rng(16)
    first = generator.normal(size=200)
    later, heavy = first + 0.8 + generator.normal(size=200), first.copy()
    heavy[:5] += 1_000
    values = np.stack([first, later, heavy])
    p_values = sign_flip_p_values(paired_differences(values, np.ones_like(values), "median", 0, [1, 2]))
    assert p_values[0] < 0.001
    assert p_values[1] > 0.05
