"""Metrics against hand-computed values and an independent reference."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.domain import ContextKind
from core.errors import UsageError
from core.metrics.base import Metric, SampleScore, ScoreArrays
from core.metrics.registry import all_metrics, contexts_needed, default_metrics, metric

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "spec" / "expected_scores.json"


def arrays_of(*scores: SampleScore) -> ScoreArrays:
    return ScoreArrays.collect(("first", "second"), (10, 20), scores)


def strategy_score(name: str, arrays: ScoreArrays, row: int) -> float:
    contributions = metric(name).contributions(arrays)
    return float(contributions.numerator[row].sum() / contributions.denominator[row].sum())


def test_scores_are_means_over_questions_of_per_response_values() -> None:
    arrays = arrays_of(
        SampleScore("first", 10, ContextKind.PLAIN, 4, 2.0),
        SampleScore("first", 20, ContextKind.PLAIN, 10, 15.0),
        SampleScore("first", 10, ContextKind.SELF_ALIGNED, 4, 4.0),
        SampleScore("first", 20, ContextKind.SELF_ALIGNED, 10, 20.0),
    )
    assert strategy_score("nll", arrays, 0) == pytest.approx((0.5 + 1.5) / 2)
    assert strategy_score("ppl", arrays, 0) == pytest.approx((math.exp(0.5) + math.exp(1.5)) / 2)
    assert strategy_score("sap_nll", arrays, 0) == pytest.approx((1.0 + 2.0) / 2)
    assert strategy_score("sap", arrays, 0) == pytest.approx((math.e + math.exp(2.0)) / 2)


def test_only_scored_responses_are_usable() -> None:
    arrays = arrays_of(SampleScore("second", 20, ContextKind.PLAIN, 4, 2.0))
    assert metric("ppl").contributions(arrays).usable.tolist() == [[False, False], [False, True]]
    assert not metric("sap").contributions(arrays).usable.any()


@pytest.mark.parametrize(
    ("tokens", "nll_sum"), [(0, 0.0), (1, 800.0), (1, 400.0), (2, math.inf), (2, math.nan)], ids=repr
)
def test_a_value_that_is_no_usable_number_is_missing(tokens: int, nll_sum: float) -> None:
    arrays = arrays_of(
        SampleScore("first", 10, ContextKind.PLAIN, tokens, nll_sum),
        SampleScore("first", 20, ContextKind.PLAIN, 2, 2.0),
    )
    contributions = metric("ppl").contributions(arrays)
    assert contributions.usable[0].tolist() == [False, True]
    assert np.isnan(contributions.numerator[0, 0])
    assert np.isnan(contributions.denominator[0, 0])


def test_a_ratio_of_sums_is_a_numerator_and_a_denominator() -> None:
    ratio = Metric(
        id="ratio",
        label="Ranks by surprisal",
        description="",
        direction="lower",
        contexts=(ContextKind.PLAIN,),
        source="",
        numerator=lambda arrays: arrays.contexts[ContextKind.PLAIN].rank_sum / arrays.tokens(),
        denominator=lambda arrays: arrays.mean_nll(ContextKind.PLAIN),
    )
    arrays = arrays_of(
        SampleScore("first", 10, ContextKind.PLAIN, 4, 2.0, 12.0),
        SampleScore("first", 20, ContextKind.PLAIN, 10, 15.0, 50.0),
    )
    contributions = ratio.contributions(arrays)
    assert contributions.numerator[0].sum() / contributions.denominator[0].sum() == pytest.approx((3 + 5) / (0.5 + 1.5))


def test_tokens_come_from_any_context() -> None:
    arrays = arrays_of(
        SampleScore("first", 10, ContextKind.PLAIN, 4, 2.0), SampleScore("first", 20, ContextKind.SELF_ALIGNED, 7, 2.0)
    )
    assert arrays.tokens()[0].tolist() == [4.0, 7.0]


def test_select_keeps_the_order_asked_for() -> None:
    arrays = arrays_of(
        SampleScore("first", 10, ContextKind.PLAIN, 4, 2.0), SampleScore("second", 10, ContextKind.PLAIN, 4, 8.0)
    )
    selected = arrays.select(["second", "first"])
    assert selected.strategies == ("second", "first")
    assert selected.mean_nll(ContextKind.PLAIN)[:, 0].tolist() == [2.0, 0.5]


def test_registry() -> None:
    assert default_metrics() == ("sap", "ppl", "nll")
    assert set(all_metrics()) == {
        "sap", "sap_nll", "ppl", "nll", "rsr", "ifd", "ifd_ppl", "grape_share", "lark", "aslec_drop", "ds_weight",
        "ds_weight_bias", "self_consistency", "strategy_vote", "reward", "car", "car_shifted", "self_margin",
        "learnability", "response_tokens", "response_accuracy",
    }  # fmt: skip
    assert tuple(all_metrics())[:3] == default_metrics()
    assert all(metric(name).id == name for name in all_metrics())
    assert contexts_needed(["nll", "sap", "ppl"]) == (ContextKind.PLAIN, ContextKind.SELF_ALIGNED)
    assert contexts_needed(["sap_nll"]) == (ContextKind.SELF_ALIGNED,)


def test_an_unknown_metric_names_those_that_exist() -> None:
    with pytest.raises(UsageError) as caught:
        contexts_needed(["ppl", "\x1b[31mbleu"])
    assert "\x1b" not in str(caught.value)
    assert all(name in caught.value.hint for name in all_metrics())


def test_declarations_load_without_numpy() -> None:
    code = "import sys, core.metrics.registry, core.export.formats, core.export.files; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_published_style_scores_equal_an_independent_reference() -> None:
    if not REFERENCE.exists():
        pytest.skip(f"REFERENCE SCORES NOT CHECKED: {REFERENCE} is missing")
    reference = {name: entry for name, entry in json.loads(REFERENCE.read_text()).items() if isinstance(entry, dict)}
    samples = [
        SampleScore(name, sample["id"], context, sample["tokens"], sample[mean] * sample["tokens"])
        for name, entry in reference.items()
        for sample in entry["per_sample"]
        for context, mean in ((ContextKind.PLAIN, "nll"), (ContextKind.SELF_ALIGNED, "sap_nll"))
    ]
    questions = sorted({sample.question for sample in samples})
    arrays = ScoreArrays.collect(tuple(reference), questions, samples)
    assert len(reference) == 8
    for row, entry in enumerate(reference.values()):
        for name in ("sap", "ppl", "nll"):
            assert strategy_score(name, arrays, row) == pytest.approx(entry[name], rel=1e-6)
