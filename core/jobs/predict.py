"""The target model's own answers: imported ones as they are, else generated here and filtered by correctness."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.domain import Prediction, Question, Run
from core.jobs.claim import Claim, beat, update_claimed
from core.scoring.answers import is_correct
from core.scoring.prompts import context_digest
from core.scoring.protocol import Engine
from core.store.catalogue import questions_of
from core.store.db import Writer
from core.store.generations import StoredGeneration, imported_pool, insert_generation, stored_generation
from core.store.runs import add_event

MAX_NEW_TOKENS = 512
BATCH_ON_CPU = 16
BATCH_ON_GPU = 32


@dataclass(slots=True)
class Pool:
    """Predictions that may serve as examples, with how many were dropped and why."""

    predictions: list[Prediction]
    wrong: int = 0
    cut: int = 0
    unchecked: int = 0


class Predictor:
    """Fills the pool of in-context examples of one run, batch by batch, each batch stored in one transaction."""

    def __init__(self, writer: Writer, claim: Claim, run: Run, engine: Callable[[], Engine], beat_every: Callable[[], None]) -> None:
        self._writer = writer
        self._reader = writer.connection
        self._claim = claim
        self._run = run
        self._engine = engine
        self._beat_every = beat_every

    def pool(self) -> Pool:
        """Imported predictions, else generated ones in task order (methods: initial predictions)."""
        imported = imported_pool(self._reader, self._task(), self._run.weights_digest)
        if imported:
            return Pool(imported)
        scored, further = self._questions()
        self._generate(scored)
        pool = self._filtered(scored)
        step = self._batch_size()
        while further and len(pool.predictions) <= self._run.request.examples:
            batch, further = further[:step], further[step:]
            self._generate(batch)
            scored = scored + batch
            pool = self._filtered(scored)
        self._report(pool)
        return pool

    def _task(self) -> int:
        return int(self._reader.execute("SELECT task FROM runs WHERE id = ?", (self._run.id,)).fetchone()[0])

    def _questions(self) -> tuple[list[Question], list[Question]]:
        chosen = {row[0] for row in self._reader.execute("SELECT question FROM run_questions WHERE run = ?", (self._run.id,))}
        everything = list(questions_of(self._reader, self._task()))
        return [q for q in everything if q.id in chosen], [q for q in everything if q.id not in chosen]

    def _batch_size(self) -> int:
        return BATCH_ON_CPU if self._run.device in ("", "cpu") else BATCH_ON_GPU

    def _stored(self, question: Question) -> StoredGeneration | None:
        return stored_generation(self._reader, self._run.spec, context_digest(question.turns))

    def _generate(self, questions: Sequence[Question]) -> None:
        missing = [question for question in questions if self._stored(question) is None]
        if not missing:
            return
        engine, step = self._engine(), self._batch_size()
        total, ready = len(questions), len(questions) - len(missing)
        beat(self._writer, self._claim, phase="predicting", phase_done=ready, phase_total=total)
        for start in range(0, len(missing), step):
            batch = missing[start : start + step]
            answers = engine.generate(
                [engine.encode_context(question.turns) for question in batch], MAX_NEW_TOKENS, self._beat_every
            )
            with self._writer.transaction() as connection:
                ready += len(batch)
                update_claimed(connection, self._claim, phase_done=ready, barren=0)
                for question, answer in zip(batch, answers, strict=True):
                    digest = context_digest(question.turns)
                    insert_generation(connection, self._run.spec, digest, answer.text, answer.token_ids, answer.finished)

    def _filtered(self, questions: Sequence[Question]) -> Pool:
        pool = Pool([])
        for question in sorted(questions, key=lambda question: question.position):
            answer = self._stored(question)
            assert answer is not None
            correct = None
            if self._run.request.answer_filter and question.answer is not None:
                correct = is_correct(answer.text, question.answer) if answer.finished else False
                pool.cut += not answer.finished
                pool.wrong += answer.finished and correct is False
            pool.unchecked += correct is None
            if correct is not False:
                pool.predictions.append(Prediction(answer.text, question.id, answer.finished, correct))
        return pool

    def _report(self, pool: Pool) -> None:
        dropped = f"{pool.wrong} wrong and {pool.cut} cut off dropped" if pool.wrong or pool.cut else "none dropped"
        lines = [("info", f"initial predictions: {len(pool.predictions)} kept, {dropped}")]
        if pool.unchecked and self._run.request.answer_filter:
            lines.append(("info", f"{pool.unchecked} predictions have no gold answer to check against and were kept"))
        if not pool.predictions:
            lines.append(("warning", NO_EXAMPLES))
        with self._writer.transaction() as connection:
            for level, text in lines:
                add_event(connection, self._run.id, level, text)


NO_EXAMPLES = (
    "No answer of the target model passed the correctness filter, so sap is missing."
    " Score again with --no-answer-filter, or import predictions."
)

