"""Catalogues of earlier versions: they open, migrate wholly or not at all, and rank as they did."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import SapError
from core.rank import ranking_report
from core.store.backups import backups
from core.store.check import problems
from core.store.db import SCHEMA_VERSION, Writer, open_reader, prepare, schema_version
from core.store.migrations import migrate
from sap_tui.cli import main
from tests.conftest import wait_until

DATA = Path(__file__).resolve().parents[1] / "data"
OLD_SCHEMAS = (1, 3, 4)


def old_catalogue(folder: Path, schema: int) -> Path:
    """A file that the program wrote when this was its schema: a done run and a paused one."""
    path = folder / "catalogue.db"
    path.write_bytes(gzip.decompress((DATA / f"catalogue-schema-{schema}.db.gz").read_bytes()))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("schema", OLD_SCHEMAS)
def test_an_old_catalogue_opens_and_ranks_as_it_did(tmp_path: Path, schema: int) -> None:
    path = old_catalogue(tmp_path, schema)
    assert schema_version(path) == schema
    prepare(path)
    assert schema_version(path) == SCHEMA_VERSION
    reader = open_reader(path)
    assert problems(reader) == []
    report = ranking_report(reader, 1)
    then = json.loads((DATA / f"catalogue-schema-{schema}.json").read_text())
    assert (report.ranking.questions, report.ranking.verdict) == (then["questions"], then["verdict"])
    now = {
        row.strategy: {"rank": row.rank, **{metric: row.scores[metric].value for metric in ("sap", "ppl", "nll")}}
        for row in report.ranking.rows
    }
    assert now == {name: pytest.approx(values, rel=1e-12) for name, values in then["strategies"].items()}


def test_an_old_catalogue_has_no_probes_to_forget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = old_catalogue(tmp_path, OLD_SCHEMAS[-1])
    assert main(["--catalogue", str(path), "doctor", "--forget-probes"]) == 0
    assert "0 models" in capsys.readouterr().out


@pytest.mark.parametrize("schema", OLD_SCHEMAS)
def test_the_old_file_is_kept_as_a_backup(tmp_path: Path, schema: int) -> None:
    path = old_catalogue(tmp_path, schema)
    prepare(path)
    (backup,) = backups(path)
    assert schema_version(backup.path) == schema
    assert backup.path.stat().st_mode & 0o777 == 0o600
    prepare(path)
    assert len(backups(path)) == 1


def test_backups_dated_ahead_do_not_lock_the_user_out(tmp_path: Path) -> None:
    path = old_catalogue(tmp_path, 4)
    folder = tmp_path / "catalogue.db.d" / "backups"
    folder.mkdir(parents=True)
    for day in (1, 2, 3):
        shutil.copy(path, folder / f"2099010{day}-000000.db")
    prepare(path)
    assert schema_version(path) == SCHEMA_VERSION
    assert schema_version(backups(path)[0].path) == 4


def test_without_a_backup_the_old_file_stays_as_it_was(tmp_path: Path) -> None:
    path = old_catalogue(tmp_path, 4)
    before = path.read_bytes()
    (tmp_path / "catalogue.db.d").mkdir()
    (tmp_path / "catalogue.db.d" / "backups").touch()
    with pytest.raises(
        SapError, match=r"This version updates .* and backs it up before\. The folder .* cannot be used"
    ):
        prepare(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("schema", [0, *OLD_SCHEMAS])
def test_a_migration_killed_at_any_statement_leaves_old_or_new(tmp_path: Path, schema: int) -> None:
    """Never anything between; and the next one goes through."""
    original = tmp_path / "original.db"
    if schema:
        old_catalogue(tmp_path, schema).rename(original)
    path = tmp_path / "killed.db"
    old = _schema(original)
    seen, statement = set(), 0
    while True:
        shutil.copy(original, path) if schema else path.unlink(missing_ok=True)
        killed = _migrate_and_die(path, statement)
        found = _schema(path)
        if not killed:
            break
        seen.add(found == old)
        assert found == old or found[0] == SCHEMA_VERSION
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for end in ("-wal", "-shm"):
            Path(f"{path}{end}").unlink(missing_ok=True)
        statement += 1 if schema else 4
    assert statement > 10
    assert True in seen
    assert found[0] == SCHEMA_VERSION
    prepare(path)
    assert problems(open_reader(path)) == []


def _migrate_and_die(path: Path, statement: int) -> bool:
    """Migrate in a process that kills itself when SQLite begins that statement; whether it was killed."""
    child = os.fork()
    if not child:
        left = iter(range(statement + 1))
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")

        def count(_: str) -> None:
            if next(left) == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        connection.set_trace_callback(count)
        try:
            migrate(connection, SCHEMA_VERSION)
        except BaseException:
            os._exit(2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL


def _schema(path: Path) -> tuple[int, list[str]]:
    if not path.exists():
        return 0, []
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return version, [row[0] for row in connection.execute("SELECT sql FROM sqlite_master ORDER BY name")]


def test_a_migration_that_breaks_references_is_taken_back(tmp_path: Path) -> None:
    path = old_catalogue(tmp_path, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM questions WHERE id = 1")
        connection.commit()
    before = _schema(path)
    with pytest.raises(SapError, match=r"belongs to nothing.* can only be read"):
        prepare(path)
    assert _schema(path) == before
    with pytest.raises(SapError, match="can only be read"):
        Writer(path)


def test_an_old_catalogue_in_use_is_not_migrated(tmp_path: Path) -> None:
    """Whatever version has it open, and whether or not that one knows our lock."""
    path = old_catalogue(tmp_path, 3)
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM runs'); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(SapError, match=rf"while another process works with it: {holder.pid} .*kill {holder.pid}"):
            prepare(path)
        assert schema_version(path) == 3
        holder.kill()
    wait_until(lambda: holder.poll() is not None)
    prepare(path)
    assert schema_version(path) == SCHEMA_VERSION
