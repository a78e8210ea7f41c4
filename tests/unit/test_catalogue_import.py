"""Files into the catalogue: alignment, gold answers, replacing, all or nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from core.errors import InputError, NotFoundError, SapError, UsageError
from core.store import catalogue
from core.store.db import Writer, open_reader
from core.store.importing import ImportReport, ImportRequest, import_file, import_files, rehearse_files
from core.store.strategies import StrategyFields, add_strategy
from tests.unit.catalogue_files import add_run, new_catalogue, samples, write_lines
from tests.unit.test_ingest_formats import HARD_TEXTS

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with Writer(new_catalogue(tmp_path)) as opened:
        yield opened


def bring(writer: Writer, name: str, records: Iterable[object], **options: object) -> ImportReport:
    path = write_lines(writer.path.with_name(f"{name}.jsonl"), records)
    return import_file(writer, path, task="t", strategy=name, **options)  # type: ignore[arg-type]


def order(writer: Writer) -> list[tuple[int, str | None, str]]:
    task = catalogue.task_by_name(writer.connection, "t")
    return [(q.position, q.key, q.text) for q in catalogue.questions_of(writer.connection, task.id)]


def answered(writer: Writer, name: str) -> dict[str, str]:
    strategy = catalogue.strategy_by_name(writer.connection, "t", name)
    page = catalogue.responses_page(writer.connection, strategy.id)
    return {sample.question.text: sample.response.text for sample in page}


def test_first_file_makes_task_and_order(writer: Writer) -> None:
    report = bring(writer, "a", samples([3, 1, 2]), teacher="T", note="N", prompt="P")
    assert (report.responses, report.new_questions, report.skipped, report.warnings) == (3, 3, 0, ())
    assert order(writer) == [(0, "3", "question 3"), (1, "1", "question 1"), (2, "2", "question 2")]
    strategy = catalogue.strategy_by_name(writer.connection, "t", "a")
    assert (strategy.teacher, strategy.note, strategy.prompt, strategy.responses) == ("T", "N", "P", 3)
    assert strategy.source == str(writer.path.with_name("a.jsonl"))


def test_alignment_by_id_whatever_the_order(writer: Writer) -> None:
    bring(writer, "a", samples([1, 2, 3]))
    report = bring(writer, "b", samples([4, 3, 1]))
    assert (report.responses, report.new_questions) == (3, 1)
    assert [key for _, key, _ in order(writer)] == ["1", "2", "3", "4"]
    assert answered(writer, "b") == {f"question {n}": f"response {n}" for n in (1, 3, 4)}


def test_alignment_by_text_without_ids(writer: Writer) -> None:
    bring(writer, "a", samples([1, 2], ids=False))
    report = bring(writer, "b", samples([3, 2], ids=False))
    assert report.new_questions == 1
    assert order(writer) == [(0, None, "question 1"), (1, None, "question 2"), (2, None, "question 3")]


def test_file_without_ids_finds_questions_with_ids_by_text(writer: Writer) -> None:
    bring(writer, "a", samples([1, 2]))
    assert bring(writer, "b", samples([2], ids=False)).new_questions == 0


def test_file_with_ids_gives_them_to_questions_without(writer: Writer) -> None:
    bring(writer, "a", samples([1, 2], ids=False))
    assert bring(writer, "b", samples([2, 3])).new_questions == 1
    assert order(writer) == [(0, None, "question 1"), (1, "2", "question 2"), (2, "3", "question 3")]


def test_composed_and_decomposed_letters_are_different_questions(writer: Writer) -> None:
    bring(writer, "a", [{"question": "caf\u00e9", "response": "r"}])
    assert bring(writer, "b", [{"question": "cafe\u0301", "response": "r"}]).new_questions == 1


def test_same_id_with_another_question_is_refused(writer: Writer) -> None:
    bring(writer, "a", samples([1, 2]))
    records = [*samples([1]), {"id": 2, "question": "another", "response": "r"}]
    with pytest.raises(InputError, match=r"^b\.jsonl:2: the id '2' belongs to another question of the task\."):
        bring(writer, "b", records)
    assert [strategy.name for strategy in catalogue.strategies(writer.connection)] == ["a"]
    report = bring(writer, "b", records, skip_bad=True)
    assert (report.responses, report.skipped, report.new_questions) == (1, 1, 0)


def test_same_question_under_another_id_is_another_question_and_said(writer: Writer) -> None:
    bring(writer, "a", samples([1]))
    report = bring(writer, "b", [{"id": "x1", "question": "question 1", "response": "r"}])
    assert report.new_questions == 1
    assert "Questions that stand in the task under other ids too: 1" in " ".join(report.warnings)
    with pytest.raises(InputError, match=r"c\.jsonl:1: the task has this question 2 times"):
        bring(writer, "c", samples([1], ids=False))


@pytest.mark.parametrize(
    ("ids", "what"), [(True, "the id '1' stands in line 1 already"), (False, "the same question stands in line 1")]
)
def test_repetition_in_a_file_names_both_lines(writer: Writer, ids: bool, what: str) -> None:
    with pytest.raises(InputError, match=rf"^a\.jsonl:3: {what}"):
        bring(writer, "a", samples([1, 2, 1], ids=ids))
    report = bring(writer, "a", samples([1, 2, 1], ids=ids), skip_bad=True)
    assert (report.responses, report.skipped) == (2, 1)


def test_one_bad_line_keeps_everything_out(writer: Writer) -> None:
    records = [*samples([1]), {"id": 2}, {"id": 3}]
    with pytest.raises(InputError) as caught:
        bring(writer, "a", records)
    assert caught.value.details == ("a.jsonl:2: no field 'question'", "a.jsonl:3: no field 'question'")
    assert str(caught.value) == (
        "Bad lines: a.jsonl 2; all named above. Nothing was kept. Mend it, or leave such lines out with --skip-bad."
    )
    assert catalogue.tasks(writer.connection) == []
    with pytest.raises(InputError, match=r"^a\.jsonl:2: no field 'question'\. Nothing was kept\.") as alone:
        bring(writer, "a", [*samples([1]), {"id": 2}])
    assert alone.value.details == ()


def test_bad_lines_of_all_files_are_named_a_hundred_of_them(writer: Writer) -> None:
    files = {
        "many": [*samples([1]), *({"id": n} for n in range(2, 252))],
        "good": samples([1, 2]),
        # The second file brought this question, so that the line is wrong only in its company.
        "few": [{"id": 2, "question": "another", "response": "r"}, {"id": 3}, *samples([4])],
        "more": [*samples([1]), *({"id": n} for n in range(2, 152))],
    }
    requests = [
        ImportRequest(write_lines(writer.path.with_name(f"{name}.jsonl"), records), name)
        for name, records in files.items()
    ]
    with pytest.raises(InputError) as caught:
        import_files(writer, requests, task="t")
    named = caught.value.details
    assert len(named) == len(set(named)) == 100
    assert [name for name in files for line in named if line.startswith(f"{name}.jsonl:")] == (
        ["many"] * 49 + ["few"] * 2 + ["more"] * 49
    )
    assert "few.jsonl:1: the id '2' belongs to another question of the task" in named
    assert caught.value.message == "Bad lines: many.jsonl 250, few.jsonl 2, more.jsonl 150; 100 of them named above."
    assert catalogue.tasks(writer.connection) == []


def test_a_rehearsal_says_what_an_import_does_and_keeps_nothing(writer: Writer) -> None:
    bring(writer, "a", samples([1, 2]))
    good = write_lines(writer.path.with_name("good.jsonl"), [*samples([2, 3], answer="x", level=3), {"id": 4}])
    requests = [ImportRequest(good, "good"), ImportRequest(writer.path.with_name("gone.jsonl"), "gone")]
    report, missing = rehearse_files(writer, requests, task="t")
    assert isinstance(missing, NotFoundError)
    assert isinstance(report, ImportReport)
    assert report.fields == ("id", "question", "response", "answer", "level")
    assert report.skipped_lines == ("good.jsonl:3: no field 'question'",)
    assert [strategy.name for strategy in catalogue.strategies(writer.connection)] == ["a"]
    assert [key for _, key, _ in order(writer)] == ["1", "2"]
    (kept,) = import_files(writer, requests[:1], task="t", skip_bad=True)
    assert kept == report
    with pytest.raises(SapError, match="already"):
        rehearse_files(writer, requests[:1], task="t")
    (again,) = rehearse_files(writer, requests[:1], task="t", replace=True)
    assert isinstance(again, ImportReport)
    assert again.replaced
    assert len(answered(writer, "good")) == 2


def test_gold_answers_are_told_by_what_was_read(writer: Writer) -> None:
    records = [{**record, "answer": answer} for record, answer in zip(samples([1, 2, 3]), (None, "3", ""), strict=True)]
    assert bring(writer, "a", records).detected.endswith("; gold answers from 'answer' (1 of 3)")
    assert bring(writer, "b", samples([1, 2], answer="3")).detected.endswith("; gold answers from 'answer'")
    assert bring(writer, "c", [{**record, "answer": None} for record in samples([1])]).detected.endswith(
        "; no gold answers"
    )


def test_skipped_lines_are_named_up_to_a_hundred_and_counted(writer: Writer) -> None:
    report = bring(writer, "a", [*samples([1]), *({"id": n} for n in range(2, 252))], skip_bad=True)
    assert (report.responses, report.skipped, len(report.skipped_lines)) == (1, 250, 100)
    assert report.skipped_lines[0] == "a.jsonl:2: no field 'question'"
    (count,) = writer.connection.execute("SELECT skipped_lines FROM strategies").fetchone()
    assert count == 250


def test_nothing_usable_is_an_error_in_spite_of_skip_bad(writer: Writer) -> None:
    with pytest.raises(InputError, match=r"a\.jsonl holds no usable record.*a\.jsonl:1: the question is empty"):
        bring(writer, "a", [{"question": "", "response": "r"}], skip_bad=True)
    assert catalogue.tasks(writer.connection) == []


def test_gold_answers_come_from_the_first_file_that_has_them(writer: Writer) -> None:
    bring(writer, "a", samples([1, 2]))
    bring(writer, "b", samples([1], answer="one"))
    report = bring(writer, "c", samples([1, 2], answer="two"))
    task = catalogue.task_by_name(writer.connection, "t")
    assert [q.answer for q in catalogue.questions_of(writer.connection, task.id)] == ["one", "two"]
    assert report.warnings == ("Gold answers that differ from the task's, which stay: 1.",)


def test_warnings_about_empty_responses_and_foreign_questions(writer: Writer) -> None:
    bring(writer, "a", samples([1]))
    report = bring(writer, "b", [{"id": 2, "question": "other", "response": ""}])
    assert report.warnings == (
        "None of these questions was in the task before.",
        "Empty responses, which become errors when scored: 1.",
    )
    assert answered(writer, "b") == {"other": ""}


def test_texts_are_kept_byte_for_byte(writer: Writer) -> None:
    records: list[dict[str, object]] = [
        {"question": f"{number}{text}", "response": text} for number, text in enumerate(HARD_TEXTS)
    ]
    bring(writer, "a", records)
    assert answered(writer, "a") == {record["question"]: record["response"] for record in records}


def test_conversations_keep_their_turns(writer: Writer) -> None:
    turns = [("system", "s\x00"), ("user", "q"), ("assistant", "r"), ("user", "é\u2028")]
    messages = [{"role": role, "content": text} for role, text in (*turns, ("assistant", "last"))]
    bring(writer, "a", [{"messages": messages}])
    (question,) = catalogue.questions_of(writer.connection, 1)
    assert [(turn.role, turn.content) for turn in question.turns] == turns


def test_existing_strategy_is_refused_without_replace(writer: Writer) -> None:
    bring(writer, "a", samples([1]))
    with pytest.raises(SapError, match=r"'a' is in the task 't' already.*--replace"):
        bring(writer, "a", samples([2]))


def test_strategy_without_responses_is_filled(writer: Writer) -> None:
    added = add_strategy(writer, "t", "a", StrategyFields(teacher="T", note="old", tags=["x"]))
    bring(writer, "a", samples([1]), note="new")
    filled = catalogue.strategy_by_name(writer.connection, "t", "a")
    assert (filled.id, filled.teacher, filled.note, filled.tags) == (added.id, "T", "new", ("x",))


def test_replace_takes_questions_that_nobody_else_answers_along(writer: Writer) -> None:
    bring(writer, "a", samples([1, 2, 3]), teacher="T")
    bring(writer, "b", samples([2]))
    # The first import was wrong: other texts under the same ids would contradict its questions.
    records = [*samples([2]), {"id": 3, "question": "mended", "response": "r"}]
    report = bring(writer, "a", records, replace=True)
    assert report.replaced
    assert order(writer) == [(0, "2", "question 2"), (1, "3", "mended")]
    assert catalogue.strategy_by_name(writer.connection, "t", "a").teacher == "T"


def test_replacing_every_strategy_at_once_starts_the_task_anew(writer: Writer) -> None:
    requests = [
        ImportRequest(write_lines(writer.path.with_name(f"{name}.jsonl"), samples([1, 2])), name) for name in "ab"
    ]
    import_files(writer, requests, task="t")
    for request in requests:
        write_lines(request.path, [{"id": 2, "question": "mended", "response": "r"}])
    import_files(writer, requests, task="t", replace=True)
    assert order(writer) == [(0, "2", "mended")]


def test_replace_keeps_what_a_run_scored(writer: Writer) -> None:
    bring(writer, "a", samples([1, 2]))
    old = catalogue.strategy_by_name(writer.connection, "t", "a")
    add_run(writer, "t", old.id)
    bring(writer, "a", samples([2, 3]), replace=True)
    new = catalogue.strategy_by_name(writer.connection, "t", "a")
    assert new.id != old.id
    assert len(catalogue.responses_page(writer.connection, old.id)) == 2
    assert [key for _, key, _ in order(writer)] == ["1", "2", "3"]
    assert [strategy.id for strategy in catalogue.strategies(writer.connection, "t")] == [new.id]


def test_several_files_are_imported_together_or_not_at_all(writer: Writer) -> None:
    good = write_lines(writer.path.with_name("good.jsonl"), samples([1]))
    bad = write_lines(writer.path.with_name("bad.jsonl"), [{"id": 1, "question": "another", "response": "r"}])
    with pytest.raises(InputError, match=r"^bad\.jsonl:1"):
        import_files(writer, [ImportRequest(good, "good"), ImportRequest(bad, "bad")], task="t")
    assert catalogue.tasks(writer.connection) == []
    with pytest.raises(UsageError, match="Two of the files"):
        import_files(writer, [ImportRequest(good, "same"), ImportRequest(bad, "same")], task="t")


def test_an_exception_while_reading_leaves_the_catalogue_usable(writer: Writer) -> None:
    def cancel(rows: int, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(writer, "a", samples(range(1500)), on_progress=cancel)
    assert bring(writer, "a", samples([1])).responses == 1


def test_others_may_write_while_a_file_is_read(writer: Writer) -> None:
    def write(rows: int, share: float) -> None:
        with Writer(writer.path) as other:
            add_strategy(other, "elsewhere", f"s{rows}")

    bring(writer, "a", samples(range(1500)), on_progress=write)
    assert len(catalogue.strategies(writer.connection, "elsewhere")) == 2


@pytest.mark.parametrize("name", ["", "  ", "x" * 121, "a\x1bb", "a\nb", "a\u2028b", "\udcff"])
def test_names_that_are_refused(writer: Writer, name: str) -> None:
    path = write_lines(writer.path.with_name("a.jsonl"), samples([1]))
    with pytest.raises(UsageError, match="strategy's name"):
        import_file(writer, path, task="t", strategy=name)
    with pytest.raises(UsageError, match="task's name"):
        import_file(writer, path, task=name, strategy="s")


@pytest.mark.parametrize("name", ["'; DROP TABLE tasks; --", 'a"b', "a]b", "%_", "日本語 👩\u200d👧", "../../x", "-x"])
def test_names_that_are_only_names(writer: Writer, name: str) -> None:
    import_file(
        writer, write_lines(writer.path.with_name("a.jsonl"), samples([1])), task=name, strategy=name, replace=True
    )
    assert [(s.task, s.name) for s in catalogue.strategies(writer.connection)] == [(name, name)]


def test_published_responses(writer: Writer) -> None:
    folder = SHARED / "paper_responses" / "gsm8k"
    if not folder.is_dir():
        pytest.skip(f"the published responses are not at {folder}")
    files = [file for file in sorted(folder.glob("*.jsonl")) if not file.name.startswith("initial_predictions")]
    reports = import_files(writer, [ImportRequest(file, file.stem) for file in files], task="gsm8k")
    assert len(reports) == 8
    assert {(report.responses, report.warnings) for report in reports} == {(100, ())}
    reader = open_reader(writer.path)
    assert catalogue.tasks(reader)[0].questions == 100
    for file in files:
        strategy = catalogue.strategy_by_name(reader, "gsm8k", file.stem)
        expected = [json.loads(line) for line in file.read_bytes().split(b"\n") if line]
        found = catalogue.responses_page(reader, strategy.id, limit=200)
        assert [(s.question.key, s.question.text, s.response.text, s.question.answer) for s in found] == [
            (str(record["id"]), record["question"], record["response"], record["answer"]) for record in expected
        ]


KILLED_WHILE_IMPORTING = """
import os, signal, sys
from pathlib import Path
from core.store import importing
from core.store.db import Writer

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "publishing":
    importing.alignment.add_responses = die
with Writer(Path(sys.argv[1])) as writer:
    importing.import_file(writer, Path(sys.argv[1]).with_name("new.jsonl"), task="t", strategy="new",
                          on_progress=die if sys.argv[2] == "reading" else None)
"""


@pytest.mark.parametrize("moment", ["reading", "publishing"])
def test_kill_while_importing_leaves_the_catalogue_as_it_was(writer: Writer, moment: str) -> None:
    bring(writer, "a", samples([1]))
    write_lines(writer.path.with_name("new.jsonl"), samples(range(1, 1200)))
    command = [sys.executable, "-c", KILLED_WHILE_IMPORTING, str(writer.path), moment]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[2], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [strategy.name for strategy in catalogue.strategies(writer.connection)] == ["a"]
    assert order(writer) == [(0, "1", "question 1")]
    assert bring(writer, "new", samples([1, 2])).responses == 2
