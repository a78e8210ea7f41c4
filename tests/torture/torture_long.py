"""What the fast tests do once, more often: a simulated day, and a disk that is full for a while."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.jobs.simulation import FAULTS, simulate
from tests.jobs.test_full_disk import UNSHARE, can_have_own_disks
from tests.torture.runs import slowly, times

DAYS = times(2)
STEPS = 2500
DISKS = times(2)


def test_simulated_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: dict[str, object]) -> None:
    """days of the queue on a clock that jumps: restarts of the machine, kills, hangs, full devices"""
    seen: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for seed in range(10, 10 + DAYS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        with monkeypatch.context() as patch:
            simulation = simulate(folder, patch, seed=seed, steps=STEPS)
        seen.update(simulation.seen)
        outcomes.update(simulation.outcomes())
    figures.update({"days": DAYS, "runs": seen["runs"], "faults": sum(seen[fault] for fault in FAULTS)})
    figures.update({name: seen[name] for name in ("clock jumps", "reboots", "runners killed")})
    figures["ends"] = dict(outcomes.most_common())
    assert sum(outcomes.values()) == seen["runs"]


def test_full_disks(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch, figures: dict[str, object]
) -> None:
    """a disk of eight megabytes is filled under a working run, and emptied again"""
    if not can_have_own_disks():
        pytest.skip("NOT TESTED: no namespaces of users and mounts here")
    monkeypatch.setenv("SAP_TUI_FAKE", slowly(0.1))
    found = []
    for number in range(DISKS):
        folder = catalogue.parent / f"disk-{number}"
        shutil.copytree(stand_in_model, folder / stand_in_model.name)
        shutil.copy(catalogue, folder)
        program = [sys.executable, "-m", "tests.jobs.full_disk", str(folder)]
        done = subprocess.run([*UNSHARE, *program], capture_output=True, text=True, cwd=ROOT, timeout=200, check=True)
        found.append(json.loads(done.stdout))
    figures["disks filled"] = DISKS
    figures["kept everything, and ended with equal bits"] = sum(each["kept"] and each["same"] for each in found)
    figures["seconds from space to scoring, longest"] = max(each["seconds after space"] for each in found)
    figures["seconds to cancel on a full disk, longest"] = max(each["seconds to cancel"] for each in found)
    assert all(each["kept"] and each["same"] for each in found)
