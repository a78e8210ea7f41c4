"""Wishes that come at a bad moment: while claiming, at the last chunk, twice, while loading or in a long answer."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core import clock
from core.domain import RunState
from core.errors import UsageError
from core.jobs import runner
from core.jobs.claim import StopWorkError, claim_run, release
from core.processes.identity import is_alive
from core.run_work import disk_wait
from core.run_work.disk_wait import DiskWait
from core.run_work.work import Worker
from core.scoring.fake import FakeEngine, Faults
from core.store.db import Writer
from core.store.deletion import delete_strategy, sweep_deleted
from core.store.runs import delay_start, wish_cancel, wish_pause, wish_resume
from tests.jobs.helpers import all_scores, assert_sound, queue_run, run_now, supervise


class CountingEngine(FakeEngine):
    """Calls back before each chunk."""

    def __init__(self, before: Callable[[int], None]) -> None:
        super().__init__(Faults(token_budget=300))
        self.before = before
        self.chunks = 0

    def score(self, groups):  # type: ignore[no-untyped-def]
        self.chunks += 1
        self.before(self.chunks)
        return super().score(groups)


def work(catalogue: Path, run: int, engine: FakeEngine, **options: object) -> None:
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
        assert claim is not None
        try:
            Worker(writer, claim, lambda *_: engine, lambda: False, **options).work()  # type: ignore[arg-type]
        except StopWorkError:
            release(writer, claim)


def leave(catalogue: Path, wish: Callable[[sqlite3.Connection, int], None], run: int) -> None:
    with Writer(catalogue) as writer, writer.transaction() as connection:
        wish(connection, run)


def test_a_pause_at_the_last_chunk(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    whole = CountingEngine(lambda _: None)
    copy = queue_run(catalogue, stand_in_model, system="another")
    work(catalogue, copy, whole)

    def pause(chunk: int) -> None:
        if chunk == whole.chunks:
            leave(catalogue, wish_pause, run)

    work(catalogue, run, CountingEngine(pause))
    paused = run_now(catalogue, run)
    assert (paused.shown, paused.done) == ("paused", paused.total)
    leave(catalogue, wish_resume, run)
    idle = CountingEngine(lambda _: None)
    work(catalogue, run, idle)
    assert idle.chunks == 0
    assert run_now(catalogue, run).state is RunState.DONE
    assert_sound(catalogue)


def test_a_cancel_that_the_process_hears_of_by_signal_first(catalogue: Path, stand_in_model: Path) -> None:
    """The runner sends SIGTERM when it sees the wish: the run is cancelled then, not queued again."""
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
        assert claim is not None
        leave(catalogue, wish_cancel, run)
        with pytest.raises(StopWorkError):
            Worker(writer, claim, lambda *_: FakeEngine(), lambda: True).work()
        release(writer, claim)
    assert run_now(catalogue, run).state is RunState.CANCELLED
    assert_sound(catalogue)


def test_cancelled_twice_and_while_it_is_claimed(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
        assert claim is not None
        leave(catalogue, wish_cancel, run)
        leave(catalogue, wish_cancel, run)
        assert run_now(catalogue, run).shown == "cancelling"
        release(writer, claim)
    with pytest.raises(UsageError, match="ended already"):
        leave(catalogue, wish_cancel, run)
    assert_sound(catalogue)


def test_a_strategy_in_use_is_deleted(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)

    def delete(chunk: int) -> None:
        if chunk == 2:
            with Writer(catalogue) as writer:
                delete_strategy(writer, "sums", "plain")
                sweep_deleted(writer, before=float("inf"))

    work(catalogue, run, CountingEngine(delete))
    ended = run_now(catalogue, run)
    assert (ended.state, ended.done, ended.errors) == (RunState.DONE, 48, 0)
    assert_sound(catalogue)


@pytest.mark.parametrize(
    ("faults", "metrics", "phase"),
    [({"load_s": 60}, ("nll",), "loading"), ({"answer_s": 60}, ("sap",), "predicting")],
)
def test_a_process_that_does_not_hear_is_ended_after_the_grace_period(
    faults: dict[str, float], metrics: tuple[str, ...], phase: str, catalogue: Path, stand_in_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert runner.CANCEL_GRACE_SECONDS + 2 * runner.POLL_SECONDS < 20
    monkeypatch.setattr(runner, "CANCEL_GRACE_SECONDS", 0.5)
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps(faults))
    run = queue_run(catalogue, stand_in_model, metrics=metrics)
    supervise(catalogue, lambda: run_now(catalogue, run).phase == phase, monkeypatch)
    owner = run_now(catalogue, run).owner
    assert owner is not None
    leave(catalogue, wish_cancel, run)
    supervise(catalogue, lambda: run_now(catalogue, run).state.ended, monkeypatch, 15)
    assert run_now(catalogue, run).state is RunState.CANCELLED
    assert run_now(catalogue, run).why == "cancelled; the scorer did not stop within 0.5 s and was ended"
    assert not is_alive(owner)
    assert_sound(catalogue)


def test_finished_chunks_stay_in_memory_while_the_disk_is_full(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one is computed again."""
    usual, engine = queue_run(catalogue, stand_in_model), CountingEngine(lambda _: None)
    work(catalogue, usual, engine)
    expected, chunks = all_scores(catalogue, usual), engine.chunks
    monkeypatch.setattr(disk_wait, "DELAYS", (0.0,))
    monkeypatch.setattr(disk_wait, "LOOK_SECONDS", 0.001)
    run = queue_run(catalogue, stand_in_model, system="another")
    engine = CountingEngine(lambda _: None)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
        assert claim is not None
        disk = DiskWait(writer, claim, lambda: False)
        failures = []

        def patiently(write: Callable[[], None]) -> None:
            def on_a_full_disk() -> None:
                if len(failures) % 3 != 2:
                    failures.append(None)
                    error = sqlite3.OperationalError("database or disk is full")
                    error.sqlite_errorname = "SQLITE_FULL"
                    raise error
                failures.append(None)
                write()

            disk.patiently(on_a_full_disk)

        Worker(writer, claim, lambda *_: engine, lambda: False, patiently=patiently).work()
    assert len(failures) >= 3 * chunks // 16
    assert engine.chunks == chunks
    assert len(all_scores(catalogue, run)) == len(expected)
    assert run_now(catalogue, run).why == ""
    assert_sound(catalogue)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_wall_clock_that_is_set_changes_no_word(
    jump: float, catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, waiting = queue_run(catalogue, stand_in_model), queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        assert claim_run(writer, running) is not None
        with writer.transaction() as connection:
            connection.execute("UPDATE runs SET phase = 'scoring' WHERE id = ?", (running,))
            delay_start(connection, waiting, 60, "waiting for memory")
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + jump)
    assert [run_now(catalogue, run).shown for run in (running, waiting)] == ["running", "waiting"]
    really = clock.since_boot
    monkeypatch.setattr(clock, "since_boot", lambda: really() + 1000)
    assert [run_now(catalogue, run).shown for run in (running, waiting)] == ["stalled", "queued"]
    monkeypatch.setattr(clock, "boot_id", lambda: "another")
    monkeypatch.setattr(clock, "since_boot", lambda: 0.0)
    assert [run_now(catalogue, run).shown for run in (running, waiting)] == ["running", "queued"]
