"""A loaded Hugging Face model as an engine: the fastest tier that proves itself, checks, and out-of-memory halving."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers

from core.domain import SampleError, TokenScores, Turn
from core.scoring.hf.encode import ChatEncoder
from core.scoring.hf.gate import PROBE_TEXT, agrees, gate_for, probe_of
from core.scoring.hf.generate import GreedyGenerator
from core.scoring.hf.head import token_scores
from core.scoring.hf.memory import free_cached_memory, is_out_of_memory, peak_memory_bytes
from core.scoring.hf.tiers import OneByOne, SharedCache, Tier
from core.scoring.protocol import EngineSettings, Generation, ScoringGroup


class HuggingFaceEngine:
    """Implements `core.scoring.protocol.Engine` on a model that is loaded and in evaluation mode."""

    def __init__(self, model: Any, tokenizer: Any, encoder: ChatEncoder, settings: EngineSettings) -> None:
        self._model = model
        self._encoder = encoder
        self._settings = settings
        self._generate = GreedyGenerator(model, tokenizer, encoder.end_of_turn_ids(), encoder.max_context_tokens)
        self._vocabulary = model.get_input_embeddings().weight.shape[0]
        self._tier = self._choose_tier()

    def _choose_tier(self) -> Tier:
        settings = self._settings
        reference = OneByOne(self._model)
        device = self._model.device.type
        shared = SharedCache(self._model, alone_in_call=settings.quantization == "int8" or device == "cpu")
        gate = gate_for(settings.quantization, settings.dtype, device)
        probe = probe_of(self._model, self._encoder.encode_response(PROBE_TEXT))
        return shared if agrees(shared, reference, probe, gate) else reference

    @property
    def tier(self) -> str:
        return self._tier.name

    @property
    def device(self) -> str:
        return str(self._model.device)

    @property
    def max_context_tokens(self) -> int:
        return self._encoder.max_context_tokens

    @property
    def versions(self) -> dict[str, str]:
        found = {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
        if self._settings.quantization != "none":
            import bitsandbytes

            found["bitsandbytes"] = bitsandbytes.__version__
        if self._settings.adapter:
            import peft

            found["peft"] = peft.__version__
        if self._model.device.type == "cuda":
            found["gpu"] = torch.cuda.get_device_name(self._model.device)
        return found

    def encode_context(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        return self._encoder.encode_context(turns)

    def encode_response(self, text: str) -> tuple[int, ...]:
        return self._encoder.encode_response(text)

    def score(self, groups: Sequence[ScoringGroup]) -> list[list[TokenScores | SampleError]]:
        return [self._score_group(group) for group in groups]

    @property
    def token_budget(self) -> int:
        return 8192

    def limit_tokens(self, budget: int) -> None:
        pass

    def _score_group(self, group: ScoringGroup) -> list[TokenScores | SampleError]:
        results = [self._refused(group.context, response) for response in group.responses]
        accepted = [index for index, refused in enumerate(results) if refused is None]
        with torch.inference_mode():
            scored = self._score_halving(group, accepted)
        return [scored[index] if refused is None else refused for index, refused in enumerate(results)]

    def _refused(self, context: tuple[int, ...], response: tuple[int, ...]) -> SampleError | None:
        if not response:
            return SampleError("empty", "The response has no tokens.")
        if not context:
            return SampleError("no_context", "The context has no tokens, so the first token has no probability.")
        tokens = len(context) + len(response)
        if tokens > self.max_context_tokens:
            return SampleError("too_long", f"{tokens} tokens, the model takes {self.max_context_tokens}.")
        highest = max(max(context), max(response))
        if highest >= self._vocabulary:
            return SampleError("token_out_of_vocabulary", f"Token id {highest}, the model has {self._vocabulary}.")
        return None

    def _score_halving(self, group: ScoringGroup, indices: list[int]) -> dict[int, TokenScores | SampleError]:
        """Scores of these responses; halves them as long as memory does not suffice."""
        if not indices:
            return {}
        rows = self._try_tier(group, indices)
        if rows is not None:
            return {index: _checked(row) for index, row in zip(indices, rows, strict=True)}
        if len(indices) == 1:
            return {indices[0]: SampleError("out_of_memory", "Not enough memory for this response alone.")}
        middle = len(indices) // 2
        return self._score_halving(group, indices[:middle]) | self._score_halving(group, indices[middle:])

    def _try_tier(self, group: ScoringGroup, indices: list[int]) -> list[torch.Tensor] | None:
        try:
            return self._tier.score(group.context, [group.responses[index] for index in indices], group.detail)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        free_cached_memory(self._model)
        return None

    def generate(
        self, contexts: Sequence[tuple[int, ...]], max_new_tokens: int, on_step: Callable[[], None] | None = None
    ) -> list[Generation]:
        with torch.inference_mode():
            return self._generate(contexts, max_new_tokens, on_step)

    def peak_memory_bytes(self) -> int:
        return peak_memory_bytes(self._model)


def _checked(rows: torch.Tensor) -> TokenScores | SampleError:
    if not torch.isfinite(rows).all():
        return SampleError("nonfinite", "The model gave values that are no finite numbers.")
    return token_scores(rows)
