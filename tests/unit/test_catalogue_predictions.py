"""The target model's own answers, imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import InputError, NotFoundError
from core.store.db import Writer
from core.store.importing import import_file
from core.store.predictions import PredictionsReport, import_predictions
from tests.unit.catalogue_files import new_catalogue, samples, write_lines

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with Writer(new_catalogue(tmp_path)) as opened:
        records = [{**record, "answer": str(record["id"])} for record in samples([1, 2])] + samples([3])
        import_file(opened, write_lines(tmp_path / "a.jsonl", records), task="t", strategy="a")
        yield opened


def ends_with(text: str, gold: str) -> bool | None:
    return None if "?" in text else text.endswith(gold)


def bring(writer: Writer, records: list[dict[str, object]], *, check: bool = False) -> PredictionsReport:
    path = write_lines(writer.path.with_name("predictions.jsonl"), records)
    return import_predictions(writer, path, task="t", weights_digest="w", check=check, is_correct=ends_with)


def stored(writer: Writer, weights: str = "w") -> list[tuple[int, str | None, str]]:
    rows = writer.connection.execute(
        """SELECT p.position, q.key, p.text FROM imported_predictions p LEFT JOIN questions q ON q.id = p.question
           WHERE p.weights_digest = ? ORDER BY p.position""",
        (weights,),
    )
    return [tuple(row) for row in rows]


def prediction(number: int, text: str) -> dict[str, object]:
    return {"id": number, "question": f"question {number}", "response": text}


def test_order_of_the_file_and_unknown_questions(writer: Writer) -> None:
    report = bring(writer, [prediction(2, "b"), prediction(77, " c\n"), prediction(1, "a")])
    assert (report.stored, report.unknown_questions, report.replaced, report.wrong) == (3, 1, 0, 0)
    assert stored(writer) == [(0, "2", "b"), (1, None, " c\n"), (2, "1", "a")]


def test_without_ids_by_text(writer: Writer) -> None:
    bring(writer, [{"question": "question 2", "response": "b"}])
    assert stored(writer) == [(0, "2", "b")]


def test_check_drops_wrong_answers_and_keeps_what_it_cannot_judge(writer: Writer) -> None:
    records = [prediction(1, "it is 9"), prediction(2, "it is 2"), prediction(3, "no gold"), prediction(77, "unknown")]
    report = bring(writer, [*records, {**prediction(78, "it is 8"), "answer": "7"}], check=True)
    assert (report.stored, report.wrong, report.not_checkable) == (3, 2, 2)
    assert stored(writer) == [(0, "2", "it is 2"), (1, "3", "no gold"), (2, None, "unknown")]
    assert bring(writer, [prediction(1, "?")], check=True).not_checkable == 1
    with pytest.raises(InputError, match=r"No prediction in predictions\.jsonl has the right answer"):
        bring(writer, [prediction(1, "9")], check=True)
    assert stored(writer) == [(0, "1", "?")]


def test_later_ones_replace_those_of_the_same_model_only(writer: Writer) -> None:
    path = write_lines(writer.path.with_name("other.jsonl"), [prediction(1, "other")])
    import_predictions(writer, path, task="t", weights_digest="w2")
    bring(writer, [prediction(1, "a"), prediction(2, "b")])
    assert bring(writer, [prediction(3, "c")]).replaced == 2
    assert stored(writer) == [(0, "3", "c")]
    assert stored(writer, "w2") == [(0, "1", "other")]


def test_what_is_refused(writer: Writer) -> None:
    with pytest.raises(InputError, match=r"predictions\.jsonl:1: the id '1' belongs to another question"):
        bring(writer, [{"id": 1, "question": "other", "response": "r"}])
    with pytest.raises(InputError, match=r"predictions\.jsonl:2: the id '1' stands in line 1 already"):
        bring(writer, [prediction(1, "a"), prediction(1, "b")])
    with pytest.raises(NotFoundError, match="no task 'x'"):
        import_predictions(writer, writer.path.with_name("a.jsonl"), task="x", weights_digest="w")
    assert stored(writer) == []


def test_published_predictions_find_their_questions(writer: Writer) -> None:
    folder = SHARED / "paper_responses" / "gsm8k"
    if not folder.is_dir():
        pytest.skip(f"the published responses are not at {folder}")
    import_file(writer, folder / "claude.jsonl", task="gsm8k", strategy="claude")
    file = folder / "initial_predictions.qwen.jsonl"
    report = import_predictions(writer, file, task="gsm8k", weights_digest="q")
    assert report.stored == 100
    known = [key for _, key, _ in stored(writer, "q") if key is not None]
    assert len(known) == 100 - report.unknown_questions
    assert 0 < report.unknown_questions < 100


def test_every_bad_line_is_named_at_once(writer: Writer) -> None:
    contradicting = {"id": 2, "question": "another", "response": "r"}
    with pytest.raises(InputError, match=r"^Bad lines: predictions\.jsonl 3; all named above\.") as caught:
        bring(writer, [prediction(1, "a"), {"id": 5}, contradicting, prediction(1, "b")])
    assert sorted(caught.value.details) == [
        "predictions.jsonl:2: no field 'question'",
        "predictions.jsonl:3: the id '2' belongs to another question of the task",
        "predictions.jsonl:4: the id '1' stands in line 1 already",
    ]
    assert stored(writer) == []
