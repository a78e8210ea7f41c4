"""Every payload on every screen of a real pseudo-terminal: what it receives equals, byte for byte, what it receives for
the same text made visible, and nothing in it acts, hides or raises."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import sys
import termios
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from core.text import visible
from tests.conftest import wait_until
from tests.hostile import PAYLOADS, Scrub, poisoned, scored_base, shown
from tests.terminal import COLUMNS, ROWS, Terminal

# The app, with a clock and a cursor that stand still and a machine whose name is no better than the rest.
FROZEN = """
import socket, sys, time
time.time = lambda: 1760000000.0
host = {host!r}
socket.gethostname = lambda: host
from textual.widgets import Input
Input._toggle_cursor = lambda self: None
import sap_tui.bridge
sap_tui.bridge.ensure_runner = lambda catalogue: None
from sap_tui.cli import main
sys.exit(main(["--catalogue", {catalogue!r}]))
"""
# Folders whose names are shown, so they are equally long.
RAW, SCRUBBED = "twin-a", "twin-b"
STILL_SECONDS = 0.15
TOP = b"\x1b[1;1H"
STRETCH = re.compile(r"\x1b\[([\d;]*)m([^\x1b]*)(?:\x1b\[0m)?")
LINE_START = re.compile(rb"\x1b\[\d+;\d+H")
LONGEST_SECONDS = 60.0
PATIENCE_SECONDS = 3.0
# What Textual's driver and screens send: modes, colours, places, questions about modes, the mouse pointer's shape.
ALLOWED = re.compile(
    rb"\x1b\]22;[a-z-]+\x07|\x1b\[\??[\d;]*[HmhlKJu]|\x1b\[[<>=][\d;]*[um]|\x1b\[\?\d+\$p|\x1b\[\?\d+[hl]|\x1b\[c|\r|\n"
)
FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
                       "\ufff9-\ufffb\U000e0000-\U000e007f]")  # fmt: skip
EVERY = len(PAYLOADS)


@dataclass(frozen=True)
class Walk:
    """Keys that lead to a screen, and keys that are pressed there again and again to come by all payloads."""

    there: str
    again: str = ""
    times: int = 0


WALKS = {
    "catalogue": Walk("1", "j", EVERY),
    "catalogue, tasks": Walk("1G", "k", EVERY),
    "catalogue, columns": Walk("1g", "l", 4),
    "catalogue, filter": Walk("1/[\r", "j", 8),
    "catalogue, question": Walk("1gd"),
    "form: import": Walk("1gi"),
    "form: new run": Walk("1gn"),
    "help": Walk("1?"),
    "palette": Walk("1:"),
    "responses": Walk("1gj\r", "j", EVERY),
    "runs": Walk("2g", "j", EVERY),
    "runs, log": Walk("2gL", "\x15", 4),
    "ranking": Walk("3", "j", EVERY),
    "ranking, runs": Walk("3o", "j", EVERY),
    "ranking, export": Walk("3E"),
    "outcomes": Walk("4", "j", 16),
    "agreement": Walk("4v", "j", 12),
    "convergence": Walk("4vv", "j", 16),
    "compare": Walk("1gj  c", "n", EVERY),
    "sample": Walk("1gj  c\t\r", "w", 8),
    "settings": Walk("1,", "\t", 12),
}
PAGES = ("ranking", "compare")


class Screen(Terminal):
    """The app on a poisoned catalogue. `heard` is all that the terminal received."""

    def __init__(self, folder: Path, term: str) -> None:
        app = FROZEN.format(host=PAYLOADS[0] + PAYLOADS[16], catalogue="catalogue.db")
        super().__init__(["env", f"TERM={term}", f"HOME={folder}", sys.executable, "-c", app], folder)

    @property
    def heard(self) -> bytes:
        return self._output

    def settled(self, still: float = STILL_SECONDS) -> int:
        """Wait until nothing has come for a while; returns how much has come."""
        before, since, started = len(self._output), time.monotonic(), time.monotonic()
        while time.monotonic() - since < still and time.monotonic() - started < LONGEST_SECONDS:
            time.sleep(0.01)
            if len(self._output) != before:
                before, since = len(self._output), time.monotonic()
        return before

    def painted(self) -> bytes:
        """What is sent to draw the whole screen anew, as it comes twice in a row."""
        paints = [b"", self._redrawn()]
        started = time.monotonic()
        at_rest = False
        while not at_rest or paints[-1] != paints[-2]:
            assert time.monotonic() - started < LONGEST_SECONDS, "the screen is never at rest"
            before = waits(self)
            paints.append(self._redrawn())
            at_rest = not before and not waits(self)
        return paints[-1]

    def _redrawn(self) -> bytes:
        """The lines of the whole screen, as they come after it got a line more; not what is mended in them later."""
        started = time.monotonic()
        while time.monotonic() - started < LONGEST_SECONDS:
            for rows in (ROWS - 1, ROWS):
                start = self.settled()
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, COLUMNS, 0, 0))
                # A size that the app was too busy to see changes nothing; it is given another one then.
                with contextlib.suppress(AssertionError):
                    wait_until(lambda start=start: TOP in self._output[start:], PATIENCE_SECONDS)
            self.settled()
            lines = LINE_START.split(self._output[start:].rpartition(TOP)[2])
            if len(lines) >= ROWS:
                return b"\n".join(line.strip(b"\r\n") for line in lines[:ROWS])
        raise AssertionError(f"the screen is not drawn anew:\n{self.text()[-2000:]}")


def screens_of(folder: Path, term: str, walk: Walk, every: int) -> tuple[list[bytes], bytes]:
    """The whole screen after the way there and after every few keys, and all that the terminal received meanwhile."""
    screen = Screen(folder, term)
    try:
        screen.shows("1 Catalogue")
        screen.settled()
        for key in walk.there:
            screen.type("\x1b" if key == "\x1b" else key)
            screen.settled()
        frames = [screen.painted()]
        for number in range(1, walk.times + 1):
            screen.type(walk.again)
            screen.settled(STILL_SECONDS / 3)
            if number % every == 0 or number == walk.times:
                frames.append(screen.painted())
        assert screen.process.poll() is None, screen.text()[-2000:]
        heard = screen.heard
        screen.type("\x1b")
        screen.settled()
        return frames, heard
    finally:
        screen.end()
        screen.hang_up()


def waits(screen: Screen) -> bool:
    """Whether the app has a process of its own at work."""
    import psutil

    return bool(psutil.Process(screen.process.pid).children())


def unlawful(heard: bytes) -> list[str]:
    """What is neither text to be seen nor a sequence of the driver's."""
    rest = ALLOWED.sub(b"", heard).decode("utf-8", "replace")
    return [rest[max(0, found.start() - 10) : found.end() + 30] for found in FORBIDDEN.finditer(rest)]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("hostile")
    model = folder / "stand-in-model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "sap-tui-stand-in"}')
    (model / "model.safetensors").write_bytes(b"no weights")
    base = scored_base(folder, model)
    scrubs: dict[str, Scrub] = {RAW: str, SCRUBBED: shown}
    return {name: poisoned(base, folder / name, scrub).parent for name, scrub in scrubs.items()}


def compared(homes: dict[str, Path], term: str, name: str, every: int, figures: dict[str, object]) -> None:
    """Walk there in both homes at once; once more if something differs: what stands behind a window may come late."""
    for last in (False, True):
        found: dict[str, tuple[list[bytes], bytes]] = {}

        def walk(home: str, found: dict[str, tuple[list[bytes], bytes]] = found) -> None:
            found[home] = screens_of(homes[home], term, WALKS[name], every)

        both = [threading.Thread(target=walk, args=(home,)) for home in homes]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert set(found) == set(homes), name
        assert unlawful(found[RAW][1]) == unlawful(found[SCRUBBED][1]) == [], name
        different = [
            pair for pair in zip(found[RAW][0], found[SCRUBBED][0], strict=True) if lines(pair[0]) != lines(pair[1])
        ]
        if not different:
            break
        assert not last, first_difference(*different[0])
    figures |= {"screens compared": len(found[RAW][0]), "bytes received": len(found[RAW][1])}


def first_difference(one: bytes, other: bytes) -> str:
    pairs = zip(lines(one), lines(other), strict=False)
    return "\nis not\n".join(map(str, next((pair for pair in pairs if pair[0] != pair[1]), ("more lines", "fewer"))))


def lines(painted: bytes) -> list[list[tuple[str, str]]]:
    """The lines as stretches of one style; where a style goes on, the screen may begin it anew at any place."""
    return [stretches(line) for line in painted.decode("utf-8", "replace").replace(SCRUBBED, RAW).split("\n")]


def stretches(line: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for style, text in STRETCH.findall(line):
        if found and found[-1][0] == style:
            found[-1] = style, found[-1][1] + text
        elif text:
            found.append((style, text))
    return found


@pytest.mark.parametrize("name", WALKS)
def test_every_payload(name: str, homes: dict[str, Path], figures: dict[str, object]) -> None:
    """every payload on a screen of a real terminal, beside its scrubbed twin"""
    compared(homes, "xterm-256color", name, 8, figures)


@pytest.mark.parametrize("name", PAGES)
def test_a_dumb_terminal(name: str, homes: dict[str, Path], figures: dict[str, object]) -> None:
    """every payload on a screen of a terminal that says it can do nothing, beside its scrubbed twin"""
    compared(homes, "dumb", name, 31, figures)


def test_the_payloads_would_be_found() -> None:
    """the search finds each payload that acts or hides; what only the app itself may send differs from the twin's"""
    hidden = [payload for payload in PAYLOADS if visible(payload, multiline=True) != payload]
    assert len(hidden) > 25
    like_the_apps = [payload for payload in hidden if not unlawful(payload.encode())]
    assert len(like_the_apps) < len(hidden) / 4
    assert all(ALLOWED.search(payload.encode()) and shown(payload) != payload for payload in like_the_apps)
    assert all(first != second for first, second in pairwise(PAYLOADS))
    assert os.name == "posix"
