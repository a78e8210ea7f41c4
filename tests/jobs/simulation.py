"""A day of the queue in seconds: the real runner and the real scoring of chunks, on a machine that goes wrong."""

from __future__ import annotations

import gc
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from core.domain import Identity, Run, RunState, SampleError, TokenScores
from core.jobs import runner as runner_module
from core.jobs.claim import (
    Claim,
    Death,
    LostClaimError,
    StopWorkError,
    beat,
    claim_run,
    finish,
    put_back,
    release,
    wait_for_memory,
)
from core.jobs.endings import EXIT_NO_ROOM, EXIT_TEMPORARY
from core.jobs.runner import Runner
from core.memory_room import Room
from core.processes.launcher import RunnerLock
from core.processes.scorers import register
from core.run_work.score_run import ChunkScorer, open_chunks
from core.scoring.protocol import ScoringGroup
from core.store.check import problems
from core.store.runs import run_by_id, unfinished_runs, wish_cancel, wish_pause, wish_resume
from tests.jobs.world import TOKENS, World, add_run, empty_catalogue, plan, quick_writer

DAY = 86_400.0
DEVICES = ("cpu", "cuda:0", "cuda:1")
MOST_UNFINISHED = 12
ACTIONS = 6
FAULTS = ("crash", "device", "hang", "no memory", "out of memory", "lost")


class DiedError(BaseException):
    """The process is gone with this code, or sits there for good (None)."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Engine:
    """Scores everything but what is cursed, unless something is the matter."""

    cursed: bytes
    trouble: str = ""
    token_budget: int = 1 << 20
    tier: str = "simulated"

    def limit_tokens(self, budget: int) -> None: ...

    def peak_memory_bytes(self) -> int:
        return 1

    memory_bytes = peak_memory_bytes

    def score(self, groups: list[ScoringGroup]) -> list[list[TokenScores | SampleError]]:
        if self.trouble == "hang":
            raise DiedError(None)
        if self.trouble or any(self.cursed == bytes(each) for group in groups for each in group.responses):
            raise DiedError({"device": EXIT_TEMPORARY}.get(self.trouble, -signal.SIGSEGV))
        return [[TokenScores(np.full(TOKENS, -1, np.float32)) for _ in group.responses] for group in groups]


class Ids:
    """Stands for the tokenizer: the digests are the tokens."""

    def context(self, item: dict[str, bytes]) -> tuple[int, ...]:
        return tuple(item["context"])

    def response(self, item: dict[str, bytes]) -> tuple[int, ...]:
        return tuple(item["response"])

    def text(self, item: dict[str, bytes]) -> None:
        """Nobody looks at where its tokens end."""


@dataclass
class Process:
    """A scorer as the runner sees it, and what it does next."""

    pid: int
    identity: Identity
    run: int
    code: int | None = None
    claim: Claim | None = None
    scorer: ChunkScorer | None = None
    hangs: bool = False
    terminated: bool = False
    engine: Engine = field(default_factory=lambda: Engine(b""))

    def poll(self) -> int | None:
        return self.code


class Simulation:
    """Steps of some seconds each; what goes wrong comes from the seed."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(patch)
        self.catalogue = empty_catalogue(folder)
        self.writer = quick_writer(self.catalogue)
        self.processes: list[Process] = []
        self.cursed: dict[int, bytes] = {}
        self.seen: Counter[str] = Counter()
        self.finished: dict[int, int] = {}
        self.fences: dict[int, int] = {}
        self.memory_is_short = False
        patch.setattr(runner_module, "start_detached", self._spawn)
        patch.setattr(runner_module, "send_signal", self._signal)
        patch.setattr(runner_module, "room_for", self._room)
        patch.setattr(runner_module, "kills_for_memory", lambda: 0)
        self.runner = self._new_runner()

    def _new_runner(self) -> Runner:
        lock = RunnerLock(self.catalogue)
        assert lock.held
        runner = Runner(self.catalogue, lock)
        runner._writer.connection.execute("PRAGMA synchronous=OFF")
        return runner

    def _spawn(self, _: str, __: str, run: str, ___: str, *, log: Path, environment: object) -> Process:
        identity = self.world.start()
        process = Process(identity.pid, identity, int(run))
        self.processes.append(process)
        return process

    def _signal(self, identity: Identity, number: int, *, group: bool = False) -> bool:
        process = next((each for each in self.processes if each.identity == identity and each.code is None), None)
        if process is None:
            return False
        if number == signal.SIGKILL:
            self._end(process, -number)
        else:
            process.terminated = True
        return True

    def _room(self, _: object) -> Room:
        return Room(need=10, free=5 if self.memory_is_short else 20, total=30)

    def _end(self, process: Process, code: int) -> None:
        process.code = code
        self.world.kill(process.identity)

    def step(self, share: float) -> None:
        """Some seconds of the day; new runs come in its first nine tenths."""
        self.world.pass_time(self.random.uniform(5, 120))
        if share < 0.9:
            self._users()
            self._machine()
        self.memory_is_short = share < 0.9 and self.random.random() < (0.9 if self.memory_is_short else 0.005)
        self.runner.step()
        for process in self.processes:
            for _ in range(ACTIONS):
                if process.code is None:
                    self._act(process)
        self.processes = [each for each in self.processes if each.code is None]

    def _act(self, process: Process) -> None:
        with self.world.acting(process.identity):
            try:
                self._work(process)
            except DiedError as died:
                process.hangs = died.code is None
                if died.code is not None:
                    self._end(process, died.code)
            except LostClaimError:
                self._end(process, 0)

    def _users(self) -> None:
        unfinished = unfinished_runs(self.writer.connection)
        if len(unfinished) < MOST_UNFINISHED:
            for _ in range(self.random.randint(0, 5)):
                run = add_run(self.writer, self.random.choice(DEVICES))
                self.seen["runs"] += 1
                if self.random.random() < 0.05:
                    self.cursed[run] = b"cursed"
        if unfinished and self.random.random() < 0.05:
            wish = self.random.choice((wish_cancel, wish_pause, wish_resume))
            with self.writer.transaction() as connection:
                wish(connection, self.random.choice(unfinished).id)
            self.seen[wish.__name__] += 1
        for run in unfinished:
            if run.want == "pause" and run.state is RunState.QUEUED and self.random.random() < 0.2:
                with self.writer.transaction() as connection:
                    wish_resume(connection, run.id)

    def _machine(self) -> None:
        chance = self.random.random()
        if chance < 0.01:
            self.world.set_wall_clock(self.random.choice((-DAY, DAY)))
            self.seen["clock jumps"] += 1
        elif chance < 0.015:
            self.world.sleep(self.random.uniform(60, 8 * 3600))
            self.seen["sleeps"] += 1
        elif chance < 0.02:
            self._reboot()
        elif chance < 0.03:
            # The runner alone is killed; the next one finds its scorers.
            self.runner.close()
            self.runner._lock.release()
            self.runner = self._new_runner()
            self.seen["runners killed"] += 1

    def _reboot(self) -> None:
        for process in self.processes:
            process.code = -signal.SIGKILL
        self.processes = []
        self.runner.close()
        self.runner._lock.release()
        self.world.reboot()
        self.runner = self._new_runner()
        self.seen["reboots"] += 1

    def _work(self, process: Process) -> None:
        """What a scorer does in a moment: claim, load, plan, score a chunk, finish."""
        if process.hangs:
            return
        if process.claim is None:
            self._claim(process)
        elif process.terminated:
            self._let_go(process)
        else:
            try:
                self._go_on(process, process.claim)
            except StopWorkError:
                self._let_go(process)

    def _claim(self, process: Process) -> None:
        run = run_by_id(self.writer.connection, process.run)
        if register(self.writer, run.request.device, "m", "key"):
            process.claim = claim_run(self.writer, process.run)
        if process.claim is None:
            self._end(process, 0)

    def _let_go(self, process: Process) -> None:
        assert process.claim is not None
        release(self.writer, process.claim)
        self._end(process, 0)

    def _go_on(self, process: Process, claim: Claim) -> None:
        fault = self.random.choice(FAULTS) if self.random.random() < 0.04 else ""
        self.seen[fault] += bool(fault)
        if process.scorer is None:
            beat(self.writer, claim, phase="loading")
            self._load(process, claim, fault)
            return
        process.engine.trouble = fault if fault in ("crash", "device", "hang") else ""
        stages = open_chunks(self.writer.connection, claim.run)
        if not stages:
            finish(self.writer, claim)
            self._end(process, 0)
            return
        beat(self.writer, claim, phase="scoring")
        process.scorer.score(stages[0][: self.random.randint(1, 3)])

    def _load(self, process: Process, claim: Claim, fault: str) -> None:
        if fault in ("no memory", "out of memory"):
            wait_for_memory(self.writer, claim, "waiting for memory", is_barren=fault == "out of memory")
            raise DiedError(EXIT_NO_ROOM)
        if fault == "device":
            put_back(self.writer, claim, Death("the device failed", "device"))
            raise DiedError(EXIT_TEMPORARY)
        if fault:
            raise DiedError(None if fault == "hang" else -signal.SIGKILL)
        if not self.writer.connection.execute("SELECT planned FROM runs WHERE id = ?", (claim.run,)).fetchone()[0]:
            plan(self.writer, claim, chunks=self.random.randint(1, 4), samples=self.random.randint(1, 3))
            if claim.run in self.cursed:
                self._curse(claim.run)
        process.engine = Engine(self.cursed.get(claim.run, b"\0"))
        process.scorer = ChunkScorer(self.writer, claim, process.engine, Ids(), lambda: process.terminated)  # type: ignore[arg-type]

    def _curse(self, run: int) -> None:
        rows = self.writer.connection.execute("SELECT response FROM run_items WHERE run = ?", (run,)).fetchall()
        self.cursed[run] = self.random.choice(rows)[0]

    def check(self) -> None:
        """Nothing that was finished is lost, nothing goes back, and every device has one scorer."""
        devices: Counter[str] = Counter()
        for run in unfinished_runs(self.writer.connection):
            self._check_run(run)
            if run.state is RunState.RUNNING and run.owner and self.world.is_alive(run.owner):
                devices[run.request.device] += 1
        assert all(count == 1 for count in devices.values()), devices

    def _check_run(self, run: Run) -> None:
        assert run.done >= self.finished.get(run.id, 0)
        assert run.fence >= self.fences.get(run.id, 0)
        assert run.errors <= run.done <= run.total
        self.finished[run.id], self.fences[run.id] = run.done, run.fence

    def check_all(self) -> None:
        assert problems(self.writer.connection) == []

    def settle(self, steps: int = 2000) -> None:
        """Until nothing is left to do, with nobody around and nothing more going wrong."""
        for _ in range(steps):
            unfinished = unfinished_runs(self.writer.connection)
            if not unfinished:
                return
            for run in unfinished:
                if run.want == "pause":
                    with self.writer.transaction() as connection:
                        wish_resume(connection, run.id)
            self.step(1.0)
        raise AssertionError(f"{len(unfinished)} runs did not end")

    def outcomes(self) -> Counter[str]:
        return Counter(
            dict(self.writer.connection.execute("SELECT state, count(*) FROM runs GROUP BY state").fetchall())
        )

    def errors(self) -> Counter[str]:
        """Codes of the samples without a score."""
        rows = self.writer.connection.execute("SELECT code, count(*) FROM run_items WHERE state = 'error' GROUP BY 1")
        return Counter(dict(rows.fetchall()))

    def failures(self) -> list[str]:
        return [row[0] for row in self.writer.connection.execute("SELECT why FROM runs WHERE state = 'failed'")]


def simulate(folder: Path, patch: pytest.MonkeyPatch, seed: int, steps: int) -> Simulation:
    """So many steps of some seconds to two minutes, everything checked now and then."""
    simulation = Simulation(folder, patch, seed)
    gc.collect()
    descriptors = len(os.listdir("/proc/self/fd"))
    for step in range(steps):
        simulation.step(step / steps)
        simulation.check()
        if step % (steps // 10) == 0:
            simulation.check_all()
    simulation.settle()
    simulation.check_all()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    return simulation
