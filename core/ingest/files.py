"""Files: opening them safely, telling their format, reading their rows."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Collection, Generator, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Protocol

from core.errors import InputError, NotFoundError
from core.ingest import csv_rows, json_array, json_lines, parquet
from core.ingest.records import BadLine, Row, Unreadable
from core.text import visible


class Format(Protocol):
    """A module that reads one file format."""

    NAME: str

    def rows(self, stream: BinaryIO, wanted: Collection[str] | None = None) -> Iterator[Row | BadLine]:
        """Every row of the file, in its order; fields that are not wanted may be left out.

        Raises Unreadable when the rest of the file cannot be read.
        """
        ...


FORMAT_OF_SUFFIX: Mapping[str, Format] = {
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".csv": csv_rows,
    ".tsv": csv_rows,
    ".parquet": parquet,
}
# First bytes of files that are certainly something else, and what to do with them.
FOREIGN_STARTS = (
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed; unpack it first"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet; unpack it, or save it as CSV"),
    (b"\xff\xfe", "UTF-16; convert it to UTF-8"),
    (b"\xfe\xff", "UTF-16; convert it to UTF-8"),
)
HEAD_BYTES = 4096
# What a file that is named otherwise begins with where it is JSON all the same.
_ARRAY, _OBJECT = re.compile(rb"\[\s*[{\]]"), re.compile(rb'\{\s*"')


def open_file(path: Path) -> BufferedReader:
    """Open a regular file that holds something. Raises NotFoundError or InputError."""
    name = visible(str(path))
    try:
        # Without O_NONBLOCK opening a pipe would wait for somebody to write.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file {name}.", "Check the path.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {getattr(error, 'strerror', error)}.") from error
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{name} is not a file that can be read twice.", "Save it as a file first.")
    raise InputError(f"{name} is empty.", "Check how it was made.")


def is_same_file(path: Path, before: os.stat_result) -> bool:
    """Whether the path still names the file that was opened, with the size and the time of change it had then."""
    try:
        now = path.stat()
    except OSError:
        return False
    return os.path.samestat(now, before) and (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def format_of(path: Path) -> Format:
    """By the content, and where that could be several by the ending. Raises NotFoundError or InputError."""
    with open_file(path) as stream:
        head = stream.read(HEAD_BYTES)
    for start, what in FOREIGN_STARTS:
        if head.startswith(start):
            raise InputError(f"{visible(path.name)} is {what}.")
    by_suffix = FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if head.startswith(b"PAR1") or by_suffix is parquet:
        return parquet
    text = head.removeprefix(json_lines.BOM).lstrip(json_lines.BLANK)
    if by_suffix is None:
        return json_array if text.startswith(b"[") else json_lines if text.startswith(b"{") else csv_rows
    if _ARRAY.match(text) and not _is_line_of_several(text):
        return json_array
    return json_lines if _OBJECT.match(text) else by_suffix


def _is_line_of_several(text: bytes) -> bool:
    """Whether the first line is a JSON value of its own, with more behind it."""
    line, _, rest = text.partition(b"\n")
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return bool(rest.strip(json_lines.BLANK))


def read_rows(
    path: Path, format_: Format, stream: BinaryIO, wanted: Collection[str] | None = None
) -> Generator[Row | BadLine, None, None]:
    """The format's rows; what ends the reading becomes an InputError that names the file."""
    try:
        yield from format_.rows(stream, wanted)
    except Unreadable as error:
        place = visible(path.name) + (f":{error.line}" if error.line else "")
        raise InputError(f"{place}: {error.reason}.", "Mend the file, or make it again.") from error
