"""The work on one claimed run: predictions, plan, scores."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.domain import ContextKind, Prediction, Run
from core.errors import RunError
from core.jobs.claim import Claim, StopWorkError, beat, finish, update_claimed
from core.metrics.base import Input
from core.metrics.registry import contexts_needed, inputs_needed
from core.models import check_unchanged
from core.run_work.loading import load_encoder
from core.run_work.plan_run import make_plan, store_plan
from core.run_work.pool import NO_EXAMPLES
from core.run_work.predict import Predictor, own_answers
from core.run_work.probe import check_probe
from core.run_work.rewards import store_rewards
from core.run_work.samples import Contexts, scope_of
from core.run_work.score_run import ChunkScorer, open_chunks
from core.run_work.stages import look
from core.run_work.steps import RunWork, at_once
from core.run_work.texts import check_answers, store_token_ends
from core.run_work.token_ids import PlannedIds, TokenIds
from core.run_work.usefulness import most_useful_first
from core.run_work.votes import sample_votes
from core.scoring.protocol import Encoder, Engine
from core.stats.look_sizes import look_sizes
from core.store.catalogue import question, task_by_name
from core.store.db import Writer
from core.store.runs import add_event, run_by_id, spec_by_id
from core.store.scores import engine_notes

BEAT_SECONDS = 2.0


class Worker:
    """Works on one claimed run until it is done, the user wants something else, or the claim is lost."""

    def __init__(
        self,
        writer: Writer,
        claim: Claim,
        load: Callable[[Run, Callable[[str], None]], Engine],
        stopping: Callable[[], bool],
        *,
        is_warm: bool = False,
        patiently: Callable[[Callable[[], None]], None] = at_once,
    ) -> None:
        self._writer = writer
        self._claim = claim
        self._load = load
        self._stopping = stopping
        self._is_warm = is_warm
        self._patiently = patiently
        self._scorer: ChunkScorer | None = None
        self._engine: Engine | None = None
        self._tokenizer: Encoder | None = None
        self._last_beat = 0.0
        self._run = run_by_id(writer.connection, claim.run)
        self._scope = scope_of(writer.connection, claim.run, self._run.request)
        self._ids = TokenIds(self._loaded)
        self._steps = RunWork(writer, claim, self._run, self._loaded, self._beat_now_and_then, patiently)
        # By its number: the task may be renamed while it is being scored.
        self._task = task_by_name(writer.connection, self._run.task).id
        self._own_answer = own_answers(writer.connection, self._run.spec, self._task, self._run.weights_digest)

    def work(self) -> None:
        """Raises RunError when the run cannot succeed, StopWorkError and LostClaimError as their names say.

        The reward model works before the target model is loaded, since both may not fit side by side.
        """
        needed = inputs_needed(self._run.request.metrics)
        store_rewards(self._steps, self._scope)
        if Input.TARGET_VOTE in needed:
            questions = [question(self._writer.connection, number) for number in self._scope.questions]
            sample_votes(self._steps, questions)
        contexts = self._contexts(needed)
        if not self._is_planned():
            check_answers(self._steps, self._scope)
            self._plan(contexts)
        ids = PlannedIds(self._writer.connection, contexts, self._ids, self._own_answer)
        store_token_ends(self._steps, ids, self._encoder)
        self._score(ids)
        self._refuse_empty_result()
        finish(self._writer, self._claim, engine_notes(self._writer.connection, self._run.id))

    def _contexts(self, needed: frozenset[Input]) -> Contexts:
        request = self._run.request
        predictor = Predictor(self._steps, self._task)
        pool: list[Prediction] = []
        if ContextKind.SELF_ALIGNED in contexts_needed(request.metrics):
            pool = predictor.pool(self._scope)
            if request.example_choice == "usefulness":
                pool = most_useful_first(self._steps, pool)
        if Input.OWN_NLL in needed:
            predictor.answer_all(self._scope)
        return Contexts(request, pool)

    def _encoder(self) -> Encoder:
        """The loaded model's, else only its tokenizer."""
        if self._engine is not None:
            return self._engine
        self._tokenizer = self._tokenizer or load_encoder(self._run.request)
        return self._tokenizer

    def _loaded(self) -> Engine:
        if self._engine is None:
            if not self._is_warm:
                beat(self._writer, self._claim, phase="loading", phase_done=0, phase_total=0)
                request, spec = self._run.request, spec_by_id(self._writer.connection, self._run.spec)
                check_unchanged(request, spec)
            self._engine = self._load(self._run, lambda _: self._beat_now_and_then())
            with self._writer.transaction() as connection:
                update_claimed(connection, self._claim, device=self._engine.device, engine=self._engine.tier)
                if not self._is_warm:
                    check_probe(connection, self._run.spec, spec_by_id(connection, self._run.spec), self._engine)
                versions = ", ".join(f"{name} {version}" for name, version in self._engine.versions.items())
                loaded = "was still loaded" if self._is_warm else "loaded"
                text = f"model {loaded} on {self._engine.device}, engine: {self._engine.tier}; {versions}"
                add_event(connection, self._run.id, "info", text)
                for note in self._engine.notes:
                    add_event(connection, self._run.id, "warning", note)
        return self._engine

    def _beat_now_and_then(self) -> None:
        if self._stopping():
            raise StopWorkError("stop")
        if time.monotonic() - self._last_beat >= BEAT_SECONDS:
            self._last_beat = time.monotonic()
            beat(self._writer, self._claim)

    def _is_planned(self) -> bool:
        row = self._writer.connection.execute("SELECT planned FROM runs WHERE id = ?", (self._claim.run,)).fetchone()
        return bool(row[0])

    def _plan(self, contexts: Contexts) -> None:
        beat(self._writer, self._claim, phase="planning", phase_done=0, phase_total=0)
        plan = make_plan(
            self._writer.connection,
            self._run.spec,
            self._run.request,
            self._scope,
            contexts,
            self._ids,
            self._own_answer,
            self._beat_now_and_then,
        )
        store_plan(self._writer, self._claim, plan, self._loaded().token_budget if plan.groups else 0)

    def _score(self, ids: PlannedIds) -> None:
        for stage in self._stages():
            chunks = open_chunks(self._writer.connection, self._run.id).get(stage)
            if chunks:
                scorer = self._scorer = self._scorer or self._chunk_scorer(ids)
                beat(self._writer, self._claim, phase="scoring")
                scorer.score(chunks)
            if self._run.request.until_decided and look(self._writer, self._claim, self._run):
                return

    def _chunk_scorer(self, ids: PlannedIds) -> ChunkScorer:
        return ChunkScorer(self._writer, self._claim, self._loaded(), ids, self._stopping, self._patiently)

    def _stages(self) -> range:
        """One, or as many as there are looks at a run that ends when it is decided."""
        if not self._run.request.until_decided:
            return range(1)
        return range(len(look_sizes(len(self._scope.questions))))

    def _refuse_empty_result(self) -> None:
        rows = self._writer.connection.execute(
            "SELECT code, count(*) FROM run_items WHERE run = ? GROUP BY state IN ('ok', 'reused'), code",
            (self._run.id,),
        ).fetchall()
        if any(row[0] == "" for row in rows):
            return
        reasons = ", ".join(f"{row[1]} {row[0].replace('_', ' ')}" for row in rows)
        hint = NO_EXAMPLES if any(row[0] == "no_examples" for row in rows) else ""
        raise RunError(f"No response could be scored ({reasons}).", hint)
