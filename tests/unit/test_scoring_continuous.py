"""Continuous batching on the CPU: what it proves, what it leaves behind, and what takes over where it fails."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import transformers
from transformers.generation.continuous_batching import ContinuousBatchingManager

from tests.conftest import TINY_MODEL
from tests.unit.answering import Answers, needs_continuous

pytestmark = needs_continuous


@pytest.fixture
def tiny() -> Answers:
    return Answers(TINY_MODEL)


@pytest.fixture
def tiny_continuous() -> Answers:
    return Answers(TINY_MODEL, continuous=True)


def test_continuous_batching_tells_answers_while_others_are_made(tiny_continuous: Answers) -> None:
    questions = tiny_continuous.contexts() * 4
    tiny_continuous(questions, 100)
    assert len(tiny_continuous.told) > 1
    assert tiny_continuous.notes == []


def test_continuous_batching_goes_on_after_every_row_is_taken(
    tiny_continuous: Answers, tiny: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_continuous.generate._continuous, "_rows", 2)
    assert tiny_continuous(tiny.contexts() * 2, 40) == tiny(tiny.contexts() * 2, 40)
    assert tiny_continuous.notes == []


def test_a_step_that_raises_ends_the_generation_at_once(
    tiny_continuous: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = ContinuousBatchingManager._generation_step
    steps: list[int] = []
    seen: list[int] = []

    def counted(self: Any) -> None:
        steps.append(1)
        step(self)

    def on_step() -> None:
        if steps:
            seen.append(len(steps))
            raise RuntimeError("stop")

    monkeypatch.setattr(ContinuousBatchingManager, "_generation_step", counted)
    with pytest.raises(RuntimeError, match="stop"):
        tiny_continuous(tiny_continuous.contexts() * 20, 400, on_step)
    assert len(steps) <= seen[0] + 2


def test_no_attention_is_exchanged(tiny_continuous: Answers, tiny: Answers) -> None:
    tiny_continuous.model.set_attn_implementation("eager")
    assert tiny_continuous(tiny.contexts(), 20) == tiny(tiny.contexts(), 20)
    (note,) = tiny_continuous.notes
    assert "eager" in note
    assert tiny_continuous.model.config._attn_implementation == "eager"


def test_wrong_tokens_are_noticed_before_they_are_told(
    tiny_continuous: Answers, tiny: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.generation.continuous_batching.cache import PagedAttentionCache

    update = PagedAttentionCache.update

    def forgetful(self: Any, *arguments: Any, **named: Any) -> Any:
        keys, values = update(self, *arguments, **named)
        return keys, torch.zeros_like(values)

    monkeypatch.setattr(PagedAttentionCache, "update", forgetful)
    assert tiny_continuous(tiny.contexts(), 48) == tiny(tiny.contexts(), 48)
    (note,) = tiny_continuous.notes
    assert "plain forward pass" in note
    assert tiny_continuous(tiny.contexts(), 48) == tiny(tiny.contexts(), 48)
    assert tiny_continuous.notes == []


def test_longer_answers_than_any_proven_one_are_proven_too(
    tiny_continuous: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    batching = tiny_continuous.generate._continuous
    assert batching is not None
    agreeing, proven = batching._agreeing, []

    def counted(context: Sequence[int], answer: list[int]) -> int:
        proven.append(len(context) + len(answer))
        return agreeing(context, answer)

    monkeypatch.setattr(batching, "_agreeing", counted)
    context = tiny_continuous.contexts()[0]
    for repeats, proofs in ((1, 1), (1, 1), (2, 1), (5, 2), (9, 2)):
        tiny_continuous([context * repeats], 10)
        assert len(proven) == proofs
    assert proven[1] > 2 * proven[0]


@pytest.mark.parametrize("broken", ["ContinuousBatchingConfig", "init_continuous_batching", "forward"])
def test_fixed_batches_take_over_where_the_library_fails(
    tiny_continuous: Answers, tiny: Answers, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    forward = tiny_continuous.model.forward

    def failing(*arguments: Any, **named: Any) -> Any:
        if broken == "forward" and "cache" not in named:
            return forward(*arguments, **named)
        raise TypeError("unexpected keyword\nmore")

    monkeypatch.setattr(transformers if broken[0] == "C" else tiny_continuous.model, broken, failing)
    threads = set(threading.enumerate())
    assert tiny_continuous(tiny.contexts(), 48) == tiny(tiny.contexts(), 48)
    assert tiny_continuous.notes == [
        "no continuous batching, answers are generated in fixed batches: unexpected keyword"
    ]
    assert set(threading.enumerate()) <= threads


def test_a_cache_that_does_not_fit_is_halved(
    tiny_continuous: Answers, tiny: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = transformers.ContinuousBatchingConfig
    rows: list[int] = []

    def counting(**named: Any) -> Any:
        rows.append(named["max_requests_per_batch"])
        return config(**named | {"max_memory_percent": 0.5 if rows[-1] < 3 else 1e-9})

    monkeypatch.setattr(transformers, "ContinuousBatchingConfig", counting)
    assert tiny_continuous(tiny.contexts(), 20) == tiny(tiny.contexts(), 20)
    assert rows == [5, 2]
    assert tiny_continuous.notes == []


def test_a_cache_that_never_fits_leaves_it_to_fixed_batches(
    tiny_continuous: Answers, tiny: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = transformers.ContinuousBatchingConfig
    monkeypatch.setattr(
        transformers, "ContinuousBatchingConfig", lambda **named: config(**named, max_memory_percent=1e-9)
    )
    assert tiny_continuous(tiny.contexts(), 20) == tiny(tiny.contexts(), 20)
    (note,) = tiny_continuous.notes
    assert "not enough memory" in note
