"""Text of foreign origin on every screen: nothing raises, nothing acts, nothing hidden reaches the output."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color

from core.text import visible
from sap_tui.text import OutputGuard, joined, plain
from tests.jobs.helpers import queue_run
from tests.ui.conftest import Opener, Session, change

PAYLOADS = (
    "[/INST] [INST] x",
    "[@click=app.quit]press me[/]",
    "[/b] [bold",
    "$error [$x] \\[",
    "\x1b]0;owned\x07\x1b[2J",
    "\x9b31m c1 \x9d52;c;aGk=\x9c",
    "line\r\nbreak\ttab\x00nul\x7f",
    "‮evil‬ ⁦x⁩ \u200b\ufeff",
    "\U000e0041\U000e007f tag",
    "漢字ひらがな 한국어 e\u0301 👩‍👩‍👧",
    "=cmd|' /C calc'!A0",
    "x" * 400,
)


@pytest.fixture
def poisoned(scored: Path, stand_in_model: Path, tmp_path: Path) -> Path:
    """Every payload wherever a data set, a model or another program can put text, in a strategy, a task and a run."""
    log = tmp_path / "attempt.log"
    log.write_text("\n".join(PAYLOADS), encoding="utf-8")
    for _ in PAYLOADS[1:]:
        queue_run(scored, stand_in_model, samples=24)
    for number, payload in enumerate(PAYLOADS, 1):
        state = ("failed", "running", "queued", "cancelled")[number % 4] if number > 1 else "done"
        change(scored, "UPDATE runs SET why = ?, device = ?, engine = ?, phase = ?, log = ?, state = ? WHERE id = ?",
               *[payload] * 4, str(log), state, number)  # fmt: skip
        change(scored, "INSERT INTO events (run, at, level, text) VALUES (?, 0, 'error', ?)", number, payload)
        change(scored, "INSERT INTO tasks (name, created_at) VALUES (?, 0)", f"{payload} task")
        change(scored, "INSERT INTO strategies (task, name, teacher, prompt, note, source, tags, created_at, "
                       "updated_at) VALUES (1, ?, ?, ?, ?, ?, json_array(?), 0, 0)", *[payload] * 6)  # fmt: skip
        change(scored, "INSERT INTO responses (strategy, question, text, digest) "
                       "SELECT max(strategies.id), ?, ?, x'00' FROM strategies", number, payload)  # fmt: skip
        change(scored, "UPDATE questions SET turns = json_array(json_array('user', ?)) WHERE id = ?", payload, number)
    change(scored, "UPDATE strategies SET name = name || ? WHERE responses > 0", PAYLOADS[0])
    change(scored, "UPDATE tasks SET name = ? WHERE id = 1", PAYLOADS[4])
    change(scored, "UPDATE targets SET name = ?", PAYLOADS[1])
    return scored


def assert_clean(session: Session) -> None:
    for line in session.app.screen._compositor.render_strips():
        for segment in line:
            if not segment.control:
                assert visible(segment.text) == segment.text, segment
    assert session.app._exception is None
    assert not session.app._exit


async def pressed(session: Session, *keys: str) -> None:
    for key in keys:
        await session.press(key)
        assert_clean(session)


async def test_the_catalogue_bears_it(poisoned: Path, opened: Opener) -> None:
    async with opened(poisoned) as session:
        await pressed(session, *["down"] * (2 * len(PAYLOADS) + 2), "g", "down", "down", "y", "space", "d", "escape")
        await pressed(session, "slash", "x", "escape", "s", "S", "colon", "escape", "question_mark", "escape")


async def test_the_forms_bear_it(poisoned: Path, opened: Opener) -> None:
    async with opened(poisoned) as session:
        await pressed(session, "down", "n")
        await session.until(lambda: "sap-tui" in session.text())
        await pressed(session, "escape", "i", "escape")


async def test_the_runs_bear_it(poisoned: Path, opened: Opener) -> None:
    async with opened(poisoned, screen="live") as session:
        await pressed(session, "g", *["down"] * len(PAYLOADS), "y", "L", "G", "escape", "n", "escape", "x", "p")


@pytest.mark.parametrize("payload", PAYLOADS, ids=[str(number) for number in range(len(PAYLOADS))])
async def test_the_ranking_bears_it(payload: str, scored: Path, opened: Opener) -> None:
    change(scored, "UPDATE strategies SET name = name || ?", payload)
    change(scored, "UPDATE targets SET name = ?", payload)
    change(scored, "UPDATE tasks SET name = ?", payload)
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        await pressed(session, "down", "o", "escape", "E", "escape", "y")


async def test_markup_in_a_name_is_shown_as_it_is(running: Path, opened: Opener) -> None:
    change(running, "UPDATE strategies SET name = '[b]loud[/b]' WHERE name = 'chatty'")
    async with opened(running) as session:
        await session.sees("[b]loud[/b]")


async def test_toasts_take_no_markup(running: Path, opened: Opener) -> None:
    async with opened(running) as session:
        session.app.say("[/b] \x1b[31m [@click=app.quit]x[/]")
        await session.until(lambda: "[@click=app.quit]x[/]" in session.text())
        assert_clean(session)


def test_plain_text_has_no_spans_of_its_own() -> None:
    assert plain("[b]x[/b]").spans == []
    assert plain("a\x1bb\nc").plain == "a␛b⏎c"
    assert plain("a\nb", multiline=True).plain == "a\nb"


def test_joined_leaves_out_what_is_empty() -> None:
    assert joined([plain("a"), plain(""), plain("b")]).plain == "a · b"


def test_the_guard_drops_what_is_hidden_and_keeps_columns() -> None:
    segments = [Segment("a\x1b[31mb‮c\xadd"), Segment("fine")]
    guarded = OutputGuard().apply(segments, Color(0, 0, 0))
    assert guarded[0].text == "a[31mbc d"
    assert guarded[1] is segments[1]
