"""The supervisor: one per catalogue, started on demand, without torch. It starts scorers and sees them die.

It keeps nothing in memory that matters: after a kill -9 the next runner reads everything from the catalogue.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core import clock
from core.domain import Run, RunState
from core.errors import SapError
from core.gpu import driver_answers, environment_for
from core.host_memory import kills_for_memory
from core.jobs.claim import LOOK_AGAIN_SECONDS, requeue_orphan
from core.jobs.endings import death
from core.jobs.silence import Silence
from core.memory_room import room_for
from core.processes.identity import is_alive, send_signal
from core.processes.launcher import RunnerLock, logs_folder, start_detached
from core.processes.on_done import has_untold, tell_ends
from core.processes.scorers import Place, living_scorers, place_of, shares_device, sweep
from core.settings import settings_or_defaults
from core.store.damage import explained
from core.store.db import Writer
from core.store.runs import add_event, delay_start, unfinished_runs
from core.store.space import is_disk_full
from core.store.upkeep import daily_backups
from core.text import guard_logs, visible

POLL_SECONDS = 0.5
FULL_DISK_POLL_SECONDS = 5.0
IDLE_SECONDS = 10.0
# With a poll and the kill itself it is over within 20 seconds.
CANCEL_GRACE_SECONDS = 15.0


class Runner:
    """Supervises the scorers of one catalogue."""

    def __init__(self, catalogue: Path, lock: RunnerLock) -> None:
        self._catalogue = catalogue
        self._lock = lock
        self._writer = Writer(catalogue)
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._exit_codes: dict[int, int] = {}
        self._places: dict[int, Place] = {}
        self._started: dict[int, tuple[int, int]] = {}
        self._asked_to_end: dict[tuple[int, int], float] = {}
        self._idle_since = clock.awake()
        settings = settings_or_defaults()
        self._auto_resume = settings.auto_resume
        self._silence = Silence(60 * settings.hang_minutes)
        self._kills_for_memory = kills_for_memory()

    def run(self) -> None:
        """Supervise until nothing is left to do for a while."""
        told = ""
        while not self._may_end():
            seconds = POLL_SECONDS
            try:
                self.step()
            except (OSError, sqlite3.Error) as error:
                if not (is_disk_full(error) or (isinstance(error, OSError) and self._catalogue.exists())):
                    raise
                # What it wanted to do it wants to do at the next look too.
                seconds = FULL_DISK_POLL_SECONDS
                if str(error) != told:
                    told = str(error)
                    _say(error)
            time.sleep(seconds)
        self.close()

    def close(self) -> None:
        self._writer.close()

    def _may_end(self) -> bool:
        """Let the lock go under the write lock: a run queued before is seen, one queued after starts a runner."""
        if clock.awake() - self._idle_since < IDLE_SECONDS:
            return False
        with self._writer.transaction() as connection:
            if has_untold(connection) or any(_needs_runner(run) for run in unfinished_runs(connection)):
                self._idle_since = clock.awake()
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
                self._start(run, unfinished)
        if self._children or any(_needs_runner(run) for run in unfinished):
            self._idle_since = clock.awake()

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            code = child.poll()
            if code is not None:
                del self._children[pid]
                self._places.pop(pid, None)
                self._exit_codes[pid] = code
                self._delay_if_never_begun(pid, code)

    def _delay_if_never_begun(self, pid: int, code: int) -> None:
        """A scorer that ends before it has claimed its run is not started again and again."""
        number, attempt = self._started.pop(pid)
        run = next((run for run in unfinished_runs(self._writer.connection) if run.id == number), None)
        if code and run and run.state is RunState.QUEUED and run.attempt == attempt:
            why = death(code, run.log or str(logs_folder(self._catalogue)), for_memory=False).why
            self._delay(run, f"waiting: {why}")

    def _supervise(self, run: Run) -> None:
        if run.owner is None:
            return
        if not is_alive(run.owner):
            self._bury(run)
        elif run.want == "cancel" or (run.id, run.fence) in self._asked_to_end:
            self._end(run)
        elif self._silence.is_too_long(self._writer.connection, run):
            minutes = self._silence.seconds(run) / 60
            with self._writer.transaction() as connection:
                text = f"no sign of life for {minutes:.0f} minutes: the scorer is ended and started again"
                add_event(connection, run.id, "warning", text)
            self._end(run)

    def _bury(self, run: Run) -> None:
        assert run.owner is not None
        # It may have died since this look began, and its exit code says what it died of.
        self._reap()
        pid, kills = run.owner.pid, kills_for_memory()
        why = death(
            self._exit_codes.get(pid),
            run.log,
            for_memory=kills > self._kills_for_memory,
            cancelled_for=CANCEL_GRACE_SECONDS if self._is_insisted_on(run) else None,
        )
        rebooted = run.owner.boot != clock.boot_id()
        requeue_orphan(self._writer, run.id, run.owner, why, rebooted=rebooted, auto_resume=self._auto_resume)
        # Only now: on a full disk it is tried again.
        self._kills_for_memory = kills
        self._exit_codes.pop(pid, None)

    def _end(self, run: Run) -> None:
        """Ask once, and after the grace period insist."""
        assert run.owner is not None
        asked = self._asked_to_end.get((run.id, run.fence))
        if asked is None:
            self._asked_to_end[run.id, run.fence] = clock.awake()
            send_signal(run.owner, signal.SIGTERM)
        elif clock.awake() - asked > CANCEL_GRACE_SECONDS:
            send_signal(run.owner, signal.SIGKILL, group=True)

    def _is_insisted_on(self, run: Run) -> bool:
        asked = self._asked_to_end.get((run.id, run.fence))
        return run.want == "cancel" and asked is not None and clock.awake() - asked > CANCEL_GRACE_SECONDS

    def _start(self, run: Run, unfinished: Sequence[Run]) -> None:
        if run.shown == "waiting" or self._is_busy(place_of(run.request), unfinished):
            return
        room = room_for(run.request)
        if room and room.is_short and not room.can_never_fit:
            return self._delay(run, str(room))
        if run.request.device != "cpu" and not driver_answers():
            return self._delay(run, "waiting: the NVIDIA driver does not answer")
        log = logs_folder(self._catalogue) / f"run-{run.id}-attempt-{run.attempt + 1}.log"
        given = environment_for(run.request.gpus) if run.request.held_gpus else {}
        try:
            child = start_detached(
                "core.scorer", str(self._catalogue), str(run.id), str(log), log=log, environment=given
            )
        except OSError as error:
            reason = f"{error.strerror or error}{f', {error.filename}' if error.filename else ''}"
            return self._delay(run, f"waiting: the scorer cannot be started ({reason})")
        self._children[child.pid] = child
        self._places[child.pid] = place_of(run.request)
        self._started[child.pid] = (run.id, run.attempt)

    def _delay(self, run: Run, why: str) -> None:
        with self._writer.transaction() as connection:
            delay_start(connection, run.id, LOOK_AGAIN_SECONDS, why)

    def _is_busy(self, place: Place, unfinished: Sequence[Run]) -> bool:
        """One scorer a device, also one that an earlier runner started; a run in the foreground counts through itself.

        A scorer that is idle makes room by itself when it sees a run that it cannot take.
        """
        running = (place_of(run.request) for run in unfinished if run.state is RunState.RUNNING)
        loaded = (scorer.place for scorer in living_scorers(self._writer.connection))
        return any(shares_device(place, other) for other in (*self._places.values(), *running, *loaded))


def _needs_runner(run: Run) -> bool:
    return run.state is RunState.RUNNING or run.want == "run"


def _say(error: Exception) -> None:
    """The log may lie on a full disk itself."""
    with suppress(OSError):
        print(visible(str(error)), file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    catalogue = Path(arguments[0])
    os.umask(0o077)
    guard_logs()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    lock = RunnerLock(catalogue)
    if not lock.held:
        return 0
    try:
        with daily_backups(catalogue):
            Runner(catalogue, lock).run()
    except (SapError, sqlite3.Error) as error:
        print(visible(str(explained(error, catalogue) or error)), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
