"""Folders and files that only their owner can read, and places that cannot be trusted with them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from core.errors import SapError
from core.text import visible


def private_folder(folder: Path) -> Path:
    """Make a folder, and those above it that are missing, with mode 0700; returns it. Raises OSError."""
    missing = []
    while not folder.exists() and not folder.is_symlink():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
        folder = each
    return folder


def own_folder(folder: Path) -> Path:
    """A folder for files of ours alone: made if it is not there, and tightened to mode 0700.

    Raises SapError where it is a link, belongs to somebody else, or could be written by everybody.
    """
    try:
        private_folder(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SapError(f"The folder {_shown(folder)} cannot be used: {error.strerror}.", "Move it away.") from error
    try:
        status = os.fstat(descriptor)
        _refuse_foreign(folder, status)
        if status.st_mode & stat.S_IWOTH:
            raise SapError(
                f"Everybody can write to the folder {_shown(folder)}.",
                f"See whether its files are yours, then: chmod 700 {_shown(folder)}",
            )
        if stat.S_IMODE(status.st_mode) & 0o077:
            os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)
    return folder


def open_private(path: Path, flags: int) -> int:
    """Open a file of ours, made with mode 0600, and return its descriptor. Raises OSError, also where it is a link."""
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def check_own_file(path: Path) -> None:
    """Raises SapError where a file of ours is a link, belongs to somebody else, or lies where everybody can write."""
    parent = path.parent
    if parent.exists() and parent.stat().st_mode & stat.S_IWOTH:
        raise SapError(
            f"Everybody can write to the folder {_shown(parent)}.",
            f"Name one of your own, made if it is not there: --catalogue {_shown(parent / 'NAME' / path.name)}",
        )
    if path.is_symlink():
        raise SapError(f"{_shown(path)} is a link.", f"Name the file itself: --catalogue {_shown(path.resolve())}")
    if path.exists():
        _refuse_foreign(path, path.stat())


def _refuse_foreign(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise SapError(f"{_shown(path)} belongs to another user.", "Choose a file of your own with --catalogue FILE.")


def _shown(path: Path) -> str:
    return visible(str(path))
