"""What the screen shows of any text moves the cursor of a real terminal by as many cells as it was laid out with."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from rich.cells import cell_len, set_cell_size

from sap_tui.cells import on_screen
from tests.conftest import wait_until
from tests.e2e.terminal import Terminal, needs_tmux
from tests.hostile import PAYLOADS

pytestmark = needs_tmux

WIDTH = 250
SIGNS = (
    "⚠️", "1️⃣", "🏳️\u200d🌈", "❤️\u200d🔥", "👁️\u200d🗨️", "👍🏽", "👩🏽\u200d💻",
    "🏃🏽\u200d♀️", "👩\u200d👩\u200d👧\u200d👦", "👩\u200d❤️\u200d💋\u200d👨", "🏳️\u200d⚧️",
    "🏴\u200d☠️", "🤷\u200d♀️", "☎︎", "✔️", "▶️", "🅰️", "㊗️", "‼️", "©️", "🏽", *"…—½⏎␛⟨",
)  # fmt: skip
# Prints each text at the beginning of a line and asks where the cursor is then.
COLUMNS = r"""
import json, os, re, sys, tty
keyboard = sys.stdin.fileno()
tty.setraw(keyboard)
columns = []
for text in json.load(open(sys.argv[1], encoding="utf-8")):
    sys.stdout.write("\r\x1b[2K" + text + "\x1b[6n")
    sys.stdout.flush()
    answer = ""
    while not answer.endswith("R"):
        answer += sys.stdin.read(1)
    columns.append(int(re.search(r";(\d+)R", answer)[1]) - 1)
open(sys.argv[2] + ".part", "w").write(json.dumps(columns))
os.rename(sys.argv[2] + ".part", sys.argv[2])
"""


def columns_of(texts: list[str], terminal: Terminal, folder: Path) -> list[int]:
    """The cells that the terminal makes of each of the texts."""
    asked, answer, script = folder / "texts.json", folder / "columns.json", folder / "columns.py"
    asked.write_text(json.dumps(texts))
    script.write_text(COLUMNS)
    terminal.start(shlex.join([sys.executable, str(script), str(asked), str(answer)]), (WIDTH, 10))
    wait_until(answer.exists, 30, "the columns")
    found: list[int] = json.loads(answer.read_text())
    return found


def test_a_terminal_draws_every_text_on_the_cells_that_were_counted(terminal: Terminal, tmp_path: Path) -> None:
    shown = [set_cell_size(text, min(cell_len(text), WIDTH // 2)) for text in map(on_screen, (*PAYLOADS, *SIGNS))]
    columns = columns_of(shown, terminal, tmp_path)
    assert [(text, column) for text, column in zip(shown, columns, strict=True) if column != cell_len(text)] == []


def test_what_is_not_drawn_would_move_the_cursor(terminal: Terminal, tmp_path: Path) -> None:
    """Or else nothing would be shown by the test above."""
    texts = ["⚠️", "👍🏽"]
    assert columns_of(texts, terminal, tmp_path) != list(map(cell_len, texts))
