"""Where a catalogue may lie: on a file system that keeps SQLite's promises, and where only its owner can reach it."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import SapError
from core.private_files import check_own_file, open_private, own_folder, private_folder
from core.settings import config_path
from core.store import file_systems
from core.store.db import Writer, prepare
from core.store.file_systems import mount_of, probe, refuse_network

MOUNTS = """\
22 1 254:0 / / rw,relatime - {root} /dev/vda rw,discard
23 22 0:21 / /proc rw,relatime - proc proc rw
25 22 0:23 / /dev/shm rw,relatime shared:4 - tmpfs tmpfs rw,size=24684084k
30 22 0:40 / /home rw,relatime shared:9 master:2 - {home} server:/export/home rw,vers=4.2
31 30 0:41 / /home/a\\040b rw - ext4 /dev/vdb rw
32 22 0:42 / /home/later rw - autofs systemd-1 rw,fd=1
33 32 0:43 / /home/later rw - nfs4 server:/later rw
"""
NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "9p",
    "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.glusterfs",
)  # fmt: skip
LOCAL = ("ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuseblk", "fuse.fuse-overlayfs", "f2fs", "bcachefs")


def mounts(home: str = "ext4", root: str = "overlay") -> str:
    return MOUNTS.format(home=home, root=root)


@contextmanager
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("kind", NETWORK)
def test_network_file_systems_are_refused_with_a_remedy(kind: str) -> None:
    with pytest.raises(SapError, match=rf"network file system \({kind}\).* --catalogue /local/disk.*allow_network_fs"):
        refuse_network(Path("/home/user/sap/catalogue.db"), mounts(kind))


@pytest.mark.parametrize("kind", LOCAL)
def test_local_file_systems_and_those_of_containers_pass(kind: str) -> None:
    assert refuse_network(Path("/home/user/sap/catalogue.db"), mounts(kind)) is False
    assert refuse_network(Path("/opt/catalogue.db"), mounts(root=kind)) is False


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home", "nfs"),
        ("/home/x/y", "nfs"),
        ("/homework", "overlay"),
        ("/", "overlay"),
        ("/home/a b/c", "ext4"),
        ("/home/later/x", "nfs4"),
        ("/dev/shm", "tmpfs"),
    ],
)
def test_the_innermost_and_latest_mount_counts(folder: str, kind: str) -> None:
    found = mount_of(Path(folder), mounts("nfs"))
    assert found
    assert found.type == kind


@pytest.mark.parametrize("text", ["", "nonsense\n", "1 2 3 -\n", "22 1 254:0 / /\n", "a b c d / e - \n"])
def test_a_strange_mount_table_refuses_nothing(text: str) -> None:
    assert refuse_network(Path("/home/user/catalogue.db"), text) is False


def test_this_machine_passes(tmp_path: Path) -> None:
    assert mount_of(tmp_path)
    assert refuse_network(tmp_path / "catalogue.db") is False


def test_where_the_setting_allows_it_the_log_needs_no_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("22 1 254:0 / / rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(file_systems, "MOUNTS", table)
    path = tmp_path / "own" / "catalogue.db"
    with pytest.raises(SapError, match="network file system"):
        prepare(path)
    assert not path.exists()
    config_path().write_text("allow_network_fs = true\n")
    prepare(path)
    with Writer(path) as writer:
        assert writer.connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
        assert writer.connection.execute("PRAGMA synchronous").fetchone()[0] == 3
        with writer.transaction() as connection:
            connection.execute("INSERT INTO tasks (name, created_at) VALUES ('a', 0)")
    assert not Path(f"{path}-wal").exists()


def test_a_file_system_that_only_claims_to_work_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe(tmp_path)

    class Lying(sqlite3.Connection):
        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            if sql.startswith("CREATE"):
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *values)  # type: ignore[arg-type]

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *names, **more: real(*names, **more, factory=Lying))
    with pytest.raises(SapError, match=r"SQLite cannot work in .*disk I/O error.*local disk"):
        prepare(tmp_path / "catalogue.db")
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_private_all_the_way(tmp_path: Path) -> None:
    with no_umask():
        prepare(tmp_path / "a" / "b" / "catalogue.db")
        private_folder(tmp_path / "c" / "d")
    for name in ("a", "a/b", "a/b/catalogue.db.d", "c", "c/d"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700, name


def test_a_folder_of_ours_is_tightened(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o755)
    assert stat.S_IMODE(own_folder(folder).stat().st_mode) == 0o700


def test_a_folder_that_everybody_can_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    with pytest.raises(SapError, match=r"Everybody can write .*chmod 700"):
        own_folder(folder)
    with pytest.raises(SapError, match=rf"Everybody can write .*--catalogue {folder}/NAME/catalogue.db"):
        prepare(folder / "catalogue.db")
    prepare(folder / "NAME" / "catalogue.db")
    assert [each.name for each in folder.iterdir()] == ["NAME"]


def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalogue.db"
    prepare(path)
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    for check, place in ((check_own_file, path), (own_folder, tmp_path)):
        with pytest.raises(SapError, match="belongs to another user"):
            check(place)


@pytest.mark.parametrize("name", ["catalogue.db", "catalogue.db.d", "catalogue.db.wlock"])
def test_links_are_not_followed(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir() if name.endswith(".d") else victim.touch()
    own = tmp_path / "own"
    own.mkdir()
    (own / name).symlink_to(victim)
    with pytest.raises(SapError, match=r"link|Too many levels|Not a directory"):
        prepare(own / "catalogue.db")
    assert (list(victim.iterdir()) if victim.is_dir() else victim.read_bytes()) in ([], b"")


def test_private_files_follow_no_link(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Too many levels"):
        open_private(tmp_path / "log", os.O_WRONLY)
    assert not (tmp_path / "elsewhere").exists()
