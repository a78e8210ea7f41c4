"""The open chunks of a planned run: scored one after another, committed in transactions with the run's counters."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from core.domain import ContextKind, SampleError, TokenScores
from core.jobs.blame import TRIES
from core.jobs.claim import Claim, StopWorkError, update_claimed
from core.run_work.steps import at_once
from core.run_work.texts import without_token_ends
from core.run_work.token_ids import PlannedIds
from core.scoring.protocol import TOO_LARGE, Engine, ScoringGroup
from core.store.db import Writer
from core.store.runs import add_event, run_by_id
from core.store.scores import in_smaller_pass, insert_scores
from core.store.speeds import add_speed
from core.store.token_ends import insert_token_ends

COMMIT_SECONDS = 0.5
SMOOTHING_SECONDS = 5.0
# No commit holds more chunks than a new attempt commits one by one at first: if one of them ended the process, it is
# found out which.
MOST_CHUNKS_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk as planned; `tries` counts the deaths of a process while it was being scored."""

    number: int
    tokens: int
    is_part: bool
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What the engine found for a planned item; `is_smaller` where it shared its pass with fewer than planned."""

    item: sqlite3.Row
    score: TokenScores | SampleError
    is_smaller: bool = False


class ChunkScorer:
    """Scores the open chunks of one claimed run. `patiently` repeats a write until the disk has space for it."""

    def __init__(
        self,
        writer: Writer,
        claim: Claim,
        engine: Engine,
        ids: PlannedIds,
        stopping: Callable[[], bool],
        patiently: Callable[[Callable[[], None]], None] = at_once,
    ) -> None:
        self._writer = writer
        self._claim = claim
        self._engine = engine
        self._ids = ids
        self._stopping = stopping
        self._patiently = patiently
        self._run = run_by_id(writer.connection, claim.run)
        if self._run.token_budget:
            engine.limit_tokens(self._run.token_budget)
        self._budget = engine.token_budget
        self._alone_at_first = MOST_CHUNKS_TOGETHER if self._run.attempt > 1 else 1
        self._want = "run"

    def score(self, chunks: list[Chunk]) -> None:
        """Chunk after chunk; quick ones share a commit, so that syncing the disk stays a small part of the time.

        The first is committed by itself: every attempt that scores anything makes progress.
        Raises StopWorkError where the user or this process wants it to stop.
        """
        ready: list[Chunk] = []
        results: list[Result] = []
        started = time.monotonic()
        for chunk in chunks:
            if chunk.tries >= TRIES:
                self._commit(ready, results, started)
                self._score_alone(chunk)
                ready, results, started = [], [], time.monotonic()
                continue
            ready.append(chunk)
            results += self._score_chunk(chunk)
            if self._is_due(ready, started) or chunk is chunks[-1]:
                self._commit(ready, results, started)
                ready, results, started = [], [], time.monotonic()

    def _is_due(self, ready: list[Chunk], started: float) -> bool:
        is_full = len(ready) >= MOST_CHUNKS_TOGETHER or time.monotonic() - started >= COMMIT_SECONDS
        return is_full or self._alone_at_first > 0 or self._stopping()

    def _score_chunk(self, chunk: Chunk) -> list[Result]:
        items = self._open_items(chunk)
        wanted: dict[bytes, dict[bytes, sqlite3.Row]] = {}
        for item in items:
            wanted.setdefault(item["context"], {}).setdefault(item["response"], item)
        groups = [self._group(list(group.values()), chunk.is_part) for group in wanted.values()]
        scored = self._engine.score(groups)
        is_smaller = self._was_divided(groups) or any(map(_is_too_large, chain(*scored)))
        scores = {
            context: dict(zip(group, found, strict=True))
            for (context, group), found in zip(wanted.items(), scored, strict=True)
        }
        return [Result(item, scores[item["context"]][item["response"]], is_smaller) for item in items]

    def _was_divided(self, groups: Sequence[ScoringGroup]) -> bool:
        """Whether the engine took more than one forward pass for a chunk that was planned as one."""
        contexts = sum(len(group.context) for group in groups if not group.keep)
        lengths = [len(response) for group in groups for response in group.responses]
        return len(lengths) > 1 and contexts + sum(lengths) > self._engine.token_budget

    def _score_alone(self, chunk: Chunk) -> None:
        """Sample by sample, each committed before the next one: whichever ends the process is known then."""
        pairs: dict[tuple[bytes, bytes], list[sqlite3.Row]] = {}
        for item in self._open_items(chunk):
            pairs.setdefault((item["context"], item["response"]), []).append(item)
        for place, items in enumerate(pairs.values(), start=1):
            started = time.monotonic()
            [[score]] = self._engine.score([self._group(items[:1], is_part=True)])
            results = [Result(item, score, is_smaller=True) for item in items]
            self._commit([chunk] if place == len(pairs) else [], results, started)

    def _open_items(self, chunk: Chunk) -> list[sqlite3.Row]:
        return self._writer.connection.execute(
            "SELECT * FROM run_items WHERE run = ? AND chunk = ? AND state = 'planned' ORDER BY number",
            (self._run.id, chunk.number),
        ).fetchall()

    def _group(self, items: list[sqlite3.Row], is_part: bool) -> ScoringGroup:
        kind = ContextKind(items[0]["context_kind"])
        return ScoringGroup(
            context=self._ids.context(items[0]),
            responses=tuple(self._ids.response(item) for item in items),
            detail=kind is ContextKind.PLAIN,
            keep=is_part or kind is ContextKind.ALONE,
        )

    def _commit(self, chunks: list[Chunk], results: list[Result], started: float) -> None:
        """Keep the results in memory until they are stored. Raises as `score`."""
        if not results:
            return
        ends = self._token_ends(results)
        seconds = time.monotonic() - started
        self._patiently(lambda: self._store_all(chunks, results, ends, seconds))
        self._budget = self._engine.token_budget
        self._alone_at_first -= 1
        if self._want != "run" or self._stopping():
            raise StopWorkError(self._want)

    def _token_ends(self, results: list[Result]) -> dict[bytes, tuple[int, ...]]:
        """By response, of those that nobody has looked at before."""
        scored = (result.item for result in results if isinstance(result.score, TokenScores))
        missing = without_token_ends(self._writer.connection, self._run.spec, scored)
        texts = {item["response"]: self._ids.text(item) for item in missing}
        return {response: self._engine.token_ends(text) for response, text in texts.items() if text is not None}

    def _store_all(
        self, chunks: list[Chunk], results: list[Result], ends: dict[bytes, tuple[int, ...]], seconds: float
    ) -> None:
        """Store the results with the run's counters in one transaction, which also reads what the user wants by now."""
        tokens = sum(chunk.tokens for chunk in chunks)
        budget = self._engine.token_budget
        with self._writer.transaction() as connection:
            before = run_by_id(connection, self._run.id)
            speed = before.tokens_per_second
            self._want = update_claimed(
                connection,
                self._claim,
                done=before.done + len(results),
                errors=before.errors + sum(isinstance(result.score, SampleError) for result in results),
                tokens_done=before.tokens_done + tokens,
                tokens_per_second=_smoothed(speed, tokens, seconds) if chunks else speed,
                token_budget=budget,
                peak_memory=self._engine.peak_memory_bytes(),
                barren=0,
                why="",
            )
            self._store(connection, chunks, results)
            insert_token_ends(connection, self._run.spec, ends)
            add_speed(connection, self._run.id, self._engine.memory_bytes())
            if budget < self._budget:
                text = f"memory did not suffice: the token budget is now {budget:,} tokens"
                add_event(connection, self._run.id, "warning", text)

    def _store(self, connection: sqlite3.Connection, chunks: list[Chunk], results: list[Result]) -> None:
        run, fence = self._run.id, self._claim.fence
        for is_smaller in (False, True):
            scores = {
                (result.item["context"], result.item["response"]): result.score
                for result in results
                if result.is_smaller is is_smaller and isinstance(result.score, TokenScores)
            }
            tier = self._engine.tier
            insert_scores(connection, self._run.spec, in_smaller_pass(tier) if is_smaller else tier, scores)
        changed = connection.executemany(
            "UPDATE run_items SET state = ?, code = ?, detail = ?, fence = ?"
            " WHERE run = ? AND number = ? AND state = 'planned'",
            [(*_outcome(result.score), fence, run, result.item["number"]) for result in results],
        ).rowcount
        assert changed == len(results), "a sample was scored twice"
        if chunks:
            closed = connection.executemany(
                "UPDATE chunks SET fence = ? WHERE run = ? AND number = ? AND fence IS NULL",
                [(fence, run, chunk.number) for chunk in chunks],
            ).rowcount
            assert closed == len(chunks), "a chunk was scored twice"


def open_chunks(reader: sqlite3.Connection, run: int) -> dict[int, list[Chunk]]:
    """The run's chunks without results in their order, by stage."""
    rows = reader.execute(
        "SELECT number, tokens, is_part, tries, stage FROM chunks WHERE run = ? AND fence IS NULL ORDER BY number",
        (run,),
    )
    stages: dict[int, list[Chunk]] = {}
    for row in rows:
        stages.setdefault(row["stage"], []).append(Chunk(row[0], row[1], bool(row[2]), row[3]))
    return stages


def _is_too_large(score: TokenScores | SampleError) -> bool:
    return isinstance(score, SampleError) and score.code == TOO_LARGE


def _outcome(score: TokenScores | SampleError) -> tuple[str, str, str]:
    return ("error", score.code, score.text) if isinstance(score, SampleError) else ("ok", "", "")


def _smoothed(before: float, tokens: int, seconds: float) -> float:
    """Tokens per second, in which what the last five seconds gave has most of the weight."""
    now = tokens / max(seconds, 1e-6)
    weight = 1 - math.exp(-seconds / SMOOTHING_SECONDS)
    return now if before <= 0 else before + weight * (now - before)
