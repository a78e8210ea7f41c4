"""Bringing files of responses into the catalogue."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.domain import digest
from core.errors import InputError, SapError, UsageError
from core.ingest.fields import FieldMap
from core.ingest.files import open_file
from core.ingest.source import OnProgress, Source, detect
from core.store import alignment, strategies
from core.store.alignment import Place
from core.store.db import Writer
from core.store.staging import BadLines, described, named_lines, refuse, stage, staging
from core.text import visible

EMPTY_RESPONSE = digest("response", "")
MEND_OR_SKIP = "Mend it, or leave such lines out with --skip-bad."


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """A file that is to become one strategy; empty texts leave what the catalogue says about the strategy."""

    path: Path
    strategy: str
    teacher: str = ""
    prompt: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. `skipped` counts the lines left out, `skipped_lines` names some, 100 of all its files.

    `fields` are the names of all fields in the file's first record.
    """

    task: str
    strategy: str
    detected: str
    fields: tuple[str, ...]
    responses: int
    new_questions: int
    replaced: bool
    skipped: int
    skipped_lines: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Staged:
    """A file that was read into the staging table."""

    file: int
    request: ImportRequest
    source: Source
    source_digest: bytes
    notes: Counter[str]
    bad: BadLines


def import_file(
    writer: Writer,
    path: Path,
    *,
    task: str,
    strategy: str,
    teacher: str = "",
    prompt: str = "",
    note: str = "",
    field_map: FieldMap | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Import one file as one strategy; see import_files."""
    request = ImportRequest(path, strategy, teacher, prompt, note)
    (report,) = import_files(
        writer,
        [request],
        task=task,
        field_map=field_map,
        skip_bad=skip_bad,
        replace=replace,
        on_progress=on_progress,
    )
    return report


def import_files(
    writer: Writer,
    requests: Sequence[ImportRequest],
    *,
    task: str,
    field_map: FieldMap | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    on_progress: OnProgress | None = None,
) -> list[ImportReport]:
    """Import files as strategies of one task, all of them or none.

    The files are read before the catalogue is locked. Raises UsageError, NotFoundError or InputError, which names the
    bad lines of all the files, and SapError when a strategy has responses already and `replace` is not set; then, and
    after any exception, nothing is kept.
    """
    _check_names(task, requests)
    _check_replaceable(writer.connection, task, requests, replace)
    with staging(writer.connection):
        staged = [
            _read(writer.connection, file, request, field_map, on_progress) for file, request in enumerate(requests)
        ]
        with writer.transaction() as connection:
            aligned = _align_all(connection, task, staged, replace)
            if not skip_bad:
                refuse([one.bad for one in staged], MEND_OR_SKIP)
            for each in aligned:
                _store(connection, each)
            return _reports(task, aligned)


def rehearse_files(
    writer: Writer,
    requests: Sequence[ImportRequest],
    *,
    task: str,
    field_map: FieldMap | None = None,
    replace: bool = False,
    on_progress: OnProgress | None = None,
) -> list[ImportReport | SapError]:
    """What import_files would do without the bad lines, and why it cannot read a file; nothing is kept.

    Raises what import_files raises for names and strategies.
    """
    _check_names(task, requests)
    _check_replaceable(writer.connection, task, requests, replace)
    with staging(writer.connection):
        found = [
            _read_or_why(writer.connection, file, request, field_map, on_progress)
            for file, request in enumerate(requests)
        ]
        staged = [one for one in found if isinstance(one, _Staged)]
        aligned: list[_Aligned] = []
        with suppress(_Undone), writer.transaction() as connection:
            aligned = _align_all(connection, task, staged, replace)
            raise _Undone
    reports = iter(_reports(task, aligned))
    return [one if isinstance(one, SapError) else next(reports) for one in found]


class _Undone(Exception):
    """Ends a transaction of which nothing is to stay."""


def _check_names(task: str, requests: Sequence[ImportRequest]) -> None:
    strategies.check_name("task", task)
    for request in requests:
        strategies.check_name("strategy", request.strategy)
    repeated = [name for name, times in Counter(request.strategy for request in requests).items() if times > 1]
    if repeated:
        raise UsageError(
            f"Two of the files would become the strategy {repeated[0]!r}.", "Import them one by one with --strategy."
        )


def _check_replaceable(
    connection: sqlite3.Connection, task: str, requests: Sequence[ImportRequest], replace: bool
) -> None:
    for request in () if replace else requests:
        existing = _existing(connection, task, request.strategy)
        if existing and existing["responses"]:
            raise SapError(
                f"The strategy {request.strategy!r} is in the task {task!r} already, with responses.",
                "Replace them with --replace, or choose another name with --strategy.",
            )


def _existing(connection: sqlite3.Connection, task: str, strategy: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        """SELECT s.* FROM strategies s JOIN tasks t ON t.id = s.task
           WHERE t.name = ? AND s.name = ? AND s.deleted_at IS NULL""",
        (task, strategy),
    ).fetchone()
    return found


def _read(
    connection: sqlite3.Connection,
    file: int,
    request: ImportRequest,
    field_map: FieldMap | None,
    on_progress: OnProgress | None,
) -> _Staged:
    source = detect(request.path, field_map)
    bad = BadLines(request.path)
    notes = stage(connection, file, source, bad, on_progress)
    with open_file(request.path) as stream:
        source_digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).digest()
    return _Staged(file, request, source, source_digest, notes, bad)


def _read_or_why(
    connection: sqlite3.Connection,
    file: int,
    request: ImportRequest,
    field_map: FieldMap | None,
    on_progress: OnProgress | None,
) -> _Staged | SapError:
    try:
        return _read(connection, file, request, field_map, on_progress)
    except SapError as error:
        return error


@dataclass(frozen=True, slots=True)
class _Target:
    """The strategy that a file's responses go to."""

    strategy: int
    replaced: bool


def _make_room(connection: sqlite3.Connection, task_id: int, request: ImportRequest) -> _Target:
    """The row of the strategy, without responses; earlier ones are kept where runs refer to them."""
    given = {"teacher": request.teacher, "prompt": request.prompt, "note": request.note}
    columns = {name: text for name, text in given.items() if text}
    row = connection.execute(
        "SELECT * FROM strategies WHERE task = ? AND name = ? AND deleted_at IS NULL", (task_id, request.strategy)
    ).fetchone()
    if row is None:
        return _Target(strategies.insert_strategy(connection, task_id, request.strategy, columns), False)
    if row["responses"]:
        strategies.retire_strategy(connection, row["id"])
        columns = {name: row[name] for name in ("teacher", "prompt", "note", "tags")} | columns
        return _Target(strategies.insert_strategy(connection, task_id, request.strategy, columns), True)
    strategies.update_strategy(connection, row["id"], columns)
    return _Target(row["id"], False)


@dataclass(frozen=True, slots=True)
class _Aligned:
    """A file whose questions are all in the task, and what is known of it then; its responses are not stored yet."""

    staged: _Staged
    target: _Target
    detected: str
    responses: int
    new_questions: int
    warnings: tuple[str, ...]


def _align_all(connection: sqlite3.Connection, task: str, staged: Sequence[_Staged], replace: bool) -> list[_Aligned]:
    requests = [one.request for one in staged]
    _check_replaceable(connection, task, requests, replace)
    task_id = strategies.find_or_add_task(connection, task)
    targets = [_make_room(connection, task_id, request) for request in requests]
    if any(target.replaced for target in targets):
        strategies.sweep_questions(connection, task_id)
    return [
        _align(connection, Place(one.file, task_id), one, target) for one, target in zip(staged, targets, strict=True)
    ]


def _align(connection: sqlite3.Connection, place: Place, staged: _Staged, target: _Target) -> _Aligned:
    alignment.find_questions(connection, place, staged.bad)
    other_ids = alignment.count_under_other_ids(connection, place)
    alignment.adopt_ids(connection, place)
    new_questions = alignment.add_questions(connection, place)
    other_answers = alignment.settle_answers(connection, place)
    (responses,) = connection.execute("SELECT count(*) FROM temp.staged WHERE file = ?", (place.file,)).fetchone()
    warnings = (
        *_warnings(connection, place, responses, new_questions, other_ids, other_answers),
        *(f"{note}: {count:,}." for note, count in staged.notes.items()),
    )
    detected = described(connection, place.file, staged.source)
    return _Aligned(staged, target, detected, responses, new_questions, warnings)


def _store(connection: sqlite3.Connection, aligned: _Aligned) -> None:
    staged, strategy = aligned.staged, aligned.target.strategy
    if not alignment.add_responses(connection, staged.file, strategy):
        name = visible(staged.request.path.name)
        raise InputError(f"{name} holds no usable record.", f"The first: {staged.bad.messages[0]}.")
    strategies.update_strategy(
        connection,
        strategy,
        {
            "source": visible(str(staged.request.path.absolute())),
            "source_digest": staged.source_digest,
            "responses": aligned.responses,
            "skipped_lines": staged.bad.count,
        },
    )


def _reports(task: str, aligned: Sequence[_Aligned]) -> list[ImportReport]:
    named = named_lines([each.staged.bad for each in aligned])
    return [
        ImportReport(
            task=task,
            strategy=each.staged.request.strategy,
            detected=each.detected,
            fields=each.staged.source.names,
            responses=each.responses,
            new_questions=each.new_questions,
            replaced=each.target.replaced,
            skipped=each.staged.bad.count,
            skipped_lines=lines,
            warnings=each.warnings,
        )
        for each, lines in zip(aligned, named, strict=True)
    ]


def _warnings(
    connection: sqlite3.Connection, place: Place, responses: int, new: int, other_ids: int, other_answers: int
) -> list[str]:
    (empty,) = connection.execute(
        "SELECT count(*) FROM temp.staged WHERE file = ? AND response_digest = ?", (place.file, EMPTY_RESPONSE)
    ).fetchone()
    (questions,) = connection.execute("SELECT count(*) FROM questions WHERE task = ?", (place.task,)).fetchone()
    return [
        text
        for count, text in (
            (new == responses < questions, "None of these questions was in the task before."),
            (other_ids, f"Questions that stand in the task under other ids too: {other_ids:,}."),
            (other_answers, f"Gold answers that differ from the task's, which stay: {other_answers:,}."),
            (empty, f"Empty responses, which become errors when scored: {empty:,}."),
        )
        if count
    ]
