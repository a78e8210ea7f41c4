"""Step-skipping log-probability: how likely the tokens are, without those that begin a step."""

from __future__ import annotations

import re
from math import nan
from typing import TYPE_CHECKING

from core.domain import ContextKind
from core.metrics.base import Metric, ResponseTokens, ScoreArrays

if TYPE_CHECKING:
    from core.metrics.base import BoolArray, FloatArray, IntArray

TOKENS_DROPPED = 2
_STEP_START = re.compile(r"(?:\A|[.?] |[\n\r])\s*")


def step_starts(text: str) -> list[int]:
    """Where every step begins, in characters: its first that is not white space.

    A step ends at ". ", "? " or a line break; what holds nothing but white space is no step.
    """
    seen = text.rstrip()
    return sorted({found.end() for found in _STEP_START.finditer(seen)}) if seen else []


def dropped_tokens(text: str, ends: IntArray) -> BoolArray:
    """(T,): whether a token is the first or second of a step; `ends` (T,) is the place behind each, in characters.

    A step's first token is the one that its first character begins in, so a token across two steps counts as the first
    of the later one. White space between steps belongs to the step before it.
    """
    import numpy as np

    begins = np.concatenate(([0], ends[:-1]))
    # The bytes of one character may be several tokens, of which the last alone moves the end on.
    starts = step_starts(text)
    firsts = np.minimum(np.searchsorted(begins, starts), np.searchsorted(ends, starts, side="right"))
    dropped = np.zeros(len(ends), dtype=np.bool_)
    for offset in range(TOKENS_DROPPED):
        places = firsts + offset
        dropped[places[places < len(ends)]] = True
    return dropped


def mean_log_probability_inside_steps(response: ResponseTokens) -> float:
    """Mean of -s over the tokens that are not dropped, nats; NaN where none remains."""
    if response.ends is None:
        return nan
    kept = response.surprisal[~dropped_tokens(response.text, response.ends)]
    return -float(kept.mean()) if len(kept) else nan


def stored_means(arrays: ScoreArrays) -> FloatArray:
    """The means inside steps: (S, Q), nats per token."""
    return arrays.token_value("aslec_drop")


METRIC = Metric(
    id="aslec_drop",
    label="Step-skipping log-probability",
    description="Mean over questions of the mean log-probability, without the first two tokens of every step.",
    direction="higher",
    contexts=(ContextKind.PLAIN,),
    source="Wang et al.: arXiv 2604.06834",
    numerator=stored_means,
    token_value=mean_log_probability_inside_steps,
    needs_token_ends=True,
)
