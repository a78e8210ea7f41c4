"""Writing a file wholly or not at all, and naming files after text that is not trusted."""

from __future__ import annotations

import os
import re
import tempfile
import time
import unicodedata
from contextlib import suppress
from pathlib import Path

from core.errors import SapError
from core.text import visible

_TEMPORARY_SUFFIX = ".sap-tmp"
_LEFTOVER_AGE_SECONDS = 3_600.0
_LONGEST_NAME_BYTES = 120
_DEVICE_NAMES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)


def write_atomically(path: Path, text: str) -> None:
    """Put the text (UTF-8, mode 0600) at `path`, following a link; an existing file is replaced only by the whole.

    SapError naming the path if it cannot be written; what was there then stays.
    """
    content = text.encode("utf-8")
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise SapError(f"{visible(str(path))} is not a regular file.", "Name a file to write.")
        _remove_leftovers(target)
        _replace(target, content)
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
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


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
