"""Backups of a catalogue: sound, private, three of them, and a way back that never leaves nothing."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from time import gmtime

import pytest

from core.errors import NotFoundError, SapError
from core.store.backups import KEPT, backups, find_backup, make_backup, unfinished_copy
from core.store.check import problems
from core.store.damage import damage, mark_damaged
from core.store.db import Writer, open_reader
from core.store.upkeep import daily_backup, daily_backups, restore
from sap_tui.cli import main
from tests.conftest import wait_until


def strategies(path: Path) -> list[str]:
    with closing(open_reader(path)) as reader:
        return [row["name"] for row in reader.execute("SELECT name FROM strategies ORDER BY name")]


def rename(path: Path, name: str) -> None:
    with Writer(path) as writer, writer.transaction() as connection:
        connection.execute("UPDATE strategies SET name = ? WHERE name = 'plain'", (name,))


def test_a_backup_is_one_private_sound_file(catalogue: Path) -> None:
    made = make_backup(catalogue)
    assert [file.name for file in made.path.parent.iterdir()] == [made.path.name]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700
    assert problems(open_reader(made.path)) == []
    assert strategies(made.path) == strategies(catalogue)
    assert abs(backups(catalogue)[0].made_at - time.time()) < 5


def test_three_are_kept(catalogue: Path) -> None:
    made = [make_backup(catalogue).path for _ in range(KEPT + 2)]
    assert [backup.path for backup in backups(catalogue)] == made[::-1][:KEPT]


@pytest.fixture
def clock_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the time zone of this process."""

    def set_zone(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


def test_the_newest_is_the_one_made_last_in_whatever_zone(catalogue: Path, clock_in: Callable[[str], None]) -> None:
    clock_in("Asia/Tokyo")
    for _ in range(KEPT):
        make_backup(catalogue)
    clock_in("America/Los_Angeles")
    made = make_backup(catalogue)
    assert (backups(catalogue)[0], len(backups(catalogue))) == (made, KEPT)
    assert abs(made.made_at - time.time()) < 5


def test_the_newest_is_the_one_made_last_whatever_the_clock_said(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    with monkeypatch.context() as patched:
        patched.setattr(time, "gmtime", lambda: gmtime(now() + 365 * 86_400))
        make_backup(catalogue)
    rename(catalogue, "renamed")
    make_backup(catalogue)
    restore(catalogue, find_backup(catalogue, "latest"))
    assert strategies(catalogue) == ["chatty", "renamed"]


def test_backups_named_by_local_time_are_older(catalogue: Path) -> None:
    folder = make_backup(catalogue).path.parent
    backups(catalogue)[0].path.rename(folder / "20990101-000000.db")
    for day in (2, 3):
        shutil.copy(folder / "20990101-000000.db", folder / f"2099010{day}-000000.db")
    made = make_backup(catalogue)
    assert [backup.path.name for backup in backups(catalogue)] == [
        made.path.name, "20990103-000000.db", "20990102-000000.db"
    ]  # fmt: skip
    assert time.localtime(backups(catalogue)[1].made_at).tm_mday == 3


def test_a_backup_beside_a_busy_writer_is_a_moment_of_it(catalogue: Path) -> None:
    """And the writer goes on meanwhile."""
    ending, written = threading.Event(), [0]

    def write() -> None:
        with Writer(catalogue) as writer:
            while not ending.is_set():
                with writer.transaction() as connection:
                    connection.execute("UPDATE tasks SET created_at = created_at + 1")
                    connection.execute("UPDATE strategies SET created_at = (SELECT created_at FROM tasks)")
                written[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        wait_until(lambda: written[0])
        for _ in range(3):
            before = written[0]
            with closing(open_reader(make_backup(catalogue).path)) as reader:
                assert len({row[0] for row in reader.execute("SELECT created_at FROM strategies")}) == 1
            wait_until(partial(_is_more, written, before))
    finally:
        ending.set()
        thread.join()


def _is_more(counter: list[int], before: int) -> bool:
    return counter[0] > before


def test_a_damaged_catalogue_drives_no_good_backup_out(catalogue: Path) -> None:
    good = make_backup(catalogue).path
    content = bytearray(catalogue.read_bytes())
    content[4096 * 3 : 4096 * 8] = os.urandom(4096 * 5)
    catalogue.write_bytes(content)
    old = time.time() - 90_000
    os.rename(good, good.with_name(time.strftime("%Y%m%d-%H%M%S.db", time.localtime(old))))
    for _ in range(KEPT + 1):
        daily_backup(catalogue)
    assert len(backups(catalogue)) == 1
    assert damage(catalogue)


def test_once_a_day(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert daily_backup(catalogue).startswith("backup: ")
    assert daily_backup(catalogue) == ""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_401)
    assert daily_backup(catalogue)
    monkeypatch.setattr(time, "time", lambda: now - 86_401)
    assert daily_backup(catalogue), "a clock that was wrong must not stop backups"


def test_the_runner_makes_it_at_the_start_and_the_end(catalogue: Path) -> None:
    with daily_backups(catalogue):
        wait_until(lambda: backups(catalogue))
        backups(catalogue)[0].path.unlink()
    assert len(backups(catalogue)) == 1


def test_no_room_is_one_line(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(catalogue)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(SapError, match=r"no room for a backup .* 1 MiB free"):
        make_backup(catalogue)
    assert "none was made" in daily_backup(catalogue)


def test_where_none_can_be_written_that_is_one_line(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(SapError, match=r"No backup can be written in .*: Permission denied\."):
        make_backup(catalogue)


def test_a_failed_backup_leaves_nothing(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in daily_backup(catalogue)
    assert list((catalogue.parent / "catalogue.db.d" / "backups").iterdir()) == []


def test_restoring_keeps_what_was_there(catalogue: Path) -> None:
    make_backup(catalogue)
    rename(catalogue, "renamed")
    mark_damaged(catalogue, "for the test")
    kept = restore(catalogue, find_backup(catalogue, "latest"))
    assert strategies(catalogue) == ["chatty", "plain"]
    assert not damage(catalogue)
    assert kept
    assert strategies(kept) == ["chatty", "renamed"]
    rename(catalogue, "again")
    assert strategies(catalogue) == ["again", "chatty"]


def test_the_log_goes_with_the_file_it_belongs_to(catalogue: Path) -> None:
    """The log of a crashed writer beside a restored file would spoil it."""
    make_backup(catalogue)
    script = (
        "import os, sys; from pathlib import Path; from core.store.db import Writer; w = Writer(Path(sys.argv[1]))\n"
        "with w.transaction() as c: c.execute(\"UPDATE strategies SET name = 'crashed' WHERE name = 'plain'\")\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(catalogue)], check=False)
    assert Path(f"{catalogue}-wal").stat().st_size
    kept = restore(catalogue, find_backup(catalogue, "latest"))
    assert strategies(catalogue) == ["chatty", "plain"]
    assert kept
    assert strategies(kept) == ["chatty", "crashed"]


def test_a_restore_killed_at_any_step_leaves_a_catalogue(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_backup(catalogue)
    rename(catalogue, "renamed")
    content = catalogue.read_bytes()

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    for name in ("link", "rename", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, name, die)
            with suppress(Killed):
                restore(catalogue, find_backup(catalogue, "latest"))
        assert strategies(catalogue) in (["chatty", "renamed"], ["chatty", "plain"])
        assert content in [file.read_bytes() for file in catalogue.parent.glob("catalogue.db*") if file.is_file()]


def test_a_catalogue_in_use_is_not_replaced(catalogue: Path) -> None:
    make_backup(catalogue)
    with Writer(catalogue), pytest.raises(SapError, match="Another process works with"):
        restore(catalogue, find_backup(catalogue, "latest"))


def test_a_damaged_backup_is_not_restored(catalogue: Path) -> None:
    backup = make_backup(catalogue)
    backup.path.write_bytes(backup.path.read_bytes()[:5000])
    with pytest.raises(SapError, match="cannot be restored"):
        restore(catalogue, backup)
    assert strategies(catalogue) == ["chatty", "plain"]


@pytest.mark.parametrize("what", ["empty", "empty database", "foreign"])
def test_what_is_no_catalogue_is_not_restored(catalogue: Path, tmp_path: Path, what: str) -> None:
    foreign = tmp_path / "foreign.db"
    foreign.touch()
    if what != "empty":
        with closing(sqlite3.connect(foreign)) as connection:
            connection.execute("VACUUM" if what == "empty database" else "CREATE TABLE t (a)")
            connection.execute("PRAGMA user_version=3")
    with pytest.raises(SapError, match=r"cannot be restored: it is no catalogue\. Choose another one\."):
        restore(catalogue, find_backup(catalogue, str(foreign)))
    assert strategies(catalogue) == ["chatty", "plain"]
    assert not list(tmp_path.glob("*.corrupt-*"))


def test_restoring_where_a_file_has_one_name_only(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    make_backup(catalogue)
    rename(catalogue, "renamed")
    content = catalogue.read_bytes()
    monkeypatch.setattr(os, "link", refuse)
    kept = restore(catalogue, find_backup(catalogue, "latest"))
    assert strategies(catalogue) == ["chatty", "plain"]
    assert kept
    assert (kept.read_bytes(), stat.S_IMODE(kept.stat().st_mode)) == (content, 0o600)


def test_a_restore_that_the_disk_refuses_is_one_line(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_backup(catalogue)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(SapError, match=r"cannot be restored: .*No space left"):
        restore(catalogue, find_backup(catalogue, "latest"))
    assert strategies(catalogue) == ["chatty", "plain"]


def test_backups_are_found_by_name(catalogue: Path) -> None:
    with pytest.raises(NotFoundError, match="None was made yet"):
        find_backup(catalogue, "latest")
    made = make_backup(catalogue)
    for name in ("latest", made.path.name, made.path.stem, str(made.path)):
        assert find_backup(catalogue, name).path == made.path
    with pytest.raises(NotFoundError, match=made.path.name):
        find_backup(catalogue, "20010101-000000.db")


def test_the_command(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(["--catalogue", str(catalogue), "backup", *arguments])
        return code, *capsys.readouterr()

    code, printed, _ = command()
    assert (code, Path(printed.strip()).exists()) == (0, True)
    assert command("--list")[1].splitlines()[0].endswith(printed.strip())
    rename(catalogue, "renamed")
    assert "is as it was" in command("--restore", "latest")[1]
    assert strategies(catalogue) == ["chatty", "plain"]
    assert command("--restore", "nothing")[0] == 3
    assert command("--json")[0] == 2


def test_sweeping_leaves_young_copies_alone(catalogue: Path) -> None:
    folder = make_backup(catalogue).path.parent
    young, old = folder / ".x.db.1.sap-tmp", folder / ".x.db.2.sap-tmp"
    young.touch()
    old.touch()
    os.utime(old, (0, 0))
    make_backup(catalogue)
    assert (young.exists(), old.exists()) == (True, False)


def test_what_a_killed_restore_left_is_swept(catalogue: Path) -> None:
    backup = make_backup(catalogue)
    for use in (lambda: make_backup(catalogue), lambda: restore(catalogue, backup)):
        young, old = (catalogue.with_name(f".{catalogue.name}.abcdefg{end}.sap-tmp") for end in "12")
        journal, foreign = Path(f"{old}-journal"), catalogue.with_name(".else.db.abcdefgh.sap-tmp")
        for each in (young, old, journal, foreign):
            each.touch()
        for each in (old, journal, foreign):
            os.utime(each, (0, 0))
        use()
        assert [each.exists() for each in (young, old, journal, foreign)] == [True, False, False, True]


def test_an_interrupted_copy_is_no_backup(catalogue: Path) -> None:
    with pytest.raises(sqlite3.ProgrammingError), unfinished_copy(catalogue.parent / "copy.db"):
        raise sqlite3.ProgrammingError
    assert not [file for file in catalogue.parent.iterdir() if "copy" in file.name]
