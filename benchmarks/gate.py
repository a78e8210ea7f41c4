"""Which differences from the reference are those of the precision; beyond them a contestant's time is not printed."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any


@dataclass(frozen=True, slots=True)
class Gate:
    """Largest allowed difference in nats: of one token, and of a response's mean."""

    token: float
    mean: float


GATES = {"float32": Gate(1e-4, 2e-5), "float16": Gate(inf, 4e-3), "bfloat16": Gate(inf, 3e-2)}
INT8_GATE = Gate(inf, 0.1)


@dataclass(frozen=True, slots=True)
class Difference:
    """Largest absolute difference from the reference in nats; `token` is None where only means are given."""

    mean: float
    token: float | None

    def passes(self, gate: Gate) -> bool:
        return self.mean <= gate.mean and (self.token or 0.0) <= gate.token

    @property
    def largest(self) -> float:
        return max(self.mean, self.token or 0.0)


def gate_for(dtype: str, quantization: str) -> Gate:
    return INT8_GATE if quantization == "int8" else GATES[dtype]


def difference(found: dict[str, Any], wanted: dict[str, Any]) -> Difference:
    """Compare two contestants' answers to one round. Raises ValueError where they did not score the same tokens."""
    means = [abs(a - b) for a, b in _pairs(found["means"], wanted["means"])]
    tokens: list[float] = []
    for own, true in _pairs(found["tokens"], wanted["tokens"]):
        if own is not None and len(own) != len(true):
            raise ValueError(f"scored {len(own)} tokens of a response that has {len(true)}")
        tokens += [abs(a - b) for a, b in zip(own or (), true, strict=False)]
    return Difference(_largest(means), _largest(tokens) if tokens else None)


def _pairs(found: list[list[Any]], wanted: list[list[Any]]) -> list[tuple[Any, Any]]:
    if [len(group) for group in found] != [len(group) for group in wanted]:
        raise ValueError("did not score every response")
    return [pair for own, true in zip(found, wanted, strict=True) for pair in zip(own, true, strict=True)]


def _largest(values: list[float]) -> float:
    """NaN wins, so that it fails every gate."""
    return inf if any(value != value for value in values) else max(values)
