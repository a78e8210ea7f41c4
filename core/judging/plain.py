"""The plain protocol: every strategy that has a score and an outcome, ties at their mean rank."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.errors import SapError
from core.ingest.score_tables import OutcomeRow, ScoreRow
from core.judging.examples import EXAMPLES, with_examples
from core.judging.notes import Places
from core.judging.pairs import Pair, Pairs

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

_Key = tuple[str, str]
_Range = tuple[int, int] | None


def plain_pairs(scores: Sequence[ScoreRow], outcomes: Sequence[OutcomeRow], *, examples: int | None = None) -> Pairs:
    """Every pair in which two strategies have a score and an outcome; SapError if there is none.

    An outcome is the mean over seeds, a pair's spread the standard deviation (ddof = 1) of the outcomes. Where scores
    have several ranges of rows, each is judged alone. In a metric a strategy without a finite score is left out.
    """
    metrics = tuple(dict.fromkeys(row.metric for row in scores))
    counted, notes = with_examples(scores, EXAMPLES if examples is None else examples)
    by_pair: dict[_Key, list[ScoreRow]] = defaultdict(list)
    for row in counted:
        by_pair[row.target_model, row.task].append(row)
    seeds: dict[_Key, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for outcome in outcomes:
        seeds[outcome.target_model or "", outcome.task or ""][outcome.strategy].append(outcome.accuracy)
    pairs, places = [], Places()
    for key in dict.fromkeys((*by_pair, *seeds)):
        means = {name: float(np.mean(accuracies)) for name, accuracies in seeds.get(key, {}).items()}
        scored = {row.strategy for row in by_pair.get(key, ())}
        candidates = [name for name in means if name in scored]
        if len(candidates) < 2:
            places.add("Fewer than 2 strategies have a score and an outcome", f"{key[1]} under {key[0]}")
            continue
        pairs.append(_pair(key, {name: means[name] for name in candidates}, by_pair[key], places))
    if not pairs:
        raise SapError(
            "No target model and task have two strategies with both a score and an outcome.",
            "Their names must be the same in scores and outcomes.",
        )
    ranges = len({row.rows for row in counted})
    several = (f"Scores of {ranges} ranges of rows: each is judged alone, then averaged.",) if ranges > 1 else ()
    return Pairs("plain", tuple(pairs), metrics, by_position=False, notes=(*notes, *several, *places.notes()))


def _pair(key: _Key, outcomes: Mapping[str, float], rows: Sequence[ScoreRow], places: Places) -> Pair:
    columns = {name: column for column, name in enumerate(outcomes)}
    tables: dict[str, dict[_Range, FloatArray]] = defaultdict(dict)
    for row in rows:
        if row.strategy in columns:
            values = tables[row.metric].setdefault(row.rows, np.full(len(columns), np.nan))
            values[columns[row.strategy]] = row.value
            if not np.isfinite(row.value):
                line = f"line {row.line}: " if row.line else ""
                places.add(
                    f"Values of {row.metric} that are not finite do not count", f"{line}{row.strategy}, {key[1]}"
                )
    scores = {}
    for metric, by_range in tables.items():
        table = np.stack(list(by_range.values()))
        table[~np.isfinite(table)] = np.nan
        scores[metric] = _judged(metric, table, columns, key, places)
    spread = float(np.std(list(outcomes.values()), ddof=1))
    return Pair(
        *key, tuple(outcomes), np.array(list(outcomes.values())), spread, {k: v for k, v in scores.items() if len(v)}
    )


def _judged(metric: str, table: FloatArray, columns: Mapping[str, int], key: _Key, places: Places) -> FloatArray:
    """The ranges in which two strategies at least have a score."""
    known = ~np.isnan(table)
    for name, column in columns.items():
        if not known[:, column].all():
            places.add(f"{metric} is judged without strategies that it has no score of", f"{name}, {key[1]}, {key[0]}")
    judged: FloatArray = table[known.sum(axis=1) >= 2]
    return judged
