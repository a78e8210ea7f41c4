"""The worker process: claims runs one after another and scores them with one loaded model, then waits for more.

Started by the runner as `python -m core.scorer CATALOGUE RUN LOG`, or in the calling process for `--foreground`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

from core.domain import Run, RunState
from core.errors import SapError
from core.jobs.claim import Claim, LostClaimError, StopWorkError, claim_run, fail, release
from core.jobs.on_done import tell_ends
from core.jobs.scorers import may_stay, register, shares_device, sharing_key, turn_busy, turn_idle
from core.run_work.loading import load, prepare_environment
from core.run_work.work import Worker
from core.scoring.protocol import Engine
from core.settings import settings_or_defaults
from core.store.db import Writer
from core.store.runs import run_by_id, unfinished_runs

EXIT_BAD_RUN = 64
POLL_SECONDS = 0.5


class Ending(Enum):
    """How the work on a run ended; only after DONE may the model stay loaded."""

    DONE = auto()
    LET_GO = auto()
    FAILED = auto()


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
        key, device = sharing_key(first.spec, first.request), first.request.device
        if not register(self._writer, device, first.model, key):
            return 0
        following: int | None = number
        ending = Ending.LET_GO
        while following is not None and not self._stop:
            claim = claim_run(self._writer, following, self._log)
            if claim is not None:
                ending = self.work(claim)
            if ending is Ending.FAILED:
                return EXIT_BAD_RUN
            following = self._next(key)
            if following is None and ending is Ending.DONE:
                following = self._wait(key, device)
        return 0

    def work(self, claim: Claim) -> Ending:
        """Work on a claimed run until it ends one way or another."""
        ending = self._work(claim)
        tell_ends(self._writer)
        return ending

    def _work(self, claim: Claim) -> Ending:
        try:
            is_warm = self._engine is not None
            Worker(self._writer, claim, self._load, lambda: self._stop, is_warm=is_warm).work()
        except StopWorkError as wish:
            release(self._writer, claim, wish.want)
            return Ending.LET_GO
        except LostClaimError:
            return Ending.LET_GO
        except SapError as error:
            fail(self._writer, claim, str(error))
            return Ending.FAILED
        except MemoryError as error:
            fail(self._writer, claim, f"{error} Free some memory and resume the run, or use --quantization nf4.")
            return Ending.FAILED
        return Ending.DONE

    def _next(self, key: str) -> int | None:
        for run in unfinished_runs(self._writer.connection):
            if _is_due(run) and sharing_key(run.spec, run.request) == key:
                return run.id
        return None

    def _wait(self, key: str, device: str) -> int | None:
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
            if self._is_in_the_way(key, device) or not may_stay(self._writer.connection):
                return None
            time.sleep(POLL_SECONDS)
        return None

    def _is_in_the_way(self, key: str, device: str) -> bool:
        """Whether a run that cannot use the loaded model waits for its device, or works on it in the foreground."""
        return any(
            shares_device(device, run.request.device)
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
