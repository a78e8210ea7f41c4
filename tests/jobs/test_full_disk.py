"""A disk that is full for a while, a real one of eight megabytes: nothing is lost, and scoring goes on by itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import SapError
from core.submission import space
from tests.conftest import ROOT
from tests.jobs.helpers import queue_run, run_now

UNSHARE = ["unshare", "-Urm"]


def can_have_own_disks() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0


def test_a_full_disk(catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_have_own_disks():
        pytest.skip("NOT TESTED: this machine allows no user namespaces, so there is no small disk to fill")
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"delay_s": 0.1}))
    program = [sys.executable, "-m", "tests.jobs.full_disk", str(catalogue.parent)]
    result = subprocess.run([*UNSHARE, *program], capture_output=True, text=True, cwd=ROOT, timeout=200, check=False)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found.pop("seconds after space") < 20
    assert found.pop("seconds to cancel") < 20
    assert found.pop("seconds to sigterm") < 20
    assert found == {"kept": True, "same": True, "same attempt": True, "cancel": "cancelled", "sigterm": "done"}


def test_a_run_without_room_for_its_scores_is_refused(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda _: 300_000)
    run = queue_run(catalogue, stand_in_model)
    monkeypatch.setattr(space, "free_bytes", lambda _: 100_000)
    with pytest.raises(SapError, match="MiB free"):
        queue_run(catalogue, stand_in_model)
    assert run_now(catalogue, run).shown == "queued"
