"""Greedy answers: batches against single prompts, ends, limits, and settings that are not taken from the folder."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from core.domain import Turn
from core.scoring.hf.engine import HuggingFaceEngine
from tests.conftest import TINY_MODEL
from tests.unit.scoring_models import engine_of, random_model

QUESTIONS = (
    "Tom has 5 apples and buys 7 more. How many apples does he have?",
    "A bus carries 36 people. At a stop 10 people get off and 11 people get on. How many people are on the bus now?",
    "What?",
)


@pytest.fixture(scope="module")
def tiny() -> HuggingFaceEngine:
    return engine_of(TINY_MODEL)


def contexts(engine: HuggingFaceEngine) -> list[tuple[int, ...]]:
    return [engine.encode_context((Turn("user", question),)) for question in QUESTIONS]


def greedy_loop(folder: Path, context: tuple[int, ...], end: int, limit: int) -> tuple[list[int], bool]:
    """The most probable token again and again, without a cache."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = list(context)
    with torch.no_grad():
        for _ in range(limit):
            following = int(model(torch.tensor([ids])).logits[0, -1].argmax())
            if following == end:
                return ids[len(context) :], True
            ids.append(following)
    return ids[len(context) :], False


def test_a_padded_batch_gives_what_a_plain_loop_gives(tiny: HuggingFaceEngine) -> None:
    answers = tiny.generate(contexts(tiny), 48)
    for context, answer in zip(contexts(tiny), answers, strict=True):
        ids, finished = greedy_loop(TINY_MODEL, context, end=1, limit=48)
        assert list(answer.token_ids) == ids
        assert answer.finished is finished


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
def test_padding_changes_nothing_on_any_architecture(tmp_path: Path, architecture: str) -> None:
    engine = engine_of(random_model(tmp_path / "model", architecture))
    together = engine.generate(contexts(engine), 24)
    assert together == [engine.generate([context], 24)[0] for context in contexts(engine)]


def test_an_answer_cut_at_the_limit_is_not_finished(tiny: HuggingFaceEngine) -> None:
    (answer,) = tiny.generate(contexts(tiny)[:1], 3)
    assert len(answer.token_ids) == 3
    assert not answer.finished


def test_texts_are_decoded_without_special_tokens_and_not_stripped(tiny: HuggingFaceEngine) -> None:
    for answer in tiny.generate(contexts(tiny), 100):
        assert tiny.encode_response(answer.text) == answer.token_ids
        assert "<|" not in answer.text


def test_settings_of_the_folder_do_not_disturb_greedy_search(tmp_path: Path, tiny: HuggingFaceEngine) -> None:
    folder = shutil.copytree(TINY_MODEL, tmp_path / "model")
    settings = {"do_sample": True, "temperature": 1.7, "top_k": 50, "top_p": 0.9, "repetition_penalty": 3.0}
    settings |= {"eos_token_id": [1, 5], "max_length": 20, "num_beams": 3}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine = engine_of(folder)
        answers = engine.generate(contexts(engine), 48)
    for answer, plain in zip(answers, tiny.generate(contexts(tiny), 48), strict=True):
        ids = list(plain.token_ids)
        assert list(answer.token_ids) == (ids[: ids.index(5)] if 5 in ids else ids)


def test_steps_are_told(tiny: HuggingFaceEngine) -> None:
    steps: list[int] = []
    (answer,) = tiny.generate(contexts(tiny)[:1], 60, on_step=lambda: steps.append(1))
    assert len(steps) == len(answer.token_ids) + answer.finished


def test_answers_end_within_the_models_context(tmp_path: Path) -> None:
    engine = engine_of(random_model(tmp_path / "model", "gpt2"))
    nearly_full = (7,) * (engine.max_context_tokens - 4)
    too_long = (7,) * (engine.max_context_tokens + 4)
    short, none = engine.generate([nearly_full, too_long], 50)
    assert len(short.token_ids) <= 4
    assert none.token_ids == ()
    assert not none.finished


def test_out_of_memory_halves_the_batch(tiny: HuggingFaceEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tiny.generate(contexts(tiny), 20)
    generate = tiny._model.generate
    sizes: list[int] = []

    def cramped(**arguments: Any) -> torch.Tensor:
        sizes.append(len(arguments["input_ids"]))
        if sizes[-1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        output: torch.Tensor = generate(**arguments)
        return output

    monkeypatch.setattr(tiny._model, "generate", cramped)
    assert tiny.generate(contexts(tiny), 20) == expected
    assert sizes == [3, 1, 2, 1, 1]


def test_a_question_that_never_fits_ends_with_a_memory_error(
    tiny: HuggingFaceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tiny._model, "generate", full)
    with pytest.raises(MemoryError):
        tiny.generate(contexts(tiny), 20)
