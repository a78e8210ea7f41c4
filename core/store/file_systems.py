"""Which file system a catalogue is on: over a network SQLite's locks fail, and a read-only one takes no side files."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.errors import SapError
from core.settings import settings_or_defaults
from core.text import visible

MOUNTS = Path("/proc/self/mountinfo")
NETWORK_TYPES = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs",
        "panfs", "pvfs2", "smb3", "smbfs", "wekafs",
    }
)  # fmt: skip
# Any other file system in user space may be a network behind a local name: sshfs, rclone, s3fs, glusterfs.
LOCAL_FUSE_TYPES = frozenset(
    ("fuse.ext2", "fuse.ext4", "fuse.exfat", "fuse.fuse-overlayfs", "fuse.fuse2fs", "fuse.ntfs", "fuse.ntfs-3g")
)


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a file system is mounted, and its type as the kernel names it."""

    point: str
    type: str

    @property
    def is_network(self) -> bool:
        if self.type.startswith("fuse."):
            return self.type not in LOCAL_FUSE_TYPES
        return self.type in NETWORK_TYPES


def mount_of(folder: Path, text: str | None = None) -> Mount | None:
    """The mount that a folder is on, by the text of /proc/self/mountinfo; None where the kernel has no such file."""
    if text is None:
        try:
            text = os.fsdecode(MOUNTS.read_bytes())
        except OSError:
            return None
    place = os.path.realpath(folder)
    found: Mount | None = None
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        mount = Mount(_unescaped(fields[4]), after.split(" ")[0])
        # Of two mounts on one point the later one hides the earlier.
        if _holds(mount.point, place) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def refuse_network(path: Path, mounts: str | None = None) -> bool:
    """Whether the catalogue is on a network file system that the settings allow; raises SapError if they do not."""
    mount = mount_of(path.parent, mounts)
    if mount is None or not mount.is_network:
        return False
    if settings_or_defaults().allow_network_fs:
        return True
    raise SapError(
        f"{visible(str(path.parent))} is on a network file system ({visible(mount.type)}), where SQLite can lose data.",
        "Keep the catalogue on a local disk: --catalogue /local/disk/catalogue.db (or SAP_TUI_CATALOGUE). At your own"
        " risk, on one machine at a time: sap-tui settings allow_network_fs true",
    )


def on_read_only_disk(path: Path) -> bool:
    """Whether a file is there on a disk that nobody can write to."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def reading_uri(path: Path) -> str:
    """The address to open a database at for reading only.

    Without the two side files of its write-ahead log, which cannot be made on a read-only disk, SQLite reads it only as
    a file that nobody changes. With commits waiting in the log that would leave them out.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    log = Path(f"{path}-wal")
    has_both = log.exists() and Path(f"{path}-shm").exists()
    is_whole = not log.exists() or log.stat().st_size == 0
    return f"{uri}&immutable=1" if on_read_only_disk(path) and is_whole and not has_both else uri


def probe(folder: Path) -> None:
    """Write a scratch database as the catalogue would be written and read it back.

    Raises SapError where that fails, for some file systems only claim to have what the write-ahead log needs, and
    OSError where nothing can be written at all.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".sap-probe-", dir=folder) as scratch:
            _write_and_read(Path(scratch) / "probe.db")
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
        raise SapError(
            f"SQLite cannot work in {visible(str(folder))}: {error}.",
            "Free some space." if full else "Choose a folder on a local disk: --catalogue /local/disk/catalogue.db",
        ) from error


def _write_and_read(path: Path) -> None:
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        (mode,) = writer.execute("PRAGMA journal_mode=WAL").fetchone()
        writer.execute("PRAGMA synchronous=FULL")
        writer.execute("CREATE TABLE probe (value INTEGER)")
        writer.execute("INSERT INTO probe VALUES (1)")
        reader = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            rows = reader.execute("SELECT value FROM probe").fetchall()
        finally:
            reader.close()
    finally:
        writer.close()
    if mode != "wal" or rows != [(1,)]:
        raise sqlite3.OperationalError(f"journal mode {mode}, read {rows}")


def _holds(point: str, place: str) -> bool:
    return place == point or place.startswith(point.rstrip("/") + "/")


def _unescaped(field: str) -> str:
    """mountinfo writes blanks, tabs, line breaks and backslashes of a name as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
