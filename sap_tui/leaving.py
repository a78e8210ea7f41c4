"""Leaving the app: ctrl+c pressed twice, a terminal that is gone, and what goes on afterwards."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from sap_tui.words import counted

if TYPE_CHECKING:
    from sap_tui.app import SapApp

SECONDS_FOR_THE_SECOND = 3.0


class Interrupts:
    """ctrl+c, which many press without thinking: the first says how to quit, a second one soon after it quits."""

    def __init__(self) -> None:
        self._last: float | None = None

    def note(self, app: SapApp) -> None:
        now = time.monotonic()
        if self._last is not None and now - self._last <= SECONDS_FOR_THE_SECOND:
            app.exit()
        else:
            self._last = now
            app.say(f"Press {app.keymap.shown_first('quit')} to quit, or ctrl+c once more. Runs go on.")


def end_with_terminal() -> None:
    """From now on this process ends when its terminal, or the server that it is served by, is gone.

    The kernel's SIGHUP does not do: whoever started the app may have ignored it, in a session without a controlling
    terminal nobody gets it, and of a server that was killed there is only the end of its pipe. The app would live on.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if sys.__stdin__ is not None:
        threading.Thread(target=_wait_for_hang_up, args=(sys.__stdin__.fileno(),), name="hang-up", daemon=True).start()


def _wait_for_hang_up(source: int) -> None:
    hang_ups = select.poll()
    hang_ups.register(source, 0)
    if any(event & (select.POLLHUP | select.POLLERR) for _, event in hang_ups.poll()):
        os.kill(os.getpid(), signal.SIGHUP)


def say_what_goes_on(app: SapApp) -> None:
    """On the terminal that the app has left."""
    going_on = [one for one in app.snapshot.unfinished if one.want == "run"]
    if going_on and not app.return_code:
        runs = "goes" if len(going_on) == 1 else "go"
        print(f"{counted(len(going_on), 'run')} {runs} on in the background. Come back with: sap-tui")
