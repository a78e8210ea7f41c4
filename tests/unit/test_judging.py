"""Judging metrics by outcomes on small cases whose numbers are worked out by hand or by scipy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core.errors import SapError, UsageError
from core.ingest.score_tables import OutcomeRow, ScoreRow
from core.judging.agreement import agreement, outcome_ranks
from core.judging.directions import Direction, directions_of, parse_directions
from core.judging.judgement import Judgement, above_spreads, judge, judge_without_terse, picks
from core.judging.pairs import Pairs
from core.judging.plain import plain_pairs
from core.judging.report import judgement_object
from core.judging.sap_paper import ROW_RANGES, sap_paper_pairs

LOWER = Direction("lower")
NAMES = ("claude", "gpt4", "mini_gpt4", "step_by_step")

small_numbers = st.integers(0, 4).map(float)


def scores_of(
    values: Mapping[str, float], metric: str = "nll", task: str = "sums", target: str = "tiny", **more: object
) -> list[ScoreRow]:
    return [ScoreRow(target, task, name, metric, value, **more) for name, value in values.items()]  # type: ignore[arg-type]


def outcomes_of(accuracies: Mapping[str, float | Sequence[float]], task: str = "sums", target: str = "tiny") -> list:
    rows = []
    for name, found in accuracies.items():
        seeds = [found] if isinstance(found, float) else found
        rows += [OutcomeRow(target, task, name, accuracy, seed) for seed, accuracy in enumerate(seeds)]
    return rows


def paper_scores(values: Mapping[str, float], metric: str = "perplexity", task: str = "mmlu", **more: object) -> list:
    return [row for rows in ROW_RANGES for row in scores_of(values, metric, task, rows=rows, **more)]


def judged(pairs: Pairs, **more: float) -> Judgement:
    return judge(pairs, directions_of(pairs.metrics, {}), **more)


def figure(judgement: Judgement, metric: str, name: str) -> float | None:
    return judgement.metrics[metric].figures[name].value


@given(st.lists(st.tuples(small_numbers, small_numbers), min_size=2, max_size=9), st.booleans())
def test_correlations_are_scipys(rows: list[tuple[float, float]], higher: bool) -> None:
    values, outcomes = np.array(rows).T
    found = agreement(values, outcomes / 10, higher_is_better=higher, by_position=False)
    better = values if higher else -values
    if len(set(values)) == 1 or len(set(outcomes)) == 1:
        assert math.isnan(found.spearman)
        assert math.isnan(found.kendall)
        return
    assert found.spearman == pytest.approx(stats.spearmanr(better, outcomes).statistic)
    assert found.spearman_tie_corrected == found.spearman
    assert found.kendall == pytest.approx(stats.kendalltau(better, outcomes).statistic)


@given(st.lists(st.tuples(small_numbers, small_numbers), min_size=2, max_size=7), st.booleans(), st.booleans())
def test_pairs_in_order_counted_one_by_one(rows: list[tuple[float, float]], higher: bool, by_position: bool) -> None:
    values, outcomes = np.array(rows).T
    found = agreement(values, outcomes / 10, higher_is_better=higher, by_position=by_position)
    right, count = 0.0, 0
    for one in range(len(rows)):
        for other in range(len(rows)):
            if outcomes[one] > outcomes[other]:
                ahead = values[one] - values[other] if higher else values[other] - values[one]
                right += 1.0 if ahead > 0 else 0.5 if ahead == 0 else 0.0
                count += 1
    assert math.isnan(found.pairwise) if count == 0 else found.pairwise == pytest.approx(right / count)


def test_without_ties_the_position_rule_is_spearman() -> None:
    values, outcomes = np.array([3.0, 1.0, 2.0, 5.0]), np.array([0.4, 0.9, 0.5, 0.6])
    by_position = agreement(values, outcomes, higher_is_better=False, by_position=True)
    assert by_position == agreement(values, outcomes, higher_is_better=False, by_position=False)
    assert by_position.chosen == 0.9


@pytest.mark.parametrize(("higher", "chosen", "spearman"), [(False, 0.1, -1.0), (True, 0.3, 1.0)])
def test_tied_scores_keep_the_order_or_its_reverse(higher: bool, chosen: float, spearman: float) -> None:
    tied, outcomes = np.ones(3), np.array([0.1, 0.2, 0.3])
    found = agreement(tied, outcomes, higher_is_better=higher, by_position=True)
    assert (found.chosen, found.spearman) == (chosen, pytest.approx(spearman))
    assert math.isnan(found.spearman_tie_corrected)


def test_a_tied_pick_is_the_mean_of_the_tied_in_the_plain_protocol() -> None:
    found = agreement(np.array([1.0, 1.0, 2.0]), np.array([0.2, 0.6, 0.9]), higher_is_better=False, by_position=False)
    assert found.chosen == pytest.approx(0.4)


def test_outcomes_that_differ_by_rounding_are_tied() -> None:
    assert outcome_ranks(np.array([0.5, 0.1 + 0.2, 0.3, 0.3 + 1e-6])).tolist() == [1.0, 3.5, 3.5, 2.0]


def test_plain_protocol_by_hand() -> None:
    """Two target models; the metric is right under one and picks the second best under the other."""
    outcomes = [
        *outcomes_of({"a": [0.2, 0.4], "b": 0.5, "c": 0.9}, target="one"),
        *outcomes_of({"a": 0.1, "b": 0.8, "c": 0.6}, target="two"),
    ]
    scores = [
        *scores_of({"a": 3.0, "b": 2.0, "c": 1.0, "unknown": 0.0}, target="one"),
        *scores_of({"a": 3.0, "b": 2.0, "c": 1.0}, target="two"),
    ]
    found = judged(plain_pairs(scores, outcomes))
    assert (found.pairs, found.tasks) == (2, 1)
    assert found.upper_bound.chosen.value == pytest.approx(0.85)
    assert found.random.chosen.value == pytest.approx(np.mean([0.3, 0.5, 0.9, 0.1, 0.8, 0.6]))
    assert found.fixed["b"].chosen.value == pytest.approx(0.65)
    assert found.fixed["b"].by_target == {"one": 0.5, "two": 0.8}
    assert found.best_fixed == "c"
    assert figure(found, "nll", "chosen") == pytest.approx(0.75)
    assert figure(found, "nll", "regret") == pytest.approx(0.1)
    assert figure(found, "nll", "spearman") == pytest.approx((1 + 0.5) / 2)
    assert figure(found, "nll", "kendall") == pytest.approx((1 + 1 / 3) / 2)
    assert figure(found, "nll", "pairwise") == pytest.approx((1 + 2 / 3) / 2)
    spreads = [np.std([0.3, 0.5, 0.9], ddof=1), np.std([0.1, 0.8, 0.6], ddof=1)]
    assert figure(found, "nll", "weighted_spearman") == pytest.approx(np.average([1, 0.5], weights=spreads))
    assert found.metrics["nll"].figures["chosen"].low is None
    assert any("One task only" in note for note in found.notes)


def test_intervals_resample_tasks_with_all_their_target_models() -> None:
    generator = np.random.default_rng(7)
    scores, outcomes, best, tasks = [], [], [], []
    for task in range(6):
        for target in ("one", "two"):
            accuracies = dict(zip(NAMES, generator.random(4).tolist(), strict=True))
            outcomes += outcomes_of(accuracies, str(task), target)
            scores += scores_of({name: -accuracy for name, accuracy in accuracies.items()}, "nll", str(task), target)
            best.append(max(accuracies.values()))
            tasks.append(task)
    found = judged(plain_pairs(scores, outcomes)).metrics["nll"].figures["chosen"]
    means = np.array(best).reshape(6, 2).mean(axis=1)
    draws = means[np.random.default_rng(1).integers(6, size=(20_000, 6))].mean(axis=1)
    assert found.value == pytest.approx(np.mean(best))
    assert (found.low, found.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.01)


def test_ranges_of_rows_are_judged_alone_and_averaged() -> None:
    outcomes = outcomes_of({"a": 0.2, "b": 0.8})
    scores = [
        *scores_of({"a": 1.0, "b": 2.0}, rows=(0, 10)),
        *scores_of({"a": 2.0, "b": 1.0}, rows=(10, 20)),
        *scores_of({"a": 9.0, "b": 1.0}, rows=(20, 30)),
        *scores_of({"a": 9.0}, rows=(30, 40)),
    ]
    found = judged(plain_pairs(scores, outcomes))
    assert figure(found, "nll", "chosen") == pytest.approx((0.2 + 0.8 + 0.8) / 3)
    assert figure(found, "nll", "spearman") == pytest.approx(1 / 3)
    assert any("4 ranges of rows" in note for note in found.notes)


def test_a_metric_without_a_strategys_score_is_judged_without_it_and_says_so() -> None:
    outcomes = outcomes_of({"a": 0.2, "b": 0.5, "c": 0.9})
    scores = [
        *scores_of({"a": 3.0, "b": 2.0, "c": 1.0}),
        *scores_of({"a": 3.0, "b": 2.0}, "ifd"),
        ScoreRow("tiny", "sums", "c", "ifd", math.nan, line=9),
        *scores_of({"a": 3.0}, "sap"),
    ]
    found = judged(plain_pairs(scores, outcomes))
    assert figure(found, "ifd", "chosen") == 0.5
    assert figure(found, "ifd", "regret") == pytest.approx(0.4)
    assert figure(found, "sap", "chosen") is None
    notes = " ".join(found.notes)
    assert "ifd is judged without strategies that it has no score of: c, sums, tiny." in notes
    assert "Values of ifd that are not finite do not count: line 9: c, sums." in notes
    assert "sap is judged in 0 of 1 pairs." in notes
    assert judgement_object(found, {}, None)["metrics"]["sap"]["spearman"] is None  # type: ignore[index]


def test_constant_scores_have_no_correlation_and_are_counted() -> None:
    outcomes = [*outcomes_of({"a": 0.2, "b": 0.5}), *outcomes_of({"a": 0.2, "b": 0.5}, "more")]
    scores = [*scores_of({"a": 1.0, "b": 1.0}), *scores_of({"a": 1.0, "b": 2.0}, task="more")]
    found = judged(plain_pairs(scores, outcomes))
    assert figure(found, "nll", "spearman") == -1.0
    assert found.metrics["nll"].undefined == 1
    assert any("no correlation in 1 of 2 pairs" in note for note in found.notes)


def test_a_figure_that_hangs_on_one_task_has_no_interval() -> None:
    outcomes, scores = [], []
    for task in ("one", "two", "three"):
        outcomes += outcomes_of({"a": 0.2, "b": 0.5, "c": 0.6}, task)
        scores += scores_of({"a": 1.0, "b": 2.0, "c": 3.0}, task=task)
    scores += scores_of({"a": 1.0, "b": 3.0, "c": 2.0}, "ifd", "one")
    found = judged(plain_pairs(scores, outcomes)).metrics
    assert found["nll"].figures["chosen"].low is not None
    assert found["ifd"].figures["chosen"].value == pytest.approx(0.2)
    assert all((each.low, each.high) == (None, None) for each in found["ifd"].figures.values())


def test_nothing_in_common_says_so() -> None:
    with pytest.raises(SapError, match="No target model and task have two strategies"):
        plain_pairs(scores_of({"a": 1.0, "b": 2.0}), outcomes_of({"a": 0.1, "c": 0.2}))


def test_the_least_spread_is_strict() -> None:
    outcomes = [*outcomes_of({"a": 0.0, "b": 0.5}), *outcomes_of({"a": 0.1, "b": 0.2}, "more")]
    scores = [*scores_of({"a": 1.0, "b": 2.0}), *scores_of({"a": 1.0, "b": 2.0}, task="more")]
    pairs = plain_pairs(scores, outcomes)
    narrow, wide = sorted(pair.spread for pair in pairs.pairs)
    assert judged(pairs, min_spread=narrow).pairs == 1
    with pytest.raises(SapError, match=r"No pair has a spread above 0\.35"):
        judged(pairs, min_spread=wide)
    assert {spread: above.pairs for spread, above in above_spreads(pairs, {"nll": LOWER}).items()} == {0.02: 2, 0.04: 2}


@pytest.mark.parametrize(("examples", "chosen"), [(None, 0.9), (2, 0.9), (3, 0.1)])
def test_scores_with_the_asked_number_of_examples_count(examples: int | None, chosen: float) -> None:
    scores = [
        *scores_of({"a": 2.0, "b": 1.0}, "sap", examples=2),
        *scores_of({"a": 1.0, "b": 2.0}, "sap", examples=3),
        *scores_of({"a": 2.0, "b": 1.0}, "unfiltered", examples=2),
    ]
    found = judged(plain_pairs(scores, outcomes_of({"a": 0.1, "b": 0.9}), examples=examples))
    assert figure(found, "sap", "chosen") == chosen
    assert figure(found, "unfiltered", "chosen") == 0.9
    assert any(f"those with {examples or 2} are judged" in note for note in found.notes)


def test_a_metric_without_that_number_of_examples_is_not_judged() -> None:
    values = {"a": 2.0, "b": 1.0}
    scores = [row for count in (1, 4) for row in scores_of(values, "sap", examples=count)]
    found = judged(plain_pairs([*scores, *scores_of(values)], outcomes_of({"a": 0.1, "b": 0.9})))
    assert figure(found, "sap", "chosen") is None
    assert any("sap has scores with 1, 4 in-context examples: none of them" in note for note in found.notes)


def test_terse_strategies_are_taken_out_of_a_second_look() -> None:
    outcomes = outcomes_of({"terse": 0.1, "a": 0.9, "b": 0.8, "c": 0.7})
    scores = [
        *scores_of({"terse": 9.0, "a": 3.0, "b": 2.0, "c": 1.0}),
        *scores_of({"terse": 20.0, "a": 61.0, "b": 90.0, "c": 100.0}, "response_length"),
    ]
    pairs = plain_pairs(scores, outcomes)
    long = judge_without_terse(pairs, directions_of(pairs.metrics, {}))
    assert long is not None
    assert figure(long, "nll", "spearman") == pytest.approx(-1.0)
    assert figure(judged(pairs), "nll", "spearman") > -0.5
    alike = plain_pairs([row for row in scores if row.metric == "nll"], outcomes)
    assert judge_without_terse(alike, {"nll": LOWER}) is None


def test_picks_name_the_best_and_the_tied() -> None:
    (pair,) = plain_pairs(scores_of({"a": 1.0, "b": 1.0, "c": 2.0}), outcomes_of({"a": 0.1, "b": 0.2, "c": 0.3})).pairs
    assert picks(pair, "nll", LOWER) == ("a", "b")
    assert picks(pair, "nll", Direction("higher")) == ("c",)


def test_paper_protocol_takes_its_candidates_in_its_order() -> None:
    names = ("gold_label", "groundtruth", "step_by_step", "gpt4", "claude")
    values = {name: float(place) for place, name in enumerate(names)}
    (pair,) = sap_paper_pairs(paper_scores(values), outcomes_of(dict.fromkeys(names, 0.5), "mmlu")).pairs
    assert pair.strategies == ("claude", "gpt4", "step_by_step")
    with_solutions = sap_paper_pairs(
        paper_scores(values, task="gsm8k"), outcomes_of(dict.fromkeys(names, 0.5), "gsm8k")
    )
    assert with_solutions.pairs[0].strategies == ("claude", "gpt4", "step_by_step", "groundtruth")


def test_paper_protocol_rounds_and_drops_accuracies() -> None:
    outcomes = outcomes_of({"claude": [0.12345, 0.0, 0.2], "gpt4": [0.4004, 0.5], "mini_gpt4": [0.0]}, "mmlu")
    (pair,) = sap_paper_pairs(paper_scores({"claude": 1.0, "gpt4": 2.0, "mini_gpt4": 0.0}), outcomes).pairs
    assert pair.strategies == ("claude", "gpt4")
    assert pair.outcomes.tolist() == pytest.approx([(0.123 + 0.2) / 2, 0.45])
    assert pair.spread == pytest.approx(np.std([0.123, 0.4], ddof=1))


def test_paper_protocol_widens_the_spread_of_mbpp() -> None:
    outcomes = outcomes_of({"claude": 0.4, "gpt4": 0.5, "groundtruth": 0.9}, "mbpp")
    values = {"claude": 1.0, "gpt4": 2.0, "groundtruth": 0.0}
    (pair,) = sap_paper_pairs(paper_scores(values, task="mbpp"), outcomes).pairs
    assert pair.strategies == ("claude", "gpt4")
    assert pair.spread == pytest.approx(np.std([0.4, 0.5, 0.9], ddof=1))


def test_paper_protocol_lets_the_raw_text_stand_in() -> None:
    outcomes = outcomes_of({"claude": 0.4, "step_by_step": 0.5}, "mmlu")
    values = {"claude": 2.0, "step_by_step_raw": 1.0}
    found = judged(sap_paper_pairs(paper_scores(values), outcomes))
    assert figure(found, "perplexity", "chosen") == 0.5


def test_paper_protocol_leaves_a_metric_out_where_a_candidate_has_no_score() -> None:
    outcomes = outcomes_of({"claude": 0.4, "gpt4": 0.5, "mini_gpt4": 0.6}, "mmlu")
    scores = [
        *paper_scores({"claude": 1.0, "gpt4": 2.0, "mini_gpt4": 3.0}),
        *paper_scores({"claude": 1.0, "gpt4": 2.0, "mini_gpt4": math.inf, "gold_label": 1.0}, "IDF_score", line=7),
    ]
    found = judged(sap_paper_pairs(scores, outcomes))
    assert figure(found, "perplexity", "chosen") == pytest.approx(0.4)
    assert figure(found, "IDF_score", "chosen") is None
    assert any("a candidate has no finite score: line 7: mini_gpt4, mmlu, tiny." in note for note in found.notes)


@pytest.mark.parametrize(("planning", "task"), [(False, "mmlu"), (True, "plan_bench_reuse")])
def test_paper_protocol_takes_its_tasks(planning: bool, task: str) -> None:
    tasks = ("mmlu", "plan_bench_reuse", "plan_bench_execution")
    values = {"claude": 1.0, "gpt4": 2.0}
    scores = [row for name in tasks for row in paper_scores(values, task=name)]
    outcomes = [row for name in tasks for row in outcomes_of({"claude": 0.4, "gpt4": 0.5}, name)]
    assert [pair.task for pair in sap_paper_pairs(scores, outcomes, planning=planning).pairs] == [task]


def test_paper_protocol_without_its_strategies_says_so() -> None:
    with pytest.raises(SapError, match="no pair of target model and task for this protocol"):
        sap_paper_pairs(scores_of({"a": 1.0, "b": 2.0}), outcomes_of({"a": 0.1, "b": 0.2}))


def test_directions_are_told_known_or_assumed() -> None:
    metrics = ("sap", "grape_share", "skywork_reward_score", "log_probability", "mine", "ours=x")
    found = directions_of(metrics, parse_directions(["sap=higher", "ours=x=higher"], metrics))
    assert found == {
        "sap": Direction("higher"),
        "grape_share": Direction("higher"),
        "skywork_reward_score": Direction("higher"),
        "log_probability": Direction("higher"),
        "mine": Direction("lower", assumed=True),
        "ours=x": Direction("higher"),
    }


@pytest.mark.parametrize("text", ["sap", "sap=up", "=lower", "other=lower", ""])
def test_directions_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--direction"):
        parse_directions([text], ["sap"])


def test_an_assumed_direction_is_said() -> None:
    found = judged(plain_pairs(scores_of({"a": 1.0, "b": 2.0}, "mine"), outcomes_of({"a": 0.1, "b": 0.2})))
    assert any("mine is not known: lower counts as better" in note for note in found.notes)
