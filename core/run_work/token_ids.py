"""Token ids of what a run scores. Planning and scoring encode every text once."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Sequence

from core.domain import ContextKind, Turn, response_digest
from core.errors import RunError
from core.run_work.samples import TARGET_ITSELF, Contexts, OwnAnswer
from core.scoring.prompts import context_digest
from core.scoring.protocol import Encoder
from core.store.catalogue import question

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

    def holds_control_token(self, texts: Iterable[str]) -> bool:
        """Whether one of the texts holds what the tokenizer could take for a control token."""
        control_tokens = self._encoder().control_tokens
        return any(token in text for text in texts for token in control_tokens)

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

    def __init__(self, reader: sqlite3.Connection, contexts: Contexts, ids: TokenIds, own_answer: OwnAnswer) -> None:
        self._reader = reader
        self._contexts = contexts
        self._ids = ids
        self._own_answer = own_answer

    def context(self, item: sqlite3.Row) -> tuple[int, ...]:
        known = self._ids.known(item["context"])
        if known is not None:
            return known
        asked = question(self._reader, item["question"])
        for turns in self._contexts.of(asked, ContextKind(item["context_kind"])):
            if context_digest(turns) == item["context"]:
                return self._ids.context(item["context"], turns)
        raise _changed()

    def response(self, item: sqlite3.Row) -> tuple[int, ...]:
        known = self._ids.known(item["response"])
        if known is not None:
            return known
        text = self.text(item)
        if text is None:
            raise _changed()
        return self._ids.response(item["response"], text)

    def text(self, item: sqlite3.Row) -> str | None:
        """The text of a planned item; None where the catalogue does not hold it any more."""
        if item["strategy"] == TARGET_ITSELF:
            own = self._own_answer(question(self._reader, item["question"]))
            return own if own is not None and response_digest(own) == item["response"] else None
        row = self._reader.execute(
            "SELECT text FROM responses WHERE strategy = ? AND question = ? AND digest = ?",
            (item["strategy"], item["question"], item["response"]),
        ).fetchone()
        return None if row is None else str(row[0])


def _changed() -> RunError:
    return RunError(
        "Responses, predictions or gold answers changed since this run was planned.",
        "Start a new run; what is scored already is taken over.",
    )
