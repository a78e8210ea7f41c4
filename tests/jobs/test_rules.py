"""The rules of the queue that nothing else would notice if they were broken, each by itself."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.domain import Identity, RunState, TokenScores
from core.errors import UsageError
from core.jobs.claim import Claim, Death, claim_run, finish, requeue_orphan
from core.processes.identity import own_identity
from core.processes.launcher import RunnerLock, start_detached
from core.store.db import Writer
from core.store.runs import wish_cancel, wish_pause, wish_resume
from core.store.scores import insert_scores
from tests.conftest import wait_until
from tests.jobs.helpers import assert_sound, queue_run, run_now, start_scorer


def test_a_transaction_holds_the_lock_file_and_sqlites_own(catalogue: Path) -> None:
    with Writer(catalogue) as writer, closing(sqlite3.connect(catalogue, timeout=0)) as other:
        with writer.transaction():
            assert is_locked(Path(f"{catalogue}.wlock"))
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
        assert not is_locked(Path(f"{catalogue}.wlock"))
        other.execute("BEGIN IMMEDIATE")


def test_closing_waits_for_the_lock(catalogue: Path) -> None:
    """Closing may move the log into the catalogue."""
    writer = Writer(catalogue)
    seen: list[bool] = []

    class Watched:
        def execute(self, sql: str) -> None:
            seen.append(is_locked(Path(f"{catalogue}.wlock")))

        def close(self) -> None:
            seen.append(is_locked(Path(f"{catalogue}.wlock")))

    writer.connection.close()
    writer.connection = Watched()  # type: ignore[assignment]
    writer.close()
    assert seen
    assert all(seen)


def test_only_one_runner_holds_the_lock(catalogue: Path) -> None:
    first, second = RunnerLock(catalogue), RunnerLock(catalogue)
    assert (first.held, second.held) == (True, False)
    first.release()
    third = RunnerLock(catalogue)
    assert third.held
    third.release()
    second.release()


def test_a_detached_process_has_no_terminal_session_or_input_of_ours(tmp_path: Path) -> None:
    said = tmp_path / "said.log"
    (tmp_path / "module_to_start.py").write_text(
        "import os, sys; print(os.getsid(0) == os.getpid(), os.getcwd(), os.readlink('/proc/self/fd/0'))"
    )
    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{tmp_path}:{path}"
    try:
        assert start_detached("module_to_start", log=said).wait(20) == 0
    finally:
        os.environ["PYTHONPATH"] = path
    assert said.read_text() == "True / /dev/null\n"


def test_a_score_that_exists_is_never_overwritten(catalogue: Path, stand_in_model: Path) -> None:
    queue_run(catalogue, stand_in_model)
    key = (b"context", b"response")
    with Writer(catalogue) as writer:
        for surprisal in (1.0, 2.0):
            with writer.transaction() as connection:
                insert_scores(connection, 1, "engine", {key: TokenScores(np.float32([-surprisal]))})
        rows = writer.connection.execute("SELECT nll_sum FROM scores").fetchall()
    assert [row[0] for row in rows] == [1.0]
    assert_sound(catalogue)


def test_a_run_with_samples_left_is_never_done(catalogue: Path, stand_in_model: Path) -> None:
    run, claim = claimed(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        with writer.transaction() as connection:
            connection.execute(
                "INSERT INTO run_items (run, number, strategy, question, context_kind, context, response)"
                " VALUES (?, 0, 1, 1, 'plain', x'00', x'00')",
                (run,),
            )
        with pytest.raises(AssertionError, match="without a result"):
            finish(writer, claim)
    assert run_now(catalogue, run).state is RunState.RUNNING


def test_a_run_that_is_done_is_not_resumed(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    assert start_scorer(catalogue, run).wait(60) == 0
    with Writer(catalogue) as writer:
        for wish in (wish_resume, wish_pause, wish_cancel):
            with pytest.raises(UsageError), writer.transaction() as connection:
                wish(connection, run)
        assert claim_run(writer, run) is None
    assert run_now(catalogue, run).state is RunState.DONE
    assert_sound(catalogue)


def test_a_cancelled_orphan_is_cancelled_and_not_queued(catalogue: Path, stand_in_model: Path) -> None:
    run, _ = claimed(catalogue, stand_in_model)
    dead = die(catalogue, run)
    with Writer(catalogue) as writer:
        with writer.transaction() as connection:
            wish_cancel(connection, run)
        assert claim_run(writer, run) is None
        assert requeue_orphan(writer, run, dead, Death("gone"), rebooted=False, auto_resume=False)
    assert run_now(catalogue, run).state is RunState.CANCELLED
    assert_sound(catalogue)


@pytest.mark.parametrize(("wish", "shown"), [(wish_cancel, "cancelled"), (wish_pause, "paused")])
def test_a_wish_is_heeded_after_the_chunk_at_hand(
    wish: Callable[[sqlite3.Connection, int], None],
    shown: str,
    catalogue: Path,
    stand_in_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the scorer itself: nobody sends it a signal."""
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"delay_s": 0.5}))
    run = queue_run(catalogue, stand_in_model)
    scorer = start_scorer(catalogue, run)
    wait_until(lambda: run_now(catalogue, run).done > 0, what="the first chunk")
    with Writer(catalogue) as writer, writer.transaction() as connection:
        wish(connection, run)
    assert scorer.wait(30) == 0
    stopped = run_now(catalogue, run)
    assert stopped.shown == shown
    assert stopped.done < stopped.total
    assert_sound(catalogue)


def test_every_attempt_has_an_end_or_the_living_owner(catalogue: Path, stand_in_model: Path) -> None:
    run, _ = claimed(catalogue, stand_in_model)
    die(catalogue, run)
    with Writer(catalogue) as writer:
        assert claim_run(writer, run) is not None
        rows = writer.connection.execute("SELECT number, ended_at IS NULL FROM attempts ORDER BY number").fetchall()
    assert [tuple(row) for row in rows] == [(1, 0), (2, 1)]
    assert_sound(catalogue)


def test_a_killed_scorer_leaves_nothing_that_others_wait_for(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    scorer = start_scorer(catalogue, run)
    wait_until(lambda: run_now(catalogue, run).attempt == 1, what="the claim")
    scorer.kill()
    scorer.wait()
    assert not is_locked(Path(f"{catalogue}.wlock"))
    assert start_scorer(catalogue, run).wait(60) == 0
    assert run_now(catalogue, run).state is RunState.DONE


def claimed(catalogue: Path, model: Path) -> tuple[int, Claim]:
    """A run that this process has claimed."""
    run = queue_run(catalogue, model)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
    assert claim is not None
    return run, claim


def die(catalogue: Path, run: int) -> Identity:
    """Have the run's owner be a process that is gone."""
    dead = replace(own_identity(), start=1)
    with Writer(catalogue) as writer, writer.transaction() as connection:
        connection.execute("UPDATE runs SET pid_start = 1 WHERE id = ?", (run,))
        connection.execute("UPDATE attempts SET pid_start = 1 WHERE run = ? AND ended_at IS NULL", (run,))
    return dead


def is_locked(path: Path) -> bool:
    """Whether somebody, this process through another descriptor included, holds the lock file."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
