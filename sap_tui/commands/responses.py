"""sap-tui strategy responses: a strategy's responses, a page at a time."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from sap_tui.commands.numbers import integer

if TYPE_CHECKING:
    import sqlite3

    from core.store.pages import ResponseQuery, ResponseRow

SHOWN_CHARACTERS = 40
SORT_HELP = "position (default), characters, tokens, correct, or nll, the mean surprisal under the run"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--filter", default="", metavar="TEXT", help="only those that hold it, or whose question does")
    parser.add_argument("--sort", default="position", metavar="BY", help=SORT_HELP)
    parser.add_argument("--backwards", action="store_true", help="the other way round; what has no value stays last")
    parser.add_argument("--run", type=integer, metavar="RUN", dest="number", help="whose scores; the newest by default")
    parser.add_argument("--limit", type=integer, default=50, metavar="N", help="at most so many (50)")
    parser.add_argument("--after", type=integer, metavar="KEY", help="those behind the response with this key")
    parser.add_argument("--json", action="store_true", help="print JSON, with whole texts")
    parser.set_defaults(run=responses)


def responses(arguments: argparse.Namespace) -> int:
    from core.errors import UsageError
    from core.store.catalogue import strategy_by_name
    from core.store.db import open_reader, prepare
    from core.store.pages import SORTS, ResponseQuery, newest_scored_run, response_page
    from core.store.runs import run_by_id

    if arguments.sort not in SORTS:
        raise UsageError(f"Responses cannot be sorted by {arguments.sort!r}.", f"By these: {', '.join(SORTS)}")
    if arguments.limit < 1:
        raise UsageError("--limit must be at least 1.")
    prepare(arguments.catalogue)
    reader = open_reader(arguments.catalogue)
    strategy = strategy_by_name(reader, arguments.task, arguments.name)
    run = newest_scored_run(reader, strategy.id) if arguments.number is None else arguments.number
    if arguments.number is not None:
        run_by_id(reader, arguments.number)
    query = ResponseQuery(strategy.id, run, arguments.sort, arguments.backwards, arguments.filter)
    # One more than asked for tells whether there are more.
    found = response_page(reader, query, after=arguments.after, limit=arguments.limit + 1)
    rows, more = found[: arguments.limit], len(found) > arguments.limit
    if arguments.json:
        print(json.dumps(_json(reader, query, rows, rows[-1].question if more else None), ensure_ascii=False))
        return 0
    _print_table(rows)
    if more:
        print(f"More: the same with --after {rows[-1].question}", file=sys.stderr)
    elif not rows:
        print("No response holds that text." if arguments.filter else "No responses.", file=sys.stderr)
    return 0


def _json(
    reader: sqlite3.Connection, query: ResponseQuery, rows: list[ResponseRow], next_after: int | None
) -> dict[str, object]:
    from core.store.catalogue import question, response

    objects = []
    for row in rows:
        asked, answered = question(reader, row.question), response(reader, query.strategy, row.question)
        known = {key: value for key, value in asdict(row).items() if key not in ("question", "asked", "text")}
        whole = {"id": asked.key, "question": asked.text, "answer": asked.answer}
        objects.append({"key": row.question, **known, **whole, "response": answered.text if answered else ""})
    return {"run": query.run, "responses": objects, "next_after": next_after}


def _print_table(rows: list[ResponseRow]) -> None:
    from sap_tui.commands.tables import print_table

    header = ("key", "#", "question", "response", "characters", "right", "tokens", "nll")
    cells = [
        (
            str(row.question),
            str(row.position + 1),
            _start(row.asked),
            _start(row.text),
            f"{row.characters:,}",
            {True: "yes", False: "no", None: ""}[row.correct],
            "" if row.tokens is None else f"{row.tokens:,}",
            "" if row.nll is None else f"{row.nll:.3f}",
        )
        for row in rows
    ]
    if cells:
        print_table(header, cells, right=(0, 1, 4, 6, 7))


def _start(text: str) -> str:
    from core.text import visible

    shown = visible(text)
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[: SHOWN_CHARACTERS - 1]}…"
