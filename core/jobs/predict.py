"""Initial predictions: the target model answers the questions, and every answer is kept as soon as it is complete."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from core.domain import Prediction, Question, Run
from core.jobs.claim import Claim, beat, update_claimed
from core.jobs.pool import generated_pool, stored
from core.jobs.samples import Scope
from core.scoring.prompts import context_digest
from core.scoring.protocol import Engine, Generation
from core.store.catalogue import questions_of, task_by_name
from core.store.db import Writer
from core.store.generations import imported_pool, insert_generation
from core.store.runs import add_event

MAX_NEW_TOKENS = 512
FURTHER_AT_ONCE = 16
COMMIT_SECONDS = 0.5


class Predictor:
    """Fills the pool of in-context examples of one run."""

    def __init__(
        self, writer: Writer, claim: Claim, run: Run, engine: Callable[[], Engine], on_step: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._claim = claim
        self._run = run
        self._engine = engine
        self._on_step = on_step

    def pool(self, scope: Scope) -> list[Prediction]:
        """Imported predictions, else generated ones in task order (methods: initial predictions).

        The scored questions are answered first, further ones only until K + 1 answers pass the filter.
        """
        reader, run = self._writer.connection, self._run
        task = task_by_name(reader, run.task).id
        imported = imported_pool(reader, task, run.weights_digest)
        if imported:
            return imported
        everything, wanted = list(questions_of(reader, task)), set(scope.questions)
        asked = [question for question in everything if question.id in wanted]
        further = [question for question in everything if question.id not in wanted]
        self._generate(asked)
        passed = len(generated_pool(reader, run.spec, run.request, asked).predictions)
        while further and passed <= run.request.examples:
            batch, further = further[:FURTHER_AT_ONCE], further[FURTHER_AT_ONCE:]
            self._generate(batch)
            asked += batch
            passed += len(generated_pool(reader, run.spec, run.request, batch).predictions)
        pool = generated_pool(reader, run.spec, run.request, asked)
        with self._writer.transaction() as connection:
            for level, text in pool.lines(run.request):
                add_event(connection, run.id, level, text)
        return pool.predictions

    def _generate(self, questions: Sequence[Question]) -> None:
        missing = [
            question for question in questions if stored(self._writer.connection, self._run.spec, question) is None
        ]
        if not missing:
            return
        engine = self._engine()
        ready = len(questions) - len(missing)
        beat(self._writer, self._claim, phase="predicting", phase_done=ready, phase_total=len(questions))
        contexts = []
        for question in missing:
            self._on_step()
            contexts.append(engine.encode_context(question.turns))
        answers = AnswerStore(self._writer, self._claim, self._run, missing, ready)
        try:
            notes = engine.generate(contexts, MAX_NEW_TOKENS, answers.add, self._on_step)
        finally:
            answers.commit()
        if notes:
            with self._writer.transaction() as connection:
                for note in notes:
                    add_event(connection, self._run.id, "warning", note)


class AnswerStore:
    """Stores answers as they come, with the run's progress; quick ones share a commit.

    The first are committed at once: every attempt that answers anything makes progress.
    """

    def __init__(self, writer: Writer, claim: Claim, run: Run, questions: Sequence[Question], ready: int) -> None:
        self._writer = writer
        self._claim = claim
        self._run = run
        self._questions = questions
        self._ready = ready
        self._open: list[tuple[int, Generation]] = []
        self._committed = -math.inf

    def add(self, answers: Sequence[tuple[int, Generation]]) -> None:
        """Raises LostClaimError where somebody else owns the run now."""
        self._open += answers
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        if not self._open:
            return
        with self._writer.transaction() as connection:
            self._ready += len(self._open)
            update_claimed(connection, self._claim, phase_done=self._ready, barren=0)
            for index, answer in self._open:
                digest = context_digest(self._questions[index].turns)
                insert_generation(connection, self._run.spec, digest, answer.text, answer.token_ids, answer.finished)
        self._open = []
        self._committed = time.monotonic()
