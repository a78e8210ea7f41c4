"""The measurements in a terminal: keys of a screen, bytes of a screen that is left alone, the first paint."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.ui_plan import HOME, Part, ScreenPlan
from benchmarks.ui_terminal import Cell, Output, Terminal, changed_cells

STILL_SECONDS = 0.1
# A key that follows escape at once would be taken for one with alt.
ESCAPE_SECONDS = 0.4
# Output that comes so soon after a key was under way before it.
SOONEST_SECONDS = 0.0005
LONGEST_REST_SECONDS = 0.8
LONGEST_PAUSE_SECONDS = 0.06
NO_ANSWER_SECONDS = 5.0


@dataclass(slots=True)
class KeyTimes:
    """Seconds from a key to the first byte of its answer, and of processor time until then.

    `beside` counts outputs in between that were no answers.
    """

    seconds: list[float] = field(default_factory=list)
    computed: list[float] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    beside: int = 0

    def add(self, key: str, seconds: float, computed: float) -> None:
        self.keys.append(key)
        self.seconds.append(seconds)
        self.computed.append(computed)


class Keyboard:
    """Presses keys at random moments and finds the answer to each among everything that comes.

    An answer is the first output that changes a cell which does not change by itself. Which do is learned by looking
    at the screen before the first key; a text cursor's blinking is no change. With `by_background` only colours behind
    the text count, which a moved cursor changes and new numbers do not.
    """

    def __init__(self, terminal: Terminal, by_background: bool) -> None:
        self._terminal = terminal
        self._cells = terminal.backgrounds if by_background else terminal.cells
        self._random = random.Random(0)
        self._restless: set[Cell] = set()

    def learn(self, seconds: float) -> None:
        """Look at the screen for so long; whatever changes meanwhile changes by itself."""
        self._restless = set()
        self._terminal.wait_for_rest(STILL_SECONDS, LONGEST_REST_SECONDS)
        deadline, before = time.perf_counter() + seconds, self._cells()
        while (left := deadline - time.perf_counter()) > 0:
            if self._terminal.next_output(left):
                now = self._cells()
                self._restless |= changed_cells(before, now)
                before = now

    def press(self, key: str, times: KeyTimes) -> None:
        """Press a key and add how long its answer took. Raises AssertionError when none comes."""
        self._terminal.wait_for_rest(STILL_SECONDS, LONGEST_REST_SECONDS)
        self._terminal.wait_for_rest(self._random.uniform(0, LONGEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        before, computed = self._cells(), self._terminal.computed()
        sent = self._terminal.press(key)
        while time.perf_counter() < sent + NO_ANSWER_SECONDS:
            output = self._terminal.next_output(NO_ANSWER_SECONDS)
            if output is None:
                break
            now = self._cells()
            if output.at < sent + SOONEST_SECONDS:
                before = now
            elif changed_cells(before, now) - self._restless:
                times.add(key, output.at - sent, output.computed - computed)
                return
            times.beside += 1
        raise AssertionError(f"no answer to {key}:\n{self._terminal.text()}")


def measure_keys(terminal: Terminal, plan: ScreenPlan, rounds: int) -> KeyTimes:
    """Open the screen, press all its keys so many times over, and go home; AssertionError where it shows the wrong."""
    times, keyboard = KeyTimes(), Keyboard(terminal, plan.by_background)
    for part in plan.opening:
        _go(terminal, part)
    keyboard.learn(plan.watched)
    for _ in range(rounds):
        for part in plan.parts:
            for key in part.keys:
                keyboard.press(key, times)
            terminal.wait_for(*part.shows)
    for part in (*plan.closing, HOME):
        _go(terminal, part)
    return times


def _go(terminal: Terminal, part: Part) -> None:
    """Press the keys one after another without measuring."""
    for key in part.keys:
        terminal.press(key)
        terminal.wait_for_rest(ESCAPE_SECONDS if key == "escape" else STILL_SECONDS, LONGEST_REST_SECONDS)
    terminal.wait_for(*part.shows)


def measure_bytes(terminal: Terminal, seconds: float) -> list[int]:
    """How many bytes came in each second while nobody pressed anything."""
    terminal.wait_for_rest(STILL_SECONDS, LONGEST_REST_SECONDS)
    started, counts = time.perf_counter(), [0] * int(seconds)
    while (left := started + int(seconds) - time.perf_counter()) > 0:
        output = terminal.next_output(left)
        if output and 0 <= output.at - started < int(seconds):
            counts[int(output.at - started)] += len(output.data)
    return counts


def measure_first_paint(start: Callable[[], Terminal], shows: Sequence[str]) -> float:
    """Seconds from the process's start to the first output that completes the screen."""
    terminal = start()
    try:
        output = terminal.wait_for(*shows)
        assert isinstance(output, Output)
        return output.at - terminal.started
    finally:
        terminal.close()
