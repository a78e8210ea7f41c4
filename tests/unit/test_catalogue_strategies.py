"""Strategies in the catalogue: adding, editing, deleting, finding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import NotFoundError, SapError, UsageError
from core.store import catalogue
from core.store.db import Writer
from core.store.deletion import delete_strategy, sweep_deleted
from core.store.importing import import_file
from core.store.strategies import StrategyFields, add_strategy, edit_strategy
from tests.unit.catalogue_files import add_run, new_catalogue, samples, write_lines


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with Writer(new_catalogue(tmp_path)) as opened:
        for name, numbers in (("claude", [1, 2, 3]), ("gpt", [3, 4])):
            path = write_lines(tmp_path / f"{name}.jsonl", samples(numbers))
            import_file(opened, path, task="maths", strategy=name)
        yield opened


def names(writer: Writer) -> list[str]:
    return [strategy.name for strategy in catalogue.strategies(writer.connection, "maths")]


def test_add_and_edit(writer: Writer) -> None:
    added = add_strategy(writer, "maths", "new", StrategyFields("T", "P", "N", ["a", "é"]))
    assert (added.teacher, added.prompt, added.note, added.tags, added.responses) == ("T", "P", "N", ("a", "é"), 0)
    edited = edit_strategy(writer, "maths", "new", StrategyFields(note="M", tags=[]), new_name="newer")
    assert (edited.id, edited.name, edited.teacher, edited.note, edited.tags) == (added.id, "newer", "T", "M", ())
    assert edited.updated_at >= added.updated_at


def test_names_are_taken_once(writer: Writer) -> None:
    with pytest.raises(SapError, match="has a strategy gpt already"):
        add_strategy(writer, "maths", "gpt")
    with pytest.raises(SapError, match="has a strategy gpt already"):
        edit_strategy(writer, "maths", "claude", StrategyFields(), new_name="gpt")
    with pytest.raises(UsageError, match="empty"):
        edit_strategy(writer, "maths", "claude", StrategyFields(), new_name="")
    assert add_strategy(writer, "other", "gpt").task == "other"


def test_names_that_are_not_there_come_with_near_ones(writer: Writer) -> None:
    with pytest.raises(NotFoundError, match=r"no strategy 'cluade'\. Did you mean 'claude'\?"):
        catalogue.strategy_by_name(writer.connection, "maths", "cluade")
    with pytest.raises(NotFoundError, match=r"no task 'math'\. Did you mean 'maths'\?"):
        catalogue.strategies(writer.connection, "math")
    with pytest.raises(NotFoundError, match="See: sap-tui list"):
        delete_strategy(writer, "maths", "zzz")


def test_a_sweep_takes_responses_and_unanswered_questions_along(writer: Writer) -> None:
    delete_strategy(writer, "maths", "claude")
    sweep_deleted(writer, before=math.inf)
    assert names(writer) == ["gpt"]
    questions = list(catalogue.questions_of(writer.connection, 1))
    assert [(question.position, question.key) for question in questions] == [(0, "3"), (1, "4")]
    delete_strategy(writer, "maths", "gpt")
    assert catalogue.tasks(writer.connection) == []
    sweep_deleted(writer, before=math.inf)
    assert writer.connection.execute("SELECT count(*) FROM responses").fetchone()[0] == 0


def test_delete_keeps_what_a_run_scored(writer: Writer) -> None:
    strategy = catalogue.strategy_by_name(writer.connection, "maths", "claude")
    add_run(writer, "maths", strategy.id)
    delete_strategy(writer, "maths", "claude")
    sweep_deleted(writer, before=math.inf)
    assert names(writer) == ["gpt"]
    assert len(catalogue.responses_page(writer.connection, strategy.id)) == 3
    assert catalogue.tasks(writer.connection)[0].questions == 4
    assert add_strategy(writer, "maths", "claude").id != strategy.id


def test_pages_follow_the_order_of_the_task(writer: Writer) -> None:
    strategy = catalogue.strategy_by_name(writer.connection, "maths", "claude")
    first = catalogue.responses_page(writer.connection, strategy.id, limit=2)
    rest = catalogue.responses_page(writer.connection, strategy.id, after=first[-1].question.position, limit=2)
    assert [sample.response.text for sample in (*first, *rest)] == ["response 1", "response 2", "response 3"]
    sample = rest[0]
    assert catalogue.question(writer.connection, sample.question.id) == sample.question
    assert catalogue.response(writer.connection, strategy.id, sample.question.id) == sample.response
    assert catalogue.response(writer.connection, strategy.id, 999) is None
    with pytest.raises(NotFoundError):
        catalogue.question(writer.connection, 999)
