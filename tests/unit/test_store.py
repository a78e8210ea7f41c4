"""The catalogue file: private, one writer at a time, all or nothing, never opened by an older program."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import NotFoundError, SapError
from core.store.check import problems
from core.store.db import SCHEMA_VERSION, Writer, open_reader, prepare, schema_version
from core.store.migrations import migrate
from sap_tui.cli import main


def test_a_new_catalogue_is_private_and_sound(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "catalogue.db"
    before = os.umask(0)
    try:
        prepare(path)
        with Writer(path) as writer, writer.transaction() as connection:
            connection.execute("INSERT INTO tasks (name, created_at) VALUES ('a', 0)")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert {name.removeprefix("catalogue.db") for name in modes} == {"", "-wal", "-shm", ".wlock", ".d"}
    assert modes.pop("catalogue.db.d") == 0o700
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert schema_version(path) == SCHEMA_VERSION
    assert problems(open_reader(path)) == []


def test_durability_settings_hold(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    prepare(path)
    with Writer(path) as writer:
        assert writer.connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert writer.connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert writer.connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    prepare(path)

    def insert_and_fail(writer: Writer) -> None:
        with writer.transaction() as connection:
            connection.execute("INSERT INTO tasks (name, created_at) VALUES ('a', 0)")
            raise ZeroDivisionError

    with Writer(path) as writer:
        with pytest.raises(ZeroDivisionError):
            insert_and_fail(writer)
        with writer.transaction() as connection:
            connection.execute("INSERT INTO tasks (name, created_at) VALUES ('b', 0)")
    assert [row["name"] for row in open_reader(path).execute("SELECT name FROM tasks")] == ["b"]


def test_a_failed_migration_leaves_the_old_file(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "catalogue.db", isolation_level=None)
    connection.execute("CREATE TABLE scores (in_the_way INTEGER)")
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, SCHEMA_VERSION)
    assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")] == ["scores"]
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 0


def test_readers_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    prepare(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        open_reader(path).execute("DELETE FROM tasks")


def test_two_writers_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    prepare(path)
    failures: list[BaseException] = []

    def write(name: str) -> None:
        try:
            with Writer(path) as writer:
                for number in range(40):
                    with writer.transaction() as connection:
                        connection.execute("SELECT count(*) FROM tasks").fetchone()
                        connection.execute("INSERT INTO tasks (name, created_at) VALUES (?, 0)", (f"{name}{number}",))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert open_reader(path).execute("SELECT count(*) FROM tasks").fetchone()[0] == 80


def test_a_newer_catalogue_can_be_read_and_not_written(
    catalogue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = sqlite3.connect(catalogue)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.commit()
    connection.close()
    before = catalogue.read_bytes()
    prepare(catalogue)
    with pytest.raises(SapError, match=f"newer version .schema {SCHEMA_VERSION + 1}, this is {SCHEMA_VERSION}"):
        Writer(catalogue)
    assert main(["--catalogue", str(catalogue), "list"]) == 0
    output = capsys.readouterr()
    assert "chatty" in output.out
    assert output.err.count("newer version") == 1
    assert main(["--catalogue", str(catalogue), "strategy", "delete", "--task", "sums", "plain"]) == 1
    assert capsys.readouterr().err.count("newer version") == 1
    assert catalogue.read_bytes() == before


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "places.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SapError, match="is a database, but no catalogue"):
        prepare(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH DATABASE '{other}' AS other",
        "PRAGMA query_only=OFF",
        "PRAGMA writable_schema=ON",
        "PRAGMA journal_mode=DELETE",
        "SELECT load_extension('x')",
        "VACUUM INTO '{other}'",
    ],
)
def test_readers_neither_attach_nor_change_how_sqlite_works(tmp_path: Path, statement: str) -> None:
    path, other = tmp_path / "catalogue.db", tmp_path / "other.db"
    prepare(path)
    with closing(open_reader(path)) as reader, pytest.raises(sqlite3.DatabaseError, match=r"authori|readonly"):
        reader.execute(statement.format(other=other))
    assert not other.exists()


def test_every_reference_has_an_index(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    prepare(path)
    reader = open_reader(path)
    without = []
    for (table,) in reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        begins = {
            reader.execute(f"PRAGMA index_info({index['name']})").fetchone()["name"]
            for index in reader.execute(f"PRAGMA index_list({table})").fetchall()
        }
        begins |= {row["name"] for row in reader.execute(f"PRAGMA table_info({table})") if row["pk"] == 1}
        keys = reader.execute(f"PRAGMA foreign_key_list({table})").fetchall()
        without += [f"{table}.{key['from']}" for key in keys if key["from"] not in begins]
    assert without == []


def test_a_writer_takes_the_log_along_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    prepare(path)
    with closing(open_reader(path)) as reader:
        with Writer(path) as writer, writer.transaction() as connection:
            connection.execute("INSERT INTO tasks (name, created_at) VALUES ('a', 0)")
        assert reader.execute("SELECT count(*) FROM tasks").fetchone()[0] == 1
        assert Path(f"{path}-wal").stat().st_size == 0


def test_what_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("this is no database, however long it may be " * 50)
    with pytest.raises(SapError, match="cannot be opened as a catalogue"):
        prepare(path)
    assert path.read_text().startswith("this is no database")
    with pytest.raises(NotFoundError):
        open_reader(tmp_path / "missing.db")
    (tmp_path / "file").write_text("")
    with pytest.raises(SapError, match="cannot be made"):
        prepare(tmp_path / "file" / "catalogue.db")
