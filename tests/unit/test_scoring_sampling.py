"""Answers drawn at a temperature: their distribution, and what they depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from core.scoring.protocol import Generation, Sampling
from tests.conftest import TINY_MODEL
from tests.unit.answering import QUESTIONS, Answers, both_ways
from tests.unit.scoring_models import random_model

SEEDS = tuple(range(100, 100 + len(QUESTIONS)))
FEWEST_EXPECTED = 5


@pytest.fixture(scope="module")
def tiny() -> Answers:
    return Answers(TINY_MODEL)


def first_tokens(answers: Answers, context: tuple[int, ...], temperature: float, count: int) -> list[int]:
    """The first token of as many answers, -1 where the answer ended at once."""
    found = answers([context] * count, 1, sampling=Sampling(temperature, tuple(range(count))))
    return [answer.token_ids[0] if answer.token_ids else -1 for answer in found]


def probabilities(answers: Answers, context: tuple[int, ...], temperature: float) -> np.ndarray:
    """Of every first token; the last ones are of those that end the answer together."""
    with torch.no_grad():
        logits = answers.model(torch.tensor([context])).logits[0, -1].double().numpy() / temperature
    weights = np.exp(logits - logits.max())
    found = weights / weights.sum()
    ends = sorted(answers.generate._end)
    return np.append(np.delete(found, ends), found[ends].sum())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.8])
def test_first_tokens_are_distributed_as_the_model_says(tmp_path: Path, temperature: float) -> None:
    answers = Answers(random_model(tmp_path / "model", "llama"))
    context, count = answers.contexts()[0], 2000
    ends = sorted(answers.generate._end)
    drawn = np.bincount(
        [token if token >= 0 else ends[0] for token in first_tokens(answers, context, temperature, count)],
        minlength=answers.model.config.vocab_size,
    )
    observed = np.append(np.delete(drawn, ends), drawn[ends].sum())
    expected = count * probabilities(answers, context, temperature)
    often = expected >= FEWEST_EXPECTED
    rest = [values[~often].sum() for values in (observed, expected)]
    assert often.sum() > 5
    assert chisquare(np.append(observed[often], rest[0]), np.append(expected[often], rest[1])).pvalue > 0.01


def test_another_temperature_would_be_noticed(tiny: Answers) -> None:
    context = tiny.contexts()[2]
    cold, warm = (first_tokens(tiny, context, temperature, 300) for temperature in (0.3, 2.5))
    assert len(set(cold)) < len(set(warm))


def test_the_lowest_temperatures_are_greedy(tiny: Answers) -> None:
    assert tiny(tiny.contexts(), 30, sampling=Sampling(1e-6, SEEDS)) == tiny(tiny.contexts(), 30)


@pytest.mark.parametrize("architecture", ["tiny", "llama", "gemma3", "gpt2"])
def test_an_answer_depends_on_its_context_and_seed_only(tmp_path: Path, architecture: str) -> None:
    folder = TINY_MODEL if architecture == "tiny" else random_model(tmp_path / "model", architecture)
    answers = Answers(folder)
    contexts = answers.contexts()
    together = answers(contexts, 30, sampling=Sampling(1.1, SEEDS))
    backwards = answers(contexts[::-1], 30, sampling=Sampling(1.1, SEEDS[::-1]))
    alone = [
        answers([each], 30, sampling=Sampling(1.1, (seed,)))[0] for each, seed in zip(contexts, SEEDS, strict=True)
    ]
    assert backwards[::-1] == together == alone
    assert answers(contexts, 30, sampling=Sampling(1.1, tuple(seed + 1 for seed in SEEDS))) != together
    assert answers(contexts, 30) != together


def test_equal_seeds_give_equal_answers_and_others_differ(tiny: Answers) -> None:
    context = tiny.contexts()[1]
    seeds = (3, 9, 3, 4, 10**18, 5)
    found = [answer.token_ids for answer in tiny([context] * 6, 30, sampling=Sampling(1.5, seeds))]
    assert found[0] == found[2]
    assert len(set(found)) == 5


def test_rows_that_leave_change_no_draw(tiny: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 24
    contexts, sampling = [tiny.contexts()[0]] * count, Sampling(0.7, tuple(range(count)))
    tiny.told.clear()
    leaving = tiny(contexts, 100, sampling=sampling)
    assert len(tiny.told) > 1
    monkeypatch.setattr(tiny.generate._static, "_rows_leave", False)
    assert tiny(contexts, 100, sampling=sampling) == leaving


def test_a_shorter_limit_cuts_the_same_answer(tiny: Answers) -> None:
    long, short = (tiny(tiny.contexts(), limit, sampling=Sampling(1.1, SEEDS)) for limit in (30, 4))
    assert [answer.token_ids[:4] for answer in long] == [answer.token_ids for answer in short]


def test_memory_that_runs_out_changes_no_draw(tiny: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tiny(tiny.contexts(), 20, sampling=Sampling(1.1, SEEDS))
    generate = tiny.model.generate

    def cramped(**arguments: Any) -> Any:
        if len(arguments["input_ids"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(**arguments)

    monkeypatch.setattr(tiny.model, "generate", cramped)
    monkeypatch.setattr(tiny.generate._static, "_rows", 64)
    assert tiny(tiny.contexts(), 20, sampling=Sampling(1.1, SEEDS)) == expected


@both_ways
def test_greedy_answers_stay_what_they_are(is_continuous: bool) -> None:
    answers = Answers(TINY_MODEL, is_continuous)
    greedy = answers(answers.contexts(), 20)
    answers(answers.contexts(), 20, sampling=Sampling(1.1, SEEDS))
    assert answers(answers.contexts(), 20) == greedy
    assert answers.notes == []


def test_a_context_without_room_and_one_seed_per_context(tiny: Answers) -> None:
    full = (7,) * (tiny.encoder.max_context_tokens + 1)
    none, some = tiny([full, tiny.contexts()[0]], 5, sampling=Sampling(1.1, (1, 2)))
    assert none == Generation("", (), finished=False)
    assert some == tiny(tiny.contexts()[:1], 5, sampling=Sampling(1.1, (2,)))[0]
    with pytest.raises(ValueError, match="zip"):
        tiny(tiny.contexts(), 5, sampling=Sampling(1.1, (1,)))
