"""The ranking of a run: intervals on one scale, the verdict in words, and everything that limits it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from textual.content import Content
from textual.widgets import Static

from core.domain import RankRow, Run
from core.export.formats import verdict_sentence
from core.export.report import RankingReport
from core.metrics.registry import metric as metric_by_id
from sap_tui.bridge import Snapshot
from sap_tui.commands.runs import precision
from sap_tui.keys import bindings
from sap_tui.rankings import RankingError
from sap_tui.screens.base import MainScreen, hint
from sap_tui.text import MUTED, joined, plain
from sap_tui.twin import ask, option
from sap_tui.widgets.detail_pane import fields
from sap_tui.widgets.dialogs import Choose
from sap_tui.widgets.filter_bar import FilterBar
from sap_tui.widgets.interval_plot import Scale
from sap_tui.widgets.progress import state_label
from sap_tui.widgets.record_table import Column, Record, RecordTable, Rows
from sap_tui.words import counted

NO_RUN = hint("No run to rank yet.\n\nPress ", "n", " to start one, or ", "1", " to import responses first.")
WAITING = Content("Ranking …")
PLOT_WIDTH = 24


class RankingScreen(MainScreen):
    CSS_PATH = "ranking.tcss"
    PLACE = "ranking"
    BINDINGS = bindings("ranking")
    PROSE = (
        "Best first. The score of a strategy is its mean over the questions that all ranked strategies have scores for; "
        "├──●──┤ is its 95% interval from a paired bootstrap over those questions, drawn on one scale for all rows. "
        "Ranks such as 2-3 say which places the data allow. A row marked = cannot be told from the leader (paired test "
        "with Holm's correction at 5%): score more questions, or take either. A row marked ! has no rank, the pane says "
        "why. P(best) is the share of bootstrap draws in which the strategy came first. A run that is not done is marked "
        "partial; its ranking can still change. Lower is better for perplexities: the responses are more familiar to the "
        "model that you are going to fine-tune."
    )

    def __init__(self) -> None:
        super().__init__()
        self._number: int | None = None
        self._metric: str | None = None
        self._report: RankingReport | None = None
        self._problem = ""

    def compose_main(self) -> Iterable[RecordTable | FilterBar | Static]:
        yield Static(id="verdict")
        yield RecordTable(_columns(None), id="ranking", sortable=False)
        yield Static(id="notes")

    def choose(self, number: int) -> None:
        """Show the ranking of this run from now on."""
        if number != self._number:
            self._number, self._report, self._problem = number, None, ""
            self.show_snapshot()

    def _run(self, snapshot: Snapshot) -> Run | None:
        """The chosen run; before one is chosen the newest that has something to rank."""
        chosen = snapshot.run(self._number)
        return chosen or next((run for run in snapshot.runs if run.done), next(iter(snapshot.runs), None))

    def show_rows(self, snapshot: Snapshot) -> None:
        run = self._run(snapshot)
        if run is None:
            self._report = None
        else:
            self._load(run)
        report = self._report
        self._show_around(run, report)
        empty = NO_RUN if run is None else plain(self._problem) if self._problem else WAITING
        rows = _rows(report, self._plot_width(report)) if report else []
        self.table.show(Rows(rows), empty=empty, columns=_columns(report))

    def _plot_width(self, report: RankingReport | None) -> int:
        self.table.show(self.table.source, columns=_columns(report)) if not len(self.table.source) else None
        return self.table.width_of("plot")

    def _load(self, run: Run) -> None:
        """Take the ranking if it is known, else have it computed; what is shown meanwhile is the last one known."""
        known = self.app.rankings.known(run, self._metric)
        if known is not None:
            self._report, self._problem = known, ""
        elif not any(worker.group == "ranking" and not worker.is_finished for worker in self.app.workers):
            self.run_worker(self._compute(run, self._metric), group="ranking", exit_on_error=False)

    async def _compute(self, run: Run, metric: str | None) -> None:
        try:
            self._report, self._problem = await self.app.rankings.of(run, metric), ""
        except RankingError as error:
            self._report, self._problem = None, str(error)
        self.call_later(self.show_snapshot)
