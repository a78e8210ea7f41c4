"""Files that are written as a whole or not at all, whatever their name, their disk or who is killed."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import SapError
from core.export.files import export_path, write_atomically


@pytest.mark.parametrize("mode", [None, 0o600, 0o640, 0o644])
def test_write_replaces_the_whole_file_and_keeps_its_mode(tmp_path: Path, mode: int | None) -> None:
    path = tmp_path / "ranking.csv"
    if mode is not None:
        path.write_text("old")
        path.chmod(mode)
    write_atomically(path, "näme\n")
    assert path.read_bytes() == "näme\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == (mode or 0o600)
    assert os.listdir(tmp_path) == ["ranking.csv"]


def test_a_group_that_cannot_be_kept_gives_no_rights_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    path = tmp_path / "ranking.csv"
    path.write_text("old")
    path.chmod(0o664)
    fstat = os.fstat
    monkeypatch.setattr(os, "fchown", refused)
    monkeypatch.setattr(os, "fstat", lambda file: os.stat_result([*fstat(file)[:5], 12_345, *fstat(file)[6:10]]))
    write_atomically(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_write_follows_a_link(tmp_path: Path) -> None:
    link = tmp_path / "latest.csv"
    link.symlink_to("real.csv")
    write_atomically(link, "text")
    assert link.is_symlink()
    assert (tmp_path / "real.csv").read_text() == "text"


def test_write_to_a_name_of_greatest_length(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".csv")
    write_atomically(path, "text")
    assert path.read_text() == "text"


def test_a_failed_write_leaves_the_old_file_and_names_the_path(tmp_path: Path) -> None:
    path = tmp_path / "ranking.csv"
    path.write_text("old")
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from core.errors import SapError; from core.export.files import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomically(Path(sys.argv[1]), 'x' * 2000)\n"
        "except SapError as error: sys.exit(error.message)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert ended.stderr.startswith(f"Cannot write {path}: File too large")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["ranking.csv"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "ranking.csv"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SapError, match="No space left on device"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["ranking.csv"]


@pytest.mark.parametrize("name", ["missing/ranking.csv", ".", "a" * 256, "nul\0byte"])
def test_a_path_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SapError) as caught:
        write_atomically(tmp_path / name, "text")
    assert str(tmp_path) in caught.value.message
    assert "\0" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SapError, match="not a regular file"):
        write_atomically(pipe, "text")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_killed_writer_never_tears_the_file_and_its_leftovers_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "ranking.csv"
    code = (
        "import sys; from pathlib import Path; from core.export.files import write_atomically\n"
        "while True:\n"
        "    for letter in 'ab': write_atomically(Path(sys.argv[1]), letter * 3_000_000)"
    )
    for attempt in range(4):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            os.sched_yield()
        for _ in range(attempt * 5):
            path.stat()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        content = path.read_text()
        assert content in ("a" * 3_000_000, "b" * 3_000_000)
        path.unlink()
    old, young, foreign = (
        tmp_path / name for name in (".ranking.csv.o.sap-tmp", ".ranking.csv.y.sap-tmp", ".x.o.sap-tmp")
    )
    for leftover in (old, young, foreign):
        leftover.touch()
    for leftover in (old, foreign):
        os.utime(leftover, (0, 0))
    write_atomically(path, "text")
    assert not old.exists()
    assert young.exists()
    assert foreign.exists()


HOSTILE_NAMES = (
    "../../.bashrc", "/etc/passwd", "~", "\0", "CON", "nul.txt", "x" * 300, "-rf", ".hidden", "", "..", ".", "a/b\\c",
    "é" * 90, "../" * 40 + "x", "..\\..\\x", "~root/.ssh/authorized_keys", "$HOME/x", "`id`", "$(id)", "a;rm -rf x",
    "a|b", "a&b", "a>b", "a<b", "*", "?", "[a]", "{a,b}", "!x", "#x", "%2e%2e%2fx", "..%00/", "a\0b", "a\nb", "a\r\nb",
    "a\tb", "\x1b]0;x\x07", "\x7f", "\x9b31m", "\u202egpj.exe", "\u200b", "\ufeffx", "\ud800", "e\u0301", "Ａ／Ｂ",
    "\uff0e\uff0e\uff0fx", "PRN", "aux.z", "COM1", "lpt9.tar.gz", "con.", " leading", "trailing ", "trailing.", "C:\\x",
    "\\\\host\\share", "file:///etc/passwd", "a" * 119, "é" * 400, "👩‍👩‍👧", "--output=/etc/x", "-", "....//....//x",
)  # fmt: skip


def test_the_hostile_names_are_many() -> None:
    assert len(set(HOSTILE_NAMES)) >= 60


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
def test_an_exported_name_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    path = export_path(tmp_path, name, ".csv")
    assert path.parent == tmp_path
    assert path.resolve().is_relative_to(tmp_path)
    assert len(os.fsencode(path.name)) <= 120
    assert path.suffix == ".csv"
    assert path.name[0] not in "-."
    assert path.name.isascii()
    path.touch()


def test_a_plain_name_is_kept(tmp_path: Path) -> None:
    assert export_path(tmp_path, "gsm8k-run_7", ".csv").name == "gsm8k-run_7.csv"
