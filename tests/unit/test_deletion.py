"""Deleting strategies, tasks and runs: nobody sees them, everything comes back, and a sweep removes them for good."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.domain import Run
from core.errors import NotFoundError, SapError, UsageError
from core.jobs.claim import claim_run
from core.scorer import Scorer
from core.store import catalogue as tables
from core.store.db import Writer
from core.store.deletion import (
    delete_run,
    delete_strategy,
    delete_task,
    deleted_tasks,
    last_deleted,
    rename_task,
    restore_run,
    restore_strategy,
    restore_task,
    sweep_deleted,
)
from core.store.outcomes import import_outcomes, outcome_counts, outcomes
from core.store.runs import last_run, run_by_id, runs, unfinished_runs, wish_cancel, wish_resume
from sap_tui.cli import main
from tests.conftest import write_strategy
from tests.jobs.helpers import assert_sound, queue_run

HOSTILE = "[/b] \u202e';--%s"


@pytest.fixture
def scored(catalogue: Path, stand_in_model: Path) -> Path:
    """Run 1 is done."""
    number = queue_run(catalogue, stand_in_model, samples=4)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, number)
    assert claim is not None
    scorer = Scorer(catalogue)
    scorer.work(claim)
    scorer.close()
    return catalogue


@pytest.fixture
def writer(scored: Path) -> Any:
    with Writer(scored) as writer:
        yield writer


def everything(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {name: [tuple(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in names}


UNDOABLE: dict[str, tuple[Callable[[Writer], object], Callable[[Writer], object]]] = {
    "strategy": (lambda w: delete_strategy(w, "sums", "plain"), lambda w: restore_strategy(w, "sums", "plain")),
    "task": (lambda w: delete_task(w, "sums"), lambda w: restore_task(w, "sums")),
    "run": (lambda w: delete_run(w, 1), lambda w: restore_run(w, 1)),
}


@pytest.mark.parametrize("what", UNDOABLE)
def test_undoing_brings_every_byte_back(what: str, writer: Writer) -> None:
    before = everything(writer.connection)
    delete, restore = UNDOABLE[what]
    delete(writer)
    assert everything(writer.connection) != before
    restore(writer)
    # What was deleted and restored counts as updated; nothing else differs.
    after = everything(writer.connection)
    updated = [row[:11] + row[13:] for row in after["strategies"]]
    assert updated == [row[:11] + row[13:] for row in before["strategies"]]
    assert {**after, "strategies": 0} == {**before, "strategies": 0}
    assert_sound(writer.path)


def test_no_reader_shows_a_deleted_task(writer: Writer, tmp_path: Path) -> None:
    reader = writer.connection
    table = tmp_path / "outcomes.csv"
    table.write_text("strategy,accuracy\nplain,0.5\n")
    import_outcomes(writer, table, task="sums", model="m")
    delete_task(writer, "sums")
    assert tables.tasks(reader) == tables.strategies(reader) == runs(reader) == outcomes(reader) == []
    assert outcome_counts(reader) == {}
    assert tables.strategy_by_path(reader, "sums/plain") is None
    assert deleted_tasks(reader) == ["sums"]
    for read in (
        lambda: tables.task_by_name(reader, "sums"),
        lambda: tables.strategy_by_name(reader, "sums", "plain"),
        lambda: run_by_id(reader, 1),
        lambda: last_run(reader),
        lambda: wish_resume(reader, 1),
    ):
        with pytest.raises(NotFoundError):
            read()


def test_no_reader_shows_a_deleted_run(writer: Writer) -> None:
    delete_run(writer, 1)
    assert runs(writer.connection) == []
    for read in (run_by_id, wish_resume):
        with pytest.raises(NotFoundError):
            read(writer.connection, 1)
    with pytest.raises(NotFoundError):
        last_run(writer.connection)
    with pytest.raises(NotFoundError, match="no run 1"):
        delete_run(writer, 1)


def test_only_runs_that_ended_are_deleted_and_no_task_that_has_others(scored: Path, stand_in_model: Path) -> None:
    number = queue_run(scored, stand_in_model, samples=5)
    with Writer(scored) as writer:
        with pytest.raises(UsageError, match=rf"Run {number} has not ended \(queued\)"):
            delete_run(writer, number)
        with pytest.raises(SapError, match=f"unfinished runs: {number}"):
            delete_task(writer, "sums")
        with writer.transaction() as connection:
            wish_cancel(connection, number)
        delete_run(writer, number)
        delete_task(writer, "sums")
        assert unfinished_runs(writer.connection) == []


def test_scores_stay_when_their_run_is_swept(scored: Path, stand_in_model: Path) -> None:
    with Writer(scored) as writer:
        delete_run(writer, 1)
        sweep_deleted(writer, before=math.inf)
        assert writer.connection.execute("SELECT count(*) FROM run_items").fetchone()[0] == 0
        with pytest.raises(NotFoundError, match="no deleted run 1"):
            restore_run(writer, 1)
    queue_run(scored, stand_in_model, samples=4)
    with Writer(scored) as writer:
        claim = claim_run(writer, 2)
    assert claim is not None
    scorer = Scorer(scored)
    scorer.work(claim)
    scorer.close()
    with Writer(scored) as writer:
        again: Run = run_by_id(writer.connection, 2)
        assert again.reused == again.total > 0
    assert_sound(scored)


def test_a_week_passes_before_anything_is_swept(writer: Writer) -> None:
    for delete, _ in list(UNDOABLE.values())[::2]:
        delete(writer)
    sweep_deleted(writer)
    for _, restore in list(UNDOABLE.values())[::2]:
        restore(writer)
    delete_task(writer, "sums")
    with writer.transaction() as connection:
        connection.execute("UPDATE tasks SET deleted_at = deleted_at - 8 * 86400")
    sweep_deleted(writer)
    left = everything(writer.connection)
    for table in ("tasks", "strategies", "questions", "responses", "runs", "run_items", "run_strategies", "events"):
        assert left[table] == [], table
    assert left["scores"]


def test_the_name_of_a_deleted_task_is_free_until_it_comes_back(catalogue: Path, tmp_path: Path) -> None:
    from core.store.importing import import_file

    with Writer(catalogue) as writer:
        delete_task(writer, "sums")
        import_file(writer, write_strategy(tmp_path / "new.jsonl", ["x"]), task="sums", strategy="plain")
        assert [task.questions for task in tables.tasks(writer.connection)] == [1]
        with pytest.raises(SapError, match="There is a task sums already"):
            restore_task(writer, "sums")
        assert rename_task(writer, "sums", "other").name == "other"
        assert restore_task(writer, "sums").questions == 24
        with pytest.raises(SapError, match="There is a task sums already"):
            rename_task(writer, "other", "sums")
        with pytest.raises(UsageError, match="control characters"):
            rename_task(writer, "other", "\x7f1 sums")
        with pytest.raises(NotFoundError, match="no deleted task 'sums'"):
            restore_task(writer, "sums")


def test_the_name_of_a_deleted_strategy_is_free_until_it_comes_back(catalogue: Path, tmp_path: Path) -> None:
    from core.store.importing import import_file

    with Writer(catalogue) as writer:
        delete_strategy(writer, "sums", "plain")
        import_file(writer, write_strategy(tmp_path / "new.jsonl", ["x"]), task="sums", strategy="plain")
        with pytest.raises(SapError, match="has a strategy plain again"):
            restore_strategy(writer, "sums", "plain")
        delete_strategy(writer, "sums", "plain")
        assert restore_strategy(writer, "sums", "plain").responses == 1


def test_a_task_goes_and_comes_with_the_last_thing_that_it_holds(catalogue: Path) -> None:
    with Writer(catalogue) as writer:
        for name in ("plain", "chatty"):
            delete_strategy(writer, "sums", name)
        assert tables.tasks(writer.connection) == []
        with pytest.raises(NotFoundError, match="no deleted strategy 'plain'"):
            restore_strategy(writer, "sums", "plain")
        assert restore_strategy(writer, "sums", "chatty").responses == 24
        assert restore_strategy(writer, "sums", "plain").responses == 24
        for name in ("plain", "chatty"):
            delete_strategy(writer, "sums", name)
        restore_task(writer, "sums")
        assert [one.name for one in tables.strategies(writer.connection)] == ["chatty"]


def test_names_of_any_kind_survive(catalogue: Path) -> None:
    with Writer(catalogue) as writer:
        for name in (HOSTILE, "a b  c", " 7 x", "漢字", "7"):
            rename_task(writer, tables.tasks(writer.connection)[0].name, name)
            delete_task(writer, name)
            assert deleted_tasks(writer.connection) == [name]
            assert restore_task(writer, name).name == name


def test_the_commands(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str, code: int = 0) -> str:
        assert main(["--catalogue", str(scored), *arguments]) == code
        captured = capsys.readouterr()
        return captured.out + captured.err

    assert "sums         24           2" in said("task", "list")
    assert json.loads(said("task", "list", "--json")) == [{"task": "sums", "questions": 24, "strategies": 2}]
    said("task", "rename", "sums", "more sums")
    said("task", "delete", "more sums")
    assert said("task", "list", "--deleted") == "more sums\n"
    assert "no deleted task 'sums'" in said("task", "restore", "sums", code=3)
    said("task", "restore", "more sums")
    said("strategy", "delete", "plain", "--task", "more sums")
    assert "plain" not in said("list")
    assert "restored" in said("strategy", "restore", "plain", "--task", "more sums")
    said("strategy", "edit", "plain", "--task", "more sums", "--prompt", "Be brief.")
    assert "Be brief." in said("strategy", "show", "plain", "--task", "more sums")
    assert "Give one" in said("strategy", "edit", "plain", "--task", "more sums", "--prompt", "x", "--prompt-file", "y",
                              code=2)  # fmt: skip
    assert "Run 1: deleted; sap-tui runs --restore 1" in said("runs", "--delete", "1")
    assert "No run yet" in said("runs")
    assert "no run 1" in said("rank", "1", code=3)
    assert "Run 1: restored" in said("runs", "--restore", "1")
    assert "no deleted run 1" in said("runs", "--restore", "1", code=3)


def test_the_responses_command(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str, code: int = 0) -> tuple[str, str]:
        assert (
            main(["--catalogue", str(scored), "strategy", "responses", "chatty", "--task", "sums", *arguments]) == code
        )
        captured = capsys.readouterr()
        return captured.out, captured.err

    table, more = said("--limit", "3")
    assert [line.split()[:2] for line in table.splitlines()] == [["key", "#"], ["1", "1"], ["2", "2"], ["3", "3"]]
    assert more == "More: the same with --after 3\n"
    keys, after = [], None
    while True:
        page = json.loads(
            said("--limit", "7", "--sort", "nll", "--json", *(["--after", str(after)] if after else []))[0]
        )
        keys += [row["nll"] for row in page["responses"]]
        after = page["next_after"]
        if after is None:
            break
    known = [value for value in keys if value is not None]
    assert len(keys) == 24
    assert len(known) == 4
    assert keys == sorted(known) + [None] * 20
    (row,) = json.loads(said("--filter", "makes 46", "--json")[0])["responses"]
    assert (row["question"], row["answer"]) == ("What is 23 plus 23?", "46")
    assert row["response"] == "Well, let me see, that makes 46 altogether!"
    assert said("--filter", "nowhere") == ("", "No response holds that text.\n")
    assert "Responses cannot be sorted by 'age'." in said("--sort", "age", code=2)[1]
    assert "no response with the key 999" in said("--after", "999", code=3)[1]
    assert "There is no run 9" in said("--run", "9", code=3)[1]


def test_what_was_deleted_last_is_found_among_all_that_can_come_back(writer: Writer) -> None:
    def last() -> tuple[str, str, str, int] | None:
        found = last_deleted(writer.connection)
        return (found.kind, found.task, found.strategy, found.run) if found else None

    assert last() is None
    delete_run(writer, 1)
    assert last() == ("run", "sums", "", 1)
    delete_strategy(writer, "sums", "chatty")
    assert last() == ("strategy", "sums", "chatty", 0)
    delete_task(writer, "sums")
    assert last() == ("task", "sums", "", 0)
    restore_task(writer, "sums")
    assert last() == ("strategy", "sums", "chatty", 0)
    restore_strategy(writer, "sums", "chatty")
    restore_run(writer, 1)
    assert last() is None


def test_a_task_that_went_with_its_last_strategy_comes_back_as_a_task(catalogue: Path) -> None:
    with Writer(catalogue) as writer:
        for name in ("chatty", "plain"):
            delete_strategy(writer, "sums", name)
        found = last_deleted(writer.connection)
        assert found is not None
        assert (found.kind, found.task) == ("task", "sums")


def test_what_has_its_name_taken_is_not_offered(scored: Path, tmp_path: Path) -> None:
    file = write_strategy(tmp_path / "chatty.jsonl", ["new"])
    assert main(["--catalogue", str(scored), "import", str(file), "--task", "sums", "--replace"]) == 0
    with Writer(scored) as writer:
        assert writer.connection.execute("SELECT count(*) FROM strategies WHERE deleted_at > 0").fetchone()[0] == 1
        assert last_deleted(writer.connection) is None
        delete_task(writer, "sums")
        assert main(["--catalogue", str(scored), "import", str(file), "--task", "sums"]) == 0
        assert last_deleted(writer.connection) is None
