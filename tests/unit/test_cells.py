"""Text on the screen takes the same cells in every terminal, and a name that is cut keeps both of its ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.content import Content

from core.text import visible
from sap_tui.cells import on_screen, on_screen_characters, shortened
from sap_tui.commands.sample_text import shown_token
from sap_tui.commands.tables import aligned
from sap_tui.text import shortened as shortened_content
from tests.hostile import PAYLOADS

SIGNS = st.text(alphabet="ab漢e\u0301\u200d\ufe0f\ufe0e🏽👩⚠\u20e3\x1b", max_size=30)


@pytest.mark.parametrize(("text", "shown"), [
    ("⚠️ 1️⃣ ☺︎", "⚠ 1⃣ ☺"),
    ("👍🏽", "👍⟨U+1F3FD⟩"),
    ("👩🏽‍💻", "👩⟨U+1F3FD⟩⟨U+200D⟩💻"),
    ("🏳️‍🌈", "🏳‍🌈"),
    ("a\ufe0f‍👩", "a⟨U+200D⟩👩"),
    ("plain\x1b", "plain␛"),
])  # fmt: skip
def test_what_terminals_count_differently_is_not_drawn(text: str, shown: str) -> None:
    assert on_screen(text) == shown
    assert aligned(("x",), [(text,)])[1] == shown


@given(SIGNS | st.sampled_from(PAYLOADS))
def test_characters_make_up_the_text(text: str) -> None:
    characters = on_screen_characters(text, multiline=True)
    assert len(characters) == len(text)
    assert "".join(characters) == on_screen(text, multiline=True)
    assert on_screen(on_screen(text)) == visible(on_screen(text)) == on_screen(text)


@pytest.mark.parametrize(("cells", "shown"), [
    (20, "step_by_step_long_v2"), (14, "step_by…ong_v2"), (5, "st…v2"), (1, "…"),
])  # fmt: skip
def test_both_ends_of_a_name_stay(cells: int, shown: str) -> None:
    assert shortened("step_by_step_long_v2", cells) == shown


@given(SIGNS, st.integers(1, 20))
def test_a_name_is_cut_to_what_fits_and_no_character_torn(text: str, cells: int) -> None:
    name = on_screen(text)
    cut = shortened(name, cells)
    assert cell_len(cut) <= cells
    assert cut == name if cell_len(name) <= cells else "…" in cut
    assert cell_len(cut) >= min(cells, cell_len(name)) - 2
    assert shortened_content(Content(name), cells).plain == cut


def test_styles_stay_on_what_they_stood_on() -> None:
    cut = shortened_content(Content.assemble("  ", ("step_by_step", "red"), ("_long_v1", "blue")), 14)
    assert cut.plain == "  step_…ong_v1"
    assert [(cut.plain[span.start : span.end], span.style) for span in cut.spans] == [
        ("step_", "red"), ("…ong_v1", "blue"),
    ]  # fmt: skip


def test_a_token_that_is_not_drawn_has_a_name() -> None:
    assert [shown_token("⚠\ufe0f!", [0, 1, 1, 2, 3], token) for token in range(5)] == [
        "(of ⚠)", "⚠", "(of ⟨U+FE0F⟩)", "⟨U+FE0F⟩", "!",
    ]  # fmt: skip
