"""A CSV file is written over another and the writer is killed, or its disk is full."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.export.files import write_atomically
from tests.conftest import ROOT
from tests.torture.runs import ending_of, times

KILLS = times(100)
ROWS = 60_000
OLD, NEW = "old", "new"

_WRITE = """
import sys
from itertools import cycle
from pathlib import Path
from core.export.files import write_atomically
from tests.torture.torture_export import NEW, OLD, table
tables = [table(OLD), table(NEW)]
print("ready", flush=True)
for each in cycle(tables):
    write_atomically(Path(sys.argv[1]), each)
"""
_FILL = """
set -e
mount -t tmpfs -o size=1m tmpfs "$1"
head -c 900000 /dev/zero > "$1/filler"
echo old > "$1/ranking.csv"
"$2" -c 'import sys; from pathlib import Path; from core.export.files import write_atomically
write_atomically(Path(sys.argv[1]), "new\\n" * 100_000)' "$1/ranking.csv" 2> "$3" && exit 9
cat "$1/ranking.csv"
ls -A "$1"
"""


def table(word: str) -> str:
    """A CSV file of which every line names the table that it belongs to."""
    return "strategy,score\n" + "".join(f"{word} {number},0.5\n" for number in range(ROWS))


def test_export_killed(tmp_path: Path, figures: dict[str, object]) -> None:
    """kill -9 while a CSV file is written over another"""
    target, moments = tmp_path / "ranking.csv", random.Random(0)
    write_atomically(target, table(OLD))
    whole = {table(OLD), table(NEW)}
    torn = leftovers = 0
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", _WRITE, str(target)], cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        assert ending_of(process, moments.uniform(0, 0.05)) == -9
        torn += target.read_text() not in whole
        leftovers = len(temporaries(tmp_path))
    two_hours_ago = time.time() - 7_200
    for file in temporaries(tmp_path):
        os.utime(file, (two_hours_ago, two_hours_ago))
    write_atomically(target, table(OLD))
    figures.update({"kills": KILLS, "torn files": torn, "temporary files left and swept": leftovers})
    assert torn == 0
    assert leftovers > 0, "no kill hit the writing"
    assert temporaries(tmp_path) == []


def test_export_to_a_full_disk(tmp_path: Path, figures: dict[str, object]) -> None:
    """a CSV file that the disk has no room for, on a small file system of its own"""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"], check=False).returncode:
        pytest.skip("NOT TESTED: no namespaces of users and mounts here")
    folder, said = tmp_path / "small", tmp_path / "said"
    folder.mkdir()
    command = ["unshare", "-Urm", "bash", "-c", _FILL, "fill", str(folder), sys.executable, str(said)]
    left = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert "No space left on device" in said.read_text()
    figures.update({"kept": left[0], "files left": len(left) - 1})
    assert left == [OLD, "filler", "ranking.csv"]


def temporaries(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.name.endswith(".sap-tmp")]
