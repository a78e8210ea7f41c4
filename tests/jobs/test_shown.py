"""The derived words of a run: silence means stalled only when it is long for that run."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from core.clock import since_boot
from core.domain import Identity, Run
from core.jobs.claim import claim_run
from core.processes.identity import is_gone
from core.store.db import Writer, open_reader
from core.store.runs import delay_start, run_by_id, runs
from tests.jobs.helpers import queue_run, run_now


@pytest.mark.parametrize(
    ("silent", "speed", "largest_chunk", "shown"),
    [
        (30, 100.0, 1000, "running"),
        (90, 1000.0, 1000, "stalled"),
        (90, 100.0, 1000, "running"),
        (110, 100.0, 1000, "stalled"),
        (300, 0.0, 1000, "running"),
        (1000, 0.0, 1000, "stalled"),
    ],
)
def test_stalled(
    catalogue: Path, stand_in_model: Path, silent: float, speed: float, largest_chunk: int, shown: str
) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        assert claim_run(writer, run) is not None
        with writer.transaction() as connection:
            connection.execute("INSERT INTO chunks (run, number, tokens) VALUES (?, 0, ?)", (run, largest_chunk))
            connection.execute(
                "UPDATE runs SET phase = 'scoring', beat_at = ?, tokens_per_second = ? WHERE id = ?",
                (since_boot() - silent, speed, run),
            )
    assert run_now(catalogue, run).shown == shown


def test_a_delayed_restart_is_shown_as_waiting(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer, writer.transaction() as connection:
        delay_start(connection, run, 60, "")
    assert run_now(catalogue, run).shown == "waiting"


@pytest.mark.parametrize(
    ("phase", "silent", "shown"),
    [
        ("predicting", 800, "running"),
        ("predicting", 1000, "stalled"),
        ("planning", 1000, "stalled"),
        ("sampling", 1000, "stalled"),
        ("loading", 3000, "running"),
        ("rewarding", 3000, "running"),
        ("loading", 4000, "stalled"),
    ],
)
def test_stalled_in_other_phases(catalogue: Path, stand_in_model: Path, phase: str, silent: float, shown: str) -> None:
    """A speed that was measured at scoring says nothing about them."""
    run = running(catalogue, stand_in_model)
    change(
        catalogue,
        "UPDATE runs SET phase = ?, beat_at = ?, tokens_per_second = 1000",
        phase,
        since_boot() - silent,
    )
    assert seen(catalogue, run).shown == shown


@pytest.mark.parametrize("want", ["run", "pause", "cancel"])
@pytest.mark.parametrize("owner", ["boot = 'another'", "pid_start = 1"])
def test_a_run_whose_process_is_gone_is_interrupted(
    catalogue: Path, stand_in_model: Path, owner: str, want: str
) -> None:
    run = running(catalogue, stand_in_model)
    assert seen(catalogue, run).shown == "running"
    change(catalogue, f"UPDATE runs SET phase = 'predicting', {owner}, want = ?", want)
    found = seen(catalogue, run)
    assert (found.shown, found.state, found.why, found.phase) == ("interrupted", "running", "its process is gone", "")


@pytest.mark.parametrize("owner", ["boot = 'another'", "pid_start = 1"])
def test_a_run_on_another_host_is_judged_by_its_beat_alone(catalogue: Path, stand_in_model: Path, owner: str) -> None:
    run = running(catalogue, stand_in_model)
    change(catalogue, f"UPDATE runs SET host = 'elsewhere', {owner}")
    assert seen(catalogue, run).shown == "running"


def test_a_run_that_ended_while_it_was_looked_at_is_not_interrupted(catalogue: Path, stand_in_model: Path) -> None:
    run = running(catalogue, stand_in_model)

    def ended_at_this_moment(_: Identity) -> bool:
        change(catalogue, "UPDATE runs SET state = 'done', ended_at = 1")
        return True

    for number in (1, 2):
        change(catalogue, "UPDATE runs SET state = 'running', ended_at = NULL")
        with closing(open_reader(catalogue)) as reader:
            found = (
                runs(reader, is_gone=ended_at_this_moment)[0]
                if number == 1
                else run_by_id(reader, run, ended_at_this_moment)
            )
        assert found.shown == "done"


def running(catalogue: Path, model: Path) -> int:
    """A run that this very process is at work on."""
    run = queue_run(catalogue, model)
    with Writer(catalogue) as writer:
        assert claim_run(writer, run) is not None
    return run


def seen(catalogue: Path, run: int) -> Run:
    with closing(open_reader(catalogue)) as reader:
        alone, among = run_by_id(reader, run, is_gone), runs(reader, is_gone=is_gone)
    assert among == [alone]
    return alone


def change(catalogue: Path, statement: str, *values: object) -> None:
    with Writer(catalogue) as writer, writer.transaction() as connection:
        connection.execute(statement, values)
