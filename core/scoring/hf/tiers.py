"""Ways of computing groups: behind a shared cache, or one by one, which is the reference.

A tier takes groups whose responses have at least one token and gives each response's score rows (1 or 4, T).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import torch

from core.scoring.hf.head import RowHead, rows_per_chunk, score_rows
from core.scoring.hf.kept import Kept
from core.scoring.hf.limits import UNLIMITED, shared_limit
from core.scoring.protocol import ScoringGroup

# Of the responses that share a call; constants, so that results do not depend on how much memory is free.
_CACHE_BYTES = 4 << 30
_PADDED_TOKENS = 16384


class Tier(Protocol):
    """`longest` is the number of tokens of context and response up to which this way is exact."""

    name: str
    longest: int

    def score(self, groups: Sequence[ScoringGroup]) -> list[list[torch.Tensor]]: ...

    def forget(self) -> None:
        """Free what is kept of contexts that come again."""
        ...


class OneByOne:
    """Every response in a forward pass of its own behind its context, with the model's own head."""

    name = "one by one"
    longest = UNLIMITED

    def __init__(self, model: Any) -> None:
        self._model = model
        self._chunk = rows_per_chunk(model.get_output_embeddings().weight.shape[0], model.device.type)
        self._keeps_rows = "logits_to_keep" in inspect.signature(model.forward).parameters

    def score(self, groups: Sequence[ScoringGroup]) -> list[list[torch.Tensor]]:
        return [
            [self._score_one(group.context, response, group.detail) for response in group.responses] for group in groups
        ]

    def forget(self) -> None:
        """Nothing is kept."""

    def _score_one(self, context: Sequence[int], response: Sequence[int], detail: bool) -> torch.Tensor:
        targets = torch.tensor(response)
        ids = torch.tensor([[*context, *response[:-1]]], device=self._model.device)
        keep = {"logits_to_keep": len(response)} if self._keeps_rows else {}
        logits = self._model(input_ids=ids, use_cache=False, **keep).logits[0, -len(response) :]
        return score_rows(logits, targets, lambda rows: rows.float(), self._chunk, detail)


class SharedCache:
    """The context once; its cache copied to the responses, which are padded on the right where they share a call.

    `alone_in_call` gives every response a forward pass of its own behind the context's cache, so that its scores
    depend on no other response: 8-bit matrix products mix all rows of a call, and a CPU gains nothing by padding.
    """

    name = "shared cache"

    def __init__(self, model: Any, alone_in_call: bool) -> None:
        self._model = model
        self._decoder = model.get_decoder()
        self._head = RowHead(model)
        self._chunk = rows_per_chunk(model.get_output_embeddings().weight.shape[0], model.device.type)
        self._alone_in_call = alone_in_call
        self._kept: Kept[tuple[torch.Tensor, Any]] = Kept()
        self.longest = shared_limit(self._decoder.config)

    def score(self, groups: Sequence[ScoringGroup]) -> list[list[torch.Tensor]]:
        return [self._score_group(group) for group in groups]

    def forget(self) -> None:
        self._kept.clear()

    def _compute_context(self, context: tuple[int, ...]) -> tuple[torch.Tensor, Any]:
        """The hidden row (1, hidden size) of the context's last token, and its cache."""
        ids = torch.tensor([list(context)], device=self._model.device)
        output = self._decoder(input_ids=ids, use_cache=True)
        return output.last_hidden_state[:, -1], output.past_key_values

    def _score_group(self, group: ScoringGroup) -> list[torch.Tensor]:
        context, responses, detail = group.context, group.responses, group.detail
        compute = self._compute_context
        last_row, cache = self._kept.get(context, compute) if group.keep else compute(context)
        scores: list[torch.Tensor | None] = [None] * len(responses)
        for batch in self._batches(len(context), cache, responses):
            rows = self._hidden_rows(len(context), cache, [responses[index] for index in batch])
            for index, own in zip(batch, rows, strict=True):
                hidden = torch.cat([last_row, own.to(last_row.device)])
                scores[index] = score_rows(hidden, torch.tensor(responses[index]), self._head, self._chunk, detail)
        return [score for score in scores if score is not None]

    def _batches(self, context: int, cache: Any, responses: Sequence[Sequence[int]]) -> list[list[int]]:
        """Indices of responses to compute together, the longest first, bounded by cache size and padded tokens."""
        order = sorted(range(len(responses)), key=lambda index: -len(responses[index]))
        if self._alone_in_call:
            return [[index] for index in order]
        token_bytes = _cache_bytes(cache) / context
        batches: list[list[int]] = []
        for index in order:
            longest = len(responses[batches[-1][0]]) if batches else 0
            count = len(batches[-1]) + 1 if batches else 0
            small = count * (context + longest) * token_bytes <= _CACHE_BYTES and count * longest <= _PADDED_TOKENS
            if batches and small:
                batches[-1].append(index)
            else:
                batches.append([index])
        return batches

    def _hidden_rows(self, context: int, cache: Any, responses: list[Sequence[int]]) -> list[torch.Tensor]:
        """Hidden rows of each response's tokens but the last, which predicts nothing."""
        lengths = [len(response) - 1 for response in responses]
        longest = max(lengths)
        device = self._model.device
        if longest == 0:
            width = self._model.get_output_embeddings().weight.shape[1]
            return [torch.empty(0, width, device=device) for _ in responses]
        own_cache = _copies(cache, len(responses), device)
        ids = torch.zeros(len(responses), longest, dtype=torch.long)
        mask = torch.zeros(len(responses), context + longest, dtype=torch.long)
        mask[:, :context] = 1
        for row, response in enumerate(responses):
            ids[row, : lengths[row]] = torch.tensor(response[:-1])
            mask[row, context : context + lengths[row]] = 1
        positions = torch.arange(context, context + longest, device=device)[None].expand(len(responses), -1)
        output = self._decoder(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions,
            past_key_values=own_cache,
            use_cache=True,
        )
        return [output.last_hidden_state[row, :length] for row, length in enumerate(lengths)]


def _copies(cache: Any, count: int, device: torch.device) -> Any:
    """A cache of its own for each of `count` rows; the model writes into it."""
    copied = copy.deepcopy(cache)
    if count > 1:
        copied.reorder_cache(torch.zeros(count, dtype=torch.long, device=device))
    return copied


def _cache_bytes(cache: Any) -> int:
    """Bytes of a cache's keys and values; recurrent states are small beside them."""
    tensors = (getattr(layer, name, None) for layer in cache.layers for name in ("keys", "values"))
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))
