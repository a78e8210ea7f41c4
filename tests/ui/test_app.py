"""How the app starts, ends, reads, copies and fails."""

from __future__ import annotations

import os
import pty
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import Settings, state_folder
from sap_tui.app import SapApp
from sap_tui.bridge import Bridge, Snapshot, SnapshotRead
from sap_tui.crash import crash_line, redacted
from sap_tui.twin import Answer, command_line, option
from sap_tui.widgets.record_table import RecordTable
from tests.conftest import wait_until
from tests.terminal import Terminal
from tests.ui.conftest import Opener, change

CRASHING = """
import sys
from pathlib import Path
import sap_tui.app, sap_tui.cli
from sap_tui.screens.catalogue import CatalogueScreen
def broken(self, *arguments, **named):
    local = "canary in a local variable".replace(" ", "-")
    raise RuntimeError("broken on purpose")
async def slowly(self):
    broken(self)
def in_a_thread(self):
    self.run_worker(lambda: broken(self), thread=True)
def in_a_worker(self):
    self.run_worker(slowly(self))
def by_a_timer(self):
    self.set_timer(0.01, lambda: broken(self))
def told(self, message):
    self.call_later(broken, self)
App = sap_tui.app.SapApp
places = {
    "at the start": lambda: setattr(App, "__init__", broken),
    "while mounting": lambda: setattr(App, "on_mount", broken),
    "while composing": lambda: setattr(CatalogueScreen, "compose", broken),
    "while drawing": lambda: setattr(CatalogueScreen, "show_rows", broken),
    "by a message": lambda: setattr(App, "on_snapshot_read", broken),
    "by a callback": lambda: setattr(App, "on_snapshot_read", told),
    "in a worker": lambda: setattr(CatalogueScreen, "on_screen_resume", in_a_worker),
    "in a thread": lambda: setattr(CatalogueScreen, "on_screen_resume", in_a_thread),
    "by a timer": lambda: setattr(CatalogueScreen, "on_screen_resume", by_a_timer),
}
places[sys.argv.pop()]()
sys.exit(sap_tui.cli.main(sys.argv[1:]))
"""
PLACES_OF_FAULTS = (
    "at the start", "while mounting", "while composing", "while drawing", "by a message", "by a callback",
    "in a worker", "in a thread", "by a timer",
)  # fmt: skip


def in_terminal(command: list[str], **environment: str) -> tuple[int, str]:
    """Exit code and output of a command whose terminal is a pty."""
    leader, follower = pty.openpty()
    streams = {"stdin": follower, "stdout": follower, "stderr": follower}
    with subprocess.Popen(command, **streams, env={**os.environ, **environment}) as process:
        os.close(follower)
        output = b""
        while True:
            try:
                chunk = os.read(leader, 65_536)
            except OSError:
                break
            if not chunk:
                break
            output += chunk
        process.wait(timeout=30)
    os.close(leader)
    return process.returncode, output.decode("utf-8", "replace")


@pytest.mark.parametrize("place", PLACES_OF_FAULTS)
def test_a_fault_of_ours_is_one_line_a_private_log_and_exit_code_1(catalogue: Path, place: str) -> None:
    code, output = in_terminal(
        [sys.executable, "-c", CRASHING, "--catalogue", str(catalogue), place],
        TERM="xterm-256color", MY_API_KEY="canary-in-environment",
    )  # fmt: skip
    assert code == 1, output
    assert "a fault of the program ended it (RuntimeError)" in output
    assert output.count("a fault of the program") == 1
    assert "canary-in-a-local-variable" not in output
    assert "Traceback" not in output
    (log,) = (state_folder(catalogue) / "logs").glob("app-crash-*.log")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    text = log.read_text()
    assert "broken on purpose" in text
    assert "canary-in-a-local-variable" not in text


@pytest.mark.parametrize("signalled", [True, False])
def test_it_ends_with_its_terminal_when_the_signal_is_ignored_or_sent_to_nobody(
    catalogue: Path, signalled: bool
) -> None:
    app = [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(catalogue)]
    ignoring = ["sh", "-c", 'trap "" HUP; exec "$0" "$@"', *app]
    terminal = Terminal(ignoring, catalogue.parent, controlling=signalled)
    terminal.shows("2 strategies")
    terminal.hang_up()
    assert terminal.process.wait(20) == -signal.SIGHUP


def test_an_interrupt_while_it_starts_is_no_fault(catalogue: Path) -> None:
    interrupted = CRASHING.replace('raise RuntimeError("broken on purpose")', "raise KeyboardInterrupt")
    code, output = in_terminal(
        [sys.executable, "-c", interrupted, "--catalogue", str(catalogue), "at the start"], TERM="xterm-256color"
    )
    assert code == 130
    assert "Traceback" not in output


def test_secrets_of_the_environment_are_not_in_a_crash_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "s3cret-value")
    line = crash_line(tmp_path / "c.db", ValueError("with s3cret-value inside\x1b[2J"))
    (log,) = (tmp_path / "c.db.d" / "logs").glob("*.log")
    assert "s3cret-value" not in log.read_text()
    assert "<CANARY_TOKEN>" in log.read_text()
    assert "\x1b" not in log.read_text() + line
    assert redacted("nothing") == "nothing"


async def test_the_themes_go_round(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        for theme in ("sap-light", "sap-ansi", "sap-dark"):
            await session.press("T")
            assert session.app.theme == theme


@pytest.mark.parametrize("theme", ["textual-dark", "nord", "sap-ansi", "sap-light", "no-such-theme"])
async def test_every_theme_can_be_set(theme: str, scored: Path) -> None:
    app = SapApp(scored, Settings(theme=theme))
    async with app.run_test() as pilot:
        await pilot.press("2", "n", "escape", "3")
        assert app.theme == (theme if theme in app.available_themes else "sap-dark")


async def test_it_can_open_on_the_ranking_of_a_run(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking", run=1) as session:
        await session.until(lambda: "Run 1 ·" in session.text() and len(session.table.source) == 2)


async def test_a_copied_row_is_in_a_file_too(scored: Path, opened: Opener) -> None:
    async with opened(scored) as session:
        await session.press("down", "y")
        file = state_folder(scored) / "last-copy.txt"
        assert file.read_text().startswith("chatty\t24\t")
        assert session.said == [f"Sent to the clipboard, and written to {file}"]


async def test_every_screen_is_reached_from_every_other(scored: Path, opened: Opener) -> None:
    async with opened(scored) as session:
        for key, name in (("2", "live"), ("3", "ranking"), ("1", "catalogue"), ("3", "ranking"), ("2", "live")):
            await session.press(key)
            assert session.app.current_mode == name
            assert session.app.focused is session.table


@pytest.mark.parametrize("mode", ["live", "ranking", "outcomes"])
async def test_what_can_be_done_may_be_asked_before_a_screen_is_composed(
    mode: str, scored: Path, opened: Opener
) -> None:
    async with opened(scored) as session:
        session.app.switch_mode(mode)
        assert not session.app.screen.query(RecordTable)
        assert session.app.screen.active_bindings


async def test_tabs_are_there_for_the_mouse(scored: Path, opened: Opener) -> None:
    async with opened(scored) as session:
        tabs = list(session.app.screen.query(".tab"))
        await session.pilot.click(tabs[1])
        await session.until(lambda: session.app.current_mode == "live")


def test_the_bridge_says_nothing_when_nothing_changed(catalogue: Path) -> None:
    read: list[Snapshot] = []
    bridge = Bridge(catalogue, lambda message: read.append(message.snapshot), seconds=0.01)
    bridge.start()
    try:
        wait_until(lambda: read)
        polls = bridge.polls
        wait_until(lambda: bridge.polls > polls + 20)
        assert len(read) == 1
        change(catalogue, "UPDATE strategies SET note = 'new', updated_at = updated_at + 1 WHERE name = 'plain'")
        wait_until(lambda: len(read) == 2)
        assert [one.note for one in read[-1].strategies if one.name == "plain"] == ["new"]
        bridge.watch(strategy=read[-1].strategies[0].id)
        wait_until(lambda: read[-1].sample is not None)
    finally:
        bridge.stop()


def test_a_newer_snapshot_replaces_one_that_waits() -> None:
    assert SnapshotRead(Snapshot()).can_replace(SnapshotRead(Snapshot()))


def test_the_equal_command_can_be_typed(tmp_path: Path) -> None:
    line = command_line(tmp_path / "my catalogue.db", ["score", *option("task", "a b"), *option("note", "-x")])
    assert line == f"sap-tui --catalogue '{tmp_path}/my catalogue.db' score --task 'a b' --note=-x"


def test_the_last_line_of_a_failed_command_is_the_problem() -> None:
    assert Answer(1, "", "warning\nsap-tui: It broke. Mend it.\n").problem == "It broke. Mend it."
    assert Answer(1, "", "").problem == "It ended with code 1."
    assert Answer(0, "", "talk").problem == ""
