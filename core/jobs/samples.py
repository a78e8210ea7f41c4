"""What a run scores, read question by question: texts, contexts and the pool of in-context examples."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.domain import ContextKind, Prediction, Question, Response, Run, Turn
from core.scoring.prompts import ALONE, in_context_examples, load_template, self_aligned_turns
from core.store.catalogue import question


@dataclass(frozen=True, slots=True)
class QuestionSamples:
    """One question and the responses of the run's strategies to it, in their order."""

    question: Question
    responses: tuple[Response, ...]


def run_samples(reader: sqlite3.Connection, run: int) -> Iterator[QuestionSamples]:
    """The run's questions in task order with their responses."""
    rows = reader.execute("SELECT question FROM run_questions WHERE run = ? ORDER BY position", (run,)).fetchall()
    for row in rows:
        yield question_samples(reader, run, row["question"])


def question_samples(reader: sqlite3.Connection, run: int, question_id: int) -> QuestionSamples:
    return QuestionSamples(question(reader, question_id), _responses(reader, run, question_id))


def _responses(reader: sqlite3.Connection, run: int, question: int) -> tuple[Response, ...]:
    rows = reader.execute(
        "SELECT responses.id, responses.strategy, responses.question, responses.text FROM run_strategies"
        " JOIN responses ON responses.strategy = run_strategies.strategy AND responses.question = ?"
        " WHERE run = ? ORDER BY run_strategies.position",
        (question, run),
    )
    return tuple(Response(*row) for row in rows)


class Contexts:
    """Builds the turns that a response is scored behind (methods: contexts, rotation)."""

    def __init__(self, run: Run, pool: Sequence[Prediction]) -> None:
        self._pool = pool
        self._examples = run.request.examples
        self._template = load_template()

    def turns(self, question: Question, kind: ContextKind) -> tuple[Turn, ...]:
        """Raises SapError when the self-aligned context has no example to show."""
        if kind is ContextKind.PLAIN:
            return question.turns
        if kind is ContextKind.ALONE:
            return ALONE
        examples = in_context_examples(question.position, question.id, self._pool, self._examples)
        return self_aligned_turns(question.turns, examples, self._template)
