"""The work on one claimed run: predictions, plan, scores."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.domain import ContextKind, Prediction, Run
from core.errors import RunError
from core.jobs.claim import Claim, StopWorkError, beat, finish, update_claimed
from core.jobs.plan_run import make_plan, store_plan
from core.jobs.pool import NO_EXAMPLES
from core.jobs.predict import Predictor
from core.jobs.samples import Contexts, scope_of
from core.jobs.score_run import ChunkScorer, open_chunks
from core.jobs.token_ids import PlannedIds, TokenIds
from core.metrics.registry import contexts_needed
from core.scoring.protocol import Engine
from core.store.db import Writer
from core.store.runs import add_event, run_by_id
from core.store.scores import redone_notes

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
    ) -> None:
        self._writer = writer
        self._claim = claim
        self._load = load
        self._stopping = stopping
        self._is_warm = is_warm
        self._engine: Engine | None = None
        self._last_beat = 0.0
        self._run = run_by_id(writer.connection, claim.run)
        self._scope = scope_of(writer.connection, claim.run)
        self._ids = TokenIds(self._loaded)

    def work(self) -> None:
        """Raises RunError when the run cannot succeed, StopWorkError and LostClaimError as their names say."""
        contexts = self._contexts()
        if not self._is_planned():
            self._plan(contexts)
        self._score(contexts)
        self._refuse_empty_result()
        finish(self._writer, self._claim, redone_notes(self._writer.connection, self._run.id))

    def _contexts(self) -> Contexts:
        pool: list[Prediction] = []
        if ContextKind.SELF_ALIGNED in contexts_needed(self._run.request.metrics):
            predictor = Predictor(self._writer, self._claim, self._run, self._loaded, self._beat_now_and_then)
            pool = predictor.pool(self._scope)
        return Contexts(self._run.request, pool)

    def _loaded(self) -> Engine:
        if self._engine is None:
            if not self._is_warm:
                beat(self._writer, self._claim, phase="loading")
            self._engine = self._load(self._run, lambda _: self._beat_now_and_then())
            with self._writer.transaction() as connection:
                update_claimed(connection, self._claim, device=self._engine.device, engine=self._engine.tier)
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
            self._beat_now_and_then,
        )
        store_plan(self._writer, self._claim, plan, self._loaded().token_budget if plan.groups else 0)

    def _score(self, contexts: Contexts) -> None:
        chunks = open_chunks(self._writer.connection, self._run.id)
        if chunks:
            engine = self._loaded()
            beat(self._writer, self._claim, phase="scoring")
            ids = PlannedIds(self._writer.connection, self._scope, contexts, self._ids)
            ChunkScorer(self._writer, self._claim, engine, ids, self._stopping).score(chunks)

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
