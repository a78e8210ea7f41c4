"""What a ranking is made from: scores, numbers made of tokens, and what is known beside them, on real catalogues."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from core.domain import ContextKind, Run, response_digest
from core.errors import SapError, UsageError
from core.metrics import nll
from core.metrics.base import Input, Metric, ResponseTokens, SampleScore, ScoreArrays
from core.metrics.needs import HOW_TO_GET
from core.metrics.registry import all_metrics, metric
from core.rank import computable_metrics, ranking_report, run_arrays
from core.store.column_import import import_column
from core.store.db import Writer, open_reader
from core.store.importing import import_file
from core.store.rewards import insert_rewards
from core.store.sampled_answers import insert_sampled_answers
from core.store.scores import token_scores
from tests.conftest import write_strategy
from tests.unit.scored_runs import change, plain_contexts, scored_run, stored_nll

QUESTIONS = 24
STRATEGIES = ("chatty", "plain")


def scores_by(catalogue: Path, run: Run, by: str) -> dict[str, float]:
    report = ranking_report(open_reader(catalogue), run.id, by)
    return {row.strategy: row.scores[by].value for row in report.ranking.rows}


def plain_tokens(catalogue: Path, run: Run, strategy: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Surprisals and ranks of every response, read one by one."""
    reader = open_reader(catalogue)
    rows = reader.execute(
        "SELECT context, response FROM run_items JOIN strategies ON strategies.id = run_items.strategy"
        " WHERE run = ? AND strategies.name = ? AND context_kind = 'plain' ORDER BY question",
        (run.id, strategy),
    ).fetchall()
    found = [token_scores(reader, run.spec, row[0], row[1]) for row in rows]
    return [(-each.log_probability.astype(float), each.rank) for each in found if each and each.rank is not None]


def with_metric(monkeypatch: pytest.MonkeyPatch, **changes: object) -> Metric:
    """A metric that a plugin might bring."""
    added = replace(nll.METRIC, id="theirs", **changes)  # type: ignore[arg-type]
    monkeypatch.setitem(all_metrics(), added.id, added)
    return added


def test_a_run_ranks_by_a_metric_that_it_did_not_name(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, ("ppl",))
    scores = scores_by(catalogue, run, "rsr")
    for name in STRATEGIES:
        tokens = plain_tokens(catalogue, run, name)
        ranks = sum(float(np.minimum(rank, 100).mean()) for _, rank in tokens)
        assert scores[name] == pytest.approx(ranks / sum(float(nll.mean()) for nll, _ in tokens))
    report = ranking_report(open_reader(catalogue), run.id, "rsr", ["lark"])
    assert [each.id for each in report.metrics] == ["ppl", "rsr", "lark"]


def test_columns_that_the_run_cannot_give_are_warnings_and_the_one_ranked_by_an_error(
    catalogue: Path, stand_in_model: Path
) -> None:
    run = scored_run(catalogue, stand_in_model, ("ppl",))
    report = ranking_report(open_reader(catalogue), run.id, columns=["sap", "reward"])
    assert [row.scores.keys() for row in report.ranking.rows] == [{"ppl"}, {"ppl"}]
    warnings = " ".join(report.ranking.warnings)
    assert "sap is missing: Run 1 has no self-aligned" in warnings
    assert f"reward is missing: There are no rewards for these responses. {HOW_TO_GET[Input.REWARD]}" in warnings
    with pytest.raises(SapError, match="which sap needs") as caught:
        ranking_report(open_reader(catalogue), run.id, "sap")
    assert "--metric sap" in caught.value.hint
    with pytest.raises(UsageError, match="no metric or imported column 'mag␛ic'"):
        ranking_report(open_reader(catalogue), run.id, "mag\x1bic")


@pytest.mark.parametrize(
    ("by", "kind", "what"),
    [
        ("reward", Input.REWARD, "no rewards"),
        ("car", Input.REWARD, "no rewards"),
        ("self_consistency", Input.TARGET_VOTE, "none of the target model's sampled answers"),
        ("self_margin", Input.OWN_NLL, "own predictions have no scores"),
        ("ds_weight", Input.VALID_NLL, "no valid set"),
        ("learnability", Input.SMALL_MODEL_NLL, "names no run of a small model"),
    ],
)
def test_a_missing_input_is_named_with_the_way_to_get_it(
    catalogue: Path, stand_in_model: Path, by: str, kind: Input, what: str
) -> None:
    run = scored_run(catalogue, stand_in_model)
    with pytest.raises(SapError, match=what) as caught:
        ranking_report(open_reader(catalogue), run.id, by)
    assert HOW_TO_GET[kind] in str(caught.value)
    assert by not in {each.id for each in computable_metrics(open_reader(catalogue), run)}


def test_computable_metrics_come_with_the_runs_own_first(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, ("nll", "ifd"))
    found = [each.id for each in computable_metrics(open_reader(catalogue), run)]
    assert found[:2] == ["nll", "ifd"]
    assert {"ppl", "rsr", "ifd_ppl", "strategy_vote", "response_accuracy", "aslec_drop"} <= set(found)
    assert not {"sap", "sap_nll", "reward", "self_consistency"} & set(found)
    arrays = run_arrays(open_reader(catalogue), run, computable_metrics(open_reader(catalogue), run))
    for each in computable_metrics(open_reader(catalogue), run):
        assert each.contributions(arrays).usable.all(), each.id


def test_numbers_made_of_tokens(catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ResponseTokens] = []

    def largest(tokens: ResponseTokens) -> float:
        seen.append(tokens)
        return float(tokens.surprisal.max())

    with_metric(monkeypatch, token_value=largest, numerator=lambda arrays: arrays.token_value("theirs"))
    run = scored_run(catalogue, stand_in_model)
    scores = scores_by(catalogue, run, "theirs")
    for name in STRATEGIES:
        assert scores[name] == pytest.approx(mean(float(nll.max()) for nll, _ in plain_tokens(catalogue, run, name)))
    assert len(seen) == 2 * QUESTIONS
    assert all(each.ends is None and each.text == "" and each.surprisal.dtype == "float64" for each in seen)


def test_places_of_tokens_come_with_their_text(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_character(tokens: ResponseTokens) -> float:
        assert tokens.ends is not None
        assert len(tokens.ends) == len(tokens.surprisal)
        return float(ord(tokens.text[tokens.ends[0] - 1]))

    with_metric(
        monkeypatch,
        token_value=first_character,
        needs_token_ends=True,
        numerator=lambda arrays: arrays.token_value("theirs"),
    )
    run = scored_run(catalogue, stand_in_model, ("theirs",))
    assert scores_by(catalogue, run, "theirs") == {"plain": ord("I"), "chatty": ord("W")}
    change(catalogue, "DELETE FROM token_ends")
    with pytest.raises(SapError, match="no places of tokens in the responses, which aslec_drop needs"):
        ranking_report(open_reader(catalogue), run.id, "aslec_drop")


def test_a_value_that_is_not_finite_is_none(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(tokens: ResponseTokens) -> float:
        return float("inf") if len(tokens.surprisal) % 2 else 1.0

    with_metric(monkeypatch, token_value=odd, numerator=lambda arrays: arrays.token_value("theirs"))
    run = scored_run(catalogue, stand_in_model)
    arrays = run_arrays(open_reader(catalogue), run, [metric("theirs")])
    lengths = arrays.tokens()
    assert np.array_equal(np.isnan(arrays.token_value("theirs")), lengths % 2 == 1)
    assert set(lengths.flat) & {7.0, 8.0} or len(set(lengths.flat)) > 1


@pytest.mark.parametrize("broken", ["token_value", "numerator", "denominator"])
def test_a_plugin_that_fails_is_named(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(_: object) -> float:
        raise ZeroDivisionError("by\x1b[2J nothing")

    with_metric(monkeypatch, **{broken: fail})
    run = scored_run(catalogue, stand_in_model)
    with pytest.raises(SapError, match=r"The metric theirs fails: ZeroDivisionError: by␛\[2J nothing"):
        ranking_report(open_reader(catalogue), run.id, "theirs")
    beside = ranking_report(open_reader(catalogue), run.id, "nll", ["theirs"]).ranking
    assert {row.strategy for row in beside.rows} == set(STRATEGIES)
    assert any("theirs is missing: The metric theirs fails" in warning for warning in beside.warnings)


def test_a_plugin_with_an_array_of_another_shape_is_named(
    catalogue: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_metric(monkeypatch, numerator=lambda _: np.ones(3))
    run = scored_run(catalogue, stand_in_model)
    with pytest.raises(SapError, match=r"theirs gives an array of shape \(3,\)"):
        ranking_report(open_reader(catalogue), run.id, "theirs")


def test_scores_of_several_orders_are_averaged(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, ("sap_nll",), example_orders=2, answer_filter=False)
    scores = scores_by(catalogue, run, "sap_nll")
    for name in STRATEGIES:
        stored = stored_nll(catalogue, run, name, ContextKind.SELF_ALIGNED)
        assert {len(values) for values in stored.values()} == {2}
        assert scores[name] == pytest.approx(mean(mean(values) for values in stored.values()))
    change(
        catalogue,
        "UPDATE run_items SET state = 'error', code = 'nonfinite' WHERE number ="
        " (SELECT min(number) FROM run_items WHERE context_kind = 'self_aligned')",
    )
    arrays = run_arrays(open_reader(catalogue), run, [metric("sap_nll")])
    assert np.isnan(arrays.mean_nll(ContextKind.SELF_ALIGNED)).sum() == 1


def test_collected_scores_of_one_place_are_averaged() -> None:
    kind = ContextKind.SELF_ALIGNED
    scores = [
        SampleScore("a", 1, kind, 10, 20.0),
        SampleScore("a", 1, kind, 10, 40.0),
        SampleScore("a", 2, kind, 10, 20.0),
        SampleScore("a", 2, kind, float("nan"), float("nan")),
    ]
    arrays = ScoreArrays.collect(["a"], [1, 2], scores)
    assert arrays.mean_nll(kind).tolist()[0] == pytest.approx([3.0, float("nan")], nan_ok=True)


@pytest.fixture
def trusted(catalogue: Path, tmp_path: Path) -> Path:
    """The catalogue with a valid set of 12 pairs in a task of its own, and a strategy of the task as another."""
    file = write_strategy(tmp_path / "gold.jsonl", [f"The sum is {2 * number}." for number in range(12)])
    with Writer(catalogue) as writer:
        import_file(writer, file, task="trusted", strategy="gold")
    return catalogue


@pytest.mark.parametrize("valid", ["trusted/gold", "sums/plain"])
def test_the_runs_arrays_hold_neither_the_valid_set_nor_the_targets_own_predictions(
    trusted: Path, stand_in_model: Path, valid: str
) -> None:
    run = scored_run(trusted, stand_in_model, ("self_margin", "ds_weight"), valid=valid, strategies=("chatty",))
    arrays = run_arrays(open_reader(trusted), run, [metric("self_margin"), metric("ds_weight")])
    assert arrays.strategies == ("chatty",)
    assert len(arrays.questions) == QUESTIONS
    own = stored_nll(trusted, run, 0)
    assert arrays.input(Input.OWN_NLL).tolist() == [[pytest.approx(own[q][0]) for q in arrays.questions]]
    pairs = stored_nll(trusted, run, valid.split("/")[1])
    expected = [value for values in pairs.values() for value in values]
    assert sorted(arrays.input(Input.VALID_NLL)) == pytest.approx(sorted(expected))
    assert len(expected) == (12 if valid.startswith("trusted") else QUESTIONS)


def test_the_valid_set_is_told_with_its_error(trusted: Path, stand_in_model: Path) -> None:
    run = scored_run(trusted, stand_in_model, ("ds_weight",), valid="trusted/gold")
    report = ranking_report(open_reader(trusted), run.id)
    values = [value for values in stored_nll(trusted, run, "gold").values() for value in values]
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    assert any(f"{np.mean(values):.4g} nats per token, its standard error {error:.2g}" in note for note in report.notes)
    assert any(warning.startswith("Only 12 valid pairs") for warning in report.ranking.warnings)
    assert any("never average it with perplexity" in warning for warning in report.ranking.warnings)


def test_the_target_models_vote(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, votes=3)
    # "plain" and "chatty" answer every question right: 0, 2, 4, ...
    samples = {
        0: [("0", True), ("1", True), ("0", True)],
        1: [("5", True), ("Final Answer: 2", True), ("x", True)],
        2: [("4", False), ("5", True), ("Nothing", True)],
        3: [("none", True), ("", True), ("no", True)],
    }
    with Writer(catalogue) as writer, writer.transaction() as connection:
        for place, answers in samples.items():
            numbered = [(number, *answer) for number, answer in enumerate(answers)]
            numbered += [(number, "77", True) for number in range(3, 9)]
            insert_sampled_answers(connection, run.spec, plain_contexts(catalogue)[place], 1.1, numbered)
            insert_sampled_answers(connection, run.spec, plain_contexts(catalogue)[place], 0.5, [(0, "99", True)])
    report = ranking_report(open_reader(catalogue), run.id, "self_consistency")
    arrays = run_arrays(open_reader(catalogue), run, [metric("self_consistency")])
    # A tie goes to the first answer (5, not 2); a cut answer has none, so 5 is the vote on the third.
    assert np.nan_to_num(arrays.input(Input.TARGET_VOTE), nan=9).tolist() == [[1, 0, 0, *[9] * 21]] * 2
    assert report.ranking.questions == 3
    (note,) = (note for note in report.notes if note.startswith("self_consistency"))
    assert "6 of 12 of the target model's sampled answers could be read, on 3 of 24 questions" in note
    assert "72%" in note  # (2/3 + 1/2 + 1) / 3


def test_votes_that_were_sampled_by_a_run(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model, ("self_consistency", "ppl"), votes=5)
    report = ranking_report(open_reader(catalogue), run.id)
    assert report.ranking.metric == "self_consistency"
    assert any("of 120 of the target model's sampled answers" in note for note in report.notes)


def test_the_strategies_own_vote(catalogue: Path, stand_in_model: Path, tmp_path: Path) -> None:
    texts = [f"Final Answer: {2 * number + (number < 6)}" for number in range(QUESTIONS)]
    with Writer(catalogue) as writer:
        import_file(writer, write_strategy(tmp_path / "odd.jsonl", texts), task="sums", strategy="a wrong one")
    run = scored_run(catalogue, stand_in_model)
    assert scores_by(catalogue, run, "strategy_vote") == {"a wrong one": 0.75, "chatty": 1.0, "plain": 1.0}
    pair = scored_run(catalogue, stand_in_model, strategies=("a wrong one", "plain"))
    assert scores_by(catalogue, pair, "strategy_vote") == {"a wrong one": 1.0, "plain": 0.75}
    single = scored_run(catalogue, stand_in_model, strategies=("plain",))
    with pytest.raises(SapError, match="at least 2 strategies"):
        ranking_report(open_reader(catalogue), single.id, "strategy_vote")


def test_rewards_come_from_a_model_or_a_column(catalogue: Path, stand_in_model: Path) -> None:
    run = scored_run(catalogue, stand_in_model)
    change(catalogue, "UPDATE runs SET request = json_set(request, '$.reward_model_digest', 'their weights')")
    rewards = [
        (context, response_digest(text.format(2 * place)), value)
        for place, context in enumerate(plain_contexts(catalogue))
        for text, value in (("It is {}.", 1.5), ("Well, let me see, that makes {} altogether!", 0.5 + place / 24))
    ]
    with Writer(catalogue) as writer, writer.transaction() as connection:
        insert_rewards(connection, "other weights", [(a, b, 9.0) for a, b, _ in rewards])
        insert_rewards(connection, "their weights", rewards)
    run = replace(run, request=replace(run.request, reward_model_digest="their weights"))
    scores = scores_by(catalogue, run, "reward")
    assert scores == {"plain": 1.5, "chatty": pytest.approx(0.5 + mean(range(24)) / 24)}
    file = catalogue.with_name("rewards.csv")
    file.write_text("strategy,id,value\n" + "".join(f"{s},{n},{3 + n}\n" for s in STRATEGIES for n in range(24)))
    with Writer(catalogue) as writer:
        import_column(writer, file, task="sums", name="reward", metrics=all_metrics())
    assert scores_by(catalogue, run, "reward") == {"plain": 14.5, "chatty": 14.5}
    assert "reward" not in {each.id for each in ranking_report(open_reader(catalogue), run.id).metrics}


def test_the_same_responses_under_a_small_model(catalogue: Path, stand_in_model: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    (small / "config.json").write_text('{"model_type": "sap-tui-stand-in"}')
    (small / "model.safetensors").write_bytes(b"few weights")
    first = scored_run(catalogue, small)
    run = scored_run(catalogue, stand_in_model, ("learnability",), small_model_run=first.id)
    assert run.spec != first.spec
    change(catalogue, "UPDATE scores SET nll_sum = nll_sum + tokens WHERE spec = ?", first.spec)
    for name, score in scores_by(catalogue, run, "learnability").items():
        theirs, ours = stored_nll(catalogue, first, name), stored_nll(catalogue, run, name)
        assert score == pytest.approx(mean(theirs[q][0] - ours[q][0] for q in ours))
        assert score == pytest.approx(1.0)
