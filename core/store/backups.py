"""Backups of a catalogue beside it, numbered in the order they were made: three are kept, all of them sound."""

from __future__ import annotations

import glob
import os
import re
import shutil
import sqlite3
import tempfile
import time
from calendar import timegm
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import NotFoundError, SapError
from core.private_files import own_folder
from core.settings import state_folder
from core.text import visible

KEPT = 3
DAY_SECONDS = 86_400.0
_TIME = "%Y%m%d-%H%M%S"
_SUFFIX = ".db"
# A clock may be wrong or set back: the number says which is newer, the time in UTC is for people.
_NAME = re.compile(r"(?P<number>[0-9]+)-(?P<time>[0-9]{8}-[0-9]{6})Z")
_UNNUMBERED = 0
_UNFINISHED = ".sap-tmp"
_SPARE_BYTES = 32 << 20


class UnsoundError(Exception):
    """The copy failed SQLite's check; the text says how."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup: its file, when it was made in seconds since 1970, and its number, 0 where the name has none."""

    path: Path
    made_at: float
    size: int
    number: int = _UNNUMBERED

    @property
    def shown_time(self) -> str:
        """The time of day where it is today's, else the date too."""
        made = time.localtime(self.made_at)
        today = time.strftime("%Y%m%d") == time.strftime("%Y%m%d", made)
        return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", made)


def backups(catalogue: Path) -> list[Backup]:
    """The backups of a catalogue, newest first; those of versions that named them by local time come last."""
    found = []
    for path in _folder(catalogue).glob(f"*{_SUFFIX}"):
        with suppress(ValueError, OSError):
            found.append(_backup(path))
    return sorted(found, key=lambda backup: (backup.number, backup.path.name), reverse=True)


def _backup(path: Path) -> Backup:
    """Raises ValueError for a name that no backup has."""
    named, size = _NAME.fullmatch(path.stem), path.stat().st_size
    if named is None:
        return Backup(path, time.mktime(time.strptime(path.stem, _TIME)), size)
    return Backup(path, timegm(time.strptime(named["time"], _TIME)), size, int(named["number"]))


def find_backup(catalogue: Path, name: str) -> Backup:
    """The backup with this file name or path, or the newest one for `latest`. Raises NotFoundError."""
    found = backups(catalogue)
    if name == "latest" and found:
        return found[0]
    for backup in found:
        if name in (backup.path.name, backup.path.stem, str(backup.path)):
            return backup
    path = Path(name).expanduser()
    if path.is_file():
        return Backup(path, path.stat().st_mtime, path.stat().st_size)
    known = ", ".join(backup.path.name for backup in found)
    raise NotFoundError(f"There is no backup {name!r}.", f"Known: {known}" if known else "None was made yet.")


def is_due(catalogue: Path) -> bool:
    """Whether none was made within a day of now; one that a wrong clock dated into the future counts for nothing."""
    now = time.time()
    return all(abs(now - backup.made_at) >= DAY_SECONDS for backup in backups(catalogue))


def make_backup(catalogue: Path) -> Backup:
    """Copy the catalogue as it is at this moment; writers of other processes go on meanwhile. Older ones are dropped.

    Raises UnsoundError when the copy is damaged, which then is not kept, and SapError where none can be written.
    """
    folder = own_folder(_folder(catalogue))
    sweep_copies(folder)
    sweep_copies(catalogue.parent, catalogue.name)
    try:
        return _make_in(folder, catalogue)
    except OSError as error:
        raise SapError(
            f"No backup can be written in {visible(str(folder))}: {error.strerror}.",
            "See whether the folder is yours and its disk is sound and not full.",
        ) from error


def _make_in(folder: Path, catalogue: Path) -> Backup:
    needed = sum(_size(Path(f"{catalogue}{end}")) for end in ("", "-wal")) + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SapError(
            f"There is no room for a backup in {visible(str(folder))}: {free >> 20} MiB free, {needed >> 20} needed.",
            "Free some space.",
        )
    target = folder / _new_name(catalogue)
    with unfinished_copy(target) as copy, closing(_connect(catalogue)) as source:
        copy_database(source, copy)
    made = _backup(target)
    for old in backups(catalogue)[KEPT:]:
        if old.path != target:
            old.path.unlink(missing_ok=True)
    return made


@contextmanager
def unfinished_copy(target: Path) -> Iterator[Path]:
    """An empty private file beside `target` that takes its place at the end, or is gone after an exception."""
    descriptor, name = tempfile.mkstemp(_UNFINISHED, _start_of_copies(target.name), target.parent)
    os.close(descriptor)
    copy = Path(name)
    try:
        yield copy
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(copy, target)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def copy_database(source: sqlite3.Connection, copy: Path) -> None:
    """Copy a database into an empty file, which is one file afterwards. Raises UnsoundError when it is damaged."""
    with closing(sqlite3.connect(copy)) as target:
        try:
            # In one step: a copy in several would begin anew with every commit of somebody else.
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
            (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
                raise UnsoundError(str(error)) from error
            raise
    if verdict != "ok":
        raise UnsoundError(str(verdict).splitlines()[-1])


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _connect(catalogue: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{catalogue.absolute().as_uri()}?mode=ro", uri=True)


def _folder(catalogue: Path) -> Path:
    return state_folder(catalogue) / "backups"


def _new_name(catalogue: Path) -> str:
    number = 1 + max((backup.number for backup in backups(catalogue)), default=_UNNUMBERED)
    return f"{number:05d}-{time.strftime(_TIME, time.gmtime())}Z{_SUFFIX}"


def sweep_copies(folder: Path, name: str = "") -> None:
    """Remove what a killed backup or restore left of copies to a file of this name, or to any, once an hour old."""
    start = glob.escape(_start_of_copies(name)) if name else "."
    for path in folder.glob(f"{start}*{_UNFINISHED}*"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - 3_600:
                path.unlink()


def _start_of_copies(name: str) -> str:
    return f".{name[:100]}."


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
