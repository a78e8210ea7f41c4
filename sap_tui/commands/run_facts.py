"""Everything about a run in words, the same for the command line and for the pane of the app."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from core.clock import since_boot
from sap_tui.commands.progress import duration, phase_line
from sap_tui.commands.runs import precision
from sap_tui.words import ago, counted, gibibytes

if TYPE_CHECKING:
    from core.domain import Run
    from core.processes.scorers import ScorerRow
    from core.store.run_details import RunDetails

LEVELS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Fact:
    """A line about a run, after a sparkline where there is one. `text` is empty where there is nothing to say, and may
    hold names from the catalogue."""

    name: str
    text: str
    sparkline: str = ""

    @property
    def line(self) -> str:
        return f"{self.sparkline} {self.text}".lstrip()


def run_facts(run: Run, details: RunDetails, width: int = SPARKLINE_WIDTH) -> list[Fact]:
    """What is known of a run, what changes first; sparklines have at most `width` cells."""
    return [
        Fact("state", run.shown),
        Fact("why", run.why),
        Fact("now", phase_line(run) if run.state == "running" and run.phase else ""),
        Fact("left", _left(run, details)),
        Fact("speed", *_speed(run, details, width)),
        Fact("memory", *_memory(run, details, width)),
        Fact("next look", _look(run, details)),
        *(
            Fact("out" if place == 0 else "", f"{name}, {why.removeprefix('out ')}")
            for place, (name, why) in enumerate(details.out.items())
        ),
        Fact("errors", f"{run.errors:,} without a score" if run.errors else ""),
        Fact("took", _took(run)),
        Fact("samples", f"{counted(len(run.strategies), 'strategy')} on {counted(run.questions, 'question')}"),
        Fact("reused", f"{counted(run.reused, 'score')} existed before" if run.reused else ""),
        Fact("metrics", ", ".join(run.request.metrics)),
        Fact("task", run.task),
        Fact("model", f"{run.model} {precision(run)}"),
        Fact("device", f"{run.device or run.request.device}{f', {run.engine}' if run.engine else ''}"),
    ]


def sparkline(points: Sequence[tuple[float, float]], width: int) -> str:
    """Values (time, value) as heights between 0 and the largest, each cell the mean of an equal stretch of time.

    A stretch without values, as of a pause, is blank.
    """
    top = max((value for _, value in points), default=0.0)
    if top <= 0:
        return ""
    start, end = points[0][0], points[-1][0]
    cells: list[list[float]] = [[] for _ in range(min(width, len(points)))]
    for at, value in points:
        share = (at - start) / (end - start) if end > start else 0.0
        cells[min(len(cells) - 1, int(share * len(cells)))].append(value)
    for place, cell in enumerate(cells):
        # Values come at times that differ a little; a pause takes longer.
        if not cell and cells[place + 1]:
            cell += cells[place - 1]
    return "".join(LEVELS[min(7, int(8 * sum(cell) / len(cell) / top))] if cell else " " for cell in cells)


def clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at):%H:%M:%S}"


def _left(run: Run, details: RunDetails) -> str:
    seconds = details.seconds_left(run)
    if seconds is None:
        return ""
    return duration(seconds) if run.phase == "scoring" else f"{duration(seconds)}, then scoring"


def _speed(run: Run, details: RunDetails, width: int) -> tuple[str, str]:
    points = [(speed.at, speed.tokens_per_second) for speed in details.speeds if speed.tokens_per_second]
    if not run.tokens_per_second:
        return "", ""
    return f"{run.tokens_per_second:,.0f} tokens/s", sparkline(points, width)


def _memory(run: Run, details: RunDetails, width: int) -> tuple[str, str]:
    points = [(speed.at, float(speed.memory)) for speed in details.speeds if speed.memory]
    most = f"{gibibytes(run.peak_memory)} at most" if run.peak_memory else ""
    now = gibibytes(points[-1][1]) if points and run.state == "running" else ""
    return ", ".join(filter(None, [now, most])), sparkline(points, width)


def _look(run: Run, details: RunDetails) -> str:
    if details.next_look is None:
        return ""
    seconds = details.seconds_to_look(run)
    when = "" if seconds is None else f", in {duration(math.ceil(seconds))}"
    return f"at question {details.next_look.questions:,} of {run.questions:,}{when}"


def _took(run: Run) -> str:
    if run.started_at is None:
        return f"queued {ago(time.time() - run.created_at)}"
    if run.ended_at is None:
        return f"{duration(time.time() - run.started_at)} so far"
    return f"{duration(run.ended_at - run.started_at)}, ended {ago(time.time() - run.ended_at)}"


def loaded_words(scorer: ScorerRow) -> str:
    """Which model stays in memory though nothing is scored, and for how long."""
    minutes = max(1, math.ceil(((scorer.free_at or 0) - since_boot()) / 60))
    return f"{scorer.model} stays loaded on {scorer.device} for {counted(minutes, 'more minute')}"
