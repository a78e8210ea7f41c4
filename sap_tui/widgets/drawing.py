"""What a plot shows, and where its labels have room: numbers and names, without the library that draws them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from core.export.scale import round_step
from sap_tui.cells import on_screen, shortened

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LONGEST_LABEL = 22
LEAST_WIDTH_FOR_NAMES = 56


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`, with a title and labelled ticks."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    title: str

    def cell(self, value: float, cells: int) -> int:
        """The cell of so many, from 0, that a value falls into; values beyond the axis go to its ends."""
        share = (value - self.low) / (self.high - self.low)
        return max(0, min(cells - 1, math.floor(0.5 + (cells - 1) * share)))

    def value(self, cell: int, cells: int) -> float:
        """What stands in the middle of a cell."""
        return self.low + (self.high - self.low) * cell / max(1, cells - 1)


@dataclass(frozen=True, slots=True)
class Mark:
    """A point with its letter and, where there is room, its name. `colour` is a place in the palette, None is plain."""

    x: float
    y: float
    letter: str
    name: str
    colour: int | None = None
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """Points joined by lines."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    colour: int | None
    dotted: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """The room between two lines."""

    xs: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    colour: int | None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A plot. With `labels_beside` the labels stand at the right of it, in the height of their points."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...] = ()
    lines: tuple[Line, ...] = ()
    bands: tuple[Band, ...] = ()
    labels_beside: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A text of a mark and the cell where it begins, rows counted from below."""

    column: int
    row: int
    text: str
    mark: Mark


def letter_of(place: int) -> str:
    """What stands for a strategy in a plot."""
    return LETTERS[place] if place < len(LETTERS) else "•"


def label_of(name: str) -> str:
    """A name as it may stand between the cells of a plot; empty where its characters are not one cell each."""
    shown = on_screen(name)
    if any(cell_len(character) != 1 for character in shown):
        return ""
    return shortened(shown, LONGEST_LABEL)


def round_ticks(low: float, high: float, most: int, decimals: int | None = None) -> tuple[tuple[float, str], ...]:
    """At most so many round values between two, with as many decimals as tell them apart."""
    step = round_step((high - low) / max(1, most))
    shown = max(0, -math.floor(math.log10(step))) if decimals is None else decimals
    first = math.ceil(low / step - 1e-9)
    values = [tick * step for tick in range(first, math.floor(high / step + 1e-9) + 1)]
    return tuple((value, f"{value:,.{shown}f}") for value in values)


def around(values: Iterable[float], share: float = 0.06) -> tuple[float, float]:
    """Ends of an axis that holds these values with some room; never equal."""
    found = list(values)
    low, high = min(found, default=0.0), max(found, default=1.0)
    margin = (high - low) * share or abs(low) * 0.05 or 0.5
    return low - margin, high + margin


def placed_labels(drawing: Drawing, width: int, height: int) -> list[Placed]:
    """Letters of all marks, and names where nothing is in their way, in a plot of so many cells."""
    if drawing.labels_beside:
        return _beside(drawing, width, height)
    return _among(drawing, width, height)


def room_beside(drawing: Drawing, width: int) -> int:
    """Cells at the right of the plot that its labels take."""
    if not drawing.labels_beside:
        return 0
    names = width >= LEAST_WIDTH_FOR_NAMES
    return 2 + max((len(_letter_and_name(mark)) if names else 1 for mark in drawing.marks), default=0)


def _beside(drawing: Drawing, width: int, height: int) -> list[Placed]:
    """One label a row, each as near to its point's row as those before it let it."""
    free = set(range(height))
    column = width - room_beside(drawing, width) + 1
    placed = []
    for mark in sorted(drawing.marks, key=lambda mark: not mark.strong):
        if free:
            wanted = drawing.y.cell(mark.y, height)
            row = min(free, key=lambda row: abs(row - wanted))
            free.discard(row)
            text = _letter_and_name(mark) if width >= LEAST_WIDTH_FOR_NAMES else mark.letter
            placed.append(Placed(column, row, text, mark))
    return placed


def _among(drawing: Drawing, width: int, height: int) -> list[Placed]:
    letters, taken = [], set[tuple[int, int]]()
    for mark in sorted(drawing.marks, key=lambda mark: not mark.strong):
        place = _nearest_free(drawing, mark, taken, width, height)
        taken.add(place)
        letters.append(Placed(*place, mark.letter, mark))
    names = []
    for letter in letters:
        name = label_of(letter.mark.name)
        for column in (letter.column + 2, letter.column - len(name) - 1):
            cells = {(each, letter.row) for each in range(column - 1, column + len(name) + 1)} - {
                (letter.column, letter.row)
            }
            if name and column >= 0 and column + len(name) <= width and not cells & taken:
                taken |= cells
                names.append(Placed(column, letter.row, name, letter.mark))
                break
    return [*names, *letters]


def _nearest_free(
    drawing: Drawing, mark: Mark, taken: set[tuple[int, int]], width: int, height: int
) -> tuple[int, int]:
    """The cell of a mark, or of those of equal values the next one at its right."""
    column, row = drawing.x.cell(mark.x, width), drawing.y.cell(mark.y, height)
    return next(((each, row) for each in range(column, width) if (each, row) not in taken), (column, row))


def _letter_and_name(mark: Mark) -> str:
    return f"{mark.letter} {label_of(mark.name)}".rstrip()


def between(xs: Sequence[float], ys: Sequence[float], at: Sequence[float]) -> Iterator[float]:
    """The heights of a line through the points at growing places within it."""
    segment = 0
    for x in at:
        while segment < len(xs) - 2 and xs[segment + 1] < x:
            segment += 1
        if len(xs) == 1:
            yield ys[0]
            continue
        start, end = xs[segment], xs[segment + 1]
        share = (x - start) / (end - start)
        yield ys[segment] + (ys[segment + 1] - ys[segment]) * share
