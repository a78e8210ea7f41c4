"""Which way of a metric is better: told, known, or taken as lower."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from core.errors import UsageError
from core.metrics.registry import all_metrics
from core.text import visible

# The names that published records use for metrics which have another id here, or none.
PUBLISHED: Mapping[str, Literal["lower", "higher"]] = {
    "perplexity": "lower",
    "in_context_perplexity": "lower",
    "in_context_perplexity_unfiltered_examples": "lower",
    "IDF_score": "lower",
    "log_probability": "higher",
    "skywork_reward_score": "higher",
    "CAR_score": "higher",
    "rsr_200": "lower",
    "surprisal": "lower",
    "rank": "lower",
    "clipped_rank": "lower",
    "gradient_norm": "lower",
    "grace": "lower",
    "response_length": "higher",
}


@dataclass(frozen=True, slots=True)
class Direction:
    """Whether lower or higher values are better; `assumed` where nothing says so."""

    better: Literal["lower", "higher"]
    assumed: bool = False


def directions_of(metrics: Iterable[str], told: Mapping[str, Literal["lower", "higher"]]) -> dict[str, Direction]:
    """The direction of every metric: told, else of the metric with that id, else published, else lower, assumed."""
    own = {name: metric.direction for name, metric in all_metrics().items()}
    known = {**PUBLISHED, **own, **told}
    return {name: Direction(known[name]) if name in known else Direction("lower", assumed=True) for name in metrics}


def parse_directions(texts: Iterable[str], metrics: Collection[str]) -> dict[str, Literal["lower", "higher"]]:
    """`ID=higher` or `ID=lower` texts by metric; UsageError for other texts and for metrics that there are not."""
    told: dict[str, Literal["lower", "higher"]] = {}
    for text in texts:
        name, _, better = text.rpartition("=")
        if better not in ("lower", "higher"):
            raise UsageError(
                f"--direction '{visible(text)}' cannot be read.", "Write --direction METRIC=higher or METRIC=lower."
            )
        if name not in metrics:
            raise UsageError(f"--direction: there is no metric '{visible(name)}'.", f"Metrics: {_names(metrics)}.")
        told[name] = "higher" if better == "higher" else "lower"
    return told


def _names(metrics: Collection[str]) -> str:
    return ", ".join(visible(name) for name in metrics)
