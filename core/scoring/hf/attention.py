"""Attention over a packed row: every context once, each response over its context and over itself, merged exactly.

A row holds contexts and behind them the responses of all groups. A response's token sees its group's context and its
own response up to itself. Both parts are computed apart, without any mask, and merged by their log-sum-exp.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from transformers import AttentionInterface

NAME = "sap_tui_packed"

Attended = tuple[torch.Tensor, torch.Tensor]
Kernel = Callable[..., Attended]


@dataclass(slots=True, eq=False)
class KeptContext:
    """A context that was computed in a forward pass of its own.

    Keys and values by layer, (1, heads, tokens, size) each, and the hidden row (1, hidden size) of the last token.
    """

    layers: dict[int, Attended] = field(default_factory=dict)
    last_row: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class PackedRow:
    """Where everything lies in a row: contexts first, then each group's responses in the order of `behind`.

    `contexts` are the lengths of the contexts in the row, `responses` those of each group's responses in the row.
    `behind` names each group's context: a place in `contexts`, or a kept context. `keep_in` collects the keys and
    values of a row that is one context alone.
    """

    contexts: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...] = ()
    behind: tuple[int | KeptContext, ...] = ()
    keep_in: KeptContext | None = None

    @property
    def context_tokens(self) -> int:
        return sum(self.contexts)


@contextmanager
def packed_attention(decoder: Any) -> Iterator[None]:
    """The decoder's layers use packed attention inside this context."""
    config = decoder.config
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    scaling: float | None = None,
    packed_row: PackedRow | None = None,
    **unusual: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function of a packed row: (1, heads, T, size) in, (1, T, heads, size) out.

    Raises NotImplementedError for what it cannot compute: the engine then uses another way.
    """
    if packed_row is None or attention_mask is not None:
        raise NotImplementedError("This model does not pass a packed row on to its attention.")
    for name in ("softcap", "s_aux", "position_bias"):
        if unusual.get(name) is not None:
            raise NotImplementedError(f"Packed attention knows no {name}.")
    if packed_row.keep_in is not None:
        packed_row.keep_in.layers[module.layer_idx] = (key, value)
    attend_row = _attend_varlen if query.is_cuda and query.dtype != torch.float32 and _VARLEN else _attend_pieces
    return attend_row(packed_row, module.layer_idx, query, key, value, scaling), None


AttentionInterface.register(NAME, attend)


def _attend_pieces(
    row: PackedRow, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
) -> torch.Tensor:
    """Piece by piece, each straight through a fused kernel."""
    kernel = _efficient_on_cuda if query.is_cuda else _flash_on_cpu
    joined = query.new_empty(1, query.shape[2], query.shape[1], value.shape[3])
    places = _slices(row.contexts)
    for place in places:
        own, _ = kernel(query[:, :, place], key[:, :, place], value[:, :, place], True, scale)
        joined[:, place] = own.transpose(1, 2)
    start = row.context_tokens
    for lengths, behind in zip(row.responses, row.behind, strict=True):
        everything = slice(start, start + sum(lengths))
        start = everything.stop
        if not everything.stop - everything.start:
            continue
        context = behind.layers[layer] if isinstance(behind, KeptContext) else _cut(key, value, places[behind])
        over_context, weight = kernel(query[:, :, everything], *context, False, scale)
        for place in _slices(lengths):
            at = slice(everything.start + place.start, everything.start + place.stop)
            own, own_weight = kernel(query[:, :, at], key[:, :, at], value[:, :, at], True, scale)
            merged = _merged(own, own_weight, over_context[:, :, place], weight[:, :, place])
            joined[:, at] = merged.transpose(1, 2)
    return joined


def _merged(own: torch.Tensor, own_weight: torch.Tensor, other: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Two attentions of the same queries over different keys as one, from their log-sum-exps (..., T)."""
    share = torch.sigmoid(weight.float() - own_weight.float())[..., None]
    return torch.lerp(own.float(), other.float(), share).to(own.dtype)


def _cut(key: torch.Tensor, value: torch.Tensor, place: slice) -> Attended:
    return key[:, :, place], value[:, :, place]


def _slices(lengths: Sequence[int]) -> list[slice]:
    """Where consecutive pieces of these lengths lie; empty ones are left out."""
    return [slice(end - length, end) for length, end in zip(lengths, accumulate(lengths), strict=True) if length]


def _flash_on_cpu(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, causal: bool, scale: float | None
) -> Attended:
    found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, 0.0, causal, scale=scale)
    return found[0], found[1]


def _efficient_on_cuda(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, causal: bool, scale: float | None
) -> Attended:
    copies = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(copies, dim=1) if copies > 1 else part for part in (key, value))
    found = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, None, True, 0.0, causal, scale=scale
    )
    return found[0], found[1][:, :, : query.shape[2]]


def _attend_varlen(
    row: PackedRow, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
) -> torch.Tensor:
    """All pieces in three kernel calls: contexts, responses over contexts, responses over themselves."""
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    border = row.context_tokens
    outputs = []
    if border:
        outputs.append(_varlen(query[:border], key[:border], value[:border], row.contexts, None, scale)[0])
    if query.shape[0] > border:
        asking = query[border:]
        groups = [(sum(lengths), behind) for lengths, behind in zip(row.responses, row.behind, strict=True)]
        groups = [group for group in groups if group[0]]
        keys, values, lengths = _contexts_of(row, layer, key, value, [behind for _, behind in groups])
        over_context, weight = _varlen(asking, keys, values, [tokens for tokens, _ in groups], lengths, scale)
        own_lengths = [length for lengths in row.responses for length in lengths if length]
        own, own_weight = _varlen(asking, key[border:], value[border:], own_lengths, None, scale)
        outputs.append(_merged(own, own_weight, over_context, weight))
    return torch.cat(outputs)[None]


def _contexts_of(
    row: PackedRow, layer: int, key: torch.Tensor, value: torch.Tensor, behind: list[int | KeptContext]
) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Keys and values (tokens, heads, size) of the groups' contexts one after another, and their lengths."""
    ends = list(accumulate(row.contexts))
    keys, values, lengths = [], [], []
    for context in behind:
        if isinstance(context, KeptContext):
            kept_keys, kept_values = (part[0].transpose(0, 1) for part in context.layers[layer])
        else:
            place = slice(ends[context] - row.contexts[context], ends[context])
            kept_keys, kept_values = key[place], value[place]
        keys.append(kept_keys)
        values.append(kept_values)
        lengths.append(kept_keys.shape[0])
    if behind == list(range(len(row.contexts))):
        return key[: row.context_tokens], value[: row.context_tokens], lengths
    return torch.cat(keys), torch.cat(values), lengths


def _varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    key_lengths: Sequence[int] | None,
    scale: float | None,
) -> Attended:
    """Variable-length attention of (T, heads, size): causal within the pieces, or each over its own keys.

    The second result is the log-sum-exp, (T, heads).
    """
    heads = query.shape[1]
    found, weight = _VARLEN(
        query,
        key,
        value,
        _starts(lengths, query.device),
        _starts(key_lengths or lengths, query.device),
        max(lengths),
        max(key_lengths or lengths),
        return_aux=_AuxRequest(lse=True),
        scale=scale,
        window_size=(-1, 0) if key_lengths is None else (-1, -1),
        enable_gqa=key.shape[1] != heads,
    )
    return found, weight.transpose(0, 1) if weight.shape[0] == heads else weight


def _starts(lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)


def _variable_length_attention() -> tuple[Any, Any]:
    """torch's variable-length attention where this version has it in the form that is used here."""
    try:
        from torch.nn.attention.varlen import AuxRequest, varlen_attn
    except ImportError:
        return None, None
    known = inspect.signature(varlen_attn).parameters
    return (varlen_attn, AuxRequest) if {"window_size", "enable_gqa"} <= set(known) else (None, None)


_VARLEN, _AuxRequest = _variable_length_attention()
