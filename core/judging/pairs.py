"""What is judged: pairs of a target model and a task, with the outcomes and scores of their strategies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One target model on one task with n candidate strategies.

    `outcomes` (n,) mean accuracies; `spread` their standard deviation as the protocol has it; `scores` by metric
    (ranges of rows, n), NaN where a strategy has none, without the metrics that cannot be judged here.
    """

    target_model: str
    task: str
    strategies: tuple[str, ...]
    outcomes: FloatArray
    spread: float
    scores: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of a protocol with the names of all metrics; `by_position` is its tie rule, see `agreement`.

    `notes` say what was left out and why.
    """

    protocol: str
    pairs: tuple[Pair, ...]
    metrics: tuple[str, ...]
    by_position: bool
    notes: tuple[str, ...] = field(default=())
