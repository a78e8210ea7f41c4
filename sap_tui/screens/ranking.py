"""The ranking of a run: intervals on one scale, the verdict in words, and everything that limits it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from textual import work
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from core.domain import Run, RunState
from core.export.formats import verdict_sentence
from core.export.report import RankingReport
from sap_tui.bridge import Snapshot
from sap_tui.commands.runs import precision
from sap_tui.exports import ask_and_write
from sap_tui.keys import bindings
from sap_tui.rankings import NoRanking
from sap_tui.screens.base import MainScreen
from sap_tui.studies import Found, Studies, Study
from sap_tui.text import MUTED, joined, plain
from sap_tui.twin import option
from sap_tui.widgets.detail_pane import retitle
from sap_tui.widgets.dialogs import Choose
from sap_tui.widgets.model_rows import model_columns, model_details, model_records, model_words
from sap_tui.widgets.progress import state_label
from sap_tui.widgets.ranking_rows import metric_meanings, ranking_columns, ranking_records, score_details
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Rows
from sap_tui.words import ago, counted

NO_RUN = "No run to rank yet.\n\nPress {new_run} to start one, or {show_catalogue} to import responses first."
WAITING = Content("Ranking …")
SECONDS_BETWEEN_PARTIAL = 4.0
STEP = 3


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
        "fine-tune. Green is a leader that is settled, cyan a group that is not. Enter shows the responses of a "
        "strategy; {choose_run} takes another run."
    )

    def __init__(self) -> None:
        super().__init__()
        self._number: int | None = None
        self._metric: str | None = None
        self._report: RankingReport | None = None
        self._problem = ""
        self._asked_at = 0.0
        self._computing: tuple[object, ...] | None = None
        self._is_by_model = False
        self._studies = Studies(self.app.catalogue)

    def compose_main(self) -> Iterable[Widget]:
        yield Static(id="verdict")
        yield RecordTable(ranking_columns(None), table_id="ranking", sortable=False)
        with VerticalScroll(id="below", can_focus=False):
            yield Static(id="notes")

    def choose(self, number: int) -> None:
        """Show the ranking of this run from now on."""
        if number != self._number:
            # Another run need not have the metric, and without a ranking no other could be chosen.
            self._number, self._metric, self._report, self._problem, self._asked_at = number, None, None, "", 0.0
            self.table.set_marks(set())
        self.show_snapshot()

    def _run(self, snapshot: Snapshot) -> Run | None:
        """The chosen run; before one is chosen that by which the task scored last is known, or that came furthest."""
        if chosen := snapshot.run(self._number):
            return chosen
        last = max(snapshot.runs, key=lambda run: (run.state is RunState.DONE, run.done > 0, run.id), default=None)
        return snapshot.fullest_run(last.task) or last if last else None

    def show_rows(self, snapshot: Snapshot) -> None:
        run = self._run(snapshot)
        if run is not None:
            self._number = run.id
            self._load(run)
            if self._is_by_model:
                return self._show_by_model(run, snapshot)
        report = self._report
        self._show_around(run, report)
        width = self.table.width_of("plot", ranking_columns(report))
        self.table.use_columns(ranking_columns(report, width))
        nothing = self.hint(NO_RUN) if run is None else self._no_ranking(run) if self._problem else WAITING
        empty = self.empty_text(snapshot, nothing)
        self.table.show(Rows(ranking_records(report, width)), empty=empty)

    def _show_by_model(self, run: Run, snapshot: Snapshot) -> None:
        study, found = self._study(run, snapshot), self._by_model_found(run, snapshot)
        if self._studies.known(study) is None and not any(worker.group == "by-model" for worker in self.workers):
            self._compute_by_model(study)
        words = model_words(found.answer) if found and found.answer else None
        title = joined([plain(run.task), plain(f"by {found.answer['metric']['id']}" if words and found else ""),
                        Content("every target model")])  # fmt: skip
        retitle(self.query_one("#main"), title)
        self._show_words(*(words or (None, None)))
        columns = model_columns(found.answer) if words and found else ranking_columns(None)
        self.table.use_columns(columns)
        empty = plain(found.problem, "$error") if found and found.problem else WAITING
        self.table.show(Rows(model_records(found.answer) if words and found else []), empty=empty)

    def _study(self, run: Run, snapshot: Snapshot) -> Study:
        by = option("by", self._metric) if self._metric else []
        of_task = [self.app.rankings.stamp_of(each) for each in snapshot.runs if each.task == run.task]
        return Study(("rank", "--by-model", *option("task", run.task), *by, "--format", "json"), tuple(of_task))

    def _by_model_found(self, run: Run, snapshot: Snapshot) -> Found | None:
        study = self._study(run, snapshot)
        return self._studies.known(study) or self._studies.last_known(study)

    @work(group="by-model", exclusive=True)
    async def _compute_by_model(self, study: Study) -> None:
        await self._studies.compute(study)
        self.call_later(self.show_snapshot)

    def _no_ranking(self, run: Run) -> Content:
        """Why, without the command that says more; the screen that says more is here."""
        why = plain(self._problem.removesuffix(" See it: sap-tui runs"))
        watch = "" if run.state.ended else "It comes as soon as there are scores. {show_live} shows the run. "
        return Content.assemble(why, self.hint(f"\n\n{watch}Press {{choose_run}} to rank another run."))

    def _load(self, run: Run) -> None:
        """Take the ranking if it is known, else have it computed; meanwhile the last one known stays."""
        known = self.app.rankings.known(run, self._metric)
        asked = (run.id, self._metric, self.app.rankings.stamp_of(run))
        if isinstance(known, NoRanking) and self._metric:
            # An imported column may be gone; the run's own first metric is not.
            self._metric = None
            self._load(run)
        elif isinstance(known, RankingReport):
            self._report, self._problem = known, ""
        elif isinstance(known, NoRanking):
            self._report, self._problem = None, known
        elif self._computing != asked and (run.state.ended or self._may_ask_again()):
            self._computing, self._asked_at = asked, time.monotonic()
            self._compute(run, self._metric)

    def _may_ask_again(self) -> bool:
        return time.monotonic() - self._asked_at > SECONDS_BETWEEN_PARTIAL

    @work(group="ranking", exclusive=True)
    async def _compute(self, run: Run, metric: str | None) -> None:
        await self.app.rankings.compute(run, metric)
        self._computing = None
        self.call_later(self.show_snapshot)

    def _show_around(self, run: Run | None, report: RankingReport | None) -> None:
        retitle(self.query_one("#main"), _title(run, report, self._metric) if run else Content("Ranking"))
        self._show_words(*((_verdict(report), _notes(report)) if report else (None, None)))

    def _show_words(self, verdict: Content | None, notes: Content | None) -> None:
        """What stands above and below the table."""
        for name, content in (("verdict", verdict), ("notes", notes)):
            place = self.query_one(f"#{name}", Static)
            place.display = content is not None and bool(content.plain)
            if content and (not isinstance(place.content, Content) or not content.is_same(place.content)):
                place.update(content)
        self.query_one("#below").display = bool(notes and notes.plain)

    def show_selection(self, snapshot: Snapshot) -> None:
        report, key = self._report, self.table.cursor_key
        run = self._run(snapshot)
        if self._is_by_model and run and isinstance(key, str):
            found = self._by_model_found(run, snapshot)
            details = model_details(found.answer, key) if found and found.answer else ()
            return self.pane.show(plain(key), *details)
        row = next((row for row in report.ranking.rows if row.strategy == key), None) if report else None
        if report and row:
            self.pane.show(plain(row.strategy), score_details(report, row), metric_meanings(report))
        elif report and isinstance(key, str):
            self.pane.show(plain(key), plain(f"No rank: {report.ranking.left_out.get(key, '')}", multiline=True))
        else:
            self.pane.show(Content(), Content())

    def on_record_table_opened(self) -> None:
        """The responses of the strategy, as the run that is ranked scored them."""
        run = self._run(self.app.snapshot)
        of_task = self.app.snapshot.strategies_of(run.task) if run else []
        strategy = next((one for one in of_task if one.name == self.table.cursor_key), None)
        if strategy is None:
            self.app.say("This strategy is not in the catalogue any more.")
        else:
            from sap_tui.screens.responses import ResponsesScreen

            self.app.push_screen(ResponsesScreen(strategy, run))

    def action_next_metric(self) -> None:
        if self._report:
            names = [metric.id for metric in self._report.metrics]
            # Pressed again before the ranking by the next one is there, the key goes on from that one.
            last = self._metric if self._metric in names else self._report.ranking.metric
            self._metric = names[(names.index(last) + 1) % len(names)]
            self._asked_at = 0.0
            self.table.show_first_columns()
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
            self.tell("Mark two strategies with {mark}, then press {compare}.")

    def action_choose_run(self) -> None:
        runs = self.app.snapshot.runs
        place = next((place for place, run in enumerate(runs) if run.id == self._number), 0)
        self.app.push_screen(Choose("Rank which run?", [run_line(run) for run in runs], place), self._chosen)

    def _chosen(self, place: int | None) -> None:
        if place is not None:
            self._is_by_model = False
            self.choose(self.app.snapshot.runs[place].id)

    def action_new_run(self) -> None:
        run, tasks = self._run(self.app.snapshot), self.app.snapshot.tasks
        if tasks:
            self.app.open_run_form(run.task if run else tasks[0].name, [])
        else:
            self.tell(
                "There is nothing to score yet. Press {show_catalogue} and then {import_file} to import a file first."
            )

    def action_by_model(self) -> None:
        """One ranking, or those under every target model side by side."""
        self._is_by_model = not self._is_by_model
        self.table.show_first_columns()
        self.show_snapshot()

    def action_scroll_pane_down(self) -> None:
        """What stands below the table first, then what stands beside it."""
        below = self.query_one("#below")
        (below if below.scroll_offset.y < below.max_scroll_y else self.pane).scroll_relative(y=STEP, animate=False)

    def action_scroll_pane_up(self) -> None:
        below = self.query_one("#below")
        (self.pane if self.pane.scroll_offset.y else below).scroll_relative(y=-STEP, animate=False)

    def action_export_csv(self) -> None:
        report = self._report
        if report and self._is_by_model:
            arguments = ["rank", "--by-model", *option("task", report.task), *option("by", report.ranking.metric)]
            ask_and_write(self.app, "the rankings", f"rankings-{report.task}", arguments)
        elif report:
            arguments = ["rank", *option("by", report.ranking.metric), str(report.run)]
            ask_and_write(self.app, "the ranking", f"ranking-{report.task}-run-{report.run}", arguments)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("next_metric", "export_csv", "copy_row", "mark", "compare"):
            return self._report is not None
        if action in ("choose_run", "by_model"):
            return bool(self.app.snapshot.runs)
        return True


def _title(run: Run, report: RankingReport | None, metric: str | None) -> Content:
    """Of the ranking that is shown; where one by another metric was asked for, that it is being computed."""
    what = plain(f"{run.task} under {run.model} {precision(run)}")
    questions = Content(f"{counted(report.ranking.questions, 'question')} by {report.ranking.metric}" if report else "")
    asked = metric if report and metric not in (None, report.ranking.metric) else ""
    return joined([Content(f"Run {run.id}"), what, questions, plain(f"ranking by {asked} …" if asked else "", MUTED)])


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
