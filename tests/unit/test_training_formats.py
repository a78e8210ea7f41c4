"""Data for trainers: what the formats hold, and that an import of them gives every text back byte for byte."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from core.domain import Question, Turn
from core.errors import SapError, UsageError
from core.export.dataset_info import DatasetInfo, check_described
from core.export.training import LAYOUTS, TrainingSample, alternates, training_rows, training_text
from core.ingest.records import Record
from core.ingest.source import detect

HOSTILE = 'tab\t "quotes" \\ \x00\x1b[31m \r\n \u2028\u2029\x85 \u202e =1+1 </s> 日本 😀 \ufeff{{ x }} '


def question(number: int, *turns: tuple[str, str], key: str | None = "", answer: str | None = None) -> Question:
    said = turns or (("user", f"question {number} {HOSTILE}"),)
    key = f"id {number} \x07" if key == "" else key
    return Question(number, number, key, tuple(Turn(role, content) for role, content in said), answer)


PLAIN = [TrainingSample(question(n, answer=f"{n}\x00" if n % 2 else None), f"response {n}{HOSTILE}") for n in range(4)]
ROUNDS = [
    *PLAIN,
    TrainingSample(question(4, ("user", "a"), ("assistant", ""), ("user", "b\n")), ""),
    TrainingSample(question(5, ("system", f"s{HOSTILE}"), ("user", "c")), " d "),
    TrainingSample(question(6, ("system", "s"), ("user", "c"), ("assistant", "x"), ("user", "y")), "z"),
]
ODD = [
    *ROUNDS,
    TrainingSample(question(7, ("system", ""), ("user", "c")), "d"),
    TrainingSample(question(8, ("user", "c"), ("system", "s"), ("user", "e")), "d"),
    TrainingSample(question(9, ("user", "c"), ("user", "e")), "d"),
]


def read_back(path: Path) -> list[Record]:
    records = list(detect(path).records())
    assert all(isinstance(record, Record) for record in records), records
    return [record for record in records if isinstance(record, Record)]


def write(folder: Path, samples: list[TrainingSample], layout: str, container: str) -> Path:
    path = folder / f"data{container}"
    path.write_bytes(training_text(training_rows(samples, layout), container).encode())
    return path


@pytest.mark.parametrize("container", [".json", ".jsonl"])
@pytest.mark.parametrize(
    ("layout", "samples"),
    [
        ("tidy", PLAIN), ("alpaca", PLAIN), ("sharegpt", PLAIN), ("messages", PLAIN), ("tidy", ROUNDS),
        ("alpaca", ROUNDS), ("sharegpt", ODD), ("messages", ODD), ("tidy", ODD),
    ],
)  # fmt: skip
def test_an_import_gives_everything_back(
    tmp_path: Path, layout: str, samples: list[TrainingSample], container: str
) -> None:
    records = read_back(write(tmp_path, samples, layout, container))
    assert [(record.turns, record.response) for record in records] == [
        (sample.question.turns, sample.response) for sample in samples
    ]
    if layout != "messages":
        assert [record.id for record in records] == [sample.question.key for sample in samples]
    if layout == "tidy":
        assert [record.answer for record in records] == [sample.question.answer for sample in samples]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_random_texts_come_back(tmp_path: Path, layout: str) -> None:
    generator = random.Random(5)
    letters = [chr(code) for code in (*range(0x250), *range(0x2000, 0x2070), 0xFEFF, 0x1F600) if code != 0xFFFF]
    texts = ["".join(generator.choices(letters, k=generator.randrange(1, 90))) for _ in range(200)]
    samples = [TrainingSample(question(number, ("user", text)), texts[-number]) for number, text in enumerate(texts)]
    records = read_back(write(tmp_path, samples, layout, ".jsonl"))
    assert [(record.turns[0].content, record.response) for record in records] == [
        (sample.question.text, sample.response) for sample in samples
    ]


def test_json_lines_have_no_line_break_of_any_reader_inside() -> None:
    text = training_text(training_rows(PLAIN, "tidy"), ".jsonl")
    assert len(text.splitlines()) == len(PLAIN)
    assert json.loads(text.splitlines()[0])["response"] == PLAIN[0].response


def test_the_keys_of_every_format() -> None:
    sample = TrainingSample(question(1, ("user", "q"), key="k", answer="7"), "r", "mine")
    assert training_rows([sample], "tidy") == [
        {"id": "k", "question": "q", "response": "r", "answer": "7", "strategy": "mine"}
    ]
    assert training_rows([sample], "alpaca") == [{"id": "k", "instruction": "q", "input": "", "output": "r"}]
    assert training_rows([sample], "sharegpt") == [
        {"id": "k", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "r"}]}
    ]
    assert training_rows([sample], "messages") == [
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]}
    ]


def test_every_alpaca_row_has_the_columns_that_one_needs() -> None:
    rows = training_rows(ROUNDS, "alpaca")
    assert {tuple(row) for row in rows} == {("id", "instruction", "input", "output", "system", "history")}
    assert rows[0]["history"] == []
    assert rows[6] == {
        "id": "id 6 \x07", "instruction": "y", "input": "", "output": "z", "system": "s", "history": [["c", "x"]],
    }  # fmt: skip


def test_questions_of_one_file_are_all_texts_or_all_lists() -> None:
    assert {type(row["question"]) for row in training_rows(PLAIN, "tidy")} == {str}
    assert {type(row["question"]) for row in training_rows(ROUNDS, "tidy")} == {list}


@pytest.mark.parametrize("layout", ["tidy", "alpaca", "sharegpt"])
def test_without_an_id_somewhere_there_is_none_at_all(tmp_path: Path, layout: str) -> None:
    samples = [PLAIN[0], TrainingSample(question(1, ("user", "q"), key=None), "r")]
    assert not any("id" in row for row in training_rows(samples, layout))
    assert [record.id for record in read_back(write(tmp_path, samples, layout, ".json"))] == [None, None]


@pytest.mark.parametrize("sample", ODD[-3:], ids=["empty system", "late system", "two users"])
def test_what_alpaca_cannot_hold_is_refused(sample: TrainingSample) -> None:
    with pytest.raises(UsageError, match="Alpaca cannot hold") as caught:
        training_rows([sample], "alpaca")
    assert "messages" in caught.value.hint
    assert "\x07" not in str(caught.value)


def test_turns_that_alternate() -> None:
    assert [alternates(sample.question) for sample in ODD] == [True] * 8 + [False, False]


def entry_of(folder: Path, layout: str, samples: list[TrainingSample]) -> dict[str, object]:
    info = folder / "dataset_info.json"
    DatasetInfo(info, folder / "my data,1.json").write(layout, training_rows(samples, layout))
    entries = json.loads(info.read_text())
    assert list(entries) == ["my_data_1"]
    entry: dict[str, object] = entries["my_data_1"]
    assert entry.pop("file_name") == "my data,1.json"
    return entry


@pytest.mark.parametrize(
    ("layout", "samples", "expected"),
    [
        ("tidy", PLAIN, {"formatting": "alpaca", "columns": {"prompt": "question", "response": "response"}}),
        (
            "alpaca", PLAIN,
            {"formatting": "alpaca", "columns": {"prompt": "instruction", "query": "input", "response": "output"}},
        ),
        (
            "alpaca", ROUNDS,
            {
                "formatting": "alpaca",
                "columns": {
                    "prompt": "instruction", "query": "input", "response": "output", "system": "system",
                    "history": "history",
                },
            },
        ),
        (
            "sharegpt", ROUNDS,
            {
                "formatting": "sharegpt",
                "columns": {"messages": "conversations"},
                "tags": {
                    "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
                    "system_tag": "system",
                },
            },
        ),
        (
            "messages", ROUNDS,
            {
                "formatting": "sharegpt",
                "columns": {"messages": "messages"},
                "tags": {
                    "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
                    "system_tag": "system",
                },
            },
        ),
    ],
)  # fmt: skip
def test_entries_of_dataset_info(
    tmp_path: Path, layout: str, samples: list[TrainingSample], expected: dict[str, object]
) -> None:
    assert entry_of(tmp_path, layout, samples) == expected


def test_other_entries_stay_and_the_own_one_is_replaced(tmp_path: Path) -> None:
    info, rows = tmp_path / "dataset_info.json", training_rows(PLAIN, "alpaca")
    others = {"ümlaut": {"hf_hub_url": "x/y"}, "odd": [1.50, None], "renamed": {"file_name": "sub/../data.json"}}
    info.write_text(json.dumps(others))
    data = DatasetInfo(info, tmp_path / "data.json")
    data.write("messages", training_rows(PLAIN, "messages"))
    data = DatasetInfo(info, tmp_path / "data.json")
    data.write("alpaca", rows)
    entries = json.loads(info.read_text())
    assert data.name == "renamed"
    assert list(entries) == list(others)
    assert {name: entries[name] for name in ("ümlaut", "odd")} == {name: others[name] for name in ("ümlaut", "odd")}
    assert (entries["renamed"]["file_name"], entries["renamed"]["formatting"]) == ("data.json", "alpaca")


def test_a_file_elsewhere_is_named_wholly(tmp_path: Path) -> None:
    (tmp_path / "info").mkdir()
    info = tmp_path / "info" / "dataset_info.json"
    DatasetInfo(info, tmp_path / "data.json").write("alpaca", training_rows(PLAIN, "alpaca"))
    assert json.loads(info.read_text())["data"]["file_name"] == str((tmp_path / "data.json").resolve())


def test_a_taken_name_is_not_taken_over(tmp_path: Path) -> None:
    info = tmp_path / "dataset_info.json"
    info.write_text('{"data": {"file_name": "other.json"}}')
    with pytest.raises(SapError, match="'data' already"):
        DatasetInfo(info, tmp_path / "data.json")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'{"a": 1} x', b'{"a": 1, "a": 2}', b'{"a": NaN}', b"\xff{}", b'"\\u001b[31m"', b"[" * 9999],
)
def test_what_is_no_dataset_info_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    info = tmp_path / "dataset_info.json"
    info.write_bytes(content)
    with pytest.raises(SapError, match="dataset_info") as caught:
        DatasetInfo(info, tmp_path / "data.json")
    assert "\x1b" not in str(caught.value)
    assert info.read_bytes() == content


def test_tidy_turns_have_no_entry() -> None:
    check_described("tidy", training_rows(PLAIN, "tidy"))
    check_described("messages", training_rows(ROUNDS, "messages"))
    with pytest.raises(UsageError, match="several turns"):
        check_described("tidy", training_rows(ROUNDS, "tidy"))
