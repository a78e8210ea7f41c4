"""The open chunks of a planned run: scored one after another, committed in transactions with the run's counters."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.domain import ContextKind, SampleError, TokenScores
from core.jobs.claim import Claim, StopWorkError, update_claimed
from core.run_work.token_ids import PlannedIds
from core.scoring.protocol import Engine, ScoringGroup
from core.store.db import Writer
from core.store.runs import add_event, run_by_id
from core.store.scores import insert_scores
from core.store.speeds import add_speed

COMMIT_SECONDS = 0.5
SMOOTHING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk as planned."""

    number: int
    tokens: int
    is_part: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What the engine found for a planned item."""

    item: sqlite3.Row
    score: TokenScores | SampleError


class ChunkScorer:
    """Scores the open chunks of one claimed run."""

    def __init__(
        self, writer: Writer, claim: Claim, engine: Engine, ids: PlannedIds, stopping: Callable[[], bool]
    ) -> None:
        self._writer = writer
        self._claim = claim
        self._engine = engine
        self._ids = ids
        self._stopping = stopping
        self._run = run_by_id(writer.connection, claim.run)
        if self._run.token_budget:
            engine.limit_tokens(self._run.token_budget)
        self._budget = engine.token_budget

    def score(self, chunks: list[Chunk]) -> None:
        """Chunk after chunk; quick ones share a commit, so that syncing the disk stays a small part of the time.

        The first is committed by itself: every attempt that scores anything makes progress.
        Raises StopWorkError where the user or this process wants it to stop.
        """
        ready: list[Chunk] = []
        results: list[Result] = []
        started = time.monotonic()
        for chunk in chunks:
            ready.append(chunk)
            results += self._score_chunk(chunk)
            seconds = time.monotonic() - started
            if seconds >= COMMIT_SECONDS or chunk in (chunks[0], chunks[-1]) or self._stopping():
                started = time.monotonic()
                want = self._commit(ready, results, seconds)
                if want != "run" or self._stopping():
                    raise StopWorkError(want)
                ready, results = [], []

    def _score_chunk(self, chunk: Chunk) -> list[Result]:
        items = self._writer.connection.execute(
            "SELECT * FROM run_items WHERE run = ? AND chunk = ? AND state = 'planned' ORDER BY number",
            (self._run.id, chunk.number),
        ).fetchall()
        wanted: dict[bytes, dict[bytes, sqlite3.Row]] = {}
        for item in items:
            wanted.setdefault(item["context"], {}).setdefault(item["response"], item)
        scored = self._engine.score([self._group(list(group.values()), chunk.is_part) for group in wanted.values()])
        scores = {
            context: dict(zip(group, found, strict=True))
            for (context, group), found in zip(wanted.items(), scored, strict=True)
        }
        return [Result(item, scores[item["context"]][item["response"]]) for item in items]

    def _group(self, items: list[sqlite3.Row], is_part: bool) -> ScoringGroup:
        kind = ContextKind(items[0]["context_kind"])
        return ScoringGroup(
            context=self._ids.context(items[0]),
            responses=tuple(self._ids.response(item) for item in items),
            detail=kind is ContextKind.PLAIN,
            keep=is_part or kind is ContextKind.ALONE,
        )

    def _commit(self, chunks: list[Chunk], results: list[Result], seconds: float) -> str:
        """Store the chunks with the run's counters in one transaction; returns what the user wants by now."""
        tokens = sum(chunk.tokens for chunk in chunks)
        budget = self._engine.token_budget
        with self._writer.transaction() as connection:
            before = run_by_id(connection, self._run.id)
            want = update_claimed(
                connection,
                self._claim,
                done=before.done + len(results),
                errors=before.errors + sum(isinstance(result.score, SampleError) for result in results),
                tokens_done=before.tokens_done + tokens,
                tokens_per_second=_smoothed(before.tokens_per_second, tokens, seconds),
                token_budget=budget,
                peak_memory=self._engine.peak_memory_bytes(),
                barren=0,
            )
            self._store(connection, chunks, results)
            add_speed(connection, self._run.id, self._engine.memory_bytes())
            if budget < self._budget:
                text = f"memory did not suffice: the token budget is now {budget:,} tokens"
                add_event(connection, self._run.id, "warning", text)
        self._budget = budget
        return want

    def _store(self, connection: sqlite3.Connection, chunks: list[Chunk], results: list[Result]) -> None:
        run, fence = self._run.id, self._claim.fence
        closed = connection.executemany(
            "UPDATE chunks SET fence = ? WHERE run = ? AND number = ? AND fence IS NULL",
            [(fence, run, chunk.number) for chunk in chunks],
        ).rowcount
        assert closed == len(chunks), "a chunk was scored twice"
        insert_scores(
            connection,
            self._run.spec,
            self._engine.tier,
            {
                (result.item["context"], result.item["response"]): result.score
                for result in results
                if isinstance(result.score, TokenScores)
            },
        )
        changed = connection.executemany(
            "UPDATE run_items SET state = ?, code = ?, detail = ?, fence = ?"
            " WHERE run = ? AND number = ? AND state = 'planned'",
            [(*_outcome(result.score), fence, run, result.item["number"]) for result in results],
        ).rowcount
        assert changed == len(results), "a sample was scored twice"


def open_chunks(reader: sqlite3.Connection, run: int) -> dict[int, list[Chunk]]:
    """The run's chunks without results in their order, by stage."""
    rows = reader.execute(
        "SELECT number, tokens, is_part, stage FROM chunks WHERE run = ? AND fence IS NULL ORDER BY number", (run,)
    )
    stages: dict[int, list[Chunk]] = {}
    for row in rows:
        stages.setdefault(row[3], []).append(Chunk(row[0], row[1], bool(row[2])))
    return stages


def _outcome(score: TokenScores | SampleError) -> tuple[str, str, str]:
    return ("error", score.code, score.text) if isinstance(score, SampleError) else ("ok", "", "")


def _smoothed(before: float, tokens: int, seconds: float) -> float:
    """Tokens per second, in which what the last five seconds gave has most of the weight."""
    now = tokens / max(seconds, 1e-6)
    weight = 1 - math.exp(-seconds / SMOOTHING_SECONDS)
    return now if before <= 0 else before + weight * (now - before)
