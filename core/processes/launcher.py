"""Starting the detached processes: a runner outlives the terminal, the SSH session and the app."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from core.lingering import SCOPE, Logout, logout
from core.private_files import open_private, own_folder
from core.settings import state_folder

START_DEADLINE_SECONDS = 20.0
NOTHING: Mapping[str, str] = MappingProxyType({})
OWN_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "PYTHONSAFEPATH": "1"}


def ensure_runner(catalogue: Path) -> None:
    """Start a runner for this catalogue unless one lives; returns when one holds the lock."""
    if runner_lives(catalogue):
        return
    log = logs_folder(catalogue) / "runner.log"
    # The user's manager may refuse a scope; without one the runner lives until the logout.
    for prefix in (SCOPE, ()) if logout() is Logout.SPARES_SCOPES else ((),):
        process = start_detached("core.jobs.runner", str(catalogue), log=log, prefix=prefix)
        if _is_up(catalogue, process):
            return


def _is_up(catalogue: Path, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while not (lives := runner_lives(catalogue)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return lives


def runner_lives(catalogue: Path) -> bool:
    """Whether a runner holds the catalogue's runner lock; the kernel drops the lock when its holder dies."""
    lock = RunnerLock(catalogue)
    lock.release()
    return not lock.held


class RunnerLock:
    """The lock that only one runner of a catalogue can hold; `held` says whether this one got it."""

    def __init__(self, catalogue: Path) -> None:
        path = logs_folder(catalogue).parent / "runner.lock"
        self._descriptor = open_private(path, os.O_RDWR)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.held = True
        except BlockingIOError:
            self.held = False

    def release(self) -> None:
        os.close(self._descriptor)


def logs_folder(catalogue: Path) -> Path:
    return own_folder(own_folder(state_folder(catalogue)) / "logs")


def start_detached(
    module: str, *arguments: str, log: Path, prefix: Sequence[str] = (), environment: Mapping[str, str] = NOTHING
) -> subprocess.Popen[bytes]:
    """Run a module of ours in a session of its own with its output in a file, so that no hang-up reaches it.

    `prefix` is a command that runs it, `environment` stands in for variables of this process.
    """
    descriptor = open_private(log, os.O_WRONLY | os.O_APPEND)
    try:
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            env={**os.environ, **environment, **OWN_ENVIRONMENT},
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
