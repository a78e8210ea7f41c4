"""Killing what works on one run until enough kills have hit, or the run is done; it is looked at after every kill."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import wait_until
from tests.jobs.helpers import run_now, start_scorer
from tests.torture.runs import Tally, Watched, ending_of, start_rival

START_SECONDS = 1.0
LIFE_SECONDS = 0.9
RUNNER_SECONDS = 1.5


def kill_scorers(watched: Watched, moments: random.Random, tally: Tally) -> None:
    """One scorer after another, most of them after they claimed the run."""
    while not watched.is_done and tally.left() > 0:
        attempt = run_now(watched.catalogue, watched.run).attempt
        scorer = start_scorer(watched.catalogue, watched.run)
        watched.grant_progress(scorer)
        longest = START_SECONDS
        if moments.random() < 0.8:
            await_claim(watched, attempt, scorer)
            longest = LIFE_SECONDS
        tally.ended(ending_of(scorer, moments.uniform(0, longest)), watched.where())
        tally.look(watched)
    if not watched.is_done:
        assert start_scorer(watched.catalogue, watched.run).wait(120) == 0


def kill_rivals(watched: Watched, moments: random.Random, tally: Tally) -> None:
    """Two that want the same run, one of which heeds nothing but claim and fence; whoever ends is started again."""
    starters = (start_scorer, start_rival)
    rivals = [start(watched.catalogue, watched.run) for start in starters]
    while not watched.is_done and tally.left() > 0:
        watched.grant_progress(*rivals)
        time.sleep(moments.uniform(0, LIFE_SECONDS))
        victim = moments.randrange(len(rivals))
        rivals[victim].kill()
        rivals[victim].wait()
        for place, rival in enumerate(rivals):
            if rival.poll() is not None:
                tally.ended(rival.wait(), watched.where())
                tally.look(watched)
                rivals[place] = starters[place](watched.catalogue, watched.run)
    for rival in rivals:
        tally.ended(rival.wait(120), "")
    if not watched.is_done:
        assert start_scorer(watched.catalogue, watched.run).wait(120) == 0


def kill_runners(watched: Watched, moments: random.Random, tally: Tally) -> None:
    """One runner after another, while the scorer that the first one started goes on."""
    while not watched.is_done and tally.left() > 0:
        runner = start_runner(watched.catalogue)
        tally.ended(ending_of(runner, moments.uniform(0, RUNNER_SECONDS)), watched.where())
        tally.look(watched)


def await_claim(watched: Watched, attempt: int, scorer: subprocess.Popen[bytes]) -> None:
    wait_until(
        lambda: run_now(watched.catalogue, watched.run).attempt > attempt or scorer.poll() is not None, what="the claim"
    )


def start_runner(catalogue: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "core.jobs.runner", str(catalogue)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
