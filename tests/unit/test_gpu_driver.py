"""The NVIDIA driver through a stand-in for its library: one that hangs, and GPUs that keep their name."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from core import gpu
from core.domain import Run, RunRequest, RunState
from core.errors import SapError
from core.gpu import driver_answers, environment_for, gpus, memory_of_processes
from core.jobs.runner import Runner
from core.memory_room import room_for
from core.processes.launcher import RunnerLock
from core.processes.scorers import sharing_key
from core.store.db import Writer, open_reader
from core.submission.options import ScoreOptions
from core.submission.submit import prepare_submission, queue
from sap_tui.cli import main
from tests.conftest import TINY_MODEL, wait_until
from tests.jobs.helpers import queue_run, run_now, supervise

GIB = 1 << 30
FREE = {"GPU-aa": 3 * GIB, "GPU-bb": 5 * GIB, "GPU-cc": 7 * GIB}


class NVMLError(Exception):
    pass


class Driver(SimpleNamespace):
    """Answers like pynvml, once `goes_on` is set."""

    def __init__(self) -> None:
        super().__init__(NVMLError=NVMLError, goes_on=threading.Event(), asked=0)
        self.goes_on.set()

    def nvmlInit(self) -> None:
        self.asked += 1
        self.goes_on.wait(60)

    def nvmlShutdown(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return len(FREE)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> str:
        return list(FREE)[number]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid not in FREE:
            raise NVMLError("not found")
        return uuid

    def nvmlDeviceGetUUID(self, handle: str) -> str:
        return handle

    def nvmlDeviceGetName(self, handle: str) -> str:
        return f"Fake {handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:
        return SimpleNamespace(free=FREE[handle], total=8 * GIB)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=7, usedGpuMemory=1)]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    found = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", found)
    monkeypatch.setattr(gpu, "torch_cuda_version", lambda: "12.8")
    monkeypatch.setattr(gpu, "_asking", None)
    monkeypatch.setattr(gpu, "DRIVER_SECONDS", 0.2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield found
    found.goes_on.set()


@pytest.fixture
def hung(driver: Driver) -> Driver:
    driver.goes_on.clear()
    return driver


def queue_on(catalogue: Path, device: str) -> int:
    chosen = ScoreOptions(task="sums", model=str(TINY_MODEL), metrics=("nll",), device=device, dtype="float32")
    with Writer(catalogue) as writer:
        return queue(writer, prepare_submission(open_reader(catalogue), chosen))


def test_a_driver_that_hangs_is_asked_once_until_it_answers(hung: Driver) -> None:
    started = time.monotonic()
    assert (gpus(), memory_of_processes(), gpus()) == ([], {}, [])
    assert time.monotonic() - started < 2
    assert (hung.asked, driver_answers()) == (1, False)
    hung.goes_on.set()
    wait_until(driver_answers)
    assert [each.device for each in gpus()] == ["cuda:0", "cuda:1", "cuda:2"]
    assert memory_of_processes() == {7: 3}


def test_an_error_of_ours_is_no_silence(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "nvmlDeviceGetCount", lambda: 1 // 0, raising=False)
    with pytest.raises(ZeroDivisionError):
        gpus()


def test_doctor_and_a_new_run_end_with_a_driver_that_hangs(
    catalogue: Path, hung: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--catalogue", str(catalogue), "doctor", "--json"]) == 1
    found = {each["about"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["gpu"]["text"] == "the NVIDIA driver does not answer"
    with pytest.raises(SapError, match="driver does not answer"):
        queue_on(catalogue, "auto")


def test_a_run_on_a_gpu_waits_for_the_driver_and_others_go_on(
    catalogue: Path, stand_in_model: Path, hung: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, behind = queue_on(catalogue, "cuda:0"), queue_run(catalogue, stand_in_model, samples=4)
    supervise(catalogue, lambda: run_now(catalogue, behind).state is RunState.DONE, monkeypatch)
    assert run_now(catalogue, waiting).why == "waiting: the NVIDIA driver does not answer"


def test_a_run_keeps_the_gpus_that_its_user_could_use(
    catalogue: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the variable is where the runner was started."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    run = run_now(catalogue, queue_on(catalogue, "cuda:0"))
    assert (run.request.gpus, run.request.held_gpus) == (("GPU-cc", "GPU-aa"), ("GPU-cc",))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    room = room_for(run.request)
    assert room is not None
    assert room.free == FREE["GPU-cc"]
    given = started_with(catalogue, monkeypatch)
    assert given == {run.id: {"CUDA_VISIBLE_DEVICES": "GPU-cc,GPU-aa"}}


def test_gpus_that_are_not_here_leave_the_environment_alone(
    catalogue: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalogue may come from another machine."""
    assert environment_for(("GPU-aa", "GPU-elsewhere")) == {}
    assert [each.uuid for each in gpus(("GPU-elsewhere",))] == list(FREE)
    run = queue_on(catalogue, "cpu")
    assert run_now(catalogue, run).request.gpus == ()
    assert started_with(catalogue, monkeypatch) == {run: {}}


def started_with(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, object]:
    """What a runner's next look starts: runs with the variables that their scorers are given."""
    found: dict[int, object] = {}

    def start(*arguments: str, log: Path, environment: object) -> SimpleNamespace:
        found[int(arguments[2])] = environment
        return SimpleNamespace(pid=1)

    monkeypatch.setattr("core.jobs.runner.start_detached", start)
    lock = RunnerLock(catalogue)
    runner = Runner(catalogue, lock)
    runner.step()
    runner.close()
    lock.release()
    return found


def test_runs_share_a_model_only_on_the_same_gpu(
    catalogue: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(devices: str, device: str = "cuda:0") -> Run:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
        return run_now(catalogue, queue_on(catalogue, device))

    first, same, other = made("0"), made("0,1"), made("1")
    keys = [sharing_key(run.spec, run.request) for run in (first, same, other)]
    assert keys[0] == keys[1] != keys[2]


def test_requests_of_earlier_versions_know_no_gpus() -> None:
    request = RunRequest(model="m", path="/m", metrics=("nll",), device="cuda:1", gpus=("GPU-aa",))
    assert request.held_gpus == ()
    assert RunRequest.from_json(request.to_json()) == request
    old = {name: value for name, value in json.loads(request.to_json()).items() if name != "gpus"}
    assert RunRequest.from_json(json.dumps(old)) == replace(request, gpus=())
    assert replace(request, device="cuda", gpus=("GPU-aa", "GPU-bb")).held_gpus == ("GPU-aa", "GPU-bb")
