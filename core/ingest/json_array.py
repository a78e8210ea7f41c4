"""A JSON array of objects, read whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import BinaryIO

from core.ingest.records import BadLine, Row, Unreadable, bad_line, kind_of
from core.ingest.strict_json import Decoded, StrictDecoder, skip_space

NAME = "JSON array"
MAX_FILE_BYTES = 256 << 20


def rows(stream: BinaryIO, wanted: Collection[str] | None = None) -> Iterator[Row | BadLine]:
    """One row an element, with the line that it starts in. Raises Unreadable where the array's syntax breaks."""
    text = _text(stream)
    decoder = StrictDecoder()
    end = skip_space(text, 0)
    if text[end : end + 1] != "[":
        raise Unreadable("not a JSON array", 1)
    line, counted = 1, 0
    while text[end] != "]":
        start = skip_space(text, end + 1)
        line, counted = line + text.count("\n", counted, start), start
        if text[start : start + 1] == "]":
            end = start
            break
        decoded = _element(decoder, text, start, line)
        yield _row(decoded, line)
        end = skip_space(text, decoded.end)
        if text[end : end + 1] not in (",", "]"):
            raise Unreadable("the array breaks off behind this element (download incomplete?)", line)
    if skip_space(text, end + 1) < len(text):
        raise Unreadable("more text follows the array", line)


def _text(stream: BinaryIO) -> str:
    raw = stream.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise Unreadable(f"a JSON array over {MAX_FILE_BYTES >> 20} MiB; write it as JSON Lines, one object a line")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise Unreadable(f"not UTF-8 at byte {column}", line) from error


def _element(decoder: StrictDecoder, text: str, start: int, line: int) -> Decoded:
    try:
        return decoder.decode(text, start)
    except Unreadable as error:
        raise Unreadable(error.reason, line) from error


def _row(decoded: Decoded, line: int) -> Row | BadLine:
    if decoded.problem:
        return bad_line(line, decoded.problem)
    if not isinstance(decoded.value, dict):
        return bad_line(line, f"not an object but {kind_of(decoded.value)}")
    return Row(line, decoded.value)
