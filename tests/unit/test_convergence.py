"""Convergence: scores and intervals over the first so many questions are those of these questions alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from core.domain import ContextKind
from core.errors import SapError
from core.metrics.base import ContextScores, ScoreArrays
from core.metrics.registry import metric
from core.stats.convergence import FIRST, convergence, growing_sizes
from core.stats.ranking import rank_strategies


def arrays(mean_nll: dict[str, np.ndarray], lengths: dict[str, np.ndarray] | None = None) -> ScoreArrays:
    values = np.array(list(mean_nll.values()))
    tokens = np.array([(lengths or {}).get(name, np.full(values.shape[1], 10.0)) for name in mean_nll])
    scores = ContextScores(tokens, values * tokens, np.full_like(values, np.nan))
    return ScoreArrays(tuple(mean_nll), tuple(range(values.shape[1])), {ContextKind.PLAIN: scores})


def first_questions(whole: ScoreArrays, count: int) -> ScoreArrays:
    """As if the run had these questions only."""
    scores = whole.contexts[ContextKind.PLAIN]
    cut = ContextScores(scores.tokens[:, :count], scores.nll_sum[:, :count], scores.rank_sum[:, :count])
    return replace(whole, questions=whole.questions[:count], contexts={ContextKind.PLAIN: cut})


@pytest.fixture
def sampled() -> ScoreArrays:
    generator = np.random.default_rng(3)
    difficulty = generator.gamma(4.0, 0.1, size=200)
    nll = {name: mean + difficulty + generator.normal(0, 0.2, 200) for name, mean in (("a", 1.0), ("b", 1.3), ("c", 2))}
    return arrays(nll, {name: generator.integers(5, 60, 200).astype(float) for name in nll})


@pytest.mark.parametrize("questions", [2, 3, 7, 19, 20, 50, 999, 1_000])
def test_sizes_grow_and_end_with_all_questions(questions: int) -> None:
    sizes = growing_sizes(questions)
    assert sizes[-1] == questions
    assert sizes[0] == (2 if questions < 20 else FIRST)
    assert list(sizes) == sorted(set(sizes))
    steps = [after / before for before, after in itertools.pairwise(sizes) if before >= FIRST]
    assert all(1.05 < step < 1.35 for step in steps)


@pytest.mark.parametrize("name", ["nll", "ppl", "response_tokens"])
def test_every_step_is_the_ranking_of_these_questions_alone(sampled: ScoreArrays, name: str) -> None:
    by = metric(name)
    found = convergence(sampled, by)
    for step in (0, 5, 11, len(found.questions) - 1):
        alone = rank_strategies(first_questions(sampled, found.questions[step]), [by], name)
        for row in alone.rows:
            interval = found.series[row.strategy][step]
            expected = row.scores[name]
            assert (interval.value, interval.low, interval.high) == pytest.approx(
                (expected.value, expected.low, expected.high), rel=1e-12
            )


def test_values_are_plain_sums(sampled: ScoreArrays) -> None:
    found = convergence(sampled, metric("nll"))
    scores = sampled.contexts[ContextKind.PLAIN]
    for row, name in enumerate(sampled.strategies):
        for step, size in enumerate(found.questions):
            mean = np.mean(scores.nll_sum[row, :size] / scores.tokens[row, :size])
            assert found.series[name][step].value == pytest.approx(mean, rel=1e-12)


def test_the_band_narrows_as_a_standard_error_does() -> None:
    values = np.random.default_rng(0).normal(2.0, 0.5, 1_000)
    found = convergence(arrays({"a": values, "b": values + 1}), metric("nll"))
    for step, size in enumerate(found.questions):
        if size >= 100:
            interval = found.series["a"][step]
            expected = 2 * 1.96 * np.std(values[:size], ddof=1) / np.sqrt(size)
            assert interval.high - interval.low == pytest.approx(expected, rel=0.1)


def test_leaders_and_order_are_followed_back() -> None:
    ahead, behind = np.full(40, 1.0), np.full(40, 1.2)
    late = np.r_[np.full(20, 0.5), np.full(20, 2.0)]
    found = convergence(arrays({"ahead": ahead, "late": late, "behind": behind}), metric("nll"))
    assert found.leaders == ("ahead",)
    means = {size: late[:size].mean() for size in found.questions}
    assert found.leaders_since == min(size for size in means if means[size] > 1.0)
    assert found.order_since == min(size for size in means if means[size] > 1.2)
    assert list(found.series) == ["ahead", "behind", "late"]


def test_tied_leaders_are_all_named() -> None:
    same = np.linspace(1, 2, 30)
    found = convergence(arrays({"a": same, "b": same, "c": same + 1}), metric("nll"))
    assert found.leaders == ("a", "b")
    assert found.leaders_since == found.order_since == FIRST


def test_questions_without_a_value_count_for_nobody(sampled: ScoreArrays) -> None:
    scores = sampled.contexts[ContextKind.PLAIN]
    holes = scores.nll_sum.copy()
    holes[1, :30] = np.nan
    found = convergence(replace(sampled, contexts={ContextKind.PLAIN: replace(scores, nll_sum=holes)}), metric("nll"))
    assert found.questions[-1] == 170
    assert found.series["a"][0].value == pytest.approx(np.mean((scores.nll_sum / scores.tokens)[0, 30 : 30 + FIRST]))


def test_a_strategy_that_dropped_out_has_its_own_shorter_series(sampled: ScoreArrays) -> None:
    scores = sampled.contexts[ContextKind.PLAIN]
    holes = scores.nll_sum.copy()
    holes[2, 64:] = np.nan
    partial = replace(sampled, contexts={ContextKind.PLAIN: replace(scores, nll_sum=holes)})
    found = convergence(partial, metric("nll"), incomplete={"c": "dropped out after 64 questions"})
    assert found.questions[-1] == 200
    assert len(found.series["c"]) == sum(size <= 64 for size in found.questions)
    assert found.left_out == {"c": "dropped out after 64 questions"}
    expected = rank_strategies(first_questions(sampled, found.questions[4]), [metric("nll")], "nll")
    (row,) = (row for row in expected.rows if row.strategy == "c")
    assert found.series["c"][4].high == pytest.approx(row.scores["nll"].high)


def test_without_common_questions_it_says_what_is_missing() -> None:
    left, right = np.full(20, 1.0), np.full(20, 2.0)
    left[10:], right[:10] = np.nan, np.nan
    with pytest.raises(SapError, match="under every strategy"):
        convergence(arrays({"a": left, "b": right}), metric("nll"))
