"""The metrics that exist, by id."""

from __future__ import annotations

from collections.abc import Iterable

from core.domain import ContextKind
from core.errors import UsageError
from core.metrics import nll, ppl, sap, sap_nll
from core.metrics.base import Metric
from core.text import visible

METRICS: dict[str, Metric] = {module.METRIC.id: module.METRIC for module in (sap, sap_nll, ppl, nll)}


def metric(metric_id: str) -> Metric:
    """The metric with this id; UsageError with the ids that exist."""
    if metric_id not in METRICS:
        raise UsageError(f"There is no metric '{visible(metric_id)}'.", f"Metrics: {', '.join(METRICS)}.")
    return METRICS[metric_id]


def default_metrics() -> tuple[str, ...]:
    """The metrics of a run that names none."""
    return ("sap", "ppl", "nll")


def contexts_needed(metric_ids: Iterable[str]) -> tuple[ContextKind, ...]:
    """The contexts to score for these metrics, each once; UsageError for an unknown id."""
    needed = {context for metric_id in metric_ids for context in metric(metric_id).contexts}
    return tuple(context for context in ContextKind if context in needed)
