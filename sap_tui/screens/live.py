"""Runs as they go: progress, speed, time left, and what happened to the one under the cursor."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime

from textual.content import Content
from textual.widget import Widget

from core.domain import Event, Run, RunState
from sap_tui.bridge import Snapshot
from sap_tui.commands.progress import duration, progress_line
from sap_tui.commands.runs import precision
from sap_tui.keys import bindings
from sap_tui.screens.base import MainScreen, hint
from sap_tui.text import MUTED, plain
from sap_tui.widgets.detail_pane import fields, retitle
from sap_tui.widgets.filter_bar import FilterBar
from sap_tui.widgets.progress import phase_label, run_bar, share_done, sparkline, state_label
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Column, Record, Rows, fitted
from sap_tui.words import ago, counted, gibibytes

COLUMNS = (
    Column("run", "run", 6, "right"),
    Column("state", "state", 13),
    Column("progress", "progress", 12, stretch=True),
    Column("share", "", 4, "right"),
    Column("left", "left", 9, "right"),
    Column("task", "task", 20),
    Column("model", "model", 30),
    Column("speed", "tokens/s", 10, "right"),
    Column("done", "done", 17, "right"),
)
EMPTY = hint(
    "No runs yet.\n\nPress ", "n", " to score the strategies of a task under a target model.\n"
    "Runs go on in the background, even when you quit or lose the connection."
)  # fmt: skip
NOTHING_TO_SCORE = hint(
    "No runs, and nothing to score yet.\n\nPress ", "1", " and then ", "i", " to import a file of responses."
)
COLOURS = {"info": "", "warning": "$warning", "error": "$error"}
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
        "not been heard of for a minute; its log (L) says more."
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
        columns = fitted(COLUMNS, [_row(run, 0) for run in runs])
        self.table.use_columns(columns)
        width = self.table.width_of("progress", columns)
        empty = plain(snapshot.problem, "$error") if snapshot.problem else EMPTY if snapshot.tasks else NOTHING_TO_SCORE
        self.table.show(Rows([_row(run, width) for run in self._in_order(runs)]), empty=empty)
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
            "progress": share_done,
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
            self.pane.show(Content(f"Run {run.id}"), _details(run, speeds), _history(events))
        else:
            self.pane.show(Content(), Content())

    def _selected(self, snapshot: Snapshot) -> Run | None:
        key = self.table.cursor_key
        return snapshot.run(key) if isinstance(key, int) else None

    def on_record_table_moved(self) -> None:
        self._follows = False

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


def _row(run: Run, bar_width: int) -> Record:
    working = run.state is RunState.RUNNING
    left = duration(run.seconds_left) if run.seconds_left is not None else ""
    share = "" if run.state is RunState.QUEUED and not run.done else f"{share_done(run):.0%}"
    done = f"{run.done:,}/{run.total:,}" if run.total else ""
    return Record(
        run.id,
        (
            Content.styled(f"#{run.id}", MUTED),
            phase_label(run),
            run_bar(run, bar_width),
            Content(share),
            Content(left),
            plain(run.task),
            Content.assemble(plain(run.model), (f" {precision(run)}", MUTED)),
            Content(f"{run.tokens_per_second:,.0f}" if working and run.tokens_per_second else ""),
            Content.styled(done, MUTED),
        ),
    )


def _details(run: Run, speeds: Content) -> Content:
    return fields(
        [
            ("state", state_label(run)),
            ("why", plain(run.why, "$warning")),
            ("now", Content(progress_line(run)) if run.state is RunState.RUNNING else Content()),
            (
                "task",
                plain(f"{run.task}, {counted(len(run.strategies), 'strategy')}, {counted(run.questions, 'question')}"),
            ),
            ("metrics", plain(", ".join(run.request.metrics))),
            ("model", plain(run.model)),
            ("precision", Content(precision(run))),
            ("device", plain(f"{run.device or run.request.device}{f', {run.engine}' if run.engine else ''}")),
            ("memory", Content(f"{gibibytes(run.peak_memory)} at most" if run.peak_memory else "")),
            ("reused", Content(f"{run.reused:,} scores existed before" if run.reused else "")),
            ("errors", Content.styled(f"{run.errors:,} without a score" if run.errors else "", "$error")),
            ("took", Content(_took(run))),
            ("speed", speeds if run.state is RunState.RUNNING else Content()),
        ]
    )


def _history(events: Iterable[Event]) -> Content:
    lines = [
        Content.assemble(
            (f"{datetime.fromtimestamp(event.at):%H:%M:%S} ", MUTED), plain(event.text, COLOURS[event.level])
        )
        for event in reversed(tuple(events))
    ]
    return Content("\n").join([Content.styled("Events, newest first", "$primary bold"), *lines])


def _took(run: Run) -> str:
    if run.started_at is None:
        return f"queued {ago(time.time() - run.created_at)}"
    if run.ended_at is None:
        return f"started {ago(time.time() - run.started_at)}"
    return f"{duration(run.ended_at - run.started_at)}, ended {ago(time.time() - run.ended_at)}"
