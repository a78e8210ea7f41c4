"""Initial predictions: the target model answers the questions, batch by batch, each batch stored in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.domain import Prediction, Question, Run
from core.jobs.claim import Claim, beat, update_claimed
from core.jobs.pool import generated_pool, stored
from core.jobs.samples import Scope
from core.scoring.prompts import context_digest
from core.scoring.protocol import Engine
from core.store.catalogue import questions_of, task_by_name
from core.store.db import Writer
from core.store.generations import imported_pool, insert_generation
from core.store.runs import add_event

MAX_NEW_TOKENS = 512
BATCH_ON_CPU = 16
BATCH_ON_GPU = 32


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
        step = _batch_size(run)
        while further and passed <= run.request.examples:
            batch, further = further[:step], further[step:]
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
        engine, step = self._engine(), _batch_size(self._run)
        ready = len(questions) - len(missing)
        beat(self._writer, self._claim, phase="predicting", phase_done=ready, phase_total=len(questions))
        for start in range(0, len(missing), step):
            batch = missing[start : start + step]
            contexts = [engine.encode_context(question.turns) for question in batch]
            answers = engine.generate(contexts, MAX_NEW_TOKENS, self._on_step)
            ready += len(batch)
            with self._writer.transaction() as connection:
                update_claimed(connection, self._claim, phase_done=ready, barren=0)
                for question, answer in zip(batch, answers, strict=True):
                    digest = context_digest(question.turns)
                    insert_generation(
                        connection, self._run.spec, digest, answer.text, answer.token_ids, answer.finished
                    )


def _batch_size(run: Run) -> int:
    return BATCH_ON_CPU if run.request.device == "cpu" else BATCH_ON_GPU
