"""JSON Lines: one object a line."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import BinaryIO

from core.ingest.records import MAX_TEXT_BYTES, BadLine, Row, Unreadable, bad_line, kind_of
from core.ingest.strict_json import StrictDecoder, skip_space

NAME = "JSON Lines"
BOM = b"\xef\xbb\xbf"
BLANK = b" \t\r\n"


def rows(stream: BinaryIO, wanted: Collection[str] | None = None) -> Iterator[Row | BadLine]:
    """One row a line that is not blank. Lines end with \\n alone, never with another line separator."""
    decoder = StrictDecoder()
    number = 0
    while raw := stream.readline(MAX_TEXT_BYTES + 1):
        number += 1
        if len(raw) > MAX_TEXT_BYTES and not raw.endswith(b"\n"):
            _skip_line(stream)
            yield bad_line(number, f"longer than {MAX_TEXT_BYTES >> 20} MiB")
        elif raw.strip(BLANK) not in (b"", BOM):
            yield _row(decoder, number, raw)


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(MAX_TEXT_BYTES)) and not rest.endswith(b"\n"):
        pass


def _row(decoder: StrictDecoder, number: int, raw: bytes) -> Row | BadLine:
    try:
        return Row(number, _object(decoder, raw, first=number == 1))
    except Unreadable as error:
        return bad_line(number, error.reason)


def _object(decoder: StrictDecoder, raw: bytes, *, first: bool) -> dict[str, object]:
    skipped = len(BOM) if first and raw.startswith(BOM) else 0
    try:
        text = raw[skipped:].decode("utf-8")
        decoded = decoder.decode(text)
    except UnicodeDecodeError as error:
        raise _cut_off_or(raw, Unreadable(f"not UTF-8 at byte {skipped + error.start + 1}")) from error
    except Unreadable as error:
        raise _cut_off_or(raw, error) from error
    if skip_space(text, decoded.end) < len(text):
        raise Unreadable(f"more text follows the JSON value at column {decoded.end + 1}")
    if decoded.problem:
        raise Unreadable(decoded.problem)
    if not isinstance(decoded.value, dict):
        raise Unreadable(f"not an object but {kind_of(decoded.value)}")
    return decoded.value


def _cut_off_or(raw: bytes, error: Unreadable) -> Unreadable:
    """A last line without a line break that is no JSON was cut."""
    return error if raw.endswith(b"\n") else Unreadable("the file looks cut off here (download incomplete?)")
