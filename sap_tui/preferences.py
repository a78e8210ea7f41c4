"""What the user sets takes effect in the app at once, and is kept in config.toml from a thread of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.errors import SapError
from core.settings import SETTINGS, Settings, Value
from sap_tui.config_file import write_setting
from sap_tui.themes import THEMES

if TYPE_CHECKING:
    from sap_tui.app import SapApp

LEAST_SECONDS_OVER_SSH = 1.0


def refresh_seconds(settings: Settings) -> float:
    """How long the bridge waits between two looks; longer where every byte goes over a network."""
    return max(settings.refresh_seconds, LEAST_SECONDS_OVER_SSH if "SSH_CONNECTION" in os.environ else 0.0)


def apply_setting(app: SapApp, name: str, value: Value | None) -> None:
    """Use the value from now on, None for the default, and write it to the file."""
    now = SETTINGS[name].default if value is None else value
    changes: dict[str, Any] = {name: now}
    app.settings = replace(app.settings, **changes)
    if name == "theme":
        app.theme = str(now)
    app.bridge.seconds = refresh_seconds(app.settings)
    app.run_worker(lambda: _keep(app, name, value), thread=True, group="settings", exit_on_error=False)


def next_theme(app: SapApp) -> str:
    """The theme after the one in use, of the app's own."""
    names = [theme.name for theme in THEMES]
    return names[(names.index(app.theme) + 1) % len(names)] if app.theme in names else names[0]


def _keep(app: SapApp, name: str, value: Value | None) -> None:
    """Write what holds by now, for a later change may have been written already."""
    try:
        write_setting(name, value if value is None else getattr(app.settings, name))
    except SapError as error:
        app.call_from_thread(app.say, f"{name} holds until you quit, for it is not written. {error}", "error")
