"""The worker process: claims runs one after another and scores them with one loaded model.

Started by the runner as `python -m core.jobs.scorer CATALOGUE RUN LOG`, or in the calling process for `--foreground`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from core.domain import Run, RunRequest
from core.errors import SapError
from core.jobs.claim import Claim, LostClaimError, StopWorkError, claim_run, fail, release
from core.jobs.work import Worker
from core.models import is_stand_in
from core.scoring.protocol import Encoder, Engine, EngineSettings
from core.store.db import Writer
from core.store.runs import run_by_id, unfinished_runs

EXIT_BAD_RUN = 64


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
        """Work on a run and then on every queued one with the same engine key; returns the process's exit code."""
        key = run_by_id(self._writer.connection, number).request.engine_key
        following: int | None = number
        while following is not None and not self._stop:
            claim = claim_run(self._writer, following, self._log)
            code = 0 if claim is None else self.work(claim)
            if code:
                return code
            following = self._next(key)
        return 0

    def work(self, claim: Claim) -> int:
        """Work on a claimed run until it ends one way or another; returns an exit code of this module."""
        try:
            Worker(self._writer, claim, self._load, lambda: self._stop).work()
        except StopWorkError as wish:
            release(self._writer, claim, wish.want)
        except LostClaimError:
            return 0
        except SapError as error:
            fail(self._writer, claim, str(error))
            return EXIT_BAD_RUN
        except MemoryError as error:
            fail(self._writer, claim, f"{error} Free some memory and resume the run, or use --quantization nf4.")
            return EXIT_BAD_RUN
        return 0

    def _next(self, key: tuple[object, ...]) -> int | None:
        for run in unfinished_runs(self._writer.connection):
            if run.request.engine_key == key and run.state == "queued" and run.want == "run" and run.shown != "waiting":
                return run.id
        return None

    def _load(self, run: Run, on_phase: Callable[[str], None]) -> Engine:
        if self._engine is None:
            self._engine = load(run, on_phase)
        return self._engine


def load(run: Run, on_phase: Callable[[str], None]) -> Engine:
    """Load the run's target model. Raises RunError when it cannot be used, MemoryError when it does not fit."""
    if is_stand_in(run.request.path):
        from core.scoring.fake import FakeEngine

        return FakeEngine()
    from core.scoring.hf.load import load_engine

    return load_engine(engine_settings(run.request), on_phase)


def load_encoder(request: RunRequest) -> Encoder:
    """The tokenizer side of a target model, without its weights."""
    if is_stand_in(request.path):
        from core.scoring.fake import FakeEngine

        return FakeEngine()
    from core.scoring.hf import load

    prepare_environment()
    return load.load_encoder(engine_settings(request))


def engine_settings(request: RunRequest) -> EngineSettings:
    return EngineSettings(
        path=request.path, device=request.device, dtype=request.dtype, quantization=request.quantization,
        adapter=request.adapter, system=request.system, template_options=request.template_options,
        control_tokens=request.control_tokens,
    )  # fmt: skip


def prepare_environment() -> None:
    """Must come before torch is imported: its spinning threads would starve every other process on the machine."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    os.environ["HF_HUB_OFFLINE"] = "1"


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
    sys.exit(main(sys.argv[1:]))
