"""Catalogues with a queued run of the stand-in engine: copied for every round of a loop, looked at after every kill."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from core.domain import RunState
from core.store.check import problems
from core.store.db import Writer, prepare
from core.store.importing import import_file
from tests.conftest import ROOT, wait_until, write_strategy
from tests.jobs.helpers import all_scores, queue_run, run_now, start_scorer

METRICS = ("sap", "ppl", "nll")
# More than cores: half of the time goes into waiting for disks and clocks.
LANES = 3
# A hundredth, say, to see whether all of it works before it is run in full.
SHARE = float(os.environ.get("SAP_TUI_TORTURE_SHARE", "1"))
FRUITLESS_DEATHS = 2
SENTENCES = {"plain": "It is {}.", "chatty": "Well, let me see, that makes {} altogether!"}

_FINISHED = """
SELECT run_items.number, run_items.state, run_items.fence, scores.id, nll_sum, arrays FROM run_items
JOIN runs ON runs.id = run_items.run
LEFT JOIN scores ON scores.spec = runs.spec AND scores.context = run_items.context
AND scores.response = run_items.response LEFT JOIN token_scores ON score = scores.id
WHERE run = ? AND run_items.state <> 'planned'
"""


def times(count: int) -> int:
    """How often something is repeated."""
    return max(2, round(SHARE * count))


@dataclass
class Prepared:
    """A catalogue with a run in the queue, and what that run gives when nothing disturbs it."""

    catalogue: Path
    run: int
    expected: list[tuple[object, ...]] = field(default_factory=list)

    def copy(self, folder: Path) -> Path:
        """The same catalogue in a new folder of its own."""
        folder.mkdir(parents=True)
        path = folder / "catalogue.db"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(self.catalogue)) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)
        return path


def prepared(folder: Path, model: Path, questions: int = 24, metrics: tuple[str, ...] = METRICS) -> Prepared:
    """Import two strategies, queue a run, and do it in a copy."""
    path = folder / "prepared.db"
    prepare(path)
    with Writer(path) as writer:
        for name, sentence in SENTENCES.items():
            file = write_strategy(folder / f"{name}.jsonl", [sentence.format(2 * n) for n in range(questions)])
            import_file(writer, file, task="sums", strategy=name)
    found = Prepared(path, queue_run(path, model, metrics, answer_filter=False))
    copy = found.copy(folder / "undisturbed")
    assert start_scorer(copy, found.run).wait(120) == 0
    found.expected = all_scores(copy, found.run)
    return found


class Watched:
    """A run that is looked at after every kill: sound, nothing lost, nothing scored a second time."""

    def __init__(self, catalogue: Path, run: int) -> None:
        self.catalogue, self.run = catalogue, run
        self._seen: dict[int, tuple[object, ...]] = {}
        self._fruitless = 0

    def look(self) -> list[str]:
        """What is wrong now: broken invariants, and scores that vanished or were written again since the last look."""
        with closing(sqlite3.connect(self.catalogue)) as reader:
            reader.row_factory = sqlite3.Row
            found = problems(reader)
            now = {row[0]: tuple(row)[1:] for row in reader.execute(_FINISHED, (self.run,))}
        self._fruitless = self._fruitless + 1 if len(now) == len(self._seen) else 0
        found += [
            f"sample {number} was lost or doubled" for number, row in self._seen.items() if now.get(number) != row
        ]
        self._seen = now
        return found

    def grant_progress(self, *workers: subprocess.Popen[bytes]) -> None:
        """After some deaths in a row that came to nothing, wait until one of the workers has scored something.

        A sample that is alone at two deaths counts as their reason, and these loops are about innocent ones.
        """
        if self._fruitless >= FRUITLESS_DEATHS:
            done = len(self._seen)

            def has_progress_or_ended() -> bool:
                ended = all(each.poll() is not None for each in workers)
                return ended or run_now(self.catalogue, self.run).done > done

            wait_until(has_progress_or_ended, what="progress")

    @property
    def is_done(self) -> bool:
        return run_now(self.catalogue, self.run).state is RunState.DONE

    def where(self) -> str:
        """What a killed process was at, by the row it left."""
        row = run_now(self.catalogue, self.run)
        return row.phase if row.state is RunState.RUNNING else str(row.state)


def rounds(count: int, folder: Path, one_round: Callable[[Path, random.Random, Tally], None]) -> Tally:
    """Repeat a round in folders of its own until so many kills hit, several at a time; the first failure is raised."""
    tally = Tally(count)
    numbers = iter(range(10_000))

    def lane() -> None:
        while tally.left() > 0:
            number = next(numbers)
            one_round(folder / f"round-{number}", random.Random(number), tally)

    with ThreadPoolExecutor(LANES) as pool:
        for future in [pool.submit(lane) for _ in range(LANES)]:
            future.result()
    return tally


class Tally:
    """Counts of what happened in all rounds so far; rounds in several threads share it."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._lock = wanted, threading.Lock()
        self.kills = 0
        self.where: Counter[str] = Counter()
        self.exit_codes: Counter[int] = Counter()
        self.rounds = 0
        self.looks = 0
        self.problems: list[str] = []

    def left(self) -> int:
        return self._wanted - self.kills

    def ended(self, code: int, where: str) -> None:
        with self._lock:
            self.exit_codes[code] += 1
            if code == -signal.SIGKILL:
                self.kills += 1
                self.where[where] += 1

    def look(self, watched: Watched) -> None:
        found = watched.look()
        with self._lock:
            self.looks += 1
            self.problems += found

    def finish(self, watched: Watched, expected: list[tuple[object, ...]]) -> None:
        """Wait for the end of a round's run, look once more and compare every bit."""
        wait_until(lambda: watched.is_done, 120, "the end of the run")
        self.look(watched)
        assert all_scores(watched.catalogue, watched.run) == expected
        with self._lock:
            self.rounds += 1

    def figures(self) -> dict[str, object]:
        return {
            "kills": self.kills, "killed while": dict(self.where.most_common()),
            "exit codes": {str(code): count for code, count in sorted(self.exit_codes.items())},
            "looks": self.looks, "problems found": len(self.problems), "runs with equal bits": self.rounds,
        }  # fmt: skip


def ending_of(process: subprocess.Popen[bytes], seconds: float) -> int:
    """The exit code of a process that ends by itself, or is killed when so many seconds are over."""
    try:
        return process.wait(max(seconds, 0.0))
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def start_rival(catalogue: Path, run: int) -> subprocess.Popen[bytes]:
    """A scorer that takes no device, as one in the foreground does: only claim and fence keep it apart from others."""
    log = catalogue.with_suffix(".rival.log")
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.torture.rival", str(catalogue), str(run)],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True, cwd=ROOT,
        )  # fmt: skip


def slowly(seconds: float) -> str:
    """SAP_TUI_FAKE for an engine that takes so long for a group."""
    return json.dumps({"delay_s": seconds})
