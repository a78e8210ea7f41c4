"""Instruction-following difficulty: how much the question helps the target model to expect the response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import FloatArray

CONTESTED = (
    "Between strategies for open-ended chat higher was better (arXiv 2411.07133); "
    "the paper of self-aligned perplexity ranks lower first."
)


def difficulty(plain: FloatArray, alone: FloatArray) -> FloatArray:
    """L(plain) / L(alone), of nats per token (S, Q); NaN where the response alone has no surprisal."""
    import numpy as np

    return np.divide(plain, alone, out=np.full_like(plain, np.nan), where=alone > 0)


def instruction_following_difficulty(arrays: ScoreArrays) -> FloatArray:
    """L behind the question, divided by L of the response alone: (S, Q), without unit."""
    return difficulty(arrays.mean_nll(ContextKind.PLAIN), arrays.mean_nll(ContextKind.ALONE))


def share_without_help(arrays: ScoreArrays) -> FloatArray:
    """(S,): of the responses that have a value, the share whose question does not help (1 or more); NaN without any."""
    import numpy as np

    values = instruction_following_difficulty(arrays)
    known = np.isfinite(values).sum(axis=1)
    without = (values >= 1).sum(axis=1)
    share: FloatArray = np.divide(without, known, out=np.full(len(values), np.nan), where=known > 0)
    return share


METRIC = Metric(
    id="ifd",
    label="Instruction-following difficulty",
    description="Mean over questions of the mean surprisal behind the question, divided by that of the response alone.",
    direction="lower",
    contexts=(ContextKind.PLAIN, ContextKind.ALONE),
    source="Li et al.: arXiv 2308.12032",
    numerator=instruction_following_difficulty,
    contested=CONTESTED,
)
