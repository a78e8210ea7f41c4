"""Outcomes in the catalogue: stored, replaced, and never half kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InputError, NotFoundError, SapError, UsageError
from core.export.csv_text import csv_text
from core.store.db import Writer, open_reader
from core.store.deletion import delete_strategy
from core.store.outcomes import (
    OutcomesPreview,
    StoredOutcome,
    delete_outcomes,
    import_outcomes,
    outcomes,
    preview_outcomes,
)
from core.store.strategies import StrategyFields, add_strategy


def store(catalogue: Path, text: str, **options: str | None):
    file = catalogue.with_name("outcomes.csv")
    file.write_text(text, encoding="utf-8")
    with Writer(catalogue) as writer:
        return import_outcomes(writer, file, **{"task": "sums", **options})


def stored(catalogue: Path, *arguments: str) -> list[tuple[str, str, int, float]]:
    return [
        (each.model, each.strategy, each.seed, each.accuracy) for each in outcomes(open_reader(catalogue), *arguments)
    ]


def test_outcomes_of_a_named_model(catalogue: Path) -> None:
    report = store(catalogue, "strategy,seed,accuracy\nplain,0,0.5\nplain,1,0.6\nchatty,0,0.25\n", model="tiny")
    assert (report.stored, report.replaced, report.models, report.strategies) == (3, 0, ("tiny",), 2)
    assert outcomes(open_reader(catalogue)) == [
        StoredOutcome("sums", "tiny", "chatty", 0, 0.25),
        StoredOutcome("sums", "tiny", "plain", 0, 0.5),
        StoredOutcome("sums", "tiny", "plain", 1, 0.6),
    ]


def test_the_same_seed_is_replaced_and_other_seeds_stay(catalogue: Path) -> None:
    store(catalogue, "strategy,seed,accuracy\nplain,0,0.5\nplain,1,0.6\n", model="tiny")
    report = store(catalogue, "strategy,seed,accuracy\nplain,1,0.9\nplain,2,0.8\n", model="tiny")
    assert (report.stored, report.replaced) == (2, 1)
    assert stored(catalogue) == [("tiny", "plain", 0, 0.5), ("tiny", "plain", 1, 0.9), ("tiny", "plain", 2, 0.8)]


TWO_MODELS = "target_model,task,strategy,accuracy\none,sums,plain,0.1\ntwo,sums,plain,0.2\ntwo,other,plain,0.3\n"


@pytest.mark.parametrize(
    ("model", "expected", "left"),
    [(None, [("one", "plain", 0, 0.1), ("two", "plain", 0, 0.2)], 1), ("two", [("two", "plain", 0, 0.2)], 2)],
)
def test_columns_choose_the_rows(catalogue: Path, model: str | None, expected: list[object], left: int) -> None:
    assert store(catalogue, TWO_MODELS, model=model).other_rows == left
    assert stored(catalogue) == expected
    assert stored(catalogue, "sums", "two") == [("two", "plain", 0, 0.2)]


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        (
            "strategy,accuracy\nplain,0.5\nplian,0.4\n",
            {"model": "tiny"},
            InputError,
            r"outcomes\.csv:3: the task 'sums' has no strategy 'plian'; nothing was kept\. Did you mean 'plain'",
        ),
        ("strategy,accuracy\nplain,0.5\nchatty,50\n", {"model": "tiny"}, InputError, r"outcomes\.csv:3: .* percent"),
        ("strategy,accuracy\nplain,0.5\n", {"model": None}, UsageError, "no column target_model"),
        ("strategy,accuracy\nplain,0.5\n", {"model": "tiny", "task": "none"}, NotFoundError, "no task 'none'"),
        (TWO_MODELS, {"model": "three"}, InputError, "no outcome of sums under three. It has: sums under one"),
        (
            "strategy,seed\nplain,0\nplain,1\n",
            {"model": "tiny"},
            InputError,
            r"outcomes\.csv:2: there is no column 'accuracy'",
        ),
    ],
)
def test_bad_outcomes_leave_nothing(
    catalogue: Path, text: str, options: dict[str, str | None], error: type[SapError], message: str
) -> None:
    with pytest.raises(error, match=message):
        store(catalogue, text, **options)
    assert stored(catalogue) == []


def test_outcomes_of_a_deleted_strategy_are_gone(catalogue: Path) -> None:
    store(catalogue, "strategy,accuracy\nplain,0.5\nchatty,0.6\n", model="tiny")
    with Writer(catalogue) as writer:
        delete_strategy(writer, "sums", "plain")
    assert stored(catalogue) == [("tiny", "chatty", 0, 0.6)]


def test_every_bad_line_is_named_at_once(catalogue: Path) -> None:
    text = "strategy,accuracy\nplain,0.5\nplian,0.4\nchatty,50\n"
    with pytest.raises(
        InputError, match=r"^Bad lines: outcomes\.csv 2; all named above\. Nothing was kept\."
    ) as caught:
        store(catalogue, text, model="tiny")
    assert [line.split(" ")[0] for line in caught.value.details] == ["outcomes.csv:3:", "outcomes.csv:4:"]
    assert stored(catalogue) == []
    many = "strategy,accuracy\n" + "plain,50\n" * 250
    with pytest.raises(InputError, match=r"^Bad lines: outcomes\.csv 250; 100 of them named above\.") as caught:
        store(catalogue, many, model="tiny")
    assert len(caught.value.details) == 100


def test_names_that_an_export_guarded_against_spreadsheets(catalogue: Path) -> None:
    with Writer(catalogue) as writer:
        add_strategy(writer, "sums", "=1+1", StrategyFields())
        add_strategy(writer, "sums", "'+2", StrategyFields())
    text = csv_text(("strategy", "accuracy"), [("=1+1", 0.5), ("'+2", 0.6), ("plain", 0.7)])
    assert look(catalogue, text, model="tiny").problems == ()
    store(catalogue, text, model="tiny")
    assert stored(catalogue) == [("tiny", "'+2", 0, 0.6), ("tiny", "=1+1", 0, 0.5), ("tiny", "plain", 0, 0.7)]


def test_deleted_outcomes_are_gone_and_others_stay(catalogue: Path) -> None:
    text = "strategy,seed,accuracy\nplain,0,0.5\nplain,1,0.6\nchatty,0,0.25\n"
    for model in ("tiny", "mistyped"):
        store(catalogue, text, model=model)
    with Writer(catalogue) as writer:
        assert delete_outcomes(writer, "sums", "mistyped", "plain") == 2
        assert stored(catalogue, "sums", "mistyped") == [("mistyped", "chatty", 0, 0.25)]
        assert delete_outcomes(writer, "sums", "mistyped") == 1
        for arguments, words in (
            (("sums", "mistyped"), r"no outcome of mistyped\. It has: chatty under tiny, plain under tiny\.$"),
            (("sums", "tiny", "plian"), "no outcome of plian under tiny"),
            (("gone", "tiny"), "no task 'gone'"),
        ):
            with pytest.raises(NotFoundError, match=words):
                delete_outcomes(writer, *arguments)
        assert len(stored(catalogue)) == 3
        delete_outcomes(writer, "sums", "tiny")
        with pytest.raises(NotFoundError, match="It has none"):
            delete_outcomes(writer, "sums", "tiny")


def look(catalogue: Path, text: str, **options: str | None) -> OutcomesPreview:
    file = catalogue.with_name("outcomes.csv")
    file.write_text(text, encoding="utf-8")
    return preview_outcomes(open_reader(catalogue), file, **{"task": "sums", **options})


def test_a_preview_says_what_an_import_then_does(catalogue: Path) -> None:
    text = "strategy,seed,accuracy\nplain,0,0.5\nplain,1,0.6\nchatty,0,0.25\n"
    store(catalogue, "strategy,seed,accuracy\nplain,1,0.9\n", model="tiny")
    found = look(catalogue, text, model="tiny")
    assert found.outcomes == (("tiny", "plain", (0.5, 0.6)), ("tiny", "chatty", (0.25,)))
    assert (found.replaced, found.other_rows, found.problems) == (1, 0, ())
    assert stored(catalogue) == [("tiny", "plain", 1, 0.9)]
    report = store(catalogue, text, model="tiny")
    assert (report.stored, report.replaced, report.strategies) == (3, 1, 2)


def test_a_preview_names_every_bad_line_in_order(catalogue: Path) -> None:
    text = "strategy,accuracy\nplain,0.5\nplian,0.5\nchatty,50\nplain,0.5\nchatty,much\n"
    found = look(catalogue, text, model="tiny")
    assert [problem.split(" ")[0] for problem in found.problems] == [f"outcomes.csv:{line}:" for line in (3, 4, 5, 6)]
    assert "Did you mean 'plain'?" in found.problems[0]
    assert "divide by 100" in found.problems[1]
    assert found.outcomes == (("tiny", "plain", (0.5,)),)


def test_a_preview_leaves_out_rows_of_other_tasks_and_models(catalogue: Path) -> None:
    found = look(catalogue, TWO_MODELS, model="two")
    assert (found.outcomes, found.other_rows, found.problems) == ((("two", "plain", (0.2,)),), 2, ())


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        ("strategy,accuracy\nplain,0.5\n", {}, UsageError),
        ("strategy,accuracy\nplain,0.5\n", {"model": "tiny", "task": "gone"}, NotFoundError),
        (TWO_MODELS, {"model": "three"}, InputError),
        ("", {"model": "tiny"}, InputError),
    ],
)
def test_what_a_preview_cannot_take_at_all(
    text: str, options: dict[str, str], error: type[SapError], catalogue: Path
) -> None:
    with pytest.raises(error):
        look(catalogue, text, **options)
