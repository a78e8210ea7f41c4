"""The paired bootstrap against slow loops, analytic results and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest

from core.stats.bootstrap import (
    bootstrap_medians,
    bootstrap_scores,
    interval_ends,
    probability_best,
    question_counts,
    rank_interval_ends,
    ranks,
)
from core.stats.intervals import score_ends, share_ends


def test_counts_are_the_draws_of_one_generator_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(question_counts(7, 50, seed=3)))
    monkeypatch.setattr("core.stats.bootstrap._BLOCK_CELLS", 20)
    blocks = list(question_counts(7, 50, seed=3))
    assert len(blocks) == 25
    assert np.array_equal(np.concatenate(blocks), whole)
    drawn = np.random.default_rng(3).integers(7, size=(50, 7))
    assert np.array_equal(whole, [[(row == question).sum() for question in range(7)] for row in drawn])


def test_scores_equal_a_slow_loop_over_the_same_draws() -> None:
    generator = np.random.default_rng(0)
    numerator, denominator = generator.gamma(2.0, size=(3, 11)), generator.gamma(2.0, size=(3, 11))
    scores = bootstrap_scores(numerator, denominator, draws=40, seed=5)
    drawn = np.random.default_rng(5).integers(11, size=(40, 11))
    for draw, questions in enumerate(drawn):
        for strategy in range(3):
            top = sum(numerator[strategy, question] for question in questions)
            bottom = sum(denominator[strategy, question] for question in questions)
            assert scores[draw, strategy] == pytest.approx(top / bottom, rel=1e-12)


def test_standard_error_of_a_mean_is_the_analytic_one() -> None:
    values = np.random.default_rng(1).normal(size=(1, 200))
    scores = bootstrap_scores(values, np.ones_like(values), draws=20_000)
    assert scores.std() == pytest.approx(values.std() / np.sqrt(200), rel=0.02)
    assert scores.mean() == pytest.approx(values.mean(), abs=0.002)


def test_interval_ends_are_linear_quantiles() -> None:
    low, high = interval_ends(np.arange(101.0)[:, None])
    assert (low[0], high[0]) == (2.5, 97.5)


def test_intervals_cover_the_truth_in_about_95_of_100() -> None:
    generator = np.random.default_rng(2)
    values = generator.normal(3.0, 1.0, size=(400, 100))
    low, high = interval_ends(bootstrap_scores(values, np.ones_like(values), draws=1_000))
    assert 0.91 <= ((low <= 3.0) & (high >= 3.0)).mean() <= 0.98


def test_pairing_narrows_a_difference() -> None:
    generator = np.random.default_rng(3)
    first = generator.normal(0.0, 5.0, size=300)
    values = np.stack([first, first + 1.0 + generator.normal(0.0, 0.1, size=300)])
    draws = bootstrap_scores(values, np.ones_like(values))
    low, high = interval_ends(draws[:, 1:] - draws[:, :1])
    assert high[0] - low[0] < 0.04
    assert low[0] == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("lower_is_better", [True, False])
def test_ranks_equal_a_slow_loop(lower_is_better: bool) -> None:
    scores = np.random.default_rng(4).integers(5, size=(30, 6)).astype(float)
    best, worst = ranks(scores, lower_is_better=lower_is_better)
    for row in range(30):
        ordered = sorted(scores[row], reverse=not lower_is_better)
        for column in range(6):
            assert best[row, column] == ordered.index(scores[row, column]) + 1
            assert worst[row, column] == 6 - ordered[::-1].index(scores[row, column])


def test_rounding_of_sums_does_not_break_a_tie() -> None:
    best, worst = ranks(np.array([0.1 + 0.2, 0.3, 1e20, 1e20 * (1 + 1e-15), 0.31]), lower_is_better=True)
    assert best.tolist() == [1, 1, 4, 4, 3]
    assert worst.tolist() == [2, 2, 5, 5, 3]


def test_equal_strategies_share_first_place_evenly() -> None:
    values = np.random.default_rng(5).gamma(2.0, size=(1, 50)).repeat(2, axis=0)
    best, worst = ranks(bootstrap_scores(values, np.ones_like(values)), lower_is_better=True)
    assert probability_best(best).tolist() == [0.5, 0.5]
    low, high = rank_interval_ends(best, worst)
    assert (low.tolist(), high.tolist()) == ([1, 1], [2, 2])


def test_probability_best_of_two_normal_means() -> None:
    generator = np.random.default_rng(6)
    difference = generator.normal(0.1, 1.0, size=100)
    values = np.stack([np.zeros(100), difference])
    best, _ = ranks(bootstrap_scores(values, np.ones_like(values), draws=20_000), lower_is_better=True)
    z = difference.mean() / (difference.std() / 10)
    normal = np.random.default_rng(7).normal(size=200_000)
    assert probability_best(best)[0] == pytest.approx((normal < z).mean(), abs=0.02)


def test_a_quantile_between_two_places_is_widened() -> None:
    places = np.array([[1]] * 1 + [[2]] * 38 + [[3]] * 1)
    low, high = rank_interval_ends(places, places)
    assert np.quantile(places, 0.025) == pytest.approx(1.975)
    assert (low[0], high[0]) == (1, 3)


@pytest.mark.parametrize("questions", [2, 7, 10])
def test_medians_equal_those_of_the_drawn_values(questions: int) -> None:
    values = np.random.default_rng(8).integers(6, size=(3, questions)).astype(float)
    drawn = np.random.default_rng(4).integers(questions, size=(60, questions))
    expected = np.median(values[:, drawn], axis=2).T
    assert np.array_equal(bootstrap_medians(values, draws=60, seed=4), expected)


def slow_t_interval(top: np.ndarray, bottom: np.ndarray, seed: int) -> tuple[float, float]:
    """Bootstrap-t ends of the difference of two ratios, draw by draw, errors from the jackknife's linearisation."""

    def estimate(questions: np.ndarray) -> tuple[float, float]:
        ratios = top[:, questions].sum(axis=1) / bottom[:, questions].sum(axis=1)
        own = (top[:, questions] - ratios[:, None] * bottom[:, questions]) / bottom[:, questions].mean(axis=1)[:, None]
        return float(ratios[1] - ratios[0]), float(np.sqrt(((own[1] - own[0]) ** 2).sum()))

    value, error = estimate(np.arange(top.shape[1]))
    drawn = np.random.default_rng(seed).integers(top.shape[1], size=(500, top.shape[1]))
    t = [(found - value) / its_error for found, its_error in map(estimate, drawn)]
    low, high = np.quantile(t, (0.025, 0.975))
    return value - high * error, value - low * error


def test_t_intervals_equal_a_slow_loop() -> None:
    generator = np.random.default_rng(9)
    top, bottom = generator.gamma(2.0, size=(2, 40)), generator.gamma(9.0, size=(2, 40))
    low, high = score_ends(top, bottom, bootstrap_scores(top, bottom, 500, seed=3), 3, beside=0)
    assert (low[1], high[1]) == pytest.approx(slow_t_interval(top, bottom, seed=3), rel=1e-9)
    assert low[0] == high[0] == 0.0
    zero = np.stack([np.zeros(40), top[1]])
    low, high = score_ends(top, bottom, bootstrap_scores(top, bottom, 500, seed=3), 3)
    beside_nothing = slow_t_interval(zero, np.stack([np.ones(40), bottom[1]]), seed=3)
    assert (low[1], high[1]) == pytest.approx(beside_nothing, rel=1e-9)


def test_intervals_of_skewed_values_cover_better_than_percentiles() -> None:
    values = np.exp(np.random.default_rng(10).normal(size=(600, 50)))
    ones, truth = np.ones_like(values), np.exp(0.5)
    drawn = bootstrap_scores(values, ones, draws=1_000)
    covered = [((low <= truth) & (truth <= high)).mean() for low, high in
        (score_ends(values, ones, drawn, 0), interval_ends(drawn))]  # fmt: skip
    assert covered[0] > covered[1] + 0.02
    assert covered[0] > 0.9


@pytest.mark.parametrize(
    "values",
    [[1.0, 2.0], [1.0] * 30, [0.0] * 19 + [1.0], [0.0] * 99 + [1.0], [1.0] * 29 + [1e150], [1.0, 5.0, 2.0, 9.0] * 2],
)
def test_intervals_of_few_or_tied_values_stay_near_them(values: list[float]) -> None:
    row = np.array([values])
    low, high = score_ends(row, np.ones_like(row), bootstrap_scores(row, np.ones_like(row)), 0)
    assert np.isfinite([low[0], high[0]]).all()
    assert low[0] <= row.mean() <= high[0]
    if len(set(values[:-1])) == 1 or len(values) < 10:
        assert low[0] >= row.min()
        assert high[0] <= row.max()


@pytest.mark.parametrize("sign", [1, -1])
def test_intervals_stay_within_the_values_of_single_questions(sign: int) -> None:
    """Ruled by one question, t would reach a perplexity below 0."""
    row = sign * np.array([[*np.linspace(1.05, 1.2, 27), 2.0, 80_000.0]])
    ones = np.ones_like(row)
    (low,), (high,) = score_ends(row, ones, bootstrap_scores(row, ones), 0)
    assert row.min() <= low < row.mean() < high <= row.max()


def test_intervals_of_ratios_stay_within_those_of_single_questions() -> None:
    top = np.ones((2, 30))
    bottom = np.array([[*np.linspace(1.0, 1.2, 29), 60_000.0], [*np.linspace(1.1, 1.4, 29), 50_000.0]])
    drawn = bootstrap_scores(top, bottom)
    low, high = score_ends(top, bottom, drawn, 0)
    assert (low >= (top / bottom).min(axis=1)).all()
    assert (high <= (top / bottom).max(axis=1)).all()
    low, high = score_ends(top, bottom, drawn, 0, beside=0)
    assert low[1] >= 1 / 50_000 - 1
    assert high[1] <= 1 / 1.1 - 1 / 60_000


def test_shares_have_wilsons_interval() -> None:
    """0 of 20 is not surely 0: by hand, z^2 / (n + z^2) = 0.161."""
    low, high = share_ends(np.array([0.0, 0.25]), 20)
    assert (low[0], high[0]) == (0.0, pytest.approx(0.1611, abs=1e-4))
    assert (low[1], high[1]) == (pytest.approx(0.1119, abs=1e-4), pytest.approx(0.4687, abs=1e-4))
