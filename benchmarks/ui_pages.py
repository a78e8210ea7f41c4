"""How quickly the app opens and pages a strategy of a million responses: figures as JSON.

`python -m benchmarks.ui_pages [--responses N] [--scored N] [--catalogue FILE]`; an existing FILE is used as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.machine import peak_bytes
from core.store.db import Writer, open_reader, prepare
from core.store.pages import SORTS, ResponseQuery, last_response_page, ordered_keys, response_page

TASK = "pages"
PAGES = 200
KEY_REPEAT_SECONDS = 1 / 30
_NUMBERS = "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :count) "
_FILL = (
    _NUMBERS + "INSERT INTO questions (id, task, position, key, digest, turns, answer)"
    " SELECT n + 1, 1, n, 'q' || n, CAST(printf('q%015d', n) AS BLOB),"
    " json_array(json_array('user', printf('Anna has %d apples and gives %d away. How many are left?', n, n % 7))),"
    " CAST(n AS TEXT) FROM numbers",
    _NUMBERS + "INSERT INTO responses (strategy, question, text, digest)"
    " SELECT 1, n + 1, printf('She had %d and gave %d, so %.*c %d are left.', n, n % 7, 40 + n * 7919 % 500, '-', n),"
    " CAST(printf('r%015d', n) AS BLOB) FROM numbers",
)
_SCORED = (
    _NUMBERS + "INSERT INTO run_items (run, number, strategy, question, context_kind, context, response, state)"
    " SELECT 1, n, 1, n + 1, 'plain', CAST(printf('c%015d', n) AS BLOB), CAST(printf('r%015d', n) AS BLOB), 'ok'"
    " FROM numbers",
    _NUMBERS + "INSERT INTO scores (spec, context, response, tokens, nll_sum, engine)"
    " SELECT 1, CAST(printf('c%015d', n) AS BLOB), CAST(printf('r%015d', n) AS BLOB), 20 + n % 97,"
    " 10.0 + n * 7919 % 1009, 'made' FROM numbers",
    _NUMBERS + "INSERT INTO answer_checks (response, gold, correct)"
    " SELECT CAST(printf('r%015d', n) AS BLOB), CAST(n AS TEXT), n % 3 > 0 FROM numbers",
)


def make_catalogue(path: Path, responses: int, scored: int) -> None:
    """A catalogue with one strategy of so many responses, `scored` of them with scores of one run."""
    prepare(path)
    with Writer(path) as writer, writer.transaction() as connection:
        connection.execute("INSERT INTO tasks VALUES (1, ?, 0, NULL)", (TASK,))
        connection.execute(
            "INSERT INTO strategies (id, task, name, responses, created_at, updated_at) VALUES (1, 1, 'long', ?, 0, 0)",
            (responses,),
        )
        for statement in _FILL:
            connection.execute(statement, {"count": responses})
        if scored:
            _add_run(connection, responses, scored)


def _add_run(connection: sqlite3.Connection, responses: int, scored: int) -> None:
    from core.domain import RunRequest, ScoreSpec, Target
    from core.store.runs import create_run

    run = create_run(
        connection, task=1, request=RunRequest("made", "made", ("nll",)), target=Target("made", "made", "made"),
        spec=ScoreSpec("made", "none", "float32"), strategies=[1], questions=[],
    )  # fmt: skip
    connection.execute(
        "UPDATE runs SET state = 'done', planned = 1, done = ?, total = done WHERE id = ?", (scored, run)
    )
    for statement in _SCORED:
        connection.execute(statement, {"count": scored})


def milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - started)


def store_figures(path: Path) -> dict[str, object]:
    """Milliseconds of the store's queries, by sort."""
    figures: dict[str, object] = {}
    with closing(open_reader(path)) as reader:
        for sort in SORTS:
            query = ResponseQuery(1, run=1, sort=sort)
            first = milliseconds(lambda query=query: response_page(reader, query))  # type: ignore[misc]
            last = milliseconds(lambda query=query: last_response_page(reader, query))  # type: ignore[misc]
            all_keys = milliseconds(lambda query=query: sum(1 for _ in ordered_keys(reader, query)))  # type: ignore[misc]
            figures[sort] = {"first_page": first, "last_page": last, "all_keys": all_keys}
        rare = ResponseQuery(1, contains="gave 3, so")
        figures["filter_first_page"] = milliseconds(lambda: response_page(reader, rare))
        figures["filter_all"] = milliseconds(lambda: sum(1 for _ in ordered_keys(reader, rare)))
    return {name: _rounded(value) for name, value in figures.items()}


def _rounded(value: object) -> object:
    return {key: round(each, 2) for key, each in value.items()} if isinstance(value, dict) else round(value, 2)  # type: ignore[call-overload]


async def app_figures(path: Path) -> dict[str, object]:
    """Milliseconds from enter until the first rows stand on the screen, and from a key until its page does."""
    from core.settings import Settings
    from sap_tui.app import SapApp
    from sap_tui.screens.responses import ResponsesScreen

    app = SapApp(path, Settings())
    async with app.run_test(size=(120, 36)) as pilot:
        while not app.snapshot.strategies:
            await asyncio.sleep(0.01)
        await pilot.press("down")
        started = time.perf_counter()
        app.simulate_key("enter")
        while not (isinstance(app.screen, ResponsesScreen) and app.screen.is_drawn):
            await asyncio.sleep(0.001)
        opened = 1000 * (time.perf_counter() - started)
        screen = app.screen
        assert isinstance(screen, ResponsesScreen)
        pages = []
        for key in ["pagedown"] * PAGES + ["G"] + ["pageup"] * PAGES + ["g"]:
            await asyncio.sleep(KEY_REPEAT_SECONDS)
            before = screen.table.cursor_key
            started = time.perf_counter()
            app.simulate_key(key)
            while screen.table.cursor_key == before or not screen.is_drawn:
                await asyncio.sleep(0.0005)
            pages.append(1000 * (time.perf_counter() - started))
    quantiles = statistics.quantiles(pages, n=100)
    return {"open": round(opened, 1), "page_p50": round(quantiles[49], 2), "page_p90": round(quantiles[89], 2),
            "page_p99": round(quantiles[98], 2), "page_max": round(max(pages), 2), "pages": len(pages)}  # fmt: skip


def figures(path: Path, responses: int, scored: int) -> dict[str, object]:
    made = 0.0
    if not path.exists():
        made = milliseconds(lambda: make_catalogue(path, responses, scored)) / 1000
    return {
        "responses": responses, "scored": scored, "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version, "made_seconds": round(made, 1), "mebibytes": path.stat().st_size >> 20,
        "app_ms": asyncio.run(app_figures(path)), "store_ms": store_figures(path),
        "peak_mb": peak_bytes(os.getpid()) >> 20,
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ui_pages", description=__doc__)
    parser.add_argument("--responses", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--scored", type=int, default=100_000, metavar="N", help="how many of them a run has scored")
    parser.add_argument("--catalogue", type=Path, metavar="FILE", help="where to make it; kept afterwards")
    parsed = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = parsed.catalogue or Path(folder) / "pages.db"
        print(json.dumps(figures(path, parsed.responses, parsed.scored), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
