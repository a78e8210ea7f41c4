"""Rankings: places, verdicts, what is left out, warnings, and a published record."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.domain import ContextKind, RankRow
from core.errors import SapError, UsageError
from core.metrics.base import ContextScores, Metric, ScoreArrays
from core.metrics.registry import all_metrics, metric
from core.stats.ranking import available_metrics, rank_strategies

RECORD = Path(__file__).resolve().parents[2].parent / "shared" / "paper_record"
CANDIDATES = (
    "claude",
    "gpt4",
    "mini_gpt4",
    "step_by_step",
    "openai_human_written_examples",
    "gpt4_style_in_context_examples",
)
WITH_SOLUTIONS = ("gsm8k", "math_algebra", "ecqa", "math_geometry")


def metrics(*ids: str) -> tuple[Metric, ...]:
    return tuple(metric(each) for each in ids)


def arrays_of(
    mean_nll: Mapping[str, Sequence[float]],
    tokens: Mapping[str, float] | None = None,
    contexts: Sequence[ContextKind] = (ContextKind.PLAIN, ContextKind.SELF_ALIGNED),
) -> ScoreArrays:
    values = np.array(list(mean_nll.values()), dtype=float)
    lengths = np.array([(tokens or {}).get(name, 10.0) for name in mean_nll])[:, None] * np.ones_like(values)
    scores = ContextScores(lengths, values * lengths, np.full_like(values, np.nan))
    return ScoreArrays(tuple(mean_nll), tuple(range(values.shape[1])), dict.fromkeys(contexts, scores))


def sampled(
    means: Mapping[str, float], questions: int = 100, spread: float = 0.2, seed: int = 0
) -> dict[str, list[float]]:
    generator = np.random.default_rng(seed)
    difficulty = generator.gamma(4.0, 0.1, size=questions)
    return {
        name: list(mean + difficulty + generator.normal(0.0, spread, size=questions)) for name, mean in means.items()
    }


def by_strategy(rows: Sequence[RankRow]) -> dict[str, RankRow]:
    return {row.strategy: row for row in rows}


def test_clear_differences_are_decided() -> None:
    values = sampled({"worst": 2.0, "best": 0.5, "middle": 1.0})
    ranking = rank_strategies(arrays_of(values), metrics("nll", "ppl"), "nll")
    assert ranking.verdict == "decided"
    assert ranking.more_questions is None
    assert [(row.rank, row.rank_low, row.rank_high, row.strategy) for row in ranking.rows] == [
        (1, 1, 1, "best"),
        (2, 2, 2, "middle"),
        (3, 3, 3, "worst"),
    ]
    best, middle, _ = ranking.rows
    assert (best.p_best, best.p_value, best.separable, best.difference) == (1.0, None, True, None)
    assert middle.separable
    assert middle.p_value == 2 / 10_001
    for row in ranking.rows:
        assert row.n == ranking.questions == 100
        assert row.scores["nll"].value == pytest.approx(np.mean(values[row.strategy]))
        assert row.scores["ppl"].value == pytest.approx(np.mean(np.exp(values[row.strategy])))
        assert list(row.scores) == ["nll", "ppl"]


def test_differences_are_paired_and_point_from_the_leader() -> None:
    values = sampled({"best": 0.5, "other": 1.0})
    row = rank_strategies(arrays_of(values), metrics("nll"), "nll").rows[1]
    differences = np.array(values["other"]) - np.array(values["best"])
    assert row.difference is not None
    assert row.difference.value == pytest.approx(differences.mean())
    half = 1.96 * differences.std() / 10
    assert row.difference.low == pytest.approx(differences.mean() - half, abs=half * 0.15)
    assert row.difference.high == pytest.approx(differences.mean() + half, abs=half * 0.15)


def test_a_close_rival_makes_it_undecided_and_says_how_many_more() -> None:
    ranking = rank_strategies(arrays_of(sampled({"far": 2.0, "first": 1.0, "close": 1.01})), metrics("nll"), "nll")
    assert ranking.verdict == "undecided"
    rows = by_strategy(ranking.rows)
    assert rows["far"].separable
    assert not rows["first"].separable
    assert not rows["close"].separable
    assert ranking.more_questions is not None
    assert ranking.more_questions > 0


def test_more_questions_really_decide() -> None:
    means = {"first": 1.0, "close": 1.03}
    small = rank_strategies(arrays_of(sampled(means, 60, seed=1)), metrics("nll"), "nll")
    assert small.verdict == "undecided"
    assert small.more_questions is not None
    # At the estimate itself the odds are even; at three times it is all but sure.
    large = rank_strategies(arrays_of(sampled(means, 3 * (60 + small.more_questions), seed=1)), metrics("nll"), "nll")
    assert large.verdict == "decided"


def test_equal_strategies_share_the_place_in_the_order_given() -> None:
    values = sampled({"one": 1.0, "last": 3.0})
    ranking = rank_strategies(
        arrays_of({"b": values["one"], "a": values["one"], "c": values["last"]}), metrics("nll"), "nll"
    )
    assert [(row.rank, row.strategy) for row in ranking.rows] == [(1, "b"), (1, "a"), (3, "c")]
    assert [row.p_best for row in ranking.rows] == [0.5, 0.5, 0.0]
    assert [(row.rank_low, row.rank_high) for row in ranking.rows] == [(1, 2), (1, 2), (3, 3)]
    assert (ranking.verdict, ranking.more_questions) == ("undecided", None)


def test_a_single_strategy_decides_nothing() -> None:
    ranking = rank_strategies(arrays_of(sampled({"only": 1.0})), metrics("nll"), "nll")
    assert (ranking.verdict, ranking.more_questions) == ("undecided", None)
    assert (ranking.rows[0].rank, ranking.rows[0].p_best, ranking.rows[0].separable) == (1, 1.0, True)


def test_higher_is_better_is_the_mirror_image(monkeypatch: pytest.MonkeyPatch) -> None:
    values = sampled({"low": 1.0, "high": 1.05, "middle": 1.02})
    lower = rank_strategies(arrays_of(values), metrics("nll"), "nll")
    mirrored = all_metrics()["nll"].__class__(
        **{
            **{name: getattr(all_metrics()["nll"], name) for name in all_metrics()["nll"].__slots__},
            "direction": "higher",
            "numerator": lambda arrays: -arrays.mean_nll(ContextKind.PLAIN),
        }
    )
    monkeypatch.setitem(all_metrics(), "nll", mirrored)
    higher = rank_strategies(arrays_of(values), metrics("nll"), "nll")
    for one, other in zip(lower.rows, higher.rows, strict=True):
        assert (one.strategy, one.rank_low, one.rank_high, one.p_best) == (
            other.strategy,
            other.rank_low,
            other.rank_high,
            other.p_best,
        )
        assert other.scores["nll"].low == pytest.approx(-one.scores["nll"].high)


def test_a_failed_question_is_left_out_for_all_in_that_metric() -> None:
    values = sampled({"first": 1.0, "second": 1.5}, questions=40)
    values["second"][3] = math.nan
    values["second"][7] = 800.0
    ranking = rank_strategies(arrays_of(values), metrics("nll", "ppl"), "ppl")
    kept = [index for index in range(40) if index not in (3, 7)]
    rows = by_strategy(ranking.rows)
    assert ranking.questions == rows["first"].n == 38
    assert ranking.failed == {"second": 2}
    assert rows["first"].scores["ppl"].value == pytest.approx(np.mean(np.exp(np.array(values["first"])[kept])))
    with_seventh = [index for index in range(40) if index != 3]
    assert rows["first"].scores["nll"].value == pytest.approx(np.mean(np.array(values["first"])[with_seventh]))
    assert any("2 of 40 questions are left out of ppl" in warning for warning in ranking.warnings)
    assert any("1 of 40 questions are left out of nll" in warning for warning in ranking.warnings)


def test_incomplete_and_unscored_strategies_have_no_rank() -> None:
    values = sampled({"first": 1.0, "second": 2.0, "partial": 0.1}) | {"failed": [math.nan] * 100}
    ranking = rank_strategies(arrays_of(values), metrics("nll"), "nll", incomplete={"partial": "60 of 100 scored"})
    assert [row.strategy for row in ranking.rows] == ["first", "second"]
    assert ranking.left_out == {"partial": "60 of 100 scored", "failed": "no response has a value of nll"}
    assert ranking.questions == 100
    assert ranking.failed == {}
    assert ranking.rows[0].p_best == 1.0


def test_a_metric_without_values_is_missing_and_the_others_come() -> None:
    arrays = arrays_of(sampled({"first": 1.0, "second": 2.0}), contexts=(ContextKind.PLAIN,))
    ranking = rank_strategies(arrays, metrics("sap", "ppl"), "ppl")
    assert list(ranking.rows[0].scores) == ["ppl"]
    assert any(warning.startswith("sap is missing") for warning in ranking.warnings)
    assert available_metrics(arrays, metrics("sap", "ppl", "nll")) == metrics("ppl", "nll")
    with pytest.raises(SapError, match="No strategy can be ranked by sap"):
        rank_strategies(arrays, metrics("sap", "ppl"), "sap")


def test_what_cannot_be_ranked_says_why() -> None:
    values = {"first": [1.0, 1.0, math.nan], "second": [math.nan, 1.0, 1.0]}
    with pytest.raises(SapError, match="1 of 3 questions have a value of nll under every strategy"):
        rank_strategies(arrays_of(values), metrics("nll"), "nll")
    with pytest.raises(UsageError, match="'ppl' is not a metric of this run"):
        rank_strategies(arrays_of(values), metrics("nll"), "ppl")
    with pytest.raises(SapError, match="first: waiting"):
        rank_strategies(arrays_of(values), metrics("nll"), "nll", incomplete=dict.fromkeys(values, "waiting"))


def test_seed_and_draws_reproduce() -> None:
    arrays = arrays_of(sampled({"first": 1.0, "second": 1.02}))
    assert rank_strategies(arrays, metrics("nll"), "nll") == rank_strategies(arrays, metrics("nll"), "nll")
    assert rank_strategies(arrays, metrics("nll"), "nll", seed=1) != rank_strategies(arrays, metrics("nll"), "nll")
    coarse = rank_strategies(arrays, metrics("nll"), "nll", draws=10).rows[0].p_best
    assert coarse * 10 == pytest.approx(round(coarse * 10))


def test_strategies_without_a_difference_are_seldom_decided() -> None:
    decided = [
        rank_strategies(
            arrays_of(sampled({"a": 1.0, "b": 1.0, "c": 1.0}, 40, seed=seed)), metrics("ppl"), "ppl", draws=50
        )
        for seed in range(150)
    ]
    assert sum(ranking.verdict == "decided" for ranking in decided) <= 12


@pytest.mark.parametrize(
    ("means", "tokens", "questions", "expected"),
    [
        ({"a": 1.0, "b": 1.1}, {}, 30, None),
        ({"a": 1.0, "b": 1.1}, {}, 29, "Only 29 common questions"),
        ({"a": 1.0, "b": 1.1}, {"a": 10.0, "b": 30.0}, 30, None),
        ({"a": 1.0, "b": 1.1}, {"a": 10.0, "b": 31.0}, 30, "'a' has 10 tokens a response, 'b' 31"),
        ({"a": 0.2, "b": 2.0, "c": 2.1}, {}, 30, "The perplexity of 'a' is far below the rest"),
        ({"a": 0.2, "b": 0.3, "c": 2.1}, {}, 30, None),
    ],
)
def test_warnings(means: dict[str, float], tokens: dict[str, float], questions: int, expected: str | None) -> None:
    values = {name: [mean] * questions for name, mean in means.items()}
    warnings = rank_strategies(arrays_of(values, tokens), metrics("nll"), "nll").warnings
    assert len(warnings) == (expected is not None)
    assert expected is None or expected in warnings[0]


def test_a_hostile_name_is_made_visible_in_warnings_and_kept_in_rows() -> None:
    values = sampled({"\x1b]0;x\x07": 1.0, "b": 2.0}, questions=10)
    values["\x1b]0;x\x07"][0] = math.nan
    ranking = rank_strategies(arrays_of(values), metrics("nll"), "nll")
    assert ranking.rows[0].strategy == "\x1b]0;x\x07"
    assert not any(character in warning for warning in ranking.warnings for character in "\x1b\x07")


@pytest.fixture(scope="module")
def published() -> dict[tuple[str, str], dict[str, list[float]]]:
    path = RECORD / "per_sample_sppl.jsonl"
    if not path.exists():
        pytest.skip(f"PUBLISHED RECORD NOT CHECKED: {path} is missing")
    pairs: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(dict)
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if row["in_context_examples"] == 2 and not row["task"].startswith("plan_bench"):
            pairs[row["target_model"], row["task"]][row["strategy"]] = row["values"]
    return dict(pairs)


def candidates_of(task: str) -> tuple[str, ...]:
    return (*CANDIDATES, "rewrite_groundtruth_in_own_words", "groundtruth") if task in WITH_SOLUTIONS else CANDIDATES


def test_scores_equal_the_published_ones(published: dict[tuple[str, str], dict[str, list[float]]]) -> None:
    with (RECORD / "metrics.csv").open() as file:
        expected = {
            (row["target_model"], row["task"], row["strategy"], int(row["first_row"]), int(row["last_row"])): row
            for row in csv.DictReader(file)
            if row["metric"] == "in_context_perplexity" and row["in_context_examples"] == "2"
        }
    compared = 0
    for (target, task), strategies in published.items():
        values = {name: np.log(strategies[name][:50]).tolist() for name in candidates_of(task)}
        for row in rank_strategies(arrays_of(values), metrics("sap"), "sap", draws=10).rows:
            printed = float(expected[target, task, row.strategy, 0, 50]["value"])
            assert row.scores["sap"].value == pytest.approx(printed, rel=2e-5)
            compared += 1
    assert compared == 39 * 6 + 9 * 2


def test_fifty_questions_pick_as_three_hundred_mostly(published: dict[tuple[str, str], dict[str, list[float]]]) -> None:
    """Over all 51 pairs of the publication it is 87%; 39 of them are at hand, where a plain count gives 35."""
    agreeing = decided_agreeing = decided = 0
    for (_, task), strategies in published.items():
        values = {name: np.log(strategies[name]) for name in candidates_of(task)}
        whole = max(values, key=lambda name: (-np.exp(values[name]).mean(),))
        few = rank_strategies(
            arrays_of({name: nll[:50].tolist() for name, nll in values.items()}), metrics("sap"), "sap", draws=10
        )
        agrees = few.rows[0].strategy == whole
        agreeing += agrees
        decided += few.verdict == "decided"
        decided_agreeing += agrees and few.verdict == "decided"
    assert len(published) == 39
    assert agreeing == 35
    assert decided_agreeing == decided > 0
