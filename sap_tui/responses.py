"""The thread that reads a strategy's responses for the screen: the pages that are seen, and one response in full."""

from __future__ import annotations

import sqlite3
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from textual.message import Message

from core.errors import SapError
from core.store.catalogue import Sample, question, response
from core.store.damage import explained
from core.store.db import open_reader
from core.store.pages import ResponseQuery, ResponseRow, last_response_page, ordered_keys, response_rows
from sap_tui.widgets.paged_rows import PAGE_ROWS
from sap_tui.widgets.records import Record

KEYS_AT_ONCE = 5_000
MOST_WANTED = 8
SECONDS_BETWEEN_COUNTS = 0.2
BREATH_SECONDS = 0.002


@dataclass
class PageRead(Message):
    """The rows of a page."""

    query: ResponseQuery
    number: int
    records: list[Record]


@dataclass
class Counted(Message):
    """How many responses were found so far."""

    query: ResponseQuery
    count: int
    finished: bool


@dataclass
class SampleRead(Message):
    """A response in full with its question; None when it is gone."""

    key: int
    sample: Sample | None


@dataclass
class ReadingFailed(Message):
    """Why nothing can be read."""

    problem: str


class ResponseReader:
    """Answers with messages. The order is found once for every query, as keys; pages are then read by their keys."""

    def __init__(
        self, catalogue: Path, post: Callable[[Message], object], record: Callable[[ResponseRow], Record], count: int
    ) -> None:
        self._catalogue = catalogue
        self._post = post
        self._record = record
        self._count = count
        self._changed = threading.Condition()
        self._ending = False
        self._query: ResponseQuery | None = None
        self._wanted: list[int] = []
        self._sample: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._now: ResponseQuery | None = None
        self._keys = array("q")
        self._rest: Iterator[int] | None = None
        self._counted_at = 0.0
        self._thread = threading.Thread(target=self._work, name="responses", daemon=True)
        self._thread.start()

    def ask(self, query: ResponseQuery) -> None:
        """From now on pages are those of this query; what was still looked for is given up."""
        with self._changed:
            self._query, self._wanted = query, []
            self._interrupt()
            self._changed.notify()

    def want(self, page: int) -> None:
        """Have a page read; the newest wish first, and the oldest are forgotten."""
        with self._changed:
            if page not in self._wanted:
                self._wanted = [*self._wanted, page][-MOST_WANTED:]
                self._changed.notify()

    def look_at(self, key: int) -> None:
        """Have a response read in full."""
        with self._changed:
            self._sample = key
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._ending = True
            self._interrupt()
            self._changed.notify()
        self._thread.join(timeout=2.0)

    def _interrupt(self) -> None:
        if self._connection is not None:
            self._connection.interrupt()

    def _work(self) -> None:
        while not self._ending:
            try:
                self._step()
            except (SapError, sqlite3.Error, OSError) as error:
                if getattr(error, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
                    self._fail(str(explained(error, self._catalogue) or error))
        if self._connection is not None:
            self._connection.close()

    def _fail(self, problem: str) -> None:
        self._now, self._rest, self._wanted, self._sample = self._query, None, [], None
        self._post(ReadingFailed(problem))

    def _step(self) -> None:
        with self._changed:
            self._changed.wait_for(self._has_work)
            query, sample = self._query, self._sample
            page = next((page for page in reversed(self._wanted) if self._reachable(page)), None)
        if self._ending or query is None:
            return
        if self._connection is None:
            self._connection = open_reader(self._catalogue)
        if query is not self._now:
            # An interrupted query keeps its connection interrupted until its cursor is gone.
            self._rest, self._now, self._keys = None, query, array("q")
            self._rest = ordered_keys(self._connection, query)
        elif page is not None:
            self._read_page(self._connection, query, page)
        elif sample is not None:
            self._read_sample(self._connection, query, sample)
        elif self._rest is not None:
            self._read_keys(query, self._rest)
            # The screen is drawn meanwhile, and shares this process.
            time.sleep(BREATH_SECONDS)

    def _has_work(self) -> bool:
        if self._ending:
            return True
        if self._query is None:
            return False
        fresh = self._query is not self._now or self._rest is not None
        return fresh or self._sample is not None or any(self._reachable(page) for page in self._wanted)

    def _reachable(self, page: int) -> bool:
        return self._rest is None or (page + 1) * PAGE_ROWS <= len(self._keys) or self._is_near_end(page)

    def _is_near_end(self, page: int) -> bool:
        """Whether the page is one of the last two in an order that an index has, which need no keys."""
        query = self._now
        indexed = query is not None and not query.contains and query.sort in ("position", "characters")
        return indexed and 0 < self._count - page * PAGE_ROWS <= 2 * PAGE_ROWS

    def _read_page(self, reader: sqlite3.Connection, query: ResponseQuery, page: int) -> None:
        first = page * PAGE_ROWS
        keys = self._keys[first : first + PAGE_ROWS]
        if self._rest is not None and len(keys) < PAGE_ROWS:
            rows = last_response_page(reader, query, limit=self._count - first)[:PAGE_ROWS]
        else:
            rows = response_rows(reader, query, keys)
        self._post(PageRead(query, page, [self._record(row) for row in rows]))
        with self._changed:
            self._wanted = [each for each in self._wanted if each != page]

    def _read_keys(self, query: ResponseQuery, rest: Iterator[int]) -> None:
        before = len(self._keys)
        self._keys.extend(islice(rest, KEYS_AT_ONCE))
        finished = len(self._keys) - before < KEYS_AT_ONCE
        if finished:
            self._rest = None
        if finished or not before or time.monotonic() - self._counted_at > SECONDS_BETWEEN_COUNTS:
            self._counted_at = time.monotonic()
            self._post(Counted(query, len(self._keys), finished))

    def _read_sample(self, reader: sqlite3.Connection, query: ResponseQuery, key: int) -> None:
        found = response(reader, query.strategy, key)
        self._post(SampleRead(key, Sample(question(reader, key), found) if found else None))
        with self._changed:
            if self._sample == key:
                self._sample = None
