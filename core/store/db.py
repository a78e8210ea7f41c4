"""Connections to the catalogue: many readers that never wait, one writer at a time."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from core.errors import NotFoundError, SapError
from core.private_files import check_own_file, open_private, private_folder
from core.store.backups import UnsoundError, make_backup
from core.store.damage import DamagedError, check_after_crash, damage, explained, is_damage, mark_damaged
from core.store.file_systems import on_read_only_disk, probe, reading_uri, refuse_network
from core.store.in_use import Use, alone, refuse_in_use
from core.text import visible

SCHEMA_VERSION = 5
BUSY_TIMEOUT_MS = 30_000
CLOSING_TIMEOUT_MS = 200
MIGRATION_WAIT_SECONDS = 5.0
# What tells about the database and changes nothing.
READERS_PRAGMAS = frozenset(
    {
        "data_version", "foreign_key_check", "foreign_key_list", "index_info", "index_list", "integrity_check",
        "quick_check", "table_info", "table_xinfo", "user_version",
    }
)  # fmt: skip


def schema_version(path: Path) -> int:
    """The schema number stored in a catalogue file; 0 for a new or empty one.

    Raises SapError when it cannot be read, or is a database of something else.
    """
    if not path.exists() or path.stat().st_size == 0:
        return 0
    with _translate(path), closing(sqlite3.connect(reading_uri(path), uri=True)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "_sqlite_migrations" not in tables:
        raise SapError(
            f"{visible(str(path))} is a database, but no catalogue.", "Choose another file with --catalogue FILE."
        )
    return int(version)


def prepare(path: Path) -> None:
    """Make the catalogue if it is not there and bring an older one to today's schema, after a backup.

    A damaged one, or one of a newer version, stays as it is and can be read; `read_only_reason` says so. Raises
    SapError for a file that is no catalogue, a place that cannot be trusted with one, and an older one in use.
    """
    check_own_file(path)
    refuse_network(path)
    if schema_version(path) == 0:
        _create_private(path)
    else:
        check_after_crash(path)
    if schema_version(path) >= SCHEMA_VERSION or damage(path):
        return
    if on_read_only_disk(path):
        raise SapError(
            f"{visible(str(path))} was made by an older version, and on a read-only disk it cannot be updated.",
            "Copy it to another disk and name the copy with --catalogue FILE.",
        )
    with alone(path, MIGRATION_WAIT_SECONDS) as is_alone:
        version = schema_version(path)
        if version < SCHEMA_VERSION:
            if version:
                refuse_in_use(path, "brought to this version")
            if not is_alone:
                raise SapError(f"Another process works with {visible(str(path))}.", "Close it, then try again.")
            _migrate(path, version)


def _migrate(path: Path, version: int) -> None:
    """Called while nobody else can write."""
    from core.store.migrations import migrate

    try:
        if version:
            _back_up(path)
        with _translate(path), Writer(path, is_alone=True) as writer, writer.locked():
            migrate(writer.connection, SCHEMA_VERSION)
    except UnsoundError as error:
        raise mark_damaged(path, str(error)) from error


def _back_up(path: Path) -> None:
    try:
        make_backup(path)
    except SapError as error:
        raise SapError(
            f"This version updates {visible(str(path))} and backs it up before. {error.message}", error.hint
        ) from error


def read_only_reason(path: Path) -> SapError | None:
    """Why nobody may write to a catalogue: damage, a read-only disk, a newer version. None when all is well."""
    if found := damage(path):
        return found
    if on_read_only_disk(path):
        return SapError(
            f"{visible(str(path))} is on a read-only disk and can only be read.",
            "To change it, make the disk writable, or copy the file and name the copy with --catalogue FILE.",
        )
    try:
        version = schema_version(path)
    except DamagedError as error:
        return error
    if version <= SCHEMA_VERSION:
        return None
    return SapError(
        f"{visible(str(path))} was made by a newer version (schema {version}, this is {SCHEMA_VERSION}) and can only be"
        " read.",
        "Update sap-tui to change it, or choose another catalogue with --catalogue.",
    )


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection; rows come as sqlite3.Row. Raises NotFoundError when there is no such file."""
    if not path.exists():
        raise NotFoundError(
            f"There is no catalogue at {visible(str(path))}.", "Import a file first: sap-tui import FILE --task NAME"
        )
    with _translate(path):
        connection = sqlite3.connect(reading_uri(path), uri=True, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA query_only=ON")
        connection.set_authorizer(_allow_reading)
        return connection


class Writer:
    """A connection that writes under the catalogue's lock file, so that commits and checkpoints never race.

    SQLite up to 3.51.2 can damage a WAL when two checkpoints race a commit; the lock removes the race. Raises SapError
    for a catalogue that can only be read. `is_alone` says that the caller holds it for itself.
    """

    def __init__(self, path: Path, *, is_alone: bool = False) -> None:
        if reason := read_only_reason(path):
            raise reason
        self.path = path
        self._use = None if is_alone else Use(path)
        try:
            self._lock = _open_lock(path)
            with _translate(path):
                self.connection = self._connect(on_network=refuse_network(path))
        except BaseException:
            self._let_go()
            raise

    def _connect(self, *, on_network: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            # Shared memory, which the write-ahead log needs, does not reach over a network.
            wanted = ("delete", 3) if on_network else ("wal", 2)
            with self.locked():
                (mode,) = connection.execute(f"PRAGMA journal_mode={wanted[0]}").fetchone()
            connection.execute(f"PRAGMA synchronous={wanted[1]}")
            connection.execute("PRAGMA foreign_keys=ON")
            found = (mode, connection.execute("PRAGMA synchronous").fetchone()[0])
            if found != wanted:
                raise SapError(
                    f"The catalogue {visible(str(self.path))} cannot be written safely (journal mode {found[0]},"
                    f" synchronous {found[1]}).",
                    "Choose a folder on a local disk: sap-tui --catalogue /local/disk/catalogue.db",
                )
        except BaseException:
            connection.close()
            raise
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
        """One immediate transaction under the lock: wholly there afterwards, or wholly absent after an exception.

        Raises DamagedError when the catalogue turns out to be damaged, or somebody else found that since it was opened.
        """
        with self.locked():
            if found := damage(self.path):
                raise found
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException as error:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                if is_damage(error):
                    raise mark_damaged(self.path, str(error)) from error
                raise

    def close(self) -> None:
        try:
            with self.locked():
                try:
                    # Readers may stay, and then SQLite would leave the log as after a crash.
                    self.connection.execute(f"PRAGMA busy_timeout={CLOSING_TIMEOUT_MS}")
                    self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                except sqlite3.Error:
                    # All is committed; the next one to open the catalogue checks it.
                    pass
                self.connection.close()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if hasattr(self, "_lock"):
            os.close(self._lock)
        if self._use is not None:
            self._use.release()


def _create_private(path: Path) -> None:
    """Make the file readable by its owner only; SQLite gives its side files the same mode."""
    try:
        private_folder(path.parent)
        probe(path.parent)
        os.close(open_private(path, os.O_RDWR))
    except OSError as error:
        raise SapError(
            f"The catalogue {visible(str(path))} cannot be made: {error.strerror}.",
            "Choose another place with --catalogue FILE.",
        ) from error


def _open_lock(path: Path) -> int:
    lock = Path(f"{path}.wlock")
    try:
        return open_private(lock, os.O_RDWR)
    except OSError as error:
        raise SapError(f"{visible(str(lock))} cannot be opened: {error.strerror}.", "Move it away.") from error


def _allow_reading(action: int, name: str | None, *_: str | None) -> int:
    """A reader neither attaches other files nor changes how SQLite works, whatever reaches it as SQL."""
    if action == sqlite3.SQLITE_ATTACH or (action == sqlite3.SQLITE_PRAGMA and name not in READERS_PRAGMAS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


@contextmanager
def _translate(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB" and not damage(path) and not _has_backup(path):
            raise SapError(
                f"{visible(str(path))} cannot be opened as a catalogue: {error}.",
                "Choose another file with --catalogue FILE.",
            ) from error
        line = explained(error, path)
        if line is None:
            raise
        raise line from error


def _has_backup(path: Path) -> bool:
    from core.store.backups import backups

    return bool(backups(path))
