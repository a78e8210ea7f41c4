"""Every step of a pipeline against plain Python, with values missing; and what cannot be read as a step."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from core.errors import UsageError
from core.selection.pipeline import apply_steps
from core.selection.steps import parse_steps, steps_in_words

NONE = math.nan


class Known:
    """Values of metrics from lists."""

    def __init__(self, values: Mapping[str, Sequence[float]]) -> None:
        self._values = values

    def of(self, metric_id: str) -> np.ndarray:
        return np.array(self._values[metric_id], dtype=np.float64)


def kept(steps: str, **values: Sequence[float]) -> list[int]:
    count = len(next(iter(values.values())))
    texts = [f"{place} {random.Random(place).random()}" * 3 for place in range(count)]
    mask, _ = apply_steps(parse_steps(steps), Known(values), texts)
    return [place for place in range(count) if mask[place]]


def some_values(seed: int, count: int = 60) -> list[float]:
    """Random values with ties, and every seventh missing."""
    generator = random.Random(seed)
    return [NONE if place % 7 == 3 else round(generator.uniform(0.1, 4), 1) for place in range(count)]


def percentile(values: list[float], percent: float) -> float:
    """Linear between the order statistics, as methods say for quantiles."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@pytest.mark.parametrize(
    ("step", "metric"),
    [("self-consistency", "self_consistency"), ("strategy-vote", "strategy_vote"), ("correct", "response_accuracy")],
)
def test_votes_and_correctness_keep_ones_only(step: str, metric: str) -> None:
    assert kept(step, **{metric: [1, 0, NONE, 1, 0.5]}) == [0, 3]


@pytest.mark.parametrize(("step", "percent"), [("ds-weight", 80), ("ds-weight=50", 50), ("ds-weight=12.5", 12.5)])
@pytest.mark.parametrize("seed", range(5))
def test_ds_weight_keeps_up_to_the_percentile(step: str, percent: float, seed: int) -> None:
    values = some_values(seed)
    limit = percentile([value for value in values if not math.isnan(value)], percent)
    assert kept(step, ds_weight=values) == [place for place, value in enumerate(values) if value <= limit]


def test_iwsi_takes_the_percentile_of_what_the_vote_kept() -> None:
    votes, weights = [1, 0, 1, 1, NONE, 1, 1], [1.0, 1.01, 1.5, 2.0, 1.0, NONE, 9.0]
    passed = [place for place, vote in enumerate(votes) if vote == 1]
    limit = percentile([weights[place] for place in passed if not math.isnan(weights[place])], 50)
    expected = [place for place in passed if weights[place] <= limit]
    assert kept("iwsi=50", self_consistency=votes, ds_weight=weights) == expected == [0, 2]
    assert [step.text for step in parse_steps("iwsi")] == ["self-consistency", "ds-weight=80"]


@pytest.mark.parametrize("seed", range(3))
def test_ifd_keeps_a_range_with_its_ends(seed: int) -> None:
    values = [*some_values(seed), 0.2, 1.0, 1.0000001, 0.1999999]
    assert kept("ifd=0.2-1.0", ifd=values) == [place for place, value in enumerate(values) if 0.2 <= value <= 1.0]


@pytest.mark.parametrize(("step", "spread"), [("length", 2.0), ("length=3", 3.0), ("length=0.5", 0.5)])
@pytest.mark.parametrize("seed", range(3))
def test_length_keeps_what_is_near_the_mean(step: str, spread: float, seed: int) -> None:
    values = [*some_values(seed), 40.0, 41.0]
    known = [value for value in values if not math.isnan(value)]
    mean, deviation = statistics.fmean(known), statistics.pstdev(known)
    expected = [place for place, value in enumerate(values) if abs(value - mean) <= spread * deviation]
    assert kept(step, response_tokens=values) == expected


def test_equal_lengths_are_all_kept() -> None:
    assert kept("length", response_tokens=[0.1] * 7 + [NONE]) == list(range(7))


@pytest.mark.parametrize(
    ("step", "passes"), [("rsr<=1.5", lambda value: value <= 1.5), ("rsr>=1.5", lambda value: value >= 1.5)]
)
def test_a_threshold_on_any_metric(step: str, passes: Callable[[float], bool]) -> None:
    values = [*some_values(1), 1.5, -1.5]
    assert kept(step, rsr=values) == [place for place, value in enumerate(values) if passes(value)]


def test_what_steps_report_adds_up() -> None:
    values = Known({"response_accuracy": [1, 1, 1, 0, NONE, 1], "ifd": [0.5, NONE, 2.0, 0.5, 0.5, 0.7]})
    mask, reports = apply_steps(parse_steps(" correct , ifd=0.2-1.0 "), values, ["text"] * 6)
    assert mask.tolist() == [True, False, False, False, False, True]
    assert [(report.step, report.kept, report.dropped, report.without_value) for report in reports] == [
        ("correct", 4, 1, 1),
        ("ifd=0.2-1.0", 2, 1, 1),
    ]


@pytest.mark.parametrize("step", ["ds-weight", "length", "hardest=20", "ifd=0-9", "rsr<=1"])
def test_nothing_known_keeps_nothing(step: str) -> None:
    metrics = {name: [NONE] * 3 for name in ("ds_weight", "response_tokens", "nll", "ifd", "rsr")}
    _, (report,) = apply_steps(parse_steps(step), Known(metrics), ["a", "b", "c"])
    assert (report.kept, report.dropped, report.without_value) == (0, 0, 3)
    _, (report,) = apply_steps(parse_steps(step), Known({name: [] for name in metrics}), [])
    assert (report.kept, report.dropped, report.without_value) == (0, 0, 0)


def test_no_steps_keep_everything() -> None:
    assert parse_steps("") == parse_steps("  ") == ()


@pytest.mark.parametrize(
    "text",
    [
        "magic", "correct,", ",", "correct=1", "self-consistency=3", "ds-weight=", "ds-weight=0", "ds-weight=101",
        "ds-weight=nan", "ds-weight=80%", "ifd", "ifd=", "ifd=0.2", "ifd=1.0-0.2", "ifd=a-b", "length=0", "length=-1",
        "length=inf", "hardest", "hardest=0", "hardest=20@", "hardest=20@0", "hardest=20@1.5", "iwsi=x", "sap<=",
        "sap<=nan", "<=3", "sap<3", "sap=3", "a\x1b[31m<=x",
    ],
)  # fmt: skip
def test_what_is_no_step_is_refused_in_one_clear_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_steps(text)
    assert caught.value.hint
    assert "\x1b" not in str(caught.value)


def test_an_unknown_step_is_answered_with_all_that_exist() -> None:
    with pytest.raises(UsageError, match="no step 'magic'") as caught:
        parse_steps("correct,magic")
    for usage, _ in steps_in_words():
        assert usage in caught.value.hint
