"""`sap-tui` as a user's shell runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


class CommandLine:
    """Runs `sap-tui` in a process of its own on one catalogue."""

    def __init__(self, catalogue: Path) -> None:
        self.catalogue = catalogue

    def __call__(self, *arguments: str | Path, code: int = 0) -> str:
        result = self.run(*arguments)
        assert result.returncode == code, (arguments, result.stdout, result.stderr)
        return result.stdout

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(self.catalogue), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=240)
