"""What every layout offers, and how values of a file become texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from core.domain import Turn
from core.ingest.records import MAX_TEXT_BYTES, Unreadable, kind_of, quoted


@dataclass(frozen=True, slots=True)
class Sample:
    """A question's turns, ending with the one that asks, and the response. `note` says what was left out."""

    turns: tuple[Turn, ...]
    response: str
    note: str = ""


class Layout(Protocol):
    """A way of laying a question and a response out in named fields."""

    @property
    def description(self) -> str:
        """Which fields are taken as what, for a person."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that are looked at."""
        ...

    def read(self, fields: Mapping[str, object]) -> Sample:
        """The sample in one row's fields. Raises Unreadable."""
        ...


def required_text(fields: Mapping[str, object], name: str) -> str:
    """The text in a field that must be there. Raises Unreadable."""
    if name not in fields:
        raise Unreadable(f"no field {quoted(name)}")
    return _text(fields[name], name)


def optional_text(fields: Mapping[str, object], name: str) -> str:
    """The text in a field that may be missing, null or empty. Raises Unreadable."""
    value = fields.get(name)
    return "" if value is None else _text(value, name)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"{quoted(name)} is {kind_of(value)}, not text")
    return value


def check_storable(text: str, name: str) -> None:
    """Raises Unreadable for a lone surrogate or a text over 16 MiB."""
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise Unreadable(f"the {name} holds half a surrogate pair at character {error.start + 1}") from error
    if size > MAX_TEXT_BYTES:
        raise Unreadable(f"the {name} is longer than {MAX_TEXT_BYTES >> 20} MiB")
