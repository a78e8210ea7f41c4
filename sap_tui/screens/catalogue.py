"""The home screen: tasks with their strategies, and what is known about the one under the cursor."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from math import inf

from textual.content import Content
from textual.widget import Widget

from core.domain import Run, RunState, Strategy, Task
from core.export.report import RankingReport
from sap_tui.bridge import Snapshot
from sap_tui.deletions import delete, of_strategies, of_task, undo
from sap_tui.keys import bindings
from sap_tui.screens.base import MainScreen
from sap_tui.text import plain
from sap_tui.widgets.detail_pane import retitle
from sap_tui.widgets.filter_bar import FilterBar
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Record, Rows
from sap_tui.widgets.strategy_rows import (
    COLUMNS,
    strategy_details,
    strategy_row,
    task_details,
    task_row,
    used_columns,
)
from sap_tui.words import counted

EMPTY = (
    "Nothing here yet.\n\nPress {import_file} to import a file of responses: one file is one strategy.\n"
    "The form offers the bundled sample to begin with.\n\nPress {help} for help."
)
NO_MATCH = "No strategy holds that text. Press {filter} and {close} to see all again."
RANKINGS_AT_START = 8


class CatalogueScreen(MainScreen):
    CSS_PATH = "catalogue.tcss"
    PLACE = "catalogue"
    BINDINGS = bindings("catalogue")
    PROSE = (
        "A task is a set of questions; a strategy is one way of writing the responses to them: a teacher model "
        "with a prompt, or people. Import one file for every strategy, then start a run, which scores them all "
        "under the model that you are going to fine-tune. Tokens (of a response), rank and score come from one run, "
        "which the heading of the task names: of the finished ones that scored the most of its strategies, the newest. "
        "Mark strategies with {mark} to score only those; without marks a run takes all of the task."
    )

    def compose_main(self) -> Iterable[Widget]:
        yield RecordTable(COLUMNS, table_id="strategies")
        yield FilterBar()

    def show_rows(self, snapshot: Snapshot) -> None:
        rows = self._rows(snapshot)
        empty = self.empty_text(snapshot, self.hint(NO_MATCH if snapshot.strategies else EMPTY))
        columns, records = used_columns(rows)
        self.table.use_columns(columns)
        self.table.show(Rows(records), empty=empty)
        count = f"{counted(len(snapshot.tasks), 'task')}, {counted(len(snapshot.strategies), 'strategy')}"
        marked = f", {len(self.table.marks)} marked" if self.table.marks else ""
        retitle(self.query_one("#main"), Content(f"{count}{marked}" if snapshot.tasks else "Catalogue"))
        self._rank_finished_runs(snapshot)

    def _rows(self, snapshot: Snapshot) -> list[Record]:
        rows = []
        for task in snapshot.tasks:
            strategies = [one for one in snapshot.strategies_of(task.name) if self._matches(one)]
            if strategies or not self.filter_text:
                report = self._report(snapshot, task.name)
                rows.append(task_row(task, report))
                rows += [strategy_row(snapshot, one, report) for one in self._in_order(strategies, snapshot, report)]
        return rows

    def _matches(self, strategy: Strategy) -> bool:
        texts = (strategy.task, strategy.name, strategy.teacher, strategy.note, *strategy.tags)
        return any(self.filter_text in text.casefold() for text in texts)

    def _in_order(self, strategies: list[Strategy], snapshot: Snapshot, report: RankingReport | None) -> list[Strategy]:
        ranked = {row.strategy: row.rank for row in report.ranking.rows} if report else {}
        tokens = {row.strategy: row.mean_tokens for row in report.ranking.rows} if report else {}
        last = {one.name: run.id for one in strategies if (run := snapshot.last_runs.get((one.task, one.name)))}
        values = {
            "name": lambda one: one.name.casefold(),
            "responses": lambda one: one.responses,
            "tokens": lambda one: tokens.get(one.name) or inf,
            "rank": lambda one: ranked.get(one.name, len(ranked) + 1),
            "score": lambda one: ranked.get(one.name, len(ranked) + 1),
            "run": lambda one: last.get(one.name, 0),
            "teacher": lambda one: one.teacher.casefold(),
            "tags": lambda one: one.tags,
            "updated": lambda one: one.updated_at,
        }
        if self.table.sort_column is None:
            return strategies[::-1] if self.table.sort_backwards else strategies
        return sorted(strategies, key=values[self.table.sort_column], reverse=self.table.sort_backwards)

    def _report(self, snapshot: Snapshot, task: str) -> RankingReport | None:
        return self.app.rankings.report(snapshot.fullest_run(task))

    def _rank_finished_runs(self, snapshot: Snapshot) -> None:
        """Have the run of every task that is shown ranked, one after another, if it is not yet."""
        wanted = [run for task in snapshot.tasks if (run := snapshot.fullest_run(task.name))][:RANKINGS_AT_START]
        missing = [run for run in wanted if self.app.rankings.known(run) is None]
        if missing and not any(worker.group == "ranks" and not worker.is_finished for worker in self.app.workers):
            self.run_worker(self._rank(missing), group="ranks")

    async def _rank(self, runs: list[Run]) -> None:
        for run in runs:
            await self.app.rankings.compute(run)
            self.call_later(self.show_snapshot)

    def show_selection(self, snapshot: Snapshot) -> None:
        strategy, task = self._selected_strategy(snapshot), self._selected_task(snapshot)
        self.app.bridge.watch(strategy=strategy.id if strategy else None)
        new_run = self.app.keymap.shown_first("new_run")
        report = self._report(snapshot, task.name) if task else None
        if strategy:
            self.pane.show(plain(strategy.name), strategy_details(snapshot, strategy, report, new_run))
        elif task:
            self.pane.show(plain(task.name), task_details(snapshot, task, report, new_run))
        else:
            self.pane.show(Content(), Content())

    def _selected_strategy(self, snapshot: Snapshot) -> Strategy | None:
        return next((one for one in snapshot.strategies if ("strategy", one.id) == self.table.cursor_key), None)

    def _selected_task(self, snapshot: Snapshot) -> Task | None:
        """The task under the cursor, or that of the strategy there."""
        strategy = self._selected_strategy(snapshot)
        for task in snapshot.tasks:
            if ("task", task.id) == self.table.cursor_key or (strategy and strategy.task == task.name):
                return task
        return None

    def _marked(self) -> list[Strategy]:
        return [one for one in self.app.snapshot.strategies if ("strategy", one.id) in self.table.marks]

    def action_mark(self) -> None:
        snapshot, key = self.app.snapshot, self.table.cursor_key
        strategy, task = self._selected_strategy(snapshot), self._selected_task(snapshot)
        if strategy:
            self.table.set_marks(self.table.marks ^ {key})
            self.table.action_cursor_down()
        elif task:
            self._toggle({("strategy", one.id) for one in snapshot.strategies_of(task.name)})
        self.show_snapshot()

    def action_mark_all(self) -> None:
        rows = (self.table.source[position].key for position in range(len(self.table.source)))
        self._toggle({key for key in rows if isinstance(key, tuple) and key[0] == "strategy"})
        self.show_snapshot()

    def _toggle(self, keys: set[Hashable]) -> None:
        marks = self.table.marks
        self.table.set_marks(marks - keys if keys <= marks else marks | keys)

    def on_record_table_opened(self) -> None:
        """A strategy shows its responses, a task its ranking."""
        strategy = self._selected_strategy(self.app.snapshot)
        if strategy:
            from sap_tui.screens.responses import ResponsesScreen

            self.app.push_screen(ResponsesScreen(strategy))
        else:
            self.action_show_run_ranking()

    def action_show_run_ranking(self) -> None:
        snapshot, marked = self.app.snapshot, self._marked()
        task = self._selected_task(snapshot)
        names = frozenset(one.name for one in marked)
        name = marked[0].task if marked else task.name if task else ""
        # Of a task it is the ranking that the rows show.
        run = (None if marked else snapshot.fullest_run(name)) or snapshot.last_run(name, names)
        if run:
            self.open_ranking(run)
        elif name:
            what = "these strategies" if marked else "this task"
            self.tell(f"No run has scored {what} yet. Press {{new_run}} to start one.")

    def action_compare(self) -> None:
        """The two marked strategies; with one marked, that one and the one under the cursor."""
        chosen, cursor = self._marked(), self._selected_strategy(self.app.snapshot)
        if len(chosen) == 1 and cursor and cursor not in chosen:
            chosen.append(cursor)
        if len(chosen) != 2 or chosen[0].task != chosen[1].task:
            self.tell("Mark two strategies of one task with {mark}, then press {compare}.")
            return
        run = _scored_run(self.app.snapshot, chosen[0].task, {one.name for one in chosen})
        if run:
            self.app.open_comparison(run.id, chosen[0].name, chosen[1].name)
        else:
            self.tell("No run has scored both strategies yet. Press {new_run} to start one.")

    def action_import_file(self) -> None:
        from sap_tui.screens.import_form import ImportForm

        task = self._selected_task(self.app.snapshot)
        self.app.push_screen(ImportForm(task.name if task else ""))

    def action_new_run(self) -> None:
        marked, task = self._marked(), self._selected_task(self.app.snapshot)
        if len({one.task for one in marked}) > 1:
            self.app.say("The marked strategies belong to several tasks. A run scores one task.", "warning")
        elif marked or task:
            self.app.open_run_form(
                marked[0].task if marked else task.name if task else "", [one.name for one in marked]
            )
        else:
            self.tell("There is nothing to score yet. Press {import_file} to import a file first.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "tag":
            return bool(self._marked() or self._selected_strategy(self.app.snapshot))
        of_rows = ("edit", "delete", "mark", "mark_all", "copy_row", "filter", "compare", "new_run", "show_run_ranking")
        if action in of_rows:
            return bool(self.app.snapshot.tasks)
        return True

    def action_edit(self) -> None:
        from sap_tui.screens.edit_form import EditStrategy, EditTask

        strategy, task = self._selected_strategy(self.app.snapshot), self._selected_task(self.app.snapshot)
        if strategy:
            self.app.push_screen(EditStrategy(strategy))
        elif task:
            self.app.push_screen(EditTask(task))

    def action_tag(self) -> None:
        from sap_tui.screens.edit_form import EditTags

        strategy = self._selected_strategy(self.app.snapshot)
        chosen = self._marked() or ([strategy] if strategy else [])
        if chosen:
            self.app.push_screen(EditTags(chosen))

    def action_delete(self) -> None:
        snapshot = self.app.snapshot
        strategy, task = self._selected_strategy(snapshot), self._selected_task(snapshot)
        chosen = self._marked() or ([strategy] if strategy else [])
        if chosen:
            self.run_worker(self._delete(chosen), group="delete")
        elif task:
            runs = sum(run.task == task.name for run in snapshot.runs)
            deletion = of_task(task, len(snapshot.strategies_of(task.name)), runs)
            self.run_worker(delete(self.app, deletion), group="delete")

    async def _delete(self, chosen: list[Strategy]) -> None:
        if await delete(self.app, of_strategies(chosen)):
            self.table.set_marks(self.table.marks - {("strategy", one.id) for one in chosen})
            self.show_snapshot()

    def action_undo(self) -> None:
        self.run_worker(undo(self.app), group="undo")


def _scored_run(snapshot: Snapshot, task: str, names: set[str]) -> Run | None:
    """The newest run that is done and scored all of these, else the one that has come furthest."""
    runs = [run for run in snapshot.runs if run.task == task and names <= set(run.strategies) and run.done]
    return max(runs, key=lambda run: (run.state is RunState.DONE, run.id), default=None)
