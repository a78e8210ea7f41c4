"""A strategy of very many responses in the terminal: how soon it is open, and a page of it drawn."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.ui_measure import LONGEST_REST_SECONDS, NO_ANSWER_SECONDS, STILL_SECONDS
from benchmarks.ui_pages import TASK, make_catalogue
from benchmarks.ui_terminal import Terminal

OPENINGS = 5
FIRST_ROW = "Anna has 0 apples"
LIST = slice(1, 22)
READ = re.compile(r"^│ +[\d,]+ +Anna has", re.MULTILINE)
NOT_READ = re.compile(r"^│ +… +│$", re.MULTILINE)


def measure_million(
    start: Callable[[dict[str, str]], Terminal], folder: Path, responses: int, scored: int, pages: int
) -> dict[str, object]:
    """Seconds from the key to the first drawn rows, for opening the strategy and for turning `pages` pages each way.

    Raises AssertionError when the rows do not come.
    """
    path = folder / "pages.db"
    make_catalogue(path, responses, scored)
    terminal = start({"SAP_TUI_CATALOGUE": str(path)})
    try:
        terminal.wait_for(TASK, f"{responses:,}")
        terminal.wait_for_rest(STILL_SECONDS, LONGEST_REST_SECONDS)
        terminal.press("down")
        opened = []
        for number in range(OPENINGS):
            if number:
                terminal.press("escape")
                terminal.wait_for("1 task, 1 strategy")
            opened.append(_until_drawn(terminal, "enter"))
        keys = ["pagedown"] * pages + ["G"] + ["pageup"] * pages + ["g"]
        turned = [_until_drawn(terminal, key) for key in keys]
        terminal.wait_for(FIRST_ROW, "─ Response 1 ─")
    finally:
        terminal.close()
    return {"responses": responses, "scored": scored, "opened": opened, "turned": turned}


def _until_drawn(terminal: Terminal, key: str) -> float:
    """Seconds from the key to the first output after which the list differs and every row of it has been read."""
    terminal.wait_for_rest(STILL_SECONDS, LONGEST_REST_SECONDS)
    before = terminal.cells()[LIST]
    sent = terminal.press(key)
    while time.perf_counter() < sent + NO_ANSWER_SECONDS:
        output = terminal.next_output(NO_ANSWER_SECONDS)
        text = terminal.text()
        if output and terminal.cells()[LIST] != before and READ.search(text) and not NOT_READ.search(text):
            return output.at - sent
    raise AssertionError(f"no rows after {key}:\n{terminal.text()}")
