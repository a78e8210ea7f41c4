"""Claims, fences and identities: only a living owner counts, and whoever was overtaken writes nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import boot_id
from core.domain import Identity, RunState
from core.jobs.claim import (
    BARREN_LIMIT,
    Death,
    LostClaimError,
    StopWorkError,
    beat,
    claim_run,
    finish,
    put_back,
    release,
    requeue_orphan,
    wait_for_memory,
)
from core.processes.identity import end_group_of, identity_of, is_alive, own_identity, pid_here, send_signal
from core.store.db import Writer
from core.store.runs import wish_cancel, wish_pause, wish_resume
from tests.conftest import ROOT
from tests.jobs.helpers import queue_run, run_now

UNSHARE = ["unshare", "--user", "--map-root-user", "--fork", "--pid", "--mount-proc", "--kill-child"]
MAY_UNSHARE = bool(shutil.which(UNSHARE[0])) and not subprocess.call([*UNSHARE, "true"], stderr=subprocess.DEVNULL)
DEAD = Identity(host="here", boot=boot_id(), pid=os.getpid(), start=1)
REBOOTED = replace(DEAD, boot="another boot")


def give_to(catalogue: Path, run: int, owner: Identity) -> None:
    with Writer(catalogue) as writer, writer.transaction() as connection:
        connection.execute(
            "UPDATE runs SET host = ?, boot = ?, pid = ?, pid_start = ? WHERE id = ?",
            (owner.host, owner.boot, owner.pid, owner.start, run),
        )


def test_a_reused_pid_is_dead_and_never_signalled() -> None:
    stranger = replace(own_identity(), start=-1)
    assert not is_alive(stranger)
    assert not send_signal(stranger, signal.SIGKILL)


def test_another_boot_is_dead() -> None:
    assert not is_alive(replace(own_identity(), boot="yesterday"))


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identity_of(child.pid)
    assert identity is not None
    assert is_alive(identity)
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(identity)
    assert identity_of(child.pid) is None
    child.wait()


@pytest.mark.skipif(not MAY_UNSHARE, reason="the system gives no process a namespace of its own")
def test_a_process_in_a_container_is_seen_from_outside() -> None:
    inside = "from core.processes.identity import own_identity as me; print(*vars_of(me()), flush=True); input()"
    code = f"import sys; vars_of = lambda i: (i.host, i.boot, i.pid, i.start); {inside}"
    shell = subprocess.Popen(
        [*UNSHARE, sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert shell.stdout is not None
    host, boot, pid, start = shell.stdout.readline().split()
    identity = Identity(host, boot, int(pid), int(start))
    assert pid_here(identity) not in (None, identity.pid)
    assert not is_alive(replace(identity, start=identity.start + 1))
    assert end_group_of(identity) == []
    assert send_signal(identity, signal.SIGKILL)
    shell.wait(timeout=20)
    assert not is_alive(identity)
    assert not send_signal(identity, signal.SIGKILL)


def test_what_is_let_go_of_in_the_foreground_waits_for_its_user(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        for let_go in (
            lambda claim: release(writer, claim),
            lambda claim: put_back(writer, claim, Death("the device failed")),
            lambda claim: wait_for_memory(writer, claim, "waiting for memory", is_barren=False),
        ):
            claim = claim_run(writer, run, in_foreground=True)
            assert claim is not None
            let_go(claim)
            assert (run_now(catalogue, run).state, run_now(catalogue, run).want) == (RunState.QUEUED, "pause")
            assert claim_run(writer, run) is None


def test_a_run_is_claimed_once(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
        assert claim is not None
        assert claim_run(writer, run) is None
    assert run_now(catalogue, run).state is RunState.RUNNING


def test_whoever_was_overtaken_writes_nothing(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        first = claim_run(writer, run)
        give_to(catalogue, run, DEAD)
        second = claim_run(writer, run)
        assert first is not None
        assert second is not None
        assert second.fence == first.fence + 1
        for write in (
            lambda: beat(writer, first),
            lambda: finish(writer, first),
            lambda: release(writer, first),
        ):
            with pytest.raises(LostClaimError):
                write()
        beat(writer, second)


def test_wishes_reach_the_owner(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
        assert claim is not None
        with writer.transaction() as connection:
            wish_pause(connection, run)
        with pytest.raises(StopWorkError):
            beat(writer, claim)
        release(writer, claim)
        assert run_now(catalogue, run).shown == "paused"
        assert claim_run(writer, run) is None
        with writer.transaction() as connection:
            wish_resume(connection, run)
        assert claim_run(writer, run) is not None


def test_a_queued_run_is_cancelled_at_once(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        with writer.transaction() as connection:
            wish_cancel(connection, run)
        assert claim_run(writer, run) is None
    assert run_now(catalogue, run).state is RunState.CANCELLED


def test_a_reboot_interrupts_and_waits_for_the_user(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        assert claim_run(writer, run) is not None
        give_to(catalogue, run, REBOOTED)
        assert requeue_orphan(writer, run, REBOOTED, Death("gone"), rebooted=True, auto_resume=False)
        assert run_now(catalogue, run).shown == "interrupted"
        assert claim_run(writer, run) is None


def test_three_barren_attempts_end_a_run(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        for attempt in range(BARREN_LIMIT):
            assert run_now(catalogue, run).state is RunState.QUEUED, attempt
            assert claim_run(writer, run) is not None
            give_to(catalogue, run, DEAD)
            assert requeue_orphan(writer, run, DEAD, Death("ended by SIGSEGV"), rebooted=False, auto_resume=False)
    ended = run_now(catalogue, run)
    assert ended.state is RunState.FAILED
    assert "SIGSEGV" in ended.why


def test_an_orphan_that_changed_hands_is_left_alone(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        assert claim_run(writer, run) is not None
        assert not requeue_orphan(writer, run, DEAD, Death("gone"), rebooted=False, auto_resume=False)
    assert run_now(catalogue, run).state is RunState.RUNNING
