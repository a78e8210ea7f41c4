"""Alpaca: `instruction`, `input`, `output`, and the `system` and `history` that trainers read beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.domain import Turn
from core.ingest.conversation import ASSISTANT, SYSTEM, USER, check_question
from core.ingest.layout import Sample, optional_text, required_text
from core.ingest.records import Unreadable


@dataclass(frozen=True, slots=True)
class Alpaca:
    """The question is the instruction, and behind a line break the input where there is one, as trainers join them."""

    description = "Alpaca: question from 'instruction' and 'input', response from 'output'"
    fields = ("instruction", "input", "output", "system", "history")

    def read(self, fields: Mapping[str, object]) -> Sample:
        parts = (required_text(fields, "instruction"), optional_text(fields, "input"))
        question = Turn(USER, "\n".join(part for part in parts if part))
        system = optional_text(fields, "system")
        before = (Turn(SYSTEM, system),) if system else ()
        turns = (*before, *_history(fields.get("history")), question)
        check_question(turns)
        return Sample(turns, required_text(fields, "output"))


def _history(value: object) -> tuple[Turn, ...]:
    """Earlier rounds: a list of pairs of a question and a response."""
    if value is None:
        return ()
    rounds = value if isinstance(value, list) else [value]
    turns: list[Turn] = []
    for number, pair in enumerate(rounds, 1):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise Unreadable(f"round {number} of 'history' is no pair of question and response")
        turns += [Turn(USER, pair[0]), Turn(ASSISTANT, pair[1])]
    return tuple(turns)


def recognize(fields: Mapping[str, object]) -> Alpaca | None:
    return Alpaca() if "instruction" in fields and "output" in fields else None
