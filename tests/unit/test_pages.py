"""Pages of a strategy's responses: together they are the plainly sorted list, whatever the data and the page size."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from core.domain import RunRequest, ScoreSpec, Target, response_digest
from core.errors import NotFoundError
from core.store.answer_checks import insert_answer_checks
from core.store.db import Writer, open_reader, prepare
from core.store.pages import (
    SORTS,
    ResponseQuery,
    ResponseRow,
    last_response_page,
    newest_scored_run,
    ordered_keys,
    response_page,
    response_rows,
)
from core.store.runs import create_run

Row = dict[str, object]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    path = tmp_path / "catalogue.db"
    prepare(path)
    with Writer(path) as writer:
        yield writer


def fill(writer: Writer, seed: int, questions: int = 60) -> list[Row]:
    """Two strategies on some of the questions, scores and checks of some, many of them equal; the first one's rows."""
    draw, rows = random.Random(seed), []
    with writer.transaction() as connection:
        connection.execute("INSERT INTO tasks (id, name, created_at) VALUES (1, 't', 0)")
        for number in (1, 2):
            connection.execute(
                "INSERT INTO strategies (id, task, name, created_at, updated_at) VALUES (?, 1, ?, 0, 0)",
                (number, f"s{number}"),
            )
        run = create_run(
            connection, task=1, request=RunRequest("m", "m", ("nll",)), target=Target("m", "m", "w"),
            spec=ScoreSpec("w", "none", "float32"), strategies=[1, 2], questions=[],
        )  # fmt: skip
        for place in range(questions):
            key = connection.execute(
                "INSERT INTO questions (task, position, digest, turns, answer) VALUES (1, ?, x'00', json_array("
                "json_array('system', 'needle'), json_array('user', ?)), '4')",
                (place, draw.choice(["Ask me", 'A "NEEDLE" here', "漢字"])),
            ).lastrowid
            for strategy in (1, 2):
                if draw.random() < 0.8:
                    row = add_response(connection, draw, run, strategy, int(key or 0), place)
                    rows += [row] if strategy == 1 else []
    return rows


def add_response(connection, draw: random.Random, run: int, strategy: int, key: int, place: int) -> Row:  # type: ignore[no-untyped-def]
    text = draw.choice(["", "x", "It is 4", "a Needle", "100%_\\", "漢字"]) * draw.randint(0, 3)
    text += f" {strategy}.{key}" if draw.random() < 0.5 else ""
    digest = response_digest(text)
    connection.execute(
        "INSERT INTO responses (strategy, question, text, digest) VALUES (?, ?, ?, ?)", (strategy, key, text, digest)
    )
    row: Row = {"key": key, "position": place, "characters": len(text), "text": text, "digest": digest}
    if draw.random() < 0.6:
        row |= {"tokens": draw.randint(1, 4), "total": float(draw.randint(1, 4))}
        for kind in ("plain", "alone"):
            context = f"{kind}{strategy}.{key}".encode()
            (number,) = connection.execute("SELECT count(*) FROM run_items").fetchone()
            connection.execute(
                "INSERT INTO run_items (run, number, strategy, question, context_kind, context, response, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'ok')", (run, number, strategy, key, kind, context, digest)
            )  # fmt: skip
            values = (context, digest, row["tokens"], row["total"]) if kind == "plain" else (context, digest, 9, 99.0)
            connection.execute(
                "INSERT INTO scores (spec, context, response, tokens, nll_sum, engine) VALUES (1, ?, ?, ?, ?, 'e')",
                values,
            )
    if "4" in text:
        insert_answer_checks(connection, [(digest, "4", "It is" in text)])
    return row


def value_of(row: Row, sort: str, checks: dict[object, bool]) -> float | None:
    if sort in ("position", "characters"):
        return row[sort]  # type: ignore[return-value]
    if sort == "correct":
        return checks.get(row["digest"])
    if "tokens" not in row:
        return None
    return row["tokens"] if sort == "tokens" else row["total"] / row["tokens"]  # type: ignore[operator, return-value]


def plainly_sorted(rows: list[Row], sort: str, backwards: bool, checks: dict[object, bool]) -> list[object]:
    def order(row: Row) -> tuple[float, object]:
        value = value_of(row, sort, checks)
        return (-inf if backwards else inf) if value is None else value, row["key"]

    return [row["key"] for row in sorted(rows, key=order, reverse=backwards)]


def paged(writer: Writer, query: ResponseQuery, limit: int) -> list[ResponseRow]:
    found: list[ResponseRow] = []
    while page := response_page(writer.connection, query, after=found[-1].question if found else None, limit=limit):
        assert len(page) <= limit
        found += page
    return found


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("seed", range(4))
def test_pages_make_the_sorted_list(seed: int, sort: str, backwards: bool, writer: Writer) -> None:
    rows = fill(writer, seed)
    known = writer.connection.execute("SELECT response, correct FROM answer_checks")
    checks = {row[0]: bool(row[1]) for row in known}
    query = ResponseQuery(1, run=1, sort=sort, backwards=backwards)
    wanted = plainly_sorted(rows, sort, backwards, checks)
    for limit in (1, 7, 1000):
        found = paged(writer, query, limit)
        assert [row.question for row in found] == wanted
    assert list(ordered_keys(writer.connection, query)) == wanted
    assert [row.question for row in last_response_page(writer.connection, query, limit=9)] == wanted[-9:]
    by_key = {row["key"]: row for row in rows}
    for row in found:
        true = by_key[row.question]
        assert (row.position, row.characters, row.tokens) == (true["position"], true["characters"], true.get("tokens"))
        assert row.nll == value_of(true, "nll", checks)
        assert row.correct == checks.get(true["digest"])
        assert str(true["text"]).startswith(row.text)


@pytest.mark.parametrize(
    "contains", ["needle", "NEEDLE", "%_\\", '"', "漢", "It is 4", "'; DROP TABLE responses; --", "\\"]
)
@pytest.mark.parametrize("sort", ["position", "nll"])
def test_a_filter_looks_into_responses_and_what_was_asked(contains: str, sort: str, writer: Writer) -> None:
    rows = fill(writer, 7)
    asked = dict(writer.connection.execute("SELECT id, json_extract(turns, '$[1][1]') FROM questions").fetchall())
    query = ResponseQuery(1, run=1, sort=sort, contains=contains)
    wanted = {
        row["key"] for row in rows if contains.lower() in f"{row['text']}\0{asked[row['key']]}".lower()
    }  # the system turn, which every question has, does not count
    assert {row.question for row in paged(writer, query, 5)} == wanted
    assert len(wanted) < len(rows)


@pytest.mark.parametrize("sort", SORTS)
def test_what_is_added_while_somebody_pages_moves_nothing(sort: str, writer: Writer) -> None:
    fill(writer, 3)
    query = ResponseQuery(1, run=1, sort=sort)
    before = list(ordered_keys(writer.connection, query))
    first = response_page(writer.connection, query, limit=10)
    with writer.transaction() as connection:
        key = connection.execute(
            "INSERT INTO questions (task, position, digest, turns) VALUES (1, 999, x'01', '[[\"user\", \"new\"]]')"
        ).lastrowid
        connection.execute("INSERT INTO responses (strategy, question, text, digest) VALUES (1, ?, '', x'09')", (key,))
    found = [row.question for row in first]
    while page := response_page(writer.connection, query, after=found[-1], limit=10):
        found += [row.question for row in page]
    assert [each for each in found if each != key] == before
    assert len(set(found)) == len(found)


def test_keys_that_are_gone_are_left_out_and_unknown_ones_are_named(writer: Writer) -> None:
    rows = fill(writer, 1)
    query = ResponseQuery(1)
    keys = [int(str(row["key"])) for row in rows[:3]]
    assert [row.question for row in response_rows(writer.connection, query, [keys[2], 10**9, keys[0]])] == [
        keys[2],
        keys[0],
    ]
    with pytest.raises(NotFoundError, match="no response with the key 1000000000"):
        response_page(writer.connection, query, after=10**9)


def test_the_newest_run_with_scores_counts(writer: Writer) -> None:
    fill(writer, 1)
    assert newest_scored_run(writer.connection, 1) is None
    with writer.transaction() as connection:
        connection.execute("UPDATE runs SET done = 3")
    assert newest_scored_run(writer.connection, 1) == 1
    with writer.transaction() as connection:
        connection.execute("UPDATE runs SET deleted_at = 1")
    assert newest_scored_run(writer.connection, 1) is None


def test_no_page_scans_what_lies_before_it(tmp_path: Path) -> None:
    """The plans of the orders that have an index neither sort nor begin at the first row."""
    prepare(tmp_path / "c.db")
    reader = open_reader(tmp_path / "c.db")
    from core.store.pages import _ordered

    for sort, index in (
        ("position", "(strategy=? AND question>?)"),
        ("characters", "(strategy=? AND (characters,question)"),
    ):
        sql, _ = _ordered(ResponseQuery(1, sort=sort), behind=True, limited=True)
        plan = " ".join(row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {sql}", {
            "strategy": 1, "value": 1, "after": 1, "limit": 1}))  # fmt: skip
        assert index in plan, plan
        assert "TEMP B-TREE" not in plan
        assert "OFFSET" not in sql
