"""A catalogue on a disk mounted for reading only: everything can be read, and what would write says why it cannot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.store.db import Writer
from tests.conftest import ROOT
from tests.jobs.test_full_disk import UNSHARE, can_have_own_disks
from tests.unit.scored_runs import scored_run
from tests.unit.test_migrations import old_catalogue

MOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
READ_ONLY = "is on a read-only disk and can only be read."


@pytest.fixture(autouse=True)
def _own_disks() -> None:
    if not can_have_own_disks():
        pytest.skip("NOT TESTED: this machine allows no user namespaces, so there is no disk to mount read-only")


def sap_tui(catalogue: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, where the catalogue's folder is mounted read-only."""
    command = [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(catalogue), *arguments]
    return subprocess.run(
        [*UNSHARE, "sh", "-c", MOUNT, str(catalogue.parent), *command],
        capture_output=True, text=True, cwd=ROOT, timeout=100, check=False,
    )  # fmt: skip


def drop_log(catalogue: Path) -> None:
    """As a copy of the file alone has none."""
    for end in ("-wal", "-shm"):
        Path(f"{catalogue}{end}").unlink(missing_ok=True)


@pytest.mark.parametrize("has_log", [False, True])
def test_everything_can_be_read(catalogue: Path, stand_in_model: Path, *, has_log: bool) -> None:
    scored_run(catalogue, stand_in_model)
    drop_log(catalogue)
    if has_log:
        Path(f"{catalogue}-wal").touch()
    for arguments in (["list"], ["runs"], ["runs", "1"], ["rank"], ["compare", "1", "plain", "chatty"]):
        done = sap_tui(catalogue, *arguments)
        assert (done.returncode, READ_ONLY in done.stderr) == (0, True), done
        assert "plain" in done.stdout or "sums" in done.stdout


def test_what_writes_is_refused_in_one_line(catalogue: Path) -> None:
    drop_log(catalogue)
    before = sorted(catalogue.parent.rglob("*"))
    for arguments in (["task", "rename", "sums", "other"], ["backup"], ["free"]):
        done = sap_tui(catalogue, *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        assert "read-only" in done.stderr.lower(), done
    assert sorted(catalogue.parent.rglob("*")) == before


def test_doctor_says_so(catalogue: Path) -> None:
    drop_log(catalogue)
    done = sap_tui(catalogue, "doctor")
    assert READ_ONLY in done.stdout
    assert "no runner can work on a read-only disk" in done.stdout
    assert "fault" not in done.stderr


def test_commits_that_wait_in_the_log_are_not_left_out(catalogue: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copied" / "catalogue.db"
    copy.parent.mkdir(mode=0o700)
    with Writer(catalogue) as writer:
        with writer.transaction() as connection:
            connection.execute("UPDATE strategies SET name = 'renamed' WHERE name = 'plain'")
        for end in ("", "-wal"):
            shutil.copy(f"{catalogue}{end}", f"{copy}{end}")
    done = sap_tui(copy, "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert "its log holds changes, and its disk is read-only. Copy both files" in done.stderr


def test_an_older_one_is_not_updated(tmp_path: Path) -> None:
    path = old_catalogue(tmp_path, 4)
    before = path.read_bytes()
    done = sap_tui(path, "list")
    assert (done.returncode, done.stdout, path.read_bytes()) == (1, "", before)
    assert "made by an older version, and on a read-only disk it cannot be updated" in done.stderr
