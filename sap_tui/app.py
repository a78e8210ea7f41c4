"""The app: its three modes, what they share, and how it starts and ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.command import Provider
from textual.events import Event, InputEvent
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.reactive import reactive
from textual.screen import Screen

from core.domain import RunState
from core.errors import SapError
from core.settings import Settings, read_config
from core.store.db import prepare, read_only_reason
from core.text import visible
from sap_tui.bridge import Bridge, Snapshot, SnapshotRead
from sap_tui.clipboard import send
from sap_tui.crash import crash_line
from sap_tui.deletions import Deletion
from sap_tui.keymap import Keymap, read_keymap
from sap_tui.keys import bindings, shown_key
from sap_tui.leaving import Interrupts, end_with_terminal, say_what_goes_on
from sap_tui.pace import IDLE_SECONDS, Housekeeping
from sap_tui.palette import ValidActions
from sap_tui.preferences import apply_setting, next_theme, refresh_seconds
from sap_tui.rankings import Rankings
from sap_tui.screens.catalogue import CatalogueScreen
from sap_tui.text import OutputFilters
from sap_tui.themes import DARK, DEFAULTS, THEMES
from sap_tui.wishes import leave_wish, warn_of_logout

MOST_PROBLEMS_SHOWN = 3
ENDINGS = {RunState.DONE: "is done.", RunState.FAILED: "failed:", RunState.CANCELLED: "was cancelled."}


def _made(module: str, name: str) -> Screen[Any]:
    """A screen whose module is imported when it is first looked at: the app starts the sooner."""
    screen: Screen[Any] = getattr(import_module(f"sap_tui.screens.{module}"), name)()
    return screen


def open_app(catalogue: Path, screen: str = "catalogue", run: int | None = None) -> int:
    """Run the app on a catalogue, made if it is not there, and return its exit code.

    `screen` is catalogue, live or ranking, `run` the run to rank. Raises SapError when the catalogue cannot be opened.
    """
    try:
        return _run_app(catalogue, screen, run)
    except SapError:
        raise
    except Exception as error:
        print(crash_line(catalogue, error), file=sys.stderr)
        return 1


def _run_app(catalogue: Path, screen: str, run: int | None) -> int:
    config = read_config()
    keymap = read_keymap(config)
    prepare(catalogue)
    reason = read_only_reason(catalogue)
    problems = (*([str(reason)] if reason else []), *config.problems, *keymap.problems)
    app = SapApp(catalogue, config.settings, keymap=keymap, problems=problems, screen=screen, run=run)
    end_with_terminal()
    app.run()
    say_what_goes_on(app)
    return app.return_code or 0


class SapApp(App[None]):
    """Holds the last snapshot and hands it to the screen that is seen; knows no SQL and no layout."""

    CSS_PATH = "app.tcss"
    TITLE = "sap-tui"
    BINDINGS = bindings("app")
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {ValidActions}
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "catalogue": CatalogueScreen,
        "live": lambda: _made("live", "LiveScreen"),
        "ranking": lambda: _made("ranking", "RankingScreen"),
        "outcomes": lambda: _made("outcomes", "OutcomesScreen"),
    }
    DEFAULT_MODE = "catalogue"  # At once, instead of an empty screen that is left again.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (150, "-vast")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall"), (30, "-high")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True

    snapshot: reactive[Snapshot] = reactive(Snapshot, always_update=True, repaint=False)

    def __init__(
        self,
        catalogue: Path,
        settings: Settings,
        *,
        keymap: Keymap = Keymap(),  # noqa: B008
        problems: Sequence[str] = (),
        screen: str = "catalogue",
        run: int | None = None,
    ) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.settings = settings
        self.rankings = Rankings(catalogue)
        self.keymap = keymap
        self.set_keymap(keymap.of_textual)
        self.bridge = Bridge(catalogue, self.post_message, refresh_seconds(settings))
        self._first = (screen, run)
        self._problems = problems
        self.deletions: list[Deletion] = []
        self._interrupts = Interrupts()
        self.housekeeping = Housekeeping()
        self._filters_of_ours = OutputFilters()
        self.animation_level = "none"
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = settings.theme if settings.theme in self.available_themes else DARK.name

    def on_mount(self) -> None:
        screen, run = self._first
        if run is None:
            self.switch_mode(screen)
        else:
            self.show_ranking_of(run)
        self.bridge.start()
        self._say_problems()
        self.housekeeping.start()
        self.set_interval(IDLE_SECONDS, self.housekeeping.search_when_idle)

    def _say_problems(self) -> None:
        """What of config.toml was not taken over; all else of it was."""
        for problem in self._problems[:MOST_PROBLEMS_SHOWN]:
            self.say(problem, "warning")
        if (more := len(self._problems) - MOST_PROBLEMS_SHOWN) > 0:
            self.say(f"{more} more in the settings; see them with: sap-tui settings; sap-tui keys", "warning")

    def on_unmount(self) -> None:
        self.bridge.stop()
        self.housekeeping.end()

    async def on_event(self, event: Event) -> None:
        if isinstance(event, InputEvent):
            self.housekeeping.note_input()
        await super().on_event(event)

    def on_snapshot_read(self, message: SnapshotRead) -> None:
        self.rankings.columns = message.snapshot.columns
        before, self.snapshot = self.snapshot, message.snapshot
        ended = [run for run in self.snapshot.runs if run.state.ended and before.is_unfinished(run.id)]
        for run in ended:
            failed = run.state is RunState.FAILED
            self.say(f"Run {run.id} {ENDINGS[run.state]} {run.why}".strip(), "error" if failed else "information")
        if ended and self.settings.bell:
            self.bell()

    def say(self, text: str, severity: SeverityLevel = "information") -> None:
        """Show a line for a moment; whatever it holds, it is no markup."""
        self.notify(visible(text), severity=severity, markup=False)

    def copy(self, text: str) -> None:
        """Send a text to the clipboard of whoever sits at the terminal, and keep it in a file."""
        self.say(send(self, text))

    def wish(self, verb: str, run: int) -> None:
        """Have a run cancelled, paused or resumed."""
        self.run_worker(lambda: leave_wish(self, verb, run), thread=True, group="wish", exit_on_error=False)

    def show_ranking_of(self, run: int) -> None:
        self.switch_mode("ranking")
        self.call_after_refresh(self._choose, run)

    def _choose(self, run: int) -> None:
        from sap_tui.screens.ranking import RankingScreen

        if isinstance(self.screen, RankingScreen):
            self.screen.choose(run)

    def open_run_form(self, task: str, strategies: Sequence[str]) -> None:
        from sap_tui.screens.new_run import NewRunForm

        self.push_screen(NewRunForm(task, tuple(strategies)))

    def open_comparison(self, run: int, a: str, b: str, metric: str | None = None) -> None:
        from sap_tui.comparisons import Pair
        from sap_tui.screens.compare import CompareScreen

        self.push_screen(CompareScreen(Pair(run, a, b, metric)))

    def run_started(self, run: int) -> None:
        self.say(f"Run {run} is queued. It goes on even if you quit.")
        self.run_worker(lambda: warn_of_logout(self), thread=True, group="logout", exit_on_error=False)
        self.switch_mode("live")

    def action_show_catalogue(self) -> None:
        self.switch_mode("catalogue")

    def action_show_live(self) -> None:
        self.switch_mode("live")

    def action_show_ranking(self) -> None:
        self.switch_mode("ranking")

    def action_show_outcomes(self) -> None:
        self.switch_mode("outcomes")

    def action_next_theme(self) -> None:
        apply_setting(self, "theme", next_theme(self))

    def action_settings(self) -> None:
        from sap_tui.screens.settings import SettingsScreen

        self.push_screen(SettingsScreen())

    def action_help(self) -> None:
        from sap_tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    def action_help_quit(self) -> None:
        self._interrupts.note(self)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """None of Textual's own: the palette offers what keys.py declares."""
        return ()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return DEFAULTS

    def get_key_display(self, binding: Binding) -> str:
        return shown_key(binding.key)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return self._filters_of_ours.added_to(super().get_line_filters())

    def _handle_exception(self, error: Exception) -> None:
        """One line and a log instead of a traceback with everybody's local variables."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
            self.panic(Text(crash_line(self.catalogue, error)))
