"""Every write and every sync of a run fails once, and images of the catalogue as a crash might leave it."""

from __future__ import annotations

import fcntl
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from core.domain import RunState
from core.store.check import problems
from core.store.db import Writer
from core.store.runs import wish_resume
from tests.conftest import wait_until
from tests.jobs.helpers import all_scores, run_now, start_scorer
from tests.torture.runs import LANES, Prepared, Watched, prepared, slowly, times

IMAGES = 150
IMAGES_A_SNAPSHOT = 10
RESUMED_EVERY = 10
EARLY = 3
KILL, ERRORS = "signal=KILL", ("error=EIO", "error=ENOSPC")
CALLS = ("pwrite64", "fdatasync")

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="NOT TESTED: strace is not installed")


@pytest.fixture
def queued(tmp_path: Path, stand_in_model: Path) -> Prepared:
    return prepared(tmp_path, stand_in_model, questions=3, metrics=("sap",))


@needs_strace
def test_every_write_and_sync_fails_once(queued: Prepared, tmp_path: Path, figures: dict[str, object]) -> None:
    """SIGKILL at the N-th write or sync of a run, and EIO or ENOSPC in turns, for every N, by strace"""
    trace = traced(queued.copy(tmp_path / "counted"), queued.run, "-e", f"trace={','.join(CALLS)}")
    counts = {call: sum(f"{call}(" in line for line in trace) for call in CALLS}
    places = [
        (call, fault, n)
        for call in CALLS
        for n in range(1, counts[call] + 1)
        for fault in (KILL, ERRORS[n % len(ERRORS)])
    ]
    places = random.Random(0).sample(places, times(len(places)))
    endings: Counter[str] = Counter()
    found: list[str] = []

    def fail_once(place: tuple[str, str, int]) -> None:
        call, fault, n = place
        watched = Watched(queued.copy(tmp_path / f"{call}-{fault}-{n}"), queued.run)
        code = inject(watched.catalogue, queued.run, f"{call}:{fault}:when={n}")
        endings[f"{fault.partition('=')[2]}, code {code}"] += 1
        found.extend(f"{place}: {problem}" for problem in watched.look())
        finish(watched)
        found.extend(f"{place}, resumed: {problem}" for problem in watched.look())
        if all_scores(watched.catalogue, queued.run) != queued.expected:
            found.append(f"{place}: other bits")
        shutil.rmtree(watched.catalogue.parent)

    with ThreadPoolExecutor(LANES) as pool:
        list(pool.map(fail_once, places))
    figures.update(
        {"writes": counts["pwrite64"], "syncs": counts["fdatasync"], "faults": len(places),
         "problems found": len(found), "endings": dict(sorted(endings.items()))}
    )  # fmt: skip
    assert found == []
    assert endings["KILL, code -9"] == sum(fault == KILL for _, fault, _ in places), "a fault did not happen"


@needs_strace
def test_a_commit_is_synced_before_anybody_knows_of_it(
    queued: Prepared, tmp_path: Path, figures: dict[str, object]
) -> None:
    """the log is synced before its lock is let go and before a page of the catalogue itself is written, by strace"""
    catalogue = queued.copy(tmp_path / "oracle")
    arguments = ("-y", "-e", "trace=pwrite64,fdatasync,fsync,flock")
    lines = traced(catalogue, queued.run, *arguments)
    lines += traced(catalogue, queued.run, *arguments, module="tests.torture.closing")
    dirty, commits, checkpoints, early = False, 0, 0, 0
    for call, path, line in calls(lines):
        if path == f"{catalogue}-wal":
            commits += dirty and call == "fdatasync"
            dirty = call == "pwrite64"
        elif (path == f"{catalogue}.wlock" and "LOCK_UN" in line) or (path == str(catalogue) and call == "pwrite64"):
            early += dirty
            checkpoints += call == "pwrite64"
    figures.update({"syncs of the log": commits, "pages checkpointed": checkpoints, "too early": early})
    assert early == 0
    assert commits > 10
    assert checkpoints > 10


def test_images_of_a_crash(
    tmp_path: Path, stand_in_model: Path, figures: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """the log of a working writer, cut, flipped or zeroed at a random byte"""
    queued = prepared(tmp_path, stand_in_model)
    with monkeypatch.context() as patch:
        patch.setenv("SAP_TUI_FAKE", slowly(0.2))
        taken = snapshots(queued.copy(tmp_path / "working"), queued.run, tmp_path, IMAGES // IMAGES_A_SNAPSHOT)
    chances, expected = random.Random(0), {row[0]: row for row in queued.expected}
    visible: Counter[int] = Counter()
    found: list[str] = []
    resumed = 0
    for number, snapshot in enumerate(taken):
        for place in range(IMAGES_A_SNAPSHOT):
            image = tmp_path / f"image-{number}-{place}" / "catalogue.db"
            shutil.copytree(snapshot, image.parent)
            damage(Path(f"{image}-wal"), chances)
            with closing(sqlite3.connect(image)) as reader:
                reader.row_factory = sqlite3.Row
                found += problems(reader)
            rows = [row for row in all_scores(image, queued.run) if row[3] != "planned"]
            found += [f"{image}: sample {row[0]} has other bits" for row in rows if row != expected[row[0]]]
            visible[len(rows)] += 1
            if place % RESUMED_EVERY == 0:
                resumed += 1
                finish(Watched(image, queued.run))
                found += [] if all_scores(image, queued.run) == queued.expected else [f"{image}: resumed to other bits"]
            shutil.rmtree(image.parent)
    figures.update(
        {"images": sum(visible.values()), "samples visible": f"0 to {max(visible)} of {len(expected)}",
         "resumed with equal bits": resumed, "problems found": len(found)}
    )  # fmt: skip
    assert found == []
    assert sum(visible.values()) == IMAGES
    assert len(visible) > 5, "the images are all alike"


def traced(catalogue: Path, run: int, *arguments: str, module: str = "core.scorer") -> list[str]:
    """The lines that strace writes about a process that ends well."""
    out = catalogue.with_suffix(f".{module}.trace")
    assert strace(catalogue, run, "-o", str(out), *arguments, module=module) == 0
    return out.read_text(encoding="utf-8", errors="replace").splitlines()


def inject(catalogue: Path, run: int, fault: str) -> int:
    return strace(catalogue, run, "-o", "/dev/null", "-e", f"inject={fault}")


def strace(catalogue: Path, run: int, *arguments: str, module: str = "core.scorer") -> int:
    log = catalogue.with_suffix(".log")
    with log.open("ab") as stream:
        program = [sys.executable, "-m", module, str(catalogue), str(run), str(log)]
        return subprocess.run(
            ["strace", "-f", "--seccomp-bpf", *arguments, *program],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True, timeout=120,
        ).returncode  # fmt: skip


def calls(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Call, path of its file and whole line; a call that another thread interrupted counts where it ends."""
    begun: dict[str, str] = {}
    for line in lines:
        pid, _, rest = line.partition(" ")
        if "<unfinished" in rest:
            begun[pid] = rest.split("<unfinished")[0]
            continue
        if "resumed>" in rest:
            rest = begun.pop(pid) + rest.split("resumed>")[1]
        match = re.match(r"\s*(\w+)\(\d+<([^>]*)>", rest)
        if match:
            yield match[1], match[2], rest


def finish(watched: Watched) -> None:
    """Whatever became of the run, the user resumes it and it is done."""
    if run_now(watched.catalogue, watched.run).state is RunState.FAILED:
        with Writer(watched.catalogue) as writer, writer.transaction() as connection:
            wish_resume(connection, watched.run)
    if not watched.is_done:
        assert start_scorer(watched.catalogue, watched.run).wait(120) == 0
    assert watched.is_done


def snapshots(catalogue: Path, run: int, folder: Path, count: int) -> list[Path]:
    """Copies of catalogue and log while a scorer works, each after another commit and none during one.

    The log stays so short that nothing of it was moved into the catalogue: whatever is damaged in it, a crash before
    its sync could have damaged too.
    """
    before, log, size, done = catalogue.read_bytes(), Path(f"{catalogue}-wal"), 0, 0
    scorer = start_scorer(catalogue, run)
    taken = []
    for number in range(count):
        # Most of them while it scores: how the run begins takes many commits.
        wait_until(lambda: log.exists() and log.stat().st_size > size, what="a commit")  # noqa: B023
        wait_until(lambda: number < EARLY or run_now(catalogue, run).done > done, what="scores")  # noqa: B023
        done = run_now(catalogue, run).done
        taken.append(folder / f"snapshot-{number}")
        taken[-1].mkdir()
        with open(f"{catalogue}.wlock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for file in (catalogue, log):
                shutil.copy(file, taken[-1])
            size = log.stat().st_size
        assert (taken[-1] / catalogue.name).read_bytes() == before, "a checkpoint came in between"
    assert scorer.poll() is None, "the run was too short"
    scorer.kill()
    scorer.wait()
    return taken


def damage(log: Path, chances: random.Random) -> None:
    content = bytearray(log.read_bytes())
    # Half of them near the end, where a crash does its damage.
    place = chances.randrange(chances.choice([0, len(content) * 3 // 4]), len(content))
    way = chances.randrange(3)
    if way == 0:
        del content[place:]
    elif way == 1:
        content[place] ^= 1 << chances.randrange(8)
    else:
        content[place : place + 4096] = bytes(len(content[place : place + 4096]))
    log.write_bytes(bytes(content))
