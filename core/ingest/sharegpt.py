"""ShareGPT: `conversations`, a list of turns with `from` and `value`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.ingest.conversation import read_conversation
from core.ingest.layout import Sample, optional_text


@dataclass(frozen=True, slots=True)
class ShareGpt:
    description = "ShareGPT: response from the last assistant turn of 'conversations', question from the turns before"
    fields = ("conversations", "system")

    def read(self, fields: Mapping[str, object]) -> Sample:
        return read_conversation(fields.get("conversations"), "conversations", optional_text(fields, "system"))


def recognize(fields: Mapping[str, object]) -> ShareGpt | None:
    return ShareGpt() if isinstance(fields.get("conversations"), list) else None
