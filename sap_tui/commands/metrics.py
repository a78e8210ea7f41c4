"""sap-tui metrics: which metrics there are, what they need, and where they come from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.metrics.base import Metric

DESCRIPTION = """\
Every metric with its better direction, what it needs and its source, installed plugins' too.
Marked ?: the direction is not settled."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("metrics", help="the metrics and what they need", description=DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="with descriptions, as JSON")
    parser.set_defaults(run=list_metrics)


def list_metrics(arguments: argparse.Namespace) -> int:
    import json

    from core.metrics.registry import all_metrics

    metrics = list(all_metrics().values())
    if arguments.json:
        print(json.dumps([metric_json(each) for each in metrics], ensure_ascii=False))
    else:
        print("\n".join(metrics_table(metrics)))
    return 0


def metric_json(metric: Metric) -> dict[str, Any]:
    from core.metrics.needs import HOW_TO_GET, INPUT_WORDS
    from core.metrics.registry import default_metrics

    return {
        "id": metric.id,
        "label": metric.label,
        "description": metric.description,
        "better": metric.direction,
        "contested": metric.contested or None,
        "default": metric.id in default_metrics(),
        "statistic": metric.statistic,
        "contexts": list(metric.contexts),
        "inputs": [{"id": kind, "needs": INPUT_WORDS[kind], "how_to_get": HOW_TO_GET[kind]} for kind in metric.inputs],
        "source": metric.source,
    }


def metrics_table(metrics: Sequence[Metric]) -> list[str]:
    """Lines: the table, how to get what metrics need, and why directions are contested."""
    from core.metrics.needs import needs_in_words
    from core.text import visible
    from sap_tui.commands.tables import aligned

    rows = [
        (
            visible(each.id),
            f"{each.direction} ?" if each.contested else each.direction,
            needs_in_words(each),
            visible(each.source),
        )
        for each in metrics
    ]
    return [*aligned(("metric", "better", "needs", "source"), rows), "", *_needs(metrics), "", *_contested(metrics)]


def _needs(metrics: Sequence[Metric]) -> Iterator[str]:
    from core.domain import ContextKind
    from core.metrics.base import Input
    from core.metrics.needs import CONTEXT_MEANINGS, CONTEXT_WORDS, HOW_TO_GET, INPUT_WORDS

    contexts = {context for each in metrics for context in each.contexts}
    inputs = {kind for each in metrics for kind in each.inputs}
    yield "What they need, and how to get it ('sap-tui score --metric METRIC' makes the scores):"
    for context in ContextKind:
        if context in contexts:
            yield f"  {CONTEXT_WORDS[context]}: {CONTEXT_MEANINGS[context]}"
    for kind in Input:
        if kind in inputs:
            yield f"  {INPUT_WORDS[kind]}: {HOW_TO_GET[kind]}"


def _contested(metrics: Sequence[Metric]) -> Iterator[str]:
    from core.text import visible

    yield "? The direction is not settled:"
    for each in metrics:
        if each.contested:
            yield f"  {visible(each.id)}: {visible(each.contested)}"
