"""A ranking with what it belongs to, as every export takes it."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain import Ranking
from core.metrics.base import Metric


@dataclass(frozen=True, slots=True)
class RankingReport:
    """The ranking of a run; `metrics` are the run's, in the order of the columns.

    `partial` says how far an unfinished run is and is empty for a finished one. `notes` are what else is worth knowing,
    without being a warning.
    """

    run: int
    task: str
    model: str
    model_digest: str
    dtype: str
    quantization: str
    metrics: tuple[Metric, ...]
    ranking: Ranking
    partial: str = ""
    notes: tuple[str, ...] = ()
