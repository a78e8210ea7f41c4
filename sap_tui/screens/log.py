"""The log of a run's last attempt, with a search."""

from __future__ import annotations

import os
from pathlib import Path

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from core.domain import Run
from sap_tui.keys import bindings
from sap_tui.text import plain
from sap_tui.widgets.dialogs import Dialog
from sap_tui.widgets.filter_bar import FilterBar
from sap_tui.widgets.key_line import KeyLine
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Column, Record, Rows

LARGEST_TAIL_BYTES = 1 << 20


class LogScreen(Dialog[None]):
    """Shows the end of the file; n and N go from match to match."""

    CSS_PATH = "log.tcss"
    BINDINGS = bindings("log")

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._lines: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = Content(f"Log of run {self._run.id}, attempt {self._run.attempt}")
            yield RecordTable((Column("line", "", 40, stretch=True),), table_id="log", sortable=False)
            yield FilterBar()
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(RecordTable).focus()
        self._read()

    @work(thread=True, exit_on_error=False)
    def _read(self) -> None:
        try:
            text = _tail(Path(self._run.log))
        except OSError as error:
            text = f"The log cannot be read: {error.strerror}."
        self.app.call_from_thread(self._show, text)

    def _show(self, text: str) -> None:
        self._lines = text.splitlines()
        rows = Rows([Record(number, (plain(line),)) for number, line in enumerate(self._lines)])
        table = self.query_one(RecordTable)
        table.show(rows, empty=Content("The log is empty."))
        table.action_last_row()

    def action_find(self) -> None:
        self.query_one(FilterBar).open()

    def on_filter_bar_left(self) -> None:
        self.query_one(RecordTable).focus()
        self.action_next_match()

    def action_next_match(self) -> None:
        self._go(1)

    def action_previous_match(self) -> None:
        self._go(-1)

    def _go(self, step: int) -> None:
        wanted, table = self.query_one(FilterBar).value.casefold(), self.query_one(RecordTable)
        here, count = table.cursor_key, len(self._lines)
        if wanted and isinstance(here, int):
            places = ((here + step * distance) % count for distance in range(1, count + 1))
            match = next((place for place in places if wanted in self._lines[place].casefold()), None)
            if match is None:
                self.app.notify("No line holds that text.", markup=False)
            else:
                table.move_to(match)


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LARGEST_TAIL_BYTES))
        return file.read().decode("utf-8", "replace")
