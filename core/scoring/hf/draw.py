"""Drawing tokens at a temperature, so that a row's draws depend on its seed and its own logits only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import transformers


@dataclass(frozen=True, slots=True)
class Draw:
    """How the tokens of one answer are drawn."""

    temperature: float
    seed: int


class DrawnTokens(transformers.LogitsProcessor):
    """Leaves of every row's logits only that of the token drawn from softmax(logits / temperature), all tokens taken.

    Each row has its own row of uniform numbers, of which each new token takes the next; it is looked up in the
    cumulated probabilities. `room` is how many tokens may be drawn behind the first `width`.
    """

    def __init__(self, draws: Sequence[Draw], width: int, room: int) -> None:
        self._width = width
        uniform = [np.random.Generator(np.random.PCG64(draw.seed)).random(room) for draw in draws]
        self._uniform = torch.from_numpy(np.stack(uniform))
        self._temperature = torch.tensor([[draw.temperature] for draw in draws], dtype=torch.float64)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(rows, vocabulary) logits; `input_ids` (rows, width + tokens drawn so far)."""
        uniform = self._uniform[:, input_ids.shape[1] - self._width, None].to(scores.device)
        # Sums of many small probabilities: single precision would lose rare tokens.
        cumulated = (scores.double() / self._temperature.to(scores.device)).softmax(1).cumsum(1)
        drawn = torch.searchsorted(cumulated, uniform * cumulated[:, -1:], right=True)
        drawn = drawn.clamp_(max=scores.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)
