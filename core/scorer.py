"""The worker process: claims runs one after another and scores them with one loaded model, then waits for more.

Started by the runner as `python -m core.scorer CATALOGUE RUN LOG`, or in the calling process for `--foreground`.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

from core.domain import Run, RunState
from core.errors import SapError
from core.jobs.blame import DEVICE
from core.jobs.claim import (
    Claim,
    Death,
    LostClaimError,
    StopWorkError,
    claim_run,
    fail,
    put_back,
    release,
    wait_for_memory,
)
from core.jobs.endings import EXIT_BAD_RUN, EXIT_NO_ROOM, EXIT_TEMPORARY, device_error, is_out_of_memory
from core.memory_room import HINT, NoRoomError
from core.processes.on_done import tell_ends
from core.processes.scorers import Place, may_stay, place_of, register, shares_device, sharing_key, turn_busy, turn_idle
from core.run_work.disk_wait import DiskWait
from core.run_work.loading import load, prepare_environment
from core.run_work.work import Worker
from core.scoring.protocol import Engine
from core.settings import settings_or_defaults
from core.store.db import Writer
from core.store.runs import run_by_id, unfinished_runs
from core.store.space import give_reserve, is_disk_full
from core.text import guard_logs

POLL_SECONDS = 0.5


class Ending(Enum):
    """How the work on a run ended; only after DONE may the model stay loaded."""

    DONE = auto()
    LET_GO = auto()
    FAILED = auto()
    DEVICE_LOST = auto()
    NO_ROOM = auto()


EXIT_CODES = {Ending.FAILED: EXIT_BAD_RUN, Ending.DEVICE_LOST: EXIT_TEMPORARY, Ending.NO_ROOM: EXIT_NO_ROOM}


class Scorer:
    """Holds one engine and works on the runs that can share it."""

    def __init__(self, catalogue: Path, log: Path | None = None) -> None:
        self._writer = Writer(catalogue)
        self._log = log
        self._engine: Engine | None = None
        self._stop = False

    def stop(self, *_: object) -> None:
        """End after the chunk at hand; the run goes back into the queue."""
        self._stop = True

    def close(self) -> None:
        self._writer.close()

    def run(self, number: int) -> int:
        """Work on a run and then on every queued one that can use the same model, which stays loaded for a while.

        Returns the process's exit code; does nothing when another scorer holds the device.
        """
        first = run_by_id(self._writer.connection, number)
        key, place = sharing_key(first.spec, first.request), place_of(first.request)
        if not register(self._writer, first.request.device, first.model, key):
            return 0
        following: int | None = number
        ending = Ending.LET_GO
        while following is not None and not self._stop:
            claim = claim_run(self._writer, following, self._log)
            if claim is not None:
                ending = self.work(claim)
            if ending in EXIT_CODES:
                return EXIT_CODES[ending]
            following = self._next(key)
            if following is None and ending is Ending.DONE:
                following = self._wait(key, place)
        return 0

    def work(self, claim: Claim) -> Ending:
        """Work on a claimed run until it ends one way or another."""
        ending = self._work(claim)
        try:
            tell_ends(self._writer)
        except sqlite3.Error as error:
            # A runner tells it when there is space again.
            if not is_disk_full(error):
                raise
        return ending

    def _work(self, claim: Claim) -> Ending:
        disk = DiskWait(self._writer, claim, lambda: self._stop)
        try:
            disk.patiently(lambda: self._worker(claim, disk).work())
        except (StopWorkError, LostClaimError) as stopped:
            return self._let_go(claim, stopped)
        except Exception as error:
            ending, write = self._misfortune(claim, error)
        else:
            return Ending.DONE
        try:
            disk.patiently(write)
        except (StopWorkError, LostClaimError) as stopped:
            return self._let_go(claim, stopped)
        return ending

    def _worker(self, claim: Claim, disk: DiskWait) -> Worker:
        is_warm = self._engine is not None
        return Worker(self._writer, claim, self._load, lambda: self._stop, is_warm=is_warm, patiently=disk.patiently)

    def _misfortune(self, claim: Claim, error: Exception) -> tuple[Ending, Callable[[], None]]:
        """What became of the run, and what remains to be written about it. Raises what nobody expects."""
        if isinstance(error, NoRoomError):
            return Ending.NO_ROOM, lambda: wait_for_memory(self._writer, claim, str(error), is_barren=False)
        if is_out_of_memory(error):
            why = f"waiting for memory: {(str(error) or 'there is too little').splitlines()[0]} {HINT}"
            return Ending.NO_ROOM, lambda: wait_for_memory(self._writer, claim, why, is_barren=True)
        if lost := device_error(error):
            # Every later call of this process would fail too.
            death = Death(f"the device failed: {lost}", DEVICE)
            return Ending.DEVICE_LOST, lambda: put_back(self._writer, claim, death)
        if isinstance(error, SapError):
            return Ending.FAILED, lambda: fail(self._writer, claim, str(error))
        raise error

    def _let_go(self, claim: Claim, stopped: Exception) -> Ending:
        if isinstance(stopped, LostClaimError):
            return Ending.LET_GO
        for _ in range(2):
            try:
                release(self._writer, claim)
            except LostClaimError:
                break
            except sqlite3.Error as error:
                # Without space even for that the run is found with a dead owner, when there is some.
                if not is_disk_full(error):
                    raise
                give_reserve(self._writer.path)
            else:
                break
        return Ending.LET_GO

    def _next(self, key: str) -> int | None:
        for run in unfinished_runs(self._writer.connection):
            if _is_due(run) and sharing_key(run.spec, run.request) == key:
                return run.id
        return None

    def _wait(self, key: str, place: Place) -> int | None:
        """Keep the model until a run can use it; None when its time is up or somebody else has a use for its room."""
        seconds = 60 * settings_or_defaults().keep_warm_minutes
        if seconds <= 0 or self._engine is None:
            return None
        self._engine.rest()
        turn_idle(self._writer, seconds)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._stop and self._writer.path.exists():
            following = self._next(key)
            if following is not None:
                return following if turn_busy(self._writer) else None
            if self._is_in_the_way(key, place) or not may_stay(self._writer.connection):
                return None
            time.sleep(POLL_SECONDS)
        return None

    def _is_in_the_way(self, key: str, place: Place) -> bool:
        """Whether a run that cannot use the loaded model waits for its device, or works on it in the foreground."""
        return any(
            shares_device(place, place_of(run.request))
            and (run.state is RunState.RUNNING or (_is_due(run) and sharing_key(run.spec, run.request) != key))
            for run in unfinished_runs(self._writer.connection)
        )

    def _load(self, run: Run, on_phase: Callable[[str], None]) -> Engine:
        if self._engine is None:
            self._engine = load(run, on_phase)
        return self._engine


def _is_due(run: Run) -> bool:
    return run.state is RunState.QUEUED and run.want == "run" and run.shown != "waiting"


def main(arguments: list[str]) -> int:
    catalogue, number, log = Path(arguments[0]), int(arguments[1]), Path(arguments[2])
    os.umask(0o077)
    guard_logs()
    os.nice(5)
    prepare_environment()
    scorer = Scorer(catalogue, log)
    signal.signal(signal.SIGTERM, scorer.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return scorer.run(number)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Python would tear torch down piece by piece, which takes seconds while the memory stays taken; all is committed.
    os._exit(code)
