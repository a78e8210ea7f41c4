"""Records on their way into the catalogue: a temporary table that nobody else sees and that no lock is held for."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.domain import canonical_turns, digest
from core.errors import InputError
from core.ingest.records import BadLine, Record, bad_line, quoted
from core.ingest.source import OnProgress, Source
from core.text import visible

MAX_MESSAGES = 100

# Long texts lie in a table of their own, so that aligning a large file reads little.
_TABLE = """
CREATE TEMP TABLE staged (
    number INTEGER PRIMARY KEY, file INTEGER NOT NULL, line INTEGER NOT NULL, key TEXT, digest BLOB NOT NULL,
    answer TEXT, response_digest BLOB NOT NULL, question INTEGER) STRICT
"""
_TEXT_TABLE = """
CREATE TEMP TABLE staged_texts (number INTEGER PRIMARY KEY, turns TEXT NOT NULL, response TEXT NOT NULL) STRICT
"""
# A file names a question by its id, or without ids by its text; either may come once. The file comes last in the index,
# or SQLite would go through a whole file in the order of the index and not of the table: 25 times slower.
_IDENTITY = "CREATE UNIQUE INDEX temp.staged_by_identity ON staged (ifnull(key, digest), file)"
_INSERT = """
INSERT INTO temp.staged (file, line, key, digest, answer, response_digest)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_INSERT_TEXT = "INSERT INTO temp.staged_texts (number, turns, response) VALUES (?, ?, ?)"


class BadLines:
    """The lines of one file that cannot be taken: how many, and the first 100 of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.messages: list[str] = []

    def add(self, line: BadLine) -> None:
        self.count += 1
        if len(self.messages) < MAX_MESSAGES:
            self.messages.append(line.message(self.path))


def named_lines(files: Sequence[BadLines]) -> list[tuple[str, ...]]:
    """The bad lines of every file that are to be named: 100 of all files, of each as many where there are more."""
    named: list[tuple[str, ...]] = [()] * len(files)
    room = MAX_MESSAGES
    for done, place in enumerate(sorted(range(len(files)), key=lambda place: files[place].count)):
        named[place] = tuple(files[place].messages[: room // (len(files) - done)])
        room -= len(named[place])
    return named


def refuse(files: Sequence[BadLines], hint: str) -> None:
    """Raises InputError where a file has bad lines; where there are several, they are its details."""
    bad = [each for each in files if each.count]
    total = sum(each.count for each in bad)
    named = [line for lines in named_lines(bad) for line in lines]
    if total == 1:
        raise InputError(f"{named[0]}.", f"Nothing was kept. {hint}")
    if total:
        counts = ", ".join(f"{visible(each.path.name)} {each.count:,}" for each in bad)
        what = "all named above" if len(named) == total else f"{len(named)} of them named above"
        raise InputError(f"Bad lines: {counts}; {what}.", f"Nothing was kept. {hint}", named)


@contextmanager
def staging(connection: sqlite3.Connection) -> Iterator[None]:
    """The empty tables `temp.staged` and `temp.staged_texts`, for as long as the block runs."""
    for statement in (_TABLE, _IDENTITY, _TEXT_TABLE):
        connection.execute(statement)
    try:
        yield
    finally:
        connection.execute("DROP TABLE temp.staged_texts")
        connection.execute("DROP TABLE temp.staged")


def stage(
    connection: sqlite3.Connection, file: int, source: Source, bad: BadLines, on_progress: OnProgress | None = None
) -> Counter[str]:
    """Put the source's records into the tables under the number `file`; the notes that they came with, counted.

    Lines that cannot be taken, and the second of two that answer the same question, go to `bad`.
    """
    notes: Counter[str] = Counter()
    connection.execute("BEGIN")
    try:
        for record in source.records(on_progress):
            if isinstance(record, BadLine):
                bad.add(record)
            elif not _add(connection, file, record):
                bad.add(bad_line(record.line, _repetition(connection, file, record)))
            elif record.note:
                notes[record.note] += 1
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return notes


def _add(connection: sqlite3.Connection, file: int, record: Record) -> bool:
    """Whether the record was taken: not where the file answers its question already."""
    turns = canonical_turns(record.turns)
    digests = digest("question", turns), digest("response", record.response)
    added = connection.execute(_INSERT, (file, record.line, record.id, digests[0], record.answer, digests[1]))
    if not added.rowcount:
        return False
    connection.execute(_INSERT_TEXT, (added.lastrowid, turns, record.response))
    return True


def _repetition(connection: sqlite3.Connection, file: int, record: Record) -> str:
    identity = record.id if record.id is not None else digest("question", canonical_turns(record.turns))
    (line,) = connection.execute(
        "SELECT line FROM temp.staged WHERE file = ? AND ifnull(key, digest) = ?", (file, identity)
    ).fetchone()
    what = "the same question" if record.id is None else f"the id {quoted(record.id)}"
    return f"{what} stands in line {line} already"


def described(connection: sqlite3.Connection, file: int, source: Source) -> str:
    """What the source was found to be, by what is staged of it."""
    records, answers = connection.execute(
        "SELECT count(*), count(answer) FROM temp.staged WHERE file = ?", (file,)
    ).fetchone()
    return source.described(records, answers)
