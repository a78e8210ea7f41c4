"""The history of a run's speed: bounded, from the start on, and what is estimated and drawn from it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core.domain import Run
from core.store.db import Writer, open_reader
from core.store.run_details import NextLook, RunDetails, run_details
from core.store.runs import run_by_id
from core.store.speeds import MOST_ROWS, SECONDS_BETWEEN, Speed, add_speed, speeds, units_per_second
from sap_tui.commands.run_facts import run_facts, sparkline
from tests.jobs.helpers import queue_run


@pytest.fixture
def queued(catalogue: Path, stand_in_model: Path) -> Path:
    queue_run(catalogue, stand_in_model)
    change(catalogue, "UPDATE runs SET phase = 'scoring'")
    return catalogue


def change(catalogue: Path, statement: str, *values: object) -> None:
    with Writer(catalogue) as writer, writer.transaction() as connection:
        connection.execute(statement, values)


def remember(catalogue: Path, times: list[float], monkeypatch: pytest.MonkeyPatch) -> list[Speed]:
    with Writer(catalogue) as writer:
        for at in times:
            monkeypatch.setattr("core.store.speeds.time.time", partial(float, at))
            with writer.transaction() as connection:
                connection.execute("UPDATE runs SET tokens_per_second = ?, done = ?", (at, int(at)))
                add_speed(connection, 1, memory=7)
    return speeds(open_reader(catalogue), 1)


def test_a_row_every_now_and_then(queued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = remember(queued, [0.5 * number for number in range(1, 21)], monkeypatch)
    assert [each.at for each in found] == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert found[1] == Speed(2.5, "scoring", 2, 2.5, 7)


def test_another_phase_is_remembered_at_once(queued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(queued, [1.0], monkeypatch)
    change(queued, "UPDATE runs SET phase = 'predicting', phase_done = 5")
    assert remember(queued, [1.5], monkeypatch)[1] == Speed(1.5, "predicting", 5, 0.0, 7)


def test_a_long_run_is_bounded_and_reaches_back_to_its_start(queued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 3 * MOST_ROWS
    found = remember(queued, [1 + SECONDS_BETWEEN * number for number in range(count)], monkeypatch)
    assert MOST_ROWS / 2 <= len(found) <= MOST_ROWS
    assert found[0].at == 1
    assert found[-1].at == 1 + SECONDS_BETWEEN * (count - 1)


def test_how_fast_a_phase_goes_comes_from_its_last_minute() -> None:
    history = [
        Speed(0, "predicting", 0, 0, 0), Speed(100, "predicting", 10, 0, 0), Speed(120, "predicting", 50, 0, 0),
    ]  # fmt: skip
    assert units_per_second(history, "predicting") == 2.0
    assert units_per_second(history, "sampling") is None
    assert units_per_second(history[:1], "predicting") is None
    assert units_per_second([], "predicting") is None


@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        ([], 8, ""),
        ([(0, 0.0)], 8, ""),
        ([(0, 5.0)], 8, "█"),
        ([(0, 1.0), (2, 4.0), (4, 8.0)], 8, "▂▅█"),
        ([(0, 8.0), (2, 8.0), (4, 4.0), (6, 4.0)], 2, "█▅"),
        ([(0, 8.0), (2, 8.0), (4, 8.0), (100, 8.0), (102, 8.0), (104, 8.0)], 6, "█    █"),
        ([(0, 8.0), (2, 8.0), (4.9, 8.0), (6, 8.0), (8, 8.0)], 5, "█████"),
    ],
)
def test_a_sparkline_goes_by_time(values: list[tuple[float, float]], width: int, drawn: str) -> None:
    assert sparkline(values, width) == drawn


def running(catalogue: Path, **changes: object) -> Run:
    change(catalogue, "UPDATE runs SET state = 'running'")
    return replace(run_by_id(open_reader(catalogue), 1), **changes)  # type: ignore[arg-type]


def test_other_phases_have_an_estimate_of_the_time_left(queued: Path) -> None:
    history = (Speed(0, "predicting", 0, 0, 0), Speed(10, "predicting", 5, 0, 0))
    run = running(queued, phase="predicting", phase_done=5, phase_total=25)
    assert RunDetails(speeds=history).seconds_left(run) == 40
    assert {fact.name: fact.text for fact in run_facts(run, RunDetails(speeds=history))}["left"] == (
        "0:40, then scoring"
    )
    assert RunDetails().seconds_left(run) is None


def test_scoring_goes_by_tokens(queued: Path) -> None:
    run = running(queued, tokens_total=1_000, tokens_done=400, tokens_per_second=20.0)
    details = RunDetails(next_look=NextLook(12, 200))
    assert details.seconds_left(run) == 30
    assert details.seconds_to_look(run) == 10
    facts = {fact.name: fact.text for fact in run_facts(run, details)}
    assert facts["left"] == "0:30"
    assert facts["next look"] == "at question 12 of 24, in 0:10"


def test_the_next_look_comes_from_the_chunks_that_are_open(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model, until_decided=True)

    def now() -> NextLook | None:
        reader = open_reader(catalogue)
        return run_details(reader, run_by_id(reader, run)).next_look

    assert now() == NextLook(24, None)
    for number in range(2):
        change(catalogue, "INSERT INTO chunks (run, number, tokens, stage) VALUES (?, ?, 50, 0)", run, number)
    assert now() == NextLook(24, 100)
    change(catalogue, "UPDATE chunks SET fence = 1 WHERE number = 0")
    assert now() == NextLook(24, 50)
    change(catalogue, "UPDATE chunks SET fence = 1")
    change(catalogue, "UPDATE runs SET planned = 1")
    assert now() is None


def test_strategies_that_are_out_are_named_with_the_reason(queued: Path) -> None:
    change(queued, "UPDATE run_strategies SET out = 'out after 32 questions, behind chatty by nll' WHERE position = 1")
    reader = open_reader(queued)
    run = run_by_id(reader, 1)
    details = run_details(reader, run)
    assert details.out == {run.strategies[1]: "out after 32 questions, behind chatty by nll"}
    facts = {fact.name: fact.text for fact in run_facts(run, details)}
    assert facts["out"] == f"{run.strategies[1]}, after 32 questions, behind chatty by nll"
