"""Damaged files: every line is taken unchanged or named once, and nothing else is raised."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import SapError
from core.ingest.records import BadLine, Record
from core.ingest.source import detect

ANCHOR = b'{"question": "anchor", "response": "anchor"}'
SAMPLES = [
    {"question": "What is 2+2?", "response": "4 \u2028 \U0001f600 \u00e9"},
    {"question": "q", "response": "", "answer": None, "meta": {"a": [1, 2.5, {"b": "c"}]}},
]


@st.composite
def mutated_lines(draw: st.DrawFn) -> bytes:
    sample = draw(st.sampled_from(SAMPLES))
    line = bytearray(json.dumps(sample, ensure_ascii=draw(st.booleans())).encode())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(line)))
        kind = draw(st.sampled_from(["insert", "delete", "replace"]))
        if kind == "insert":
            line[at:at] = draw(
                st.sampled_from([b"\xff", b"\x00", b'"', b"{", b"NaN", b"\\ud800", b"\r", b"\x1b", b","])
            )
        elif kind == "delete":
            del line[at : at + draw(st.integers(1, 5))]
        elif at < len(line):
            line[at] = draw(st.integers(0, 255).filter(lambda byte: byte != 0x0A))
    return bytes(line)


def check_message(bad: BadLine, path: Path) -> None:
    message = bad.message(path)
    assert message.startswith(f"{path.name}:{bad.line}: ")
    assert len(message) < 250
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in message)


@settings(max_examples=200, deadline=None)
@given(st.lists(mutated_lines(), min_size=1, max_size=30))
def test_mutated_json_lines(lines: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file.jsonl"
        path.write_bytes(b"\n".join([ANCHOR, *lines, ANCHOR]) + b"\n")
        found = list(detect(path).records())
    of_line = {record.line: record for record in found}
    assert len(of_line) == len(found)
    for number, raw in enumerate(lines, 2):
        record = of_line.get(number)
        if record is None:
            assert not raw.strip(b" \t\r\n")
        elif isinstance(record, BadLine):
            check_message(record, path)
        else:
            value = json.loads(raw)
            assert (record.turns[-1].content, record.response) == (value["question"], value["response"])
    assert isinstance(of_line[len(lines) + 2], Record)


def damaged(data: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    copy = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        copy[chance.randrange(len(copy))] = chance.randrange(256)
    return bytes(copy[: chance.randint(1, len(copy))] if seed % 3 == 0 else copy)


def read_all(path: Path) -> None:
    """Read a file to its end or to the one error that names it."""
    complaint = path.name
    try:
        for record in detect(path).records():
            if isinstance(record, BadLine):
                check_message(record, path)
    except SapError as error:
        complaint = error.message
    assert path.name in complaint


def test_damaged_csv(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    data = "id,question,response\r\n" + "".join(f'{n},"q ""{n}"", é\r\nx",r{n}\r\n' for n in range(20))
    for seed in range(200):
        path.write_bytes(damaged(data.encode(), seed))
        read_all(path)


def test_damaged_json_array(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    data = json.dumps(SAMPLES * 5, indent=1, ensure_ascii=False).encode()
    for seed in range(200):
        path.write_bytes(damaged(data, seed))
        read_all(path)


def test_damaged_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    rows = {"id": list(range(50)), "question": [f"q{n}" for n in range(50)], "response": ["é" * n for n in range(50)]}
    pq.write_table(pa.table(rows), buffer, row_group_size=10)
    path = tmp_path / "file.parquet"
    for seed in range(100):
        path.write_bytes(damaged(buffer.getvalue(), seed))
        read_all(path)
