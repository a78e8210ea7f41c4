"""Agreement of metrics, held against scipy on arrays made by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from core.domain import ContextKind
from core.errors import SapError
from core.export.agreement import agreement_matrix, agreement_object, agreement_sentences
from core.metrics.base import ContextScores, Metric, ScoreArrays
from core.stats.agreement import Agreement, Pair, kendall, metric_agreement, spearman
from core.stats.bootstrap import question_counts

Values = NDArray[np.float64]


def fixed(metric_id: str, values: Values, direction: str = "lower") -> Metric:
    """A metric whose contributions are these values: (S, Q)."""

    def of(arrays: ScoreArrays) -> Values:
        return values[[int(name[1:]) for name in arrays.strategies]]

    return Metric(metric_id, metric_id, "", direction, (ContextKind.PLAIN,), "", of)  # type: ignore[arg-type]


def arrays_of(strategies: int, questions: int) -> ScoreArrays:
    ones = np.ones((strategies, questions))
    names = tuple(f"s{number}" for number in range(strategies))
    return ScoreArrays(names, tuple(range(questions)), {ContextKind.PLAIN: ContextScores(ones, ones, ones)})


def only_pair(agreement: Agreement) -> Pair:
    (pair,) = agreement.pairs
    return pair


@pytest.fixture
def values() -> Values:
    return np.random.default_rng(3).gamma(4.0, size=(3, 7, 40)) + np.linspace(0, 2, 7)[None, :, None]


def test_correlations_are_those_of_scipy(values: Values) -> None:
    first, second, third = values
    metrics = [fixed("a", first), fixed("b", second), fixed("c", third, "higher")]
    agreement = metric_agreement(arrays_of(7, 40), metrics, draws=50)
    scores = {"a": first.mean(1), "b": second.mean(1), "c": -third.mean(1)}
    assert [(pair.first, pair.second) for pair in agreement.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    for pair in agreement.pairs:
        one, other = scores[pair.first], scores[pair.second]
        assert pair.spearman is not None
        assert pair.kendall is not None
        assert pair.spearman.value == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)
        assert pair.kendall.value == pytest.approx(stats.kendalltau(one, other).statistic, abs=1e-12)
        assert (pair.strategies, pair.questions) == (7, 40)


def test_ties_and_rows_are_treated_as_scipy_does() -> None:
    rows = np.random.default_rng(1).integers(1, 5, size=(2, 30, 6)).astype(float)
    first, second = (np.array([stats.rankdata(row) for row in block]) for block in rows)
    for place in range(30):
        expected = stats.spearmanr(first[place], second[place]).statistic
        assert spearman(first, second)[place] == pytest.approx(expected, abs=1e-12, nan_ok=True)
        expected = stats.kendalltau(first[place], second[place]).statistic
        assert kendall(first, second)[place] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_intervals_come_from_the_same_draws_of_questions_for_both_metrics(values: Values) -> None:
    first, second, _ = values
    pair = only_pair(metric_agreement(arrays_of(7, 40), [fixed("a", first), fixed("b", second)], draws=300))
    counts = np.concatenate(list(question_counts(40, 300, seed=0)))
    expected = [stats.spearmanr(first @ row, second @ row).statistic for row in counts]
    assert pair.spearman is not None
    low, high = np.quantile(expected, (0.025, 0.975))
    assert pair.spearman.low == pytest.approx(min(low, pair.spearman.value), abs=1e-12)
    assert pair.spearman.high == pytest.approx(max(high, pair.spearman.value), abs=1e-12)
    same = only_pair(metric_agreement(arrays_of(7, 40), [fixed("a", first), fixed("b", 3 * first)], draws=300))
    assert same.kendall is not None
    assert (same.kendall.low, same.kendall.value, same.kendall.high) == (1.0, 1.0, 1.0)


def test_directions_turn_the_sign(values: Values) -> None:
    first = values[0]
    pair = only_pair(metric_agreement(arrays_of(7, 40), [fixed("a", first), fixed("b", first, "higher")], draws=20))
    assert pair.spearman is not None
    assert (pair.spearman.low, pair.spearman.value, pair.spearman.high) == (-1.0, -1.0, -1.0)


def test_a_pair_uses_the_questions_and_strategies_that_both_metrics_have(values: Values) -> None:
    first, second = values[0].copy(), values[1].copy()
    first[2, :5] = np.nan
    second[4, 30:] = np.nan
    second[6] = np.nan
    pair = only_pair(metric_agreement(arrays_of(7, 40), [fixed("a", first), fixed("b", second)], draws=20))
    assert (pair.strategies, pair.questions) == (6, 25)
    expected = stats.spearmanr(first[:6, 5:30].mean(1), second[:6, 5:30].mean(1)).statistic
    assert pair.spearman is not None
    assert pair.spearman.value == pytest.approx(expected, abs=1e-12)


def test_a_metric_without_differences_has_no_correlation(values: Values) -> None:
    flat = np.full((7, 40), 2.5)
    pair = only_pair(metric_agreement(arrays_of(7, 40), [fixed("a", values[0]), fixed("flat", flat)], draws=20))
    assert (pair.spearman, pair.kendall) == (None, None)
    assert pair.why == "flat: all strategies score the same"


def test_leaders_say_whether_they_are_settled(values: Values) -> None:
    clear, noise = values[0] * 0.01 + np.arange(7)[:, None], values[1] - np.linspace(0, 2, 7)[:, None]
    agreement = metric_agreement(
        arrays_of(7, 40), [fixed("a", clear), fixed("b", noise), fixed("c", clear, "higher"), fixed("d", 0 * clear)]
    )
    leaders = {leader.metric: leader for leader in agreement.leaders}
    assert (leaders["a"].strategies, leaders["a"].separable) == (("s0",), True)
    assert (leaders["c"].strategies, leaders["c"].separable) == (("s6",), True)
    assert not leaders["b"].separable
    assert leaders["b"].strategies == (f"s{noise.mean(1).argmin()}",)
    assert leaders["d"].strategies == tuple(f"s{number}" for number in range(7))


def test_what_cannot_be_computed_is_listed_and_the_rest_still_comes(values: Values) -> None:
    def refuse(_: ScoreArrays) -> Values:
        raise SapError("There is no reward.", "Import one.")

    metrics = [
        fixed("a", values[0]),
        fixed("none", values[0]),
        fixed("empty", np.nan * values[0]),
        fixed("b", values[1]),
    ]
    metrics[1] = Metric("none", "", "", "lower", (ContextKind.PLAIN,), "", refuse)
    agreement = metric_agreement(arrays_of(7, 40), metrics, draws=20)
    assert [each.id for each in agreement.metrics] == ["a", "b"]
    assert agreement.missing["none"] == "There is no reward. Import one."
    assert "empty" in agreement.missing
    assert len(agreement.pairs) == 1


def test_incomplete_strategies_are_not_compared(values: Values) -> None:
    agreement = metric_agreement(
        arrays_of(7, 40), [fixed("a", values[0]), fixed("b", values[1])], draws=20, incomplete={"s0": "out"}
    )
    assert only_pair(agreement).strategies == 6
    assert all("s0" not in leader.strategies for leader in agreement.leaders)


def test_too_few_questions_or_strategies_in_common(values: Values) -> None:
    early, late = values[0].copy(), values[1].copy()
    early[:, 20:] = np.nan
    late[:, :19] = np.nan
    pair = only_pair(metric_agreement(arrays_of(7, 40), [fixed("a", early), fixed("b", late)], draws=20))
    assert (pair.spearman, pair.questions) == (None, 1)
    assert "fewer than 2 questions" in pair.why
    lonely = values[1].copy()
    lonely[1:] = np.nan
    pair = only_pair(metric_agreement(arrays_of(7, 40), [fixed("a", values[0]), fixed("b", lonely)], draws=20))
    assert "fewer than 2 strategies" in pair.why


def test_words_say_what_differs(values: Values) -> None:
    order = np.arange(7.0)[:, None]
    metrics = [
        fixed("a", values[0] * 0.01 + order),
        fixed("b", values[1] * 0.01 - order),
        fixed("c", 0 * values[0]),
        fixed("d", values[2] * 0.01 + order),
    ]
    agreement = replace(metric_agreement(arrays_of(7, 40), metrics, draws=50), missing={"car": "No reward."})
    words = agreement_sentences(agreement)
    assert words[0] == "The metrics name 2 different leaders: s0 by a (separable), d (separable); s6 by b (separable)."
    assert "contradict each other" in words[1]
    assert "c has no single leader: s0, s1, s2 and 4 more (tied)." in words
    assert "In opposite orders (rho at most -0.5, its interval below 0): a and b (-1.00), b and d (-1.00)." in words
    assert "3 pairs have no correlation: c: all strategies score the same." in words
    assert "car cannot be had: No reward." in words
    assert agreement_matrix(agreement)[3] == ["1.00", "-1.00", "-", ""]
    assert agreement_matrix(agreement)[0] == ["", "-1.00", "-", "1.00"]


def test_metrics_of_one_mind_and_two_strategies_are_named(values: Values) -> None:
    order = np.arange(2.0)[:, None]
    metrics = [fixed("a", values[0, :2] * 0.01 + order), fixed("b", values[1, :2] * 0.01 + order)]
    agreement = metric_agreement(arrays_of(2, 40), metrics, draws=50)
    assert agreement_sentences(agreement) == [
        "2 metrics name the same leader: s0.",
        "With 2 strategies a rank correlation can only be 1 or -1: it says no more than the leaders do.",
    ]


def test_json_holds_no_number_that_is_none(values: Values) -> None:
    agreement = metric_agreement(arrays_of(7, 40), [fixed("a", values[0]), fixed("c", 0 * values[0])], draws=20)
    found = json.loads(json.dumps(agreement_object(agreement), allow_nan=False))
    assert found["pairs"][0]["spearman"] is None
    assert found["pairs"][0]["why"] == "c: all strategies score the same"
    assert found["leaders"][0]["separable"] in (True, False)
