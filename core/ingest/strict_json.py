"""JSON without its ambiguities: no NaN, no infinity, no repeated key."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import NamedTuple

from core.ingest.records import Unreadable, quoted

_SPACE = re.compile(r"[ \t\n\r]*")


class Decoded(NamedTuple):
    """A JSON value, the index behind it, and what is wrong with it although its syntax is right."""

    value: object
    end: int
    problem: str


class StrictDecoder:
    """Decodes one value after the other from a text."""

    def __init__(self) -> None:
        self._problem = ""
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_float=self._float,
            parse_int=self._int,
        )

    def decode(self, text: str, start: int = 0) -> Decoded:
        """The value that starts at `start`. Raises Unreadable where the syntax is wrong."""
        self._problem = ""
        try:
            value, end = self._decoder.raw_decode(text, skip_space(text, start))
        except json.JSONDecodeError as error:
            raise Unreadable(f"not JSON: {error.msg} at column {error.colno}") from error
        except RecursionError:
            raise Unreadable("nested too deep") from None
        return Decoded(value, end, self._problem)

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            (repeated, _), *_ = Counter(name for name, _ in pairs).most_common(1)
            self._note(f"the key {quoted(repeated)} stands twice in one object")
        return fields

    def _constant(self, name: str) -> float:
        self._note(f"{name} is not a JSON number")
        return math.nan

    def _float(self, digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            self._note(f"the number {quoted(digits)} is too large")
        return value

    def _int(self, digits: str) -> int:
        try:
            return int(digits)
        except ValueError:
            self._note(f"a number has {len(digits)} digits")
            return 0

    def _note(self, problem: str) -> None:
        self._problem = self._problem or problem


def skip_space(text: str, start: int) -> int:
    """The index of the first character from `start` that is not JSON white space."""
    match = _SPACE.match(text, start)
    return match.end() if match else start
