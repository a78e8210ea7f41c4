"""OpenAI chat format: `messages`, a list of turns with `role` and `content`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.ingest.conversation import read_conversation
from core.ingest.layout import Sample


@dataclass(frozen=True, slots=True)
class OpenAIMessages:
    description = "OpenAI messages: response from the last assistant turn of 'messages', question from the turns before"
    fields = ("messages",)

    def read(self, fields: Mapping[str, object]) -> Sample:
        return read_conversation(fields.get("messages"), "messages")


def recognize(fields: Mapping[str, object]) -> OpenAIMessages | None:
    return OpenAIMessages() if isinstance(fields.get("messages"), list) else None
