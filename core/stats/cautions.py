"""Where a ranking's numbers mislead, each with what to do (methods: Controls)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.domain import ContextKind
from core.metrics.base import Metric, ScoreArrays
from core.metrics.ifd import share_without_help
from core.text import visible

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

FEW_QUESTIONS = 30
FEW_VALID_PAIRS = 30
CLOSE_TO_ONE = 1.1
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


def own_output(copied: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """Of every strategy how many responses are the target's own prediction, of how many that can be compared."""
    for name, (equal, compared) in copied.items():
        if compared and equal > compared / 2:
            yield (
                f"'{visible(name)}' is the target model's own output: {equal:,} of {compared:,} responses are its own "
                "predictions. Training on them hurts (arXiv 2502.04194); leave the strategy out."
            )


def same_family(strategies: Sequence[str]) -> Iterator[str]:
    """Strategies whose teacher is of the target model's family."""
    if strategies:
        names = ", ".join(f"'{visible(name)}'" for name in strategies)
        yield (
            f"Teacher and target model are of one family: {names}. They may score well for what they share; see "
            "whether a teacher of another family does nearly as well."
        )


def contested(metrics: Iterable[Metric]) -> Iterator[str]:
    """Metrics ranked by whose direction is not settled."""
    for metric in metrics:
        if metric.contested:
            yield f"The direction of {metric.id} is contested, {metric.direction} ranks first here: {metric.contested}"


def few_valid_pairs(valid_nll: FloatArray) -> Iterator[str]:
    """(N,) L of the valid set."""
    if len(valid_nll) < FEW_VALID_PAIRS:
        yield (
            f"Only {len(valid_nll)} valid pair{'' if len(valid_nll) == 1 else 's'} scored: DS weights are unsure. "
            f"Bring a valid set of at least {FEW_VALID_PAIRS} trusted responses."
        )


def own_valid_set(names: Iterable[str]) -> Iterator[str]:
    """Ranked strategies that are the valid set."""
    for name in names:
        yield (
            f"The valid set is the ranked strategy '{visible(name)}' itself, which the DS weight then favours. "
            "Trust pairs that are not compared."
        )


def as_surprising_as_gold(weights: Mapping[str, float]) -> Iterator[str]:
    """DS weights by strategy."""
    close = [name for name, weight in weights.items() if weight <= CLOSE_TO_ONE]
    if close:
        names = ", ".join(f"'{visible(name)}'" for name in close)
        yield (
            f"A DS weight close to 1 ({names}) only says as surprising as the valid set, not easy for the model. "
            "Use it as a filter, and never average it with perplexity."
        )


def error_of_valid_mean(valid_nll: FloatArray) -> Iterator[str]:
    """(N,) L of the valid set; the standard error is sigma / sqrt(N)."""
    if len(valid_nll) > 1:
        error = float(valid_nll.std(ddof=1)) / len(valid_nll) ** 0.5
        yield (
            f"The mean surprisal of the {len(valid_nll):,} valid pairs is {valid_nll.mean():.4g} nats per token, its "
            f"standard error {error:.2g}."
        )


def questions_without_help(arrays: ScoreArrays) -> Iterator[str]:
    """The share of responses with an ifd of 1 or more."""
    shares = [
        f"{visible(name)} {share:.0%}"
        for name, share in zip(arrays.strategies, share_without_help(arrays), strict=True)
        if np.isfinite(share)
    ]
    if shares:
        yield f"Responses that the question does not help to expect (ifd of 1 or more): {', '.join(shares)}."
