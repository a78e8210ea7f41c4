"""JSON Lines, JSON arrays, CSV and Parquet: texts byte for byte, bad lines by name."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from core.errors import InputError
from core.ingest.records import BadLine, Record
from core.ingest.source import detect

GOOD = b'{"question": "q", "response": "r"}\n'
# Texts that a careless reader changes: line ends, spaces, composed and decomposed letters, separators, NUL, emoji.
HARD_TEXTS = [
    " spaces both sides ",
    "a\r\nb\rc\nd",
    "caf\u00e9",
    "cafe\u0301",
    "a\u2028b\u2029c\x85d\x1ce",
    "nul\x00inside",
    "\ufeffmark",
    "👩\u200d👩\u200d👧 ⟨日本⟩ \u202eabc",
    '"quoted", and; comma',
    "",
    "\t\n",
]
BAD_LINES = {
    "not UTF-8": (b'{"question": "q", \xff}', "not UTF-8 at byte 19"),
    "not JSON": (b'{"question": }', "not JSON: Expecting value at column 14"),
    "a list": (b"[1]", "not an object but a list"),
    "a number": (b"12", "not an object but a number"),
    "null": (b"null", "not an object but empty"),
    "NaN": (b'{"question": "q", "response": "r", "x": NaN}', "NaN is not a JSON number"),
    "infinity": (b'{"question": "q", "response": "r", "x": -Infinity}', "-Infinity is not a JSON number"),
    "too large": (b'{"question": "q", "response": "r", "x": 1e999}', "the number '1e999' is too large"),
    "many digits": (b'{"question": "q", "response": "r", "x": ' + b"1" * 5000 + b"}", "a number has 5000 digits"),
    "key twice": (b'{"question": "q", "response": "r", "response": "s"}', "the key 'response' stands twice"),
    "key twice inside": (b'{"question": "q", "response": "r", "x": {"a": 1, "a": 2}}', "the key 'a' stands twice"),
    "surrogate": (b'{"question": "q", "response": "\\ud800"}', "the response holds half a surrogate pair"),
    "nested": (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
    "more text": (b'{"question": "q", "response": "r"} {}', "more text follows"),
    "control character": (b'{"question": "q\x1b", "response": "r"}', "not JSON: Invalid control character"),
    "no response": (b'{"question": "q"}', "no field 'response'"),
    "hostile name": (b'{"\\u001b]0;x\\u0007": 1, "\\u001b]0;x\\u0007": 2}', "'\\x1b]0;x\\x07' stands twice"),
}


def read(path: Path, data: bytes) -> list[Record | BadLine]:
    path.write_bytes(data)
    return list(detect(path).records())


def texts(records: list[Record | BadLine]) -> list[tuple[str, str]]:
    assert all(isinstance(record, Record) for record in records), records
    return [(record.turns[-1].content, record.response) for record in records if isinstance(record, Record)]


@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_json_line_is_named(tmp_path: Path, name: str) -> None:
    raw, reason = BAD_LINES[name]
    path = tmp_path / "file.jsonl"
    first, bad, last = read(path, GOOD + raw + b"\n" + GOOD)
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert isinstance(bad, BadLine)
    message = bad.message(path)
    assert message.startswith("file.jsonl:2: ")
    assert reason in message
    assert len(bad.reason) <= 200
    assert message.isprintable()


def test_json_lines_keep_texts_and_line_numbers(tmp_path: Path) -> None:
    objects = [{"question": f"{number}{text}", "response": text} for number, text in enumerate(HARD_TEXTS)]
    lines = [json.dumps(value, ensure_ascii=number % 2 == 0).encode() for number, value in enumerate(objects)]
    # Byte order mark, Windows line ends, blank lines, no line end at the end.
    records = read(tmp_path / "file.jsonl", b"\xef\xbb\xbf" + b"\r\n\n".join(lines))
    assert texts(records) == [(value["question"], value["response"]) for value in objects]
    assert [record.line for record in records] == [1 + 2 * number for number in range(len(objects))]


@pytest.mark.parametrize("rest", [b'{"question": "q", "resp', b'{"question": "\xc3', b"x"])
def test_last_line_that_is_cut_off(tmp_path: Path, rest: bytes) -> None:
    _, bad = read(tmp_path / "file.jsonl", GOOD + rest)
    assert bad == BadLine(2, "the file looks cut off here (download incomplete?)")


def test_line_of_more_than_16_mib(tmp_path: Path) -> None:
    long = b'{"question": "q", "response": "' + b"x" * (17 << 20) + b'"}\n'
    _, bad, last = read(tmp_path / "file.jsonl", GOOD + long + GOOD)
    assert bad == BadLine(2, "longer than 16 MiB")
    assert isinstance(last, Record)
    assert last.line == 3


def test_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(GOOD * 2)
    records = detect(path).records()
    next(records)
    with path.open("ab") as stream:
        stream.write(GOOD)
    with pytest.raises(InputError, match="changed while it was read"):
        list(records)


def test_file_that_is_replaced_by_an_equal_one_while_it_is_read(tmp_path: Path) -> None:
    path, other = tmp_path / "file.jsonl", tmp_path / "other.jsonl"
    path.write_bytes(GOOD * 2)
    other.write_bytes(GOOD * 2)
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    records = detect(path).records()
    next(records)
    other.rename(path)
    with pytest.raises(InputError, match="changed while it was read"):
        list(records)


def test_progress_ends_at_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(GOOD * 2500)
    seen: list[tuple[int, float]] = []
    list(detect(path).records(lambda rows, share: seen.append((rows, share))))
    assert [rows for rows, _ in seen] == [1000, 2000, 2500]
    assert seen[0][1] < seen[1][1] < seen[2][1] == 1.0


def test_json_array_with_line_numbers(tmp_path: Path) -> None:
    objects = [{"question": f"{number}{text}", "response": text} for number, text in enumerate(HARD_TEXTS)]
    records = read(tmp_path / "file.json", ("\n" + json.dumps(objects, indent=1)).encode())
    assert texts(records) == [(value["question"], value["response"]) for value in objects]
    assert [record.line for record in records] == [3 + 4 * number for number in range(len(objects))]


def test_json_array_with_bad_elements(tmp_path: Path) -> None:
    data = b'[{"question": "q", "response": "r"},\n 5,\n {"question": "q", "response": NaN}]'
    _, second, third = read(tmp_path / "file.json", data)
    assert second == BadLine(2, "not an object but a number")
    assert third == BadLine(3, "NaN is not a JSON number")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'[{"question": "q", "response": "r"},\n{"question"', r"file\.json:2: not JSON"),
        (b'[{"question": "q", "response": "r"}\n', r"file\.json:1: the array breaks off"),
        (b'[{"question": "q", "response": "r"}] []', r"file\.json:1: more text follows"),
        (b'[\n\n{"question": "\xff"}]', r"file\.json:3: not UTF-8 at byte 15"),
        (b"[" * 100_000, r"file\.json:1: nested too deep"),
        (b"[]", r"file\.json holds no records"),
    ],
)
def test_json_array_that_breaks(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path / "file.json", data)


def test_csv_keeps_texts(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    pairs = [(f"{number}{text}", text) for number, text in enumerate(HARD_TEXTS)]
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
        writer.writerow(["question", "response"])
        writer.writerows(pairs)
    assert texts(list(detect(path).records())) == pairs


def test_csv_bad_lines_are_named(tmp_path: Path) -> None:
    data = b'id,question,response\n1,"q\nr",a\n2,q\n3,\xff,a\n4,"q"x,a\n5,q,\n,q,a\n7,"q,a'
    found = {record.line: record for record in read(tmp_path / "file.csv", data)}
    assert {line: record.reason for line, record in found.items() if isinstance(record, BadLine)} == {
        4: "2 values where the header has 3 columns",
        5: "not UTF-8",
        6: "not CSV: ',' expected after '\"'",
        8: "no id, although the file has ids",
        9: "not CSV: unexpected end of data",
    }
    assert isinstance(found[2], Record)
    assert isinstance(found[7], Record)


def test_csv_field_over_the_limit_and_header(tmp_path: Path) -> None:
    long = b"x" * ((16 << 20) + 10)
    _, bad, *_ = read(tmp_path / "file.csv", b"question,response\nq,r\nq," + long + b"\n")
    assert isinstance(bad, BadLine)
    assert bad.line == 3
    assert "field larger than field limit" in bad.reason
    with pytest.raises(InputError, match="'response' stands twice in the header"):
        read(tmp_path / "twice.csv", b"question,response,response\na,b,c\n")


def test_large_csv_field_under_the_limit(tmp_path: Path) -> None:
    long = "x" * 1_000_000
    assert texts(read(tmp_path / "file.csv", f"question,response\nq,{long}\n".encode())) == [("q", long)]


def test_parquet_round_trip(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pairs = [(f"{number}{text}", text) for number, text in enumerate(HARD_TEXTS)]
    table = pa.table(
        {
            "id": list(range(len(pairs))),
            "question": [question for question, _ in pairs],
            "response": pa.array([response for _, response in pairs]).dictionary_encode(),
            "unused": [[1.5]] * len(pairs),
        }
    )
    path = tmp_path / "file.parquet"
    pq.write_table(table, path, row_group_size=3)
    records = list(detect(path).records())
    assert texts(records) == pairs
    assert [(record.line, record.id) for record in records if isinstance(record, Record)] == [
        (number + 1, str(number)) for number in range(len(pairs))
    ]


def test_parquet_of_conversations_without_a_suffix(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    turns = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "r"}]
    path = tmp_path / "shard"
    pq.write_table(pa.table({"conversations": [turns, None]}), path)
    first, second = list(detect(path).records())
    assert isinstance(first, Record)
    assert (first.turns[-1].content, first.response) == ("q", "r")
    assert second == BadLine(2, "'conversations' is empty, not a list of turns")


def test_parquet_text_that_is_not_utf8(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    raw = pa.array([b"a", b"\xff", b"c"], pa.binary())
    path = tmp_path / "file.parquet"
    question = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"question": question, "response": ["r", "r", "r"]}), path)
    first, second, third = list(detect(path).records())
    assert isinstance(first, Record)
    assert second == BadLine(2, "not UTF-8")
    assert isinstance(third, Record)


def test_format_by_content_where_the_name_says_nothing(tmp_path: Path) -> None:
    assert texts(read(tmp_path / "lines", b"\n " + GOOD)) == [("q", "r")]
    assert texts(read(tmp_path / "array.txt", b"[" + GOOD + b"]")) == [("q", "r")]
    assert texts(read(tmp_path / "table", b"question,response\nq,r\n")) == [("q", "r")]
    assert texts(read(tmp_path / "lines.json", GOOD)) == [("q", "r")]


@pytest.mark.parametrize("name", ["array.jsonl", "array.ndjson", "array.csv"])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_read_as_one_whatever_its_name(tmp_path: Path, name: str, indent: int | None) -> None:
    objects = [{"question": str(number), "response": "[1]\n"} for number in range(200)]
    records = read(tmp_path / name, f"\ufeff {json.dumps(objects, indent=indent)}\n".encode())
    assert texts(records) == [(value["question"], value["response"]) for value in objects]


def test_other_content_than_the_name_says(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert texts(read(tmp_path / "lines.csv", GOOD)) == [("q", "r")]
    pq.write_table(pa.table({"question": ["q"], "response": ["r"]}), tmp_path / "table.jsonl")
    assert texts(list(detect(tmp_path / "table.jsonl").records())) == [("q", "r")]


@pytest.mark.parametrize("first", [b"[1]", b"[]", b'[{"question": "q", "response": "r"}]'])
def test_a_bad_first_line_does_not_make_lines_an_array(tmp_path: Path, first: bytes) -> None:
    bad, good = read(tmp_path / "file.jsonl", first + b"\n" + GOOD)
    assert isinstance(bad, BadLine)
    assert bad.line == 1
    assert isinstance(good, Record)


@pytest.mark.parametrize("name", ["file.csv", "file.tsv", "file"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_tables_with_semicolons_or_tabs(tmp_path: Path, name: str, delimiter: str, quoting: int) -> None:
    path = tmp_path / name
    pairs = [(f"{number}{text}", f"{text}, a; b\tc") for number, text in enumerate(HARD_TEXTS)]
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter, quoting=quoting)
        writer.writerow(["question", "response", "note; of, mine" if quoting == csv.QUOTE_ALL else "note"])
        writer.writerows((*pair, "") for pair in pairs)
    records = list(detect(path).records())
    assert texts(records) == pairs


def test_a_header_with_commas_is_split_at_them_alone(tmp_path: Path) -> None:
    data = b"question,response,a;b\tc;d;e\nq,r,x\nq;r,s\n"
    good, bad = read(tmp_path / "file.csv", data)
    assert isinstance(good, Record)
    assert bad == BadLine(3, "2 values where the header has 3 columns")
