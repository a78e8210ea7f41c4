"""What a run scores, read question by question: texts, contexts and the pool of in-context examples."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.domain import ContextKind, Prediction, Question, Response, RunRequest, Turn
from core.scoring.prompts import ALONE, in_context_examples, load_template, self_aligned_turns
from core.store.catalogue import question


@dataclass(frozen=True, slots=True)
class Scope:
    """The strategies and questions of a run in their orders, as row numbers."""

    strategies: tuple[int, ...]
    questions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QuestionSamples:
    """One question and the responses of the run's strategies to it, in their order."""

    question: Question
    responses: tuple[Response, ...]


def scope_of(reader: sqlite3.Connection, run: int) -> Scope:
    strategies = reader.execute("SELECT strategy FROM run_strategies WHERE run = ? ORDER BY position", (run,))
    questions = reader.execute("SELECT question FROM run_questions WHERE run = ? ORDER BY position", (run,))
    return Scope(tuple(row[0] for row in strategies), tuple(row[0] for row in questions))


def samples_of(reader: sqlite3.Connection, scope: Scope) -> Iterator[QuestionSamples]:
    """The scope's questions in task order with their responses."""
    for number in scope.questions:
        yield question_samples(reader, scope, number)


def question_samples(reader: sqlite3.Connection, scope: Scope, number: int) -> QuestionSamples:
    marks = ",".join("?" * len(scope.strategies))
    rows = reader.execute(
        f"SELECT id, strategy, question, text FROM responses WHERE question = ? AND strategy IN ({marks})",
        (number, *scope.strategies),
    )
    by_strategy = {row["strategy"]: Response(*row) for row in rows}
    responses = tuple(by_strategy[strategy] for strategy in scope.strategies if strategy in by_strategy)
    return QuestionSamples(question(reader, number), responses)


class Contexts:
    """Builds the turns that a response is scored behind (methods: contexts, rotation)."""

    def __init__(self, request: RunRequest, pool: Sequence[Prediction]) -> None:
        self._pool = pool
        self._examples = request.examples
        self._template = load_template()

    def turns(self, question: Question, kind: ContextKind) -> tuple[Turn, ...]:
        """Raises SapError when the self-aligned context has no example to show."""
        if kind is ContextKind.PLAIN:
            return question.turns
        if kind is ContextKind.ALONE:
            return ALONE
        examples = in_context_examples(question.position, question.id, self._pool, self._examples)
        return self_aligned_turns(question.turns, examples, self._template)
