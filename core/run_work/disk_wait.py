"""A full disk: what is computed waits in memory until there is space again, and the user is told."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core import clock
from core.jobs.claim import Claim, LostClaimError, StopWorkError, update_claimed
from core.store.db import Writer
from core.store.runs import DISK_FULL, run_by_id
from core.store.space import RESERVE_BYTES, free_bytes, give_reserve, is_disk_full, keep_reserve
from core.text import visible

DELAYS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
LOOK_SECONDS = 0.25


class DiskWait:
    """Repeats writes of one claimed run until there is space for them; `stopping` says that the process must end."""

    def __init__(self, writer: Writer, claim: Claim, stopping: Callable[[], bool]) -> None:
        self._writer = writer
        self._claim = claim
        self._stopping = stopping
        keep_reserve(writer.path)

    def patiently(self, write: Callable[[], None]) -> None:
        """Do the write, which leaves nothing behind when it fails, until the disk takes it.

        Raises StopWorkError for a user's wish, LostClaimError where somebody else owns the run now.
        """
        failures = 0
        while True:
            try:
                write()
            except sqlite3.Error as error:
                if not is_disk_full(error):
                    raise
            else:
                if failures:
                    keep_reserve(self._writer.path)
                return
            self._wait(DELAYS[min(failures, len(DELAYS) - 1)])
            failures += 1

    def _wait(self, seconds: float) -> None:
        """Until the delay is over and more than the reserve is free, or much more than before is."""
        give_reserve(self._writer.path)
        self._tell()
        free = free_bytes(self._writer.path)
        until = clock.awake() + seconds
        while True:
            time.sleep(LOOK_SECONDS)
            self._heed()
            now = free_bytes(self._writer.path)
            if now > 2 * RESERVE_BYTES and (clock.awake() >= until or now > free + 2 * RESERVE_BYTES):
                return

    def _tell(self) -> None:
        why = disk_full_words(self._writer.path)
        with suppress(sqlite3.Error), self._writer.transaction() as connection:
            update_claimed(connection, self._claim, why=why)

    def _heed(self) -> None:
        run = run_by_id(self._writer.connection, self._claim.run)
        if run.fence != self._claim.fence:
            raise LostClaimError(run.id)
        if self._stopping() or run.want != "run":
            raise StopWorkError(run.want)


def disk_full_words(catalogue: Path) -> str:
    free = free_bytes(catalogue) / 2**20
    return f"{DISK_FULL}: {free:.1f} MiB free in {visible(str(catalogue.parent))}. Scoring waits, nothing is lost."
