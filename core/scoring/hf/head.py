"""Logits of response rows only, a chunk at a time, in float32, and the scores that are read from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from core.domain import TokenScores

_CHUNK_BYTES = {"cpu": 32 << 20, "cuda": 256 << 20}


def rows_per_chunk(vocabulary: int, device: str) -> int:
    """How many rows of float32 logits are held at once: 32 MiB of them on a CPU, 256 MiB on a GPU."""
    return min(max(_CHUNK_BYTES.get(device, 256 << 20) // (4 * vocabulary), 16), 2048)


class RowHead:
    """The language-model head applied to hidden rows, with the model's scale and soft cap on the logits."""

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config(decoder=True)
        self._module = model.get_output_embeddings()
        self._scale = getattr(config, "logit_scale", None) or 1.0
        self._divisor = getattr(config, "logits_scaling", None) or 1.0
        self._cap = getattr(config, "final_logit_softcapping", None)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """(rows, hidden size) -> (rows, vocabulary) float32 logits."""
        logits = self._project(hidden)
        if self._scale != 1.0:
            logits = logits * self._scale
        if self._divisor != 1.0:
            logits = logits / self._divisor
        if self._cap:
            logits = torch.tanh(logits / self._cap) * self._cap
        return logits

    def _project(self, hidden: torch.Tensor) -> torch.Tensor:
        module = self._module
        if type(module) is not torch.nn.Linear or module.weight.dtype == torch.float32:
            logits: torch.Tensor = module(hidden.to(module.weight.device)).float()
            return logits
        hidden = hidden.to(module.weight.device, module.weight.dtype)
        if hidden.is_cuda:
            logits = torch.mm(hidden, module.weight.t(), out_dtype=torch.float32)
        else:
            logits = hidden.float() @ module.weight.float().t()
        return logits if module.bias is None else logits + module.bias.float()


def score_rows(
    hidden: torch.Tensor, targets: torch.Tensor, head: Callable[[torch.Tensor], torch.Tensor], chunk: int, detail: bool
) -> torch.Tensor:
    """Scores of (T, hidden size) rows whose next tokens are the (T,) targets.

    Returns (1, T) log-probabilities in nats, with `detail` (4, T): rank, entropy and sum of squares behind them.
    """
    parts = [
        _score_chunk(head(rows), wanted, detail)
        for rows, wanted in zip(hidden.split(chunk), targets.split(chunk), strict=True)
    ]
    return torch.cat(parts, dim=1)


def _score_chunk(logits: torch.Tensor, targets: torch.Tensor, detail: bool) -> torch.Tensor:
    target_logits = logits.gather(1, targets.to(logits.device)[:, None])
    normalizer = torch.logsumexp(logits, dim=1, keepdim=True)
    log_probability = (target_logits - normalizer).squeeze(1)
    if not detail:
        return log_probability[None].cpu()
    rank = (logits > target_logits).sum(dim=1) + 1
    log_probabilities = logits.sub_(normalizer)
    probabilities = log_probabilities.exp()
    entropy = -(probabilities * log_probabilities).nan_to_num_(nan=0.0).sum(dim=1)
    sum_of_squares = probabilities.square_().sum(dim=1)
    return torch.stack([log_probability, rank.to(log_probability), entropy, sum_of_squares]).cpu()


def token_scores(rows: torch.Tensor) -> TokenScores:
    """The (1, T) or (4, T) score rows of one response as TokenScores."""
    arrays = [np.ascontiguousarray(row, dtype=np.float32) for row in rows.numpy()]
    if len(arrays) == 1:
        return TokenScores(arrays[0])
    log_probability, rank, entropy, sum_of_squares = arrays
    return TokenScores(log_probability, rank.astype(np.int32), entropy, sum_of_squares)
