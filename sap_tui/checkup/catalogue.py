"""Whether a catalogue is sound and lies where it should, how old its backups are, and what processes it left."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sap_tui.checkup.finding import Finding, bad, ok, warn

if TYPE_CHECKING:
    from core.domain import Run

LEAST_FREE_BYTES = 1 << 30
OLD_BACKUP_SECONDS = 7 * 86_400.0
MOST_PROBLEMS = 5
SCORER = "core.scorer"


def catalogue(path: Path) -> Iterator[Finding]:
    yield from _place(path)
    if not path.exists():
        yield ok("catalogue", f"no catalogue yet at {path}")
        return
    yield from _modes(path)
    yield from _invariants(path)
    yield from _backups(path)
    yield from _processes(path)


def _place(path: Path) -> Iterator[Finding]:
    from core.errors import SapError
    from core.private_files import check_own_file
    from core.store.file_systems import mount_of, probe, refuse_network

    folder = next(parent for parent in path.parents if parent.exists())
    mount = mount_of(folder)
    try:
        check_own_file(path)
        if refuse_network(path):
            yield warn(
                "file system",
                f"the catalogue is on a network file system ({mount.type if mount else ''})",
                "use it from one machine at a time, or move it to a local disk",
            )
        else:
            probe(folder)
            yield ok("file system", f"{folder} is on {mount.type if mount else 'a file system'} where SQLite works")
    except SapError as error:
        yield bad("file system", error.message, error.hint)
    except OSError as error:
        yield bad("file system", f"nothing can be written in {folder}: {error.strerror}", "choose another folder")
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free in {folder}"
    if free < LEAST_FREE_BYTES:
        yield bad("disk", text, "free some space: a run waits while the disk is full")
    else:
        yield ok("disk", text)


def _modes(path: Path) -> Iterator[Finding]:
    from core.settings import state_folder

    own = [path, *(Path(f"{path}{end}") for end in ("-wal", "-shm", ".wlock")), state_folder(path)]
    own += [each for folder in (state_folder(path),) for each in folder.rglob("*")]
    seen = []
    for each in own:
        with suppress(OSError):
            if stat.S_IMODE(each.lstat().st_mode) & 0o077:
                seen.append(each)
    if seen:
        yield warn("permissions", f"others may read {len(seen)} files (first: {seen[0]})", f"chmod go= {seen[0]}")
    else:
        yield ok("permissions", "only you can read the catalogue, its logs and backups")


def _invariants(path: Path) -> Iterator[Finding]:
    import sqlite3

    from core.errors import SapError
    from core.store.check import problems
    from core.store.damage import check_after_crash, explained
    from core.store.db import open_reader, read_only_reason, schema_version

    try:
        check_after_crash(path)
        version = schema_version(path)
        if reason := read_only_reason(path):
            yield bad("catalogue", reason.message, reason.hint)
        with closing(open_reader(path)) as reader:
            found = problems(reader)
    except (SapError, sqlite3.Error) as error:
        line = error if isinstance(error, SapError) else explained(error, path)
        yield bad("catalogue", line.message if line else str(error), line.hint if line else "")
        return
    for problem in found[:MOST_PROBLEMS]:
        yield bad("catalogue", problem, "restore a backup: sap-tui backup --list; and please report it")
    if len(found) > MOST_PROBLEMS:
        yield bad("catalogue", f"{len(found) - MOST_PROBLEMS} more of these", "")
    if not found:
        yield ok("catalogue", f"catalogue {path}, schema {version}")


def _backups(path: Path) -> Iterator[Finding]:
    from core.store.backups import backups

    found = backups(path)
    if not found:
        yield ok("backup", "no backup yet; the first run makes one, or: sap-tui backup")
        return
    newest, total = found[0], sum(each.size for each in found) / 2**20
    text = f"newest backup of {newest.shown_time}, {len(found)} kept, {total:,.1f} MiB"
    age = time.time() - newest.made_at
    if age > OLD_BACKUP_SECONDS and path.stat().st_mtime > newest.made_at:
        yield warn("backup", text, "make one: sap-tui backup")
    else:
        yield ok("backup", text)


def _processes(path: Path) -> Iterator[Finding]:
    from core.processes.launcher import runner_lives
    from core.store.file_systems import on_read_only_disk

    if on_read_only_disk(path):
        yield ok("runner", "no runner can work on a read-only disk")
        return
    if runner_lives(path):
        yield ok("runner", "a runner supervises the queue")
    elif left := _left_alone(path):
        text = f"no runner is at work, and run {left[0].id} is {left[0].shown}"
        yield warn("runner", text, "start one: sap-tui runs --watch")
    else:
        yield ok("runner", "no runner is needed at the moment")
    known = _known_scorers(path)
    for pid, memory in _scorers(path):
        where = f", {memory / 2**20:,.0f} MiB of GPU memory" if memory else ""
        if pid in known:
            yield ok("scorer", f"process {pid} scores or keeps its model{where}")
        else:
            yield warn("scorer", f"process {pid} scores for no run any more{where}", f"end it: kill {pid}")


def _left_alone(path: Path) -> list[Run]:
    """Runs that should go on and do not without a runner; a foreground run goes on by itself."""
    import sqlite3

    from core.errors import SapError
    from core.processes.identity import is_gone
    from core.store.db import open_reader
    from core.store.runs import run_by_id, unfinished_runs
    from sap_tui.commands.watching import goes_on

    try:
        with closing(open_reader(path)) as reader:
            found = [run_by_id(reader, run.id, is_gone) for run in unfinished_runs(reader)]
    except (SapError, sqlite3.Error, ValueError):
        return []
    return [run for run in found if goes_on(run) and (run.state == "queued" or run.shown in ("interrupted", "stalled"))]


def _known_scorers(path: Path) -> set[int]:
    """Processes that own a run or are registered with a loaded model."""
    import sqlite3

    from core.errors import SapError
    from core.processes.identity import is_alive
    from core.processes.scorers import living_scorers
    from core.store.db import open_reader
    from core.store.runs import unfinished_runs

    try:
        with closing(open_reader(path)) as reader:
            owners = [run.owner for run in unfinished_runs(reader) if run.owner and is_alive(run.owner)]
            return {owner.pid for owner in owners} | {scorer.identity.pid for scorer in living_scorers(reader)}
    except (SapError, sqlite3.Error, ValueError):
        return set()


def _scorers(path: Path) -> Iterator[tuple[int, int]]:
    """This user's scorers of this catalogue, with the bytes of GPU memory that each holds."""
    import psutil

    from core.gpu import memory_of_processes

    memory = memory_of_processes()
    for process in psutil.process_iter(["pid", "cmdline", "uids"]):
        command, uids = process.info["cmdline"] or [], process.info["uids"]
        if SCORER in command and str(path) in command and uids and uids.real == os.getuid():
            yield process.pid, memory.get(process.pid, 0)
