"""`sap-tui filter` on the bundled sample with the bundled tiny model: what is kept, written and read back."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, TINY_MODEL, end_processes
from tests.e2e.command_line import CommandLine

SAMPLE = ROOT / "sample_data" / "arithmetic"
STRATEGIES = ("chatty", "terse", "wrong_answers")
METRICS = ("nll", "ifd", "rsr", "self_consistency", "ds_weight")
SCORED, RESPONSES = 12, 200


def rows_of(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (SAMPLE / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """Three strategies, of which a run has scored the first twelve questions."""
    folder = tmp_path_factory.mktemp("filter")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    sap_tui = CommandLine(folder / "catalogue.db")
    sap_tui("import", *(SAMPLE / f"{name}.jsonl" for name in STRATEGIES), "--task", "arithmetic")
    sap_tui("import", SAMPLE / "step_by_step.jsonl", "--task", "trusted", "--strategy", "gold")
    metrics = [part for name in METRICS for part in ("--metric", name)]
    done = sap_tui(
        "score", "--task", "arithmetic", "--model", TINY_MODEL, "--samples", str(SCORED), *metrics,
        "--valid", "trusted/gold", "--votes", "3", "--device", "cpu", "--foreground", "--json",
    )  # fmt: skip
    assert json.loads(done)["state"] == "done"
    yield sap_tui
    end_processes(sap_tui.catalogue)


@pytest.fixture(scope="module")
def surprisal(scored: CommandLine) -> dict[tuple[str, str, str], tuple[float, float]]:
    """(context, strategy, id): L in nats per token and the mean clipped rank, as the catalogue's rows have them."""
    connection = sqlite3.connect(scored.catalogue)
    rows = connection.execute(
        """SELECT run_items.context_kind, strategies.name, questions.key, scores.nll_sum, scores.rank_sum, scores.tokens
           FROM run_items JOIN strategies ON strategies.id = run_items.strategy
           JOIN questions ON questions.id = run_items.question
           JOIN scores ON scores.context = run_items.context AND scores.response = run_items.response"""
    ).fetchall()
    connection.close()
    return {row[:3]: (row[3] / row[5], (row[4] or math.nan) / row[5]) for row in rows}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def provenance_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_name(f"{path.name}.provenance.json").read_text())
    return found


@pytest.mark.parametrize("name", STRATEGIES)
def test_correct_responses_need_no_run(scored: CommandLine, tmp_path: Path, name: str) -> None:
    output = tmp_path / "kept.jsonl"
    table = scored("filter", "--task", "arithmetic", "--strategy", name, "--steps", "correct", "--output", output)
    expected = [row for row in rows_of(name) if row["response"].rpartition("Final Answer: ")[2] == row["answer"]]
    assert lines(output) == expected
    assert table.split()[:6] == ["strategy", "step", "kept", "dropped", "no", "value"]
    assert [name, "correct", str(len(expected)), str(RESPONSES - len(expected)), "0"] in [
        line.split() for line in table.splitlines()
    ]
    assert provenance_of(output)["run"] is None


def test_steps_on_scores_say_what_they_dropped(
    scored: CommandLine, tmp_path: Path, surprisal: dict[tuple[str, str, str], tuple[float, float]]
) -> None:
    ids = [row["id"] for row in rows_of("terse")[:SCORED]]
    losses = [surprisal["plain", "terse", key][0] for key in ids]
    difficulties = [loss / surprisal["alone", "terse", key][0] for loss, key in zip(losses, ids, strict=True)]
    low, high = sorted(difficulties)[1], sorted(difficulties)[-3]
    limit = sorted(losses)[-4]
    steps = f"ifd={low - 1e-9:.12f}-{high + 1e-9:.12f},nll<={limit + 1e-9:.12f},rsr>=0"
    in_range = [place for place in range(SCORED) if low <= difficulties[place] <= high]
    expected = [ids[place] for place in in_range if losses[place] <= limit]
    output = tmp_path / "kept.jsonl"
    result = scored.run(
        "filter", "--task", "arithmetic", "--strategy", "terse", "--steps", steps, "--output", output, "--json"
    )
    assert result.returncode == 0, result.stderr
    assert [row["id"] for row in lines(output)][: len(expected)] == expected
    (report,) = json.loads(result.stdout)["strategies"]
    assert (report["responses"], report["scored"], report["written"]) == (RESPONSES, SCORED, len(lines(output)))
    first, second, third = report["steps"]
    assert (first["kept"], first["dropped"]) == (len(in_range), SCORED - len(in_range))
    assert first["without_value"] == RESPONSES - SCORED
    assert (second["kept"], second["dropped"], second["without_value"]) == (
        len(expected), len(in_range) - len(expected), 0,
    )  # fmt: skip
    assert third["kept"] + third["without_value"] == len(expected)
    assert "12 of the 200 responses of 'terse'" in result.stderr
    assert "score --more 188 1" in result.stderr
    assert "--samples all" in result.stderr


def test_iwsi_is_the_vote_and_then_the_weight_of_what_it_kept(
    scored: CommandLine, tmp_path: Path, surprisal: dict[tuple[str, str, str], tuple[float, float]]
) -> None:
    arguments = ("filter", "--task", "arithmetic", "--strategy", "chatty", "--output")
    scored(*arguments, tmp_path / "vote.jsonl", "--steps", "self-consistency")
    scored(*arguments, tmp_path / "iwsi.jsonl", "--steps", "iwsi=50")
    with sqlite3.connect(scored.catalogue) as connection:
        trusted = connection.execute(
            """SELECT sum(nll_sum / tokens) / count(*), count(*) FROM scores WHERE response IN (
                   SELECT responses.digest FROM responses JOIN strategies ON strategies.id = responses.strategy
                   WHERE strategies.name = 'gold')"""
        ).fetchone()
    assert trusted[1] == RESPONSES
    voted = [row["id"] for row in lines(tmp_path / "vote.jsonl")]
    ratios = {key: trusted[0] / surprisal["plain", "chatty", key][0] for key in voted}
    weights = {key: max(ratio, 1 / ratio) for key, ratio in ratios.items()}
    assert 2 <= len(voted) < SCORED
    limit = statistics.median(weights.values()) + 1e-9
    assert [row["id"] for row in lines(tmp_path / "iwsi.jsonl")] == [key for key in voted if weights[key] <= limit]


def test_an_imported_column_is_a_metric_too(scored: CommandLine, tmp_path: Path) -> None:
    ids = [row["id"] for row in rows_of("terse")]
    column = tmp_path / "column.csv"
    column.write_text("strategy,id,value\n" + "".join(f"terse,{key},{place}\n" for place, key in enumerate(ids[:9])))
    scored("column", column, "--task", "arithmetic", "--name", "place")
    output = tmp_path / "kept.jsonl"
    arguments = ("--task", "arithmetic", "--strategy", "terse", "--output", output, "--json")
    report = json.loads(scored("filter", *arguments, "--steps", "place<=6,place>=2"))
    assert [row["id"] for row in lines(output)] == ids[2:7]
    assert report["strategies"][0]["steps"][0] == {
        "step": "place<=6", "kept": 7, "dropped": 2, "without_value": RESPONSES - 9,
    }  # fmt: skip


def test_an_imported_column_counts_for_every_response_and_needs_no_run(scored: CommandLine, tmp_path: Path) -> None:
    ids = [row["id"] for row in rows_of("terse")]
    (tmp_path / "r.csv").write_text("strategy,id,value\n" + "".join(f"terse,{key},{n}\n" for n, key in enumerate(ids)))
    unscored = CommandLine(tmp_path / "unscored.db")
    unscored("import", SAMPLE / "terse.jsonl", SAMPLE / "chatty.jsonl", "--task", "arithmetic")
    output = tmp_path / "kept.jsonl"
    for sap_tui in (scored, unscored):
        for name in ("many", "reward"):
            sap_tui("column", tmp_path / "r.csv", "--task", "arithmetic", "--name", name)
        for steps in ("many>=150", "reward>=150", "correct,many>=150"):
            arguments = ("--task", "arithmetic", "--strategy", "terse", "--steps", steps)
            report = json.loads(sap_tui("filter", *arguments, "--output", output, "--force", "--json"))
            assert [row["id"] for row in lines(output)] == ids[150:], steps
            assert (report["run"], report["strategies"][0]["steps"][-1]["without_value"]) == (None, 0)
        best = json.loads(sap_tui("filter", "--task", "arithmetic", "--best-of", "many", "--dry-run", "--json"))
        assert (best["kept"], best["run"]) == (RESPONSES, None)
    # Beside a metric of the run, and with the run named, the column's values count as well.
    arguments = ("filter", "--task", "arithmetic", "--strategy", "terse", "--dry-run")
    assert json.loads(scored(*arguments, "--steps", "many>=150", "--run", "1", "--json"))["kept"] == 50
    mixed = scored.run(*arguments, "--steps", "many>=10,nll<=99", "--json")
    (report,) = json.loads(mixed.stdout)["strategies"]
    assert [step["kept"] for step in report["steps"]] == [RESPONSES - 10, SCORED - 10]
    assert "12 of the 200 responses of 'terse'" in mixed.stderr
    for name in ("many", "reward"):
        scored("column", "--task", "arithmetic", "--name", name, "--delete")


def test_the_best_strategy_of_every_question(
    scored: CommandLine, tmp_path: Path, surprisal: dict[tuple[str, str, str], tuple[float, float]]
) -> None:
    for metric in ("nll", "rsr"):

        def value(name: str, key: str, metric: str = metric) -> float:
            loss, rank = surprisal["plain", name, key]
            return loss if metric == "nll" else rank / loss

        ids = [row["id"] for row in rows_of("chatty")[:SCORED]]
        # The run has the strategies in the order of their names; min() takes the first of equals.
        best = [min(STRATEGIES, key=lambda name, key=key: value(name, key)) for key in ids]  # type: ignore[misc]
        output = tmp_path / f"{metric}.jsonl"
        report = json.loads(scored("filter", "--task", "arithmetic", "--best-of", metric, "--output", output, "--json"))
        texts = {(name, row["id"]): row["response"] for name in STRATEGIES for row in rows_of(name)}
        found = lines(output)
        assert [(row["id"], row["strategy"], row["response"]) for row in found] == [
            (key, name, texts[name, key]) for key, name in zip(ids, best, strict=True)
        ]
        assert {one["strategy"]: one["written"] for one in report["strategies"]} == {
            name: best.count(name) for name in STRATEGIES
        }
        assert report["questions_without_value"] == RESPONSES - SCORED


def test_ties_go_to_the_earlier_strategy_and_the_direction_counts(scored: CommandLine, tmp_path: Path) -> None:
    ids = [row["id"] for row in rows_of("terse")]
    values = [
        ("wrong_answers", ids[0], 1), ("terse", ids[0], 1), ("chatty", ids[0], 0),
        ("chatty", ids[1], -2), ("terse", ids[1], -1),
        ("wrong_answers", ids[2], -9),
        ("chatty", ids[SCORED], 1),
    ]  # fmt: skip
    column = tmp_path / "column.json"
    column.write_text(json.dumps([dict(zip(("strategy", "id", "value"), row, strict=True)) for row in values]))
    scored("column", column, "--task", "arithmetic", "--name", "likes", "--direction", "higher")
    output = tmp_path / "best.jsonl"
    report = json.loads(scored("filter", "--task", "arithmetic", "--best-of", "likes", "--output", output, "--json"))
    assert [(row["id"], row["strategy"]) for row in lines(output)] == [
        (ids[0], "terse"), (ids[1], "terse"), (ids[2], "wrong_answers"), (ids[SCORED], "chatty"),
    ]  # fmt: skip
    assert (report["questions_without_value"], report["questions_tied"]) == (RESPONSES - 4, 1)
    said = scored.run("filter", "--task", "arithmetic", "--best-of", "likes", "--dry-run").stderr
    assert "Questions on which strategies tie, the earlier one's response kept: 1." in said


def test_a_share_of_wins_compares_the_named_strategies_only(
    scored: CommandLine, tmp_path: Path, surprisal: dict[tuple[str, str, str], tuple[float, float]]
) -> None:
    output = tmp_path / "best.jsonl"
    names = ("chatty", "terse")
    options = [part for name in names for part in ("--strategy", name)]
    scored("filter", "--task", "arithmetic", "--best-of", "grape_share", *options, "--output", output)
    found = lines(output)
    assert len(found) == SCORED
    for row in found:
        assert row["strategy"] == min(names, key=lambda name: surprisal["plain", name, row["id"]][0])


def test_steps_come_before_the_choice_of_the_best(
    scored: CommandLine, tmp_path: Path, surprisal: dict[tuple[str, str, str], tuple[float, float]]
) -> None:
    right = {
        (name, row["id"])
        for name in STRATEGIES
        for row in rows_of(name)
        if row["response"].rpartition("Final Answer: ")[2] == row["answer"]
    }
    output = tmp_path / "kept.jsonl"
    scored(
        "filter", "--task", "arithmetic", "--best-of", "nll", "--steps", "correct", "--strategy", "wrong_answers",
        "--strategy", "chatty", "--output", output,
    )  # fmt: skip
    expected = []
    for row in rows_of("chatty")[:SCORED]:
        names = [name for name in ("chatty", "wrong_answers") if (name, row["id"]) in right]
        expected += [min(names, key=lambda name: surprisal["plain", name, row["id"]][0])] if names else []
    assert [row["strategy"] for row in lines(output)] == expected
    assert len(set(expected)) == 2


@pytest.mark.parametrize(
    ("layout", "suffix"), [("tidy", ".jsonl"), ("alpaca", ".json"), ("sharegpt", ".json"), ("messages", ".jsonl")]
)
def test_what_is_written_can_be_imported(scored: CommandLine, tmp_path: Path, layout: str, suffix: str) -> None:
    output, info = tmp_path / f"terse{suffix}", tmp_path / "dataset_info.json"
    scored(
        "filter", "--task", "arithmetic", "--strategy", "terse", "--steps", "hardest=50", "--format", layout,
        "--output", output, "--dataset-info", info,
    )  # fmt: skip
    again = CommandLine(tmp_path / "again.db")
    again("import", output, "--task", "copy")
    with sqlite3.connect(again.catalogue) as connection:
        imported = connection.execute(
            "SELECT questions.turns, responses.text FROM responses JOIN questions ON questions.id = question"
        ).fetchall()
    connection.close()
    by_question = {json.dumps([["user", row["question"]]]): row["response"] for row in rows_of("terse")}
    assert len(imported) == SCORED / 2
    for turns, text in imported:
        assert by_question[json.dumps(json.loads(turns))] == text
    assert json.loads(info.read_text())["terse"]["file_name"] == output.name
    # And into the task that it came from, where ids or texts find the questions.
    scored("import", output, "--task", "arithmetic", "--strategy", f"kept-{layout}")
    scored("strategy", "delete", f"kept-{layout}", "--task", "arithmetic")


def test_provenance_says_where_the_data_comes_from(scored: CommandLine, tmp_path: Path) -> None:
    output = tmp_path / "kept.json"
    scored(
        "filter", "--task", "arithmetic", "--strategy", "chatty", "--steps", "correct,nll<=99", "--run", "1",
        "--format", "alpaca", "--output", output,
    )  # fmt: skip
    found = provenance_of(output)
    assert found["file"] == {
        "name": "kept.json", "format": "alpaca", "records": SCORED,
        "sha256": hashlib.sha256(output.read_bytes()).hexdigest(),
    }  # fmt: skip
    assert (found["task"], found["steps"], found["best_of"]) == ("arithmetic", ["correct", "nll<=99"], None)
    (strategy,) = found["strategies"]
    source = (SAMPLE / "chatty.jsonl").read_bytes()
    assert strategy["source"] == {
        "name": "chatty.jsonl", "blake2b": hashlib.blake2b(source, digest_size=16).hexdigest(),
    }  # fmt: skip
    assert strategy["steps"][1] == {
        "step": "nll<=99", "kept": SCORED, "dropped": 0, "without_value": RESPONSES - SCORED,
    }  # fmt: skip
    run = found["run"]
    assert (run["number"], run["model"], run["questions"]) == (1, "tiny-model", SCORED)
    assert run["settings"]["weights_digest"] == run["weights_digest"]
    assert run["settings"]["dtype"] == "float32"
    assert str(TINY_MODEL) not in json.dumps(found)
    assert found["program"]["version"]


def test_a_dry_run_writes_nothing(scored: CommandLine, tmp_path: Path) -> None:
    output = tmp_path / "kept.jsonl"
    arguments = ("filter", "--task", "arithmetic", "--strategy", "terse", "--steps", "hardest=25", "--dry-run")
    report = json.loads(scored(*arguments, "--output", output, "--json"))
    assert (report["kept"], report["run"]) == (3, 1)
    assert os.listdir(tmp_path) == []


def test_a_file_is_only_replaced_when_forced(scored: CommandLine, tmp_path: Path) -> None:
    output = tmp_path / "kept.jsonl"
    arguments = ("filter", "--task", "arithmetic", "--strategy", "terse", "--steps", "hardest=25", "--output", output)
    output.write_text("mine")
    assert "--force" in scored.run(*arguments).stderr
    assert output.read_text() == "mine"
    scored(*arguments, "--force")
    assert len(lines(output)) == 3
    output.unlink()
    assert "provenance.json is there already" in scored.run(*arguments).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--strategy", "terse", "--steps", "magic", "--dry-run"), 2, "self-consistency"),
        (("--strategy", "terse", "--steps", "magic<=3", "--dry-run"), 2, "column 'magic'"),
        (("--strategy", "terse", "--steps", "sap<=3", "--dry-run"), 1, "--metric sap"),
        (("--strategy", "terse", "--steps", "reward>=0", "--dry-run"), 1, "reward"),
        (("--strategy", "ghost", "--steps", "correct", "--dry-run"), 3, "ghost"),
        (("--strategy", "terse", "--steps", "nll<=3", "--run", "99", "--dry-run"), 3, "no run 99"),
        (("--steps", "correct", "--dry-run"), 2, "--strategy"),
        (("--strategy", "terse", "--strategy", "chatty", "--dry-run"), 2, "--best-of"),
        (("--best-of", "magic", "--dry-run"), 2, "column 'magic'"),
        (("--strategy", "terse", "--steps", "correct"), 2, "--output"),
        (("--strategy", "terse", "--steps", "correct", "--output", "data.parquet"), 2, ".jsonl"),
        (("--strategy", "terse", "--output", "/no/such/folder/data.json"), 1, "/no/such/folder"),
        (("--strategy", "terse", "--output", "data.json", "--dataset-info", "/proc/info.json"), 1, "/proc"),
    ],
)  # fmt: skip
def test_errors_are_one_line_with_a_code(
    scored: CommandLine, arguments: tuple[str, ...], code: int, words: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    result = scored.run("filter", "--task", "arithmetic", *arguments)
    assert (result.returncode, words in result.stderr) == (code, True), result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("sap-tui: ")


def test_nothing_left_is_an_error_and_no_file(scored: CommandLine, tmp_path: Path) -> None:
    output, info = tmp_path / "kept.jsonl", tmp_path / "dataset_info.json"
    result = scored.run(
        "filter", "--task", "arithmetic", "--strategy", "terse", "--steps", "nll<=0", "--output", output,
        "--dataset-info", info,
    )  # fmt: skip
    assert result.returncode == 1
    assert "No response is left" in result.stderr
    assert os.listdir(tmp_path) == []


def test_scores_of_earlier_responses_do_not_count(scored: CommandLine, tmp_path: Path) -> None:
    copy = CommandLine(tmp_path / "catalogue.db")
    with sqlite3.connect(scored.catalogue) as source, sqlite3.connect(copy.catalogue) as target:
        source.backup(target)
    copy("import", SAMPLE / "chatty.jsonl", "--task", "arithmetic", "--strategy", "terse", "--replace")
    arguments = ("filter", "--task", "arithmetic", "--strategy", "terse", "--steps", "nll<=99", "--dry-run")
    newest = copy.run(*arguments)
    assert (newest.returncode, "as it is now" in newest.stderr) == (3, True)
    named = copy.run(*arguments, "--run", "1")
    assert (named.returncode, "as it is now" in named.stderr) == (1, True)
    best = ("filter", "--task", "arithmetic", "--best-of", "nll", "--dry-run", "--json")
    unnamed = copy.run(*best)
    assert (unnamed.returncode, unnamed.stdout, "'terse' as it is now" in unnamed.stderr) == (1, "", True)
    report = json.loads(copy(*best, "--strategy", "chatty", "--strategy", "wrong_answers"))
    assert [one["strategy"] for one in report["strategies"]] == ["chatty", "wrong_answers"]


def test_the_best_of_all_names_strategies_without_scores(scored: CommandLine, tmp_path: Path) -> None:
    copy = CommandLine(tmp_path / "catalogue.db")
    with sqlite3.connect(scored.catalogue) as source, sqlite3.connect(copy.catalogue) as target:
        source.backup(target)
    copy("import", SAMPLE / "chatty.jsonl", "--task", "arithmetic", "--strategy", "later")
    report = json.loads(copy("filter", "--task", "arithmetic", "--best-of", "nll", "--dry-run", "--json"))
    assert report["notes"][0] == "Run 1 has no scores of 'later', which can therefore not be the best."
    assert [one["strategy"] for one in report["strategies"]] == list(STRATEGIES)
