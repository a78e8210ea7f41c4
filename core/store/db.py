"""Connections to the catalogue: many readers that never wait, one writer at a time."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import NotFoundError, SapError

SCHEMA_VERSION = 3
BUSY_TIMEOUT_MS = 30_000


def schema_version(path: Path) -> int:
    """The schema number stored in a catalogue file; 0 for a new or empty one."""
    if not path.exists() or path.stat().st_size == 0:
        return 0
    with _translate(path):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
        finally:
            connection.close()


def prepare(path: Path) -> None:
    """Make the catalogue if it is not there and bring an older one to today's schema.

    Raises SapError when the file is no catalogue or was made by a newer version.
    """
    found = schema_version(path)
    if found > SCHEMA_VERSION:
        raise SapError(
            f"{path} was made by a newer version (schema {found}, this is {SCHEMA_VERSION}).",
            "Update sap-tui, or choose another catalogue with --catalogue.",
        )
    if found == SCHEMA_VERSION:
        return
    from core.store.migrations import migrate

    _create_private(path)
    with _translate(path), Writer(path) as writer, writer.locked():
        migrate(writer.connection, SCHEMA_VERSION)


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection; rows come as sqlite3.Row. Raises NotFoundError when there is no such file."""
    if not path.exists():
        raise NotFoundError(f"There is no catalogue at {path}.", "Import a file first: sap-tui import FILE --task NAME")
    with _translate(path):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA query_only=ON")
        return connection


class Writer:
    """A connection that writes under the catalogue's lock file, so that commits and checkpoints never race.

    SQLite up to 3.51.2 can damage a WAL when two checkpoints race a commit; the lock removes the race.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = os.open(f"{path}.wlock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with _translate(path):
                self.connection = self._connect()
        except BaseException:
            os.close(self._lock)
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        with self.locked():
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        if mode != "wal":
            connection.close()
            raise SapError(
                f"The catalogue {self.path} cannot use SQLite's write-ahead log (journal mode {mode}).",
                "Choose a folder on a local disk: sap-tui --catalogue /local/disk/catalogue.db",
            )
        return connection

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One immediate transaction under the lock: wholly there afterwards, or wholly absent after an exception."""
        with self.locked():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self.locked():
            self.connection.close()
        os.close(self._lock)


def _create_private(path: Path) -> None:
    """Make the file readable by its owner only; SQLite gives its side files the same mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise SapError(
            f"The catalogue {path} cannot be made: {error.strerror}.", "Choose another place with --catalogue FILE."
        ) from error


@contextmanager
def _translate(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") in ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_CANTOPEN"):
            raise SapError(
                f"{path} cannot be opened as a catalogue: {error}.", "Choose another file with --catalogue FILE."
            ) from error
        raise
