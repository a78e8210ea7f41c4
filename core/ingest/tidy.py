"""The tidy layout: a question and a response in two fields of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.domain import Turn
from core.ingest.conversation import USER, check_question, looks_like_turns, read_turns
from core.ingest.layout import Sample, required_text
from core.ingest.records import Unreadable, kind_of, quoted

# Names that data sets use for the two fields; `answer` is not among them, it is the gold answer.
QUESTION_NAMES = ("question", "prompt", "query")
RESPONSE_NAMES = ("response", "completion")


@dataclass(frozen=True, slots=True)
class Tidy:
    question: str = "question"
    response: str = "response"

    @property
    def description(self) -> str:
        return f"question from {quoted(self.question)}, response from {quoted(self.response)}"

    @property
    def fields(self) -> tuple[str, ...]:
        return self.question, self.response

    def read(self, fields: Mapping[str, object]) -> Sample:
        turns = self._turns(fields)
        check_question(turns)
        return Sample(turns, required_text(fields, self.response))

    def _turns(self, fields: Mapping[str, object]) -> tuple[Turn, ...]:
        question = fields.get(self.question)
        if isinstance(question, str):
            return (Turn(USER, question),)
        if looks_like_turns(question):
            return read_turns(question, self.question)
        if self.question not in fields:
            raise Unreadable(f"no field {quoted(self.question)}")
        raise Unreadable(f"{quoted(self.question)} is {kind_of(question)}, not text")


def recognize(fields: Mapping[str, object]) -> Tidy | None:
    """The layout, if exactly one name for each field is there; `question` and `response` come before other names."""
    question = _only(QUESTION_NAMES, fields)
    response = _only(RESPONSE_NAMES, fields)
    return Tidy(question, response) if question and response else None


def _only(names: tuple[str, ...], fields: Mapping[str, object]) -> str | None:
    found = [name for name in names if name in fields]
    return found[0] if len(found) == 1 or names[0] in found else None
