"""All responses of a strategy: sorted, filtered and read page by page, with the one under the cursor in full."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from core.domain import Run, Strategy
from core.errors import SapError
from core.store.catalogue import Sample, question, response
from core.store.damage import explained
from core.store.db import open_reader
from core.store.pages import ResponseQuery, ResponseRow
from sap_tui.bridge import Snapshot
from sap_tui.keys import bindings
from sap_tui.responses import Counted, PageRead, ReadingFailed, ResponseReader, SampleRead
from sap_tui.screens.base import MainScreen
from sap_tui.text import plain
from sap_tui.widgets.detail_pane import retitle
from sap_tui.widgets.filter_bar import FilterBar
from sap_tui.widgets.paged_rows import PagedRows
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Record
from sap_tui.widgets.response_rows import columns_for, list_title, response_record, sample_sections, without_scores

NOTHING = "This strategy has no responses yet. Press {back} and then {import_file} to import a file of them."
NO_MATCH = "No response and no question holds that text. Press {filter} and {close} to see all again."
PANE_STEP = 4
LOOKING = Content("Looking for it …")


class ResponsesScreen(MainScreen):
    CSS_PATH = "responses.tcss"
    PLACE = "responses"
    BINDINGS = bindings("responses")
    PROSE = (
        "The responses of one strategy in the task's order. Length counts characters; tokens and nll, the mean "
        "surprisal of a token in nats, are those of the ranked run or, from the catalogue, of the newest run that "
        "scored the strategy, and so is whether the response has the gold answer. Sort with {next_sort}, turn round"
        " with {reverse_sort}: what has no value comes last. The filter looks into responses and questions; letters"
        " A to Z match in both cases. Enter shows a scored response with the surprisal of every token."
    )

    def __init__(self, strategy: Strategy, run: Run | None = None) -> None:
        """`run` is the one whose scores are shown; without it, the newest that scored the strategy."""
        super().__init__()
        self._strategy = strategy
        self._number = run.id if run else None
        self._run: Run | None = None
        self._query = ResponseQuery(strategy.id)
        self._rows = PagedRows(strategy.responses, self._want)
        self._finished = False
        self._problem = ""
        self._sample: Sample | None = None
        self._positions: dict[int, int] = {}
        self._reader: ResponseReader | None = None

    def compose_main(self) -> Iterable[Widget]:
        yield RecordTable(columns_for(None), table_id="responses")
        yield FilterBar()

    def on_mount(self) -> None:
        self._reader = ResponseReader(self.app.catalogue, self.post_message, self._record, self._strategy.responses)
        self._run = self._run_of(self.app.snapshot)
        self.ask()
        super().on_mount()

    def on_unmount(self) -> None:
        if self._reader:
            self._reader.stop()

    @property
    def is_drawn(self) -> bool:
        """Whether all rows that are seen have been read."""
        if not self.is_mounted or self._reader is None:
            return False
        first = self.table.scroll_offset.y
        last = min(first + max(1, self.table.size.height - 1), len(self._rows))
        return self._rows.holds(first, last) if last > first else self._finished

    def _run_of(self, snapshot: Snapshot) -> Run | None:
        if chosen := snapshot.run(self._number):
            return chosen
        names = (run for run in snapshot.runs if run.task == self._strategy.task and run.done)
        return next((run for run in names if self._strategy.name in run.strategies), None)

    def _record(self, row: ResponseRow) -> Record:
        self._positions[row.question] = row.position
        record = response_record(row)
        return record if self._query.run is not None else without_scores(record)

    def _want(self, page: int) -> None:
        """Have a page read once what is being drawn now is drawn: both at the same time would make a key wait."""
        if self._reader:
            self.call_after_refresh(self._reader.want, page)

    def ask(self) -> None:
        """Begin anew with the order and the filter as they are now."""
        self._query = ResponseQuery(
            self._strategy.id,
            self._run.id if self._run else None,
            self.table.sort_column or "position",
            self.table.sort_backwards,
            self.query_one(FilterBar).value,
        )
        self._finished, self._problem = False, ""
        self._rows = PagedRows(0 if self._query.contains else self._strategy.responses, self._want)
        if self._reader:
            self._reader.ask(self._query)
        self.table.use_columns(columns_for(self._run))
        self.show_snapshot()
        self.table.action_first_row()

    def show_rows(self, snapshot: Snapshot) -> None:
        newest = self._run_of(snapshot)
        if (newest and newest.id) != (self._run and self._run.id):
            self._run = newest
            return self.call_later(self.ask)  # type: ignore[return-value]
        if newest and self._run and newest.done != self._run.done:
            self._run = newest
            self._rows.grow_old()
        self._draw()

    def _draw(self) -> None:
        otherwise = self.hint(NO_MATCH if self._query.contains else NOTHING)
        empty = plain(self._problem, "$error") if self._problem else otherwise if self._finished else LOOKING
        self.table.show(self._rows, empty=empty)
        title = list_title(self._strategy, len(self._rows), self._finished, len(self.table.marks), self._run)
        retitle(self.query_one("#main"), title)

    def show_selection(self, snapshot: Snapshot) -> None:
        key = self.table.cursor_key
        if not isinstance(key, int):
            return self.pane.show(Content())
        if self._sample is None or self._sample.question.id != key:
            if self._reader:
                self._reader.look_at(key)
            return
        self.pane.show(Content(f"Response {self._sample.question.position + 1:,}"), *sample_sections(self._sample))

    def on_page_read(self, message: PageRead) -> None:
        if message.query is self._query:
            self._rows.keep(message.number, message.records)
            self._draw()
            self.show_selection(self.app.snapshot)

    def on_counted(self, message: Counted) -> None:
        if message.query is self._query:
            if self._query.contains or message.finished:
                self._rows.count = message.count
            self._finished = message.finished
            self._draw()

    def on_sample_read(self, message: SampleRead) -> None:
        if message.key == self.table.cursor_key:
            self._sample = message.sample
            if message.sample:
                self.show_selection(self.app.snapshot)

    def on_reading_failed(self, message: ReadingFailed) -> None:
        self._problem, self._finished = message.problem, True
        self._rows = PagedRows(0, self._want)
        self._draw()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter" and event.value != self._query.contains:
            self.ask()

    def on_record_table_sorted(self) -> None:
        self.ask()

    def on_record_table_opened(self) -> None:
        key = self.table.cursor_key
        if self._run is None:
            self.app.say("No run has scored this strategy yet, so there are no surprisals to show.")
        elif isinstance(key, int) and key in self._positions:
            from sap_tui.screens.sample import SampleScreen

            self.app.push_screen(SampleScreen(self._run.id, self._strategy.name, self._positions[key] + 1))

    def action_mark(self) -> None:
        key = self.table.cursor_key
        if isinstance(key, int):
            self.table.set_marks(self.table.marks ^ {key})
            self.table.action_cursor_down()
            self._draw()

    def action_copy_text(self) -> None:
        if self._sample and self._sample.question.id == self.table.cursor_key:
            self.app.copy(self._sample.response.text)

    def action_copy_rows(self) -> None:
        keys = sorted(key for key in self.table.marks or {self.table.cursor_key} if isinstance(key, int))
        if keys:
            self.run_worker(lambda: self._copy(keys), thread=True, group="copy", exit_on_error=False)

    def _copy(self, keys: list[int]) -> None:
        try:
            with closing(open_reader(self.app.catalogue)) as reader:
                lines = [_json_line(reader, self._strategy.id, key) for key in keys]
        except (SapError, sqlite3.Error) as error:
            self.app.call_from_thread(self.app.say, str(explained(error, self.app.catalogue) or error), "error")
        else:
            self.app.call_from_thread(self.app.copy, "\n".join(line for line in lines if line))

    def action_scroll_pane_down(self) -> None:
        self.pane.scroll_relative(y=PANE_STEP, animate=False)

    def action_scroll_pane_up(self) -> None:
        self.pane.scroll_relative(y=-PANE_STEP, animate=False)

    def action_back(self) -> None:
        self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("mark", "copy_text", "copy_rows"):
            return len(self._rows) > 0 or None
        return True


def _json_line(reader: sqlite3.Connection, strategy: int, key: int) -> str:
    asked, answered = question(reader, key), response(reader, strategy, key)
    if answered is None:
        return ""
    fields = {"id": asked.key, "question": asked.text, "response": answered.text, "answer": asked.answer}
    return json.dumps({name: value for name, value in fields.items() if value is not None}, ensure_ascii=False)
