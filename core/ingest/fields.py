"""Which fields of a file mean what, where the user says so, and how ids and gold answers are read."""

from __future__ import annotations

from collections.abc import Mapping

from core.errors import UsageError
from core.ingest.records import Unreadable, kind_of, quoted

FieldMap = Mapping[str, str]
MEANINGS = ("question", "response", "answer", "id")


def parse_field_map(text: str) -> dict[str, str]:
    """`question=prompt,response=output,id=` as a dictionary; a meaning without a field is left out of the import.

    Raises UsageError for anything else.
    """
    field_map: dict[str, str] = {}
    for part in text.split(","):
        meaning, equals, field = part.partition("=")
        if not equals or meaning not in MEANINGS or meaning in field_map:
            raise UsageError(
                f"--map cannot be read at {quoted(part)}.",
                "Write --map question=FIELD,response=FIELD,answer=FIELD,id=FIELD with the fields that differ.",
            )
        if not field and meaning in ("question", "response"):
            raise UsageError(f"--map names no field for the {meaning}.", f"Write {meaning}=FIELD.")
        field_map[meaning] = field
    return field_map


def read_id(fields: Mapping[str, object], name: str) -> str | None:
    """The id as text, None where there is none. Raises Unreadable for what is neither text nor a whole number."""
    value = fields.get(name) if name else None
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable(f"the id in {quoted(name)} is {kind_of(value)}, not text or a whole number")
    return str(value)


def read_answer(fields: Mapping[str, object], name: str) -> str | None:
    """The gold answer as text, None where there is none or it is empty. Raises Unreadable for lists and objects."""
    value = fields.get(name) if name else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise Unreadable(f"the gold answer in {quoted(name)} is {kind_of(value)} (--map answer= leaves it out)")
    return value or None
