"""Runs as they go: progress, speed, time left, and what happened to the one under the cursor."""

from __future__ import annotations

from collections.abc import Iterable

from textual import work
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from core.domain import Run, RunState
from core.store.run_details import RunDetails
from sap_tui.bridge import Snapshot
from sap_tui.commands.run_facts import loaded_words
from sap_tui.deletions import delete, of_run, undo
from sap_tui.keys import bindings
from sap_tui.live_rankings import LiveRankings
from sap_tui.screens.base import MainScreen
from sap_tui.text import MUTED, plain
from sap_tui.twin import ask
from sap_tui.widgets.detail_pane import Lines, retitle
from sap_tui.widgets.filter_bar import FilterBar
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Rows, fitted
from sap_tui.widgets.run_rows import COLUMNS, history, run_fields, run_row
from sap_tui.words import counted

EMPTY = (
    "No runs yet.\n\nPress {new_run} to score the strategies of a task under a target model.\n"
    "Runs go on in the background, even when you quit or lose the connection."
)
NOTHING_TO_SCORE = (
    "No runs, and nothing to score yet.\n\nPress {show_catalogue} and then {import_file} to import a file of responses."
)
PANE_STEP = 3
SAFE_TO_QUIT = "Quit is safe: runs go on."


class LiveScreen(MainScreen):
    CSS_PATH = "live.tcss"
    PLACE = "live"
    PANE_PARTS = 3
    BINDINGS = bindings("live")
    PROSE = (
        "Every run with its progress. Scoring happens in a process of its own: quitting the app, a closed terminal "
        "or a lost connection do not end it, and after a crash of the machine it can be resumed without losing a "
        "score. Pause stops after the chunk at hand and frees the device. Left and speed are estimates from the "
        "chunks so far; a run that names its errors leaves those questions out of the ranking. A stalled run has "
        "been silent for far longer than its chunks take; its log ({show_log}) says more. The ranking so far is "
        "computed again from time to time: intervals shrink as scores come in; × marks strategies that dropped out "
        "of a run that ends when it is decided. A model stays loaded for a while after its run, so that the next "
        "starts at once."
    )

    def __init__(self) -> None:
        super().__init__()
        self._follows = True
        self._rankings = LiveRankings(self.app.rankings)

    def compose_main(self) -> Iterable[Widget]:
        yield RecordTable(COLUMNS, table_id="runs", numbered="run")
        yield Static(Content(), id="loaded")
        yield FilterBar()

    def show_rows(self, snapshot: Snapshot) -> None:
        runs = [run for run in snapshot.runs if self._matches(run)]
        columns = fitted(COLUMNS, [run_row(run, 0) for run in runs])
        self.table.use_columns(columns)
        width = self.table.width_of("progress", columns)
        empty = self.empty_text(snapshot, self.hint(EMPTY if snapshot.tasks else NOTHING_TO_SCORE))
        self.table.show(Rows([run_row(run, width) for run in self._in_order(runs)]), empty=empty)
        if self._follows and snapshot.unfinished:
            at_work = [run for run in snapshot.unfinished if run.state is RunState.RUNNING]
            self.table.move_to((at_work or snapshot.unfinished)[-1].id)
        follow = ", following" if self._follows and snapshot.unfinished else ""
        main = self.query_one("#main")
        retitle(main, Content(f"{counted(len(snapshot.runs), 'run')}{follow}"))
        safe = SAFE_TO_QUIT if snapshot.unfinished else ""
        if main.border_subtitle != safe:
            main.border_subtitle = safe
        self._show_loaded(snapshot)

    def _show_loaded(self, snapshot: Snapshot) -> None:
        """The models that stay in memory, each in a line, with the key that frees them."""
        key = self.app.keymap.shown_first("free_models")
        lines = [
            Content.assemble(
                plain(f" {loaded_words(scorer)}", MUTED), " · ", (key, "$primary bold"), (" frees it", MUTED)
            )
            for scorer in snapshot.loaded
        ]
        loaded, content = self.query_one("#loaded", Static), Content("\n").join(lines)
        if not isinstance(loaded.content, Content) or not content.is_same(loaded.content):
            loaded.display = bool(lines)
            loaded.update(content)

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
        if run is None:
            self.pane.show(Content())
            return
        details = snapshot.details if snapshot.watched.run == run.id else RunDetails()
        if self.pane.has_class("-unranked") == bool(run.done):
            self.pane.toggle_class("-unranked")
            self.call_after_refresh(self.show_snapshot)
        facts, ranking, events = (lines.size.width for lines in self.pane.query(Lines))
        if self._rankings.is_due(run):
            self._compute_ranking(run)
        self.pane.show(
            Content(f"Run {run.id}"),
            run_fields(run, details, facts),
            self._rankings.content(run, details, ranking),
            history(details.events, events),
        )

    @work(exclusive=True, group="ranking so far", exit_on_error=False)
    async def _compute_ranking(self, run: Run) -> None:
        await self._rankings.compute(run)
        self.show_snapshot()

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

    def action_scroll_pane_down(self) -> None:
        self.pane.scroll_relative(y=PANE_STEP, animate=False)

    def action_scroll_pane_up(self) -> None:
        self.pane.scroll_relative(y=-PANE_STEP, animate=False)

    def action_zoom_pane(self) -> None:
        self.toggle_class("-zoomed")

    def action_show_run_ranking(self) -> None:
        run = self._selected(self.app.snapshot)
        if run:
            self.open_ranking(run)

    def action_new_run(self) -> None:
        run, tasks = self._selected(self.app.snapshot), self.app.snapshot.tasks
        if tasks:
            self.app.open_run_form(run.task if run else tasks[0].name, [])
        else:
            self.tell(
                "There is nothing to score yet. Press {show_catalogue} and then {import_file} to import a file first."
            )

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

    def action_delete(self) -> None:
        run = self._selected(self.app.snapshot)
        if run:
            self.run_worker(delete(self.app, of_run(run)), group="delete")

    def action_undo(self) -> None:
        self.run_worker(undo(self.app), group="undo")

    def action_free_models(self) -> None:
        self.run_worker(self._free(), group="free", exit_on_error=False)

    async def _free(self) -> None:
        answer = await ask(self.app.catalogue, "free")
        self.app.say(
            answer.problem or (answer.stdout or answer.stderr).strip(), "error" if answer.code else "information"
        )

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
        if action == "delete":
            return run is not None and run.state.ended
        if action == "free_models":
            return bool(self.app.snapshot.loaded)
        if action in ("show_run_ranking", "show_log", "copy_row", "filter", "follow"):
            return run is not None or None
        return True
