"""Runs as they go: progress, speed, time left, and what happened to the one under the cursor."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from textual.content import Content
from textual.widget import Widget

from core.domain import Run, RunState
from sap_tui.bridge import Snapshot
from sap_tui.keys import bindings
from sap_tui.screens.base import MainScreen, hint
from sap_tui.widgets.detail_pane import retitle
from sap_tui.widgets.filter_bar import FilterBar
from sap_tui.widgets.progress import sparkline
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Rows, fitted
from sap_tui.widgets.run_rows import COLUMNS, history, run_details, run_row
from sap_tui.words import counted

EMPTY = hint(
    "No runs yet.\n\nPress ", "n", " to score the strategies of a task under a target model.\n"
    "Runs go on in the background, even when you quit or lose the connection."
)  # fmt: skip
NOTHING_TO_SCORE = hint(
    "No runs, and nothing to score yet.\n\nPress ", "1", " and then ", "i", " to import a file of responses."
)
SPEEDS_KEPT = 60


class LiveScreen(MainScreen):
    CSS_PATH = "live.tcss"
    PLACE = "live"
    BINDINGS = bindings("live")
    PROSE = (
        "Every run with its progress. Scoring happens in a process of its own: quitting the app, a closed terminal "
        "or a lost connection do not end it, and after a crash of the machine it can be resumed without losing a "
        "score. Pause stops after the chunk at hand and frees the device. Left and speed are estimates from the "
        "chunks so far; a run that names its errors leaves those questions out of the ranking. A stalled run has "
        "been silent for far longer than its chunks take; its log (L) says more."
    )

    def __init__(self) -> None:
        super().__init__()
        self._follows = True
        self._speeds: dict[int, deque[float]] = {}

    def compose_main(self) -> Iterable[Widget]:
        yield RecordTable(COLUMNS, table_id="runs")
        yield FilterBar()

    def show_rows(self, snapshot: Snapshot) -> None:
        for run in snapshot.unfinished:
            self._speeds.setdefault(run.id, deque(maxlen=SPEEDS_KEPT)).append(run.tokens_per_second)
        runs = [run for run in snapshot.runs if self._matches(run)]
        columns = fitted(COLUMNS, [run_row(run, 0) for run in runs])
        self.table.use_columns(columns)
        width = self.table.width_of("progress", columns)
        empty = self.empty_text(snapshot, EMPTY if snapshot.tasks else NOTHING_TO_SCORE)
        self.table.show(Rows([run_row(run, width) for run in self._in_order(runs)]), empty=empty)
        if self._follows and snapshot.unfinished:
            at_work = [run for run in snapshot.unfinished if run.state is RunState.RUNNING]
            self.table.move_to((at_work or snapshot.unfinished)[-1].id)
        follow = ", following" if self._follows and snapshot.unfinished else ""
        retitle(self.query_one("#main"), Content(f"{counted(len(snapshot.runs), 'run')}{follow}"))

    def _matches(self, run: Run) -> bool:
        texts = (run.task, run.model, run.shown, run.why, str(run.id), *run.strategies)
        return any(self.filter_text in text.casefold() for text in texts)

    def _in_order(self, runs: list[Run]) -> list[Run]:
        values = {
            "run": lambda run: run.id,
            "state": lambda run: run.shown,
            "progress": lambda run: run.share_done,
            "left": lambda run: run.seconds_left or 0.0,
            "task": lambda run: run.task.casefold(),
            "model": lambda run: run.model.casefold(),
            "speed": lambda run: run.tokens_per_second,
            "done": lambda run: run.done,
        }
        if self.table.sort_column is None:
            return runs[::-1] if self.table.sort_backwards else runs
        return sorted(runs, key=values[self.table.sort_column], reverse=self.table.sort_backwards)

    def show_selection(self, snapshot: Snapshot) -> None:
        run = self._selected(snapshot)
        self.app.bridge.watch(run=run.id if run else None)
        if run:
            events = snapshot.events if snapshot.watched.run == run.id else ()
            speeds = sparkline(self._speeds.get(run.id, ()), 24)
            self.pane.show(Content(f"Run {run.id}"), run_details(run, speeds), history(events))
        else:
            self.pane.show(Content(), Content())

    def _selected(self, snapshot: Snapshot) -> Run | None:
        key = self.table.cursor_key
        return snapshot.run(key) if isinstance(key, int) else None

    def on_record_table_moved(self, message: RecordTable.Moved) -> None:
        if self._follows:
            self._follows = False
            # A snapshot that came in between may have taken the cursor back to the run at work.
            self.table.move_to(message.key)

    def on_record_table_opened(self) -> None:
        self.action_show_run_ranking()

    def action_follow(self) -> None:
        self._follows = not self._follows
        self.app.say("The cursor follows the run at work." if self._follows else "The cursor stays where it is.")
        self.show_snapshot()

    def action_show_run_ranking(self) -> None:
        run = self._selected(self.app.snapshot)
        if run:
            self.open_ranking(run)

    def action_new_run(self) -> None:
        run, tasks = self._selected(self.app.snapshot), self.app.snapshot.tasks
        if tasks:
            self.app.open_run_form(run.task if run else tasks[0].name, [])
        else:
            self.app.say("There is nothing to score yet. Press 1 and then i to import a file first.")

    def action_cancel_run(self) -> None:
        self._wish("cancel")

    def action_pause_run(self) -> None:
        self._wish("pause")

    def action_resume_run(self) -> None:
        self._wish("resume")

    def _wish(self, verb: str) -> None:
        run = self._selected(self.app.snapshot)
        if run:
            self.app.wish(verb, run.id)

    def action_show_log(self) -> None:
        run = self._selected(self.app.snapshot)
        if run and run.log:
            from sap_tui.screens.log import LogScreen

            self.app.push_screen(LogScreen(run))
        elif run:
            self.app.say("This run has no log yet.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Cancel, pause and resume are there for the runs that can be."""
        run = self._selected(self.app.snapshot)
        if action in ("cancel_run", "pause_run"):
            wanted = {"cancel_run": "cancel", "pause_run": "pause"}[action]
            return run is not None and not run.state.ended and run.want not in (wanted, "cancel")
        if action == "resume_run":
            paused = run is not None and not run.state.ended and run.want == "pause"
            return run is not None and (paused or run.state in (RunState.FAILED, RunState.CANCELLED))
        if action in ("show_run_ranking", "show_log", "copy_row", "filter", "follow"):
            return run is not None or None
        return True
