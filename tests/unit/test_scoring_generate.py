"""Greedy answers: both ways of batching against a plain loop, ends, limits, memory, and how they end early."""

from __future__ import annotations

import json
import shutil
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.scoring.hf import batches
from core.scoring.protocol import Generation
from tests.conftest import TINY_MODEL
from tests.unit.answering import QUESTIONS, Answers, both_ways, greedy_loop
from tests.unit.scoring_models import random_model


@pytest.fixture
def tiny() -> Answers:
    return Answers(TINY_MODEL)


@both_ways
def test_batches_give_what_a_plain_loop_gives(is_continuous: bool) -> None:
    answers = Answers(TINY_MODEL, is_continuous)
    for context, answer in zip(answers.contexts(), answers(answers.contexts(), 48), strict=True):
        ids, finished = greedy_loop(TINY_MODEL, context, end=1, limit=48)
        assert list(answer.token_ids) == ids
        assert answer.finished is finished
    assert answers.notes == []


@both_ways
@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
def test_the_batch_changes_nothing_on_any_architecture(tmp_path: Path, architecture: str, is_continuous: bool) -> None:
    folder = random_model(tmp_path / "model", architecture)
    answers = Answers(folder, is_continuous)
    together = answers(answers.contexts(), 24)
    for context, answer in zip(answers.contexts(), together, strict=True):
        assert list(answer.token_ids) == greedy_loop(folder, context, end=1, limit=24)[0]
    assert answers.notes == []


def test_rows_leave_their_batch_when_they_are_answered(tiny: Answers) -> None:
    lengths = [len(answer.token_ids) for answer in tiny(tiny.contexts(), 100)]
    assert len(tiny.told) > 1
    assert sorted(index for told in tiny.told for index in told) == list(range(len(QUESTIONS)))
    first = max(lengths[index] for index in tiny.told[0])
    assert first <= min(lengths[index] for told in tiny.told[1:] for index in told)


def test_a_cache_that_rows_cannot_leave_is_no_obstacle(tiny: Answers) -> None:
    expected = tiny(tiny.contexts(), 48)
    tiny.generate._static._rows_leave = False
    tiny.told.clear()
    assert tiny(tiny.contexts(), 48) == expected
    assert len(tiny.told) == 1


def test_batches_take_the_longest_contexts_first_and_are_bounded(
    tiny: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tiny(tiny.contexts(), 20)
    shapes: list[tuple[int, ...]] = []
    search = tiny.generate._static._search

    def watched(batch: list[batches.Prompt], on_step: Callable[[], None]) -> Any:
        shapes.append(tuple(len(prompt.context) for prompt in batch))
        return search(batch, on_step)

    monkeypatch.setattr(tiny.generate._static, "_search", watched)
    monkeypatch.setattr(batches, "_TOKENS", 2 * (20 + max(map(len, tiny.contexts()))))
    assert tiny(tiny.contexts(), 20) == expected
    assert [length for shape in shapes for length in shape] == sorted(map(len, tiny.contexts()), reverse=True)
    assert [len(shape) for shape in shapes] == [2, 2, 1]


@both_ways
def test_an_answer_cut_at_the_limit_is_not_finished(is_continuous: bool) -> None:
    answers = Answers(TINY_MODEL, is_continuous)
    (answer,) = answers(answers.contexts()[:1], 3)
    assert len(answer.token_ids) == 3
    assert not answer.finished


def test_texts_are_decoded_without_special_tokens_and_not_stripped(tiny: Answers) -> None:
    for answer in tiny(tiny.contexts(), 100):
        assert tiny.encoder.encode_response(answer.text) == answer.token_ids
        assert "<|" not in answer.text


@both_ways
def test_settings_of_the_folder_do_not_disturb_greedy_search(
    tmp_path: Path, tiny: Answers, is_continuous: bool
) -> None:
    folder = shutil.copytree(TINY_MODEL, tmp_path / "model")
    settings = {"do_sample": True, "temperature": 1.7, "top_k": 50, "top_p": 0.9, "repetition_penalty": 3.0}
    settings |= {"eos_token_id": [1, 5], "max_length": 20, "num_beams": 3}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unusual = Answers(folder, is_continuous)
        answers = unusual(tiny.contexts(), 48)
    for answer, plain in zip(answers, tiny(tiny.contexts(), 48), strict=True):
        ids = list(plain.token_ids)
        assert list(answer.token_ids) == (ids[: ids.index(5)] if 5 in ids else ids)


def test_steps_are_told(tiny: Answers) -> None:
    steps: list[int] = []
    (answer,) = tiny(tiny.contexts()[:1], 60, on_step=lambda: steps.append(1))
    assert len(steps) == len(answer.token_ids) + answer.finished


@both_ways
def test_answers_end_within_the_models_context(tmp_path: Path, is_continuous: bool) -> None:
    answers = Answers(random_model(tmp_path / "model", "gpt2"), is_continuous)
    limit = answers.encoder.max_context_tokens
    nearly_full, too_long, short = (7,) * (limit - 4), (7,) * (limit + 4), (7,) * 20
    cut, none, other = answers([nearly_full, too_long, short], 50)
    assert len(cut.token_ids) <= 4
    assert none == Generation("", (), finished=False)
    assert list(other.token_ids) == list(answers([short], 50)[0].token_ids)


def test_out_of_memory_halves_the_batches_for_good(tiny: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tiny(tiny.contexts(), 20)
    generate = tiny.model.generate
    sizes: list[int] = []

    def cramped(**arguments: Any) -> Any:
        sizes.append(len(arguments["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(**arguments)

    monkeypatch.setattr(tiny.model, "generate", cramped)
    assert tiny(tiny.contexts(), 20) == expected
    assert sizes.count(5) == 1
    assert max(sizes[1:]) == 2


def test_what_is_answered_before_memory_runs_out_is_kept(tiny: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tiny(tiny.contexts(), 100)
    generate = tiny.model.generate
    sizes: list[int] = []
    tiny.told.clear()

    def cramped(**arguments: Any) -> Any:
        sizes.append(len(arguments["input_ids"]))
        if len(sizes) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(**arguments)

    monkeypatch.setattr(tiny.model, "generate", cramped)
    assert tiny(tiny.contexts(), 100) == expected
    assert sum(map(len, tiny.told)) == len(QUESTIONS)
    assert sizes[2] == 2


def test_a_question_that_never_fits_ends_with_a_memory_error(tiny: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tiny.model, "generate", full)
    with pytest.raises(MemoryError):
        tiny(tiny.contexts(), 20)


class StopError(Exception):
    """What a test raises to end the work."""


def after(steps: int) -> Callable[[], None]:
    """An `on_step` that ends the work."""
    left = iter(range(steps))

    def on_step() -> None:
        if next(left, None) is None:
            raise StopError

    return on_step


@both_ways
def test_what_a_step_raises_ends_the_work_and_leaves_nothing_behind(is_continuous: bool) -> None:
    answers = Answers(TINY_MODEL, is_continuous)
    before = answers.model(torch.tensor([answers.contexts()[0]])).logits
    threads = threading.active_count()
    with pytest.raises(StopError):
        answers(answers.contexts() * 20, 400, after(2))
    assert threading.active_count() == threads
    assert answers.model.config._attn_implementation == "sdpa"
    assert not hasattr(answers.model, "_cached_continuous_batching_manager")
    assert torch.equal(answers.model(torch.tensor([answers.contexts()[0]])).logits, before)
    assert len(answers(answers.contexts(), 20)) == len(QUESTIONS)
