"""A file of responses: what it is found to be, and its records."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from core.errors import InputError
from core.ingest import alpaca, openai_messages, sharegpt, tidy
from core.ingest.fields import FieldMap, read_answer, read_id
from core.ingest.files import Format, format_of, is_same_file, open_file, read_rows
from core.ingest.layout import Layout, check_storable
from core.ingest.records import BadLine, Record, Row, Unreadable, bad_line, quoted
from core.text import visible


class LayoutModule(Protocol):
    """A module that knows one layout."""

    def recognize(self, fields: Mapping[str, object]) -> Layout | None:
        """The layout, if a row's fields look like it."""
        ...


LAYOUTS: tuple[LayoutModule, ...] = (tidy, alpaca, sharegpt, openai_messages)
LINES_TO_JUDGE_BY = 100
PROGRESS_EVERY = 1000

OnProgress = Callable[[int, float], None]
"""Called with the number of rows read and the share of the file that is read; what it raises ends the reading."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file with its format, its layout and the names of its other fields; an empty name means that none is read.

    `names` are those of all fields in its first record. With `has_ids` every record has an id; without, none.
    """

    path: Path
    format: Format
    layout: Layout
    id_field: str
    answer_field: str
    has_ids: bool
    names: tuple[str, ...]

    @property
    def description(self) -> str:
        """What the file was found to be, as one line for a person."""
        ids = f"ids from {quoted(self.id_field)}" if self.has_ids else "no ids (aligned by the question's text)"
        return f"{self.format.NAME}; {self.layout.description}; {ids}"

    def described(self, records: int, answers: int) -> str:
        """The description, and how many of the file's records have a gold answer, which only reading it tells."""
        if not answers:
            return f"{self.description}; no gold answers"
        some = f" ({answers:,} of {records:,})" if answers < records else ""
        return f"{self.description}; gold answers from {quoted(self.answer_field)}{some}"

    def records(self, on_progress: OnProgress | None = None) -> Generator[Record | BadLine, None, None]:
        """One record or bad line for every row of the file, in its order.

        Raises InputError when the rest of the file cannot be read, or when the file changed meanwhile.
        """
        wanted = (*self.layout.fields, self.id_field, self.answer_field)
        with open_file(self.path) as stream:
            before = os.fstat(stream.fileno())
            number = 0
            for number, row in enumerate(read_rows(self.path, self.format, stream, wanted), 1):
                yield row if isinstance(row, BadLine) else self._record(row)
                if on_progress and number % PROGRESS_EVERY == 0:
                    on_progress(number, min(stream.tell() / before.st_size, 0.999))
            if on_progress:
                on_progress(number, 1.0)
        if not is_same_file(self.path, before):
            raise InputError(f"{visible(self.path.name)} changed while it was read.", "Import it when it is complete.")

    def _record(self, row: Row) -> Record | BadLine:
        try:
            sample = self.layout.read(row.fields)
            identifier = read_id(row.fields, self.id_field)
            if (identifier is not None) != self.has_ids:
                raise Unreadable(
                    "no id, although the file has ids" if self.has_ids else "an id, the first record has none"
                )
            answer = read_answer(row.fields, self.answer_field)
            for turn in sample.turns:
                check_storable(turn.content, "question")
            for name, text in (("response", sample.response), ("id", identifier), ("gold answer", answer)):
                check_storable(text or "", name)
        except Unreadable as error:
            return bad_line(row.line, error.reason)
        return Record(row.line, identifier, sample.turns, sample.response, answer, sample.note)


def detect(path: Path, field_map: FieldMap | None = None) -> Source:
    """Find out a file's format and layout from its name and the first row that has one; `field_map` names fields by
    meaning.

    Raises NotFoundError or InputError.
    """
    given = field_map or {}
    id_field, answer_field = given.get("id", "id"), given.get("answer", "answer")
    format_ = format_of(path)
    fields = _telling_fields(path, format_, given)
    _check_given(path, given, fields)
    return Source(
        path=path,
        format=format_,
        layout=_layout(path, given, fields),
        id_field=id_field,
        answer_field=answer_field,
        has_ids=bool(id_field) and fields.get(id_field) not in (None, ""),
        names=tuple(fields),
    )


def preview(path: Path, field_map: FieldMap | None = None, limit: int = 20) -> tuple[Source, list[Record | BadLine]]:
    """What the file is found to be, and its first records. Raises NotFoundError or InputError."""
    source = detect(path, field_map)
    with closing(source.records()) as records:
        return source, list(islice(records, limit))


def _telling_fields(path: Path, format_: Format, given: FieldMap) -> Mapping[str, object]:
    """Those of the first row that has a layout; where none of the first rows has one, of the first that can be read."""
    first: Row | None = None
    bad: BadLine | None = None
    with open_file(path) as stream, closing(read_rows(path, format_, stream)) as rows:
        for row in islice(rows, LINES_TO_JUDGE_BY):
            if isinstance(row, BadLine):
                bad = bad or row
            elif set(filter(None, given.values())) <= row.fields.keys() and _find_layout(given, row.fields):
                return row.fields
            else:
                first = first or row
    if first:
        return first.fields
    if bad:
        raise InputError(f"{bad.message(path)}.", "None of its first lines can be read; is it the right file?")
    raise InputError(f"{visible(path.name)} holds no records.", "Check how it was made.")


def _check_given(path: Path, given: FieldMap, fields: Mapping[str, object]) -> None:
    for meaning, field in given.items():
        if field and field not in fields:
            raise InputError(
                f"{visible(path.name)} has no field {quoted(field)} for the {meaning}.",
                f"Its fields: {names_in_words(fields)}.",
            )


def _layout(path: Path, given: FieldMap, fields: Mapping[str, object]) -> Layout:
    found = _find_layout(given, fields)
    if found is None:
        raise InputError(
            f"{visible(path.name)} has no layout that is known; its fields: {names_in_words(fields)}.",
            "Say which is which: --map question=FIELD,response=FIELD",
        )
    return found


def _find_layout(given: FieldMap, fields: Mapping[str, object]) -> Layout | None:
    recognized = (module.recognize(fields) for module in LAYOUTS)
    found = next((layout for layout in recognized if layout), None)
    if "question" in given or "response" in given:
        known = found if isinstance(found, tidy.Tidy) else tidy.Tidy()
        found = tidy.Tidy(given.get("question", known.question), given.get("response", known.response))
    return None if isinstance(found, tidy.Tidy) and not fields.keys() >= set(found.fields) else found


def names_in_words(fields: Iterable[str]) -> str:
    """At most 12 names, quoted, and how many more there are."""
    names = [quoted(name) for name in fields]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
