"""Which fields become the question and the response, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.domain import Turn
from core.errors import InputError, NotFoundError, UsageError
from core.ingest.fields import parse_field_map
from core.ingest.records import BadLine, Record
from core.ingest.source import detect, preview

ASK = Turn("user", "2+2?")
LAYOUTS = {
    "tidy": ({"question": "2+2?", "response": "4"}, (ASK,)),
    "prompt and completion": ({"prompt": "2+2?", "completion": "4"}, (ASK,)),
    "query": ({"query": "2+2?", "response": "4", "type": "x"}, (ASK,)),
    "question before prompt": ({"prompt": "template", "question": "2+2?", "response": "4"}, (ASK,)),
    "tidy with turns": (
        {"question": [{"role": "system", "content": "s"}, {"role": "user", "content": "2+2?"}], "response": "4"},
        (Turn("system", "s"), ASK),
    ),
    "alpaca": ({"instruction": "Add.", "input": "2+2", "output": "4"}, (Turn("user", "Add.\n2+2"),)),
    "alpaca, empty input": ({"instruction": "2+2?", "input": "", "output": "4"}, (ASK,)),
    "alpaca, no input": ({"instruction": "2+2?", "output": "4"}, (ASK,)),
    "alpaca, system and history": (
        {"instruction": "2+2?", "output": "4", "system": "s", "history": [["1+1?", "2"]]},
        (Turn("system", "s"), Turn("user", "1+1?"), Turn("assistant", "2"), ASK),
    ),
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}]},
        (ASK,),
    ),
    "sharegpt, several turns": (
        {
            "system": "s",
            "conversations": [
                {"from": "human", "value": "1+1?"},
                {"from": "gpt", "value": "2"},
                {"from": "human", "value": "2+2?"},
                {"from": "gpt", "value": "4"},
            ],
        },
        (Turn("system", "s"), Turn("user", "1+1?"), Turn("assistant", "2"), ASK),
    ),
    "messages": (
        {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]},
        (ASK,),
    ),
    "messages, one text part": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "2+2?"}]},
                {"role": "assistant", "content": "4"},
            ]
        },
        (ASK,),
    ),
}
BAD_RECORDS = {
    "response missing": ({"question": "q"}, "no field 'response'"),
    "response null": ({"question": "q", "response": None}, "'response' is empty, not text"),
    "response a number": ({"question": "q", "response": 4}, "'response' is a number, not text"),
    "question a number": ({"question": 4, "response": "r"}, "'question' is a number, not text"),
    "question empty": ({"question": "", "response": "r"}, "the question is empty"),
    "id a fraction": ({"question": "q", "response": "r", "id": 1.5}, "the id in 'id' is a number"),
    "id a list": ({"question": "q", "response": "r", "id": []}, "the id in 'id' is a list"),
    "id true": ({"question": "q", "response": "r", "id": True}, "the id in 'id' is true or false"),
    "id missing": ({"question": "q", "response": "r", "id": None}, "no id, although the file has ids"),
    "answer a list": (
        {"question": "q", "response": "r", "id": 1, "answer": [1]},
        "the gold answer in 'answer' is a list",
    ),
    "surrogate": ({"question": "q", "response": "a\ud800", "id": 1}, "the response holds half a surrogate pair"),
    "surrogate in the question": ({"question": "\udfff", "response": "a", "id": 1}, "the question holds half"),
}
BAD_CONVERSATIONS = {
    "no assistant": ([{"role": "user", "content": "q"}], "the conversation has no assistant turn"),
    "no user": ([{"role": "assistant", "content": "r"}], "no user turn stands before the response"),
    "two responses": (
        [{"role": r, "content": "x"} for r in ("user", "assistant", "assistant")],
        "no user turn stands before the response",
    ),
    "tool": ([{"role": "tool", "content": "x"}], "turn 1 has the unknown role 'tool'"),
    "null": ([{"role": "user", "content": None}], "turn 1 holds empty where its text belongs"),
    "not objects": (["q", "r"], "turn 1 is text, not an object"),
    "text": ("q", "'messages' is text, not a list of turns"),
    "tools called": ([{"role": "assistant", "content": "", "tool_calls": [{}]}], "turn 1 calls tools"),
}


def records_of(folder: Path, *objects: object, field_map: dict[str, str] | None = None) -> list[Record | BadLine]:
    path = folder / "file.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in objects))
    return list(detect(path, field_map).records())


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout(tmp_path: Path, name: str) -> None:
    fields, turns = LAYOUTS[name]
    assert records_of(tmp_path, fields) == [Record(1, None, turns, "4")]


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_bad_record(tmp_path: Path, name: str) -> None:
    fields, reason = BAD_RECORDS[name]
    good = {"question": "a", "response": "b", "id": 0}
    first, second = records_of(tmp_path, good, fields)
    assert isinstance(first, Record)
    assert isinstance(second, BadLine)
    assert second.line == 2
    assert reason in second.reason


@pytest.mark.parametrize("name", BAD_CONVERSATIONS)
def test_bad_conversation(tmp_path: Path, name: str) -> None:
    messages, reason = BAD_CONVERSATIONS[name]
    good = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]
    _, second = records_of(tmp_path, {"messages": good}, {"messages": messages})
    assert isinstance(second, BadLine)
    assert reason in second.reason


def test_turns_after_the_last_response_are_left_out_and_noted(tmp_path: Path) -> None:
    messages = [{"role": role, "content": role} for role in ("user", "assistant", "user")]
    (record,) = records_of(tmp_path, {"messages": messages})
    assert isinstance(record, Record)
    assert record.response == "assistant"
    assert record.note


def test_ids_and_answers_become_text(tmp_path: Path) -> None:
    good = {"question": "q", "response": ""}
    answers = [72, 72.5, True, "x", "", None]
    found = records_of(tmp_path, *({**good, "id": number, "answer": answer} for number, answer in enumerate(answers)))
    assert [(record.id, record.answer) for record in found if isinstance(record, Record)] == [
        ("0", "72"),
        ("1", "72.5"),
        ("2", "true"),
        ("3", "x"),
        ("4", None),
        ("5", None),
    ]


def test_an_id_that_appears_later_is_bad(tmp_path: Path) -> None:
    _, second = records_of(tmp_path, {"question": "a", "response": "b"}, {"question": "c", "response": "d", "id": 1})
    assert isinstance(second, BadLine)


def test_field_map_overrides_what_is_detected(tmp_path: Path) -> None:
    fields = {"question": "no", "ask": "2+2?", "response": "4", "number": 7, "gold": "4", "id": "x", "answer": "no"}
    field_map = parse_field_map("question=ask,id=number,answer=gold")
    assert records_of(tmp_path, fields, field_map=field_map) == [Record(1, "7", (ASK,), "4", "4")]
    assert records_of(tmp_path, fields, field_map=parse_field_map("id=,answer=")) == [
        Record(1, None, (Turn("user", "no"),), "4")
    ]


def test_field_map_of_id_and_answer_keeps_the_layout(tmp_path: Path) -> None:
    fields = {"instruction": "2+2?", "output": "4", "key": "k", "gold": 4}
    assert records_of(tmp_path, fields, field_map={"id": "key", "answer": "gold"}) == [Record(1, "k", (ASK,), "4", "4")]


@pytest.mark.parametrize("text", ["question", "question=", "text=a", "question=a,question=b", "question=a,"])
def test_field_map_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError):
        parse_field_map(text)


def test_unknown_layouts_and_fields_name_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"file\.jsonl has no layout that is known; its fields: 'a', 'b\\x1b'.*--map"):
        records_of(tmp_path, {"a": 1, "b\x1b": 2})
    with pytest.raises(
        InputError, match=r"has no field 'missing' for the response\. Its fields: 'question', 'response'"
    ):
        records_of(tmp_path, {"question": "q", "response": "r"}, field_map={"response": "missing"})
    with pytest.raises(InputError, match="no layout"):
        records_of(tmp_path, {"prompt": "a", "query": "b", "response": "c"})


def test_a_file_is_judged_by_its_first_row_that_has_a_layout(tmp_path: Path) -> None:
    rows = [{"error": "rate limited"}, {"id": "a", "question": "q", "response": "r"}]
    assert records_of(tmp_path, *rows) == [
        BadLine(1, "no field 'question'"), Record(2, "a", (Turn("user", "q"),), "r", None)
    ]  # fmt: skip
    rows = [{"q": "q"}, {"q": "q", "r": "r"}]
    assert records_of(tmp_path, *rows, field_map={"question": "q", "response": "r"}) == [
        BadLine(1, "no field 'r'"), Record(2, None, (Turn("user", "q"),), "r", None)
    ]  # fmt: skip


def test_preview_says_what_was_detected_and_shows_the_first_records(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text("".join(json.dumps({"prompt": str(n), "completion": "r", "id": n}) + "\n" for n in range(30)))
    source, records = preview(path, limit=3)
    assert source.described(30, 0) == (
        "JSON Lines; question from 'prompt', response from 'completion'; ids from 'id'; no gold answers"
    )
    assert [record.line for record in records] == [1, 2, 3]


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "blank.jsonl").write_text("\n \n")
    (tmp_path / "broken.jsonl").write_text("question\nresponse\n")
    (tmp_path / "file.gz").write_bytes(b"\x1f\x8b rest")
    (tmp_path / "wide.csv").write_text("question,response\n", encoding="utf-16")
    for name, text in (
        ("empty.jsonl", "is empty"),
        ("blank.jsonl", "holds no records"),
        ("broken.jsonl", r"^broken\.jsonl:1: not JSON: .* at column 1\. None of its first lines can be read"),
        ("file.gz", "gzip"),
        ("wide.csv", "UTF-16"),
        (".", "is not a file"),
    ):
        with pytest.raises(InputError, match=text):
            detect(tmp_path / name)
    with pytest.raises(NotFoundError, match=r"missing\.jsonl"):
        detect(tmp_path / "missing.jsonl")
