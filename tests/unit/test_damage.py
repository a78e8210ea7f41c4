"""Damaged catalogues: a view that can be read, a way back, or one clear line; never a traceback, never a lost file."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import SapError
from core.store import damage as module
from core.store.backups import make_backup
from core.store.check import problems
from core.store.damage import damage, explained, mark_damaged
from core.store.db import Writer, open_reader, prepare
from core.store.salvage import salvage
from sap_tui.cli import main
from tests.unit.test_migrations import old_catalogue

COPIES = 30
PAGE = 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with a ranking and one backup."""
    path = old_catalogue(tmp_path_factory.mktemp("sound"), 3)
    prepare(path)
    shutil.rmtree(f"{path}.d")
    make_backup(path)
    return path


@pytest.fixture
def copied(sound: Path, tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.db"
    shutil.copy(sound, path)
    shutil.copytree(f"{sound}.d", f"{path}.d")
    return path


def spoil(path: Path, seed: int) -> None:
    """Damage a file in one of the ways that disks and people have."""
    choice = random.Random(seed)
    content = bytearray(path.read_bytes())
    pages = len(content) // PAGE
    match seed % 6:
        case 0:
            for _ in range(choice.randint(1, 200)):
                content[choice.randrange(len(content))] ^= 1 << choice.randrange(8)
        case 1:
            start = choice.randrange(1, pages) * PAGE
            content[start : start + PAGE] = bytes(PAGE)
        case 2:
            start = choice.randrange(pages) * PAGE
            content[start : start + PAGE] = choice.randbytes(PAGE)
        case 3:
            del content[choice.randrange(1, len(content)) :]
        case 4:
            content[choice.randrange(100)] ^= choice.randrange(1, 256)
        case 5:
            a, b = (choice.randrange(pages) * PAGE for _ in "ab")
            content[a : a + PAGE], content[b : b + PAGE] = content[b : b + PAGE], content[a : a + PAGE]
    path.write_bytes(content)


@pytest.mark.parametrize("seed", range(COPIES))
def test_no_damage_ends_in_a_traceback(copied: Path, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    bear_damage(copied, capsys, seed)


def bear_damage(copied: Path, capsys: pytest.CaptureFixture[str], seed: int) -> str:
    """Spoil the copy, use it in every way and restore it; returns what it had come to."""
    spoil(copied, seed)
    spoiled = copied.read_bytes()

    def command(*arguments: str) -> int:
        code = main(["--catalogue", str(copied), *arguments])
        said = capsys.readouterr().err
        assert code in (0, 1, 3), (arguments, said)
        assert "Traceback" not in said
        if code and arguments != ("doctor",):
            assert len([line for line in said.splitlines() if line.startswith("sap-tui: ")]) == 1, said
        return code

    for arguments in (("list",), ("runs",), ("rank", "1"), ("show", "1", "terse", "1", "--tokens"), ("doctor",)):
        command(*arguments)
    written = command("strategy", "edit", "--task", "arithmetic", "terse", "--note", "short") == 0
    ending = "read only" if damage(copied) else "works" if written else "refused"
    if ending == "read only":
        assert written is False
        assert copied.read_bytes() == spoiled, "what is damaged stays as it is"
    new = copied.with_name("saved.db")
    if command("backup", "--salvage", str(new)) == 0:
        assert problems(open_reader(new)) == []
    assert command("backup", "--restore", "latest") == 0
    assert problems(open_reader(copied)) == []
    kept = next(file for file in copied.parent.glob("*.corrupt-*") if not file.name.endswith("-wal"))
    assert written or kept.read_bytes() == spoiled
    assert command("rank", "1") == 0
    assert command("strategy", "edit", "--task", "arithmetic", "terse", "--note", "short") == 0
    return ending


def test_a_marked_catalogue_is_read_and_not_written(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark_damaged(copied, "a page\x1b[31m is wrong")
    # Only a check that finds nothing lifts the mark.
    content = bytearray(copied.read_bytes())
    content[-2 * PAGE :] = bytes(2 * PAGE)
    copied.write_bytes(content)
    prepare(copied)
    assert main(["--catalogue", str(copied), "list"]) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is damaged" in said
    assert "backup --restore latest" in said
    assert "backup --salvage NEW.db" in said
    assert "\x1b" not in said
    with pytest.raises(SapError, match="is damaged"):
        Writer(copied)


def test_a_writer_that_meets_damage_stops_all_writers(copied: Path) -> None:
    with Writer(copied) as writer, Writer(copied) as other:
        with pytest.raises(SapError, match="is damaged"), writer.transaction():
            raise damage_told_by_sqlite()
        with pytest.raises(SapError, match="is damaged"), other.transaction():
            raise AssertionError


def damage_told_by_sqlite() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def test_a_mark_goes_when_the_check_finds_nothing(copied: Path) -> None:
    mark_damaged(copied, "a cable was loose")
    prepare(copied)
    assert damage(copied) is None
    Writer(copied).close()


def test_a_catalogue_is_checked_after_a_crash_only(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Path] = []
    real = module.finding_of

    def remember(path: Path, *, thorough: bool = False) -> str:
        checked.append(path)
        return real(path, thorough=thorough)

    monkeypatch.setattr(module, "finding_of", remember)
    prepare(copied)
    with Writer(copied):
        prepare(copied)
    assert checked == []
    script = (
        "import os, sys; from pathlib import Path; from core.store.db import Writer; w = Writer(Path(sys.argv[1]))\n"
        "with w.transaction() as c: c.execute('UPDATE tasks SET created_at = 1')\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(copied)], check=False)
    prepare(copied)
    prepare(copied)
    assert checked == [copied]
    with closing(open_reader(copied)) as reader:
        assert reader.execute("SELECT created_at FROM tasks").fetchone()[0] == 1


@pytest.mark.parametrize("end", range(8))
def test_a_log_cut_anywhere_holds_whole_transactions_only(copied: Path, end: int) -> None:
    """As after a loss of power."""
    with Writer(copied) as writer:
        for number in range(20):
            with writer.transaction() as connection:
                connection.execute("UPDATE tasks SET created_at = ?", (number,))
                connection.execute("UPDATE strategies SET created_at = ?", (number,))
        log = Path(f"{copied}-wal").read_bytes()
        main_file = copied.read_bytes()
    torn = copied.with_name("torn.db")
    torn.write_bytes(main_file)
    torn.chmod(0o600)
    cut = random.Random(end).randrange(len(log))
    Path(f"{torn}-wal").write_bytes(log[:cut] + (b"" if end % 2 else os.urandom(len(log) - cut)))
    prepare(torn)
    assert damage(torn) is None
    with closing(open_reader(torn)) as reader:
        (task,) = reader.execute("SELECT created_at FROM tasks").fetchone()
        assert {row[0] for row in reader.execute("SELECT created_at FROM strategies")} == {task} or task > 20
        assert problems(reader) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SQLITE_FULL", "disk is full"),
        ("SQLITE_IOERR_WRITE", "cannot be read or written"),
        ("SQLITE_BUSY", "busy"),
        ("SQLITE_READONLY_DIRECTORY", "cannot be opened"),
        ("SQLITE_CORRUPT_INDEX", "is damaged"),
    ],
)
def test_what_sqlite_meets_is_one_line(copied: Path, name: str, text: str) -> None:
    error = sqlite3.OperationalError("told by SQLite")
    error.sqlite_errorname = name
    line = explained(error, copied)
    assert line
    assert text in str(line)


@pytest.mark.parametrize("verb", [["list"], ["rank"], ["import", "a.jsonl", "--task", "a"]], ids=" ".join)
def test_a_folder_is_no_catalogue(tmp_path: Path, verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--catalogue", str(tmp_path), *verb]) == 1
    assert f"{tmp_path} is a folder." in capsys.readouterr().err


def test_a_fault_of_the_program_is_no_damage(copied: Path) -> None:
    with closing(open_reader(copied)) as reader, pytest.raises(sqlite3.OperationalError) as caught:
        reader.execute("SELECT nothing FROM nowhere")
    assert explained(caught.value, copied) is None
    assert explained(ValueError(), copied) is None
    assert damage(copied) is None


def test_salvage_copies_all_of_a_sound_catalogue(copied: Path) -> None:
    new = copied.with_name("new.db")
    saved = salvage(copied, new)
    assert (saved.gaps, saved.dropped, saved.replanned) == (0, 0, 0)
    with closing(open_reader(copied)) as old, closing(open_reader(new)) as fresh:
        dumps = [[line for line in each.iterdump() if "_sqlite_migrations" not in line] for each in (old, fresh)]
    assert dumps[0] == dumps[1]
    with pytest.raises(SapError, match="is there already"):
        salvage(copied, new)


def test_salvage_reads_around_a_lost_page(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scores are lost with it; the run is planned anew and finds those that are there."""
    with closing(sqlite3.connect(copied)) as connection:
        total = connection.execute("SELECT count(*) FROM token_scores").fetchone()[0]
        leaves = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'token_scores' AND pagetype = 'leaf' ORDER BY pageno"
        ).fetchall()
    content = bytearray(copied.read_bytes())
    start = (leaves[len(leaves) // 2][0] - 1) * PAGE
    content[start : start + PAGE] = bytes(PAGE)
    copied.write_bytes(content)
    new = copied.with_name("new.db")
    saved = salvage(copied, new)
    assert total // 2 < saved.rows["token_scores"] < total
    assert saved.gaps == 1
    assert saved.replanned == 1
    with closing(open_reader(new)) as reader:
        assert problems(reader) == []
        assert reader.execute("SELECT count(*) FROM scores").fetchone()[0] == saved.rows["token_scores"]
    assert main(["--catalogue", str(new), "runs"]) == 0
    assert "cancelled" in capsys.readouterr().out
