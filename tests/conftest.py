"""Fixtures that many tests share: a catalogue with two strategies, a stand-in model, and waiting with a deadline."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from benchmarks.ui_catalogue import end_processes as end_processes

# Before any test imports torch: two processes with spinning threads would crawl.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

# Whoever starts the tests in the background of a shell lets them ignore Ctrl-C, and so would every program they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about the machine than about the program.
settings.register_profile("sap-tui", deadline=None)
settings.load_profile("sap-tui")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
TINY_MODEL = ROOT / "sample_data" / "tiny-model"

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], seconds: float = 30.0, what: str = "the condition") -> Value:
    """Poll until the condition is true and return its value; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own catalogue, settings or caches; scorers end with their run."""
    home = tmp_path_factory.mktemp("home")
    for name in ("DATA", "CONFIG", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    for name in ("SAP_TUI_CATALOGUE", "SAP_TUI_CONFIG", "SAP_TUI_FAKE"):
        monkeypatch.delenv(name, raising=False)
    keep_warm(0)


def keep_warm(minutes: float) -> None:
    """From now on scorers keep their model for so long after a run."""
    from core.settings import config_path

    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text(f"keep_warm_minutes = {minutes}\n")


@pytest.fixture
def stand_in_model(tmp_path: Path) -> Path:
    """A folder that passes for a model and asks for the deterministic stand-in engine."""
    folder = tmp_path / "stand-in-model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "sap-tui-stand-in"}')
    (folder / "model.safetensors").write_bytes(b"no weights")
    return folder


def write_strategy(path: Path, responses: list[str]) -> Path:
    """A JSON Lines file with numbered questions."""
    lines = [
        {"id": number, "question": f"What is {number} plus {number}?", "response": text, "answer": str(2 * number)}
        for number, text in enumerate(responses)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Path]:
    """A catalogue with the task `sums`: 24 questions, strategies `plain` and `chatty`."""
    from core.store.db import Writer, prepare
    from core.store.importing import import_file

    path = tmp_path / "catalogue.db"
    prepare(path)
    with Writer(path) as writer:
        for name, sentence in (("plain", "It is {}."), ("chatty", "Well, let me see, that makes {} altogether!")):
            file = write_strategy(tmp_path / f"{name}.jsonl", [sentence.format(2 * n) for n in range(24)])
            import_file(writer, file, task="sums", strategy=name)
    yield path
    end_processes(path)
