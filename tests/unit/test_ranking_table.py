"""The ranking as text for people: readable in 80 columns, with the controls, and safe to print."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from core.domain import Interval, Ranking, RankRow
from core.export.report import RankingReport
from core.metrics.registry import metric
from sap_tui.commands.ranking_table import ranking_table

METRICS = ("sap", "ppl", "nll", "rsr", "ifd", "grape_share", "self_consistency", "ds_weight")
HOSTILE = "\x1b]0;x\x07\u202e"


def row(place: int, name: str, *, tokens: float | None = 60.4, accuracy: float | None = 0.96) -> RankRow:
    scores = {each: Interval(place + 0.25, place + 0.125, place + 0.375) for each in METRICS}
    return RankRow(place, place, place, name, 50, 1.0, None, True, scores, None, tokens, accuracy, False)


def report(*metrics: str, rows: tuple[RankRow, ...] | None = None) -> RankingReport:
    rows = rows or (row(1, "step_by_step"), row(2, "other_vocabulary"), row(3, "terse"))
    return RankingReport(
        run=1,
        task="sums",
        model="tiny",
        model_digest="abc",
        dtype="float32",
        quantization="none",
        metrics=tuple(metric(each) for each in metrics),
        ranking=Ranking("sap", "decided", 50, rows, warnings=("Careful.",)),
        notes=("By the way.",),
    )


def test_many_metrics_stay_within_80_columns() -> None:
    text = ranking_table(report(*METRICS))
    table = text.split("Decided:")[0].splitlines()
    assert max(map(cell_len, table)) <= 80
    headers = [line.split() for line in table if "strategy" in line]
    assert headers[0][:5] == ["rank", "strategy", "sap", "95%", "interval"]
    assert [title for line in headers[1:] for title in line if title != "strategy"] == [
        *METRICS[1:],
        "tokens",
        "right",
        "n",
    ]
    assert all(line[0] == "strategy" for line in headers[1:])
    first = next(line for line in table if line.startswith("step_by_step"))
    assert first.split()[1:] == ["1.250"] * (len(first.split()) - 1)


def test_a_wide_terminal_gets_one_table() -> None:
    lines = ranking_table(report(*METRICS), width=200).splitlines()
    (header,) = (line for line in lines if "strategy" in line and "rank" in line)
    assert header.split()[-5:] == ["self_consistency", "ds_weight", "tokens", "right", "n"]
    line = next(line for line in lines if "terse" in line)
    assert line.split()[-3:] == ["60", "96%", "50"]


def test_few_columns_stand_beside_the_plot() -> None:
    short = (
        replace(row(1, "a"), mean_tokens=None, accuracy=None),
        replace(row(2, "b"), mean_tokens=None, accuracy=None),
    )
    lines = ranking_table(report("sap", rows=short)).splitlines()
    assert lines[1].split()[-1] == "n"
    assert not {"tokens", "right"} & set(lines[1].split())
    assert len(lines) == 7
    assert lines[-2:] == ["! Careful.", "· By the way."]


def test_a_control_that_is_known_for_some_is_a_dash_for_the_others() -> None:
    rows = (row(1, "a", accuracy=None), row(2, "b", tokens=None))
    lines = ranking_table(report("sap", rows=rows), width=200).splitlines()
    assert lines[2].split()[-3:] == ["60", "-", "50"]
    assert lines[3].split()[-3:] == ["-", "96%", "50"]


@pytest.mark.parametrize("width", [80, 200])
def test_nothing_hostile_is_printed(width: int) -> None:
    found = report("sap", "ppl", rows=(row(1, "a" + HOSTILE), row(2, "b\nc")))
    ranking = replace(found.ranking, warnings=(HOSTILE,), left_out={HOSTILE: HOSTILE})
    text = ranking_table(
        replace(found, task=HOSTILE, model=HOSTILE, partial=HOSTILE, notes=(HOSTILE,), ranking=ranking), width
    )
    assert not any(character in text for character in "\x1b\x07\u202e")
