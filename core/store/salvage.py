"""Copying what can be read of a damaged catalogue into a new one, and making that sound."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import SapError
from core.store.db import Writer, prepare
from core.store.file_systems import reading_uri
from core.text import visible

_LARGEST_ROWID = 2**62
# Of a plan that lost a row nothing can be used: planned anew, the run finds the scores that are there.
_BROKEN_PLANS = """
SELECT id FROM runs WHERE planned = 1 AND (
 (total, done, errors) <> (SELECT count(*), ifnull(sum(state <> 'planned'), 0), ifnull(sum(state = 'error'), 0)
  FROM run_items WHERE run = runs.id)
 OR (tokens_total, tokens_done) <> (SELECT ifnull(sum(tokens), 0), ifnull(sum(tokens * (fence IS NOT NULL)), 0)
  FROM chunks WHERE run = runs.id)
 OR EXISTS (SELECT 1 FROM run_items i WHERE i.run = runs.id AND i.state IN ('ok', 'reused') AND NOT EXISTS
  (SELECT 1 FROM scores s WHERE s.spec = runs.spec AND s.context = i.context AND s.response = i.response)))
"""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """How many rows were copied, table by table; `dropped` belonged to rows that are lost, `gaps` were unreadable."""

    rows: dict[str, int]
    gaps: int
    dropped: int
    replanned: int


def salvage(damaged: Path, target: Path) -> Salvaged:
    """Copy every readable row into a new catalogue at `target`; the damaged file stays as it is.

    Runs whose plan is no longer whole are cancelled and lose it: resumed, they are planned anew and find the scores
    that were saved. Raises SapError when the target is there already or nothing can be read at all.
    """
    if target.exists():
        raise SapError(f"{visible(str(target))} is there already.", "Name a file that is not there yet.")
    prepare(target)
    with Writer(target) as writer, closing(sqlite3.connect(reading_uri(damaged), uri=True)) as source:
        # Rows of tables whose neighbours' definitions are damaged can still be read.
        source.execute("PRAGMA writable_schema=ON")
        connection = writer.connection
        tables = _tables(connection)
        connection.execute("PRAGMA foreign_keys=OFF")
        with writer.transaction():
            copied = {table: _copy(source, connection, table) for table in tables}
            dropped = _drop_orphans(connection, tables)
            replanned = _mend(connection)
    rows = {table: count for table, (count, _) in copied.items()}
    if not any(rows.values()):
        raise SapError(f"Nothing of {visible(str(damaged))} can be read.", "Restore a backup: sap-tui backup --list")
    return Salvaged(rows, sum(gaps for _, gaps in copied.values()), dropped, replanned)


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '*sqlite_*'")
    return [str(row[0]) for row in rows]


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> tuple[int, int]:
    """Copy the readable rows of a table; returns their number and that of the places that could not be read."""
    wanted = [row["name"] for row in target.execute(f"PRAGMA table_xinfo({table})") if row["hidden"] == 0]
    try:
        there = {row[1] for row in source.execute(f"PRAGMA table_xinfo({table})")}
    except sqlite3.DatabaseError:
        return 0, 1
    names = [name for name in wanted if name in there]
    if not names:
        return 0, 0
    insert = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    before, gaps = target.total_changes, 0
    keys = _key_columns(target, table)
    reading = _Reading(source, table, names)
    for row in reading.by_rowid() if keys is None else reading.both_ways(keys):
        if row is None:
            gaps += 1
            continue
        try:
            target.execute(insert, row)
        except sqlite3.IntegrityError:
            gaps += 1
    return target.total_changes - before, gaps


def _key_columns(connection: sqlite3.Connection, table: str) -> list[str] | None:
    """The primary key of a table without rowids; None for one with them."""
    without_rowid = connection.execute("SELECT wr FROM pragma_table_list WHERE name = ?", (table,)).fetchone()[0]
    if not without_rowid:
        return None
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return [row["name"] for row in sorted(columns, key=lambda row: row["pk"]) if row["pk"]]


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads a table around its damaged places; each of them is a None among the rows."""

    source: sqlite3.Connection
    table: str
    names: list[str]

    def by_rowid(self) -> Iterator[tuple[Any, ...] | None]:
        """Row after row; behind a damaged place the next rowid that can be read is looked for in growing steps."""
        last, step = -1, 0
        while last + step < _LARGEST_ROWID:
            try:
                for rowid, *row in self._rows("WHERE rowid > ? ORDER BY rowid", (last + step,), "rowid, "):
                    last, step = rowid, 0
                    yield tuple(row)
                return
            except sqlite3.DatabaseError:
                if not step:
                    yield None
                step = 2 * step or 1

    def both_ways(self, keys: list[str]) -> Iterator[tuple[Any, ...] | None]:
        """From the first row up to the first damaged place, and from the last row back to the last one."""
        try:
            yield from map(tuple, self._rows(f"ORDER BY {', '.join(keys)}"))
        except sqlite3.DatabaseError:
            yield None
            try:
                yield from map(tuple, self._rows(f"ORDER BY {', '.join(f'{key} DESC' for key in keys)}"))
            except sqlite3.DatabaseError:
                yield None

    def _rows(self, rest: str, values: tuple[int, ...] = (), first: str = "") -> sqlite3.Cursor:
        # An index may be damaged where its table is not.
        return self.source.execute(
            f"SELECT {first}{', '.join(self.names)} FROM {self.table} NOT INDEXED {rest}", values
        )


def _drop_orphans(connection: sqlite3.Connection, tables: list[str]) -> int:
    """Delete rows that refer to rows which are lost, until none is left; returns their number."""
    before, changes = connection.total_changes, -1
    while connection.total_changes != changes:
        changes = connection.total_changes
        for table in tables:
            for key in connection.execute(f"PRAGMA foreign_key_list({table})").fetchall():
                parent, column = f"{key['table']} AS parent", f"{table}.{key['from']}"
                connection.execute(
                    f"DELETE FROM {table} WHERE {column} IS NOT NULL"
                    f" AND NOT EXISTS (SELECT 1 FROM {parent} WHERE parent.{key['to'] or 'id'} = {column})"
                )
    return connection.total_changes - before


def _mend(connection: sqlite3.Connection) -> int:
    """Make counters and runs agree with the rows that are there; returns how many runs lost their plan."""
    now = {"now": time.time()}
    connection.execute("DELETE FROM scores WHERE id NOT IN (SELECT score FROM token_scores)")
    connection.execute(
        "UPDATE strategies SET responses = (SELECT count(*) FROM responses WHERE strategy = strategies.id)"
    )
    connection.execute("DELETE FROM scorers")
    connection.execute("UPDATE attempts SET ended_at = :now, outcome = 'lost' WHERE ended_at IS NULL", now)
    connection.execute("UPDATE runs SET state = 'queued', want = 'pause', phase = '' WHERE state = 'running'")
    broken = [row[0] for row in connection.execute(_BROKEN_PLANS)]
    for run in broken:
        connection.execute("DELETE FROM run_items WHERE run = ?", (run,))
        connection.execute("DELETE FROM chunks WHERE run = ?", (run,))
        connection.execute(
            "UPDATE runs SET state = 'cancelled', want = 'run', planned = 0, total = 0, done = 0, errors = 0,"
            " reused = 0, tokens_total = 0, tokens_done = 0, phase = '', ended_at = coalesce(ended_at, ?), why = ?"
            " WHERE id = ?",
            (now["now"], f"its plan was damaged; what it scored is kept, go on with: sap-tui resume {run}", run),
        )
    return len(broken)
