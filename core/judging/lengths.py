"""Pairs that mix terse strategies with long ones: one correlation over both misleads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from core.judging.pairs import Pair, Pairs
from core.stats.cautions import LENGTH_RATIO

if TYPE_CHECKING:
    from core.metrics.base import BoolArray, FloatArray

LENGTHS = ("response_tokens", "response_length")


def without_terse(pairs: Pairs) -> Pairs | None:
    """The same pairs without the strategies shorter than a third of the pair's longest; None where there are none.

    Lengths are the values of a metric that `LENGTHS` names; without one nothing is known. A pair that keeps fewer
    than 2 strategies is left out.
    """
    long = [_long(pair) for pair in pairs.pairs]
    if all(len(kept.strategies) == len(pair.strategies) for kept, pair in zip(long, pairs.pairs, strict=True)):
        return None
    usable = tuple(pair for pair in long if len(pair.strategies) > 1)
    return replace(pairs, pairs=usable, notes=()) if usable else None


def _long(pair: Pair) -> Pair:
    lengths = next((pair.scores[name] for name in LENGTHS if name in pair.scores), None)
    if lengths is None:
        return pair
    mean = lengths.mean(axis=0)
    kept = np.flatnonzero(~(mean * LENGTH_RATIO < np.nanmax(mean)))
    scores = {name: values[:, kept] for name, values in pair.scores.items()}
    return replace(
        pair,
        strategies=tuple(pair.strategies[index] for index in kept),
        outcomes=pair.outcomes[kept],
        spread=float(np.std(pair.outcomes[kept], ddof=1)) if len(kept) > 1 else 0.0,
        scores={name: rows for name, values in scores.items() if len(rows := values[_judgeable(values)])},
    )


def _judgeable(values: FloatArray) -> BoolArray:
    """Per range of rows: whether two strategies have a score."""
    judgeable: BoolArray = (~np.isnan(values)).sum(axis=1) >= 2
    return judgeable
