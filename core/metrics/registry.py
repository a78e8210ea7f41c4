"""The metrics that exist, by id: one module each in this package, and those of installed plugins."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

import core.metrics
from core.domain import ContextKind
from core.errors import SapError, UsageError
from core.metrics.base import Input, Metric
from core.text import visible

PLUGINS = "sap_tui.metrics"
DEFAULTS = ("sap", "ppl", "nll")


@cache
def all_metrics() -> dict[str, Metric]:
    """Every metric by id: the default ones first, then this package's, then the plugins'. SapError for a bad plugin."""
    found = own_metrics()
    for point in entry_points(group=PLUGINS):
        for each in _plugin(point):
            if each.id in found:
                raise SapError(f"Plugin {visible(point.name)}: there is a metric '{visible(each.id)}' already.")
            found[each.id] = each
    return found


def own_metrics() -> dict[str, Metric]:
    """The metrics of this package by id, the default ones first."""
    own = [each for name in _module_names() for each in _metrics_of(import_module(f"core.metrics.{name}"))]
    by_id = {each.id: each for each in own}
    return {name: by_id[name] for name in DEFAULTS} | by_id


def _module_names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(core.metrics.__path__))


def _metrics_of(module: ModuleType) -> list[Metric]:
    """The module's METRIC, or its METRICS where it declares several."""
    declared = getattr(module, "METRICS", None) or [getattr(module, "METRIC", None)]
    return [each for each in declared if isinstance(each, Metric)]


def _plugin(point: EntryPoint) -> list[Metric]:
    """What an entry point names: a Metric, or a module with METRIC or METRICS."""
    try:
        loaded = point.load()
        found = [loaded] if isinstance(loaded, Metric) else _metrics_of(loaded)
    except Exception as error:
        raise SapError(
            f"The metric plugin {visible(point.name)} does not load: {visible(str(error))}", "Mend or remove it."
        ) from error
    if not found:
        raise SapError(
            f"The metric plugin {visible(point.name)} names no Metric.",
            "It must name a Metric, or a module with METRIC or METRICS.",
        )
    return found


def metric(metric_id: str) -> Metric:
    """The metric with this id; UsageError with the ids that exist."""
    found = all_metrics()
    if metric_id not in found:
        raise UsageError(f"There is no metric '{visible(metric_id)}'.", f"Metrics: {', '.join(found)}.")
    return found[metric_id]


def default_metrics() -> tuple[str, ...]:
    """The metrics of a run that names none."""
    return DEFAULTS


def contexts_needed(metric_ids: Iterable[str]) -> tuple[ContextKind, ...]:
    """The contexts to score for these metrics, each once; UsageError for an unknown id.

    Where none is needed the plain one is scored nevertheless: the controls count its tokens.
    """
    needed = {context for metric_id in metric_ids for context in metric(metric_id).contexts} or {ContextKind.PLAIN}
    return tuple(context for context in ContextKind if context in needed)


def inputs_needed(metric_ids: Iterable[str]) -> frozenset[Input]:
    """What these metrics need beside scores; UsageError for an unknown id."""
    return frozenset(kind for metric_id in metric_ids for kind in metric(metric_id).inputs)
