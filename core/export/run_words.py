"""Methods in words: what every metric is, and how the uncertainty came about."""

from __future__ import annotations

from collections.abc import Sequence

from core.domain import ContextKind, RunRequest
from core.export.document import Facts, Paragraph, Section
from core.metrics.base import Metric
from core.stats import bootstrap, intervals, significance

CONTEXTS = {
    ContextKind.PLAIN: "the question",
    ContextKind.SELF_ALIGNED: "the question with the target model's own answers to other questions as examples",
    ContextKind.ALONE: "an empty question",
}
SURPRISAL = (
    "The surprisal of a token is minus the natural logarithm of the probability that the target model gives it, in "
    "nats, computed in float32 from the logits. L of a response is the mean surprisal of its tokens. The response is "
    "tokenized by itself and stands behind the context in the target model's own chat template; its end-of-turn token "
    "is not scored."
)
SEQUENTIAL = (
    "This run was to stop as soon as it is decided. It looked at its scores after 16 questions and then at every "
    "growth by half; strategies that were surely behind dropped out at a look. The error rate is spent over the looks "
    "after Lan and DeMets (Biometrika 70, 1983), with Holm's correction over the strategies at every look."
)


def methods_section(metrics: Sequence[Metric]) -> Section:
    facts = tuple((f"{metric.id}: {metric.label}", metric_words(metric)) for metric in metrics)
    return Section("Methods", (Paragraph(SURPRISAL), Facts(facts)))


def metric_words(metric: Metric) -> str:
    """What the metric is, how a strategy's score comes about, its direction and its source."""
    behind = " and ".join(CONTEXTS[context] for context in metric.contexts)
    parts = [
        metric.description,
        f"Responses are scored behind {behind}." if behind else "",
        f"A strategy's score is {_over_questions(metric)}.",
        f"{metric.direction.capitalize()} is better.",
        metric.contested,
        f"Source: {metric.source}." if metric.source else "",
    ]
    return " ".join(part for part in parts if part)


def _over_questions(metric: Metric) -> str:
    if metric.statistic == "median":
        return "the median over the questions"
    if metric.denominator is not None:
        return "a ratio of two sums over the questions"
    return "the mean over the questions"


def uncertainty_section(request: RunRequest) -> Section:
    texts = (
        f"Questions are drawn with replacement, {bootstrap.DRAWS:,} times with seed 0 and for all strategies together "
        "(a paired bootstrap). The 95% intervals of scores and of differences to the leader are those of the "
        f"bootstrap's t from {intervals.FEWEST_QUESTIONS} questions on, otherwise percentiles; those of medians and of "
        "ranks are percentiles. P(best) is the share of draws in which a strategy comes first.",
        "Each strategy is compared with the leader by a two-sided sign-flip test of the paired differences, whose p is "
        "adjusted by Holm's method. The verdict is decided only if every adjusted p is below "
        f"{significance.ALPHA}; a strategy with a larger one is not separable from the leader.",
        "A question on which any ranked strategy has no value of a metric is left out for all of them in that metric.",
        *([SEQUENTIAL] if request.until_decided else []),
    )
    return Section("Uncertainty", tuple(map(Paragraph, texts)))
