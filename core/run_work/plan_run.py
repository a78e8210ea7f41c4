"""The fixed plan of a run: every sample with its context, what exists already, and the chunks of the rest.

A chunk is what the engine computes in one go: contexts with their responses that have no score yet, in task order, up
to the engine's token budget.

The plan is stored with the run. Members and order never change afterwards, which is what makes a resumed run
equal an uninterrupted one bit for bit.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from core.domain import ContextKind, Question, Response, RunRequest
from core.errors import SapError
from core.jobs.claim import Claim, update_claimed
from core.metrics.base import Input
from core.metrics.registry import contexts_needed, inputs_needed
from core.run_work.samples import TARGET_ITSELF, Contexts, OwnAnswer, QuestionSamples, Scope, samples_of, valid_samples
from core.run_work.token_ids import TokenIds
from core.scoring.plan import GroupSize, pack
from core.scoring.prompts import context_digest
from core.stats.look_sizes import look_sizes
from core.store.db import Writer
from core.store.runs import add_event, run_by_id
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
class PlannedGroup:
    """What is left to compute behind one context: the items that share each response, and the tokens of it all."""

    items: list[list[PlannedItem]]
    size: GroupSize
    stage: int


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """Tokens to compute; `is_part` where it is a piece of one group that is larger than the token budget."""

    tokens: int
    is_part: bool
    stage: int


@dataclass(slots=True)
class Plan:
    """All items of a run in their order and the groups to compute. `longest` counts a context with its response.

    `with_control_tokens` are the strategies and questions of samples to score whose texts hold a control token.
    """

    items: list[PlannedItem] = field(default_factory=list)
    groups: list[PlannedGroup] = field(default_factory=list)
    longest: int = 0
    with_control_tokens: set[tuple[int, int]] = field(default_factory=set)

    @property
    def tokens(self) -> int:
        """Tokens to compute, whatever the token budget."""
        return sum(group.size.tokens for group in self.groups)

    def count(self, state: str) -> int:
        return sum(item.state == state for item in self.items)

    def divide(self, budget: int) -> list[PlannedChunk]:
        """Put the groups into chunks of at most `budget` tokens and tell every item its chunk."""
        chunks: list[PlannedChunk] = []
        for stage, groups in groupby(self.groups, key=lambda group: group.stage):
            chunks += self._divide_stage(stage, list(groups), budget, len(chunks))
        return chunks

    def _divide_stage(
        self, stage: int, groups: Sequence[PlannedGroup], budget: int, first: int
    ) -> Iterator[PlannedChunk]:
        for number, row in enumerate(pack([group.size for group in groups], budget), start=first):
            for part in row:
                for place in part.responses:
                    for item in groups[part.group].items[place]:
                        item.chunk = number
            yield PlannedChunk(sum(part.tokens for part in row), not row[0].is_whole, stage)


class Planner:
    """Plans the questions of a run one after another. `spec` is None while it has no row.

    `stage` numbers the questions between two looks of a run that ends when it is decided: no chunk reaches over a look.
    """

    def __init__(
        self, reader: sqlite3.Connection, spec: int | None, request: RunRequest, contexts: Contexts, ids: TokenIds
    ) -> None:
        self.stage = 0
        self._reader = reader
        self._spec = spec
        self._kinds = contexts_needed(request.metrics)
        self._contexts = contexts
        self._ids = ids
        self._computed: dict[tuple[bytes, bytes], list[PlannedItem]] = {}
        self._alone_counted = False
        self.plan = Plan()

    def add(self, samples: QuestionSamples, own_answer: str | None = None) -> None:
        """Plan every context of a question, the plain one with the target model's own answer where one is given.

        Raises RunError where the chat template refuses the question.
        """
        for kind in self._kinds:
            self._add_kind(samples, kind, own_answer if kind is ContextKind.PLAIN else None)

    def add_valid(self, samples: QuestionSamples) -> None:
        """Plan a trusted pair."""
        self._add_kind(samples, ContextKind.PLAIN)

    def _add_kind(self, samples: QuestionSamples, kind: ContextKind, own_answer: str | None = None) -> None:
        responses = samples.responses
        if own_answer is not None:
            responses = (*responses, Response(0, TARGET_ITSELF, samples.question.id, own_answer))
        try:
            contexts = self._contexts.of(samples.question, kind)
        except SapError as error:
            self._fail(responses, kind, error.message)
            return
        for turns in contexts:
            context = context_digest(turns)
            missing = self._add_items(responses, kind, context)
            if missing:
                self._note_control_tokens(samples.question, missing)
                self._place(missing, len(self._ids.context(context, turns)))

    def _note_control_tokens(self, question: Question, missing: list[tuple[PlannedItem, str]]) -> None:
        asked = self._ids.holds_control_token(turn.content for turn in question.turns)
        self.plan.with_control_tokens |= {
            (item.strategy, item.question) for item, text in missing if asked or self._ids.holds_control_token([text])
        }

    def _fail(self, responses: Sequence[Response], kind: ContextKind, why: str) -> None:
        self.plan.items += (
            PlannedItem(each.strategy, each.question, kind, b"", each.digest, "error", "no_examples", why)
            for each in responses
        )

    def _add_items(
        self, responses: Sequence[Response], kind: ContextKind, context: bytes
    ) -> list[tuple[PlannedItem, str]]:
        """Add an item for every response; returns those without a score, each with its text."""
        digests = [response.digest for response in responses]
        existing = {} if self._spec is None else existing_pairs(self._reader, self._spec, context, digests)
        missing = []
        for response, digest in zip(responses, digests, strict=True):
            item = PlannedItem(response.strategy, response.question, kind, context, digest, "planned")
            if not response.text:
                item.state, item.code, item.detail = "error", "empty", "the response is empty"
            elif digest in existing:
                item.state = "reused"
            else:
                missing.append((item, response.text))
            self.plan.items.append(item)
        return missing

    def _place(self, missing: list[tuple[PlannedItem, str]], context_tokens: int) -> None:
        """Make the items of one context a group; equal responses behind equal contexts are computed once."""
        new: list[list[PlannedItem]] = []
        for item, text in missing:
            if self._fits(item, text, context_tokens):
                sharing = self._computed.setdefault((item.context, item.response), [])
                if not sharing:
                    new.append(sharing)
                sharing.append(item)
        if not new:
            return
        responses = tuple(sharing[0].tokens for sharing in new)
        self.plan.longest = max(self.plan.longest, context_tokens + max(responses))
        if new[0][0].kind is ContextKind.ALONE:
            context_tokens = 0 if self._alone_counted else context_tokens
            self._alone_counted = True
        self.plan.groups.append(PlannedGroup(new, GroupSize(context_tokens, responses), self.stage))

    def _fits(self, item: PlannedItem, text: str, context_tokens: int) -> bool:
        """Count the tokens; what does not fit the model becomes that sample's error, never a shortened text."""
        item.tokens = len(self._ids.response(item.response, text))
        total, limit = context_tokens + item.tokens, self._ids.max_context_tokens
        if item.tokens == 0:
            item.state, item.code, item.detail = "error", "empty", "the response has no tokens"
        elif total > limit:
            item.state, item.code, item.detail = "error", "too_long", f"{total} tokens, the model takes {limit}"
        return item.state == "planned"


def make_plan(
    reader: sqlite3.Connection,
    spec: int | None,
    request: RunRequest,
    scope: Scope,
    contexts: Contexts,
    ids: TokenIds,
    own_answer: OwnAnswer,
    on_question: Callable[[], None] = lambda: None,
) -> Plan:
    """Plan a run; the encoder is asked for only when something is left to score. `spec` is None while it has no row.

    The trusted pairs come first: a run that ends when it is decided needs them from the first look on.
    """
    planner = Planner(reader, spec, request, contexts, ids)
    wants_own = Input.OWN_NLL in inputs_needed(request.metrics)
    looks = look_sizes(len(scope.questions)) if request.until_decided else ()
    for samples in valid_samples(reader, scope):
        planner.add_valid(samples)
        on_question()
    for place, samples in enumerate(samples_of(reader, scope)):
        planner.stage = bisect_right(looks, place)
        planner.add(samples, own_answer(samples.question) if wants_own else None)
        on_question()
    return planner.plan


def store_plan(writer: Writer, claim: Claim, plan: Plan, budget: int) -> None:
    """Write the plan in one transaction: wholly there, or the next attempt plans again."""
    reused, failed = plan.count("reused"), plan.count("error")
    chunks = plan.divide(budget) if plan.groups else []
    with writer.transaction() as connection:
        update_claimed(
            connection, claim, planned=1, total=len(plan.items), done=reused + failed, errors=failed, reused=reused,
            tokens_total=plan.tokens, tokens_done=0, token_budget=budget,
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO run_items (run, number, strategy, question, context_kind, context, response, chunk, tokens,"
            " state, code, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            _rows(claim.run, plan),
        )
        connection.executemany(
            "INSERT INTO chunks (run, number, tokens, is_part, stage) VALUES (?, ?, ?, ?, ?)",
            [(claim.run, number, chunk.tokens, chunk.is_part, chunk.stage) for number, chunk in enumerate(chunks)],
        )
        left = plan.count("planned")
        text = f"plan: {left} to score in {len(chunks)} chunks, {reused} scored already, {failed} cannot be scored"
        add_event(connection, claim.run, "info", text)
        if plan.with_control_tokens:
            how = run_by_id(connection, claim.run).request.control_tokens
            add_event(connection, claim.run, "warning", control_token_words(len(plan.with_control_tokens), how))


def control_token_words(samples: int, control_tokens: str) -> str:
    """What becomes of control tokens in the data, for a person."""
    fate = "they stay ordinary text" if control_tokens == "as_text" else "they are taken as control tokens"
    return f"samples whose question or response holds a control token of the model: {samples:,}; {fate}"


def _rows(run: int, plan: Plan) -> Iterator[tuple[object, ...]]:
    for number, item in enumerate(plan.items):
        yield (
            run, number, item.strategy, item.question, str(item.kind), item.context, item.response, item.chunk,
            item.tokens, item.state, item.code, item.detail,
        )  # fmt: skip
