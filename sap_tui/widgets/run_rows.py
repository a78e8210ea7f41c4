"""Runs as rows of the table, in full, and what happened to them."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from core.domain import Event, Run, RunState
from core.store.run_details import RunDetails
from sap_tui.commands.progress import duration
from sap_tui.commands.run_facts import SPARKLINE_WIDTH, Fact, clock, run_facts
from sap_tui.commands.runs import precision
from sap_tui.text import MUTED, plain
from sap_tui.widgets.detail_pane import fields, hanging
from sap_tui.widgets.progress import phase_label, run_bar, state_label
from sap_tui.widgets.records import Column, Record

COLUMNS = (
    Column("run", "run", 6, "right"),
    Column("state", "state", 13),
    Column("progress", "progress", 12, stretch=True),
    Column("share", "", 4, "right"),
    Column("left", "left", 9, "right"),
    Column("task", "task", 20, is_name=True),
    Column("model", "model", 30, is_name=True),
    Column("speed", "tokens/s", 10, "right"),
    Column("done", "done", 17, "right"),
)
NAMES_WIDTH = len("next look  ")
LONGEST_SPEED = len(" 12,345 tokens/s")
FACT_COLOURS = {"why": "$warning", "errors": "$error"}
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


def run_fields(run: Run, details: RunDetails, width: int) -> Content:
    """Everything about a run in lines of at most so many cells, as far as names allow."""
    sparkline_width = max(6, min(SPARKLINE_WIDTH, width - NAMES_WIDTH - LONGEST_SPEED))
    return fields([(fact.name, _value(run, fact)) for fact in run_facts(run, details, sparkline_width)], width)


def _value(run: Run, fact: Fact) -> Content:
    if fact.name == "state":
        return state_label(run)
    text = plain(fact.text, FACT_COLOURS.get(fact.name, ""))
    return Content.assemble((fact.sparkline, "$accent"), " ", text) if fact.sparkline else text


def history(events: Iterable[Event], width: int) -> Content:
    """What happened to a run, newest first."""
    lines = [
        hanging(Content.styled(f"{clock(event.at)} ", MUTED), plain(event.text, COLOURS[event.level]), width)
        for event in reversed(tuple(events))
    ]
    return Content("\n").join([Content.styled("Events, newest first", "$primary bold"), *lines])
