"""A damaged catalogue: found after an unclean end or when SQLite meets it, remembered, and opened for reading only."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from core.errors import SapError
from core.private_files import open_private, own_folder
from core.settings import state_folder
from core.store.backups import backups, sync_folder
from core.store.file_systems import on_read_only_disk, reading_uri
from core.store.in_use import alone
from core.text import visible

LONGEST_FINDING = 160
_MARK = "damaged"
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_CHECKPOINT_TIMEOUT_MS = 200


class DamagedError(SapError):
    """The catalogue is damaged; the text says how and what to do."""


def damage(path: Path) -> DamagedError | None:
    """What is known to be wrong with a catalogue; None as long as it counts as sound."""
    try:
        return damaged(path, _mark(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def damaged(path: Path, finding: str) -> DamagedError:
    """The line that says what is wrong and what to do."""
    remedies = [f"copy what can be read: sap-tui{_named(path)} backup --salvage NEW.db"]
    if newest := next(iter(backups(path)), None):
        remedies.insert(0, f"restore the backup of {newest.shown_time}: sap-tui{_named(path)} backup --restore latest")
    todo = ", or ".join(remedies)
    return DamagedError(
        f"{visible(str(path))} is damaged ({visible(finding)}) and can only be read.", f"{todo[0].upper()}{todo[1:]}"
    )


def mark_damaged(path: Path, finding: str) -> DamagedError:
    """Remember that a catalogue is damaged: from now on nobody writes to it. Returns the line for the user."""
    finding = " ".join(finding.split())[:LONGEST_FINDING]
    with suppress(OSError, SapError):
        own_folder(state_folder(path))
        descriptor = open_private(_mark(path), os.O_WRONLY | os.O_TRUNC)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(finding)
    return damaged(path, finding)


def forget_damage(path: Path) -> None:
    _mark(path).unlink(missing_ok=True)


def check_after_crash(path: Path) -> None:
    """Check a catalogue that was not closed properly, or that counts as damaged, unless somebody writes to it or nobody
    can.

    A sound one is tidied up, so that the next opening need not check it again; a damaged one is marked.
    """
    marked = _mark(path).exists()
    if on_read_only_disk(path) or not (marked or _was_left_open(path)):
        return
    with alone(path) as is_alone:
        if not is_alone:
            return
        finding = finding_of(path, thorough=marked)
        if finding:
            mark_damaged(path, finding)
            return
        forget_damage(path)
        _tidy(path)


def finding_of(path: Path, *, thorough: bool = False) -> str:
    """What SQLite's check says first about a catalogue; empty for a sound one."""
    check = "integrity_check" if thorough else "quick_check"
    try:
        with closing(sqlite3.connect(reading_uri(path), uri=True)) as reader:
            (verdict,) = reader.execute(f"PRAGMA {check}(1)").fetchone()
            broken = reader.execute("PRAGMA foreign_key_check").fetchone() if thorough else None
    except sqlite3.DatabaseError as error:
        return str(error) if is_damage(error) or thorough else ""
    if verdict != "ok":
        return str(verdict).splitlines()[-1]
    return f"a row of {broken[0]} belongs to nothing" if broken else ""


def explained(error: BaseException, path: Path) -> SapError | None:
    """The line for an error of SQLite's or a read-only disk; None for others, which mean a fault of the program."""
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return SapError(f"{visible(str(error.filename or path))} cannot be written: its disk is read-only.")
    if not isinstance(error, sqlite3.Error):
        return None
    name, shown = getattr(error, "sqlite_errorname", ""), visible(str(path))
    if is_damage(error):
        return mark_damaged(path, str(error))
    if name == "SQLITE_FULL":
        return SapError("The disk is full; nothing of this was kept.", "Free some space and try again.")
    if name.startswith("SQLITE_BUSY"):
        return SapError(f"Another process keeps {shown} busy.", "Try again in a moment.")
    if name.startswith(("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
        return _unusable(name, error, path)
    if found := damage(path):
        return found
    finding = finding_of(path, thorough=True)
    return mark_damaged(path, finding) if finding else None


def _unusable(name: str, error: BaseException, path: Path) -> SapError:
    shown = visible(str(path))
    if path.is_dir():
        return SapError(f"{shown} is a folder.", f"Name a file: --catalogue {visible(str(path / 'catalogue.db'))}")
    if name.startswith("SQLITE_IOERR"):
        return SapError(f"{shown} cannot be read or written: {error}.", "See whether the disk is full or faulty.")
    if name.startswith("SQLITE_CANTOPEN") and on_read_only_disk(path) and _was_left_open(path):
        return SapError(
            f"{shown} cannot be read: its log holds changes, and its disk is read-only.",
            f"Copy both files to another disk: cp {shown} {shown}-wal FOLDER",
        )
    return SapError(f"{shown} cannot be opened: {error}.", "See whether the file and its folder are yours.")


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file is damaged."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorname", "").startswith(_DAMAGE)


def _was_left_open(path: Path) -> bool:
    """Whether commits wait in the log: it is empty or gone after a proper end of the last writer."""
    log = Path(f"{path}-wal")
    return log.exists() and log.stat().st_size > 0


def _tidy(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, suppress(sqlite3.Error):
        connection.execute(f"PRAGMA busy_timeout={_CHECKPOINT_TIMEOUT_MS}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sync_folder(path.parent)


def _mark(path: Path) -> Path:
    return state_folder(path) / _MARK


def _named(path: Path) -> str:
    """The option that names this catalogue, where it is not the one taken by default."""
    from core.settings import catalogue_path

    return "" if path == catalogue_path() else f" --catalogue {visible(str(path))}"
