"""Steps one after the other, and how many samples each of them kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.selection.steps import Step

if TYPE_CHECKING:
    from core.metrics.base import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step did with the samples that reached it: `kept` + `dropped` + `without_value` of them."""

    step: str
    kept: int
    dropped: int
    without_value: int


class SampleValues(Protocol):
    """The values of metrics for n samples."""

    def of(self, metric_id: str) -> FloatArray:
        """(n,), NaN where a sample has none; raises SapError where no sample can have one."""
        ...


def apply_steps(
    steps: Sequence[Step], values: SampleValues, texts: Sequence[str]
) -> tuple[BoolArray, tuple[StepReport, ...]]:
    """Mask (n,) of the samples, with these response texts, that pass all the steps, and what each step did.

    A step sees the samples that the steps before it kept, and drops those without the value that it reads.
    """
    import numpy as np

    mask = np.ones(len(texts), dtype=np.bool_)
    reports: list[StepReport] = []
    for step in steps:
        known = values.of(step.metric)
        reached = int(mask.sum())
        places = np.flatnonzero(mask & ~np.isnan(known))
        mask = np.zeros_like(mask)
        if len(places):
            mask[places] = step.keep(known[places], [texts[place] for place in places.tolist()])
        kept = int(mask.sum())
        reports.append(StepReport(step.text, kept, len(places) - kept, reached - len(places)))
    return mask, tuple(reports)
