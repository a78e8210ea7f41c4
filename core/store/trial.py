"""What an import would refuse, found out beside the catalogue: it is only read, and no lock is held."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from core.errors import NotFoundError
from core.ingest.records import bad_line, quoted
from core.store import alignment
from core.store.alignment import Place
from core.store.catalogue import task_by_name, turns_from_json
from core.store.file_systems import reading_uri
from core.store.staging import BadLines, staging

_TAKEN = """
SELECT s.number, s.line, s.key, min(other.file) AS other FROM temp.staged s
JOIN temp.staged other ON ifnull(other.key, other.digest) = ifnull(s.key, s.digest) AND other.file < s.file
WHERE s.file = ? AND s.question IS NULL AND s.key IS NOT NULL AND other.digest <> s.digest
GROUP BY s.number ORDER BY s.number
"""


@contextmanager
def trial(catalogue: Path) -> Iterator[sqlite3.Connection]:
    """A private database with the staging tables, in which the tables of the catalogue can be read, if it exists."""
    with closing(sqlite3.connect("", uri=True, isolation_level=None)) as connection, staging(connection):
        connection.row_factory = sqlite3.Row
        if catalogue.exists():
            connection.execute("ATTACH ? AS catalogue", (reading_uri(catalogue),))
        yield connection


def known_task(connection: sqlite3.Connection, name: str) -> int | None:
    """The task's row number in the catalogue of a trial; None where it would be made."""
    try:
        return task_by_name(connection, name).id
    except (NotFoundError, sqlite3.OperationalError):
        # Without a catalogue there is no table of tasks either.
        return None


def refuse_ids(connection: sqlite3.Connection, task: int | None, files: Sequence[BadLines]) -> None:
    """Give the records of the last file whose ids mean another question, in the task or in a file before it, to its
    bad lines.

    All files are staged under their numbers in `files`.
    """
    number, bad = len(files) - 1, files[-1]
    if task is not None:
        alignment.find_questions(connection, Place(number, task), bad)
    for row in connection.execute(_TAKEN, (number,)).fetchall():
        name = quoted(files[row["other"]].path.name)
        bad.add(bad_line(row["line"], f"the id {quoted(row['key'])} belongs to another question in {name}"))
        connection.execute("DELETE FROM temp.staged WHERE number = ?", (row["number"],))


def staged_records(connection: sqlite3.Connection, file: int) -> tuple[int, str, str]:
    """How many records of a file are left, and the question and the response of the first."""
    (count,) = connection.execute("SELECT count(*) FROM temp.staged WHERE file = ?", (file,)).fetchone()
    first = connection.execute(
        "SELECT turns, response FROM temp.staged_texts"
        " WHERE number = (SELECT min(number) FROM temp.staged WHERE file = ?)", (file,)
    ).fetchone()  # fmt: skip
    return (count, turns_from_json(first["turns"])[-1].content, first["response"]) if first else (0, "", "")
