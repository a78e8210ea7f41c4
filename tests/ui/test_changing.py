"""Editing, tagging, deleting and undoing, on the catalogue and among the runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, TextArea

from core.store.catalogue import strategies
from core.store.db import open_reader
from sap_tui.screens.edit_form import EditForm
from sap_tui.widgets.dialogs import Confirm
from tests.e2e.command_line import CommandLine
from tests.hostile import SOME_PAYLOADS as PAYLOADS
from tests.ui.conftest import Opener, Session, change, value_of
from tests.ui.test_hostile_text import assert_clean


async def form(session: Session, key: str) -> EditForm:
    await session.press(key)
    await session.until(lambda: isinstance(session.app.screen, EditForm))
    screen = session.app.screen
    assert isinstance(screen, EditForm)
    await session.until(lambda: isinstance(session.app.focused, Input))
    return screen


async def closed(session: Session) -> None:
    await session.until(lambda: not isinstance(session.app.screen, (EditForm, Confirm)))


async def delete(session: Session) -> None:
    said = len(session.said)
    await session.press("d")
    await session.until(lambda: isinstance(session.app.screen, Confirm))
    await session.press("tab", "enter")
    await session.until(lambda: len(session.said) > said)


async def test_editing_a_strategy(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("down")
        screen = await form(session, "e")
        for name, value in (("name", "-talks"), ("teacher", "T"), ("tags", "a, b,,a b"), ("note", "N [b]")):
            screen.query_one(f"#{name}", Input).value = value
        screen.query_one("#prompt", TextArea).text = "Be\nbrief. [/x]"
        await session.focus("#name")
        await session.press("enter")
        await closed(session)
        await session.until(lambda: "-talks" in session.names)
        reader = open_reader(catalogue)
        changed = strategies(reader)[0]
        reader.close()
        assert (changed.name, changed.teacher, changed.note) == ("-talks", "T", "N [b]")
        assert (changed.tags, changed.prompt) == (("a", "b", "a b"), "Be\nbrief. [/x]")


async def test_what_cannot_be_saved_stays_in_the_form_and_says_why(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("down")
        screen = await form(session, "e")
        screen.query_one("#name", Input).value = "plain"
        await session.press("enter")
        await session.until(lambda: "has a strategy plain already" in session.words)
        await session.press("escape")
        await closed(session)
        assert session.names[1:] == ["chatty", "plain"]


async def test_saving_nothing_changes_nothing(catalogue: Path, opened: Opener) -> None:
    before = value_of(catalogue, "SELECT max(updated_at) FROM strategies")
    async with opened(catalogue) as session:
        await session.press("down")
        await form(session, "e")
        await session.press("enter")
        await closed(session)
        assert session.said == []
    assert value_of(catalogue, "SELECT max(updated_at) FROM strategies") == before


async def test_renaming_a_task(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        screen = await form(session, "e")
        screen.query_one("#name", Input).value = "totals"
        await session.press("enter")
        await closed(session)
        await session.until(lambda: session.names[0].startswith("totals"))


async def test_tags_of_marked_strategies_keep_what_only_one_has(catalogue: Path, opened: Opener) -> None:
    change(
        catalogue, """UPDATE strategies SET tags = CASE name WHEN 'plain' THEN '["own", "both"]' ELSE '["both"]' END"""
    )
    async with opened(catalogue) as session:
        await session.press("a")
        screen = await form(session, "t")
        assert screen.query_one("#tags", Input).value == "both"
        screen.query_one("#tags", Input).value = "new"
        await session.press("enter")
        await session.until(lambda: "Saved." in session.said)
    assert value_of(catalogue, "SELECT tags FROM strategies WHERE name = 'plain'") == '["new", "own"]'
    assert value_of(catalogue, "SELECT tags FROM strategies WHERE name = 'chatty'") == '["new"]'


@pytest.mark.parametrize("row", [0, 1])
async def test_a_deleted_task_or_strategy_comes_back(row: int, catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        before = session.names
        await session.press(*["down"] * row)
        await delete(session)
        name = ("sums", "chatty")[row]
        assert session.said == [f"Deleted {name}. u brings it back."]
        await session.until(lambda: session.names == ([] if row == 0 else ["sums  24 questions", "plain"]))
        await session.press("u")
        await session.until(lambda: session.names == before)
        await session.until(lambda: session.said[1:] == [f"{name} is back."])
        await session.press("u")
        await session.until(lambda: session.said[-1].startswith("Nothing was deleted"))


async def test_undoing_goes_back_step_by_step(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("down")
        await delete(session)
        await session.until(lambda: session.names[1:] == ["plain"])
        await delete(session)
        await session.until(lambda: session.names == [])
        await session.press("u")
        await session.until(lambda: session.names[1:] == ["plain"])
        await session.press("u")
        await session.until(lambda: session.names[1:] == ["chatty", "plain"])


async def test_a_task_with_unfinished_runs_is_not_deleted(running: Path, opened: Opener) -> None:
    async with opened(running) as session:
        await delete(session)
        assert "unfinished runs: 2, 3" in session.said[-1]
        assert session.names[0].startswith("sums")


async def test_only_runs_that_ended_can_be_deleted(running: Path, opened: Opener) -> None:
    async with opened(running, screen="live") as session:
        await session.until(lambda: len(session.table.source) == 3)
        assert not session.screen.check_action("delete", ())
        await session.press("G")
        assert session.screen.check_action("delete", ())
        await delete(session)
        await session.until(lambda: session.names == ["#3", "#2"])
        assert value_of(running, "SELECT count(*) FROM scores") > 0
        await session.press("u")
        await session.until(lambda: session.names == ["#3", "#2", "#1"])


async def test_a_ranking_whose_run_was_deleted_is_left(scored: Path, opened: Opener) -> None:
    async with opened(scored, screen="ranking") as session:
        await session.until(lambda: len(session.table.source))
        change(scored, "UPDATE runs SET deleted_at = 1")
        await session.until(lambda: not session.app.snapshot.runs)
        await session.pilot.pause()
        assert_clean(session)


@pytest.mark.parametrize("payload", ["".join(PAYLOADS[:5]), "".join(PAYLOADS[5:8]), "".join(PAYLOADS[8:])])
async def test_hostile_names_bear_every_change(payload: str, catalogue: Path, opened: Opener) -> None:
    change(catalogue, "UPDATE strategies SET name = ? || name, teacher = ?, prompt = ?, note = ?", *[payload] * 4)
    change(catalogue, "UPDATE tasks SET name = ? || name", payload)
    async with opened(catalogue, size=(80, 24)) as session:
        for key in ("e", "escape", "down", "t", "escape", "e", "tab", "tab", "tab", "tab", "down", "escape"):
            await session.press(key)
            assert_clean(session)
        await delete(session)
        assert_clean(session)
        if session.said[-1].startswith("Deleted"):
            await session.until(lambda: len(session.names) == 2)
            await session.press("u")
            await session.until(lambda: len(session.names) == 3)
        assert_clean(session)


async def test_what_was_deleted_before_the_app_was_opened_comes_back_after_a_question(
    scored: Path, opened: Opener
) -> None:
    CommandLine(scored)("runs", "--delete", "1")
    CommandLine(scored)("strategy", "delete", "--task", "sums", "chatty")
    async with opened(scored) as session:
        before = session.names
        await session.press("u")
        await session.sees("Bring back chatty of sums?", "It was deleted just now.")
        await session.press("enter")
        await session.until(lambda: not isinstance(session.app.screen, Confirm))
        assert (session.names, session.said) == (before, [])
        for name, question in (("chatty", "Bring back chatty of sums?"), ("run 1", "Bring back run 1 of sums?")):
            await session.press("u")
            await session.sees(question)
            await session.press("tab", "enter")
            await session.until(lambda name=name: session.said and session.said[-1] == f"{name} is back.")
        await session.until(lambda: session.names[1:] == ["chatty", "plain"] and session.app.snapshot.runs)
        await session.press("u")
        await session.until(lambda: session.said[-1] == "Nothing was deleted that could be brought back.")
