"""Taking a picture of a screen: the app is opened on a catalogue, keys are pressed, and what stands there is drawn."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.pictures.catalogues import NOW
from scripts.pictures.report import signed

if TYPE_CHECKING:
    from sap_tui.app import SapApp

SIZE = (120, 34)
HOST = "gpu-box"
CONFIG = "/home/me/.config/sap-tui/config.toml"
LONGEST_WAIT_SECONDS = 60.0
PAUSE = 0.03
LOOKS_AT_REST = 3
REFRESH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Picture:
    """What to press in which screen of the app; after a key that is paired with words these are waited for, before the
    picture is taken `shows`. A path among the keys is pasted."""

    name: str
    keys: Sequence[str | tuple[str, str]]
    shows: str
    screen: str = "catalogue"
    theme: str = "sap-dark"
    size: tuple[int, int] = SIZE
    catalogue: str = "sample"
    environment: Mapping[str, str] = field(default_factory=dict)


def freeze() -> None:
    """From now on neither the time nor the machine can be seen in the app; its commands answer in this process."""
    os.environ.update(TZ="UTC", SAP_TUI_CONFIG=CONFIG, COLUMNS="120")
    for name in ("NO_COLOR", "SSH_CONNECTION", "TMUX", "COLORTERM", "TEXTUAL_THEME"):
        os.environ.pop(name, None)
    time.tzset()
    time.time = lambda: NOW
    socket.gethostname = lambda: HOST
    import core.gpu
    import sap_tui.bridge
    import sap_tui.twin

    core.gpu.gpus = lambda: []  # type: ignore[assignment]
    sap_tui.bridge.ensure_runner = lambda catalogue: None  # type: ignore[assignment]
    sap_tui.twin.ask_module = Commands()  # type: ignore[assignment]


class Commands:
    """Stands in for the processes that the app starts: the same modules, with the frozen clock, each asked once."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, ...], Any] = {}
        self._one_at_a_time = threading.Lock()

    async def __call__(self, module: str, *arguments: str) -> Any:
        return await asyncio.to_thread(self._answer, module, arguments)

    def _answer(self, module: str, arguments: tuple[str, ...]) -> Any:
        from sap_tui.twin import Answer

        asked = (os.getcwd(), module, *arguments)
        with self._one_at_a_time:
            if asked not in self._answers:
                out, talk = io.StringIO(), io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(talk):
                    code = _run(module, arguments)
                self._answers[asked] = Answer(code, out.getvalue(), talk.getvalue())
            return self._answers[asked]


def _run(module: str, arguments: tuple[str, ...]) -> int:
    if module == "sap_tui.cli":
        from sap_tui.cli import main

        return main(list(arguments))
    import runpy

    before = sys.argv
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def take(picture: Picture, catalogue: Path) -> str:
    """The picture as SVG."""
    os.environ.update(HOME=str(catalogue.parent), SAP_TUI_CATALOGUE=str(catalogue), **picture.environment)
    try:
        return asyncio.run(_taken(picture, catalogue))
    finally:
        for name in picture.environment:
            del os.environ[name]


async def _taken(picture: Picture, catalogue: Path) -> str:
    from textual.events import Paste

    from core.settings import Settings
    from sap_tui.app import SapApp

    app = SapApp(catalogue, Settings(theme=picture.theme), screen=picture.screen)
    app.bridge.seconds = REFRESH_SECONDS
    async with app.run_test(size=picture.size) as pilot:
        waits = Waits(app, pilot.pause)
        await waits.until(lambda: len(app.screen.query("RecordTable")) and app.snapshot.read_at)
        await waits.for_rest()
        for step in picture.keys:
            key, shows = (step, "") if isinstance(step, str) else step
            if len(key) > 1 and "/" in key:
                app.post_message(Paste(key))
            else:
                await pilot.press(key)
            if shows:
                await waits.until(lambda words=shows: words in text_of(app))
        await waits.until(lambda: picture.shows in text_of(app))
        await waits.for_rest()
        svg = without_remote_fonts(app.export_screenshot(title="sap-tui"))
        return signed(svg, f"textual {version('textual')}, rich {version('rich')}")


class Waits:
    """Waits for what a started app shows."""

    def __init__(self, app: SapApp, pause: Callable[[float], Any]) -> None:
        self._app = app
        self._pause = pause

    async def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while not condition():
            if self._app._exception is not None or time.monotonic() > deadline:
                raise SystemExit(f"The screen never showed what it should:\n{text_of(self._app)}")
            await self._pause(PAUSE)

    async def for_rest(self) -> None:
        """Wait until nothing is computed and nothing changes any more."""
        from textual.widgets import Input

        before: list[object] = []
        same = 0
        while same < LOOKS_AT_REST:
            await self.until(lambda: all(worker.is_finished for worker in self._app.workers))
            for typed in self._app.screen.query(Input):
                typed.cursor_blink = False
            await self._pause(PAUSE)
            now = [list(strip) for strip in self._app.screen._compositor.render_strips()]
            before, same = [*now], same + 1 if now == before else 0


def text_of(app: SapApp) -> str:
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def without_remote_fonts(svg: str) -> str:
    """A picture that fetches nothing when it is shown."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")
