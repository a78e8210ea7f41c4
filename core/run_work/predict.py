"""Initial predictions: the target model answers the questions, and every answer is kept as soon as it is complete."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence

from core.domain import Prediction, Question
from core.jobs.blame import ANSWERING, TRIES, answers_alone, excuse, unanswerable
from core.jobs.claim import beat
from core.run_work.pool import generated_pool, stored
from core.run_work.samples import OwnAnswer, Scope
from core.run_work.steps import BatchStore, RunWork
from core.scoring.prompts import context_digest
from core.scoring.protocol import Generation
from core.store.catalogue import questions_of
from core.store.generations import imported_pool, insert_generation

MAX_NEW_TOKENS = 512
FURTHER_AT_ONCE = 16


class Predictor:
    """Has the target model answer questions of one run's task, given by its row number."""

    def __init__(self, work: RunWork, task: int) -> None:
        self._work = work
        self._task = task
        self._run = work.run
        self._told: set[bytes] = set()

    def pool(self, scope: Scope) -> list[Prediction]:
        """The pool of in-context examples: imported predictions, else generated ones in task order.

        The scored questions are answered first, further ones only until K + 1 answers pass the filter (methods:
        initial predictions); with `answered` the first so many of the scored ones are enough.
        """
        reader, run = self._work.reader, self._run
        imported = imported_pool(reader, self._task, run.weights_digest)
        if imported:
            return imported
        everything, wanted = list(questions_of(reader, self._task)), set(scope.questions[: run.request.answered])
        asked = [question for question in everything if question.id in wanted]
        further = [question for question in everything if question.id not in wanted]
        self.answer(asked)
        passed = len(generated_pool(reader, run.spec, run.request, asked).predictions)
        while further and passed <= run.request.examples:
            batch, further = further[:FURTHER_AT_ONCE], further[FURTHER_AT_ONCE:]
            self.answer(batch)
            asked += batch
            passed += len(generated_pool(reader, run.spec, run.request, batch).predictions)
        pool = generated_pool(reader, run.spec, run.request, asked)
        for level, text in pool.lines(run.request):
            self._work.say(level, [text])
        return pool.predictions

    def answer_all(self, scope: Scope) -> None:
        """Every question of the run, where no predictions were imported."""
        if not imported_pool(self._work.reader, self._task, self._run.weights_digest):
            wanted = set(scope.questions)
            self.answer([question for question in questions_of(self._work.reader, self._task) if question.id in wanted])

    def answer(self, questions: Sequence[Question]) -> None:
        """Generate the answers that are not stored yet."""
        missing = [question for question in questions if stored(self._work.reader, self._run.spec, question) is None]
        missing = self._answerable(missing)
        if not missing:
            return
        engine = self._work.engine()
        ready = len(questions) - len(missing)
        self._work.begin(ANSWERING, ready, len(questions))
        contexts = []
        for question in missing:
            self._work.on_step()
            contexts.append(engine.encode_context(question.turns))

        def store(connection: sqlite3.Connection, answers: Sequence[tuple[int, Generation]]) -> None:
            for index, answer in answers:
                digest = context_digest(missing[index].turns)
                insert_generation(connection, self._run.spec, digest, answer.text, answer.token_ids, answer.finished)
            excuse(connection, self._run.id)

        answers = BatchStore(self._work, ready, store)
        notes: dict[str, None] = {}
        try:
            for places in self._turns(missing):
                own = [contexts[place] for place in places]
                add = _renumbered(answers.add, places)
                notes.update(dict.fromkeys(engine.generate(own, MAX_NEW_TOKENS, add, self._work.on_step)))
        finally:
            answers.commit()
        self._work.say("warning", notes)

    def _answerable(self, questions: Sequence[Question]) -> list[Question]:
        """Without those that had their tries, which is said once."""
        given_up = unanswerable(self._work.reader, self._run.id)
        answerable: list[Question] = []
        for question in questions:
            context = context_digest(question.turns)
            if context not in given_up:
                answerable.append(question)
            elif context not in self._told:
                self._told.add(context)
                text = (
                    f"question {question.position + 1} has no answer of the target model: answering it alone ended the"
                    f" process {TRIES} times: {given_up[context]}"
                )
                self._work.say("warning", [text])
        return answerable

    def _turns(self, questions: Sequence[Question]) -> Iterator[Sequence[int]]:
        """The places of questions that are answered together: all, or one after another where that ended the process.

        Which one is being answered alone is written down first, so that a death can be laid at it.
        """
        if not answers_alone(self._work.reader, self._run.id):
            yield range(len(questions))
            return
        self._work.say("info", ["answering one question after another, to find the one that ended the process"])
        for place, question in enumerate(questions):
            beat(self._work.writer, self._work.claim, answering=context_digest(question.turns))
            yield [place]
        beat(self._work.writer, self._work.claim, answering=None)


def _renumbered(
    add: Callable[[Sequence[tuple[int, Generation]]], None], places: Sequence[int]
) -> Callable[[Sequence[tuple[int, Generation]]], None]:
    """Takes answers numbered within their turn."""
    return lambda answers: add([(places[index], answer) for index, answer in answers])


def own_answers(reader: sqlite3.Connection, spec: int | None, task: int, weights_digest: str) -> OwnAnswer:
    """The target model's own prediction for a question: imported where any were imported, else generated."""
    imported = {each.question: each.text for each in imported_pool(reader, task, weights_digest)}

    def answer(question: Question) -> str | None:
        if imported or spec is None:
            return imported.get(question.id)
        generated = stored(reader, spec, question)
        return None if generated is None else generated.text

    return answer
