"""What keeps the answers to keys quick, against some habits of Python and of Textual."""

from __future__ import annotations

import gc
import sys
import time
from typing import TYPE_CHECKING

from textual.reactive import Reactive

if TYPE_CHECKING:
    from textual.widget import Widget

LEAST_SECONDS_BETWEEN_SEARCHES = 60.0
IDLE_SECONDS = 2.0
# How long a thread that reads the catalogue may keep a key waiting; Python's own 5 ms are half of a quick answer.
LONGEST_TURN_SECONDS = 0.001


def focus_without_repaint() -> Reactive[Widget | None]:
    """For a screen's `focused`. Textual's own draws the whole screen anew, though both widgets draw themselves."""
    return Reactive(None, repaint=False)


class Housekeeping:
    """Python's search for unreachable objects, through all of them only when nobody presses a key.

    A full search takes as long as several frames. What was there at the last one is left out of the smaller ones.
    """

    def __init__(self) -> None:
        self._last_input = self._last_search = time.monotonic()

    def start(self) -> None:
        """Leave out what the start made, and search again from now on, should it have been put off."""
        sys.setswitchinterval(LONGEST_TURN_SECONDS)
        gc.freeze()
        gc.enable()

    def note_input(self) -> None:
        self._last_input = time.monotonic()

    def search_when_idle(self) -> None:
        """Call this now and then."""
        now = time.monotonic()
        if now - max(self._last_input, self._last_search + LEAST_SECONDS_BETWEEN_SEARCHES) >= IDLE_SECONDS:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._last_search = time.monotonic()

    def end(self) -> None:
        gc.unfreeze()
