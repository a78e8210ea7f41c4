"""The work on one claimed run: predictions, plan, then chunk after chunk, each committed in one transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.domain import ContextKind, Prediction, Run, SampleError, TokenScores
from core.errors import RunError
from core.jobs.claim import Claim, StopWorkError, beat, finish, update_claimed
from core.jobs.plan_run import make_plan, store_plan
from core.jobs.pool import NO_EXAMPLES
from core.jobs.predict import Predictor
from core.jobs.samples import Contexts, question_samples, scope_of
from core.metrics.registry import contexts_needed
from core.scoring.prompts import context_digest
from core.scoring.protocol import Engine, ScoringGroup
from core.store.db import Writer
from core.store.runs import add_event, run_by_id
from core.store.scores import insert_score

BEAT_SECONDS = 2.0
COMMIT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ScoredChunk:
    """A chunk's items with their results."""

    number: int
    results: list[tuple[sqlite3.Row, TokenScores | SampleError]]


class Worker:
    """Works on one claimed run until it is done, the user wants something else, or the claim is lost."""

    def __init__(
        self,
        writer: Writer,
        claim: Claim,
        load: Callable[[Run, Callable[[str], None]], Engine],
        stopping: Callable[[], bool],
    ) -> None:
        self._writer = writer
        self._claim = claim
        self._load = load
        self._stopping = stopping
        self._engine: Engine | None = None
        self._last_beat = 0.0
        self._run = run_by_id(writer.connection, claim.run)
        self._scope = scope_of(writer.connection, claim.run)

    def work(self) -> None:
        """Raises RunError when the run cannot succeed, StopWorkError and LostClaimError as their names say."""
        contexts = self._contexts()
        if not self._is_planned():
            self._plan(contexts)
        self._score(contexts)
        self._refuse_empty_result()
        finish(self._writer, self._claim)

    def _contexts(self) -> Contexts:
        pool: list[Prediction] = []
        if ContextKind.SELF_ALIGNED in contexts_needed(self._run.request.metrics):
            predictor = Predictor(self._writer, self._claim, self._run, self._loaded, self._beat_now_and_then)
            pool = predictor.pool(self._scope)
        return Contexts(self._run.request, pool)

    def _loaded(self) -> Engine:
        if self._engine is None:
            beat(self._writer, self._claim, phase="loading")
            self._engine = self._load(self._run, lambda _: self._beat_now_and_then())
            with self._writer.transaction() as connection:
                update_claimed(connection, self._claim, device=self._engine.device, engine=self._engine.tier)
                versions = ", ".join(f"{name} {version}" for name, version in self._engine.versions.items())
                text = f"model loaded on {self._engine.device}, engine: {self._engine.tier}; {versions}"
                add_event(connection, self._run.id, "info", text)
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
            self._loaded,
            self._beat_now_and_then,
        )
        store_plan(self._writer, self._claim, plan)

    def _open_chunks(self) -> list[int]:
        rows = self._writer.connection.execute(
            "SELECT number FROM chunks WHERE run = ? AND fence IS NULL ORDER BY number", (self._claim.run,)
        )
        return [row[0] for row in rows]

    def _score(self, contexts: Contexts) -> None:
        """Chunk after chunk; quick ones share a commit, so that syncing the disk stays a small part of the time.

        The first is committed by itself: every attempt that scores anything makes progress.
        """
        chunks = self._open_chunks()
        if not chunks:
            return
        engine = self._loaded()
        beat(self._writer, self._claim, phase="scoring")
        ready: list[ScoredChunk] = []
        started = time.monotonic()
        for chunk in chunks:
            ready.append(ScoredChunk(chunk, self._score_chunk(engine, chunk, contexts)))
            seconds = time.monotonic() - started
            if seconds >= COMMIT_SECONDS or chunk in (chunks[0], chunks[-1]) or self._stopping():
                want = self._commit(ready, engine, seconds)
                if want != "run" or self._stopping():
                    raise StopWorkError(want)
                ready, started = [], time.monotonic()

    def _score_chunk(
        self, engine: Engine, chunk: int, contexts: Contexts
    ) -> list[tuple[sqlite3.Row, TokenScores | SampleError]]:
        items = self._writer.connection.execute(
            "SELECT * FROM run_items WHERE run = ? AND chunk = ? AND state = 'planned' ORDER BY number",
            (self._run.id, chunk),
        ).fetchall()
        return self._score_group(engine, items, contexts)

    def _score_group(
        self, engine: Engine, items: list[sqlite3.Row], contexts: Contexts
    ) -> list[tuple[sqlite3.Row, TokenScores | SampleError]]:
        samples = question_samples(self._writer.connection, self._scope, items[0]["question"])
        kind = ContextKind(items[0]["context_kind"])
        turns = contexts.turns(samples.question, kind)
        texts = {response.digest: response.text for response in samples.responses}
        wanted = list(dict.fromkeys(item["response"] for item in items))
        if context_digest(turns) != items[0]["context"] or any(digest not in texts for digest in wanted):
            raise RunError("Responses or predictions changed since this run was planned.", "Start a new run.")
        group = ScoringGroup(
            context=engine.encode_context(turns),
            responses=tuple(engine.encode_response(texts[digest]) for digest in wanted),
            detail=kind is ContextKind.PLAIN,
        )
        scored = dict(zip(wanted, engine.score([group])[0], strict=True))
        return [(item, scored[item["response"]]) for item in items]

    def _commit(self, chunks: list[ScoredChunk], engine: Engine, seconds: float) -> str:
        """Store the chunks with the run's counters in one transaction; returns what the user wants by now."""
        results = [result for chunk in chunks for result in chunk.results]
        failed = sum(isinstance(result, SampleError) for _, result in results)
        with self._writer.transaction() as connection:
            tokens = sum(self._close_chunk(connection, chunk.number) for chunk in chunks)
            for item, result in results:
                self._store(connection, item, result, engine)
            counters = connection.execute(
                "SELECT done, errors, tokens_done, tokens_per_second FROM runs WHERE id = ?", (self._run.id,)
            ).fetchone()
            return update_claimed(
                connection,
                self._claim,
                done=counters["done"] + len(results),
                errors=counters["errors"] + failed,
                tokens_done=counters["tokens_done"] + tokens,
                tokens_per_second=_smoothed(counters["tokens_per_second"], tokens / max(seconds, 1e-6)),
                peak_memory=engine.peak_memory_bytes(),
                barren=0,
            )

    def _close_chunk(self, connection: sqlite3.Connection, number: int) -> int:
        """Mark a chunk as scored; returns its tokens."""
        row = connection.execute(
            "UPDATE chunks SET fence = ? WHERE run = ? AND number = ? AND fence IS NULL RETURNING tokens",
            (self._claim.fence, self._run.id, number),
        ).fetchone()
        assert row is not None, "a chunk was scored twice"
        return int(row[0])

    def _store(
        self, connection: sqlite3.Connection, item: sqlite3.Row, result: TokenScores | SampleError, engine: Engine
    ) -> None:
        state, code, detail = "ok", "", ""
        if isinstance(result, SampleError):
            state, code, detail = "error", result.code, result.text
        else:
            insert_score(connection, self._run.spec, item["context"], item["response"], result, engine.tier)
        changed = connection.execute(
            "UPDATE run_items SET state = ?, code = ?, detail = ?, fence = ?"
            " WHERE run = ? AND number = ? AND state = 'planned'",
            (state, code, detail, self._claim.fence, self._run.id, item["number"]),
        ).rowcount
        assert changed == 1, "a sample was scored twice"

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


def _smoothed(before: float, now: float) -> float:
    return now if before <= 0 else 0.7 * before + 0.3 * now
