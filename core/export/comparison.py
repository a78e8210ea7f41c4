"""Two strategies question by question, and single samples with their tokens: as JSON and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.domain import ContextKind, Interval, Question
from core.export.csv_text import csv_text
from core.metrics.base import Metric

if TYPE_CHECKING:
    from core.domain import TokenScores
    from core.metrics.base import IntArray

LONGEST_OPENING = 200
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class QuestionPair:
    """The values of the two strategies A and B on one question, None where a response has none.

    `position` counts the task's questions from 1, `opening` is how the question begins. `ahead` says how far A is
    better than B in the metric's direction, and is negative where B is better.
    """

    position: int
    key: str | None
    opening: str
    a: float | None
    b: float | None
    ahead: float | None
    tokens_a: int | None
    tokens_b: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Strategies A and B of a run by one metric; `rows` with the largest difference first.

    `wins` counts the questions on which A is better, `losses` those on which B is. `scores`, `ahead` (A before B, in
    the metric's direction) and the p value of this pair alone are None with fewer than 2 questions that both have a
    value on; `mean_tokens` are over those questions.
    """

    run: int
    task: str
    model: str
    metric: Metric
    a: str
    b: str
    rows: tuple[QuestionPair, ...]
    questions: int
    wins: int
    ties: int
    losses: int
    scores: tuple[Interval, Interval] | None
    ahead: Interval | None
    p_value: float | None
    mean_tokens: tuple[float, float] | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContextScore:
    """What a response got behind one context: L in nats per token; or why it has no score."""

    context: ContextKind
    tokens: int | None
    mean_nll: float | None
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SampleTokens:
    """The T tokens of a response behind a context; `ends` (T,) are their places in the text, None where unknown."""

    context: ContextKind
    scores: TokenScores
    ends: IntArray | None


@dataclass(frozen=True, slots=True)
class Sample:
    """A strategy's response to a question with what a run found out about it.

    `right` says whether its final answer is the gold answer. `tokens` is None where it has no score behind the context
    that was asked for; `notes` say what is missing and how to get it.
    """

    strategy: str
    text: str
    right: bool | None
    scores: tuple[ContextScore, ...]
    tokens: SampleTokens | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Samples:
    """One question of a run with the responses of some strategies."""

    run: int
    task: str
    model: str
    question: Question
    samples: tuple[Sample, ...]


def comparison_object(comparison: Comparison) -> dict[str, Any]:
    """The contract of `compare --json`; numbers unrounded."""
    metric = comparison.metric
    return {
        "run": comparison.run,
        "task": comparison.task,
        "model": comparison.model,
        "metric": {
            "id": metric.id, "label": metric.label, "direction": metric.direction, "decimals": metric.decimals,
            "contexts": list(map(str, metric.contexts)),
        },
        "a": comparison.a,
        "b": comparison.b,
        "questions": comparison.questions,
        "wins": comparison.wins,
        "ties": comparison.ties,
        "losses": comparison.losses,
        "scores": None if comparison.scores is None else [_interval(each) for each in comparison.scores],
        "ahead": None if comparison.ahead is None else _interval(comparison.ahead),
        "p_value": comparison.p_value,
        "p": p_in_words(comparison.p_value),
        "mean_tokens": None if comparison.mean_tokens is None else list(comparison.mean_tokens),
        "summary": comparison_sentence(comparison),
        "notes": list(comparison.notes),
        "rows": [
            {
                "position": row.position,
                "key": row.key,
                "opening": row.opening,
                "a": row.a,
                "b": row.b,
                "ahead": row.ahead,
                "tokens": [row.tokens_a, row.tokens_b],
            }
            for row in comparison.rows
        ],
    }  # fmt: skip


def comparison_csv(comparison: Comparison) -> str:
    """The contract of `compare --format csv`: one row a question, the largest difference first."""
    columns = ("position", "key", "opening", "a", "b", "ahead", "tokens_a", "tokens_b")
    return csv_text(columns, [[getattr(row, column) for column in columns] for row in comparison.rows])


def comparison_sentence(comparison: Comparison) -> str:
    """Who is better on how many questions, by how much, and whether that is more than chance; names as they are."""
    a, b, metric = comparison.a, comparison.b, comparison.metric
    counts = (
        f"{a} is better by {metric.id} on {comparison.wins:,} of {comparison.questions:,} questions, "
        f"{b} on {comparison.losses:,}" + (f", {comparison.ties:,} alike" if comparison.ties else "")
    )
    if comparison.ahead is None or comparison.scores is None or comparison.mean_tokens is None:
        return f"{counts}. An interval needs at least 2 questions with both values."
    first, second = (f"{each.value:.{metric.decimals}f}" for each in comparison.scores)
    value, low, high = (
        f"{number:+.{metric.decimals}f}"
        for number in (comparison.ahead.value, comparison.ahead.low, comparison.ahead.high)
    )
    tokens = " and ".join(f"{count:,.0f}" for count in comparison.mean_tokens)
    separable = "separable" if comparison.p_value is not None and comparison.p_value < ALPHA else "not separable"
    return (
        f"{counts}. Scores {first} and {second}: {a} is ahead by {value} [{low}, {high}], "
        f"p {p_in_words(comparison.p_value)}, {separable}. Tokens a response: {tokens}."
    )


def p_in_words(value: float | None) -> str:
    """`0.03`, `under 0.001`."""
    return "unknown" if value is None else f"{value:.2g}" if value >= 0.001 else "under 0.001"


def samples_object(found: Samples) -> dict[str, Any]:
    """The contract of `show --json` and `compare --question --json`."""
    question = found.question
    return {
        "run": found.run,
        "task": found.task,
        "model": found.model,
        "question": {
            "position": question.position + 1,
            "key": question.key,
            "turns": [{"role": turn.role, "content": turn.content} for turn in question.turns],
            "answer": question.answer,
        },
        "samples": [_sample(each) for each in found.samples],
    }


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "strategy": sample.strategy,
        "text": sample.text,
        "right": sample.right,
        "scores": [
            {"context": str(each.context), "tokens": each.tokens, "mean_nll": each.mean_nll, "why": each.why}
            for each in sample.scores
        ],
        "tokens": None if sample.tokens is None else tokens_object(sample.tokens),
        "notes": list(sample.notes),
    }


def tokens_object(tokens: SampleTokens) -> dict[str, Any]:
    """A list of T values under every name: places in characters, surprisals and entropies in nats, ranks from 1."""
    import numpy as np

    scores = tokens.scores
    log_probability = scores.log_probability.astype(np.float64)
    return {
        "context": str(tokens.context),
        "ends": None if tokens.ends is None else tokens.ends.tolist(),
        "surprisal": _numbers(-log_probability),
        "probability": _numbers(np.exp(log_probability)),
        "rank": None if scores.rank is None else scores.rank.tolist(),
        "entropy": None if scores.entropy is None else _numbers(scores.entropy),
    }


def _numbers(values: Any) -> list[float]:
    """Six digits are what float32 holds; -0.0 becomes 0.0."""
    return [float(f"{value:.6g}") + 0.0 for value in values.tolist()]


def _interval(interval: Interval) -> Mapping[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
