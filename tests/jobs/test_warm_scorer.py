"""A scorer keeps its model after a run: the next run finds it, and whoever needs the memory gets it."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.domain import Identity, RunState
from core.processes.identity import is_alive, own_identity
from core.processes.launcher import ensure_runner, logs_folder, runner_lives
from core.processes.scorers import (
    ScorerRow,
    idle_scorers,
    living_scorers,
    register,
    shares_device,
    sharing_key,
    sweep,
    turn_busy,
    turn_idle,
    wish_end,
)
from core.scorer import POLL_SECONDS, Scorer
from core.store.db import Writer, open_reader
from core.store.runs import wish_cancel, wish_pause
from core.submission.options import ScoreOptions
from core.submission.submit import prepare_submission, queue
from tests.conftest import keep_warm, wait_until
from tests.e2e.command_line import CommandLine
from tests.jobs.helpers import assert_sound, kill, queue_run, run_now, start_scorer

SLOW = json.dumps({"delay_s": 0.1})


@pytest.fixture(autouse=True)
def stays_loaded() -> None:
    keep_warm(5)


@pytest.fixture
def warm(catalogue: Path, stand_in_model: Path) -> ScorerRow:
    """The idle scorer of run 1, which scored the strategy `plain`; a runner supervises it."""
    do_run(catalogue, stand_in_model, strategies=("plain",))
    return wait_until(lambda: only_idle(catalogue), what="an idle scorer")


def do_run(catalogue: Path, model: Path, **options: object) -> int:
    run = queue_run(catalogue, model, **options)  # type: ignore[arg-type]
    ensure_runner(catalogue)
    wait_for_state(catalogue, run, RunState.DONE)
    return run


def wait_for_state(catalogue: Path, run: int, state: RunState) -> None:
    wait_until(lambda: run_now(catalogue, run).state is state, what=f"run {run} {state}")


def wait_for_end(scorer: ScorerRow | Identity, seconds: float = 30.0) -> None:
    identity = scorer.identity if isinstance(scorer, ScorerRow) else scorer
    wait_until(lambda: not is_alive(identity), seconds, "the end of the scorer")


def rows(catalogue: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    reader = sqlite3.connect(catalogue)
    try:
        return reader.execute(statement, values).fetchall()
    finally:
        reader.close()


def only_idle(catalogue: Path) -> ScorerRow | None:
    reader = open_reader(catalogue)
    try:
        found = idle_scorers(reader)
    finally:
        reader.close()
    assert len(found) <= 1
    return found[0] if found else None


def pids(catalogue: Path) -> list[object]:
    """The process of every attempt, in order."""
    return [row[0] for row in rows(catalogue, "SELECT pid FROM attempts ORDER BY run, number")]


def loadings(catalogue: Path) -> int:
    return len(rows(catalogue, "SELECT 1 FROM events WHERE text LIKE 'model loaded%'"))


def own_tokens(catalogue: Path, model: Path, strategy: str) -> int:
    """What a strategy costs alone, in a catalogue where nothing is scored yet."""
    copy = catalogue.with_name("fresh.db")
    with sqlite3.connect(catalogue) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    keep_warm(0)
    run = queue_run(copy, model, strategies=(strategy,))
    assert start_scorer(copy, run).wait(60) == 0
    return run_now(copy, run).tokens_total


def test_the_next_run_finds_the_model_loaded_and_pays_for_its_new_strategy_only(
    catalogue: Path, stand_in_model: Path
) -> None:
    expected = own_tokens(catalogue, stand_in_model, "chatty")
    keep_warm(5)
    do_run(catalogue, stand_in_model, strategies=("plain",))
    second = run_now(catalogue, do_run(catalogue, stand_in_model))
    assert len(pids(catalogue)) == 2
    assert len(set(pids(catalogue))) == 1
    assert loadings(catalogue) == 1
    assert (second.done, second.reused) == (48, 24)
    assert second.tokens_total == second.tokens_done == expected > 0
    assert_sound(catalogue)


def test_a_run_with_another_key_gets_the_device(catalogue: Path, stand_in_model: Path, warm: ScorerRow) -> None:
    do_run(catalogue, stand_in_model, strategies=("plain",), system="Be brief.")
    assert not is_alive(warm.identity)
    assert len(set(pids(catalogue))) == 2
    other = wait_until(lambda: only_idle(catalogue), what="the other model idle")
    assert other.identity != warm.identity


def test_replaced_weights_are_another_model(catalogue: Path, stand_in_model: Path, warm: ScorerRow) -> None:
    (stand_in_model / "model.safetensors").write_bytes(b"other weights")
    do_run(catalogue, stand_in_model, strategies=("plain",))
    assert not is_alive(warm.identity)
    assert len(set(pids(catalogue))) == 2


def test_a_run_in_the_foreground_gets_the_device_and_keeps_nothing(
    catalogue: Path, stand_in_model: Path, warm: ScorerRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", SLOW)
    CommandLine(catalogue)(
        "score", "--task", "sums", "--model", stand_in_model, "--metric", "nll", "--device", "cpu", "--foreground"
    )
    wait_for_end(warm)
    assert len(set(pids(catalogue))) == 2
    assert only_idle(catalogue) is None


def test_when_its_time_is_up_the_process_ends(catalogue: Path, stand_in_model: Path) -> None:
    keep_warm(0.02)
    scorer = start_scorer(catalogue, queue_run(catalogue, stand_in_model))
    found = wait_until(lambda: only_idle(catalogue), what="an idle scorer")
    assert found.idle_since is not None
    assert found.free_at == pytest.approx(found.idle_since + 1.2)
    assert scorer.wait(20) == 0


def test_nothing_stays_with_a_time_of_zero(catalogue: Path, stand_in_model: Path) -> None:
    keep_warm(0)
    assert start_scorer(catalogue, queue_run(catalogue, stand_in_model)).wait(20) == 0
    assert rows(catalogue, "SELECT idle_since FROM scorers") == [(None,)]


def test_who_loaded_no_model_does_not_stay(catalogue: Path, stand_in_model: Path, warm: ScorerRow) -> None:
    CommandLine(catalogue)("free")
    assert start_scorer(catalogue, queue_run(catalogue, stand_in_model, strategies=("plain",))).wait(20) == 0
    wait_for_state(catalogue, 2, RunState.DONE)
    wait_until(lambda: not rows(catalogue, "SELECT * FROM scorers"), what="the end of whoever did it")


@pytest.mark.parametrize(("wish", "shown"), [(wish_cancel, "cancelled"), (wish_pause, "paused")])
def test_cancel_and_pause_free_the_memory(
    wish: Callable[[sqlite3.Connection, int], None],
    shown: str,
    catalogue: Path,
    stand_in_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", SLOW)
    run = queue_run(catalogue, stand_in_model)
    scorer = start_scorer(catalogue, run)
    wait_until(lambda: run_now(catalogue, run).done > 0, what="the first chunk")
    with Writer(catalogue) as writer, writer.transaction() as connection:
        wish(connection, run)
    assert scorer.wait(20) == 0
    assert run_now(catalogue, run).shown == shown


def test_a_failed_run_frees_the_memory(catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"nonfinite": ["It is", "altogether"]}))
    run = queue_run(catalogue, stand_in_model)
    assert start_scorer(catalogue, run).wait(20) == 64
    assert run_now(catalogue, run).state is RunState.FAILED


def test_sigterm_ends_an_idle_scorer_at_once(catalogue: Path, stand_in_model: Path) -> None:
    scorer = start_scorer(catalogue, queue_run(catalogue, stand_in_model))
    wait_until(lambda: only_idle(catalogue), what="an idle scorer")
    scorer.send_signal(signal.SIGTERM)
    assert scorer.wait(5) == 0


def test_a_removed_catalogue_ends_it(catalogue: Path, stand_in_model: Path) -> None:
    scorer = start_scorer(catalogue, queue_run(catalogue, stand_in_model))
    wait_until(lambda: only_idle(catalogue), what="an idle scorer")
    catalogue.rename(catalogue.with_name("moved.db"))
    assert scorer.wait(5) == 0


def test_free(catalogue: Path, stand_in_model: Path, warm: ScorerRow) -> None:
    sap_tui = CommandLine(catalogue)
    told = sap_tui.run("runs")
    assert f"{stand_in_model.name} stays loaded on cpu for 5 more minutes (free it: sap-tui free)" in told.stderr
    assert len(json.loads(sap_tui("runs", "--json"))) == 1
    assert sap_tui("free") == f"{stand_in_model.name} is no longer loaded on cpu.\n"
    assert not is_alive(warm.identity)
    assert rows(catalogue, "SELECT * FROM scorers") == []
    again = sap_tui.run("free")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "No model is loaded.\n")
    assert sap_tui.run("runs").stderr == ""


def test_free_leaves_a_model_at_work_alone(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", SLOW)
    scorer = start_scorer(catalogue, queue_run(catalogue, stand_in_model, samples=1))
    wait_until(lambda: only_idle(catalogue), what="an idle scorer")
    run = queue_run(catalogue, stand_in_model)
    wait_until(lambda: run_now(catalogue, run).tokens_done > 0, what="the first chunk")
    told = CommandLine(catalogue).run("free")
    assert (told.returncode, told.stdout) == (0, "")
    assert f"At work: {stand_in_model.name}" in told.stderr
    wait_for_state(catalogue, run, RunState.DONE)
    assert pids(catalogue) == [scorer.pid, scorer.pid]
    scorer.terminate()
    assert scorer.wait(20) == 0


def test_a_hostile_model_name_reaches_no_terminal(catalogue: Path, warm: ScorerRow) -> None:
    with Writer(catalogue) as writer, writer.transaction() as connection:
        connection.execute("UPDATE scorers SET model = 'evil\x1b]0;title\x07'")
    sap_tui = CommandLine(catalogue)
    for printed in (sap_tui.run("runs").stderr, sap_tui("free")):
        assert "evil" in printed
        assert "\x1b" not in printed


def test_a_new_runner_knows_the_scorer_of_a_killed_one(catalogue: Path, stand_in_model: Path) -> None:
    runner = subprocess.Popen([sys.executable, "-m", "core.jobs.runner", str(catalogue)], start_new_session=True)
    wait_until(lambda: runner_lives(catalogue), what="the runner")
    do_run(catalogue, stand_in_model, strategies=("plain",))
    scorer = wait_until(lambda: only_idle(catalogue), what="an idle scorer")
    runner.kill()
    runner.wait()
    second = do_run(catalogue, stand_in_model)
    assert set(pids(catalogue)) == {scorer.identity.pid}
    assert loadings(catalogue) == 1
    assert list(logs_folder(catalogue).glob(f"run-{second}-*")) == [], "another scorer was started"
    do_run(catalogue, stand_in_model, strategies=("plain",), system="Be brief.")
    assert not is_alive(scorer.identity)


def test_a_killed_idle_scorer_blocks_nothing(catalogue: Path, stand_in_model: Path, warm: ScorerRow) -> None:
    kill(warm.identity.pid)
    do_run(catalogue, stand_in_model)
    assert len(set(pids(catalogue))) == 2
    wait_until(lambda: len(rows(catalogue, "SELECT 1 FROM scorers")) == 1, what="the sweeping")
    assert only_idle(catalogue) != warm


def test_a_device_is_registered_once(catalogue: Path) -> None:
    with Writer(catalogue) as writer:
        assert register(writer, "cuda:1", "model", "key")
        assert not register(writer, "cuda:1", "other", "key")
        assert not register(writer, "cuda", "other", "key")
        [found] = living_scorers(writer.connection)
        assert (found.identity, found.device, found.model) == (own_identity(), "cuda:1", "model")


@pytest.mark.parametrize(
    ("device", "other", "shared"),
    [
        ("cpu", "cpu", True),
        ("cuda:0", "cuda:0", True),
        ("cuda", "cuda:3", True),
        ("cuda:3", "cuda", True),
        ("cuda:0", "cuda:1", False),
        ("cpu", "cuda", False),
        ("cuda", "cpu", False),
    ],
)
def test_devices_that_share_memory(device: str, other: str, shared: bool) -> None:
    assert shares_device((device, ()), (other, ())) is shared
    assert shares_device((device, ("GPU-a",)), (other, ())) is shared
    assert shares_device((device, ("GPU-a", "GPU-b")), (other, ("GPU-b",)))
    assert not shares_device((device, ("GPU-a",)), (other, ("GPU-b",)))


def test_rows_of_dead_processes_mean_nothing(catalogue: Path) -> None:
    me = own_identity()
    dead = [replace(me, start=me.start + 1), replace(me, boot="another boot")]
    with Writer(catalogue) as writer:
        with writer.transaction() as connection:
            connection.executemany(
                "INSERT INTO scorers VALUES (?, ?, ?, ?, 'cpu', 'model', '[]', 1.0, 1e12, 'stay')",
                [(row.host, row.boot, row.pid, row.start) for row in dead],
            )
        assert living_scorers(writer.connection) == []
        assert register(writer, "cpu", "model", "key")
        sweep(writer)
        assert writer.connection.execute("SELECT count(*) FROM scorers").fetchone()[0] == 1


def test_among_several_gpus_the_one_with_the_model_is_chosen(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.submission.submit.choose_device", lambda *_: "cuda:0")
    options = ScoreOptions(task="sums", model=str(stand_in_model), metrics=("nll",), dtype="float32")

    def chosen(**changes: str) -> str:
        return prepare_submission(open_reader(catalogue), replace(options, **changes)).request.device  # type: ignore[arg-type]

    with Writer(catalogue) as writer:
        run = queue(writer, prepare_submission(open_reader(catalogue), replace(options, device="cuda:1")))
        first = run_now(catalogue, run)
        register(writer, "cuda:1", first.model, sharing_key(first.spec, first.request))
        assert chosen() == "cuda:0"
        turn_idle(writer, 60)
    assert chosen() == "cuda:1"
    assert chosen(system="Be brief.") == "cuda:0"
    assert chosen(device="cuda:2") == "cuda:2"


def test_either_a_run_or_the_user_gets_an_idle_scorer(catalogue: Path) -> None:
    with Writer(catalogue) as writer:
        assert register(writer, "cpu", "model", "key")
        with writer.transaction() as connection:
            assert wish_end(connection) == []
        turn_idle(writer, 60)
        assert turn_busy(writer)
        turn_idle(writer, 60)
        with writer.transaction() as connection:
            assert [row.model for row in wish_end(connection)] == ["model"]
        assert not turn_busy(writer)


def test_waiting_reads_now_and_then_and_writes_nothing(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Scorer(catalogue)
    changes: list[int] = []

    def sleep(seconds: float) -> None:
        assert seconds == POLL_SECONDS
        changes.append(scorer._writer.connection.total_changes)
        if len(changes) == 20:
            scorer.stop()

    run = queue_run(catalogue, stand_in_model)
    monkeypatch.setattr("core.scorer.time.sleep", lambda seconds: sleep(seconds) if seconds else None)
    assert scorer.run(run) == 0
    assert run_now(catalogue, run).state is RunState.DONE
    assert len(changes) == 20
    assert len(set(changes)) == 1
    scorer.close()
