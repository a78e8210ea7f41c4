"""Greedy answers of the target model, as a batch padded on the left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers

from core.scoring.protocol import Generation


class GreedyGenerator:
    """Plain greedy search: sampling settings and penalties that the model's folder suggests are not used."""

    def __init__(self, model: Any, tokenizer: Any, end_of_turn: set[int]) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._end = _end_ids(model, tokenizer) | end_of_turn
        model.generation_config = transformers.GenerationConfig(do_sample=False)

    def __call__(
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
