"""A text with its tokens as lines of cells: hidden characters made visible, wrapped, no character torn apart."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, split_graphemes

from sap_tui.cells import on_screen_characters

TAB = "    "
LINE_BREAK = "⏎"
_LAYOUT = {"\t": TAB, "\n": f"{LINE_BREAK}\n"}
_PRINTABLE = re.compile(r"[ -~]*")
# A word with the space behind it; a character of a script that is written without spaces; other white space.
_SPACELESS = "⺀-퟿豈-﫿︰-﹏＀-￯"
_CHUNK = re.compile(rf"[^\s{_SPACELESS}]+ ?|[{_SPACELESS}]|\s")


@dataclass(frozen=True, slots=True)
class TokenLines:
    """What is shown of a text of T tokens; all places are in characters of `text`.

    `ends` (T,) are the places behind the tokens, `lines` (start, end) pairs. A token of a part of a character is empty.
    """

    text: str
    ends: array[int]
    lines: Sequence[tuple[int, int]]

    def token_at(self, place: int) -> int:
        """The token that this character belongs to."""
        return min(bisect_right(self.ends, place), len(self.ends) - 1)

    def start(self, token: int) -> int:
        return self.ends[token - 1] if token else 0

    def span(self, token: int) -> tuple[int, int]:
        """The characters of a token; those of the next one that has any for a token without."""
        start = self.start(token)
        return start, next((self.ends[each] for each in range(token, len(self.ends)) if self.ends[each] > start), start)

    def line_of(self, place: int) -> int:
        """The line on which a character stands."""
        return max(0, bisect_right(self.lines, (place, len(self.text))) - 1)

    def pieces(self, line: int) -> Iterator[tuple[int, str]]:
        """The tokens of a line with what of them stands there; one piece (-1, line) without tokens."""
        start, stop = self.lines[line]
        if not self.ends:
            yield -1, self.text[start:stop]
            return
        while start < stop:
            token = self.token_at(start)
            end = stop if token == len(self.ends) - 1 else min(stop, self.ends[token])
            yield token, self.text[start:end]
            start = end


def token_lines(text: str, ends: Sequence[int] | None, width: int) -> TokenLines:
    """The text wrapped at `width` cells, with the places behind its tokens; without them as it is."""
    shown, places = _shown(text, ends or ())
    return TokenLines(shown, places, tuple(_wrapped(shown, max(2, width))))


def _shown(text: str, ends: Sequence[int]) -> tuple[str, array[int]]:
    """The text with everything visible, and the ends of the tokens in it."""
    if _PRINTABLE.fullmatch(text):
        return text, array("l", ends)
    pieces, places = [], array("l", [0])
    for character, sign in zip(text, on_screen_characters(text, multiline=True), strict=True):
        pieces.append(_LAYOUT.get(character, sign))
        places.append(places[-1] + len(pieces[-1]))
    shown = "".join(pieces)
    whole = _whole_characters(shown)
    return shown, array("l", [whole[places[min(end, len(text))]] for end in ends])


def _whole_characters(shown: str) -> array[int]:
    """For every place in the text the next one that is not within what is drawn as one character."""
    places = array("l", [0])
    start = 0
    for paragraph in shown.split("\n"):
        for _, end, _ in split_graphemes(paragraph)[0]:
            places.extend([start + end] * (start + end - len(places) + 1))
        start += len(paragraph) + 1
        places.append(start)
    return places


def _wrapped(text: str, width: int) -> Iterator[tuple[int, int]]:
    start = 0
    for paragraph in text.split("\n"):
        yield from _paragraph(text, start, start + len(paragraph), width)
        start += len(paragraph) + 1


def _paragraph(text: str, start: int, stop: int, width: int) -> Iterator[tuple[int, int]]:
    used = 0
    for match in _CHUNK.finditer(text, start, stop):
        chunk, place = match.group(), match.start()
        cells = len(chunk) if chunk.isascii() else cell_len(chunk)
        if used and used + cells > width:
            yield start, place
            start, used = place, 0
        if cells > width:
            *full, (last, used) = _cut(chunk, width)
            for length in full:
                yield start, start + length[0]
                start += length[0]
            used = last and used
        else:
            used += cells
    yield start, stop


def _cut(chunk: str, width: int) -> list[tuple[int, int]]:
    """A word that is wider than a line, as lengths of parts that fit, in characters and cells."""
    parts, length, used = [], 0, 0
    for start, end, cells in split_graphemes(chunk)[0]:
        if used + cells > width and length:
            parts.append((length, used))
            length, used = 0, 0
        length += end - start
        used += cells
    return [*parts, (length, used)]
