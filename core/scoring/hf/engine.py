"""A loaded Hugging Face model as an engine: encoding, checks of every sample, scoring and answering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from core.domain import SampleError, TokenScores, Turn
from core.scoring.hf.encode import ChatEncoder
from core.scoring.hf.gate import PROBE_TEXT
from core.scoring.hf.generate import AnswerGenerator
from core.scoring.hf.ladder import proven_ladder
from core.scoring.hf.memory import devices_of, free_cached_memory, memory_bytes, peak_memory_bytes
from core.scoring.hf.refused import refused_ids
from core.scoring.hf.score import GroupScorer
from core.scoring.hf.versions import library_versions
from core.scoring.protocol import WITHOUT_TEMPLATE, EngineSettings, Generation, Sampling, ScoringGroup


class HuggingFaceEngine:
    """Implements `core.scoring.protocol.Engine` on a model that is loaded and in evaluation mode."""

    def __init__(self, model: Any, tokenizer: Any, encoder: ChatEncoder, settings: EngineSettings) -> None:
        self._model = model
        self._encoder = encoder
        self._settings = settings
        self._generate = AnswerGenerator(model, tokenizer, encoder.end_of_turn_ids(), encoder.max_context_tokens)
        self._vocabulary = model.get_input_embeddings().weight.shape[0]
        self._ladder = proven_ladder(model, settings, encoder.encode_response(PROBE_TEXT))
        self._scorer = GroupScorer(model, self._ladder)

    @property
    def tier(self) -> str:
        return self._ladder.tiers[0].name

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._ladder.refused, *([] if self._encoder.has_template else [WITHOUT_TEMPLATE]))

    @property
    def probe(self) -> tuple[float, ...]:
        return self._ladder.probe

    @property
    def token_budget(self) -> int:
        return self._scorer.token_budget

    def limit_tokens(self, budget: int) -> None:
        self._scorer.limit_tokens(budget)

    @property
    def device(self) -> str:
        return ", ".join(map(str, devices_of(self._model)))

    @property
    def max_context_tokens(self) -> int:
        return self._encoder.max_context_tokens

    @property
    def versions(self) -> dict[str, str]:
        found = library_versions(self._model)
        if self._settings.quantization != "none":
            import bitsandbytes

            found["bitsandbytes"] = bitsandbytes.__version__
        if self._settings.adapter:
            import peft

            found["peft"] = peft.__version__
        return found

    @property
    def control_tokens(self) -> tuple[str, ...]:
        return self._encoder.control_tokens

    def encode_context(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        return self._encoder.encode_context(turns)

    def encode_response(self, text: str) -> tuple[int, ...]:
        return self._encoder.encode_response(text)

    def token_ends(self, text: str) -> tuple[int, ...]:
        return self._encoder.token_ends(text)

    def score(self, groups: Sequence[ScoringGroup]) -> list[list[TokenScores | SampleError]]:
        refused = [[self._refused(group.context, response) for response in group.responses] for group in groups]
        accepted = [_without(group, errors) for group, errors in zip(groups, refused, strict=True)]
        with torch.inference_mode():
            scored = iter(self._scorer.score([group for group in accepted if group.responses]))
        found = [iter(next(scored)) if group.responses else iter(()) for group in accepted]
        return [
            [next(own) if error is None else error for error in errors]
            for own, errors in zip(found, refused, strict=True)
        ]

    def _refused(self, context: tuple[int, ...], response: tuple[int, ...]) -> SampleError | None:
        if not response:
            return SampleError("empty", "The response has no tokens.")
        if not context:
            return SampleError("no_context", "The context has no tokens, so the first token has no probability.")
        return refused_ids((*context, *response), self.max_context_tokens, self._vocabulary)

    def generate(
        self,
        contexts: Sequence[tuple[int, ...]],
        max_new_tokens: int,
        on_answers: Callable[[Sequence[tuple[int, Generation]]], None],
        on_step: Callable[[], None] | None = None,
        sampling: Sampling | None = None,
    ) -> list[str]:
        return self._generate(contexts, max_new_tokens, on_answers, on_step, sampling)

    def rest(self) -> None:
        self._ladder.forget()
        free_cached_memory(self._model)

    def peak_memory_bytes(self) -> int:
        return peak_memory_bytes(self._model)

    def memory_bytes(self) -> int:
        return memory_bytes(self._model)


def _without(group: ScoringGroup, refused: Sequence[SampleError | None]) -> ScoringGroup:
    kept = (response for response, error in zip(group.responses, refused, strict=True) if error is None)
    return replace(group, responses=tuple(kept))
