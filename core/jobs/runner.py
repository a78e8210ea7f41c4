"""The supervisor: one per catalogue, started on demand, without torch. It starts scorers and sees them die.

It keeps nothing in memory that matters: after a kill -9 the next runner reads everything from the catalogue.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from core.domain import Run, RunState
from core.jobs.claim import requeue_orphan
from core.jobs.identity import boot_id, is_alive, send_signal
from core.jobs.launcher import RunnerLock, logs_folder, start_detached
from core.jobs.on_done import has_untold, tell_ends
from core.jobs.scorers import living_scorers, shares_device, sweep
from core.settings import settings_or_defaults
from core.store.db import Writer
from core.store.runs import unfinished_runs

POLL_SECONDS = 0.5
IDLE_SECONDS = 10.0
CANCEL_GRACE_SECONDS = 20.0


class Runner:
    """Supervises the scorers of one catalogue."""

    def __init__(self, catalogue: Path, lock: RunnerLock) -> None:
        self._catalogue = catalogue
        self._lock = lock
        self._writer = Writer(catalogue)
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._exit_codes: dict[int, int] = {}
        self._devices: dict[int, str] = {}
        self._asked_to_end: dict[tuple[int, int], float] = {}
        self._idle_since = time.monotonic()
        self._auto_resume = settings_or_defaults().auto_resume

    def run(self) -> None:
        """Supervise until nothing is left to do for a while."""
        while not self._may_end():
            self.step()
            time.sleep(POLL_SECONDS)
        self._writer.close()

    def _may_end(self) -> bool:
        """Let the lock go under the write lock: a run queued before is seen, one queued after starts a runner."""
        if time.monotonic() - self._idle_since < IDLE_SECONDS:
            return False
        with self._writer.transaction() as connection:
            if has_untold(connection) or any(_needs_runner(run) for run in unfinished_runs(connection)):
                self._idle_since = time.monotonic()
                return False
            self._lock.release()
        return True

    def step(self) -> None:
        self._reap()
        sweep(self._writer)
        tell_ends(self._writer)
        unfinished = unfinished_runs(self._writer.connection)
        for run in unfinished:
            if run.state is RunState.RUNNING:
                self._supervise(run)
            elif run.want == "run":
                self._start(run)
        if self._children or any(_needs_runner(run) for run in unfinished):
            self._idle_since = time.monotonic()

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            code = child.poll()
            if code is not None:
                del self._children[pid]
                self._devices.pop(pid, None)
                self._exit_codes[pid] = code

    def _supervise(self, run: Run) -> None:
        if run.owner is None:
            return
        if not is_alive(run.owner):
            why = f"{_ending(self._exit_codes.get(run.owner.pid))}, its log: {run.log}"
            rebooted = run.owner.boot != boot_id()
            requeue_orphan(self._writer, run.id, run.owner, why, rebooted=rebooted, auto_resume=self._auto_resume)
        elif run.want == "cancel":
            self._end(run)

    def _end(self, run: Run) -> None:
        """Ask once, and after the grace period insist."""
        assert run.owner is not None
        asked = self._asked_to_end.get((run.id, run.fence))
        if asked is None:
            self._asked_to_end[run.id, run.fence] = time.monotonic()
            send_signal(run.owner, signal.SIGTERM)
        elif time.monotonic() - asked > CANCEL_GRACE_SECONDS:
            send_signal(run.owner, signal.SIGKILL, group=True)

    def _start(self, run: Run) -> None:
        if run.shown == "waiting" or self._is_busy(run.request.device):
            return
        log = logs_folder(self._catalogue) / f"run-{run.id}-attempt-{run.attempt + 1}.log"
        child = start_detached("core.scorer", str(self._catalogue), str(run.id), str(log), log=log)
        self._children[child.pid] = child
        self._devices[child.pid] = run.request.device

    def _is_busy(self, device: str) -> bool:
        """One scorer a device, also one that an earlier runner started; a run in the foreground counts through itself.

        A scorer that is idle makes room by itself when it sees a run that it cannot take.
        """
        connection = self._writer.connection
        running = (run.request.device for run in unfinished_runs(connection) if run.state is RunState.RUNNING)
        loaded = (scorer.device for scorer in living_scorers(connection))
        return any(shares_device(device, other) for other in (*self._devices.values(), *running, *loaded))


def _needs_runner(run: Run) -> bool:
    return run.state is RunState.RUNNING or run.want == "run"


def _ending(code: int | None) -> str:
    if code is None:
        return "the scorer is gone"
    if code < 0:
        return f"the scorer was ended by {signal.Signals(-code).name}"
    return f"the scorer ended with code {code}"


def main(arguments: list[str]) -> int:
    catalogue = Path(arguments[0])
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    lock = RunnerLock(catalogue)
    if lock.held:
        Runner(catalogue, lock).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
