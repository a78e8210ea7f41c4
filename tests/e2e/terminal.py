"""The app in a real terminal: tmux draws it, presses its keys and says what stands there."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import wait_until

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="NOT TESTED: tmux is not installed")
SLOW_ENGINE = '{"delay_s": 0.25}'
QUICK_ENGINE = '{"delay_s": 0.02}'


class Terminal:
    """A tmux server of its own with one window."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = f"sap-tui-test-{uuid.uuid4().hex[:12]}"

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._name, "-f", "/dev/null", *arguments]
        # What a test runner says about the size of its own terminal must not reach this one.
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "TMUX")}
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, env=environment).stdout

    def open(
        self,
        catalogue: Path,
        size: tuple[int, int] = (120, 36),
        engine: str = SLOW_ENGINE,
        without: str = "",
        **more: str,
    ) -> None:
        """`more` is added to the environment, `without` names what is taken away from it."""
        app = shlex.join([sys.executable, "-m", "sap_tui.cli", "--catalogue", str(catalogue)])
        app = f"unset {without}; {app}" if without else app
        shell = f"{app}; echo ended with $?; exec sleep 60"
        self.start(shell, size, SAP_TUI_FAKE=engine, **more)

    def start(self, shell: str, size: tuple[int, int] = (120, 36), **environment: str) -> None:
        """Run a command of the shell in the window."""
        place = ("-x", str(size[0]), "-y", str(size[1]), "-s", "test", "-c", str(self._folder))
        settings = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        self._tmux("new-session", "-d", *place, *settings, "sh", "-c", shell)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-t", "test", "-x", str(width), "-y", str(height))

    def option(self, name: str, value: str) -> None:
        self._tmux("set-option", "-s", name, value)

    def buffer(self) -> str:
        """What was copied last."""
        return self._tmux("show-buffer")

    def keys(self, *keys: str) -> None:
        self._tmux("send-keys", "-t", "test", *keys)

    def text(self) -> str:
        return self._tmux("capture-pane", "-p", "-t", "test")

    def shows(self, *parts: str, seconds: float = 30.0) -> str:
        """Wait until all the parts stand on the screen, and return it."""

        def found() -> str:
            text = self.text()
            return text if all(part in text for part in parts) else ""

        try:
            return wait_until(found, seconds, f"{parts} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._name, "kill-server"], capture_output=True, timeout=30)
