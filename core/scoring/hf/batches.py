"""Greedy or drawn answers in batches padded on the left, which rows leave as soon as they are answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from core.scoring.hf.draw import Draw, DrawnTokens
from core.scoring.hf.memory import free_cached_memory, is_out_of_memory

Answered = Callable[[list[tuple[int, list[int]]]], None]
"""Hears of prompts, by index, with their new token ids; whatever follows the first end token is to be ignored."""

# The larger a batch, the fewer steps; answered rows leave it, so a long answer holds nobody up.
_ROWS = 64
# Prompts and answers of a batch: bounds its cache, and what the pass over its prompts needs.
_TOKENS = 40 << 10
# Leaving costs a restart of the search: a quarter of the rows leave together.
_LEAVING_SHARE = 4


@dataclass(frozen=True, slots=True)
class Prompt:
    """A context to be answered with at most `room` new tokens, the most probable ones unless they are to be drawn."""

    index: int
    context: tuple[int, ...]
    room: int
    draw: Draw | None = None


class StaticBatches:
    """Works on any model that `generate` of transformers takes."""

    def __init__(self, model: Any, end: set[int], pad: int) -> None:
        self._model = model
        self._end = torch.tensor(sorted(end), dtype=torch.long, device=model.device)
        self._pad = pad
        self._rows = _ROWS
        self._rows_leave = _rows_can_leave(model)

    def answer(self, prompts: Sequence[Prompt], answered: Answered, on_step: Callable[[], None]) -> None:
        """The longest first: they pad each other least, and memory that does not suffice is noticed at once.

        Without enough memory batches have half as many rows from then on; MemoryError where one alone does not fit.
        """
        waiting = sorted(prompts, key=lambda prompt: -len(prompt.context))
        while waiting:
            batch = self._next_batch(waiting)
            done: set[int] = set()
            fits = False
            try:
                for answers in self._search(batch, on_step):
                    answered(answers)
                    done.update(index for index, _ in answers)
                fits = True
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            if not fits:
                self._halve(len(batch))
            waiting = [prompt for prompt in waiting if prompt.index not in done]

    def _next_batch(self, waiting: list[Prompt]) -> list[Prompt]:
        first = waiting[0]
        rows = min(self._rows, _TOKENS // (len(first.context) + first.room))
        return [prompt for prompt in waiting if prompt.room == first.room][: max(1, rows)]

    def _halve(self, rows: int) -> None:
        free_cached_memory(self._model)
        if rows == 1:
            raise MemoryError("There is not enough memory to answer one question.")
        self._rows = rows // 2

    def _search(self, batch: list[Prompt], on_step: Callable[[], None]) -> Iterator[list[tuple[int, list[int]]]]:
        """Answers as they are complete. The search stops for rows to leave, and goes on with the others' cache."""
        rows, cache = batch, None
        ids, mask = self._padded(batch)
        width = ids.shape[1]
        longest = width + batch[0].room
        while rows:
            with torch.inference_mode():
                output = self._step(ids, mask, longest, cache, _drawing(rows, width), on_step)
                ids = output.sequences
                mask = torch.nn.functional.pad(mask, (0, ids.shape[1] - mask.shape[1]), value=1)
                over = torch.isin(ids[:, width:], self._end).any(1) | (ids.shape[1] == longest)
            answers = ids[:, width:].tolist()
            leaving = over.tolist()
            yield [(row.index, answer) for row, answer, leaves in zip(rows, answers, leaving, strict=True) if leaves]
            rows = [row for row, leaves in zip(rows, leaving, strict=True) if not leaves]
            if rows:
                # On the CPU, because the layers of a large model lie on several devices.
                staying = (~over).nonzero()[:, 0].cpu()
                cache = output.past_key_values
                cache.batch_select_indices(staying)
                ids, mask = ids[staying], mask[staying]

    def _padded(self, batch: list[Prompt]) -> tuple[torch.Tensor, torch.Tensor]:
        width = len(batch[0].context)
        ids = torch.full((len(batch), width), self._pad)
        mask = torch.zeros(len(batch), width, dtype=torch.long)
        for row, prompt in enumerate(batch):
            ids[row, width - len(prompt.context) :] = torch.tensor(prompt.context)
            mask[row, width - len(prompt.context) :] = 1
        return ids.to(self._model.device), mask.to(self._model.device)

    def _step(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor,
        longest: int,
        cache: Any,
        drawing: list[DrawnTokens],
        on_step: Callable[[], None],
    ) -> Any:
        return self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=cache,
            max_new_tokens=longest - ids.shape[1],
            do_sample=False,
            logits_processor=transformers.LogitsProcessorList(drawing),
            eos_token_id=self._end.tolist() or None,
            pad_token_id=self._pad,
            return_dict_in_generate=True,
            stopping_criteria=transformers.StoppingCriteriaList([self._stop(len(ids), on_step)]),
        )

    def _stop(self, rows: int, on_step: Callable[[], None]) -> Callable[..., torch.Tensor]:
        enough = -(-rows // _LEAVING_SHARE) if self._rows_leave else rows
        ended = torch.zeros(rows, dtype=torch.bool, device=self._model.device)

        def stop(input_ids: torch.Tensor, scores: Any, **unused: Any) -> torch.Tensor:
            on_step()
            ended.logical_or_(torch.isin(input_ids[:, -1], self._end))
            return (ended.sum() >= enough).expand(rows)

        return stop


def _drawing(rows: list[Prompt], width: int) -> list[DrawnTokens]:
    draws = [row.draw for row in rows if row.draw is not None]
    return [DrawnTokens(draws, width, rows[0].room)] if draws else []


def _rows_can_leave(model: Any) -> bool:
    """Whether single rows can be taken out of the model's cache; a recurrent state keeps all of them."""
    layers = transformers.DynamicCache(config=model.config.get_text_config(decoder=True)).layers
    return model._supports_default_dynamic_cache() and all(hasattr(layer, "batch_select_indices") for layer in layers)
