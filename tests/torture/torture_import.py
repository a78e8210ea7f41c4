"""Files on their way in: damaged ones of every format, large ones, hostile ones, and an import that is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from core.store.check import problems
from core.store.db import Writer, open_reader, prepare
from core.store.importing import import_file
from tests.conftest import ROOT
from tests.unit.ingest_fuzz import check_lines, damaged_files, mutated_lines, read_all

LINES = 10_000
SEEDS = 10
FILES = {"csv": 200, "json": 200, "parquet": 100}
KILLS = 40
LARGE_BYTES = int(os.environ.get("SAP_TUI_LARGE_FILE_MB", "200")) << 20
MOST_EXTRA_MB = 64

_IMPORT = """
import os, sys, time
from pathlib import Path
from benchmarks.machine import peak_bytes
from core.ingest.source import detect
from core.store.db import Writer
from core.store.importing import import_file
small, large, catalogue = map(Path, sys.argv[1:])

with Writer(catalogue) as writer:
    import_file(writer, small, task="t", strategy="small")
    before = peak_bytes(os.getpid())
    print("ready", flush=True)
    begin = time.monotonic()
    report = import_file(writer, large, task="t", strategy="large", skip_bad=True)
    seconds = time.monotonic() - begin
extra = (peak_bytes(os.getpid()) - before) / (1 << 20)
print(report.responses, report.skipped, len(report.skipped_lines), round(seconds, 1), round(extra, 1), flush=True)
"""


def test_mutated_lines(tmp_path: Path, figures: dict[str, object]) -> None:
    """JSON lines with pieces put in, taken out, replaced or cut"""
    begin = time.monotonic()
    counts = [check_lines(tmp_path / "file.jsonl", mutated_lines(LINES, seed)) for seed in range(SEEDS)]
    figures["lines"] = LINES * SEEDS
    figures["taken unchanged"], figures["named once"] = (sum(column) for column in zip(*counts, strict=True))
    figures["exceptions"] = 0
    figures["lines per second"] = round(LINES * SEEDS / (time.monotonic() - begin))


@pytest.mark.parametrize("suffix", FILES)
def test_damaged_files(suffix: str, tmp_path: Path, figures: dict[str, object]) -> None:
    """files with bytes changed or their end cut off"""
    path = tmp_path / f"file.{suffix}"
    for data in damaged_files(suffix, FILES[suffix]):
        path.write_bytes(data)
        read_all(path)
    figures["files"], figures["exceptions"] = FILES[suffix], 0


def write_large(path: Path, size: int) -> int:
    """JSON lines of about 430 bytes, of which one in 10,000 is none; returns how many."""
    words = ["the", "sum", "of", "both", "parts", "is", "found", "by", "adding", "the", "first", "to", "other", "one"]
    chance, count = random.Random(0), 0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            for _ in range(1000):
                count += 1
                text = " ".join(chance.choices(words, k=70))
                row = {"id": f"q{count}", "question": f"Question {count}?", "response": text, "answer": str(count)}
                file.write("{broken\n" if count % 10_000 == 0 else json.dumps(row) + "\n")
    return count


@pytest.mark.timeout(5400)
def test_large_file(tmp_path: Path, figures: dict[str, object]) -> None:
    """a large file of JSON lines, one in 10,000 of them bad, imported with --skip-bad"""
    small, large, catalogue = tmp_path / "small.jsonl", tmp_path / "large.jsonl", tmp_path / "catalogue.db"
    write_large(small, 1)
    rows = write_large(large, LARGE_BYTES)
    prepare(catalogue)
    command = [sys.executable, "-c", _IMPORT, str(small), str(large), str(catalogue)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    taken, skipped, named, seconds, extra = map(float, done.stdout.split()[1:])
    figures["MB"], figures["rows"] = large.stat().st_size >> 20, rows
    figures["seconds"], figures["rows per second"] = seconds, round(rows / seconds)
    figures["extra memory (MB)"] = extra
    assert taken + skipped == rows
    assert skipped == rows // 10_000
    assert named == min(skipped, 100)
    assert extra < MOST_EXTRA_MB


def test_import_killed(tmp_path: Path, figures: dict[str, object]) -> None:
    """kill -9 of an import at a random moment: the catalogue is as before or has all of the file"""
    small, large, catalogue = tmp_path / "small.jsonl", tmp_path / "large.jsonl", tmp_path / "catalogue.db"
    write_large(small, 1)
    rows = write_large(large, 16 << 20)
    prepare(catalogue)
    with Writer(catalogue) as writer:
        import_file(writer, small, task="t", strategy="before", skip_bad=True)
    expected = rows - rows // 10_000
    moments, halves, whole = random.Random(0), 0, 0
    for kill in range(KILLS):
        copy = tmp_path / f"catalogue-{kill}.db"
        with closing(sqlite3.connect(catalogue)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        process = subprocess.Popen(
            [sys.executable, "-c", _IMPORT, str(small), str(large), str(copy)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0, 1.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        reader = open_reader(copy)
        found = dict(reader.execute("SELECT name, responses FROM strategies").fetchall())
        found.pop("small")
        stored = reader.execute(
            "SELECT count(*) FROM responses JOIN strategies s ON s.id = strategy WHERE s.name = 'large'"
        )
        whole += "large" in found
        halves += found.get("large", 0) not in (0, expected) or stored.fetchone()[0] != found.get("large", 0)
        assert problems(reader) == []
        reader.close()
        copy.unlink()
    figures["kills"], figures["half imports"], figures["already whole"] = KILLS, halves, whole
    assert halves == 0


@pytest.mark.timeout(5400)
def test_parquet_that_unpacks_to_much(tmp_path: Path, figures: dict[str, object]) -> None:
    """Parquet files of some kilobytes that unpack to gigabytes"""
    import pyarrow as pa
    import pyarrow.parquet as pq

    long = "x" * (15 << 20)
    one = pa.array([0] * 2000, pa.int32())
    turns = [[{"from": "human", "value": "q"}] * 200_000 + [{"from": "gpt", "value": "r"}]]
    numbers = [f"q{number}" for number in range(2000)]
    tables = {
        "one text 2,000 times": pa.table(
            {"question": numbers, "response": pa.DictionaryArray.from_arrays(one, pa.array([long]))}
        ),
        "a text of 1 GiB": pa.table({"question": ["q"], "response": ["z" * (1 << 30)]}),
        "long lists": pa.concat_tables([pa.table({"conversations": pa.array(turns)})] * 20),
    }
    path = tmp_path / "file.parquet"
    largest = 0
    for table in tables.values():
        pq.write_table(table, path, compression="zstd", row_group_size=2000)
        command = [
            sys.executable,
            "-m",
            "sap_tui.cli",
            "--catalogue",
            str(tmp_path / "c.db"),
            "import",
            str(path),
            "--task",
            "t",
        ]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while process.poll() is None:
            largest = max(largest, _memory(process.pid))
            time.sleep(0.02)
        assert process.stderr is not None
        assert "memory to unpack" in process.stderr.read()
        assert process.returncode == 1
    figures["files"], figures["largest memory of all processes (MB)"] = len(tables), largest >> 20
    assert largest < 2 << 30


def _memory(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0
