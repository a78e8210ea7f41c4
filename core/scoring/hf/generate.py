"""Answers of the target model: greedy ones by continuous batching on a GPU, all others in batches that shrink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import transformers

from core.scoring.hf.batches import Prompt, StaticBatches
from core.scoring.hf.continuous import ContinuousBatches, ContinuousError
from core.scoring.hf.draw import Draw
from core.scoring.protocol import Generation, Sampling


class AnswerGenerator:
    """Plain greedy search or plain sampling: settings and penalties that the model's folder suggests are not used.

    `continuous` says whether to batch greedy search continuously; None means on a GPU only, because a CPU loses time
    by it. Sampling never is: the library has one random state for all requests.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        end_of_turn: set[int],
        max_context_tokens: int,
        continuous: bool | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._limit = max_context_tokens
        self._end = _end_ids(model, tokenizer) | end_of_turn
        model.generation_config = transformers.GenerationConfig(do_sample=False)
        self._static = StaticBatches(model, self._end, self._pad_id())
        wanted = model.device.type == "cuda" if continuous is None else continuous
        self._continuous = ContinuousBatches(model, self._end) if wanted else None

    def __call__(
        self,
        contexts: Sequence[tuple[int, ...]],
        max_new_tokens: int,
        on_answers: Callable[[Sequence[tuple[int, Generation]]], None],
        on_step: Callable[[], None] | None = None,
        sampling: Sampling | None = None,
    ) -> list[str]:
        """As `core.scoring.protocol.Engine.generate`."""
        rooms = [min(max_new_tokens, self._limit - len(context)) for context in contexts]
        draws = [Draw(sampling.temperature, seed) for seed in sampling.seeds] if sampling else [None] * len(contexts)
        waiting = {
            index: Prompt(index, context, room, draw)
            for index, (context, room, draw) in enumerate(zip(contexts, rooms, draws, strict=True))
            if room > 0
        }
        without_room = [index for index in range(len(contexts)) if index not in waiting]
        if without_room:
            on_answers([(index, Generation("", (), finished=False)) for index in without_room])

        def answered(answers: list[tuple[int, list[int]]]) -> None:
            on_answers([(index, self._generation(ids)) for index, ids in answers])
            for index, _ in answers:
                del waiting[index]

        step = on_step or (lambda: None)
        notes = []
        if self._continuous is not None and sampling is None and waiting:
            try:
                self._continuous.answer(list(waiting.values()), answered, step)
            except ContinuousError as error:
                self._continuous = None
                notes.append(f"no continuous batching, answers are generated in fixed batches: {error}")
        self._static.answer(list(waiting.values()), answered, step)
        return notes

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
