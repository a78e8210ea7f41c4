"""The paired bootstrap against slow loops, analytic results and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest

from core.stats.bootstrap import (
    bootstrap_scores,
    interval_ends,
    probability_best,
    question_counts,
    rank_interval_ends,
    ranks,
)


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
