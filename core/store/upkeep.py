"""Keeping a catalogue safe: the backup of the day, and going back to one."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from core.errors import SapError
from core.private_files import open_private
from core.store.backups import (
    Backup,
    UnsoundError,
    copy_database,
    is_due,
    make_backup,
    sweep_copies,
    sync_folder,
    unfinished_copy,
)
from core.store.damage import damage, forget_damage, mark_damaged
from core.store.file_systems import reading_uri
from core.store.in_use import alone, refuse_in_use
from core.text import visible

SECONDS_BETWEEN_LOOKS = 600.0
# Of every version.
_TABLES = frozenset(("tasks", "questions", "strategies", "responses"))


def daily_backup(catalogue: Path) -> str:
    """Make a backup when none was made for a day; returns a line for a log, empty when there was nothing to do.

    For background processes: never raises for what the disk or the catalogue can do to it.
    """
    try:
        if damage(catalogue) or not is_due(catalogue):
            return ""
        return f"backup: {make_backup(catalogue).path}"
    except UnsoundError as error:
        return f"backup: {mark_damaged(catalogue, str(error))}"
    except (SapError, OSError, sqlite3.Error) as error:
        return f"backup: none was made: {visible(str(error))}"


@contextmanager
def daily_backups(catalogue: Path) -> Iterator[None]:
    """Make the backup of the day, from a thread of its own, at the start, whenever a day has passed, and at the end."""
    ending = threading.Event()

    def keep() -> None:
        while True:
            last = ending.is_set()
            if line := daily_backup(catalogue):
                print(line, file=sys.stderr)
            if last:
                return
            ending.wait(SECONDS_BETWEEN_LOOKS)

    thread = threading.Thread(target=keep, name="backups", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def restore(catalogue: Path, backup: Backup) -> Path | None:
    """Put a backup in the catalogue's place; what was there, with its log, is kept and its new path returned.

    At every moment there is a catalogue. Raises SapError when the backup is damaged or no catalogue, or when the
    catalogue is in use.
    """
    with alone(catalogue) as is_alone:
        refuse_in_use(catalogue, "replaced")
        if not is_alone:
            raise SapError(f"Another process works with {visible(str(catalogue))}.", "Close it, then try again.")
        sweep_copies(catalogue.parent, catalogue.name)
        try:
            with _lock(catalogue), unfinished_copy(catalogue) as copy:
                with closing(sqlite3.connect(reading_uri(backup.path), uri=True)) as source:
                    copy_database(source, copy)
                _check_is_catalogue(copy)
                kept = _keep_aside(catalogue)
        except UnsoundError as error:
            raise SapError(f"{_cannot_be_restored(backup)}: {error}.", "Choose another one.") from error
        except (sqlite3.Error, OSError) as error:
            raise SapError(
                f"{_cannot_be_restored(backup)}: {error}.", "See whether the disk is full or faulty."
            ) from error
        forget_damage(catalogue)
    return kept


def _cannot_be_restored(backup: Backup) -> str:
    return f"The backup {visible(str(backup.path))} cannot be restored"


def _check_is_catalogue(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not version or not tables >= _TABLES:
        raise UnsoundError("it is no catalogue")


def _keep_aside(catalogue: Path) -> Path | None:
    """Give the catalogue a second name and take its log along, which would spoil whatever comes in its place."""
    if not catalogue.exists():
        return None
    aside = _free_name(catalogue)
    try:
        os.link(catalogue, aside)
    except OSError:
        # exFAT and NTFS have no second names.
        with unfinished_copy(aside) as copy:
            shutil.copyfile(catalogue, copy)
    with suppress(FileNotFoundError):
        os.rename(f"{catalogue}-wal", f"{aside}-wal")
    with suppress(FileNotFoundError):
        os.unlink(f"{catalogue}-shm")
    sync_folder(catalogue.parent)
    return aside


def _free_name(catalogue: Path) -> Path:
    name = f"{catalogue}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}"
    names = (Path(f"{name}{f'-{number}' if number else ''}") for number in range(1_000))
    return next(each for each in names if not each.exists())


@contextmanager
def _lock(catalogue: Path) -> Iterator[None]:
    descriptor = open_private(Path(f"{catalogue}.wlock"), os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
