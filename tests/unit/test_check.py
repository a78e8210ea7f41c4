"""Every invariant that `sap-tui doctor` checks is found when it is broken; in a sound catalogue nothing is found."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.domain import Identity
from core.jobs.claim import claim_run
from core.processes.identity import is_alive, own_identity
from core.store.check import _MUST_BE_EMPTY, problems
from core.store.db import Writer, open_reader
from tests.conftest import ROOT
from tests.e2e.command_line import CommandLine
from tests.jobs.helpers import assert_sound, queue_run, start_scorer

BROKEN = {
    "runs whose counter differs from their finished samples": "UPDATE runs SET done = done - 1",
    "runs whose error counter differs from their failed samples": "UPDATE runs SET errors = errors + 1",
    "runs whose total differs from their plan": "UPDATE runs SET total = total + 1",
    "runs whose token counters differ from their chunks": "UPDATE runs SET tokens_done = tokens_done + 1",
    "runs that are done with samples or chunks left": "UPDATE chunks SET fence = NULL WHERE number = 0",
    "runs that have ended without a time, or have a time without having ended": "UPDATE runs SET ended_at = NULL",
    "running runs without an owner": "UPDATE runs SET state = 'running', pid = NULL, ended_at = NULL",
    "attempts that neither ended nor belong to a running run's owner": "UPDATE attempts SET ended_at = NULL",
    "samples that count as scored without a score": "DELETE FROM scores WHERE id = 1",
    "failed samples without a reason": "UPDATE run_items SET state = 'error' WHERE number = 0",
    "samples or chunks written under a fence that was never given": "UPDATE chunks SET fence = 9 WHERE number = 0",
    "finished chunks with samples left": "UPDATE run_items SET state = 'planned' WHERE number = 0",
    "open chunks without a sample left": "UPDATE chunks SET fence = NULL WHERE number = 0",
    "samples left that no chunk holds": "UPDATE run_items SET state = 'planned', chunk = NULL WHERE number = 0",
    "scores that are no finite numbers": "UPDATE scores SET nll_sum = 9e999 WHERE id = 1",
    "scores with equal keys": """
        CREATE TEMP TABLE copy AS SELECT * FROM scores; DROP TABLE scores;
        CREATE TABLE scores (id INTEGER PRIMARY KEY, spec, context, response, tokens, nll_sum, rank_sum, engine);
        INSERT INTO scores SELECT * FROM copy;
        INSERT INTO scores SELECT 99999, spec, context, response, tokens, nll_sum, rank_sum, engine
        FROM copy LIMIT 1""",
    "scores without their per-token arrays": "DELETE FROM token_scores WHERE score = 1",
    "strategies whose response counter is wrong": "UPDATE strategies SET responses = 1 WHERE id = 1",
    "rows that refer to nothing, in table": "UPDATE run_strategies SET strategy = 99 WHERE strategy = 1",
}


@pytest.fixture
def scored(catalogue: Path, stand_in_model: Path) -> Path:
    run = queue_run(catalogue, stand_in_model)
    assert start_scorer(catalogue, run).wait(60) == 0
    assert_sound(catalogue)
    return catalogue


def break_rule(catalogue: Path, script: str) -> None:
    """As a program that is not ours would: neither foreign keys nor CHECKs hold it back."""
    with sqlite3.connect(catalogue) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.executescript(script)


def test_every_invariant_is_found_broken(scored: Path, tmp_path: Path) -> None:
    assert BROKEN.keys() >= _MUST_BE_EMPTY.keys()
    for what, script in BROKEN.items():
        copy = tmp_path / "copy.db"
        copy.unlink(missing_ok=True)
        with sqlite3.connect(scored) as source, sqlite3.connect(copy) as target:
            source.backup(target)
        break_rule(copy, script)
        with sqlite3.connect(copy) as reader:
            reader.row_factory = sqlite3.Row
            found = problems(reader)
        assert any(re.match(rf"\d+ {re.escape(what)} ", line) for line in found), (what, found)


def test_a_run_without_a_living_process_is_found(catalogue: Path, stand_in_model: Path) -> None:
    run = queue_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        assert claim_run(writer, run) is not None
    reader = open_reader(catalogue)
    assert problems(reader, is_alive) == []
    gone: Callable[[Identity], bool] = lambda owner: is_alive(replace(owner, start=1))  # noqa: E731
    assert problems(reader, gone) == [f"1 running runs whose process is gone (first: {run})"]
    assert problems(reader, lambda owner: owner == own_identity()) == []


def test_doctor_says_what_is_broken(scored: Path) -> None:
    break_rule(scored, BROKEN["runs whose total differs from their plan"])
    told = CommandLine(scored).run("doctor")
    assert told.returncode == 1
    assert "BAD  1 runs whose total differs from their plan (first: 1)" in told.stdout


def test_only_the_store_opens_catalogues_for_writing() -> None:
    """So that no writer is without its lock, its log and its syncs."""
    opening = {
        str(file.relative_to(ROOT))
        for package in ("core", "sap_tui")
        for file in (ROOT / package).rglob("*.py")
        if "sqlite3.connect(" in file.read_text(encoding="utf-8")
    }
    assert {name for name in opening if not name.startswith("core/store/")} == set()
