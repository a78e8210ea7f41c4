"""Every metric against a plain Python reference on random scores with gaps, and against examples worked by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain import ContextKind
from core.errors import SapError
from core.metrics.aslec_drop import dropped_tokens, mean_log_probability_inside_steps, step_starts
from core.metrics.base import Input, ResponseTokens, SampleScore, ScoreArrays
from core.metrics.ds_weight import weights
from core.metrics.grape_share import wins
from core.metrics.ifd import share_without_help
from core.metrics.lark import gains
from core.metrics.registry import all_metrics, metric
from core.stats.ranking import rank_strategies
from tests.unit import metric_reference as reference
from tests.unit.metric_reference import Response, Table, Token, World

PIECES = (" the", "The", ".", ". A", ".\n\n", "\n", "? ", "?", "  ", "x", "1.5", " B.", "\n   ", ". ", " - ")
REFERENCED = sorted(set(all_metrics()) - {"sap", "sap_nll"})


def world(seed: int, *, lowest_reward: float = 0.1) -> World:
    """Four strategies on 25 questions with gaps everywhere; the last strategy has no score at all."""
    draw = random.Random(seed)

    def response() -> Response | None:
        if draw.random() < 0.03:
            return None
        surprisals = [draw.expovariate(1.5) for _ in range(draw.randrange(1, 30))]
        tokens = tuple(
            Token(each, draw.randrange(1, 300), draw.uniform(math.exp(-2 * each), 1), draw.choice(PIECES))
            for each in surprisals
        )
        alone = None if draw.random() < 0.05 else sum(surprisals) * draw.uniform(0.7, 2)
        inputs: dict[str, float | None] = {
            "reward": draw.uniform(lowest_reward, 3),
            "small": draw.expovariate(0.5),
            "correct": float(draw.random() < 0.6),
            "target_vote": float(draw.random() < 0.5),
            "strategy_vote": float(draw.random() < 0.7),
        }
        return Response(tokens, alone, {k: None if draw.random() < 0.05 else v for k, v in inputs.items()})

    rows = [[response() for _ in range(25)] for _ in range(3)]
    own = [None if draw.random() < 0.1 else draw.expovariate(2) for _ in range(25)]
    valid = [None if draw.random() < 0.1 else draw.expovariate(1) for _ in range(40)]
    return World([*rows, [None] * 25], own, valid)


def array(table: Table) -> np.ndarray:
    return np.array([[np.nan if value is None else value for value in row] for row in table], dtype=np.float64)


def response_tokens(response: Response) -> ResponseTokens:
    pieces = [token.piece for token in response.tokens]
    columns = np.array([(token.surprisal, token.rank, 0, token.sum_of_squares) for token in response.tokens]).T
    return ResponseTokens("".join(pieces), *columns, ends=np.cumsum([len(piece) for piece in pieces]))


def arrays_of(one: World) -> ScoreArrays:
    names = tuple(f"strategy {row}" for row in range(len(one.responses)))
    scores = []
    for name, row in zip(names, one.responses, strict=True):
        for place, each in enumerate(row):
            if each is not None:
                count, ranks = len(each.tokens), float(sum(min(token.rank, 100) for token in each.tokens))
                total = sum(token.surprisal for token in each.tokens)
                scores.append(SampleScore(name, place, ContextKind.PLAIN, count, total, ranks))
                if each.alone is not None:
                    scores.append(SampleScore(name, place, ContextKind.ALONE, count, each.alone))
    collected = ScoreArrays.collect(names, range(len(one.own)), scores)
    token_values = {
        each.id: array(one.table(lambda response, value=each.token_value: value(response_tokens(response))))
        for each in all_metrics().values()
        if each.token_value
    }
    inputs: Mapping[Input, np.ndarray] = {
        Input.CORRECT: array(one.given("correct")),
        Input.TARGET_VOTE: array(one.given("target_vote")),
        Input.STRATEGY_VOTE: array(one.given("strategy_vote")),
        Input.REWARD: array(one.given("reward")),
        Input.SMALL_MODEL_NLL: array(one.given("small")),
        Input.OWN_NLL: array([one.own]),
        Input.VALID_NLL: array([one.valid])[0],
    }
    return replace(collected, token_values=token_values, inputs=inputs)


def own_score(name: str, arrays: ScoreArrays, row: int) -> float:
    found = metric(name).contributions(arrays)
    numerator, denominator = found.numerator[row][found.usable[row]], found.denominator[row][found.usable[row]]
    if metric(name).statistic == "median":
        return float(np.median(numerator / denominator))
    return float(numerator.sum() / denominator.sum())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", REFERENCED)
def test_equals_the_reference(name: str, seed: int) -> None:
    random_world = world(seed, lowest_reward=-2 if name in ("car_shifted", "reward") else 0.1)
    arrays = arrays_of(random_world)
    contributions = metric(name).contributions(arrays)
    expected = array(reference.numerators(random_world)[name])
    if name in reference.denominators(random_world):
        below = array(reference.denominators(random_world)[name])
        expected, below = np.where(np.isnan(below), np.nan, expected), np.where(np.isnan(expected), np.nan, below)
        np.testing.assert_allclose(contributions.denominator, below, rtol=1e-12)
    assert np.isnan(expected).any()
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(contributions.numerator, expected, rtol=1e-9, atol=1e-12)
    for row in range(3):
        assert own_score(name, arrays, row) == pytest.approx(reference.score(random_world, name, row), rel=1e-9)


def test_every_metric_has_a_reference() -> None:
    assert set(REFERENCED) == set(reference.numerators(world(0)))


@pytest.mark.parametrize("name", sorted(all_metrics()))
def test_without_any_score_nothing_is_usable(name: str) -> None:
    arrays = arrays_of(world(1)).select(["strategy 3"])
    assert not metric(name).contributions(arrays).usable.any()


def plain(*rows: list[tuple[int, float, float]]) -> ScoreArrays:
    """Strategies a, b, ... with (tokens, sum of surprisals, sum of clipped ranks) of every question."""
    names = tuple("abcdef"[: len(rows)])
    scores = [
        SampleScore(name, place, ContextKind.PLAIN, *each)
        for name, row in zip(names, rows, strict=True)
        for place, each in enumerate(row)
    ]
    return ScoreArrays.collect(names, range(len(rows[0])), scores)


def with_inputs(arrays: ScoreArrays, **inputs: list[float] | list[list[float]]) -> ScoreArrays:
    found = {Input(kind): np.array(values, dtype=float) for kind, values in inputs.items()}
    return replace(arrays, inputs=found)


def test_rsr_is_a_ratio_of_sums_of_means_and_leaves_out_short_responses() -> None:
    arrays = plain([(8, 4.0, 80.0), (10, 20.0, 50.0), (7, 7.0, 700.0)])
    assert own_score("rsr", arrays, 0) == pytest.approx((10 + 5) / (0.5 + 2.0))
    assert metric("rsr").contributions(arrays).usable.tolist() == [[True, True, False]]


def test_grape_ties_go_to_the_earlier_strategy_and_gaps_count_for_none() -> None:
    values = np.array([[1.0, 2.0, 0.5], [1.0, 1.0, np.nan], [3.0, 1.0, 0.1]])
    np.testing.assert_array_equal(wins(values), [[1, 0, np.nan], [0, 1, np.nan], [0, 0, np.nan]])


def test_a_strategy_without_any_score_does_not_take_the_comparison_from_the_others() -> None:
    values = np.array([[2.0, 1.0], [np.nan, np.nan], [1.0, 3.0]])
    np.testing.assert_array_equal(wins(values), [[0, 1], [np.nan, np.nan], [1, 0]])
    np.testing.assert_allclose(
        gains(np.array([[1.0, 1.0], [np.nan, 2.0], [0.5, 0.5]]), values),
        [[(2 - 2 * 1.5 / 3) / 3, (2 - 1.5 / 4) / 4], [np.nan, np.nan], [(1 - 1.5 / 3) / 3, (1 - 3 * 1.5 / 4) / 4]],
    )


def test_lark_needs_every_compared_strategy() -> None:
    errors = np.array([[1.0, 1.0], [np.nan, 0.5]])
    found = gains(errors, np.array([[1.0, 1.0], [1.0, 1.0]]))
    np.testing.assert_allclose(found, [[np.nan, (2 - 0.75) / 2], [np.nan, (1 - 0.75) / 2]])


def test_a_certain_response_has_no_squared_error() -> None:
    value = metric("lark").token_value
    assert value is not None
    certain = ResponseTokens("ab", np.zeros(2), np.ones(2), np.zeros(2), np.ones(2))
    assert value(certain) == 0
    half = ResponseTokens("ab", np.full(2, math.log(2)), np.ones(2), np.zeros(2), np.full(2, 0.5))
    assert value(half) == pytest.approx(0.5)


def tokens_of(*pieces: str) -> tuple[str, np.ndarray]:
    return "".join(pieces), np.cumsum([len(piece) for piece in pieces])


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        (("One", " two", " three", " four"), [2, 3]),
        (("It", " is", " so", ".", " Then", " it", " ends", "."), [2, 3, 6, 7]),
        (("So", " what", "?", " That", " is", " it"), [2, 5]),
        (("a", " b", " c", ".\n\n", "Next", " step", " now"), [2, 3, 6]),
        (("a", " b", " c", ". A", " d", " e"), [2, 5]),
        (("a", " b", " c", "\n", "\n", "  ", "d", " e", " f"), [2, 3, 4, 5, 8]),
        (("Yes", ".\n", "No", ".\n", "Well", " then", " go"), [6]),
        (("Pi", " is", " 3", ".", "14", " or", " so", "!", " Fine"), [2, 3, 4, 5, 6, 7, 8]),
        (("a", " b", " c", "\r\n", "d", " e", " f"), [2, 3, 6]),
        (("a", " b", " c", ". "), [2, 3]),
        (("\n", "a", " b", " c"), [0, 3]),
        (("Yes", "."), []),
        (("Yes",), []),
    ],
)
def test_tokens_that_begin_a_step(pieces: tuple[str, ...], kept: list[int]) -> None:
    text, ends = tokens_of(*pieces)
    assert np.flatnonzero(~dropped_tokens(text, ends)).tolist() == kept
    response = ResponseTokens(text, np.arange(len(pieces), dtype=float), *np.ones((3, len(pieces))), ends=ends)
    value = mean_log_probability_inside_steps(response)
    assert math.isnan(value) if not kept else value == -np.mean(kept)


def test_a_character_of_several_tokens_begins_a_step_with_its_first() -> None:
    """A face of three tokens: only the last of them moves the end on."""
    text = "a b c\n\U0001f600 d e"
    ends = np.array([1, 3, 5, 6, 6, 6, 7, 9, 11])
    assert np.flatnonzero(dropped_tokens(text, ends)).tolist() == [0, 1, 4, 5]


def test_tokens_that_do_not_reach_the_end_of_the_text_lose_none_of_theirs_to_later_steps() -> None:
    assert np.flatnonzero(dropped_tokens("a b c d. e f", np.array([1, 3, 5, 7]))).tolist() == [0, 1]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=40))
def test_dropped_tokens_equal_a_walk_over_the_characters(pieces: list[str]) -> None:
    text, ends = tokens_of(*pieces)
    assert dropped_tokens(text, ends).tolist() == reference.steps_dropped(pieces)


def test_step_starts_of_hostile_white_space_take_linear_time() -> None:
    assert step_starts("a" + "\n" * 200_000 + "b" + " \n" * 200_000) == [0, 200_001]


def test_without_token_ends_there_is_no_step_to_skip() -> None:
    response = ResponseTokens("a b c", *np.ones((4, 3)))
    assert math.isnan(mean_log_probability_inside_steps(response))


def test_ds_weight_is_the_median_factor_from_the_trusted_mean() -> None:
    arrays = with_inputs(plain([(10, 20.0, 0.0), (10, 5.0, 0.0), (10, 10.0, 0.0)]), valid_nll=[0.5, 1.5, math.nan, 1.0])
    contributions = metric("ds_weight").contributions(arrays)
    np.testing.assert_allclose(contributions.numerator, [[2, 2, 1]])
    assert own_score("ds_weight", arrays, 0) == 2
    assert own_score("ds_weight_bias", arrays, 0) == pytest.approx(0, abs=1e-15)
    assert metric("ds_weight_bias").contributions(arrays).numerator[0, 0] == pytest.approx(math.log(2))


def test_ds_weights_of_what_is_not_known_are_missing() -> None:
    values = weights(np.array([[0.0, math.nan, 2.0]]), np.array([1.0]))
    np.testing.assert_array_equal(values, [[math.nan, math.nan, 2.0]])
    assert np.isnan(weights(np.array([[1.0]]), np.array([math.nan]))).all()


def test_share_of_questions_that_do_not_help() -> None:
    arrays = plain([(10, 10.0, 0.0), (10, 20.0, 0.0), (10, 5.0, 0.0)], [(10, 1.0, 0.0)] * 3)
    alone = {(0, 0): 10.0, (0, 1): 10.0, (0, 2): 10.0}
    scores = [SampleScore("ab"[row], place, ContextKind.ALONE, 10, total) for (row, place), total in alone.items()]
    both = ScoreArrays.collect(arrays.strategies, arrays.questions, scores)
    arrays = replace(arrays, contexts={**arrays.contexts, **both.contexts})
    np.testing.assert_allclose(share_without_help(arrays), [2 / 3, math.nan])


def test_car_refuses_rewards_that_are_not_positive_and_offers_the_shift() -> None:
    arrays = with_inputs(plain([(10, 10.0, 0.0)] * 2, [(10, 20.0, 0.0)] * 2), reward=[[1.0, 0.0], [-2.0, 2.0]])
    with pytest.raises(SapError, match="2 are not") as caught:
        metric("car").contributions(arrays)
    assert "car_shifted" in caught.value.hint
    shifted = metric("car_shifted").contributions(arrays)
    np.testing.assert_allclose(shifted.numerator, [[3.04, 2.04], [0.04, 4.04]])
    np.testing.assert_allclose(shifted.denominator, [[4, 4], [7, 7]])
    assert own_score("car_shifted", arrays, 0) == pytest.approx(2.54 / 4)


def test_car_looks_at_the_compared_strategies_only() -> None:
    arrays = with_inputs(plain([(10, 10.0, 0.0)] * 2, [(10, 20.0, 0.0)] * 2), reward=[[1.0, 3.0], [-2.0, 2.0]])
    kept = arrays.select(["a"])
    assert own_score("car", kept, 0) == pytest.approx(2 / 4)
    np.testing.assert_allclose(metric("car_shifted").contributions(kept).numerator, [[0.02, 2.02]])


@pytest.mark.parametrize("unit", [1.0, 0.001, 50.0])
def test_the_unit_of_rewards_does_not_change_the_shifted_order(unit: float) -> None:
    rows = [[(10, 10.0, 0.0)] * 2, [(10, 20.0, 0.0)] * 2, [(10, 14.0, 0.0)] * 2]
    rewards = unit * np.array([[-1.0, 0.5], [2.0, 1.0], [0.2, 1.0]])
    arrays = with_inputs(plain(*rows), reward=rewards.tolist())
    own = [own_score("car_shifted", arrays, row) / unit for row in range(3)]
    assert own == pytest.approx([(0.78 - 0.0) / 4, 2.53 / 7, 1.63 / 5.2])


def test_equal_rewards_leave_the_surprisal_to_decide() -> None:
    arrays = with_inputs(plain([(10, 10.0, 0.0)] * 2, [(10, 20.0, 0.0)] * 2), reward=[[-5.0, -5.0], [-5.0, -5.0]])
    assert [own_score("car_shifted", arrays, row) for row in (0, 1)] == pytest.approx([1 / 4, 1 / 7])


def test_margins_are_signed() -> None:
    arrays = with_inputs(plain([(10, 10.0, 0.0), (10, 2.0, 0.0)]), own_nll=[[0.4, 0.3]], small_model_nll=[[1.5, 0.1]])
    np.testing.assert_allclose(metric("self_margin").contributions(arrays).numerator, [[-0.6, 0.1]])
    np.testing.assert_allclose(metric("learnability").contributions(arrays).numerator, [[0.5, -0.1]])


NEEDY = sorted(each.id for each in all_metrics().values() if each.inputs)


@pytest.mark.parametrize("name", NEEDY)
def test_a_missing_input_is_an_error_and_no_number(name: str) -> None:
    with pytest.raises(SapError):
        metric(name).contributions(plain([(10, 10.0, 80.0)] * 2))


def test_the_other_metrics_still_come() -> None:
    """A metric whose needs are missing or not usable is a line among the warnings."""
    rows = [(10, 10.0, 80.0), (10, 12.0, 90.0), (9, 7.0, 60.0)]
    arrays = with_inputs(
        plain(rows, [(10, 2 * total, ranks) for _, total, ranks in rows]), reward=[[1.0] * 3, [-1] * 3]
    )
    wanted = [metric(name) for name in ("nll", "rsr", "car", "car_shifted", "ds_weight", "grape_share", "reward")]
    ranking = rank_strategies(arrays, wanted, "nll", draws=50)
    assert set(ranking.rows[0].scores) == {"nll", "rsr", "car_shifted", "grape_share", "reward"}
    assert any(line.startswith("car is missing: car needs rewards above 0") for line in ranking.warnings)
    assert any(line.startswith("ds_weight is missing:") for line in ranking.warnings)


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("nll", "lower"), ("rsr", "lower"), ("ifd", "lower"), ("ifd_ppl", "lower"), ("grape_share", "higher"),
        ("lark", "higher"), ("aslec_drop", "higher"), ("ds_weight", "lower"), ("self_consistency", "higher"),
        ("strategy_vote", "higher"), ("car", "higher"), ("car_shifted", "higher"), ("reward", "higher"),
        ("self_margin", "higher"), ("learnability", "higher"), ("response_accuracy", "higher"),
    ],
)  # fmt: skip
def test_directions(name: str, better: str) -> None:
    assert metric(name).direction == better


def test_unsettled_directions_say_why() -> None:
    contested = {each.id for each in all_metrics().values() if each.contested}
    assert contested == {"ifd", "ifd_ppl", "ds_weight_bias", "self_margin", "learnability", "response_tokens"}
    assert "2411.07133" in metric("ifd").contested
