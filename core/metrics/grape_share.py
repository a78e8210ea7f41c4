"""GRAPE: how many questions a strategy wins by being the least surprising."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ScoreArrays
from core.metrics.compared import compared_questions

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


def wins(mean_nll: FloatArray) -> FloatArray:
    """1 where the strategy has the smallest L of the question, else 0; ties go to the earlier strategy.

    L (S, Q) in nats per token. NaN for questions on which a compared strategy has no L.
    """
    import numpy as np

    won = np.full_like(mean_nll, np.nan)
    compared = compared_questions(mean_nll)
    known = np.where(np.isnan(mean_nll), np.inf, mean_nll)
    winners = known[:, compared].argmin(axis=0)
    won[:, compared] = np.arange(len(mean_nll))[:, None] == winners
    won[np.isnan(mean_nll)] = np.nan
    return won


def plain_wins(arrays: ScoreArrays) -> FloatArray:
    """Wins by L behind the question: (S, Q)."""
    return wins(arrays.mean_nll(ContextKind.PLAIN))


METRIC = Metric(
    id="grape_share",
    label="GRAPE win share",
    description="Share of the questions on which the strategy's response is the least surprising of all.",
    direction="higher",
    contexts=(ContextKind.PLAIN,),
    source="Zhang, Dai, Peng: arXiv 2502.04194",
    numerator=plain_wins,
    is_share=True,
)
