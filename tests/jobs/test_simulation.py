"""A simulated day: over a thousand runs, hundreds of faults, clocks that jump by a day, restarts of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.jobs.claim import BARREN_LIMIT
from tests.jobs.simulation import DAY, FAULTS, simulate

STEPS = 1500
HOPELESS = f"{BARREN_LIMIT} attempts in a row made no progress"


def test_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = simulate(tmp_path, monkeypatch, seed=1, steps=STEPS)
    seen = simulation.seen
    assert seen["runs"] > 1000
    assert sum(seen[fault] for fault in FAULTS) > 200
    assert min(seen["clock jumps"], seen["sleeps"], seen["reboots"], seen["runners killed"]) >= 3
    assert simulation.world.passed > DAY
    outcomes = simulation.outcomes()
    assert sum(outcomes.values()) == seen["runs"]
    assert outcomes["done"] > 0.9 * seen["runs"]
    # Nothing fails but what had no luck three times in a row.
    assert all(HOPELESS in why for why in simulation.failures())
    assert set(simulation.errors()) <= {"crashed", "device"}
    assert simulation.errors()["crashed"] >= 10
