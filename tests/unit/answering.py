"""Answers to a few questions, of either way of batching, and of a plain loop to compare them with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.domain import Turn
from core.scoring.hf.encode import ChatEncoder
from core.scoring.hf.generate import AnswerGenerator
from core.scoring.hf.load import load_encoder
from core.scoring.protocol import EngineSettings, Generation, Sampling

QUESTIONS = (
    "Tom has 5 apples and buys 7 more. How many apples does he have?",
    "A bus carries 36 people. At a stop 10 people get off and 11 people get on. How many people are on the bus now?",
    "What?",
    "Felix bakes 23 muffins and eats 2. The others go into bags of 7. How many bags are filled?",
    "There are 8 rows of 12 chairs. How many chairs are there?",
)

needs_continuous = pytest.mark.skipif(
    "auto_switch_to_flash" not in inspect.signature(transformers.ContinuousBatchingConfig).parameters,
    reason="this version of transformers cannot be told to leave the attention as it is",
)
both_ways = pytest.mark.parametrize("is_continuous", [False, pytest.param(True, marks=needs_continuous)])


class Answers:
    """A generator with its parts in reach, and what it told."""

    def __init__(self, folder: Path, continuous: bool = False) -> None:
        self.encoder: ChatEncoder = load_encoder(EngineSettings(str(folder), device="cpu"))
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False)
        self.generate = AnswerGenerator(
            self.model,
            AutoTokenizer.from_pretrained(folder),
            self.encoder.end_of_turn_ids(),
            self.encoder.max_context_tokens,
            continuous,
        )
        self.notes: list[str] = []
        self.told: list[list[int]] = []

    def contexts(self) -> list[tuple[int, ...]]:
        return [self.encoder.encode_context((Turn("user", question),)) for question in QUESTIONS]

    def __call__(
        self,
        contexts: Sequence[tuple[int, ...]],
        max_new_tokens: int,
        on_step: Callable[[], None] | None = None,
        sampling: Sampling | None = None,
    ) -> list[Generation]:
        found: dict[int, Generation] = {}

        def on_answers(answers: Sequence[tuple[int, Generation]]) -> None:
            self.told.append([index for index, _ in answers])
            assert not found.keys() & {index for index, _ in answers}
            found.update(answers)

        self.notes = self.generate(contexts, max_new_tokens, on_answers, on_step, sampling)
        return [found[index] for index in range(len(contexts))]


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
