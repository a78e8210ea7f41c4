"""How scorers end: memory that others use, memory that will never suffice, signals, devices, and what they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from core import memory_room
from core.domain import Identity, RunState
from core.host_memory import kills_for_memory
from core.jobs import runner
from core.jobs.claim import claim_run
from core.jobs.endings import EXIT_NO_ROOM, death, device_error
from core.memory_room import Room
from core.processes.identity import end_group_of, identity_of, is_alive
from core.processes.launcher import RunnerLock
from core.scorer import EXIT_CODES, Ending, Scorer
from core.store.db import Writer, open_reader
from core.store.runs import events
from tests.conftest import wait_until
from tests.jobs.helpers import assert_sound, queue_run, run_now, start_scorer, supervise

GIB = 1 << 30


def scored_here(catalogue: Path, run: int) -> Ending:
    scorer = Scorer(catalogue)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
    assert claim is not None
    try:
        return scorer.work(claim)
    finally:
        scorer.close()


def test_a_model_that_others_leave_no_memory_for_waits(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is looked at, and without a process that would load torch first."""
    run = queue_run(catalogue, stand_in_model)
    room = [Room(need=17 * GIB, free=9 * GIB, total=24 * GIB)]
    looks: list[str] = []

    def room_for(_: object) -> Room:
        looks.append(run_now(catalogue, run).why)
        return room[0]

    monkeypatch.setattr(runner, "room_for", room_for)
    supervise(catalogue, lambda: len(looks) > 6, monkeypatch)
    waiting = run_now(catalogue, run)
    assert (waiting.shown, waiting.attempt) == ("waiting", 0)
    assert waiting.why == "waiting for memory (needs 18.3 GB, free 9.7 GB)"
    room[0] = Room(need=17 * GIB, free=18 * GIB, total=24 * GIB)
    supervise(catalogue, lambda: run_now(catalogue, run).state.ended, monkeypatch)
    assert run_now(catalogue, run).state is RunState.DONE
    assert run_now(catalogue, run).why == ""


def test_the_memory_is_looked_at_again_right_before_the_model_is_loaded(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else, or a scorer of another catalogue, may have taken it meanwhile."""
    run = queue_run(catalogue, stand_in_model)
    monkeypatch.setattr(memory_room, "_memory_of", lambda _: (GIB // 8, 64 * GIB))
    ending = scored_here(catalogue, run)
    assert EXIT_CODES[ending] == EXIT_NO_ROOM
    waiting = run_now(catalogue, run)
    assert waiting.shown == "waiting"
    assert waiting.why.startswith("waiting for memory (needs 0.4 GB, free 0.1 GB)")
    assert_sound(catalogue)


def test_a_model_that_can_never_fit_fails_with_a_hint(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_run(catalogue, stand_in_model)
    monkeypatch.setattr(memory_room, "_memory_of", lambda _: (GIB // 8, GIB // 4))
    assert scored_here(catalogue, run) is Ending.FAILED
    failed = run_now(catalogue, run)
    assert failed.state is RunState.FAILED
    assert "needs 0.4 GB of memory, cpu has 0.3 GB" in failed.why
    assert "--quantization" in failed.why


def test_no_memory_though_there_seemed_to_be_some_is_tried_three_times(
    catalogue: Path, stand_in_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"memory_taken": str(taken)}))
    run = queue_run(catalogue, stand_in_model)
    assert start_scorer(catalogue, run).wait(30) == EXIT_NO_ROOM
    assert run_now(catalogue, run).shown == "waiting"
    supervise(catalogue, lambda: run_now(catalogue, run).state.ended, monkeypatch)
    failed = run_now(catalogue, run)
    assert (failed.state, failed.attempt) == (RunState.FAILED, 3)
    assert "does not fit" in failed.why
    taken.unlink()
    again = queue_run(catalogue, stand_in_model)
    supervise(catalogue, lambda: run_now(catalogue, again).state.ended, monkeypatch)
    assert run_now(catalogue, again).state is RunState.DONE


def test_a_scorer_that_never_begins_is_not_started_again_and_again(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_run(catalogue, stand_in_model)
    monkeypatch.setenv("PYTHONPATH", str(catalogue.parent))
    (catalogue.parent / "psutil.py").write_text("raise ImportError('broken')")
    supervise(catalogue, lambda: run_now(catalogue, run).why != "", monkeypatch)
    assert run_now(catalogue, run).shown == "waiting"
    assert "ended with code 1" in run_now(catalogue, run).why


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("CUDA error: device-side assert triggered\nmore"), "CUDA error: device-side assert triggered"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling"), "CUDA error: CUBLAS_STATUS"),
        (RuntimeError("CUDA error: out of memory"), ""),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), ""),
        (RuntimeError("shapes do not match"), ""),
        (type("AcceleratorError", (RuntimeError,), {})("something new"), "something new"),
    ],
)
def test_errors_of_the_device(error: Exception, line: str) -> None:
    assert device_error(error).startswith(line)
    assert bool(device_error(error)) == bool(line)
    wrapped = ValueError("the model does not compute")
    wrapped.__cause__ = error
    assert bool(device_error(wrapped)) == bool(line)


def test_ends_are_named() -> None:
    assert (
        death(-9, "log", for_memory=True).why
        == "the scorer was killed for memory (SIGKILL by the kernel), its log: log"
    )
    assert death(-9, "log", for_memory=False).why == "the scorer was ended by SIGKILL, its log: log"
    assert death(-11, "log", for_memory=True).why == "the scorer was ended by SIGSEGV, its log: log"
    assert (death(75, "log", for_memory=False).code, death(-11, "log", for_memory=False).code) == ("device", "crashed")
    assert death(None, "log", for_memory=False).why == "the scorer is gone, its log: log"


@pytest.mark.parametrize("code", [None, -9, -15])
def test_what_the_user_cancelled_did_not_fail(code: int | None) -> None:
    words = "cancelled; the scorer did not stop within 15 s and was ended"
    assert death(code, "log", for_memory=False, cancelled_for=15.0).why == words
    assert "SIGSEGV, its log: log" in death(-11, "log", for_memory=False, cancelled_for=15.0).why


@pytest.mark.parametrize(
    ("cgroup", "file", "text"),
    [
        ("0::/user/job", "sys/fs/cgroup/user/job/memory.events", "low 0\noom 3\noom_kill 2\n"),
        (
            "4:memory:/job",
            "sys/fs/cgroup/memory/job/memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        ),
        ("0::/", "proc/vmstat", "pgfault 8\noom_kill 2\n"),
    ],
)
def test_kills_of_the_kernel_for_memory_are_counted(cgroup: str, file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"9:cpu:/elsewhere\n{cgroup}\n")
    assert kills_for_memory(tmp_path) == 0
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert kills_for_memory(tmp_path) == 2


LEADER = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); sys.stdin.read()"


def leader_with_child() -> tuple[subprocess.Popen[str], Identity, psutil.Process]:
    leader = subprocess.Popen(
        [sys.executable, "-c", LEADER], start_new_session=True, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert leader.stdout is not None
    child = psutil.Process(int(leader.stdout.readline()))
    identity = identity_of(leader.pid)
    assert identity is not None
    return leader, identity, child


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def is_gone_pid(pid: int) -> bool:
    return not psutil.pid_exists(pid) or is_gone(psutil.Process(pid))


def test_what_a_dead_process_leaves_of_its_group_is_ended() -> None:
    leader, identity, child = leader_with_child()
    assert end_group_of(identity) == [], "it lives"
    leader.kill()
    leader.wait()
    assert end_group_of(identity) == [child.pid]
    wait_until(lambda: is_gone(child), 10, "the end of the child")
    assert end_group_of(identity) == []


def test_the_group_of_a_stranger_with_the_same_pid_is_left_alone() -> None:
    leader, identity, child = leader_with_child()
    predecessor = Identity(identity.host, identity.boot, identity.pid, identity.start - 1)
    assert not is_alive(predecessor)
    assert end_group_of(predecessor) == []
    assert not is_gone(child)
    os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()


def test_the_runner_ends_what_a_killed_scorer_left(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"helper": True, "kill_on": ["It is 6."]}))
    run = queue_run(catalogue, stand_in_model)

    def helpers() -> list[int]:
        notes = [event.text for event in events(open_reader(catalogue), run) if "helper" in event.text]
        return [int(note.split()[-1]) for note in notes]

    def all_gone() -> bool:
        return run_now(catalogue, run).state.ended and all(map(is_gone_pid, helpers()))

    supervise(catalogue, all_gone, monkeypatch)
    assert len(helpers()) >= 5


def test_a_death_during_a_look_is_told_by_its_exit_code(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"exit_75_on": ["It is 0."]}))
    run = queue_run(catalogue, stand_in_model)
    lock = RunnerLock(catalogue)
    supervisor = runner.Runner(catalogue, lock)
    before = set(psutil.Process().children())
    supervisor.step()
    (child,) = set(psutil.Process().children()) - before
    # The look has asked for exit codes by then, and not yet who lives.
    monkeypatch.setattr(
        runner, "tell_ends", lambda writer: wait_until(lambda: child.status() == psutil.STATUS_ZOMBIE, what="its end")
    )
    supervisor.step()
    supervisor.close()
    lock.release()
    assert "code 75" in run_now(catalogue, run).why
