"""The derived words of a run: silence means stalled only when it is long for that run."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.clock import since_boot
from core.jobs.claim import claim_run
from core.store.db import Writer
from core.store.runs import delay_start
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
