"""Where a ranking's numbers mislead, each with what to do (methods: Controls)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from core.domain import ContextKind
from core.metrics.base import ScoreArrays
from core.text import visible

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

FEW_QUESTIONS = 30
LENGTH_RATIO = 3.0
# Teachers' responses to one task never come near it: over the 57 pairs of a published record the lowest mean surprisal
# is at least 0.77 of the next.
FAR_BELOW = 0.5


def cautions(arrays: ScoreArrays, questions: int) -> tuple[str, ...]:
    """Warnings about these ranked strategies, compared on so many common questions."""
    return (*_few_questions(questions), *_mixed_lengths(arrays), *_far_below(arrays))


def _few_questions(questions: int) -> Iterator[str]:
    if questions < FEW_QUESTIONS:
        yield f"Only {questions} common questions: the ranking is unsure. Score at least {FEW_QUESTIONS}."


def _mixed_lengths(arrays: ScoreArrays) -> Iterator[str]:
    tokens = _mean_over_common(arrays.tokens())
    if len(tokens) == 0:
        return
    shortest, longest = int(tokens.argmin()), int(tokens.argmax())
    if tokens[longest] > LENGTH_RATIO * tokens[shortest]:
        yield (
            f"Terse and long strategies are mixed: '{visible(arrays.strategies[shortest])}' has "
            f"{tokens[shortest]:.0f} tokens a response, '{visible(arrays.strategies[longest])}' {tokens[longest]:.0f}. "
            "Perplexity depends on length; compare strategies of like length."
        )


def _far_below(arrays: ScoreArrays) -> Iterator[str]:
    surprisal = _mean_over_common(arrays.mean_nll(ContextKind.PLAIN))
    if len(surprisal) < 2:
        return
    lowest, next_lowest = np.argsort(surprisal, kind="stable")[:2]
    if surprisal[lowest] < FAR_BELOW * surprisal[next_lowest]:
        yield (
            f"The perplexity of '{visible(arrays.strategies[lowest])}' is far below the rest: {surprisal[lowest]:.3g} "
            f"nats per token, the next has {surprisal[next_lowest]:.3g}. Make sure that it is not the target's own "
            "output or text that it knows by heart; training on that hurts."
        )


def _mean_over_common(values: FloatArray) -> FloatArray:
    """Mean over the questions where every strategy has a value: (S, Q) in, (S,) out, empty where there is none."""
    common = np.isfinite(values).all(axis=0)
    return values[:, common].mean(axis=1) if common.any() else np.empty(0)
