"""The pool of in-context examples: those of the generated predictions that pass the correctness filter."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.domain import Prediction, Question, RunRequest
from core.scoring.answers import is_correct
from core.scoring.prompts import context_digest
from core.store.generations import StoredGeneration, stored_generation

NO_EXAMPLES = (
    "No answer of the target model passed the correctness filter, so sap is missing."
    " Score again with --no-answer-filter, or import predictions."
)


@dataclass(slots=True)
class Pool:
    """Predictions that may serve as examples, with how many were dropped and why."""

    predictions: list[Prediction] = field(default_factory=list)
    wrong: int = 0
    cut: int = 0
    unchecked: int = 0

    def lines(self, request: RunRequest) -> list[tuple[str, str]]:
        """What became of the predictions, as levels and texts of events."""
        dropped = f"{self.wrong} wrong and {self.cut} cut off dropped" if self.wrong or self.cut else "none dropped"
        lines = [("info", f"initial predictions: {len(self.predictions)} kept, {dropped}")]
        if self.unchecked and request.answer_filter:
            lines.append(("info", f"{self.unchecked} predictions have no gold answer to check against and were kept"))
        if not self.predictions:
            lines.append(("warning", NO_EXAMPLES))
        return lines


def stored(reader: sqlite3.Connection, spec: int, question: Question) -> StoredGeneration | None:
    """The answer that the target model gave to the question under this spec."""
    return stored_generation(reader, spec, context_digest(question.turns))


def generated_pool(reader: sqlite3.Connection, spec: int, request: RunRequest, questions: Sequence[Question]) -> Pool:
    """The stored answers to these questions in task order, without those that the correctness filter drops."""
    pool = Pool()
    for question in sorted(questions, key=lambda question: question.position):
        answer = stored(reader, spec, question)
        if answer is not None:
            _add(pool, question, answer, request.answer_filter)
    return pool


def _add(pool: Pool, question: Question, answer: StoredGeneration, answer_filter: bool) -> None:
    correct = None
    if answer_filter and question.answer is not None:
        # An answer cut at the limit has no final answer, whatever stands in it.
        correct = is_correct(answer.text, question.answer) if answer.finished else False
        pool.cut += not answer.finished
        pool.wrong += answer.finished and correct is False
    pool.unchecked += correct is None
    if correct is not False:
        pool.predictions.append(Prediction(answer.text, question.id, answer.finished, correct))
