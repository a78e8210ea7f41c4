"""The fixed plan of a run: every sample with its context, what exists already, and the chunks of the rest.

A chunk is one context with all its responses that have no score yet: the engine computes it in one go.

The plan is stored with the run. Members and order never change afterwards, which is what makes a resumed run
equal an uninterrupted one bit for bit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from core.domain import ContextKind, RunRequest
from core.errors import SapError
from core.jobs.claim import Claim, update_claimed
from core.jobs.samples import Contexts, QuestionSamples, Scope, samples_of
from core.metrics.registry import contexts_needed
from core.scoring.prompts import context_digest
from core.scoring.protocol import Encoder
from core.store.db import Writer
from core.store.runs import add_event
from core.store.scores import existing_pairs


@dataclass(slots=True)
class PlannedItem:
    """One response behind one context. `tokens` counts the response's; 0 where nothing has to be computed."""

    strategy: int
    question: int
    kind: ContextKind
    context: bytes
    response: bytes
    state: str
    code: str = ""
    detail: str = ""
    tokens: int = 0
    chunk: int | None = None


@dataclass(slots=True)
class Plan:
    """All items of a run in their order and the tokens of each chunk (contexts and responses)."""

    items: list[PlannedItem] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    longest: int = 0

    def count(self, state: str) -> int:
        return sum(item.state == state for item in self.items)


def make_plan(
    reader: sqlite3.Connection,
    spec: int | None,
    request: RunRequest,
    scope: Scope,
    contexts: Contexts,
    encoder: Callable[[], Encoder],
    on_question: Callable[[], None] | None = None,
) -> Plan:
    """Plan a run; the encoder is asked for only when something is left to score. `spec` is None while it has no row."""
    plan = Plan()
    for samples in samples_of(reader, scope):
        for kind in contexts_needed(request.metrics):
            group = _group(reader, spec, contexts, samples, kind)
            plan.items += group
            missing = [item for item in group if item.state == "planned"]
            if missing:
                tokens = len(encoder().encode_context(contexts.turns(samples.question, kind)))
                _measure(missing, encoder(), tokens, samples)
                _place(plan, [item for item in missing if item.state == "planned"], tokens)
        if on_question:
            on_question()
    return plan


def _group(
    reader: sqlite3.Connection, spec: int | None, contexts: Contexts, samples: QuestionSamples, kind: ContextKind
) -> list[PlannedItem]:
    try:
        context = context_digest(contexts.turns(samples.question, kind))
    except SapError as error:
        return [
            PlannedItem(r.strategy, r.question, kind, b"", r.digest, "error", "no_examples", error.message)
            for r in samples.responses
        ]
    digests = [response.digest for response in samples.responses]
    existing = {} if spec is None else existing_pairs(reader, spec, context, digests)
    group = []
    for response in samples.responses:
        item = PlannedItem(response.strategy, response.question, kind, context, response.digest, "planned")
        if not response.text:
            item.state, item.code, item.detail = "error", "empty", "the response is empty"
        elif response.digest in existing:
            item.state = "reused"
        group.append(item)
    return group


def _measure(items: list[PlannedItem], encoder: Encoder, context_tokens: int, samples: QuestionSamples) -> None:
    """Count the tokens; what does not fit the model becomes that sample's error, never a shortened text."""
    texts = {response.strategy: response.text for response in samples.responses}
    for item in items:
        item.tokens = len(encoder.encode_response(texts[item.strategy]))
        total = context_tokens + item.tokens
        if item.tokens == 0:
            item.state, item.code, item.detail = "error", "empty", "the response has no tokens"
        elif total > encoder.max_context_tokens:
            item.state, item.code = "error", "too_long"
            item.detail = f"{total} tokens, the model takes {encoder.max_context_tokens}"


def _place(plan: Plan, items: list[PlannedItem], context_tokens: int) -> None:
    """Make the items of one context a chunk; equal responses are computed once."""
    if not items:
        return
    distinct = {item.response: item.tokens for item in items}
    plan.longest = max(plan.longest, context_tokens + max(distinct.values()))
    for item in items:
        item.chunk = len(plan.chunks)
    plan.chunks.append(context_tokens + sum(distinct.values()))


def store_plan(writer: Writer, claim: Claim, plan: Plan) -> None:
    """Write the plan in one transaction: wholly there, or the next attempt plans again."""
    reused, failed = plan.count("reused"), plan.count("error")
    with writer.transaction() as connection:
        update_claimed(
            connection, claim, planned=1, total=len(plan.items), done=reused + failed, errors=failed, reused=reused,
            tokens_total=sum(plan.chunks), tokens_done=0,
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO run_items (run, number, strategy, question, context_kind, context, response, chunk, tokens,"
            " state, code, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            _rows(claim.run, plan),
        )
        connection.executemany(
            "INSERT INTO chunks (run, number, tokens) VALUES (?, ?, ?)",
            [(claim.run, number, tokens) for number, tokens in enumerate(plan.chunks)],
        )
        left = plan.count("planned")
        text = f"plan: {left} to score in {len(plan.chunks)} chunks, {reused} scored already, {failed} cannot be scored"
        add_event(connection, claim.run, "info", text)


def _rows(run: int, plan: Plan) -> Iterator[tuple[object, ...]]:
    for number, item in enumerate(plan.items):
        yield (
            run, number, item.strategy, item.question, str(item.kind), item.context, item.response, item.chunk,
            item.tokens, item.state, item.code, item.detail,
        )  # fmt: skip
