"""Numbers made of a response's tokens, from the stored per-token arrays; one response at a time is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from math import isfinite, nan
from typing import TYPE_CHECKING

from core.domain import TokenScores
from core.errors import SapError
from core.metrics.base import Metric, ResponseTokens, failed
from core.rank.compared import Compared, Place
from core.store.batches import slices, wanted
from core.store.scores import plain_token_scores
from core.store.token_ends import token_ends

if TYPE_CHECKING:
    from core.metrics.base import FloatArray, IntArray

AT_ONCE = 400


def token_values(compared: Compared, metrics: Sequence[Metric]) -> dict[str, FloatArray | SapError]:
    """What the metrics' `token_value` gives of the run's responses behind their questions: (S, Q) by metric id.

    NaN where there are no tokens, where the value is not finite, and where a metric that needs the places of tokens
    in the text lacks them. Of a metric whose function fails the SapError that names it: the others are computed still.
    """
    wanted = [metric for metric in metrics if metric.token_value is not None]
    values: dict[str, FloatArray | SapError] = {metric.id: compared.unknown() for metric in wanted}
    if wanted:
        for place, tokens in _tokens(compared, any(metric.needs_token_ends for metric in wanted)):
            for metric in wanted:
                found = values[metric.id]
                if not isinstance(found, SapError):
                    try:
                        found[place] = _value(metric, tokens)
                    except SapError as error:
                        values[metric.id] = error
    return values


def _value(metric: Metric, tokens: ResponseTokens) -> float:
    if metric.token_value is None or (metric.needs_token_ends and tokens.ends is None):
        return nan
    try:
        value = float(metric.token_value(tokens))
    except Exception as error:
        raise failed(metric, error) from error
    return value if isfinite(value) else nan


def _tokens(compared: Compared, with_ends: bool) -> Iterator[tuple[Place, ResponseTokens]]:
    stored = plain_token_scores(compared.reader, compared.run.id)
    while batch := list(islice(stored, AT_ONCE)):
        found = [(strategy, question, key) for strategy, question, key, _ in batch]
        texts = _texts(compared, found) if with_ends else {}
        ends = token_ends(compared.reader, compared.run.spec, [key for *_, key in found]) if with_ends else {}
        for strategy, question, key, scores in batch:
            if question in compared.columns:
                place = compared.rows[strategy], compared.columns[question]
                yield place, _response_tokens(scores, texts.get((strategy, question), ""), ends.get(key))


def _response_tokens(scores: TokenScores, text: str, ends: IntArray | None) -> ResponseTokens:
    import numpy as np

    unknown = np.full(scores.tokens, np.nan)
    rank, entropy, sum_of_squares = (
        unknown if array is None else array.astype(np.float64)
        for array in (scores.rank, scores.entropy, scores.sum_of_squares)
    )
    fitting = ends if ends is not None and len(ends) == scores.tokens else None
    return ResponseTokens(text, -scores.log_probability.astype(np.float64), rank, entropy, sum_of_squares, fitting)


def _texts(compared: Compared, found: Sequence[tuple[int, int, bytes]]) -> dict[tuple[int, int], str]:
    texts = {}
    for some in slices([(strategy, question) for strategy, question, _ in found], width=2):
        table, values = wanted(some)
        rows = compared.reader.execute(
            f"{table} SELECT strategy, question, text FROM wanted"
            " CROSS JOIN responses ON strategy = first AND question = second",
            values,
        )
        texts.update({(row[0], row[1]): row[2] for row in rows})
    return texts
