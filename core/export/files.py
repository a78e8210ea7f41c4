"""Writing a file wholly or not at all, and naming files after text that is not trusted."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import SapError
from core.text import visible

_TEMPORARY_SUFFIX = ".sap-tmp"
_LEFTOVER_AGE_SECONDS = 3_600.0
_LONGEST_NAME_BYTES = 120
_SQLITE_START = b"SQLite format 3\0"
_BESIDE_DATABASE = ("-wal", "-shm", "-journal", ".wlock")
_DEVICE_NAMES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)


def check_target(path: Path, *, catalogue: Path, force: bool) -> None:
    """Raises SapError where no output must go: over an SQLite database, the catalogue or a file that belongs to one, or
    without `force` over any file.
    """
    with _named(path):
        target = Path(os.path.realpath(path))
        own = Path(os.path.realpath(catalogue))
        shown = visible(str(path))
        if database := _database_of(target, own):
            which = "the catalogue" if database == own else "an SQLite database"
            is_or_belongs = "is" if database == target else "belongs to"
            raise SapError(f"{shown} {is_or_belongs} {which}; no output goes there.", "Name another file.")
        if target.is_file() and not force:
            raise SapError(f"{shown} is there already.", "Replace it with --force.")


def write_atomically(path: Path, text: str) -> None:
    """Put the text (UTF-8) at `path`, following a link; an existing file is replaced only by the whole and keeps its
    mode, a new one has 0600.

    SapError naming the path if it cannot be written; what was there then stays.
    """
    content = text.encode("utf-8")
    with _named(path):
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise SapError(f"{visible(str(path))} is not a regular file.", "Name a file to write.")
        _remove_leftovers(target)
        _replace(target, content)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise SapError(f"Cannot write {visible(str(path))}: {reason}.", "Name a file that can be written.") from error


def export_path(folder: Path, name: str, suffix: str) -> Path:
    """A path inside `folder` for an export named after any text; `suffix` (".csv") is the program's own."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", unicodedata.normalize("NFC", name))[: _LONGEST_NAME_BYTES - len(suffix) - 1]
    if not plain or plain[0] in "-." or _DEVICE_NAMES.match(plain):
        plain = f"_{plain}"
    return folder / f"{plain}{suffix}"


def _replace(target: Path, content: bytes) -> None:
    # mkstemp creates with O_EXCL and mode 0600, in the same folder so that the rename stays on one file system.
    descriptor, temporary = tempfile.mkstemp(_TEMPORARY_SUFFIX, _temporary_prefix(target), target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _keep_access(descriptor, target)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


def _keep_access(descriptor: int, target: Path) -> None:
    """Who could read or write the file that is replaced still can, but no other group than its own."""
    try:
        old = target.stat()
    except FileNotFoundError:
        return
    with suppress(PermissionError):
        os.fchown(descriptor, -1, old.st_gid)
    is_same_group = os.fstat(descriptor).st_gid == old.st_gid
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & (0o777 if is_same_group else 0o707))


def _database_of(target: Path, catalogue: Path) -> Path | None:
    """The database that a file is or belongs to, if any."""
    beside = [(target, suffix) for suffix in _BESIDE_DATABASE] + [(folder, ".d") for folder in target.parents]
    owners = [
        each.with_name(each.name.removesuffix(suffix))
        for each, suffix in beside
        if each.name.endswith(suffix) and each.name != suffix
    ]
    return next((each for each in (target, *owners) if each == catalogue or _is_database(each)), None)


def _is_database(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE_START)) == _SQLITE_START


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_prefix(target: Path) -> str:
    # Room for the random part and the suffix in the 255 bytes of a file name.
    return f".{os.fsdecode(os.fsencode(target.name)[:200])}."


def _remove_leftovers(target: Path) -> None:
    """Unlink this target's old temporary files, which a killed writer left."""
    newest = time.time() - _LEFTOVER_AGE_SECONDS
    prefix = _temporary_prefix(target)
    for entry in os.scandir(target.parent):
        if not (entry.name.startswith(prefix) and entry.name.endswith(_TEMPORARY_SUFFIX)):
            continue
        with suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            if status.st_uid == os.getuid() and status.st_mtime < newest:
                os.unlink(entry.path)
