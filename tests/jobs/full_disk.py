"""`unshare -Urm python -m tests.jobs.full_disk FOLDER`: a run on a small disk that fills up meanwhile; prints JSON."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from core.domain import RunState
from core.processes.identity import is_alive
from core.processes.launcher import ensure_runner
from core.store.db import Writer
from core.store.runs import wish_cancel
from tests.conftest import end_processes, wait_until
from tests.jobs.helpers import all_scores, assert_sound, queue_run, run_now, start_scorer

METRICS = ("ppl", "nll")


def finished(catalogue: Path) -> set[tuple[object, ...]]:
    with sqlite3.connect(f"file:{catalogue}?mode=ro", uri=True) as reader:
        return set(reader.execute("SELECT run, number, state FROM run_items WHERE state <> 'planned'"))


def fill(disk: Path) -> Path:
    """Take every byte, in ever smaller pieces."""
    ballast = disk / "somebody else's file"
    with ballast.open("ab", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError:
                continue
    return ballast


def wait_for_disk_full(catalogue: Path, run: int) -> None:
    wait_until(lambda: run_now(catalogue, run).why.startswith("disk full"), 30, "the waiting")
    assert run_now(catalogue, run).shown == "waiting"


def main(folder: Path) -> dict[str, object]:
    disk, model = folder / "disk", folder / "stand-in-model"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)
    catalogue = disk / "catalogue.db"
    shutil.copy(folder / "catalogue.db", catalogue)
    shutil.copy(folder / "catalogue.db", folder / "undisturbed.db")
    first = queue_run(folder / "undisturbed.db", model, METRICS)
    assert start_scorer(folder / "undisturbed.db", first).wait(60) == 0
    run = queue_run(catalogue, model, METRICS)
    try:
        ensure_runner(catalogue)
        wait_until(lambda: run_now(catalogue, run).done > 4, what="the first chunks")
        ballast = fill(disk)
        wait_for_disk_full(catalogue, run)
        kept = finished(catalogue)
        attempt = run_now(catalogue, run).attempt
        ballast.unlink()
        freed = time.monotonic()
        wait_until(lambda: run_now(catalogue, run).state is RunState.DONE, 60, "the end of the run")
        resumed = time.monotonic() - freed
        assert_sound(catalogue)
        return {
            "kept": kept <= finished(catalogue),
            "same": all_scores(catalogue, run) == all_scores(folder / "undisturbed.db", first),
            "same attempt": run_now(catalogue, run).attempt == attempt,
            "seconds after space": round(resumed, 1),
            **cancelled(catalogue, disk, model),
        }
    finally:
        end_processes(catalogue)


def cancelled(catalogue: Path, disk: Path, model: Path) -> dict[str, object]:
    """A second and a third run on a full disk: one is cancelled, the other's process gets SIGTERM."""
    found: dict[str, object] = {}
    for how in ("cancel", "sigterm"):
        with Writer(catalogue) as writer, writer.transaction() as connection:
            connection.execute("DELETE FROM token_scores")
            connection.execute("DELETE FROM scores")
        run = queue_run(catalogue, model, METRICS)
        ensure_runner(catalogue)
        wait_until(lambda: run_now(catalogue, run).done > 4, what="the first chunks")  # noqa: B023
        ballast = fill(disk)
        wait_for_disk_full(catalogue, run)
        owner = run_now(catalogue, run).owner
        assert owner is not None
        started = time.monotonic()
        if how == "cancel":
            with Writer(catalogue) as writer, writer.transaction() as connection:
                wish_cancel(connection, run)
        else:
            os.kill(owner.pid, signal.SIGTERM)
        wait_until(lambda: not is_alive(owner), 20, "the end of the scorer")  # noqa: B023
        found[f"seconds to {how}"] = round(time.monotonic() - started, 1)
        ballast.unlink()
        wait_until(lambda: run_now(catalogue, run).state.ended, 60, "the end")  # noqa: B023
        found[how] = str(run_now(catalogue, run).state)
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
