"""A text with its tokens as lines: nothing lost, nothing hidden, no line too wide, every token where it belongs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import Color

from sap_tui.cells import on_screen
from sap_tui.widgets.heat import _DARK, _LIGHT, BOUNDS, GLYPHS, heat_level, heat_style
from sap_tui.widgets.token_lines import LINE_BREAK, TAB, TokenLines, token_lines

SIGNS = st.sampled_from(
    [
        *"ab c.",
        "\n",
        "\t",
        "\r",
        "\x1b",
        "\u202e",
        "漢",
        "字",
        "ｱ",
        "e\u0301",
        "\u0301",
        "\u200d",
        "\ufe0f",
        "👩‍👩‍👧",
        "🏽",
        "[/INST]",
        "x" * 30,
    ]
)


def as_shown(text: str) -> str:
    return on_screen(text, multiline=True).replace("\t", TAB).replace("\n", f"{LINE_BREAK}\n")


def drawn(lines: TokenLines) -> list[str]:
    return ["".join(piece for _, piece in lines.pieces(line)) for line in range(len(lines.lines))]


@given(st.lists(SIGNS, max_size=30).map("".join), st.integers(2, 40), st.lists(st.integers(0, 60), max_size=20))
def test_any_text_with_any_tokens_is_drawn_wholly_and_fits(text: str, width: int, places: list[int]) -> None:
    ends = sorted(min(place, len(text)) for place in places)
    lines = token_lines(text, ends, width)
    shown = as_shown(text)
    assert lines.text == shown
    assert "".join(drawn(lines)) == shown.replace("\n", "")
    for line in drawn(lines):
        assert on_screen(line) == line
        assert cell_len(line) <= max(width, 2)
    assert len(lines.ends) == len(ends)
    assert list(lines.ends) == sorted(lines.ends)


@given(st.lists(SIGNS, max_size=20).map("".join), st.integers(2, 20))
def test_the_cells_of_the_pieces_add_up_to_the_line(text: str, width: int) -> None:
    lines = token_lines(text, range(1, len(text) + 1), width)
    for line in range(len(lines.lines)):
        pieces = [piece for _, piece in lines.pieces(line)]
        assert sum(map(cell_len, pieces)) == cell_len("".join(pieces))


def test_tokens_stand_where_their_characters_do() -> None:
    lines = token_lines("one two\nthree\tx", [3, 7, 8, 13, 14, 15], 40)
    assert [list(lines.pieces(line)) for line in range(2)] == [
        [(0, "one"), (1, " two"), (2, LINE_BREAK)],
        [(3, "three"), (4, TAB), (5, "x")],
    ]
    assert [lines.line_of(lines.start(token)) for token in range(6)] == [0, 0, 0, 1, 1, 1]
    assert lines.span(3) == (9, 14)


def test_a_token_of_part_of_a_character_is_shown_on_that_character() -> None:
    lines = token_lines("漢!", [0, 0, 1, 2], 10)
    assert list(lines.pieces(0)) == [(2, "漢"), (3, "!")]
    assert [lines.span(token) for token in range(4)] == [(0, 1), (0, 1), (0, 1), (1, 2)]


def test_a_combining_character_stays_with_its_base() -> None:
    lines = token_lines("e\u0301x", [1, 2, 3], 10)
    assert list(lines.pieces(0)) == [(0, "e\u0301"), (2, "x")]


def test_what_the_tokenizer_dropped_at_the_end_belongs_to_the_last_token() -> None:
    assert list(token_lines("one  ", [3], 10).pieces(0)) == [(0, "one  ")]


@pytest.mark.parametrize(("text", "expected"), [
    ("a bb ccc dddd", ["a bb ", "ccc ", "dddd"]),
    ("abcdefghijkl", ["abcde", "fghij", "kl"]),
    ("漢字漢字", ["漢字", "漢字"]),
    ("", [""]),
    ("a\n\nb", ["a⏎", "⏎", "b"]),
])  # fmt: skip
def test_lines_break_at_words_and_within_only_where_they_must(text: str, expected: list[str]) -> None:
    assert drawn(token_lines(text, range(1, len(text) + 1), 5)) == expected


def test_two_responses_of_8000_tokens_are_laid_out_at_once() -> None:
    """Without many words a second: 1.4 s is what drawing them as one widget took."""
    text = "".join(f"token{number} " if number % 11 else "漢字の。\n" for number in range(8_000))
    ends, place = [], 0
    for number in range(8_000):
        place += len(f"token{number} " if number % 11 else "漢字の。\n")
        ends.append(place)
    started = time.perf_counter()
    for _ in range(2):
        lines = token_lines(text, ends, 60)
        list(lines.pieces(len(lines.lines) - 1))
    assert time.perf_counter() - started < 0.7


def contrast(one: str, two: str) -> float:
    low, high = sorted(map(luminance, (one, two)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [value / 255 for value in Color.parse(colour).get_truecolor()]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("ramp", "letters", "sign"), [(_DARK, "#d3d9e4", 1), (_LIGHT, "#272c33", -1)])
def test_the_ramp_goes_one_way_in_lightness_is_legible_and_survives_256_colours(
    ramp: tuple[tuple[str | None, str | None], ...], letters: str, sign: int
) -> None:
    from rich.color import ColorSystem

    grounds = [ground for ground, _ in ramp[1:] if ground]
    assert [sign * luminance(ground) for ground in grounds] == sorted(sign * luminance(ground) for ground in grounds)
    for ground, own in ramp[1:]:
        assert ground is not None
        assert contrast(ground, own or letters) >= 4.5
        few = Color.parse(ground).downgrade(ColorSystem.EIGHT_BIT)
        assert few.get_truecolor() == Color.parse(ground).get_truecolor()
    assert len(set(grounds)) == len(grounds) == len(BOUNDS)


def test_levels_begin_at_their_bounds() -> None:
    assert [heat_level(value) for value in (0.0, 0.49, 0.5, 1, 2, 4, 8, 99)] == [0, 0, 1, 2, 3, 4, 5, 5]
    assert len(GLYPHS) == len(BOUNDS) + 1
    assert heat_style(0, True).bgcolor is None
