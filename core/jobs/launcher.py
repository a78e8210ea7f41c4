"""Starting the detached processes: a runner outlives the terminal, the SSH session and the app."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from core.settings import state_folder

START_DEADLINE_SECONDS = 20.0
OWN_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "PYTHONSAFEPATH": "1"}


def ensure_runner(catalogue: Path) -> None:
    """Start a runner for this catalogue unless one lives; returns when one holds the lock."""
    if runner_lives(catalogue):
        return
    process = start_detached("core.jobs.runner", str(catalogue), log=logs_folder(catalogue) / "runner.log")
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while not runner_lives(catalogue) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def runner_lives(catalogue: Path) -> bool:
    """Whether a runner holds the catalogue's runner lock; the kernel drops the lock when its holder dies."""
    lock = RunnerLock(catalogue)
    lock.release()
    return not lock.held


class RunnerLock:
    """The lock that only one runner of a catalogue can hold; `held` says whether this one got it."""

    def __init__(self, catalogue: Path) -> None:
        path = logs_folder(catalogue).parent / "runner.lock"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.held = True
        except BlockingIOError:
            self.held = False

    def release(self) -> None:
        os.close(self._descriptor)


def logs_folder(catalogue: Path) -> Path:
    folder = state_folder(catalogue) / "logs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def start_detached(module: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Run a module of ours in a session of its own with its output in a file, so that no hang-up reaches it."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            env={**os.environ, **OWN_ENVIRONMENT},
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
