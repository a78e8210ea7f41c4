"""Greedy answers of the target model, as a batch padded on the left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers

from core.scoring.hf.memory import free_cached_memory, is_out_of_memory
from core.scoring.protocol import Generation


class GreedyGenerator:
    """Plain greedy search: sampling settings and penalties that the model's folder suggests are not used."""

    def __init__(self, model: Any, tokenizer: Any, end_of_turn: set[int], max_context_tokens: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._limit = max_context_tokens
        self._end = _end_ids(model, tokenizer) | end_of_turn
        model.generation_config = transformers.GenerationConfig(do_sample=False)

    def __call__(
        self, contexts: Sequence[tuple[int, ...]], max_new_tokens: int, on_step: Callable[[], None] | None
    ) -> list[Generation]:
        """Answers in order. A context with less room than `max_new_tokens` is answered alone, within its room."""
        rooms = [min(max_new_tokens, self._limit - len(context)) for context in contexts]
        roomy = [index for index, room in enumerate(rooms) if room == max_new_tokens]
        batch = self._halving([contexts[index] for index in roomy], max_new_tokens, on_step)
        answers = dict(zip(roomy, batch, strict=True))
        for index, room in enumerate(rooms):
            if 0 < room < max_new_tokens:
                answers[index] = self._halving([contexts[index]], room, on_step)[0]
        nothing = Generation("", (), finished=False)
        return [answers.get(index, nothing) for index in range(len(contexts))]

    def _halving(
        self, contexts: Sequence[tuple[int, ...]], max_new_tokens: int, on_step: Callable[[], None] | None
    ) -> list[Generation]:
        """As one batch, or in halves as long as memory does not suffice; MemoryError where it never does."""
        if not contexts:
            return []
        try:
            return self._batch(contexts, max_new_tokens, on_step)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        free_cached_memory(self._model)
        if len(contexts) == 1:
            raise MemoryError("There is not enough memory to answer one question.")
        middle = len(contexts) // 2
        first = self._halving(contexts[:middle], max_new_tokens, on_step)
        return first + self._halving(contexts[middle:], max_new_tokens, on_step)

    def _batch(
        self, contexts: Sequence[tuple[int, ...]], max_new_tokens: int, on_step: Callable[[], None] | None
    ) -> list[Generation]:
        width = max(map(len, contexts))
        pad = self._pad_id()
        ids = torch.full((len(contexts), width), pad)
        mask = torch.zeros(len(contexts), width, dtype=torch.long)
        for row, context in enumerate(contexts):
            ids[row, width - len(context) :] = torch.tensor(context)
            mask[row, width - len(context) :] = 1
        output = self._model.generate(
            input_ids=ids.to(self._model.device),
            attention_mask=mask.to(self._model.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(self._end) or None,
            pad_token_id=pad,
            stopping_criteria=_steps(on_step),
        )
        return [self._generation(row) for row in output[:, width:].tolist()]

    def _generation(self, ids: list[int]) -> Generation:
        ends = [place for place, token in enumerate(ids) if token in self._end]
        kept = ids[: ends[0]] if ends else ids
        text = self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Generation(text, tuple(kept), finished=bool(ends))

    def _pad_id(self) -> int:
        known = self._tokenizer.pad_token_id
        if known is not None:
            return int(known)
        return min(self._end) if self._end else 0


def _end_ids(model: Any, tokenizer: Any) -> set[int]:
    ids: set[int] = set()
    sources = (model.generation_config, model.config.get_text_config(decoder=True), tokenizer)
    for found in (getattr(source, "eos_token_id", None) for source in sources):
        ids.update(found if isinstance(found, list) else [] if found is None else [found])
    return ids


def _steps(on_step: Callable[[], None] | None) -> Any:
    if on_step is None:
        return None

    def step(input_ids: torch.Tensor, scores: Any, **unused: Any) -> torch.Tensor:
        on_step()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    return transformers.StoppingCriteriaList([step])
