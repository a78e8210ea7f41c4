"""Runs as rows of the table, in full, and what happened to them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

from textual.content import Content

from core.domain import Event, Run, RunState
from sap_tui.commands.progress import duration, progress_line
from sap_tui.commands.runs import precision
from sap_tui.text import MUTED, plain
from sap_tui.widgets.detail_pane import fields
from sap_tui.widgets.progress import phase_label, run_bar, state_label
from sap_tui.widgets.records import Column, Record
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
COLOURS = {"info": "", "warning": "$warning", "error": "$error"}


def run_row(run: Run, bar_width: int) -> Record:
    """A run with a bar of this many cells."""
    working = run.state is RunState.RUNNING
    left = duration(run.seconds_left) if run.seconds_left is not None else ""
    share = "" if run.state is RunState.QUEUED and not run.done else f"{run.share_done:.0%}"
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


def run_details(run: Run, speeds: Content) -> Content:
    """Everything about a run; `speeds` is drawn beside the speed."""
    return fields(
        [
            ("state", state_label(run)),
            ("why", plain(run.why, "$warning")),
            ("now", Content(progress_line(run)) if run.state is RunState.RUNNING else Content()),
            ("task", plain(run.task)),
            ("samples", Content(f"{counted(len(run.strategies), 'strategy')} on {counted(run.questions, 'question')}")),
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


def history(events: Iterable[Event]) -> Content:
    """What happened to a run, newest first."""
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
