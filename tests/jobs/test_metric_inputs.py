"""What metrics need beside surprisals is made by the run that asks for it, kept, and never made twice."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from core.domain import Run, RunState
from core.errors import NotFoundError, SapError, UsageError
from core.jobs.claim import claim_run
from core.rank import ranking_report
from core.scorer import Ending, Scorer
from core.store.db import Writer, open_reader
from core.store.importing import import_file
from core.store.runs import events
from core.store.token_ends import token_ends
from tests.conftest import write_strategy
from tests.jobs.helpers import assert_sound, queue_run, run_now


def work(catalogue: Path, model: Path, metrics: tuple[str, ...], **options: object) -> Run:
    """A run of the task `sums`, done in this process."""
    return done_here(catalogue, queue_run(catalogue, model, metrics, **options))


def done_here(catalogue: Path, number: int) -> Run:
    scorer = Scorer(catalogue)
    with Writer(catalogue) as writer:
        claim = claim_run(writer, number)
    assert claim is not None
    assert scorer.work(claim) is Ending.DONE
    scorer.close()
    assert_sound(catalogue)
    return run_now(catalogue, number)


def rows(catalogue: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    reader = sqlite3.connect(catalogue)
    found = reader.execute(statement, values).fetchall()
    reader.close()
    return found


def texts_of_events(catalogue: Path, run: Run) -> list[str]:
    return [event.text for event in events(open_reader(catalogue), run.id)]


def test_answers_are_judged_and_token_ends_kept_once(catalogue: Path, stand_in_model: Path) -> None:
    run = work(catalogue, stand_in_model, ("nll",), samples=10)
    assert rows(catalogue, "SELECT count(*), sum(correct) FROM answer_checks") == [(20, 20)]
    digests = [row[0] for row in rows(catalogue, "SELECT DISTINCT response FROM run_items WHERE run = ?", run.id)]
    ends = token_ends(open_reader(catalogue), run.spec, digests)  # type: ignore[arg-type]
    texts = {row[0]: row[1] for row in rows(catalogue, "SELECT digest, text FROM responses")}
    assert len(ends) == 20
    assert all(list(places) == list(range(1, len(str(texts[digest])) + 1)) for digest, places in ends.items())

    before = rows(catalogue, "SELECT * FROM token_ends ORDER BY response")
    again = work(catalogue, stand_in_model, ("nll",), samples=10)
    assert again.reused == again.total == 20
    assert rows(catalogue, "SELECT * FROM token_ends ORDER BY response") == before


def test_a_wrong_answer_is_judged_wrong(catalogue: Path, stand_in_model: Path, tmp_path: Path) -> None:
    file = write_strategy(tmp_path / "wrong.jsonl", [f"It is {2 * number + number % 2}." for number in range(24)])
    with Writer(catalogue) as writer:
        import_file(writer, file, task="sums", strategy="wrong")
    work(catalogue, stand_in_model, ("nll", "response_accuracy"))
    report = ranking_report(open_reader(catalogue), by="response_accuracy")
    assert {row.strategy: row.scores["response_accuracy"].value for row in report.ranking.rows} == {
        "plain": 1.0, "chatty": 1.0, "wrong": 0.5,
    }  # fmt: skip


def test_votes_are_sampled_once_and_more_are_added(catalogue: Path, stand_in_model: Path) -> None:
    work(catalogue, stand_in_model, ("self_consistency",), samples=4, votes=5)
    first = rows(catalogue, "SELECT * FROM sampled_answers ORDER BY context, number")
    assert len(first) == 4 * 5
    assert {row[3] for row in first} == set(range(5))
    work(catalogue, stand_in_model, ("self_consistency",), samples=6, votes=7)
    second = rows(catalogue, "SELECT * FROM sampled_answers ORDER BY context, number")
    assert len(second) == 6 * 7
    assert set(first) <= set(second)
    work(catalogue, stand_in_model, ("self_consistency",), samples=4, votes=5, vote_temperature=0.7)
    assert len(rows(catalogue, "SELECT * FROM sampled_answers WHERE temperature = 0.7")) == 20


def test_the_targets_own_answer_is_scored_beside_the_strategies(catalogue: Path, stand_in_model: Path) -> None:
    run = work(catalogue, stand_in_model, ("self_margin",), samples=10)
    assert run.total == 30
    items = rows(
        catalogue,
        "SELECT run_items.question, nll_sum / scores.tokens FROM run_items JOIN scores USING (context, response)"
        " WHERE run = ? AND strategy = 0", run.id,
    )  # fmt: skip
    assert len(items) == 10
    report = ranking_report(open_reader(catalogue), run.id)
    own = sum(float(str(value)) for _, value in items) / 10
    nll = {
        row.strategy: row.scores["nll"].value
        for row in ranking_report(open_reader(catalogue), run.id, "nll").ranking.rows
    }
    for row in report.ranking.rows:
        assert row.scores["self_margin"].value == pytest.approx(own - nll[row.strategy], rel=1e-9)


def test_trusted_pairs_are_scored_behind_their_own_questions(
    catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    file = write_strategy(tmp_path / "gold.jsonl", [f"= {2 * number}" for number in range(40)])
    with Writer(catalogue) as writer:
        import_file(writer, file, task="trusted", strategy="human")
    run = work(catalogue, stand_in_model, ("ds_weight",), samples=10, valid="trusted/human")
    assert run.total == 20 + 40
    assert run.questions == 10
    assert ranking_report(open_reader(catalogue), run.id).ranking.questions == 10


def test_trusted_pairs_among_the_scored_ones_count_once(catalogue: Path, stand_in_model: Path) -> None:
    run = work(catalogue, stand_in_model, ("ds_weight",), samples=10, valid="sums/plain")
    assert run.total == 10 + 24
    report = ranking_report(open_reader(catalogue), run.id)
    assert {row.strategy for row in report.ranking.rows} == {"plain", "chatty"}


def test_without_trusted_pairs_the_other_metrics_still_come(catalogue: Path, stand_in_model: Path) -> None:
    run = work(catalogue, stand_in_model, ("nll", "ds_weight", "learnability", "car"), samples=10)
    ranking = ranking_report(open_reader(catalogue), run.id, "nll").ranking
    assert len(ranking.rows) == 2
    assert any("--valid" in warning for warning in ranking.warnings)
    assert any("--small-model-run" in warning for warning in ranking.warnings)
    with pytest.raises(SapError, match="--valid"):
        ranking_report(open_reader(catalogue), run.id, "ds_weight")


def test_rewards_come_from_a_model_in_a_folder(catalogue: Path, stand_in_model: Path) -> None:
    run = work(catalogue, stand_in_model, ("nll", "reward", "car"), samples=10, reward_model=str(stand_in_model))
    stored = rows(catalogue, "SELECT value FROM rewards")
    assert len(stored) == 20
    ranking = ranking_report(open_reader(catalogue), run.id, "reward").ranking
    mean = sum(row.scores["reward"].value for row in ranking.rows) / 2
    assert mean == pytest.approx(sum(float(str(row[0])) for row in stored) / 20)
    work(catalogue, stand_in_model, ("reward",), samples=10, reward_model=str(stand_in_model))
    assert len(rows(catalogue, "SELECT value FROM rewards")) == 20


def test_a_reward_model_that_changed_while_its_run_waited_gives_no_rewards(
    catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "reward-model"
    shutil.copytree(stand_in_model, folder)
    number = queue_run(catalogue, stand_in_model, ("nll", "reward"), samples=4, reward_model=str(folder))
    (folder / "model.safetensors").write_bytes(b"other weights")
    run = done_here(catalogue, number)
    assert rows(catalogue, "SELECT * FROM rewards") == []
    assert any("reward model's files changed" in text for text in texts_of_events(catalogue, run))


def test_rewards_that_are_not_positive_are_refused_by_car_alone(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_TUI_FAKE", json.dumps({"reward_shift": -0.5}))
    run = work(catalogue, stand_in_model, ("nll", "reward", "car"), samples=10, reward_model=str(stand_in_model))
    ranking = ranking_report(open_reader(catalogue), run.id, "reward").ranking
    assert any("car_shifted" in warning for warning in ranking.warnings)
    assert ranking_report(open_reader(catalogue), run.id, "car_shifted").ranking.rows


def test_a_reward_model_that_is_none_leaves_the_other_metrics(
    catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    (folder / "model.safetensors").write_bytes(b"nothing")
    run = work(catalogue, stand_in_model, ("nll", "reward"), samples=4, reward_model=str(folder))
    assert any(text.startswith("rewards are missing:") for text in texts_of_events(catalogue, run))
    assert len(ranking_report(open_reader(catalogue), run.id, "nll").ranking.rows) == 2


def test_learnability_compares_with_the_run_of_a_small_model(
    catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small-model"
    small.mkdir()
    (small / "config.json").write_text('{"model_type": "sap-tui-stand-in", "small": true}')
    (small / "model.safetensors").write_bytes(b"other weights")
    first = work(catalogue, small, ("nll",), samples=10)
    second = work(catalogue, stand_in_model, ("nll", "learnability"), samples=10, small_model_run=first.id)
    reader = open_reader(catalogue)
    values = {row.strategy: row.scores for row in ranking_report(reader, second.id, "learnability").ranking.rows}
    small_nll = {row.strategy: row.scores["nll"].value for row in ranking_report(reader, first.id, "nll").ranking.rows}
    for name, scores in values.items():
        assert scores["learnability"].value == pytest.approx(small_nll[name] - scores["nll"].value, abs=1e-12)


def test_inputs_that_cannot_serve_are_refused_before_anything_is_stored(catalogue: Path, stand_in_model: Path) -> None:
    with pytest.raises(NotFoundError, match="TASK/STRATEGY"):
        queue_run(catalogue, stand_in_model, valid="nowhere/nobody")
    unfinished = queue_run(catalogue, stand_in_model)
    with pytest.raises(SapError, match="queued"):
        queue_run(catalogue, stand_in_model, small_model_run=unfinished)
    with pytest.raises(NotFoundError):
        queue_run(catalogue, stand_in_model, reward_model="/no/such/folder")
    for wrong in ({"votes": 1}, {"vote_temperature": 0.0}, {"example_orders": 0}, {"example_choice": "luck"}):
        with pytest.raises(UsageError):
            queue_run(catalogue, stand_in_model, **wrong)
    assert run_now(catalogue, unfinished).state is RunState.QUEUED
    assert rows(catalogue, "SELECT count(*) FROM runs") == [(1,)]


def test_a_small_model_that_is_the_target_itself_is_refused(catalogue: Path, stand_in_model: Path) -> None:
    first = work(catalogue, stand_in_model, ("nll",), samples=4)
    with pytest.raises(UsageError, match="same model"):
        queue_run(catalogue, stand_in_model, ("learnability",), small_model_run=first.id)


def test_a_valid_set_that_is_compared_is_named(catalogue: Path, stand_in_model: Path) -> None:
    run = work(catalogue, stand_in_model, ("ds_weight",), samples=10, valid="sums/plain")
    warnings = ranking_report(open_reader(catalogue), run.id).ranking.warnings
    assert any("'plain' itself" in warning for warning in warnings)


def test_the_runs_reward_model_comes_before_an_imported_column(
    catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    from core.store.column_import import import_column

    first = work(catalogue, stand_in_model, ("reward",), samples=4, reward_model=str(stand_in_model))
    before = ranking_report(open_reader(catalogue), first.id).ranking.rows
    file = tmp_path / "rewards.csv"
    lines = [f"{name},{number},7" for name in ("plain", "chatty") for number in range(24)]
    file.write_text("strategy,id,value\n" + "\n".join(lines) + "\n")
    with Writer(catalogue) as writer:
        import_column(writer, file, task="sums", name="reward", metrics=())
    assert ranking_report(open_reader(catalogue), first.id).ranking.rows == before
    without = work(catalogue, stand_in_model, ("nll",), samples=4)
    values = {
        row.scores["reward"].value for row in ranking_report(open_reader(catalogue), without.id, "reward").ranking.rows
    }
    assert values == {7.0}
