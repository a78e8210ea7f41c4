"""Tables of scores and outcomes: what is wrong with them is named with file and line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from core.errors import InputError, NotFoundError
from core.ingest.score_tables import OutcomeRow, ScoreRow, read_outcomes, read_scores

SCORES = "target_model,task,strategy,metric,value\n"
OUTCOMES = "target_model,task,strategy,seed,accuracy\n"


def write(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_scores_with_and_without_ranges(tmp_path: Path) -> None:
    plain = write(tmp_path, f"{SCORES}tiny,sums,a,nll,0.5\ntiny,sums,b,nll,inf\n")
    assert read_scores(plain) == [
        ScoreRow("tiny", "sums", "a", "nll", 0.5, line=2),
        ScoreRow("tiny", "sums", "b", "nll", math.inf, line=3),
    ]
    ranged = write(
        tmp_path,
        "value,metric,in_context_examples,last_row,first_row,strategy,task,target_model\n1e3,sap,2,50,0,a,sums,tiny\n",
    )
    assert read_scores(ranged) == [ScoreRow("tiny", "sums", "a", "sap", 1000.0, (0, 50), 2, 2)]
    empty = write(tmp_path, f"{SCORES.strip()},first_row,last_row,in_context_examples\ntiny,sums,a,sap,1,,,\n")
    assert read_scores(empty) == [ScoreRow("tiny", "sums", "a", "sap", 1.0, None, 0, 2)]


def test_outcomes_with_and_without_seeds(tmp_path: Path) -> None:
    seeded = write(tmp_path, f"{OUTCOMES}tiny,sums,a,2,0.5\n\ntiny,sums,a,3,1\n")
    assert read_outcomes(seeded) == [
        OutcomeRow("tiny", "sums", "a", 0.5, 2, 2),
        OutcomeRow("tiny", "sums", "a", 1.0, 3, 4),
    ]
    bare = write(tmp_path, "strategy,accuracy\na,0\n")
    assert read_outcomes(bare, ("strategy", "accuracy")) == [OutcomeRow(None, None, "a", 0.0, 0, 2)]


def test_json_lines_serve_as_well(tmp_path: Path) -> None:
    rows = '{"target_model": "tiny", "task": "sums", "strategy": "a", "metric": "nll", "value": 0.5}\n'
    assert read_scores(write(tmp_path, rows, "table.jsonl")) == [ScoreRow("tiny", "sums", "a", "nll", 0.5, line=1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task,strategy,metric,value\nsums,a,nll,1\n", r"table\.csv:2: there is no column 'target_model'"),
        (f"{SCORES}tiny,sums,a,nll,high\n", r"table\.csv:2: value 'high' is not a number"),
        (f"{SCORES}tiny,sums,a,nll,1\ntiny,sums,b,nll,\n", r"table\.csv:3: the column 'value' has no usable value"),
        (f"{SCORES}tiny,sums, ,nll,1\n", r"table\.csv:2: the column 'strategy' has no usable value"),
        (f"{SCORES}tiny,sums,a,nll,1\ntiny,sums,a,nll,1\n", r"table\.csv:3: the same score as in line 2"),
        (f"{SCORES}tiny,sums,a,nll\n", r"table\.csv:2: 4 values where the header has 5 columns"),
        (SCORES, r"table\.csv has no rows"),
        ("", "is empty"),
    ],
)
def test_bad_scores_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_scores(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{OUTCOMES}tiny,sums,a,0,74.5\n", r"table\.csv:2: the accuracy '74\.5' is not between 0 and 1.* percent"),
        (f"{OUTCOMES}tiny,sums,a,0,nan\n", r"table\.csv:2: the accuracy 'nan' is not between 0 and 1"),
        (f"{OUTCOMES}tiny,sums,a,0,-0.1\n", r"table\.csv:2: the accuracy '-0\.1' is not between 0 and 1"),
        (f"{OUTCOMES}tiny,sums,a,first,0.1\n", r"table\.csv:2: seed 'first' is not a whole number"),
        (f"{OUTCOMES}tiny,sums,a,0,0.1\ntiny,sums,a,0,0.2\n", r"table\.csv:3: the same outcome as in line 2"),
        ("strategy,accuracy\na,0.5\n", r"table\.csv:2: there is no column 'target_model'"),
    ],
)
def test_bad_outcomes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_outcomes(write(tmp_path, text))


def test_hidden_characters_of_a_file_are_made_visible(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_scores(write(tmp_path, f"{SCORES}tiny,sums,a,nll,\x1b[31mred\n"))
    assert "\x1b" not in str(error.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_scores(tmp_path / "none.csv")
