"""A strategy's responses as rows, and one of them in full."""

from __future__ import annotations

from textual.content import Content

from core.domain import Run, Strategy
from core.store.catalogue import Sample
from core.store.pages import ResponseRow
from sap_tui.text import MUTED, joined, plain
from sap_tui.widgets.detail_pane import section
from sap_tui.widgets.records import Column, Record

COLUMNS = (
    Column("position", "#", 7, "right"),
    Column("asked", "question", 12, stretch=True, sortable=False),
    Column("text", "response", 12, stretch=True, sortable=False),
    Column("characters", "length", 8, "right"),
)
SCORE_COLUMNS = (Column("tokens", "tokens", 8, "right"), Column("nll", "nll", 7, "right"))
CHECK_COLUMN = Column("correct", "right", 7)
ANSWERS = {True: ("✓", "$success"), False: ("✗", "$error"), None: ("", "")}
SHOWN_CHARACTERS = 160


def columns_for(run: Run | None) -> tuple[Column, ...]:
    """Without a run there are no scores, and no answer was checked."""
    return (*COLUMNS, CHECK_COLUMN, *SCORE_COLUMNS) if run else COLUMNS


def response_record(row: ResponseRow) -> Record:
    """A row with the cells of all columns; those of a run are empty where it has no score."""
    return Record(
        row.question,
        (
            Content.styled(f"{row.position + 1:,}", MUTED),
            plain(row.asked[:SHOWN_CHARACTERS]),
            plain(row.text[:SHOWN_CHARACTERS]) if row.text else Content.styled("(empty)", "$warning"),
            Content(f"{row.characters:,}"),
            Content.styled(*ANSWERS[row.correct]),
            Content("" if row.tokens is None else f"{row.tokens:,}"),
            Content("" if row.nll is None else f"{row.nll:.3f}"),
        ),
    )


def without_scores(record: Record) -> Record:
    return Record(record.key, record.cells[: len(COLUMNS)])


def list_title(strategy: Strategy, count: int, finished: bool, marked: int, run: Run | None) -> Content:
    """What the table holds: whose responses, how many of them, and whose scores."""
    of_all = f"{count:,}" if count == strategy.responses else f"{count:,} of {strategy.responses:,}"
    return joined(
        [
            plain(f"{strategy.task} / {strategy.name}"),
            Content(f"{of_all} responses{'' if finished else ', looking for more …'}"),
            Content(f"{marked:,} marked" if marked else ""),
            Content(f"scores of run {run.id}" if run else ""),
        ]
    )


def sample_sections(sample: Sample) -> tuple[Content, Content]:
    """The question with the turns before it and its gold answer; the response."""
    question = sample.question
    several = len(question.turns) > 1
    asked = [section(turn.role.capitalize() if several else "Question", turn.content) for turn in question.turns]
    gold = section("Gold answer", question.answer or "")
    return Content("\n").join([*asked, gold]), section("Response", sample.response.text or "(empty)")
