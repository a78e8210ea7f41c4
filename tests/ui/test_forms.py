"""Importing and starting a run from the app: everything is shown before anything happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from core.store.db import prepare
from sap_tui.screens.import_form import ImportForm
from sap_tui.screens.new_run import NewRunForm
from sap_tui.widgets.choices import Choices
from sap_tui.widgets.estimate_words import estimate_words
from tests.conftest import write_strategy
from tests.ui.conftest import Opener, Session, value_of


async def import_form(session: Session, path: Path, task: str) -> None:
    await session.press("i")
    await session.until(lambda: isinstance(session.app.screen, ImportForm))
    session.app.screen.query_one("#path", Input).value = str(path)
    session.app.screen.query_one("#task", Input).value = task


async def test_a_file_is_shown_and_then_imported(tmp_path: Path, opened: Opener) -> None:
    catalogue, file = tmp_path / "new.db", write_strategy(tmp_path / "own_voice.jsonl", ["It is 0.", "It is 2."])
    prepare(catalogue)
    async with opened(catalogue) as session:
        await import_form(session, file, "sums")
        await session.until(lambda: "2 records" in session.text())
        await session.sees("question from 'question'")
        await session.sees("What is 0 plus 0?")
        assert value_of(catalogue, "SELECT count(*) FROM strategies") == 0
        await session.press("enter")
        await session.until(lambda: "own_voice" in session.text() and not isinstance(session.app.screen, ImportForm))
        assert value_of(catalogue, "SELECT count(*) FROM responses") == 2


async def test_the_first_import_offers_the_bundled_sample(tmp_path: Path, opened: Opener) -> None:
    catalogue = tmp_path / "new.db"
    prepare(catalogue)
    async with opened(catalogue, size=(120, 50)) as session:
        await session.press("i")
        await session.until(lambda: "chatty.jsonl: 200 records" in session.text())
        assert session.app.screen.query_one("#task", Input).value == "arithmetic"


async def test_every_bad_line_is_named_before_anything_is_kept(tmp_path: Path, opened: Opener) -> None:
    catalogue, file = tmp_path / "new.db", write_strategy(tmp_path / "mixed.jsonl", ["a", "b"])
    prepare(catalogue)
    file.write_text(f'{file.read_text()}not json\n{{"id": 9, "question": "q"}}\n')
    async with opened(catalogue) as session:
        await import_form(session, file, "sums")
        await session.until(lambda: "mixed.jsonl:3:" in session.text() and "mixed.jsonl:4:" in session.text())
        await session.press("enter")
        await session.sees('or leave such lines out with "leave out bad lines"')
        assert value_of(catalogue, "SELECT count(*) FROM strategies") == 0
        await session.focus("#options")
        await session.press("space")
        await session.focus("#task")
        await session.press("enter")
        await session.until(lambda: not isinstance(session.app.screen, ImportForm))
        assert value_of(catalogue, "SELECT count(*) FROM responses") == 2


async def test_an_existing_strategy_is_not_replaced_unasked(catalogue: Path, opened: Opener, tmp_path: Path) -> None:
    async with opened(catalogue) as session:
        await import_form(session, tmp_path / "plain.jsonl", "sums")
        await session.until(lambda: "24 records" in session.text())
        await session.press("enter")
        await session.sees('Replace them with "replace strategies that exist"', 'another name with "strategy"')
        assert "--" not in session.words


async def test_fields_with_other_names_are_named_in_the_form(tmp_path: Path, opened: Opener) -> None:
    catalogue, file = tmp_path / "new.db", tmp_path / "odd.jsonl"
    prepare(catalogue)
    file.write_text('{"prompt": "What is 1?", "output": "One."}\n')
    async with opened(catalogue) as session:
        await import_form(session, file, "sums")
        await session.sees("its fields: 'prompt', 'output'", 'in "fields" question=FIELD,response=FIELD')
        assert "--map" not in session.words
        fields = session.app.screen.query_one("#fields", Input)
        fields.value = "question"
        await session.sees("\"fields\" cannot be read at 'question'")
        fields.value = "question=prompt,response=output"
        await session.sees("1 record", "What is 1?", "question from 'prompt'")
        await session.press("enter")
        await session.until(lambda: not isinstance(session.app.screen, ImportForm))
        assert value_of(catalogue, "SELECT text FROM responses") == "One."


async def test_ids_of_other_questions_are_named_before_anything_is_kept(
    catalogue: Path, opened: Opener, tmp_path: Path
) -> None:
    folder = tmp_path / "several"
    folder.mkdir()
    for name, question in (("one", "What is 0 plus 0?"), ("two", "What is another?")):
        (folder / f"{name}.jsonl").write_text(
            f'{{"id": "0", "question": "{question}", "response": "a"}}\n'
            f'{{"id": "new", "question": "New in {name}", "response": "a"}}\n'
        )
    async with opened(catalogue) as session:
        await import_form(session, folder, "sums")
        await session.sees("two.jsonl:1: the id '0' belongs to another question of the task",
                           "two.jsonl:2: the id 'new' belongs to another question in 'one.jsonl'")  # fmt: skip
        session.app.screen.query_one("#task", Input).value = "other"
        await session.sees("two.jsonl:1: the id '0' belongs to another question in 'one.jsonl'")
        assert "of the task" not in session.words
        await session.press("enter")
        await session.sees("Bad lines: two.jsonl 2")
        assert value_of(catalogue, "SELECT count(*) FROM tasks") == 1


async def test_a_strategy_that_is_replaced_may_bring_other_questions(
    catalogue: Path, opened: Opener, tmp_path: Path
) -> None:
    file = tmp_path / "plain.jsonl"
    file.write_text('{"id": "0", "question": "What else?", "response": "a"}\n')
    async with opened(catalogue) as session:
        await import_form(session, file, "sums")
        await session.sees("the id '0' belongs to another question of the task")
        await session.focus("#options")
        await session.press("right", "space")
        await session.until(lambda: "belongs to another" not in session.words and "1 record" in session.words)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.jsonl", None, "There is no file"),
        ("empty.jsonl", "", "is empty"),
        ("odd.jsonl", '{"x": 1}\n', "no layout"),
    ],
)
async def test_files_that_cannot_be_imported(
    name: str, content: str | None, said: str, catalogue: Path, opened: Opener, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    async with opened(catalogue) as session:
        await import_form(session, tmp_path / name, "sums")
        await session.until(lambda: said in session.words)


async def test_a_file_can_be_picked(catalogue: Path, opened: Opener, tmp_path: Path) -> None:
    async with opened(catalogue) as session:
        await import_form(session, tmp_path, "sums")
        # The preview moves the buttons.
        await session.until(lambda: "Its response" in session.text())
        await session.pilot.click("#browse")
        await session.until(lambda: type(session.app.screen).__name__ == "FileOpen")
        await session.press("escape")
        await session.until(lambda: isinstance(session.app.screen, ImportForm))


async def test_the_form_estimates_and_shows_the_equal_command(
    catalogue: Path, opened: Opener, stand_in_model: Path
) -> None:
    async with opened(catalogue) as session:
        await session.press("n")
        await session.until(lambda: isinstance(session.app.screen, NewRunForm))
        form = session.app.screen
        form.query_one("#model", Input).value = str(stand_in_model)
        form.query_one("#samples", Input).value = "10"
        await session.until(lambda: "2 strategies on 10 questions" in session.text())
        text = session.words
        assert "score --task sums" in text
        assert "--samples 10" in text
        assert value_of(catalogue, "SELECT count(*) FROM runs") == 0


async def test_choices_become_options_of_the_command(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("n")
        await session.until(lambda: isinstance(session.app.screen, NewRunForm))
        for name, keys in (("quantization", ["right", "right"]), ("device", ["l"]), ("metrics", ["space"])):
            await session.focus(f"#{name}")
            await session.press(*keys)
        text = session.words
        assert "--quantization nf4" in text
        assert "--device cpu" in text
        assert "--metric ppl --metric nll" in text


async def test_metrics_of_every_line_are_reached_with_the_arrow_keys(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("n")
        await session.until(lambda: isinstance(session.app.screen, NewRunForm))
        await session.focus("#metrics")
        choices = session.app.screen.query_one("#metrics", Choices)
        lines = str(choices.render()).splitlines()
        assert len(lines) > 2
        await session.press("down", "down", "space")
        assert lines[2].split()[1] in choices.chosen
        await session.press("up", "up", "space")
        assert lines[0].split()[1] not in choices.chosen


async def test_a_run_without_a_metric_is_not_started(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("n")
        await session.until(lambda: isinstance(session.app.screen, NewRunForm))
        await session.focus("#metrics")
        await session.press("space", "l", "space", "l", "space")
        await session.until(lambda: "Choose a metric." in session.text())
        await session.focus("#model")
        await session.press("enter")
        assert isinstance(session.app.screen, NewRunForm)
        assert value_of(catalogue, "SELECT count(*) FROM runs") == 0


async def test_a_run_is_started_and_shown(catalogue: Path, opened: Opener, stand_in_model: Path) -> None:
    async with opened(catalogue) as session:
        await session.press("n")
        await session.until(lambda: isinstance(session.app.screen, NewRunForm))
        session.app.screen.query_one("#model", Input).value = str(stand_in_model)
        await session.press("enter")
        await session.until(lambda: session.app.current_mode == "live" and "#1" in session.text())
        assert "Run 1 is queued. It goes on even if you quit." in session.said
        await session.until(lambda: value_of(catalogue, "SELECT state FROM runs") == "done")


async def test_what_cannot_start_is_said_in_the_form(catalogue: Path, opened: Opener) -> None:
    async with opened(catalogue) as session:
        await session.press("n")
        await session.until(lambda: isinstance(session.app.screen, NewRunForm))
        session.app.screen.query_one("#model", Input).value = "/no/such/model"
        await session.press("enter")
        await session.until(lambda: "Model folder not found" in session.text())
        assert isinstance(session.app.screen, NewRunForm)
        assert value_of(catalogue, "SELECT count(*) FROM runs") == 0


def test_an_estimate_in_words() -> None:
    words = estimate_words(
        {
            "strategies": 3, "questions": 50, "samples": 300, "reused": 100, "to_score": 180, "predictions": 50,
            "failed": {"too_long": 20}, "tokens": 1_300_000, "memory_bytes": 6 << 30, "seconds": 540.0,
        }
    ).plain  # fmt: skip
    assert words.splitlines() == [
        "3 strategies on 50 questions: 180 scores to compute, 100 exist already",
        "1,300,000 tokens, 6.0 GiB of memory, about 9:00",
        "The model answers 50 questions first.",
        "Cannot be scored: 20 too long",
    ]
