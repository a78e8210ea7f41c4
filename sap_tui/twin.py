"""The command-line twin: what the app has done for it by `sap-tui VERB ...` in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.settings import catalogue_path


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def problem(self) -> str:
        """The last line for people, which says what went wrong; empty when nothing did."""
        if self.code == 0:
            return ""
        lines = self.stderr.strip().splitlines() or [f"It ended with code {self.code}."]
        return lines[-1].removeprefix("sap-tui: ")


async def ask(catalogue: Path, *arguments: str) -> Answer:
    """Run the command to its end; when the waiting is cancelled, the command is ended too."""
    return await ask_module("sap_tui.cli", "--catalogue", str(catalogue), *arguments)


async def ask_module(module: str, *arguments: str) -> Answer:
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        # A character or a length that no command line can have, or a machine that has no room for a process.
        return Answer(1, "", f"That cannot be asked: {error}")
    try:
        stdout, stderr = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await _reaped(process)
        raise
    return Answer(process.returncode or 0, stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace"))


async def _reaped(process: asyncio.subprocess.Process) -> None:
    """Wait for the end of a killed process, however often that is cancelled: its pipes must not outlive the loop."""
    while True:
        try:
            await process.communicate()
        except asyncio.CancelledError:
            continue
        return


def option(name: str, value: str) -> list[str]:
    """An option with a value that may begin with a dash."""
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]


def command_line(catalogue: Path, arguments: Sequence[str]) -> str:
    """The command as somebody would type it."""
    own = ["--catalogue", str(catalogue)] if catalogue != catalogue_path() else []
    return shlex.join(["sap-tui", *own, *arguments])
