"""Damaged files of every format, and what must come of them; made from a seed, so that a failure comes again."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from core.errors import SapError
from core.ingest.records import BadLine, Record
from core.ingest.source import detect

ANCHOR = b'{"question": "anchor", "response": "anchor"}'
SAMPLES = [
    {"question": "What is 2+2?", "response": "4 \u2028 \U0001f600 \u00e9"},
    {"question": "q", "response": "", "answer": None, "meta": {"a": [1, 2.5, {"b": "c"}]}},
]
PIECES = [
    b"\xff", b"\x00", b'"', b"{", b"}", b"[", b",", b"\\", b"NaN", b"-Infinity", b"1e999", b"\\ud800", b"\\u0000",
    b"\r", b"\x1b]0;x\x07", b"\xc2\x9b", b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\x85", b"\x1c",
    b'"question": "twice",', b"1" * 5000, b"[" * 2000,
]  # fmt: skip


def mutated(line: bytes, chance: random.Random) -> bytes:
    """The line with up to three pieces put in, taken out or replaced; never with a line break."""
    made = bytearray(line)
    for _ in range(chance.randint(0, 3)):
        at = chance.randint(0, len(made))
        kind = chance.choice(("insert", "delete", "replace", "cut"))
        if kind == "insert":
            made[at:at] = chance.choice(PIECES)
        elif kind == "delete":
            del made[at : at + chance.randint(1, 5)]
        elif kind == "cut":
            del made[at:]
        elif at < len(made):
            made[at] = chance.choice([byte for byte in range(256) if byte != 0x0A])
    return bytes(made)


def mutated_lines(count: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    return [
        mutated(json.dumps(chance.choice(SAMPLES), ensure_ascii=chance.random() < 0.5).encode(), chance)
        for _ in range(count)
    ]


def check_lines(path: Path, lines: list[bytes]) -> tuple[int, int]:
    """Import the lines between two good ones: each is taken unchanged or named once. Counts of both."""
    path.write_bytes(b"\n".join([ANCHOR, *lines, ANCHOR]) + b"\n")
    found = list(detect(path).records())
    of_line = {record.line: record for record in found}
    assert len(of_line) == len(found)
    for number, raw in enumerate(lines, 2):
        record = of_line.get(number)
        if record is None:
            assert raw.strip(b" \t\r\n") in (b"", b"\xef\xbb\xbf")
        elif isinstance(record, BadLine):
            check_message(record, path)
        else:
            value = json.loads(raw)
            assert (record.turns[-1].content, record.response) == (value["question"], value["response"])
    assert isinstance(of_line[len(lines) + 2], Record)
    bad = sum(isinstance(record, BadLine) for record in found)
    return len(found) - bad, bad


def check_message(bad: BadLine, path: Path) -> None:
    message = bad.message(path)
    assert message.startswith(f"{path.name}:{bad.line}: ")
    assert len(message) < 200
    assert message.isprintable()


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
    assert complaint.isprintable()


def damaged(data: bytes, seed: int) -> bytes:
    """The data with up to eight bytes changed, every third time cut."""
    chance = random.Random(seed)
    copy = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        copy[chance.randrange(len(copy))] = chance.randrange(256)
    return bytes(copy[: chance.randint(1, len(copy))] if seed % 3 == 0 else copy)


def csv_file() -> bytes:
    lines = "".join(f'{n},"q ""{n}"", é\r\nx",r{n}\r\n' for n in range(20))
    return f"id,question,response\r\n{lines}".encode()


def json_array_file() -> bytes:
    return json.dumps(SAMPLES * 5, indent=1, ensure_ascii=False).encode()


def parquet_file() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    rows = {"id": list(range(50)), "question": [f"q{n}" for n in range(50)], "response": ["é" * n for n in range(50)]}
    pq.write_table(pa.table(rows), buffer, row_group_size=10)
    return buffer.getvalue()


WHOLE_FILES: dict[str, Callable[[], bytes]] = {"csv": csv_file, "json": json_array_file, "parquet": parquet_file}


def damaged_files(suffix: str, count: int) -> Iterator[bytes]:
    data = WHOLE_FILES[suffix]()
    return (damaged(data, seed) for seed in range(count))
