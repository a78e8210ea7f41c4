"""The app on real catalogues, without processes of the queue: runs are scored here, by the stand-in engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from textual.pilot import Pilot

from core.clock import since_boot
from core.jobs.claim import claim_run
from core.processes.identity import own_identity
from core.processes.scorers import register, turn_idle
from core.scorer import Scorer
from core.settings import Settings
from core.store.db import Writer
from sap_tui.app import SapApp
from sap_tui.keymap import Keymap
from sap_tui.screens.base import MainScreen
from sap_tui.widgets.record_table import RecordTable
from tests.jobs.helpers import queue_run

Value = TypeVar("Value")
PAUSE = 0.05
KEYS = Keymap()


@pytest.fixture(autouse=True)
def runner_starts(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The catalogues that a runner was wanted for, instead of runners."""
    started: list[Path] = []
    monkeypatch.setattr("sap_tui.bridge.ensure_runner", started.append)
    monkeypatch.setattr("sap_tui.wishes.ensure_runner", started.append)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.delenv("TMUX", raising=False)
    return started


@dataclass
class Session:
    """A started app with what tests ask of it."""

    app: SapApp
    pilot: Pilot[Any]
    said: list[str] = field(default_factory=list)

    @property
    def screen(self) -> MainScreen:
        assert isinstance(self.app.screen, MainScreen), self.app.screen
        return self.app.screen

    @property
    def table(self) -> RecordTable:
        return self.app.screen.query_one(RecordTable)

    @property
    def names(self) -> list[str]:
        """The first cell of every row."""
        return [self.table.source[place].cells[0].plain.strip() for place in range(len(self.table.source))]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def focus(self, selector: str) -> None:
        widget = self.app.screen.query_one(selector)
        widget.focus()
        await self.until(lambda: widget.has_focus)

    async def until(self, condition: Callable[[], Value], seconds: float = 30.0) -> Value:
        """Poll until the condition is true, then let what it changed be laid out; fail at the deadline."""
        for _ in range(int(seconds / PAUSE)):
            value = condition()
            if value:
                await self.pilot.pause()
                return value
            await self.pilot.pause(PAUSE)
        raise AssertionError(f"not within {seconds} s; on the screen:\n{self.text()}")

    async def sees(self, *texts: str) -> None:
        """Wait until all of these stand on the screen, wrapped or not."""
        await self.until(lambda: all(text in self.words or text in self.text() for text in texts))

    @property
    def words(self) -> str:
        """What stands on the screen as one line, without borders."""
        return " ".join(self.text().replace("│", " ").split())

    def text(self) -> str:
        """The characters on the screen."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in line) for line in lines)


Opener = Callable[..., AbstractAsyncContextManager[Session]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Opens the app on a catalogue and waits for the first snapshot."""

    @asynccontextmanager
    async def opener(
        catalogue: Path,
        *,
        size: tuple[int, int] = (120, 36),
        screen: str = "catalogue",
        run: int | None = None,
        keymap: Keymap = KEYS,
    ) -> AsyncIterator[Session]:
        settings = Settings(refresh_seconds=0.05, theme="sap-dark")
        app = SapApp(catalogue, settings, keymap=keymap, screen=screen, run=run)
        async with app.run_test(size=size, notifications=True) as pilot:
            session = Session(app, pilot)
            say = app.say

            def remember(text: str, *arguments: Any) -> None:
                session.said.append(text)
                say(text, *arguments)

            monkeypatch.setattr(app, "say", remember)
            await session.until(lambda: app.snapshot.read_at and isinstance(app.screen, MainScreen))
            await pilot.pause()
            yield session

    return opener


def score_here(catalogue: Path, run: int) -> None:
    """Do a queued run in this process."""
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
    assert claim is not None
    scorer = Scorer(catalogue)
    scorer.work(claim)
    scorer.close()


@pytest.fixture
def scored(catalogue: Path, stand_in_model: Path) -> Path:
    """The catalogue with run 1 done."""
    score_here(catalogue, queue_run(catalogue, stand_in_model, samples=12))
    return catalogue


@pytest.fixture
def running(scored: Path, stand_in_model: Path) -> Path:
    """The catalogue with run 1 done, run 2 in the midst of scoring under this very process, and run 3 queued."""
    for _ in range(2):
        queue_run(scored, stand_in_model, samples=24)
    change(scored, "UPDATE runs SET state = 'running', phase = 'scoring', total = 96, done = 30, tokens_total = 9600, "
                   "tokens_done = 3000, tokens_per_second = 1234.5 WHERE id = 2")  # fmt: skip
    me = own_identity()
    change(scored, "UPDATE runs SET host = ?, boot = ?, pid = ?, pid_start = ?, beat_at = ?, "
                   "started_at = strftime('%s', 'now') WHERE id = 2",
           me.host, me.boot, me.pid, me.start, since_boot())  # fmt: skip
    return scored


def change(catalogue: Path, statement: str, *values: object) -> None:
    with Writer(catalogue) as writer, writer.transaction() as connection:
        connection.execute(statement, values)


def value_of(catalogue: Path, statement: str) -> Any:
    from core.store.db import open_reader

    reader = open_reader(catalogue)
    try:
        return reader.execute(statement).fetchone()[0]
    finally:
        reader.close()


def stay_loaded(catalogue: Path, minutes: float = 12) -> None:
    """From now on this very process passes for an idle scorer."""
    with Writer(catalogue) as writer:
        register(writer, "cpu", "stand-in-model", "key")
        turn_idle(writer, 60 * minutes)
