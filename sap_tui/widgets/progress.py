"""Progress, speed and state of a run in a few cells."""

from __future__ import annotations

from textual.content import Content

from core.domain import Run, RunState
from sap_tui.text import MUTED, plain

# Sign and colour of every word that `Run.shown` can be.
STATES = {
    "queued": ("○", MUTED),
    "waiting": ("○", "$warning"),
    "running": ("●", "$accent"),
    "pausing": ("‖", "$warning"),
    "paused": ("‖", "$warning"),
    "interrupted": ("!", "$warning"),
    "stalled": ("!", "$warning"),
    "cancelling": ("×", "$warning"),
    "cancelled": ("×", MUTED),
    "failed": ("✗", "$error"),
    "done": ("✓", "$success"),
}


def state_label(run: Run) -> Content:
    return _label(run, run.shown)


def phase_label(run: Run) -> Content:
    """The state; for a run at work what it does."""
    return _label(run, run.phase if run.shown == "running" and run.phase else run.shown)


def _label(run: Run, word: str) -> Content:
    sign, colour = STATES[run.shown]
    return Content.assemble((sign, colour), " ", plain(word, colour if run.shown != "done" else ""))


def progress_bar(share: float, width: int, colour: str = "$accent") -> Content:
    """A bar of exactly `width` cells, drawn to half a cell."""
    full, half = divmod(round(share * width * 2), 2)
    done = "━" * full + "╸" * half
    return Content.assemble((done, colour), ("─" * (width - len(done)), "$track"))


def run_bar(run: Run, width: int) -> Content:
    return progress_bar(run.share_done, width, STATES[run.shown][1] if run.state is not RunState.QUEUED else MUTED)
