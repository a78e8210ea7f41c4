"""What metrics need, in words, and how to get it: the one place that every message and table takes it from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core.domain import ContextKind
from core.metrics.base import Input, Metric

CONTEXT_WORDS: Mapping[ContextKind, str] = MappingProxyType(
    {
        ContextKind.PLAIN: "plain scores",
        ContextKind.SELF_ALIGNED: "self-aligned scores",
        ContextKind.ALONE: "alone scores",
    }
)
CONTEXT_MEANINGS: Mapping[ContextKind, str] = MappingProxyType(
    {
        ContextKind.PLAIN: "of the responses behind their questions.",
        ContextKind.SELF_ALIGNED: "of the responses behind the target model's own answers and the question.",
        ContextKind.ALONE: "of the responses without their questions.",
    }
)

INPUT_WORDS: Mapping[Input, str] = MappingProxyType(
    {
        Input.CORRECT: "gold answers",
        Input.TARGET_VOTE: "votes of the target model",
        Input.STRATEGY_VOTE: "votes of the strategies",
        Input.REWARD: "rewards",
        Input.OWN_NLL: "scores of own predictions",
        Input.VALID_NLL: "a scored valid set",
        Input.SMALL_MODEL_NLL: "scores under a small model",
    }
)
HOW_TO_GET: Mapping[Input, str] = MappingProxyType(
    {
        Input.CORRECT: "Import the questions with an 'answer' field.",
        Input.TARGET_VOTE: "'sap-tui score --metric self_consistency' samples the target model.",
        Input.STRATEGY_VOTE: "Rank at least two strategies whose responses end in a final answer.",
        Input.REWARD: (
            "'sap-tui column FILE --task TASK --name reward' imports them, "
            "'sap-tui score --reward-model FOLDER' makes them."
        ),
        Input.OWN_NLL: "'sap-tui score --metric self_margin' scores them.",
        Input.VALID_NLL: "'sap-tui score --valid TASK/STRATEGY' scores one: a small set of trusted responses.",
        Input.SMALL_MODEL_NLL: (
            "Score the same strategies under the small model, then run 'sap-tui score --small-model-run RUN'."
        ),
    }
)


def needs_in_words(metric: Metric) -> str:
    """Everything that the metric is computed from, as one phrase."""
    return ", ".join([*map(CONTEXT_WORDS.__getitem__, metric.contexts), *map(INPUT_WORDS.__getitem__, metric.inputs)])
