"""A strategy's responses in any order, page by page: each page begins behind a key, no row is skipped by counting."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf

from core.errors import NotFoundError

LONGEST_START = 300
_VALUES = {
    "position": "r.question",
    "characters": "r.characters",
    "tokens": "s.tokens",
    "correct": "c.correct",
    "nll": "s.nll_sum / s.tokens",
}
SORTS = tuple(_VALUES)
_ASKED = "json_extract(q.turns, '$[#-1][1]')"
_QUESTION = " JOIN questions q ON q.id = r.question"
_CHECK = " LEFT JOIN answer_checks c ON c.response = r.digest AND c.gold = q.answer"
# Without statistics SQLite would look through the whole run for every response.
_SCORE = """
 LEFT JOIN run_items i INDEXED BY run_items_by_question ON i.run = :run AND i.strategy = r.strategy
  AND i.question = r.question AND i.context_kind = 'plain'
 LEFT JOIN scores s ON s.spec = (SELECT spec FROM runs WHERE id = :run) AND s.context = i.context
  AND s.response = i.response
"""


@dataclass(frozen=True, slots=True)
class ResponseQuery:
    """Which responses of a strategy, and in which order.

    `sort` is one of SORTS; tokens and nll are those of `run`. Where a value is missing the response comes last, either
    way. `contains` keeps the responses that hold it, or whose question does; ASCII letters match in both cases.
    """

    strategy: int
    run: int | None = None
    sort: str = "position"
    backwards: bool = False
    contains: str = ""


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """A response as a row; texts are cut. `question` is its key, `position` counts from 0 in the task's order.

    `correct` is None where it was not checked, `tokens` and `nll` (nats per token) where the run has no score.
    """

    question: int
    position: int
    asked: str
    text: str
    characters: int
    tokens: int | None
    correct: bool | None
    nll: float | None


def newest_scored_run(reader: sqlite3.Connection, strategy: int) -> int | None:
    """The newest run that has scores of this strategy."""
    row = reader.execute(
        "SELECT max(runs.id) FROM run_strategies JOIN runs ON runs.id = run"
        " WHERE strategy = ? AND done > 0 AND deleted_at IS NULL",
        (strategy,),
    ).fetchone()
    return None if row[0] is None else int(row[0])


def response_page(
    reader: sqlite3.Connection, query: ResponseQuery, *, after: int | None = None, limit: int = 100
) -> list[ResponseRow]:
    """The first responses, or those that follow the one with the key `after`. Raises NotFoundError for no such key."""
    return response_rows(reader, query, _keys(reader, query, after=after, limit=limit))


def last_response_page(reader: sqlite3.Connection, query: ResponseQuery, *, limit: int = 100) -> list[ResponseRow]:
    """The last responses, in order."""
    return response_rows(reader, query, _keys(reader, query, limit=limit, from_end=True)[::-1])


def ordered_keys(reader: sqlite3.Connection, query: ResponseQuery) -> Iterator[int]:
    """The keys of all the responses, in order, as SQLite finds them."""
    cursor = reader.cursor()
    cursor.row_factory = None
    return chain.from_iterable(cursor.execute(*_ordered(query)))


def response_rows(reader: sqlite3.Connection, query: ResponseQuery, keys: Sequence[int]) -> list[ResponseRow]:
    """The rows of these keys, in their order; those that are gone are left out."""
    rows = reader.execute(
        f"""SELECT r.question, q.position, substr(CAST({_ASKED} AS BLOB), 1, :longest) AS asked,
                   substr(CAST(r.text AS BLOB), 1, :longest) AS text,
                   r.characters, s.tokens, c.correct, s.nll_sum / s.tokens AS nll
            FROM json_each(:keys) AS wanted CROSS JOIN responses r
            ON r.strategy = :strategy AND r.question = wanted.value {_QUESTION}{_CHECK}{_SCORE}""",
        {"keys": json.dumps(list(keys)), "strategy": query.strategy, "run": query.run, "longest": 4 * LONGEST_START},
    )
    found = {row["question"]: _row(row) for row in rows}
    return [found[key] for key in keys if key in found]


def _row(row: sqlite3.Row) -> ResponseRow:
    # Cut here: SQLite ends a text at its first NUL.
    starts = {name: (row[name] or b"").decode("utf-8", "ignore")[:LONGEST_START] for name in ("asked", "text")}
    return ResponseRow(**{**dict(row), **starts, "correct": None if row["correct"] is None else bool(row["correct"])})


def _keys(
    reader: sqlite3.Connection,
    query: ResponseQuery,
    *,
    after: int | None = None,
    limit: int,
    from_end: bool = False,
) -> list[int]:
    sql, values = _ordered(query, behind=after is not None, from_end=from_end, limited=True)
    values["limit"] = limit
    if after is not None:
        values["after"] = after
        values["value"] = _value_of(reader, query, after)
    return [row[0] for row in reader.execute(sql, values)]


def _value_of(reader: sqlite3.Connection, query: ResponseQuery, key: int) -> float:
    value, joins, values = _parts(query)
    row = reader.execute(
        f"SELECT {value} FROM responses r{joins} WHERE r.strategy = :strategy AND r.question = :after",
        {**values, "after": key},
    ).fetchone()
    if row is None:
        raise NotFoundError(f"The strategy has no response with the key {key}.", "Take a key that a page printed.")
    return float(row[0])


def _ordered(
    query: ResponseQuery, *, behind: bool = False, from_end: bool = False, limited: bool = False
) -> tuple[str, dict[str, object]]:
    """The query for the keys in order, with its parameters; `behind` those of :value and :after."""
    value, joins, values = _parts(query)
    descending = query.backwards != from_end
    sign, word = ("<", "DESC") if descending else (">", "ASC")
    columns = [value] if query.sort == "position" else [value, "r.question"]
    conditions = ["r.strategy = :strategy"]
    if behind:
        given = ":value" if query.sort == "position" else ":value, :after"
        conditions.append(f"({', '.join(columns)}) {sign} ({given})")
    if query.contains:
        conditions.append(f"(instr(lower(r.text), lower(:contains)) OR instr(lower({_ASKED}), lower(:contains)))")
    order = ", ".join(f"{column} {word}" for column in columns)
    sql = f"SELECT r.question FROM responses r{joins} WHERE {' AND '.join(conditions)} ORDER BY {order}"
    return f"{sql} LIMIT :limit" if limited else sql, values


def _parts(query: ResponseQuery) -> tuple[str, str, dict[str, object]]:
    """The SQL of the value to sort by, the joins that it and the filter need, and their parameters."""
    value = _VALUES[query.sort]
    values: dict[str, object] = {"strategy": query.strategy}
    asks = bool(query.contains) or query.sort == "correct"
    joins = _QUESTION if asks else ""
    if query.sort == "correct":
        joins += _CHECK
    if query.sort in ("tokens", "nll"):
        joins += _SCORE
        values["run"] = query.run
    if query.contains:
        values["contains"] = query.contains
    if query.sort not in ("position", "characters"):
        value = f"ifnull({value}, :missing)"
        values["missing"] = -inf if query.backwards else inf
    return value, joins, values
