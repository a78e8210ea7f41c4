"""CSV with a header, as RFC 4180 has it, or with semicolons or tabs; texts keep their own line breaks."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from itertools import chain
from typing import BinaryIO

from core.ingest.records import MAX_TEXT_BYTES, BadLine, Row, Unreadable, bad_line, quoted

NAME = "CSV"
MAX_LINE_CHARACTERS = 4 * MAX_TEXT_BYTES


def rows(stream: BinaryIO, wanted: Collection[str] | None = None) -> Iterator[Row | BadLine]:
    """One row a record, with the line that it starts in. Raises Unreadable where the header cannot be read."""
    csv.field_size_limit(MAX_TEXT_BYTES)
    # Bytes that are no UTF-8 become surrogates, so that they spoil their own record and not the whole file.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    lines = _lines(text)
    first = next(lines, "")
    reader = csv.reader(chain([first], lines), delimiter=_delimiter(first), strict=True)
    header = _header(reader)
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield bad_line(line, f"not CSV: {error}")
            continue
        if values:
            yield _row(header, values, line)


def _delimiter(header: str) -> str:
    """The comma, unless that finds one column where a semicolon or a tab finds several."""

    def columns(delimiter: str) -> int:
        try:
            return len(next(csv.reader([header], delimiter=delimiter, strict=True), []))
        except csv.Error:
            return 0

    return "," if columns(",") > 1 else max(",;\t", key=columns)


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The physical lines. Raises Unreadable rather than to fill the memory with one that does not end."""
    number = 0
    while line := text.readline(MAX_LINE_CHARACTERS):
        number += 1
        if len(line) == MAX_LINE_CHARACTERS:
            raise Unreadable(f"longer than {MAX_LINE_CHARACTERS >> 20} million characters", number)
        yield line


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise Unreadable(f"the header is not CSV: {error}", 1) from error
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise Unreadable(f"the column {quoted(repeated[0])} stands twice in the header", 1)
    return header


def _row(header: list[str], values: list[str], line: int) -> Row | BadLine:
    if len(values) != len(header):
        return bad_line(line, f"{len(values)} values where the header has {len(header)} columns")
    if not all(_is_utf8(value) for value in values):
        return bad_line(line, "not UTF-8")
    return Row(line, dict(zip(header, values, strict=True)))


def _is_utf8(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
