"""Which device a run gets, where weights go on several GPUs, and how free memory is found."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import accelerate
import numpy as np
import pytest
import torch

from core.domain import TokenScores, Turn
from core.errors import RunError, SapError, UsageError
from core.gpu import Gpu, choose_device, visible
from core.host_memory import free_host_memory
from core.model_memory import memory_need, working_memory
from core.scoring.hf import load
from core.scoring.hf.engine import HuggingFaceEngine
from core.scoring.hf.load import load_engine
from core.scoring.hf.memory import devices_of, free_memory_bytes, memory_bytes, peak_memory_bytes
from core.scoring.hf.placement import placement_arguments, resolved_device
from core.scoring.protocol import EngineSettings, ScoringGroup
from core.store.db import open_reader
from core.submission.options import ScoreOptions
from core.submission.submit import prepare_submission
from tests.conftest import ROOT, TINY_MODEL
from tests.unit.scoring_models import engine_of, random_model

GIB = 1 << 30


def fake_gpus(*memory: tuple[int, int]) -> list[Gpu]:
    """GPUs with this much free and total memory, GiB."""
    return [Gpu(number, "Fake", free * GIB, total * GIB) for number, (free, total) in enumerate(memory)]


@pytest.mark.parametrize(
    ("found", "need", "expected"),
    [
        (fake_gpus(), 5, "cpu"),
        (fake_gpus((10, 24)), 5, "cuda:0"),
        (fake_gpus((10, 24), (20, 24)), 5, "cuda:1"),
        (fake_gpus((10, 24), (20, 24)), 22, "cuda:1"),
        (fake_gpus((10, 24), (20, 24)), 30, "cuda"),
        (fake_gpus((10, 24), (20, 24)), 48, "cuda"),
        (fake_gpus((10, 24), (20, 24)), 49, "cuda:1"),
        (fake_gpus((10, 24)), 30, "cuda:0"),
    ],
)
def test_the_best_device(found: list[Gpu], need: int, expected: str) -> None:
    assert choose_device(found, need * GIB) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, ["GPU-aa1", "GPU-ab2", "GPU-c33"]),
        ("", []),
        ("-1", []),
        ("2,0", ["GPU-c33", "GPU-aa1"]),
        ("1, 7, 0", ["GPU-ab2"]),
        ("1,1", ["GPU-ab2"]),
        ("GPU-c,0", ["GPU-c33", "GPU-aa1"]),
        ("GPU-a", []),
        ("MIG-77", ["MIG-77"]),
    ],
)
def test_the_gpus_that_a_batch_system_leaves(wanted: str | None, expected: list[str]) -> None:
    assert visible(["GPU-aa1", "GPU-ab2", "GPU-c33"], wanted) == expected


def test_a_model_larger_than_each_gpu_is_spread(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ScoreOptions(task="sums", model=str(TINY_MODEL), metrics=("nll",), dtype="bfloat16")
    need = memory_need(str(TINY_MODEL), "none", "bfloat16", 0, on_gpu=True)

    def chosen(total: int) -> str:
        found = [Gpu(number, "Fake", total // 2, total) for number in range(2)]
        monkeypatch.setattr("core.submission.submit.gpus", lambda: found)
        return prepare_submission(open_reader(catalogue), options).request.device

    assert chosen(need) == "cuda:0"
    assert chosen(need - 1) == "cuda"
    assert chosen(need // 2 - 1) == "cuda:0"
    monkeypatch.setattr("core.gpu.torch_cuda_version", lambda: "12.8")
    asked = replace(options, device="cuda", dtype="auto")
    request = prepare_submission(open_reader(catalogue), asked).request
    assert (request.device, request.dtype) == ("cuda", "bfloat16")


@pytest.mark.parametrize("device", ["0", "gpu", "cuda:", "cuda:-1", "cuda:²", "cpu:0", ""])
def test_devices_that_there_are_not(catalogue: Path, device: str) -> None:
    options = ScoreOptions(task="sums", model=str(TINY_MODEL), device=device)
    with pytest.raises(UsageError, match="no device"):
        prepare_submission(open_reader(catalogue), options)


def test_a_run_for_a_device_that_is_not_here_is_refused_before_it_is_queued(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(device: str) -> bool:
        options = ScoreOptions(task="sums", model=str(TINY_MODEL), device=device)
        try:
            prepare_submission(open_reader(catalogue), options)
        except SapError as error:
            return f"There is no device {device} here" in str(error)
        return False

    monkeypatch.setattr("core.gpu.torch_cuda_version", lambda: None)
    assert [refused(device) for device in ("cpu", "auto", "cuda", "cuda:0")] == [False, False, True, True]
    monkeypatch.setattr("core.gpu.torch_cuda_version", lambda: "12.8")
    monkeypatch.setattr("core.gpu.gpus", lambda: [Gpu(number, "Fake", GIB, GIB) for number in range(2)])
    assert [refused(device) for device in ("cuda", "cuda:1", "cuda:2")] == [False, False, True]


def test_a_folder_that_is_no_adapter_is_refused_before_its_run_is_queued(catalogue: Path) -> None:
    options = ScoreOptions(task="sums", model=str(TINY_MODEL), device="cpu", adapter=str(TINY_MODEL))
    with pytest.raises(RunError, match="is no adapter"):
        prepare_submission(open_reader(catalogue), options)


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    free = [4 * GIB, 9 * GIB, 1 * GIB]

    def number(device: Any) -> int:
        return device if isinstance(device, int) else torch.device(device).index

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[number(device)], 10 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 400)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 1000 + number(device))
    return free


def test_devices_on_a_machine_with_gpus(three_gpus: list[int]) -> None:
    assert [resolved_device(name) for name in ("auto", "cpu", "cuda", "cuda:2")] == ["cuda:1", "cpu", "cuda", "cuda:2"]
    with pytest.raises(RunError, match="cuda:3"):
        resolved_device("cuda:3")


def test_spread_weights_leave_room_for_a_forward_pass(three_gpus: list[int]) -> None:
    room = working_memory(str(TINY_MODEL), "none", "bfloat16", 0, on_gpu=True)
    assert 0 < room < GIB
    arguments = placement_arguments(TINY_MODEL, "cuda", "none", "bfloat16")
    assert arguments == {
        "device_map": "auto",
        "max_memory": {number: free - room for number, free in enumerate(three_gpus)},
    }
    assert placement_arguments(TINY_MODEL, "cuda:1", "none", "bfloat16") == {"device_map": {"": "cuda:1"}}


def test_memory_of_a_model_on_several_gpus(three_gpus: list[int]) -> None:
    model = SimpleNamespace(device=torch.device("cuda:0"), hf_device_map={"embed": "cuda:0", "layers": "cuda:2"})
    assert devices_of(model) == [torch.device("cuda:0"), torch.device("cuda:2")]
    assert free_memory_bytes(model) == 1 * GIB + 300
    assert peak_memory_bytes(model) == 1000 + 1002
    alone = SimpleNamespace(device=torch.device("cuda:1"))
    assert free_memory_bytes(alone) == 9 * GIB + 300
    assert peak_memory_bytes(alone) == 1001
    assert memory_bytes(model) == 2 * memory_bytes(alone) > 0


@pytest.mark.parametrize(("quantization", "memory"), [("none", 5_000_000), ("nf4", 1_500_000), ("int8", 2_500_000)])
def test_weights_are_never_left_on_the_disk(monkeypatch: pytest.MonkeyPatch, quantization: str, memory: int) -> None:
    """The CPU stands for a GPU that is too small: the library puts the rest on the disk."""
    monkeypatch.setattr(load, "resolved_device", lambda wanted: "cuda")
    monkeypatch.setattr(load, "placement_arguments", lambda *_: {"device_map": "auto", "max_memory": {"cpu": memory}})
    with pytest.raises(MemoryError, match="does not fit into the free memory of all GPUs together"):
        load_engine(EngineSettings(str(TINY_MODEL), device="cuda", quantization=quantization))


def scores_of(engine: HuggingFaceEngine) -> list[TokenScores]:
    context = engine.encode_context([Turn("user", "How many loaves in all?")])
    responses = tuple(engine.encode_response(text) for text in ("Final Answer: 42", "14 + 28 = 42, as I see it."))
    results = engine.score([ScoringGroup(context, responses, detail=True), ScoringGroup(context, responses, keep=True)])
    return [score for group in results for score in group if isinstance(score, TokenScores)]


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
def test_a_dispatched_model_gives_the_same_scores(tmp_path: Path, architecture: str) -> None:
    """With the hooks that move tensors between devices, although all of them are the CPU here."""
    folder = random_model(tmp_path / architecture, architecture)
    plain = engine_of(folder)
    model = engine_of(folder)._model
    parts = [name for name, module in model.named_modules() if name and not list(module.children())]
    accelerate.dispatch_model(model, dict.fromkeys(parts, "cpu"), force_hooks=True)
    dispatched = HuggingFaceEngine(model, plain._generate._tokenizer, plain._encoder, plain._settings)
    assert dispatched.tier == plain.tier
    assert devices_of(model) == [torch.device("cpu")]
    expected, found = scores_of(plain), scores_of(dispatched)
    assert len(found) == len(expected) == 4
    for own, true in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own.log_probability, true.log_probability)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("line", "mount", "names", "reclaimable"),
    [
        ("0::/jobs/mine", "sys/fs/cgroup", ("memory.max", "memory.current"), "inactive_file"),
        (
            "4:cpu,memory:/jobs/mine",
            "sys/fs/cgroup/memory",
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
            "total_inactive_file",
        ),
    ],
)
def test_free_memory_within_a_container(
    tmp_path: Path, line: str, mount: str, names: tuple[str, str], reclaimable: str
) -> None:
    machine = free_host_memory(tmp_path)
    assert machine > 50 << 20
    write(tmp_path / "proc/self/cgroup", f"9:name=systemd:/\n{line}\n")
    limit, use = names
    own, around = tmp_path / mount / "jobs/mine", tmp_path / mount / "jobs"
    write(own / limit, "max\n")
    write(own / use, "100\n")
    write(around / limit, str(30 << 20))
    write(around / use, str(20 << 20))
    assert free_host_memory(tmp_path) == 10 << 20
    write(around / "memory.stat", f"anon 5\n{reclaimable} {4 << 20}\n")
    assert free_host_memory(tmp_path) == 14 << 20
    write(own / limit, str(1 << 20))
    assert free_host_memory(tmp_path) == (1 << 20) - 100
    write(own / use, str(2 << 20))
    assert free_host_memory(tmp_path) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and glibc")
def test_freed_blocks_go_back_to_the_system() -> None:
    code = (
        "import sys, torch\n"
        "from contextlib import nullcontext\n"
        "from core.scoring.hf.memory import returning_freed_memory\n"
        "def resident():\n"
        "    return int(open('/proc/self/statm').read().split()[1]) * 4096 >> 20\n"
        "before, kept = resident(), []\n"
        "with returning_freed_memory() if sys.argv[1] == 'returned' else nullcontext():\n"
        "    torch.ones(30 << 18)\n"
        "    for _ in range(20):\n"
        "        large, small = torch.ones(16 << 18), torch.ones(2000)\n"
        "        kept.append(small)\n"
        "        others = torch.ones(8 << 18), torch.ones(2000)\n"
        "        kept.append(others[1])\n"
        "        del large, others\n"
        "print(resident() - before)\n"
    )

    def growth(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", code, how], cwd=ROOT, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert growth("returned") < 8 < growth("kept")
