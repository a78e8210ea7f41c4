"""The self-test at load: a faster tier must agree with one by one on this very model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, cycle, islice
from typing import Any

import torch

from core.errors import RunError
from core.scoring.hf.tiers import Tier
from core.scoring.protocol import ScoringGroup

PROBE_TEXT = (
    "A baker sells 14 loaves in the morning and twice as many in the afternoon. To find how many loaves were sold, "
    "first double the morning's number: 2 * 14 = 28. Then add both parts of the day: 14 + 28 = 42. The baker sold 42 "
    "loaves. In summer the lake is calm, and people who live near it walk along the shore every evening before supper."
)
_CONTEXT_TOKENS = 48
_LONGEST_WINDOW_TESTED = 2048
_RESPONSE_TOKENS = (96, 61)
FAILURES = (RuntimeError, AssertionError, AttributeError, TypeError, ValueError, LookupError, ImportError)


@dataclass(frozen=True, slots=True)
class Gate:
    """Largest allowed difference in nats: of one token, and of a response's mean."""

    token: float
    mean: float


GATES = {"float32": Gate(1e-4, 2e-5), "float16": Gate(float("inf"), 4e-3), "bfloat16": Gate(float("inf"), 3e-2)}
INT8_GATE = Gate(float("inf"), 0.1)


def gate_for(quantization: str, dtype: str, device: str) -> Gate:
    """The gate of the precision that matrix products have: bitsandbytes' 4-bit ones are bfloat16 on a CPU."""
    if quantization == "int8":
        return INT8_GATE
    if quantization != "none" and device == "cpu":
        return GATES["bfloat16"]
    return GATES[dtype]


def agrees(tier: Tier, probe: Sequence[ScoringGroup], wanted: Sequence[Sequence[torch.Tensor]], gate: Gate) -> bool:
    """Whether the tier's log-probabilities of the probe's responses differ from the wanted ones by no more."""
    try:
        with torch.inference_mode():
            found = tier.score(probe)
    except FAILURES:
        return False
    finally:
        tier.forget()
    pairs = zip(chain.from_iterable(found), chain.from_iterable(wanted), strict=True)
    return all(_passes(own[0] - true[0], gate) for own, true in pairs)


def reference_scores(reference: Tier, probe: Sequence[ScoringGroup]) -> list[list[torch.Tensor]]:
    """Score rows of the probe. Raises as `first_computation`."""
    with first_computation():
        return reference.score(probe)


@contextmanager
def first_computation() -> Iterator[None]:
    """Raises RunError where the model does not compute, MemoryError where it has no memory now."""
    try:
        with torch.inference_mode():
            yield
    except torch.OutOfMemoryError as error:
        raise MemoryError("The model is loaded, but there is no memory left to compute with it.") from error
    except FAILURES as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise RunError(
            f"The model does not compute here: {lines[0]}", "Try another dtype, quantization or device."
        ) from error


def _passes(difference: torch.Tensor, gate: Gate) -> bool:
    return bool(difference.abs().max() <= gate.token and difference.mean().abs() <= gate.mean)


def probe_of(model: Any, text_ids: tuple[int, ...], longest: int) -> list[ScoringGroup]:
    """Groups from these token ids of PROBE_TEXT: responses of several lengths, a second context, one that is kept.

    The first context reaches beyond a sliding window of moderate length, where `longest` tokens allow it.
    RunError for ids that the model does not have.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if not text_ids or max(text_ids) >= vocabulary:
        raise RunError("The tokenizer does not belong to the model: it gives token ids that the model does not have.")
    config = model.config.get_text_config(decoder=True)
    window = getattr(config, "sliding_window", None) or 0
    limit = min(longest, getattr(config, "max_position_embeddings", None) or longest)
    first, second = (min(tokens, limit // 2) for tokens in _RESPONSE_TOKENS)
    length = _CONTEXT_TOKENS + (window if window <= _LONGEST_WINDOW_TESTED else 0)
    length = max(1, min(length, limit - first))
    ids = tuple(islice(cycle(text_ids), length + first + second))
    context, one, other = ids[:length], ids[length : length + first], ids[-second:]
    short = tuple(reversed(context[: _CONTEXT_TOKENS // 2]))
    return [ScoringGroup(context, (one, other)), ScoringGroup(short, (other,)), ScoringGroup(short, (one,), keep=True)]
