"""How many tokens one forward pass may have."""

from __future__ import annotations

from typing import Any

from core.model_memory import CPU_PASS_OPERATIONS, PASS_TOKENS
from core.scoring.hf.memory import free_memory_bytes

SMALLEST = 256


def token_budget(model: Any) -> int:
    """Tokens of a forward pass: what fits into half of the free memory, and what a CPU computes in some seconds."""
    budget = min(PASS_TOKENS, free_memory_bytes(model) // 2 // _working_bytes(model))
    if model.device.type == "cpu":
        budget = min(budget, int(CPU_PASS_OPERATIONS / (2 * model.num_parameters())))
    return max(SMALLEST, budget)


def _working_bytes(model: Any) -> int:
    """Bytes that a token of a forward pass takes: hidden rows and the feed-forward layer's inner ones."""
    config = model.config.get_text_config(decoder=True)
    hidden = int(config.hidden_size)
    inner = int(getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * hidden)
    # Products on a CPU are computed in four bytes whatever the dtype (measured).
    return (8 * hidden + 3 * inner) * (4 if model.device.type == "cpu" else model.dtype.itemsize)
