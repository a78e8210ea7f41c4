"""The steps of a pipeline: the metric whose value of every sample each one reads, and the samples that it keeps."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from core.errors import UsageError
from core.selection.duplicates import SIMILARITY, hardest_distinct
from core.text import visible

if TYPE_CHECKING:
    from core.metrics.base import BoolArray, FloatArray

    Keep: TypeAlias = Callable[[FloatArray, Sequence[str]], BoolArray]

_THRESHOLD = re.compile(r"(?P<metric>[^<>=]+)(?P<sign><=|>=)(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class Step:
    """`keep` maps the values (n,) of `metric` of n samples, none of them NaN, and their responses to a mask (n,)."""

    text: str
    metric: str
    keep: Keep


@dataclass(frozen=True, slots=True)
class StepKind:
    """How a named step is written, what it keeps, and how its argument (empty where there is none) is read."""

    usage: str
    description: str
    build: Callable[[str], tuple[Step, ...]]


def parse_steps(text: str) -> tuple[Step, ...]:
    """The steps of `correct,ifd=0.2-1.0,ds-weight=80` in their order; UsageError for what is no step."""
    return tuple(step for part in text.split(",") for step in _parse(part.strip())) if text.strip() else ()


def _parse(text: str) -> tuple[Step, ...]:
    threshold = _THRESHOLD.fullmatch(text)
    if threshold:
        return (_threshold(text, threshold),)
    name, equals, argument = text.partition("=")
    if name not in STEPS:
        raise UsageError(f"There is no step '{visible(text)}'.", f"Steps: {', '.join(_usages())}.")
    if equals and not argument:
        raise UsageError(
            f"The step '{visible(text)}' lacks what follows the equals sign.", f"Write: {STEPS[name].usage}"
        )
    return STEPS[name].build(argument)


def steps_in_words() -> list[tuple[str, str]]:
    """How every step is written, and when it keeps a response."""
    named = [(kind.usage, kind.description) for kind in STEPS.values()]
    return [*named, ("METRIC<=X", "the metric's value is X or less"), ("METRIC>=X", "the metric's value is X or more")]


def _usages() -> list[str]:
    return [usage for usage, _ in steps_in_words()]


def _threshold(text: str, found: re.Match[str]) -> Step:
    limit = _number(found["value"], text)
    ends = (-math.inf, limit) if found["sign"] == "<=" else (limit, math.inf)
    return Step(text, found["metric"].strip(), partial(_within, *ends))


def _within(low: float, high: float, values: FloatArray, texts: Sequence[str]) -> BoolArray:
    return (values >= low) & (values <= high)


def _passing(name: str, metric: str, description: str) -> StepKind:
    """A step without argument for a metric that is 1 where a sample passes."""
    step = Step(name, metric, partial(_within, 1.0, math.inf))
    return StepKind(name, description, partial(_without_argument, (step,)))


def _without_argument(steps: tuple[Step, ...], argument: str) -> tuple[Step, ...]:
    if argument:
        raise UsageError(f"The step '{steps[0].text}' takes nothing behind an equals sign.", f"Write: {steps[0].text}")
    return steps


def _ds_weight(argument: str) -> tuple[Step, ...]:
    percent = _percent(argument or "80", f"ds-weight={argument}")
    return (Step(f"ds-weight={percent:g}", "ds_weight", partial(_up_to_percentile, percent)),)


def _up_to_percentile(percent: float, values: FloatArray, texts: Sequence[str]) -> BoolArray:
    import numpy as np

    return values <= np.percentile(values, percent)


def _iwsi(argument: str) -> tuple[Step, ...]:
    return *STEPS["self-consistency"].build(""), *_ds_weight(argument)


def _ifd(argument: str) -> tuple[Step, ...]:
    text = f"ifd={argument}"
    low, dash, high = argument.partition("-")
    ends = _number(low, text), _number(high, text)
    if not dash or ends[0] > ends[1]:
        raise UsageError(f"'{visible(text)}' is no range.", "Write: ifd=0.2-1.0")
    return (Step(text, "ifd", partial(_within, *ends)),)


def _length(argument: str) -> tuple[Step, ...]:
    spread = _number(argument or "2", f"length={argument}")
    if spread <= 0:
        raise UsageError(f"'length={visible(argument)}' keeps nothing.", "Write: length=2")
    return (Step(f"length={spread:g}", "response_tokens", partial(_near_mean, spread)),)


def _near_mean(spread: float, values: FloatArray, texts: Sequence[str]) -> BoolArray:
    import numpy as np

    near: BoolArray = np.abs(values - values.mean()) <= spread * values.std()
    return near


def _hardest(argument: str) -> tuple[Step, ...]:
    text = f"hardest={argument}"
    share, at, similarity = argument.partition("@")
    percent, limit = _percent(share, text), _number(similarity, text) if at else SIMILARITY
    if not 0 < limit <= 1:
        raise UsageError(
            f"'{visible(text)}': the similarity lies above 0 and up to 1.", f"Write: hardest=20@{SIMILARITY}"
        )
    return (Step(text, "nll", partial(_hardest_distinct, percent, limit)),)


def _hardest_distinct(percent: float, similarity: float, values: FloatArray, texts: Sequence[str]) -> BoolArray:
    return hardest_distinct(values, texts, percent=percent, similarity=similarity)


def _percent(argument: str, text: str) -> float:
    percent = _number(argument, text)
    if not 0 < percent <= 100:
        raise UsageError(
            f"'{visible(text)}': a percentage lies above 0 and up to 100.", f"Steps: {', '.join(_usages())}."
        )
    return percent


def _number(argument: str, text: str) -> float:
    try:
        number = float(argument)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"'{visible(text)}' lacks a number.", f"Steps: {', '.join(_usages())}.")
    return number


STEPS: Mapping[str, StepKind] = MappingProxyType(
    {
        "self-consistency": _passing(
            "self-consistency", "self_consistency", "the final answer is that of most of the target model's samples"
        ),
        "strategy-vote": _passing(
            "strategy-vote", "strategy_vote", "the final answer is that of most of the run's strategies"
        ),
        "ds-weight": StepKind("ds-weight[=80]", "the DS weight is at or below this percentile", _ds_weight),
        "iwsi": StepKind("iwsi[=80]", "self-consistency, then ds-weight", _iwsi),
        "ifd": StepKind("ifd=LOW-HIGH", "the instruction-following difficulty lies in this range, ends included", _ifd),
        "length": StepKind("length[=2]", "the tokens lie within so many standard deviations of their mean", _length),
        "hardest": StepKind(
            f"hardest=20[@{SIMILARITY}]",
            "it is among the hardest 20% by plain surprisal and shares few letter 5-grams with a harder one",
            _hardest,
        ),
        "correct": _passing("correct", "response_accuracy", "the final answer equals the gold answer"),
    }
)
