"""The ranking of a run: intervals on one scale, the verdict in words, and everything that limits it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from textual import work
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from core.domain import Run, RunState
from core.export.files import export_path
from core.export.formats import verdict_sentence
from core.export.report import RankingReport
from sap_tui.bridge import Snapshot
from sap_tui.commands.runs import precision
from sap_tui.keys import bindings
from sap_tui.rankings import NoRanking
from sap_tui.screens.base import MainScreen, hint
from sap_tui.text import MUTED, joined, plain
from sap_tui.twin import ask, option
from sap_tui.widgets.detail_pane import retitle
from sap_tui.widgets.dialogs import AskPath, Choose
from sap_tui.widgets.progress import state_label
from sap_tui.widgets.ranking_rows import metric_meanings, ranking_columns, ranking_records, score_details
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Rows
from sap_tui.words import ago, counted

NO_RUN = hint("No run to rank yet.\n\nPress ", "n", " to start one, or ", "1", " to import responses first.")
WAITING = Content("Ranking …")
SECONDS_BETWEEN_PARTIAL = 4.0


class RankingScreen(MainScreen):
    CSS_PATH = "ranking.tcss"
    PLACE = "ranking"
    BINDINGS = bindings("ranking")
    PROSE = (
        "Best first. A strategy's score is taken over the questions that all ranked strategies have scores for; "
        "├──●──┤ is its 95% interval from a paired bootstrap over those questions, drawn on one scale for all "
        "rows; ▸ lies far beyond it. A rank such as 2-3 says which places the data allow. A row marked = cannot be "
        "told from the leader (paired test, Holm's correction, 5%): score more questions, or take either. A row "
        "marked ! has no rank; the line below says why. P(best) is the share of bootstrap draws in which the "
        "strategy came first. The ranking of a run that is not done is marked partial and can still change. "
        "Perplexities are better when lower: the responses are more familiar to the model that you are going to "
        "fine-tune. Green is a leader that is settled, cyan a group that is not."
    )

    def __init__(self) -> None:
        super().__init__()
        self._number: int | None = None
        self._metric: str | None = None
        self._report: RankingReport | None = None
        self._problem = ""
        self._asked_at = 0.0
        self._computing: tuple[int, str | None] | None = None

    def compose_main(self) -> Iterable[Widget]:
        yield Static(id="verdict")
        yield RecordTable(ranking_columns(None), table_id="ranking", sortable=False)
        yield Static(id="notes")

    def choose(self, number: int) -> None:
        """Show the ranking of this run from now on."""
        if number != self._number:
            # Another run need not have the metric, and without a ranking no other could be chosen.
            self._number, self._metric, self._report, self._problem, self._asked_at = number, None, None, "", 0.0
            self.table.set_marks(set())
        self.show_snapshot()

    def _run(self, snapshot: Snapshot) -> Run | None:
        """The chosen run; before one is chosen the newest that is done, or has come furthest."""
        chosen = snapshot.run(self._number)
        return chosen or max(
            snapshot.runs, key=lambda run: (run.state is RunState.DONE, run.done > 0, run.id), default=None
        )

    def show_rows(self, snapshot: Snapshot) -> None:
        run = self._run(snapshot)
        if run is not None:
            self._number = run.id
            self._load(run)
        report = self._report
        self._show_around(run, report)
        width = self.table.width_of("plot", ranking_columns(report))
        self.table.use_columns(ranking_columns(report, width))
        nothing = NO_RUN if run is None else self._no_ranking() if self._problem else WAITING
        empty = self.empty_text(snapshot, nothing)
        self.table.show(Rows(ranking_records(report, width)), empty=empty)

    def _no_ranking(self) -> Content:
        return Content.assemble(plain(self._problem), hint("\n\nPress ", "o", " to rank another run."))

    def _load(self, run: Run) -> None:
        """Take the ranking if it is known, else have it computed; meanwhile the last one known stays."""
        known = self.app.rankings.known(run, self._metric)
        if isinstance(known, RankingReport):
            self._report, self._problem = known, ""
        elif isinstance(known, NoRanking):
            self._report, self._problem = None, known
        elif self._computing != (run.id, self._metric) and (run.state.ended or self._may_ask_again()):
            self._computing, self._asked_at = (run.id, self._metric), time.monotonic()
            self._compute(run, self._metric)

    def _may_ask_again(self) -> bool:
        return time.monotonic() - self._asked_at > SECONDS_BETWEEN_PARTIAL

    @work(group="ranking", exclusive=True)
    async def _compute(self, run: Run, metric: str | None) -> None:
        await self.app.rankings.compute(run, metric)
        self._computing = None
        self.call_later(self.show_snapshot)

    def _show_around(self, run: Run | None, report: RankingReport | None) -> None:
        retitle(self.query_one("#main"), _title(run, report) if run else Content("Ranking"))
        verdict, notes = self.query_one("#verdict", Static), self.query_one("#notes", Static)
        verdict.display = notes.display = report is not None
        if report:
            for place, content in ((verdict, _verdict(report)), (notes, _notes(report))):
                if not isinstance(place.content, Content) or not content.is_same(place.content):
                    place.update(content)

    def show_selection(self, snapshot: Snapshot) -> None:
        report, key = self._report, self.table.cursor_key
        row = next((row for row in report.ranking.rows if row.strategy == key), None) if report else None
        if report and row:
            self.pane.show(plain(row.strategy), score_details(report, row), metric_meanings(report))
        elif report and isinstance(key, str):
            self.pane.show(plain(key), plain(f"No rank: {report.ranking.left_out.get(key, '')}", multiline=True))
        else:
            self.pane.show(Content(), Content())

    def on_record_table_opened(self) -> None:
        self.action_choose_run()

    def action_next_metric(self) -> None:
        if self._report:
            names = [metric.id for metric in self._report.metrics]
            self._metric = names[(names.index(self._report.ranking.metric) + 1) % len(names)]
            self._asked_at = 0.0
            self.table.scroll_x = 0
            self.show_snapshot()

    def action_mark(self) -> None:
        if self.table.cursor_key is not None:
            self.table.set_marks(self.table.marks ^ {self.table.cursor_key})
            self.table.action_cursor_down()

    def action_compare(self) -> None:
        """The two marked strategies; with one marked that and the one under the cursor, with none the leader and it."""
        report, cursor = self._report, self.table.cursor_key
        ranked = [row.strategy for row in report.ranking.rows] if report else []
        chosen = [name for name in ranked if name in self.table.marks] or ranked[:1]
        if len(chosen) == 1 and cursor in ranked and cursor not in chosen:
            chosen.append(str(cursor))
        if report and len(chosen) == 2:
            self.app.open_comparison(report.run, chosen[0], chosen[1], report.ranking.metric)
        else:
            self.app.say("Mark two strategies with space, then press c.")

    def action_choose_run(self) -> None:
        runs = self.app.snapshot.runs
        place = next((place for place, run in enumerate(runs) if run.id == self._number), 0)
        self.app.push_screen(Choose("Rank which run?", [run_line(run) for run in runs], place), self._chosen)

    def _chosen(self, place: int | None) -> None:
        if place is not None:
            self.choose(self.app.snapshot.runs[place].id)

    def action_new_run(self) -> None:
        run, tasks = self._run(self.app.snapshot), self.app.snapshot.tasks
        if tasks:
            self.app.open_run_form(run.task if run else tasks[0].name, [])
        else:
            self.app.say("There is nothing to score yet. Press 1 and then i to import a file first.")

    def action_export_csv(self) -> None:
        if self._report:
            name = f"ranking-{self._report.task}-run-{self._report.run}"
            path = export_path(Path(), name, ".csv")
            self.app.push_screen(AskPath("Write the ranking as CSV to", str(path)), self._export)

    def _export(self, path: str | None) -> None:
        if path and self._report:
            arguments = ["rank", str(self._report.run), *option("by", self._report.ranking.metric), "--format", "csv"]
            self.run_worker(self._write([*arguments, *option("output", path)], path), group="export")

    async def _write(self, arguments: list[str], path: str) -> None:
        answer = await ask(self.app.catalogue, *arguments)
        self.app.say(answer.problem or f"Written: {path}", "error" if answer.code else "information")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("next_metric", "export_csv", "copy_row", "mark", "compare"):
            return self._report is not None or None
        if action == "choose_run":
            return bool(self.app.snapshot.runs) or None
        return True


def _title(run: Run, report: RankingReport | None) -> Content:
    what = plain(f"{run.task} under {run.model} {precision(run)}")
    questions = Content(f"{counted(report.ranking.questions, 'question')} by {report.ranking.metric}" if report else "")
    return joined([Content(f"Run {run.id}"), what, questions])


def _verdict(report: RankingReport) -> Content:
    decided = report.ranking.verdict == "decided"
    sentence = plain(verdict_sentence(report), "$success bold" if decided else "$accent bold")
    partial = plain(f"Partial: {report.partial}. ", "$warning bold") if report.partial else Content()
    return Content.assemble(partial, sentence)


def _notes(report: RankingReport) -> Content:
    lines = [plain(f"! {name} has no rank: {reason}", "$warning") for name, reason in report.ranking.left_out.items()]
    lines += [plain(f"! {warning}", "$warning") for warning in report.ranking.warnings]
    lines += [plain(f"· {note}", MUTED) for note in report.notes]
    if any(not row.separable for row in report.ranking.rows) and len(report.ranking.rows) > 1:
        lines.insert(0, Content.styled("= not separable from the leader", MUTED))
    return Content("\n").join(lines)


def run_line(run: Run) -> Content:
    what = plain(f"{run.task} under {run.model} {precision(run)}")
    return Content.assemble(
        (f"#{run.id:<4}", MUTED), state_label(run), "  ", what, (f"  {ago(time.time() - run.created_at)}", MUTED)
    )
