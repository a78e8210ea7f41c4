"""The ranking of the run that is looked at, computed again as the run goes on, but not all the time."""

from __future__ import annotations

import asyncio
import time

from textual.content import Content

from core.domain import Run
from core.store.run_details import RunDetails
from sap_tui.rankings import NoRanking, Rankings
from sap_tui.text import MUTED, plain
from sap_tui.widgets.interval_plot import Scale
from sap_tui.widgets.live_ranking import HEADING, plot_width, ranking_so_far, steady_scale

LEAST_SECONDS = 5.0
# A ranking takes a process some of its time; so many times as long passes before the next.
PAUSES = 10
# Moving over runs does not start a process for each.
SETTLING_SECONDS = 0.3


class LiveRankings:
    """When to compute a ranking, and what to draw of the last one."""

    def __init__(self, rankings: Rankings) -> None:
        self._rankings = rankings
        self._at_work: int | None = None
        self._due: dict[int, float] = {}
        self._scales: dict[int, Scale] = {}

    def is_due(self, run: Run) -> bool:
        """Whether the run went on since its last ranking, and that is long enough ago."""
        is_time = time.monotonic() >= self._due.get(run.id, 0.0)
        return run.done > 0 and is_time and self._at_work != run.id and self._rankings.known(run) is None

    async def compute(self, run: Run) -> None:
        self._at_work = run.id
        try:
            await asyncio.sleep(SETTLING_SECONDS)
            started = time.monotonic()
            await self._rankings.compute(run)
            ended = time.monotonic()
            self._due[run.id] = ended + max(LEAST_SECONDS, PAUSES * (ended - started))
        finally:
            if self._at_work == run.id:
                self._at_work = None

    def content(self, run: Run, details: RunDetails, width: int) -> Content:
        """The ranking so far in lines of so many cells; nothing for a run without scores."""
        report, known = self._rankings.latest(run), self._rankings.known(run)
        if report is not None and report.ranking.rows:
            scale = steady_scale(self._scales.get(run.id), report, plot_width(report, width))
            self._scales[run.id] = scale
            return ranking_so_far(report, details.out, scale, width)
        if not run.done:
            return Content()
        words = plain(known, MUTED) if isinstance(known, NoRanking) else Content.styled("Ranking …", MUTED)
        return Content("\n").join([Content.styled("Ranking", HEADING), words])
