"""A program in a pseudo-terminal: what it wrote and when, and what stands on the screen then."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import queue
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyte

from benchmarks.machine import peak_bytes

COLUMNS, LINES = 120, 40
BURST_SECONDS = 0.001
ENDING_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 20.0
# What a terminal of today answers to Textual's question whether it draws whole frames only.
SYNC_QUESTION, SYNC_ANSWER = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
KEYS = {
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "pageup": "\x1b[5~", "pagedown": "\x1b[6~",
    "enter": "\r", "escape": "\x1b", "tab": "\t", "space": " ", "backspace": "\x7f",
    "shift+tab": "\x1b[Z",
}  # fmt: skip

Row = tuple[Any, ...]
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes that came without a pause; `at` is when the first of them did (perf_counter seconds).

    `computed` is the processor time that the program had used by then, in seconds.
    """

    at: float
    computed: float
    data: bytes


class Terminal:
    """A program of its own in a terminal of 120 by 40 with 256 colours."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], true_colour: bool = False) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self._outputs: queue.SimpleQueue[Output] = queue.SimpleQueue()
        # The thread that notes when something came must not wait while the screen is worked out.
        sys.setswitchinterval(0.0005)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        unlike = ("COLUMNS", "LINES", "COLORTERM", "NO_COLOR", "SSH_CONNECTION", "TMUX", "TERM_PROGRAM")
        own = {"TERM": "xterm-256color"} | ({"COLORTERM": "truecolor"} if true_colour else {})
        clean = {name: value for name, value in environment.items() if name not in unlike} | own
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=clean, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return
            at, computed, parts = time.perf_counter(), self.computed(), [data]
            while select.select([self._master], [], [], BURST_SECONDS)[0]:
                try:
                    parts.append(os.read(self._master, 1 << 16))
                except OSError:
                    break
            whole = b"".join(parts)
            if SYNC_QUESTION in whole:
                os.write(self._master, SYNC_ANSWER)
            self._outputs.put(Output(at, computed, whole))

    def press(self, key: str) -> float:
        """Send a key by its name, or a character; returns when (perf_counter seconds)."""
        data = KEYS.get(key, key).encode()
        sent = time.perf_counter()
        os.write(self._master, data)
        return sent

    def next_output(self, seconds: float) -> Output | None:
        """What comes next within so many seconds, drawn on the screen."""
        try:
            output = self._outputs.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        self._stream.feed(output.data)
        return output

    def wait_for_rest(self, still: float, longest: float) -> list[Output]:
        """Draw what comes until nothing came for `still` seconds, or `longest` are over."""
        deadline, came = time.perf_counter() + longest, []
        while time.perf_counter() < deadline and (output := self.next_output(still)):
            came.append(output)
        return came

    def wait_for(self, *parts: str) -> Output | None:
        """Wait until all the parts stand on the screen; the output that completed them, None if they stood there.

        Raises AssertionError with the screen when they do not come.
        """
        deadline, output = time.perf_counter() + LONGEST_WAIT_SECONDS, None
        while not all(part in self.text() for part in parts):
            output = self.next_output(0.05) or output
            if time.perf_counter() > deadline:
                missing = [part for part in parts if part not in self.text()]
                raise AssertionError(f"{missing} not on the screen:\n{self.text()}")
        return output

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def cells(self) -> list[Row]:
        """Every row with its characters and their colours, but without a text cursor, which blinks."""
        rows = self.screen.buffer
        return [tuple(rows[y][x]._replace(reverse=False) for x in range(COLUMNS)) for y in range(LINES)]

    def backgrounds(self) -> list[Row]:
        """Every row's colours behind the text."""
        rows = self.screen.buffer
        return [tuple(rows[y][x].bg for x in range(COLUMNS)) for y in range(LINES)]

    def computed(self) -> float:
        """The processor time of all the program's threads so far, in seconds."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(task.read_text(encoding="ascii").split()[0])
        return total / 1e9

    def peak_memory(self) -> int:
        """The most memory that the program's process had, in bytes."""
        return peak_bytes(self.process.pid)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self._master)


def changed_cells(before: Sequence[Row], after: Sequence[Row]) -> set[Cell]:
    return {
        (y, x)
        for y, (old, new) in enumerate(zip(before, after, strict=True))
        if old != new
        for x, (one, other) in enumerate(zip(old, new, strict=True))
        if one != other
    }
