"""Disk space for a catalogue: telling a full disk, and a small reserve that keeps wishes working on it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from core.private_files import open_private
from core.settings import state_folder

RESERVE_BYTES = 1 << 20
# SQLite's words for no space: as such, for a quota or a size limit, and for its shared memory.
_ERRORS = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")


def is_disk_full(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorname", "") in _ERRORS


def free_bytes(catalogue: Path) -> int:
    return shutil.disk_usage(catalogue.parent).free


def keep_reserve(catalogue: Path) -> None:
    """Take the reserve, unless space is short already."""
    reserve = _reserve(catalogue)
    if reserve.exists() or free_bytes(catalogue) < 4 * RESERVE_BYTES:
        return
    with suppress(OSError):
        descriptor = open_private(reserve, os.O_WRONLY)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        finally:
            os.close(descriptor)


def give_reserve(catalogue: Path) -> None:
    """Make room for small writes: what a user wishes, and what a run says of itself."""
    with suppress(OSError):
        _reserve(catalogue).unlink()


def _reserve(catalogue: Path) -> Path:
    return state_folder(catalogue) / "reserve"
