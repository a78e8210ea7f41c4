"""JSON values with the lines they stand in, for files that are one object or a list of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.ingest.files import format_of, open_file
from core.ingest.json_array import MAX_FILE_BYTES
from core.ingest.records import Unreadable
from core.ingest.strict_json import StrictDecoder, skip_space


@dataclass(frozen=True, slots=True)
class JsonValue:
    """A value in a JSON text from `start` to `end`, the line it starts in, and its key where it is an object's.

    `problem` says what is wrong with it although its syntax is right.
    """

    text: str
    start: int
    end: int
    line: int
    value: object
    key: str = ""
    problem: str = ""


def whole_json(path: Path) -> JsonValue | None:
    """The file's one object or list of numbers; None for a file of rows or of something else.

    Raises NotFoundError or InputError.
    """
    if not format_of(path).NAME.startswith("JSON"):
        return None
    with open_file(path) as stream:
        raw = stream.read(MAX_FILE_BYTES + 1)
    try:
        text = raw.decode("utf-8-sig")
        start = skip_space(text, 0)
        decoded = StrictDecoder().decode(text, start)
    except (UnicodeDecodeError, Unreadable):
        return None
    if skip_space(text, decoded.end) < len(text) or len(raw) > MAX_FILE_BYTES:
        return None
    value = decoded.value
    is_numbers = isinstance(value, list) and not any(isinstance(each, dict) for each in value)
    is_object = isinstance(value, dict) and "value" not in value and "sample_id" not in value
    if not is_numbers and not is_object:
        return None
    return JsonValue(text, start, decoded.end, 1 + text.count("\n", 0, start), value)


def json_members(whole: JsonValue) -> Iterator[JsonValue]:
    """The members of an object or array, with their own lines. The text was decoded before, so its syntax is right."""
    decoder, text = StrictDecoder(), whole.text
    is_object = text[whole.start] == "{"
    line, counted, place = whole.line, whole.start, skip_space(text, whole.start + 1)
    while place < whole.end - 1:
        key = ""
        if is_object:
            name = decoder.decode(text, place)
            key, place = str(name.value), skip_space(text, skip_space(text, name.end) + 1)
        line, counted = line + text.count("\n", counted, place), place
        decoded = decoder.decode(text, place)
        yield JsonValue(text, place, decoded.end, line, decoded.value, key, decoded.problem)
        place = skip_space(text, skip_space(text, decoded.end) + 1)
