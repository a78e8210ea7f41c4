"""Warnings about rankings, each with what to do."""

from __future__ import annotations

import numpy as np
import pytest

from core.domain import ContextKind
from core.metrics.base import ContextScores, ScoreArrays
from core.metrics.registry import metric
from core.rank.families import model_families, share_family
from core.stats import cautions

HOSTILE = "\x1b]0;x\x07\u202e"


def test_copies_of_the_targets_own_output_are_named() -> None:
    found = list(cautions.own_output({"copy" + HOSTILE: (26, 50), "half": (25, 50), "none": (0, 0)}))
    assert len(found) == 1
    assert "26 of 50 responses are its own predictions" in found[0]
    assert "leave the strategy out" in found[0]
    assert not any(character in found[0] for character in HOSTILE if character not in "]0;x")


def test_one_family_is_told_only_where_there_is_any() -> None:
    assert list(cautions.same_family([])) == []
    assert "'a', 'b'" in next(cautions.same_family(["a", "b"]))


def test_a_contested_direction_is_told() -> None:
    assert list(cautions.contested([metric("ppl")])) == []
    (text,) = cautions.contested([metric("ifd")])
    assert "ifd is contested, lower ranks first here" in text


@pytest.mark.parametrize(("pairs", "is_told"), [(29, True), (30, False)])
def test_few_valid_pairs(pairs: int, is_told: bool) -> None:
    assert bool(list(cautions.few_valid_pairs(np.ones(pairs)))) is is_told


def test_the_error_of_the_valid_mean_is_sigma_by_the_root_of_n() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])
    (text,) = cautions.error_of_valid_mean(values)
    sigma = (((values - 3) ** 2).sum() / 3) ** 0.5
    assert f"is 3 nats per token, its standard error {sigma / 2:.2g}" in text
    assert list(cautions.error_of_valid_mean(values[:1])) == []


@pytest.mark.parametrize(("weight", "is_told"), [(1.0, True), (1.1, True), (1.11, False)])
def test_a_ds_weight_close_to_one(weight: float, is_told: bool) -> None:
    found = list(cautions.as_surprising_as_gold({"far": 2.0, "near": weight}))
    assert bool(found) is is_told
    assert not found or ("'near'" in found[0] and "'far'" not in found[0] and "never average" in found[0])


def test_questions_that_do_not_help_are_counted() -> None:
    def scores(mean_nll: list[list[float]]) -> ContextScores:
        values = np.array(mean_nll)
        return ContextScores(np.ones_like(values), values, np.full_like(values, np.nan))

    kinds = {
        ContextKind.PLAIN: scores([[1.0, 2.0, 3.0, np.nan], [1.0, 1.0, 1.0, 1.0], [np.nan] * 4]),
        ContextKind.ALONE: scores([[2.0, 2.0, 2.0, 2.0], [2.0, 2.0, 2.0, 2.0], [2.0, 2.0, 2.0, 2.0]]),
    }
    (text,) = cautions.questions_without_help(ScoreArrays(("a", "b", "c"), (1, 2, 3, 4), kinds))
    assert text.endswith("(ifd of 1 or more): a 67%, b 0%.")
    only_plain = ScoreArrays(("a",), (1,), {ContextKind.PLAIN: scores([[1.0]])})
    assert list(cautions.questions_without_help(only_plain)) == []


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("Meta-Llama-3.1-8B-Instruct", {"llama"}),
        ("mistralai/Mixtral-8x7B", {"mistral"}),
        ("Ministral-8B", {"mistral"}),
        ("google/gemma-2-9b", {"gemma"}),
        ("microsoft/phi-4-reasoning", {"phi"}),
        ("DeepSeek-R1-Distill-Qwen-7B", {"deepseek", "qwen"}),
        ("QwQ-32B", {"qwen"}),
        ("openai/gpt-oss-120b", {"gpt"}),
        ("ChatGPT", {"gpt"}),
        ("EleutherAI/gpt-neo-1.3B", set()),
        ("EleutherAI/gpt-j-6b", set()),
        ("SmolLM2-135M", {"smollm"}),
        ("01-ai/Yi-34B", {"yi"}),
        ("a yielding human", set()),
        ("Command R+", {"command"}),
        ("commander", set()),
        ("dolphin", set()),
        ("claude-3-5-sonnet", {"claude"}),
        ("OLMo-2", {"olmo"}),
        ("ibm-granite/granite-3.1", {"granite"}),
        ("tiiuae/falcon-7b", {"falcon"}),
    ],
)
def test_families_are_found_in_names(name: str, families: set[str]) -> None:
    assert model_families(name) == families


def test_a_family_is_shared_or_not_or_unknown() -> None:
    assert share_family("Qwen2.5-72B", model_families("qwen3-14b-base")) is True
    assert share_family("a human", model_families("qwen3-14b-base")) is False
    assert share_family(" ", model_families("qwen3-14b-base")) is None
    assert share_family("Qwen2.5-72B", model_families("tiny-model")) is None
