"""Text that looks like SQL, in names, texts and filters: it is found like any other text and does nothing."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import NotFoundError
from core.store.catalogue import strategies, strategy_by_name, task_by_name
from core.store.db import Writer, open_reader
from core.store.importing import import_file
from core.store.pages import SORTS, ResponseQuery, response_page
from tests.unit.catalogue_files import new_catalogue, write_lines

BREAKS = (
    "'",
    '"',
    "`",
    "]",
    "\\'",
    "';",
    '";',
    "')",
    "%' ",
    "/*",
    "*/ ",
    "-- ",
    "\u02bc",
    "\uff07",
    "\n",
    "?",
    ":task",
    "@a",
    "$1",
    "{}",
)
ACTS = (
    "OR 1=1", "UNION SELECT name, sql FROM sqlite_master", "; DROP TABLE responses", "; DELETE FROM tasks; --",
    "; ATTACH 'x.db' AS x", "; PRAGMA writable_schema=ON", "|| (SELECT count(*) FROM runs)", "LIKE '%' ESCAPE '%",
    "AND load_extension('x')", "GLOB '*'",
)  # fmt: skip
PAYLOADS = [f"{start}{act}" for start, act in itertools.product(BREAKS, ACTS)]


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every payload as a response, as a question, and beside harmless ones."""
    folder = tmp_path_factory.mktemp("poisoned")
    path = new_catalogue(folder)
    lines = [
        {"id": number, "question": f"{payload} asked?", "response": f"{payload}{number}" if number % 3 else "plain"}
        for number, payload in enumerate(PAYLOADS)
    ]
    with Writer(path) as writer:
        import_file(writer, write_lines(folder / "a.jsonl", lines), task="x'; DROP TABLE tasks; --", strategy='"] OR 1')
    return path


def schema(reader: sqlite3.Connection) -> list[str]:
    return [str(tuple(row)) for row in reader.execute("SELECT * FROM sqlite_master ORDER BY name")]


def test_there_are_two_hundred() -> None:
    assert len(set(PAYLOADS)) == 200


def test_a_filter_finds_what_python_finds_and_changes_nothing(poisoned: Path) -> None:
    with closing(open_reader(poisoned)) as reader:
        before = schema(reader)
        (strategy,) = strategies(reader)
        rows = reader.execute(
            "SELECT r.text, json_extract(q.turns, '$[#-1][1]') FROM responses r JOIN questions q ON q.id = r.question"
        ).fetchall()
        for payload, sort in zip(PAYLOADS, itertools.cycle(SORTS), strict=False):
            query = ResponseQuery(strategy.id, run=1, sort=sort, contains=payload)
            found = response_page(reader, query, limit=1_000)
            assert len(found) == sum(
                payload.lower() in text.lower() or payload.lower() in asked.lower() for text, asked in rows
            )
            assert found, payload
        assert schema(reader) == before


def test_names_are_looked_up_as_they_are(poisoned: Path) -> None:
    with closing(open_reader(poisoned)) as reader:
        before = schema(reader)
        assert task_by_name(reader, "x'; DROP TABLE tasks; --").questions == len(PAYLOADS)
        assert strategy_by_name(reader, "x'; DROP TABLE tasks; --", '"] OR 1').responses == len(PAYLOADS)
        for payload in PAYLOADS:
            with pytest.raises(NotFoundError):
                task_by_name(reader, payload)
            with pytest.raises(NotFoundError):
                strategy_by_name(reader, "x'; DROP TABLE tasks; --", payload)
        assert schema(reader) == before
