"""Damaged files: every line is taken unchanged or named once, and nothing else is raised."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingest import parquet, parquet_reader
from core.ingest.records import BadLine, Unreadable
from tests.unit.ingest_fuzz import PIECES, SAMPLES, check_lines, damaged_files, mutated_lines, read_all


@st.composite
def drawn_lines(draw: st.DrawFn) -> bytes:
    line = bytearray(json.dumps(draw(st.sampled_from(SAMPLES)), ensure_ascii=draw(st.booleans())).encode())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(line)))
        kind = draw(st.sampled_from(["insert", "delete", "replace"]))
        if kind == "insert":
            line[at:at] = draw(st.sampled_from(PIECES) | st.binary(max_size=4).filter(lambda raw: b"\n" not in raw))
        elif kind == "delete":
            del line[at : at + draw(st.integers(1, 5))]
        elif at < len(line):
            line[at] = draw(st.integers(0, 255).filter(lambda byte: byte != 0x0A))
    return bytes(line)


@settings(max_examples=500)
@given(st.lists(drawn_lines(), min_size=1, max_size=10))
def test_lines_that_hypothesis_draws(lines: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        check_lines(Path(folder) / "file.jsonl", lines)


def test_ten_thousand_mutated_lines(tmp_path: Path) -> None:
    taken, bad = check_lines(tmp_path / "file.jsonl", mutated_lines(10_000, seed=1))
    assert taken > 2000
    assert bad > 2000


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_damaged_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"file.{suffix}"
    for data in damaged_files(suffix, 200):
        path.write_bytes(data)
        read_all(path)


def test_damaged_parquet(tmp_path: Path) -> None:
    """Most without the process, whose start takes most of the time."""
    for data in damaged_files("parquet", 100):
        told = (f"{line}\n".encode() for line in parquet_reader.lines(io.BytesIO(data), None))
        with suppress(Unreadable):
            assert not any(isinstance(row, BadLine) and len(row.reason) > 120 for row in parquet.decoded_rows(told))
    path = tmp_path / "file.parquet"
    for data in damaged_files("parquet", 3):
        path.write_bytes(data)
        read_all(path)
