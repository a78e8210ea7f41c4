"""Imported score columns: the layouts that are known, what is wrong with a file, and rankings by them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

import pytest

from core.errors import InputError, NotFoundError, SapError, UsageError
from core.export.csv_text import csv_text
from core.export.formats import ranking_json
from core.metrics.registry import all_metrics
from core.rank import computable_metrics, ranking_report
from core.store.column_import import ColumnImport, delete_column, import_column
from core.store.db import Writer, open_reader
from core.store.importing import import_file
from core.store.score_columns import score_columns
from sap_tui.rankings import report_from_object
from tests.conftest import write_strategy
from tests.e2e.command_line import CommandLine
from tests.unit.catalogue_files import new_catalogue, samples, write_lines
from tests.unit.scored_runs import scored_run

QUESTIONS = 24
HOSTILE = "\x1b[2J\u202e=1+1"


def load(catalogue: Path, text: str, suffix: str = ".csv", name: str = "theirs", **options: str | None) -> ColumnImport:
    file = catalogue.with_name(f"scores{suffix}")
    file.write_text(text, encoding="utf-8")
    with Writer(catalogue) as writer:
        return import_column(writer, file, task="sums", name=name, metrics=all_metrics(), **options)  # type: ignore[arg-type]


def stored(catalogue: Path, name: str = "theirs") -> dict[tuple[str, str], tuple[float, float]]:
    """Value and weight by strategy and question key, straight from the tables."""
    reader = sqlite3.connect(catalogue)
    rows = reader.execute(
        "SELECT strategies.name, key, value, weight FROM column_values"
        " JOIN score_columns ON score_columns.id = score_column JOIN strategies ON strategies.id = strategy"
        " JOIN questions ON questions.id = question WHERE score_columns.name = ?",
        (name,),
    ).fetchall()
    reader.close()
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


ROWS = [
    {"strategy": "plain", "id": 3, "value": 1.5},
    {"strategy": "chatty", "id": "3", "value": -2},
    {"strategy": "plain", "id": 4, "value": 0},
]
EXPECTED = {("plain", "3"): (1.5, 1.0), ("chatty", "3"): (-2.0, 1.0), ("plain", "4"): (0.0, 1.0)}


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".csv", "strategy,id,value\nplain,3,1.5\nchatty,3,-2\nplain,4,0\n"),
        (".csv", "value,note,id,strategy\n1.5,x,3,plain\n-2e0,y,3,chatty\n0,z,4,plain\n"),
        (".jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)),
        (".json", json.dumps(ROWS, indent=2)),
        (".json", "".join(json.dumps(row) + "\n" for row in ROWS)),
        (".json", json.dumps({"plain": {"3": 1.5, "4": 0}, "chatty": {"3": -2}}, indent=1)),
        (".json", json.dumps({"plain": {"3": 1.5, "4": 0}, "chatty": {"3": -2}})),
    ],
)
def test_layouts_with_ids(catalogue: Path, suffix: str, text: str) -> None:
    done = load(catalogue, text, suffix)
    assert stored(catalogue) == EXPECTED
    assert (done.stored, done.strategies, done.replaced, done.column.direction) == (3, 2, 0, "lower")


@pytest.mark.parametrize("text", ["id,value\n3,1.5\n4,0\n", '{"3": 1.5, "4": 0}', '{"plain": {"3": 1.5, "4": 0}}'])
def test_values_of_one_strategy(catalogue: Path, text: str) -> None:
    load(catalogue, text, ".csv" if text.startswith("id") else ".json", strategy="plain")
    assert stored(catalogue) == {key: value for key, value in EXPECTED.items() if key[0] == "plain"}


def test_a_list_of_perplexities_is_in_the_order_of_the_imported_file(catalogue: Path, tmp_path: Path) -> None:
    order = [*range(12, 24), *range(12)]
    lines = [{"id": n, "question": f"What is {n} plus {n}?", "response": f"{2 * n}!"} for n in order]
    with Writer(catalogue) as writer:
        import_file(writer, write_lines(tmp_path / "turned.jsonl", lines), task="sums", strategy="turned")
    load(catalogue, json.dumps([100.0 + n for n in order], indent=2), ".json", strategy="turned")
    assert stored(catalogue) == {("turned", str(n)): (100.0 + n, 1.0) for n in range(24)}


@pytest.mark.parametrize("count", [23, 25])
def test_a_list_of_another_length_is_refused(catalogue: Path, count: int) -> None:
    with pytest.raises(InputError) as caught:
        load(catalogue, json.dumps([1.0] * count, indent=2), ".json", strategy="plain")
    expected = "scores.json has 23 values, but the strategy 24 responses" if count == 23 else "scores.json:26: "
    assert expected in str(caught.value)
    assert score_columns(open_reader(catalogue), "sums") == []


def test_the_rank_surprisal_ratios_sample_file_gives_its_ratio_of_sums(catalogue: Path, stand_in_model: Path) -> None:
    ranks, surprisals = [2.0 + n for n in range(24)], [0.5 + n % 3 for n in range(24)]
    lines = [
        {
            "sample_id": n,
            "resp_token_length": 9,
            "avg_rank_clip": rank,
            "avg_surprisal": surprisal,
            "rank_surprisal_ratio": rank / surprisal,
        }
        for n, (rank, surprisal) in enumerate(zip(ranks, surprisals, strict=True))
    ]
    load(catalogue, "".join(json.dumps(line) + "\n" for line in lines), ".jsonl", "their_rsr", strategy="plain")
    load(catalogue, json.dumps({"chatty": {str(n): 1 for n in range(24)}}), ".json", "their_rsr")
    run = scored_run(catalogue, stand_in_model)
    rows = ranking_report(open_reader(catalogue), run.id, "their_rsr").ranking.rows
    assert {row.strategy: row.scores["their_rsr"].value for row in rows} == {
        "chatty": 1.0,
        "plain": pytest.approx(sum(ranks) / sum(surprisals)),
    }


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        ("strategy,id,value\nplain,3,nan\n", ".csv", "scores.csv:2: the value 'nan' is not a usable number"),
        ("strategy,id,value\nplain,3,1\nplain,4,inf\n", ".csv", "scores.csv:3: the value 'inf'"),
        ("strategy,id,value\nplain,3,1e200\n", ".csv", "scores.csv:2: the value '1e200'"),
        ("strategy,id,value\nplain,3,1_0\n", ".csv", "scores.csv:2: the value '1_0'"),
        ("strategy,id,value\nplain,3,\n", ".csv", "scores.csv:2: the value '' is not a number"),
        ("strategy,id,value\nnobody,3,1\n", ".csv", "scores.csv:2: the task has no strategy 'nobody'"),
        ("strategy,id,value\nplain,99,1\n", ".csv", "scores.csv:2: the task has no question with the id '99'"),
        ("strategy,id,value\nplain,,1\n", ".csv", "scores.csv:2: no id"),
        ("strategy,id,value\n,3,1\n", ".csv", "scores.csv:2: the strategy is empty, not text"),
        (
            "strategy,id,value\nplain,3,1\nplain,4,1\nplain,3,2\n",
            ".csv",
            "scores.csv:4: a value of '3' for this strategy",
        ),
        ("strategy,id,value,weight\nplain,3,1,0\n", ".csv", "scores.csv:2: the weight '0' is not above 0"),
        ("strategy,id,value\nplain,3\n", ".csv", "scores.csv:2: 2 values where the header has 3 columns"),
        ('[{"strategy": "plain", "id": 3, "value": true}]', ".json", "scores.json:1: the value is true or false"),
        ('{"plain": {\n"3": 1,\n"4": NaN}}', ".json", "scores.json:3: NaN is not a JSON number"),
        ('{"plain": {\n"3": 1,\n"3": 2}}', ".json", "scores.json:3: a value of '3' for this strategy stands in line 2"),
        ('{"plain": {"3": 1},\n"plain": {"3": 2}}', ".json", "scores.json:2: a value of '3' for this strategy"),
        ('{"plain":\n {"3": [1]}}', ".json", "scores.json:2: the value is a list, not a number"),
        ('{"strategy": "plain", "id": 3, "value": Infinity}\n', ".jsonl", "scores.jsonl:1: Infinity is not"),
        ('{"plain": {"3": ' + "9" * 5000 + "}}", ".json", "scores.json:1: a number has 5000 digits"),
        ("[1, 2", ".json", "scores.json"),
        ("{}", ".json", "scores.json holds no values"),
        ("strategy,id,value\n", ".csv", "scores.csv holds no values"),
        ("", ".csv", "scores.csv is empty"),
        (f"strategy,id,value\n{HOSTILE},3,1\n", ".csv", "the task has no strategy '"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_kept(catalogue: Path, text: str, suffix: str, message: str) -> None:
    load(catalogue, "strategy,id,value\nplain,3,7\n")
    with pytest.raises(InputError) as caught:
        load(catalogue, text, suffix)
    assert message in str(caught.value).replace(str(catalogue.parent) + "/", "")
    assert not any(character in str(caught.value) for character in "\x1b\u202e")
    assert stored(catalogue) == {("plain", "3"): (7.0, 1.0)}


@pytest.mark.parametrize(
    "text",
    [
        "target_model,task,strategy,metric,value\nm,sums,plain,rsr,3.5\n",
        "data_name\tavg_rank_clip\trank_surprisal_ratio\nplain\t3\t2\n",
    ],
)
def test_a_table_of_whole_data_sets_is_refused_with_the_reason(catalogue: Path, text: str) -> None:
    with pytest.raises(InputError, match="one value a strategy, not one a question"):
        load(catalogue, text)


def test_a_file_without_strategies_needs_one(catalogue: Path) -> None:
    with pytest.raises(UsageError, match="which strategy"):
        load(catalogue, "id,value\n3,1\n")
    with pytest.raises(NotFoundError, match="no strategy 'nobody'"):
        load(catalogue, "id,value\n3,1\n", strategy="nobody")
    with pytest.raises(InputError, match="the strategy is 'chatty', not 'plain'"):
        load(catalogue, "strategy,id,value\nchatty,3,1\n", strategy="plain")


def test_a_task_without_ids_takes_lists_alone(tmp_path: Path) -> None:
    path = new_catalogue(tmp_path)
    with Writer(path) as writer:
        import_file(writer, write_lines(tmp_path / "a.jsonl", samples(range(3), ids=False)), task="sums", strategy="a")
    with pytest.raises(InputError, match="no question with the id '0'"):
        load(path, "strategy,id,value\na,0,1\n")
    assert load(path, "[1.0, 2.0, 3.5]", ".json", strategy="a").stored == 3


@pytest.mark.parametrize(
    "name",
    ["sap", "ppl", "rank", "n", "accuracy", "share_right", "x_low", "sap_high", "", "1x", "a b", HOSTILE, "x" * 41],
)
def test_names_that_a_column_cannot_have(catalogue: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(catalogue, "strategy,id,value\nplain,3,1\n", name=name)
    assert not any(character in str(caught.value) for character in "\x1b\u202e")
    assert score_columns(open_reader(catalogue), "sums") == []


def test_directions(catalogue: Path) -> None:
    text = "strategy,id,value\nplain,3,1\n"
    assert load(catalogue, text, name="up", direction="higher").column.direction == "higher"
    assert load(catalogue, text, name="up").column.direction == "higher"
    with pytest.raises(UsageError, match="with higher as better"):
        load(catalogue, text, name="up", direction="lower")
    assert load(catalogue, text, name="reward").column.direction == "higher"
    with pytest.raises(UsageError, match="Rewards are better when they are higher"):
        load(catalogue, text, name="reward", direction="lower")


def test_a_later_file_replaces_the_values_of_its_strategies(catalogue: Path) -> None:
    load(catalogue, "strategy,id,value\nplain,3,1\nplain,4,1\nchatty,3,5\n")
    done = load(catalogue, "strategy,id,value\nplain,7,2\n")
    assert (done.replaced, done.column.values, done.column.strategies) == (2, 2, 2)
    assert stored(catalogue) == {("plain", "7"): (2.0, 1.0), ("chatty", "3"): (5.0, 1.0)}


def scores(values: Mapping[str, float]) -> str:
    lines = [f"{name},{n},{value + n}" for name, value in values.items() for n in range(QUESTIONS)]
    return "strategy,id,value\n" + "\n".join(lines) + "\n"


def test_a_column_ranks_and_stands_beside_the_metrics(catalogue: Path, stand_in_model: Path) -> None:
    load(catalogue, scores({"plain": 1, "chatty": 2}), name="liked", direction="higher")
    load(catalogue, scores({"plain": 1}), name="half")
    run = scored_run(catalogue, stand_in_model, ("nll",))
    report = ranking_report(open_reader(catalogue), run.id, "liked")
    assert [metric.id for metric in report.metrics] == ["nll", "liked", "half"]
    assert [row.strategy for row in report.ranking.rows] == ["chatty", "plain"]
    assert report.ranking.rows[0].scores["liked"].value == pytest.approx(2 + mean(range(QUESTIONS)))
    assert report.ranking.verdict == "decided"
    plain = ranking_report(open_reader(catalogue), run.id)
    assert plain.ranking.metric == "nll"
    assert {row.strategy: "half" in row.scores for row in plain.ranking.rows} == {"plain": True, "chatty": False}
    assert {"half", "liked"} <= {each.id for each in computable_metrics(open_reader(catalogue), run)}


def test_the_app_shows_columns_and_controls_as_they_were_ranked(catalogue: Path, stand_in_model: Path) -> None:
    load(catalogue, scores({"plain": 1, "chatty": 2}), name="liked", direction="higher")
    run = scored_run(catalogue, stand_in_model, ("nll",))
    report = ranking_report(open_reader(catalogue), run.id, "strategy_vote")
    shown = report_from_object(json.loads(ranking_json(report)), run)
    assert shown.ranking == report.ranking
    assert (shown.notes, shown.partial, shown.task) == (report.notes, report.partial, report.task)
    for ours, theirs in zip(shown.metrics, report.metrics, strict=True):
        fields = "id", "label", "direction", "decimals", "description", "source"
        assert [getattr(ours, name) for name in fields] == [getattr(theirs, name) for name in fields]


def test_every_bad_line_is_named_at_once(catalogue: Path) -> None:
    text = "strategy,id,value\nplain,3,much\nnobody,3,1\nplain,4,1\nplain,99,1\n"
    with pytest.raises(InputError, match=r"^Bad lines: scores\.csv 3; all named above\. Nothing was kept\.") as caught:
        load(catalogue, text)
    assert [line.split(" ")[0] for line in caught.value.details] == ["scores.csv:2:", "scores.csv:3:", "scores.csv:5:"]
    assert stored(catalogue) == {}


def test_names_that_an_export_guarded_against_spreadsheets(catalogue: Path, tmp_path: Path) -> None:
    lines = [{"id": key, "question": f"q {key}", "response": "r"} for key in ("=2+2", "'=3+3")]
    with Writer(catalogue) as writer:
        import_file(writer, write_lines(tmp_path / "one.jsonl", lines), task="sums", strategy="=1+1")
    rows = [("=1+1", "=2+2", 1), ("=1+1", "'=3+3", 2), ("plain", "3", 3)]
    load(catalogue, csv_text(("strategy", "id", "value"), rows))
    assert stored(catalogue) == {(name, key): (float(value), 1.0) for name, key, value in rows}
    load(catalogue, csv_text(("strategy", "id", "value"), rows[:2]), name="alone", strategy="=1+1")
    assert len(stored(catalogue, "alone")) == 2
    with pytest.raises(InputError, match='no strategy "\'=9"'):
        load(catalogue, "strategy,id,value\n'=9,3,1\n")


def test_values_of_questions_that_were_not_scored_do_not_count(catalogue: Path, stand_in_model: Path) -> None:
    load(catalogue, scores({"plain": 0, "chatty": 0}), name="number")
    run = scored_run(catalogue, stand_in_model, samples=5)
    rows = ranking_report(open_reader(catalogue), run.id, "number").ranking.rows
    assert [(row.scores["number"].value, row.n) for row in rows] == [(2.0, 5), (2.0, 5)]


def test_a_strategy_that_was_imported_anew_has_no_old_values(
    catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    load(catalogue, scores({"plain": 0, "chatty": 0}), name="number")
    before = scored_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        file = write_strategy(tmp_path / "new.jsonl", ["Other."] * QUESTIONS)
        import_file(writer, file, task="sums", strategy="plain", replace=True)
    after = scored_run(catalogue, stand_in_model)
    reader = open_reader(catalogue)
    assert len(ranking_report(reader, before.id, "number").ranking.rows) == 2
    assert ranking_report(reader, after.id, "number").ranking.left_out.keys() == {"plain"}


def test_a_deleted_column_is_gone(catalogue: Path, stand_in_model: Path) -> None:
    load(catalogue, scores({"plain": 0, "chatty": 0}), name="number")
    run = scored_run(catalogue, stand_in_model)
    with Writer(catalogue) as writer:
        delete_column(writer, "sums", "number")
        with pytest.raises(NotFoundError, match="no column 'number'"):
            delete_column(writer, "sums", "number")
    assert stored(catalogue, "number") == {}
    with pytest.raises(UsageError, match="no metric or imported column 'number'"):
        ranking_report(open_reader(catalogue), run.id, "number")
    with pytest.raises(SapError):
        load(catalogue, "strategy,id,value\nplain,99,1\n")


def test_the_command(catalogue: Path, tmp_path: Path) -> None:
    sap_tui = CommandLine(catalogue)
    file = tmp_path / f"rewards{HOSTILE}.csv"
    file.write_text(scores({"plain": 1, "chatty": 2}))
    assert json.loads(sap_tui("column", file, "--task", "sums", "--name", "reward", "--json"))["stored"] == 48
    listed = sap_tui("column", "--task", "sums")
    assert listed.splitlines()[1].split()[:4] == ["reward", "higher", "2", "48"]
    assert not any(character in listed for character in "\x1b\u202e")
    (found,) = json.loads(sap_tui("column", "--task", "sums", "--json"))
    assert (found["name"], found["values"]) == ("reward", 48)
    for arguments, code, message in (
        (("column", file, "--task", "sums"), 2, "--name is missing"),
        (("column", file, "--task", "nobody", "--name", "x"), 3, "no task"),
        (("column", tmp_path / "none.csv", "--task", "sums", "--name", "x"), 3, "no file"),
        (("column", file, "--task", "sums", "--name", "x", "--delete"), 2, "takes no FILE"),
        (("column", "--task", "sums", "--name", "x", "--delete"), 3, "no column 'x'"),
    ):
        result = sap_tui.run(*arguments)
        assert (result.returncode, message in result.stderr) == (code, True), (arguments, result.stderr)
    assert sap_tui("column", "--task", "sums", "--name", "reward", "--delete") == ""
    assert sap_tui("column", "--task", "sums") == ""
