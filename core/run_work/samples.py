"""What a run scores, read question by question: texts, contexts and the pool of in-context examples."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.domain import ContextKind, Prediction, Question, Response, RunRequest, Turn
from core.scoring.prompts import ALONE, in_context_examples, load_template, orders_of, self_aligned_turns
from core.store.catalogue import question, valid_strategy
from core.store.runs import scope_questions

OwnAnswer = Callable[[Question], str | None]
"""The target model's own prediction for a question; None where there is none."""

TARGET_ITSELF = 0
"""The strategy of planned items that are the target model's own predictions."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The strategies and questions of a run in their orders, as row numbers; `valid` is the trusted pairs' strategy."""

    strategies: tuple[int, ...]
    questions: tuple[int, ...]
    valid: int | None = None


@dataclass(frozen=True, slots=True)
class QuestionSamples:
    """One question and responses to it: those of the run's strategies in their order."""

    question: Question
    responses: tuple[Response, ...]


def scope_of(reader: sqlite3.Connection, run: int, request: RunRequest) -> Scope:
    strategies = reader.execute("SELECT strategy FROM run_strategies WHERE run = ? ORDER BY position", (run,))
    chosen = tuple(row[0] for row in strategies)
    return Scope(chosen, scope_questions(reader, run), valid=valid_strategy(reader, request))


def samples_of(reader: sqlite3.Connection, scope: Scope) -> Iterator[QuestionSamples]:
    """The scope's questions in its order with their responses."""
    for number in scope.questions:
        yield question_samples(reader, scope.strategies, number)


def valid_samples(reader: sqlite3.Connection, scope: Scope) -> Iterator[QuestionSamples]:
    """The trusted pairs in task order, without those that the run scores anyway."""
    if scope.valid is None:
        return
    rows = reader.execute(
        "SELECT questions.id FROM responses JOIN questions ON questions.id = responses.question"
        " WHERE responses.strategy = ? ORDER BY questions.position",
        (scope.valid,),
    ).fetchall()
    scored = set(scope.questions) if scope.valid in scope.strategies else set()
    for row in rows:
        if row[0] not in scored:
            yield question_samples(reader, (scope.valid,), row[0])


def question_samples(reader: sqlite3.Connection, strategies: Sequence[int], number: int) -> QuestionSamples:
    marks = ",".join("?" * len(strategies))
    rows = reader.execute(
        f"SELECT id, strategy, question, text FROM responses WHERE question = ? AND strategy IN ({marks})",
        (number, *strategies),
    )
    by_strategy = {row["strategy"]: Response(*row) for row in rows}
    responses = tuple(by_strategy[strategy] for strategy in strategies if strategy in by_strategy)
    return QuestionSamples(question(reader, number), responses)


class Contexts:
    """Builds the turns that a response is scored behind (methods: contexts, rotation).

    With `example_choice` usefulness the pool holds the most useful predictions first, and every question takes those.
    """

    def __init__(self, request: RunRequest, pool: Sequence[Prediction]) -> None:
        self._pool = pool
        self._request = request
        self._template = load_template(request.prompt_template)

    def of(self, question: Question, kind: ContextKind) -> list[tuple[Turn, ...]]:
        """The contexts of this kind: one, or one for every order of the examples that scores are averaged over.

        Raises SapError when a self-aligned context has no example to show.
        """
        if kind is ContextKind.PLAIN:
            return [question.turns]
        if kind is ContextKind.ALONE:
            return [ALONE]
        before_the_first = -1
        position = before_the_first if self._request.example_choice == "usefulness" else question.position
        examples = in_context_examples(position, question.id, self._pool, self._request.examples)
        orders = orders_of(examples, self._request.example_orders)
        return [self_aligned_turns(question.turns, order, self._template) for order in orders]
