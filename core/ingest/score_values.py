"""Files of scores that other programs gave to responses: one value a response, in the layouts that are known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import InputError
from core.ingest.fields import read_id
from core.ingest.files import format_of, open_file, read_rows
from core.ingest.json_values import JsonValue, json_members, whole_json
from core.ingest.records import BadLine, Row, Unreadable, bad_line, kind_of, quoted
from core.text import visible

LARGEST = 1e150
NEEDED = "Needed: the columns strategy, id and value; or one strategy's values with --strategy."
# What the sample files of the rank-surprisal ratio's program call its columns. The ratio of a data set is that of the
# sums, so a response's ratio counts by its mean surprisal.
_ALIASES = {
    "id": ("id", "sample_id"),
    "value": ("value", "rank_surprisal_ratio"),
    "weight": ("weight", "avg_surprisal"),
}
_PER_DATA_SET = ("data_name", "target_model", "metric")


@dataclass(frozen=True, slots=True)
class ScoreValue:
    """One response's value. `id` is the question's, None where the file has values alone; then `place` counts them.

    `strategy` is empty where the file names none. A strategy's score is the mean of its values by their weights.
    """

    line: int
    strategy: str
    id: str | None
    place: int
    value: float
    weight: float = 1.0


def score_values(path: Path) -> Iterator[ScoreValue | BadLine]:
    """The values of a CSV, JSON Lines or JSON file, or of LLaMA-Factory's list of perplexities.

    Raises NotFoundError, or InputError where the file has another layout.
    """
    value = whole_json(path)
    if value is None:
        yield from _rows(path)
    elif isinstance(value.value, dict):
        yield from _nested(value)
    else:
        for place, member in enumerate(json_members(value)):
            yield _of_member(member, "", None, place)


def _rows(path: Path) -> Iterator[ScoreValue | BadLine]:
    with open_file(path) as stream:
        for place, row in enumerate(read_rows(path, format_of(path), stream)):
            if isinstance(row, BadLine):
                yield row
                continue
            names = {meaning: _name(row.fields, meaning) for meaning in _ALIASES}
            if not names["id"] or not names["value"]:
                raise InputError(_not_known(path, row), NEEDED)
            yield _of_row(row, place, names)


def _name(fields: Mapping[str, object], meaning: str) -> str:
    return next((name for name in _ALIASES[meaning] if name in fields), "")


def _of_row(row: Row, place: int, names: Mapping[str, str]) -> ScoreValue | BadLine:
    strategy = row.fields.get("strategy", "")
    try:
        key = read_id(row.fields, names["id"])
    except Unreadable as error:
        return bad_line(row.line, error.reason)
    if not isinstance(strategy, str) or (not strategy and "strategy" in row.fields):
        return bad_line(row.line, f"the strategy is {kind_of(strategy or None)}, not text")
    if key is None:
        return bad_line(row.line, "no id")
    weight = row.fields[names["weight"]] if names["weight"] else 1.0
    return _checked(ScoreValue(row.line, strategy, key, place, 0.0), row.fields[names["value"]], weight)


def _nested(whole: JsonValue) -> Iterator[ScoreValue | BadLine]:
    """{strategy: {id: value}}, or {id: value} of one strategy."""
    place = 0
    for outer in json_members(whole):
        of_strategy = isinstance(outer.value, dict)
        for member in json_members(outer) if of_strategy else [outer]:
            yield _of_member(member, outer.key if of_strategy else "", member.key, place)
            place += 1


def _of_member(member: JsonValue, strategy: str, key: str | None, place: int) -> ScoreValue | BadLine:
    if member.problem:
        return bad_line(member.line, member.problem)
    return _checked(ScoreValue(member.line, strategy, key, place, 0.0), member.value, 1.0)


def _checked(blank: ScoreValue, value: object, weight: object) -> ScoreValue | BadLine:
    try:
        filled = replace(blank, value=_number(value, "value"), weight=_number(weight, "weight"))
    except Unreadable as error:
        return bad_line(blank.line, error.reason)
    if filled.weight <= 0:
        return bad_line(blank.line, f"the weight {quoted(weight)} is not above 0")
    return filled


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unreadable(f"the {what} is {kind_of(value)}, not a number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise Unreadable(f"the {what} {quoted(value)} is not a number") from None
    if not math.isfinite(number) or abs(number) > LARGEST or (isinstance(value, str) and "_" in value):
        raise Unreadable(f"the {what} {quoted(value)} is not a usable number")
    return number


def _not_known(path: Path, row: Row) -> str:
    names = ", ".join(quoted(name) for name in list(row.fields)[:12])
    per_data_set = any(name.split("\t")[0] in _PER_DATA_SET for name in row.fields)
    what = "has one value a strategy, not one a question" if per_data_set else "has no column for the id and the value"
    return f"{visible(path.name)}:{row.line}: it {what}; its columns: {names}."
