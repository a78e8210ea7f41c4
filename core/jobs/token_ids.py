"""Token ids of what a run scores. Planning and scoring encode every text once."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Sequence

from core.domain import ContextKind, Turn
from core.errors import RunError
from core.jobs.samples import Contexts, Scope, question_samples
from core.scoring.prompts import context_digest
from core.scoring.protocol import Encoder

# 16 MiB of 32-bit numbers.
REMEMBERED_TOKENS = 4 << 20


class TokenIds:
    """An encoder that remembers: token ids by the digest of what they encode."""

    def __init__(self, encoder: Callable[[], Encoder]) -> None:
        self._encoder = encoder
        self._known: dict[bytes, array[int]] = {}
        self._remembered = 0

    @property
    def max_context_tokens(self) -> int:
        return self._encoder().max_context_tokens

    def known(self, digest: bytes) -> tuple[int, ...] | None:
        ids = self._known.get(digest)
        return None if ids is None else tuple(ids)

    def context(self, digest: bytes, turns: Sequence[Turn]) -> tuple[int, ...]:
        return self.known(digest) or self._remember(digest, self._encoder().encode_context(turns))

    def response(self, digest: bytes, text: str) -> tuple[int, ...]:
        return self.known(digest) or self._remember(digest, self._encoder().encode_response(text))

    def _remember(self, digest: bytes, ids: tuple[int, ...]) -> tuple[int, ...]:
        """Without room everything is forgotten: what came last is wanted again soonest."""
        if self._remembered + len(ids) > REMEMBERED_TOKENS:
            self._known.clear()
            self._remembered = 0
        self._known[digest] = array("i", ids)
        self._remembered += len(ids)
        return ids


class PlannedIds:
    """Token ids of planned items, read from the catalogue and encoded where nobody remembers them.

    Raises RunError where the texts are no longer those that were planned.
    """

    def __init__(self, reader: sqlite3.Connection, scope: Scope, contexts: Contexts, ids: TokenIds) -> None:
        self._reader = reader
        self._scope = scope
        self._contexts = contexts
        self._ids = ids

    def context(self, item: sqlite3.Row) -> tuple[int, ...]:
        known = self._ids.known(item["context"])
        if known is not None:
            return known
        question = question_samples(self._reader, self._scope, item["question"]).question
        turns = self._contexts.turns(question, ContextKind(item["context_kind"]))
        if context_digest(turns) != item["context"]:
            raise _changed()
        return self._ids.context(item["context"], turns)

    def response(self, item: sqlite3.Row) -> tuple[int, ...]:
        known = self._ids.known(item["response"])
        if known is not None:
            return known
        row = self._reader.execute(
            "SELECT text FROM responses WHERE strategy = ? AND question = ? AND digest = ?",
            (item["strategy"], item["question"], item["response"]),
        ).fetchone()
        if row is None:
            raise _changed()
        return self._ids.response(item["response"], row[0])


def _changed() -> RunError:
    return RunError("Responses or predictions changed since this run was planned.", "Start a new run.")
