"""Where the labels of plots go, and that nothing in a name can move a cell."""

from __future__ import annotations

import random
import re

import pytest
from rich.cells import cell_len

from sap_tui.widgets.chart import built
from sap_tui.widgets.drawing import (
    Axis,
    Band,
    Drawing,
    Line,
    Mark,
    around,
    between,
    label_of,
    letter_of,
    placed_labels,
    round_ticks,
)
from tests.hostile import SOME_PAYLOADS as PAYLOADS

COLOURS = ((1, 2, 3), (4, 5, 6))
AXIS = Axis(0.0, 1.0, round_ticks(0.0, 1.0, 5), "x")


def scatter(marks: list[Mark]) -> Drawing:
    return Drawing(AXIS, AXIS, tuple(marks))


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_labels_never_stand_on_each_other(seed: int, beside: bool) -> None:
    generator = random.Random(seed)
    marks = [
        Mark(generator.choice([0.2, generator.random()]), generator.random(), letter_of(n), "name" * (n % 4))
        for n in range(25)
    ]
    width, height = generator.randrange(20, 120), generator.randrange(3, 30)
    placed = placed_labels(Drawing(AXIS, AXIS, tuple(marks), labels_beside=beside), width, height)
    cells = [(label.column + place, label.row) for label in placed for place in range(len(label.text))]
    assert len(cells) == len(set(cells))
    assert all(0 <= column < width and 0 <= row < height for column, row in cells)


def test_every_point_has_its_letter_where_its_values_are() -> None:
    marks = [Mark(place / 10, (place * 7 % 10) / 10, letter_of(place), "") for place in range(10)]
    for label in placed_labels(scatter(marks), 61, 21):
        assert label.column == AXIS.cell(label.mark.x, 61)
        assert label.row == AXIS.cell(label.mark.y, 21)


def test_equal_points_stand_side_by_side_and_the_one_under_the_cursor_first() -> None:
    marks = [Mark(0.5, 0.5, "A", ""), Mark(0.5, 0.5, "B", "", strong=True), Mark(0.5, 0.5, "C", "")]
    columns = {label.mark.letter: label.column for label in placed_labels(scatter(marks), 41, 11)}
    assert columns == {"B": 20, "A": 21, "C": 22}


def test_labels_beside_keep_the_order_of_rows_that_are_free() -> None:
    marks = [Mark(0.0, 0.5 + place / 100, letter_of(place), "n") for place in range(5)]
    placed = placed_labels(Drawing(AXIS, AXIS, tuple(marks), labels_beside=True), 80, 12)
    assert len({label.row for label in placed}) == 5
    assert max(label.row for label in placed) - min(label.row for label in placed) == 4


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_a_label_is_one_cell_a_character_or_not_there(payload: str) -> None:
    shown = label_of(payload)
    assert all(cell_len(character) == 1 for character in shown)
    assert "\x1b" not in shown
    assert "\n" not in shown


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
@pytest.mark.parametrize("beside", [False, True])
def test_no_name_moves_a_cell_of_the_plot(payload: str, beside: bool) -> None:
    marks = (Mark(0.5, 0.5, "A", payload, 0), Mark(0.1, 0.9, "B", payload, 1, strong=True))
    line = Line((0.0, 0.5, 1.0), (0.1, 0.9, 0.4), 0)
    band = Band((0.0, 1.0), (0.2, 0.3), (0.6, 0.5), 1)
    text = built(Drawing(AXIS, AXIS, marks, (line,), (band,), labels_beside=beside), 80, 20, COLOURS)
    lines = text.plain.splitlines()
    assert len(lines) == 20
    assert {cell_len(each) for each in lines} == {80}
    assert re.search(r"\bA\b", text.plain)
    assert re.search(r"\bB\b", text.plain)


def test_a_plot_without_room_is_empty() -> None:
    assert built(scatter([Mark(0.5, 0.5, "A", "a")]), 8, 20, COLOURS).plain == ""
    assert built(scatter([Mark(0.5, 0.5, "A", "a")]), 80, 5, COLOURS).plain == ""
    assert built(None, 80, 20, COLOURS).plain == ""


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 17.0), (0.0012, 0.0013), (1e6, 5e6), (-1.0, -0.99)])
def test_ticks_are_round_and_within(low: float, high: float) -> None:
    ticks = round_ticks(low, high, 6)
    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-9 <= value <= high + 1e-9 for value, _ in ticks)
    assert len({label for _, label in ticks}) == len(ticks)
    assert [float(label.replace(",", "")) for _, label in ticks] == pytest.approx([value for value, _ in ticks])


def test_an_axis_around_one_value_has_a_width() -> None:
    for values in ([], [0.0], [5.0, 5.0], [-2.0]):
        low, high = around(values)
        assert low < high


def test_a_line_is_followed_between_its_points() -> None:
    at = [0.0, 0.5, 1.0, 1.5, 3.0]
    assert list(between((0.0, 1.0, 3.0), (0.0, 2.0, 0.0), at)) == pytest.approx([0.0, 1.0, 2.0, 1.5, 0.0])
    assert list(between((1.0,), (4.0,), [1.0])) == [4.0]
