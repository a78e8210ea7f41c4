"""A machine that is not there: its clocks, its restarts and its processes, for tests of the queue."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import clock
from core.domain import ContextKind, Identity, RunRequest, ScoreSpec, Target, digest
from core.jobs import claim
from core.processes import identity, scorers
from core.store.db import Writer, prepare
from core.store.importing import import_file
from core.store.runs import create_run
from tests.conftest import write_strategy

TOKENS = 10


class World:
    """Clocks as the kernel keeps them, and processes that only have an identity."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wall = 1.8e9
        self.since_boot = 1000.0
        self.awake = 1000.0
        self.passed = 0.0
        self.boots = 1
        self.living: dict[int, int] = {}
        self.me = Identity("", "", 0, 0)
        self._pids = itertools.count(2)
        self._starts = itertools.count(1)
        patch.setattr(time, "time", lambda: self.wall)
        patch.setattr(clock, "since_boot", lambda: self.since_boot)
        patch.setattr(clock, "awake", lambda: self.awake)
        patch.setattr(clock, "boot_id", lambda: f"boot {self.boots}")
        patch.setattr(identity, "boot_id", lambda: f"boot {self.boots}")
        patch.setattr(identity, "_start_time", self.living.get)
        patch.setattr(identity, "_pids_in_containers", lambda _: iter(()))
        patch.setattr(identity, "_known_dead", set())
        for module in (claim, scorers):
            patch.setattr(module, "own_identity", lambda: self.me)
        patch.setattr(scorers, "end_group_of", lambda _: [])

    def pass_time(self, seconds: float) -> None:
        self.passed += seconds
        self.wall += seconds
        self.since_boot += seconds
        self.awake += seconds

    def sleep(self, seconds: float) -> None:
        """The lid is closed for a while."""
        self.wall += seconds
        self.since_boot += seconds

    def set_wall_clock(self, by: float) -> None:
        self.wall += by

    def start(self) -> Identity:
        """A new process, which sooner or later gets the pid of a dead one."""
        pid = next(pid for pid in itertools.count(2 + next(self._pids) % 5) if pid not in self.living)
        self.living[pid] = next(self._starts)
        return Identity("here", clock.boot_id(), pid, self.living[pid])

    def is_alive(self, process: Identity) -> bool:
        return process.boot == clock.boot_id() and self.living.get(process.pid) == process.start

    def kill(self, process: Identity) -> None:
        if self.is_alive(process):
            del self.living[process.pid]

    def reboot(self) -> None:
        self.boots += 1
        self.since_boot = self.awake = 20.0
        self.wall += 40
        self.living.clear()

    @contextmanager
    def acting(self, process: Identity) -> Iterator[None]:
        """What happens inside is done by this process."""
        before, self.me = self.me, process
        try:
            yield
        finally:
            self.me = before


def empty_catalogue(folder: Path) -> Path:
    path = folder / "catalogue.db"
    prepare(path)
    with Writer(path) as writer:
        import_file(writer, write_strategy(folder / "one.jsonl", ["one"]), task="sums", strategy="one")
    return path


def quick_writer(path: Path) -> Writer:
    """No disk that is synced: what is tested here is not power loss."""
    writer = Writer(path)
    writer.connection.execute("PRAGMA synchronous=OFF")
    return writer


def add_run(writer: Writer, device: str = "cpu") -> int:
    request = RunRequest(model="m", path="/nowhere", metrics=("nll",), device=device)
    target, spec = Target("m", "/nowhere", "digest"), ScoreSpec("digest", "none", "float32")
    with writer.transaction() as connection:
        return create_run(
            connection, task=1, request=request, target=target, spec=spec, strategies=[1], questions=[1]
        )  # fmt: skip


def plan(writer: Writer, owned: claim.Claim, chunks: int, samples: int) -> None:
    """So many chunks with so many samples each."""
    kind, context = str(ContextKind.ALONE), digest(str(owned.run))
    with writer.transaction() as connection:
        claim.update_claimed(
            connection, owned, planned=1, total=chunks * samples, tokens_total=chunks * samples * TOKENS
        )
        connection.executemany(
            "INSERT INTO run_items (run, number, strategy, question, context_kind, context, response, chunk, tokens)"
            " VALUES (?, ?, 1, 1, ?, ?, ?, ?, ?)",
            [
                (owned.run, place, kind, context, digest(str(place)), place // samples, TOKENS)
                for place in range(chunks * samples)
            ],
        )
        connection.executemany(
            "INSERT INTO chunks (run, number, tokens) VALUES (?, ?, ?)",
            [(owned.run, number, samples * TOKENS) for number in range(chunks)],
        )
