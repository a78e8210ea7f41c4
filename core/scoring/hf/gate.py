"""The self-test at load: a faster tier must agree with one by one on this very model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from core.scoring.hf.tiers import Tier

_PLAIN_CONTEXT_TOKENS = 48
_LONGEST_WINDOW_TESTED = 2048
_RESPONSE_TOKENS = (24, 9)


@dataclass(frozen=True, slots=True)
class Gate:
    """Largest allowed difference in nats: of one token, and of a response's mean."""

    token: float
    mean: float


GATES = {"float32": Gate(1e-4, 2e-5), "float16": Gate(float("inf"), 4e-3), "bfloat16": Gate(float("inf"), 3e-2)}
INT8_GATE = Gate(float("inf"), 0.2)


def agrees(tier: Tier, reference: Tier, model: Any, gate: Gate) -> bool:
    """Whether the tier's log-probabilities of two probe responses behind one context pass the gate."""
    context, responses = _probe(model)
    with torch.inference_mode():
        wanted = reference.score(context, responses, detail=False)
        try:
            found = tier.score(context, responses, detail=False)
        except (RuntimeError, AttributeError, TypeError, ValueError, LookupError):
            return False
    return all(_passes(own[0] - true[0], gate) for own, true in zip(found, wanted, strict=True))


def _passes(difference: torch.Tensor, gate: Gate) -> bool:
    return bool(difference.abs().max() <= gate.token and difference.mean().abs() <= gate.mean)


def _probe(model: Any) -> tuple[list[int], list[list[int]]]:
    """Token ids spread over the vocabulary; the context reaches beyond a sliding window of moderate length."""
    config = model.config.get_text_config(decoder=True)
    window = getattr(config, "sliding_window", None) or 0
    length = _PLAIN_CONTEXT_TOKENS + (window if window <= _LONGEST_WINDOW_TESTED else 0)
    limit = getattr(config, "max_position_embeddings", None) or length + sum(_RESPONSE_TOKENS)
    length = max(1, min(length, limit - max(_RESPONSE_TOKENS)))
    vocabulary = model.get_input_embeddings().weight.shape[0]
    ids = [(7919 * place + 31) % vocabulary for place in range(length + sum(_RESPONSE_TOKENS))]
    first = ids[length : length + _RESPONSE_TOKENS[0]]
    return ids[:length], [first, ids[-_RESPONSE_TOKENS[1] :]]
