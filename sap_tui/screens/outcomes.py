"""Agreement and outcomes: metric against outcome, metrics against each other, and scores over growing questions."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable

from textual import work
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from core.domain import Run, RunState
from sap_tui.bridge import Snapshot
from sap_tui.commands.runs import precision
from sap_tui.exports import ask_and_write
from sap_tui.keys import bindings
from sap_tui.screens.base import MainScreen
from sap_tui.screens.ranking import run_line
from sap_tui.studies import Found, Studies, Study
from sap_tui.text import joined, plain
from sap_tui.themes import plot_colours
from sap_tui.twin import option
from sap_tui.widgets.agreement_view import AgreementView
from sap_tui.widgets.convergence_view import ConvergenceView
from sap_tui.widgets.detail_pane import retitle
from sap_tui.widgets.dialogs import Choose
from sap_tui.widgets.outcome_view import OutcomeView
from sap_tui.widgets.plot_view import PlotView
from sap_tui.widgets.record_table import RecordTable
from sap_tui.widgets.records import Column, Rows

VIEWS = {"outcomes": "Outcomes", "agreement": "Agreement", "convergence": "Convergence"}
WAITING = {
    "outcomes": "Judging the metrics …",
    "agreement": "Comparing the metrics …",
    "convergence": "Scoring over growing numbers of questions …",
}
NO_RUN = "No run yet.\n\nPress {show_catalogue} to choose strategies and score them with {new_run}."
SECONDS_BETWEEN_PARTIAL = 4.0
SECONDS_BEFORE_PLOT = 0.05
PANE_STEP = 3
# Of the table below a plot, on a screen of so many lines and on a lower one.
HIGH_SCREEN, MOST_TABLE_LINES, FEW_TABLE_LINES = 30, 12, 5
NOTHING = (Column("nothing", "", 20, stretch=True),)


class ViewTab(Static):
    """The name of a view; a click shows it."""

    def __init__(self, view: str) -> None:
        super().__init__(Content(VIEWS[view]), classes="view")
        self.view = view

    def on_click(self) -> None:
        assert isinstance(self.screen, OutcomesScreen)
        self.screen.show_view(self.view)


class OutcomesScreen(MainScreen):
    CSS_PATH = "outcomes.tcss"
    PLACE = "outcomes"
    BINDINGS = bindings("outcomes")
    PROSE = (
        "Three views of one run. Outcomes: every strategy's score against the accuracy after fine-tuning on it; a "
        "metric is good when its pick gave (nearly) the best outcome: the regret says how many points are missing, "
        "Spearman how well its whole order agrees. Agreement: rank correlations between metrics over strategies, and "
        "the leaders that they name. Convergence: every score with its 95% interval over the first 10, 12, 14 … "
        "questions in the order of the run, on a logarithmic scale; bands that part early could have been told apart "
        "with fewer questions. Letters stand for the strategies in the table below; the one under the cursor is set "
        "off. On the command line: sap-tui judge, agree and converge."
    )

    def __init__(self) -> None:
        super().__init__()
        self._number: int | None = None
        self._metric: str | None = None
        self._view_name = "outcomes"
        self._view: PlotView | None = None
        self._made_of: tuple[object, ...] = ()
        self._problem = ""
        self._asked_at = 0.0
        self._computing: Study | None = None
        self._plot_timer: Timer | None = None

    def compose_main(self) -> Iterable[Widget]:
        # It takes a while to import, and the app starts without it.
        from sap_tui.widgets.chart import Chart

        self._studies = Studies(self.app.catalogue)
        self._chart = Chart("plot")
        with Vertical(id="above"):
            with Horizontal(id="views"):
                for view in VIEWS:
                    yield ViewTab(view)
            yield Static(id="verdict")
        yield self._chart
        yield RecordTable(NOTHING, table_id="points", sortable=False)
        yield Static(id="notes")

    def choose(self, number: int) -> None:
        """Show this run from now on."""
        if number != self._number:
            self._number, self._view, self._made_of, self._problem, self._asked_at = number, None, (), "", 0.0
            self.table.action_first_row()
        self.show_snapshot()

    def show_view(self, name: str) -> None:
        if name != self._view_name:
            self._view_name, self._view, self._made_of, self._problem, self._asked_at = name, None, (), "", 0.0
            self.table.action_first_row()
            self.table.show_first_columns()
            self.show_snapshot()

    def _run(self, snapshot: Snapshot) -> Run | None:
        """The chosen run; before one is chosen the newest that is done, if there is one with outcomes."""
        return snapshot.run(self._number) or max(
            snapshot.runs,
            key=lambda run: ((run.task, run.model) in snapshot.outcomes, run.state is RunState.DONE, run.done, run.id),
            default=None,
        )

    def show_rows(self, snapshot: Snapshot) -> None:
        run = self._run(snapshot)
        if run is not None:
            self._number = run.id
            self._load(run, snapshot)
        view = self._view
        retitle(self.query_one("#main"), _title(run, view) if run else Content(VIEWS[self._view_name]))
        for tab in self.query(ViewTab):
            tab.set_class(tab.view == self._view_name, "-here")
        self._show_words(view)
        records = view.records() if view else []
        self.table.use_columns(view.columns() if view else NOTHING)
        self._show_heights(view, len(records))
        self.table.show(Rows(records), empty=self.empty_text(snapshot, self._empty(run, snapshot)))

    def _show_words(self, view: PlotView | None) -> None:
        notes = Content("\n").join(list(view.notes())) if view else Content()
        for name, content in (("verdict", view.verdict() if view else Content()), ("notes", notes)):
            static = self.query_one(f"#{name}", Static)
            static.display = bool(content.plain)
            if not isinstance(static.content, Content) or not content.is_same(static.content):
                static.update(content)

    def _show_heights(self, view: PlotView | None, rows: int) -> None:
        """The plot takes what the table leaves; without a plot the table takes all."""
        plotted = view is not None and view.drawing(None) is not None
        self._chart.display = plotted
        self.set_class(plotted, "-plotted")
        most = MOST_TABLE_LINES if self.app.size.height >= HIGH_SCREEN else FEW_TABLE_LINES
        self.table.styles.height = min(rows + 1, most) if plotted else "1fr"

    def _empty(self, run: Run | None, snapshot: Snapshot) -> Content:
        if run is None:
            return self.hint(NO_RUN)
        if self._view_name == "outcomes" and (run.task, run.model) not in snapshot.outcomes:
            where = plain(f"No outcomes yet of {run.task} under {run.model}.")
            what = self.hint(
                "\n\nPress {import_outcomes} to import what fine-tuning gave, {next_view} to see how the metrics agree."
            )
            return where + what
        if self._problem:
            return plain(self._problem) + self.hint(
                "\n\nPress {choose_run} for another run, {next_view} for another view."
            )
        return Content(WAITING[self._view_name])

    def _load(self, run: Run, snapshot: Snapshot) -> None:
        """Make the view of what is known; else have it computed, while the last one known stays."""
        study = self._study(run, snapshot)
        if study is None:
            self._view, self._made_of, self._problem = None, (), ""
            return
        known = self._studies.known(study)
        self._make_view(run, known or self._studies.last_known(study))
        may_ask = run.state.ended or time.monotonic() - self._asked_at > SECONDS_BETWEEN_PARTIAL
        if known is None and self._computing != study and may_ask:
            self._computing, self._asked_at = study, time.monotonic()
            self._compute(study)

    def _study(self, run: Run, snapshot: Snapshot) -> Study | None:
        number, depends_on = str(run.id), self.app.rankings.stamp_of(run)
        if self._view_name == "agreement":
            return Study(("agree", number, "--json"), depends_on)
        if self._view_name == "convergence":
            by = option("by", self._metric) if self._metric else []
            return Study(("converge", number, *by, "--json"), depends_on)
        outcomes = snapshot.outcomes.get((run.task, run.model))
        if outcomes is None:
            return None
        return Study(("judge", "--run", number, "--points", "--json"), (*depends_on, outcomes))

    def _make_view(self, run: Run, found: Found | None) -> None:
        made_of = (found, self._metric, run.strategies, self.app.theme)
        if found is None or made_of == self._made_of:
            return
        self._made_of, self._problem = made_of, found.problem
        colours = plot_colours(self.app.current_theme)
        if found.problem:
            self._view = None
        elif self._view_name == "outcomes":
            self._view = OutcomeView(found.answer, run, colours, self._metric)
        elif self._view_name == "agreement":
            self._view = AgreementView(found.answer, run, colours)
        else:
            self._view = ConvergenceView(found.answer, run, colours)

    @work(group="study", exclusive=True)
    async def _compute(self, study: Study) -> None:
        await self._studies.compute(study)
        if self._computing == study:
            self._computing = None
        self.call_later(self.show_snapshot)

    def show_selection(self, snapshot: Snapshot) -> None:
        cursor = self.table.cursor_key
        self.pane.show(*(self._view.details(cursor) if self._view else (Content(), Content())))
        if self._plot_timer:
            self._plot_timer.stop()
        # The cursor moves at once, the plot when it rests.
        self._plot_timer = self.set_timer(SECONDS_BEFORE_PLOT, self._show_plot)

    def _show_plot(self) -> None:
        key: Hashable | None = self.table.cursor_key
        self._chart.show(self._view.drawing(key) if self._view else None)

    def action_scroll_pane_down(self) -> None:
        self.pane.scroll_relative(y=PANE_STEP, animate=False)

    def action_scroll_pane_up(self) -> None:
        self.pane.scroll_relative(y=-PANE_STEP, animate=False)

    def action_next_view(self) -> None:
        names = list(VIEWS)
        self.show_view(names[(names.index(self._view_name) + 1) % len(names)])

    def action_next_metric(self) -> None:
        if self._view and self._view.metrics:
            names = list(self._view.metrics)
            place = names.index(self._view.metric) if self._view.metric in names else -1
            self._metric, self._asked_at = names[(place + 1) % len(names)], 0.0
            self.show_snapshot()

    def action_choose_run(self) -> None:
        runs = self.app.snapshot.runs
        place = next((place for place, run in enumerate(runs) if run.id == self._number), 0)
        self.app.push_screen(Choose("Show which run?", [run_line(run) for run in runs], place), self._chosen)

    def _chosen(self, place: int | None) -> None:
        if place is not None:
            self._metric = None
            self.choose(self.app.snapshot.runs[place].id)

    def action_export_csv(self) -> None:
        """The numbers of the view."""
        by = option("by", self._view.metric) if self._view else []
        arguments = {
            "outcomes": ["judge", "--points", "--run"], "agreement": ["agree"], "convergence": ["converge", *by],
        }[self._view_name]  # fmt: skip
        name = f"{self._view_name}-run-{self._number}"
        ask_and_write(self.app, f"the {self._view_name}", name, [*arguments, str(self._number)])

    def action_import_outcomes(self) -> None:
        from sap_tui.screens.outcomes_form import OutcomesForm

        run = self._run(self.app.snapshot)
        if run:
            self.app.push_screen(OutcomesForm(run.task, run.model))
        else:
            self.tell(
                "Outcomes belong to a task and a target model. Press {show_catalogue} and score some strategies first."
            )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "next_metric":
            return bool(self._view and len(self._view.metrics) > 1)
        if action in ("copy_row", "export_csv"):
            return self._view is not None
        if action == "choose_run":
            return bool(self.app.snapshot.runs)
        return True


def _title(run: Run, view: PlotView | None) -> Content:
    what = plain(f"{run.task} under {run.model} {precision(run)}")
    by = plain(f"by {view.metric}") if view and view.metric else Content()
    return joined([Content(f"Run {run.id}"), what, by])
