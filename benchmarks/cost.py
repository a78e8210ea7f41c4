"""Floating point operations that a case needs at least, by what is shared: the bound beside every measured ratio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import Case, Group


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Parameters of the decoder's matrices and of the head, and operations per pair of query and key in all layers."""

    decoder: int
    head: int
    attention: int

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ModelShape:
        """Of a decoder with gated feed-forward layers, from its config.json."""
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        width = config.get("head_dim") or hidden // heads
        key_value = (config.get("num_key_value_heads") or heads) * width
        layer = hidden * (2 * heads * width + 2 * key_value) + 3 * hidden * config["intermediate_size"]
        layers = config["num_hidden_layers"]
        return cls(layers * layer, hidden * config["vocab_size"], 4 * heads * width * layers)

    def operations(self, tokens: int, logit_rows: int, pairs: int) -> int:
        return 2 * self.decoder * tokens + 2 * self.head * logit_rows + self.attention * pairs


def operations(shape: ModelShape, case: Case, computes: str) -> int:
    """Of a whole case for a contestant that computes in this way (see Contestant)."""
    return sum(_COSTS[computes](shape, group) for group in case.groups)


def _all_anew(shape: ModelShape, group: Group) -> int:
    lengths = [len(group.context) + len(response) for response in group.responses]
    return sum(shape.operations(length, length, _pairs(0, length)) for length in lengths)


def _response_logits(shape: ModelShape, group: Group) -> int:
    sizes = [(len(group.context) + len(response) - 1, len(response)) for response in group.responses]
    return sum(shape.operations(length, rows, _pairs(0, length)) for length, rows in sizes)


def _context_once(shape: ModelShape, group: Group) -> int:
    """A context that is kept from call to call costs nothing; a response's last token predicts nothing."""
    before = len(group.context)
    context = 0 if group.keep else shape.operations(before, 0, _pairs(0, before))
    return context + sum(
        shape.operations(len(response) - 1, len(response), _pairs(before, len(response) - 1))
        for response in group.responses
    )


def _pairs(before: int, tokens: int) -> int:
    """Pairs of a query and the keys that it sees, of `tokens` tokens behind `before` others."""
    return tokens * before + tokens * (tokens + 1) // 2


_COSTS: dict[str, Callable[[ModelShape, Group], int]] = {
    "all anew": _all_anew,
    "response logits": _response_logits,
    "context once": _context_once,
}
