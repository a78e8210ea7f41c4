"""kill -9, hundreds of times, of everything that works on a run."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from core.processes.launcher import ensure_runner
from tests.conftest import end_processes, wait_until
from tests.jobs.helpers import run_now
from tests.torture.loops import kill_rivals, kill_runners, kill_scorers
from tests.torture.rival import NOT_MINE
from tests.torture.runs import Prepared, Tally, Watched, prepared, rounds, slowly, times

SCORER_KILLS = times(200)
RIVAL_KILLS = times(200)
RUNNER_KILLS = times(40)


@pytest.fixture
def queued(tmp_path: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setenv("SAP_TUI_FAKE", slowly(0.02))
    return prepared(tmp_path, stand_in_model)


def test_one_scorer(queued: Prepared, tmp_path: Path, figures: dict[str, object]) -> None:
    """kill -9 of a scorer at random moments"""

    def one_round(folder: Path, moments: random.Random, tally: Tally) -> None:
        watched = Watched(queued.copy(folder), queued.run)
        kill_scorers(watched, moments, tally)
        tally.finish(watched, queued.expected)

    tally = rounds(SCORER_KILLS, tmp_path / "rounds", one_round)
    figures.update(tally.figures())
    assert tally.problems == []
    assert tally.exit_codes.keys() <= {0, -signal.SIGKILL}


def test_two_rival_scorers(queued: Prepared, tmp_path: Path, figures: dict[str, object]) -> None:
    """kill -9 of two scorers that want the same run, one of which heeds nothing but claim and fence"""

    def one_round(folder: Path, moments: random.Random, tally: Tally) -> None:
        watched = Watched(queued.copy(folder), queued.run)
        kill_rivals(watched, moments, tally)
        tally.finish(watched, queued.expected)

    tally = rounds(RIVAL_KILLS, tmp_path / "rounds", one_round)
    figures.update(tally.figures())
    assert tally.problems == []
    assert tally.exit_codes.keys() <= {0, NOT_MINE, -signal.SIGKILL}


def test_the_runner(
    queued: Prepared, tmp_path: Path, figures: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 of the runner while its scorer works; the next one adopts the scorer"""
    monkeypatch.setenv("SAP_TUI_FAKE", slowly(0.1))

    def one_round(folder: Path, moments: random.Random, tally: Tally) -> None:
        watched = Watched(queued.copy(folder), queued.run)
        kill_runners(watched, moments, tally)
        ensure_runner(watched.catalogue)
        wait_until(lambda: watched.is_done, 120, "the end of the run")
        assert run_now(watched.catalogue, queued.run).attempt == 1, "a living scorer was not adopted"
        tally.finish(watched, queued.expected)
        end_processes(watched.catalogue)

    tally = rounds(RUNNER_KILLS, tmp_path / "rounds", one_round)
    figures.update(tally.figures())
    assert tally.problems == []
    assert tally.exit_codes.keys() <= {0, -signal.SIGKILL}
