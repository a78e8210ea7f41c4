"""Exports of a ranking: exact text, hostile names, whole files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.domain import Interval, Ranking, RankRow
from core.export.formats import (
    escape_latex,
    escape_markdown,
    ranking_csv,
    ranking_json,
    ranking_latex,
    ranking_markdown,
    verdict_sentence,
)
from core.export.report import RankingReport
from core.metrics.registry import metric

HOSTILE = '=cmd|"\x1b[2J\u202e\n,</td>&$x_{1}%#~^\\end{table}[a](b)*c*`d`'
FIRST = RankRow(
    rank=1,
    rank_low=1,
    rank_high=2,
    strategy="step_by_step",
    n=50,
    p_best=0.9375,
    p_value=None,
    separable=False,
    scores={"sap": Interval(3.1875123456789014, 2.9, 3.5), "ppl": Interval(2.83, 2.6, 3.1)},
    mean_tokens=61.48,
    accuracy=0.96,
    same_family=True,
)
SECOND = RankRow(
    rank=2,
    rank_low=1,
    rank_high=2,
    strategy="claude",
    n=50,
    p_best=0.0625,
    p_value=0.25,
    separable=False,
    scores={"sap": Interval(3.25, 3.0, 3.75)},
    difference=Interval(0.0625, -0.5, 0.5),
)
REPORT = RankingReport(
    run=7,
    task="gsm8k",
    model="tiny & small",
    model_digest="abc123",
    dtype="bfloat16",
    quantization="nf4",
    metrics=(metric("sap"), metric("ppl")),
    ranking=Ranking(
        metric="sap",
        verdict="undecided",
        questions=50,
        rows=(FIRST, SECOND),
        more_questions=1200,
        left_out={"gpt4": "12 of 50 scored"},
        failed={"claude": 2},
        warnings=("A warning.",),
    ),
    notes=("A note.",),
)


def with_first_named(name: str) -> RankingReport:
    return replace(REPORT, ranking=replace(REPORT.ranking, rows=(replace(FIRST, strategy=name), SECOND)))


def test_json_is_the_contract() -> None:
    assert json.loads(ranking_json(REPORT)) == {
        "run": 7,
        "task": "gsm8k",
        "model": {"name": "tiny & small", "digest": "abc123", "dtype": "bfloat16", "quantization": "nf4"},
        "questions": 50,
        "metric": "sap",
        "verdict": "undecided",
        "strategies": [
            {
                "rank": 1,
                "rank_low": 1,
                "rank_high": 2,
                "strategy": "step_by_step",
                "n": 50,
                "p_best": 0.9375,
                "scores": {
                    "sap": {"value": 3.1875123456789014, "low": 2.9, "high": 3.5},
                    "ppl": {"value": 2.83, "low": 2.6, "high": 3.1},
                },
                "p_value": None,
                "separable": False,
                "difference": None,
                "mean_tokens": 61.48,
                "share_right": 0.96,
                "same_family": True,
            },
            {
                "rank": 2,
                "rank_low": 1,
                "rank_high": 2,
                "strategy": "claude",
                "n": 50,
                "p_best": 0.0625,
                "scores": {"sap": {"value": 3.25, "low": 3.0, "high": 3.75}},
                "p_value": 0.25,
                "separable": False,
                "difference": {"value": 0.0625, "low": -0.5, "high": 0.5},
                "mean_tokens": None,
                "share_right": None,
                "same_family": None,
            },
        ],
        "more_questions": 1200,
        "warnings": ["A warning."],
        "left_out": {"gpt4": "12 of 50 scored"},
        "failed": {"claude": 2},
        "partial": None,
        "notes": ["A note."],
        "metrics": [
            {
                "id": each.id,
                "label": each.label,
                "direction": "lower",
                "decimals": 3,
                "description": each.description,
                "source": each.source,
            }
            for each in (metric("sap"), metric("ppl"))
        ],
    }


def test_csv_golden() -> None:
    assert ranking_csv(REPORT) == (
        "rank,rank_low,rank_high,strategy,n,p_best,sap,sap_low,sap_high,ppl,ppl_low,ppl_high,"
        "mean_tokens,share_right,same_family\n"
        "1,1,2,step_by_step,50,0.9375,3.1875123456789014,2.9,3.5,2.83,2.6,3.1,61.48,0.96,true\n"
        "2,1,2,claude,50,0.0625,3.25,3.0,3.75,,,,,,\n"
    )


def test_markdown_golden() -> None:
    assert ranking_markdown(REPORT) == (
        "# Run 7: gsm8k under tiny &#38; small (bfloat16, nf4)\n"
        "\n"
        "Undecided: step_by_step leads by sap, but 50 questions do not settle it. About 1,200 more would decide it.\n"
        "\n"
        "| rank | strategy | sap (95%) | ppl (95%) | tokens | right | P(best) | n |\n"
        "| ---: | :--- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| 1 (1-2) | step_by_step | 3.188 \\[2.900, 3.500\\] | 2.830 \\[2.600, 3.100\\] | 61.5 | 96% | 0.94 | 50 |\n"
        "| 2 (1-2) | claude | 3.250 \\[3.000, 3.750\\] | - | - | - | 0.06 | 50 |\n"
        "\n"
        "- Without a rank: gpt4 (12 of 50 scored).\n"
        "- A warning.\n"
        "- A note.\n"
    )


def test_latex_golden() -> None:
    rows = tuple(replace(row, mean_tokens=None, accuracy=None) for row in (FIRST, SECOND))
    report = replace(REPORT, notes=(), ranking=replace(REPORT.ranking, left_out={}, warnings=(), rows=rows))
    assert ranking_latex(report) == (
        "\\begin{table}\n"
        "  \\centering\n"
        "  \\caption{Run 7: gsm8k under tiny \\& small (bfloat16, nf4). Undecided: step\\_by\\_step leads by sap, "
        "but 50 questions do not settle it. About 1,200 more would decide it.}\n"
        "  \\begin{tabular}{rlrrrr}\n"
        "    \\toprule\n"
        "    rank & strategy & sap (95\\%) & ppl (95\\%) & P(best) & n \\\\\n"
        "    \\midrule\n"
        "    1 (1-2) & step\\_by\\_step & 3.188 {[}2.900, 3.500{]} & 2.830 {[}2.600, 3.100{]} & 0.94 & 50 \\\\\n"
        "    2 (1-2) & claude & 3.250 {[}3.000, 3.750{]} & - & 0.06 & 50 \\\\\n"
        "    \\bottomrule\n"
        "  \\end{tabular}\n"
        "\\end{table}\n"
    )


def test_an_unfinished_run_is_marked() -> None:
    report = replace(REPORT, partial="40 of 100 responses scored")
    assert json.loads(ranking_json(report))["partial"] == "40 of 100 responses scored"
    assert "\n- Partial: 40 of 100 responses scored.\n" in ranking_markdown(report)
    assert "Partial: 40 of 100 responses scored." in ranking_latex(report)


def test_verdicts_in_words() -> None:
    decided = replace(REPORT, ranking=replace(REPORT.ranking, verdict="decided"))
    assert "Decided: step_by_step is the best by sap over 50 questions." in ranking_markdown(decided)
    single = replace(REPORT, ranking=replace(REPORT.ranking, rows=(FIRST,)))
    assert "Undecided: step_by_step is the only strategy ranked." in ranking_markdown(single)
    tied = tuple(replace(FIRST, strategy=name) for name in "abcde")
    equal = replace(REPORT, ranking=replace(REPORT.ranking, rows=tied, more_questions=None))
    assert verdict_sentence(equal) == "Undecided: 5 strategies tie by sap over 50 questions: a, b, c and 2 more."


@pytest.mark.parametrize("write", [ranking_json, ranking_csv, ranking_markdown, ranking_latex])
def test_no_format_lets_control_characters_through(write: Callable[[RankingReport], str]) -> None:
    text = write(with_first_named("".join(map(chr, range(0xA0))) + "\u202e\ud800"))
    allowed = {"\n"}
    assert not [c for c in text if (ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\ud800") and c not in allowed]
    assert len(text.splitlines()) == len(write(REPORT).splitlines())


def test_json_keeps_a_hostile_name_exactly() -> None:
    name = HOSTILE + "\x7f"
    assert json.loads(ranking_json(with_first_named(name)))["strategies"][0]["strategy"] == name


def test_csv_guards_text_but_not_numbers() -> None:
    negative = replace(FIRST, strategy=HOSTILE, scores={"sap": Interval(-1.5, -2.0, -1.0)})
    report = replace(REPORT, ranking=replace(REPORT.ranking, rows=(negative,)))
    row = next(csv.DictReader(io.StringIO(ranking_csv(report))))
    assert row["strategy"].startswith("'=cmd|")
    assert (row["sap"], row["sap_low"], row["ppl"]) == ("-1.5", "-2.0", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("step_by_step", "step_by_step"),
        ("_x_", "\\_x\\_"),
        ("a|b", "a\\|b"),
        ("<b>", "&#60;b&#62;"),
        ("[a](b) `c` *d*", "\\[a\\](b) \\`c\\` \\*d\\*"),
        ("http://x", "http:&#47;&#47;x"),
        ("a\nb", "a⏎b"),
    ],
)
def test_escape_markdown(text: str, expected: str) -> None:
    assert escape_markdown(text) == expected


def test_escape_latex() -> None:
    assert escape_latex(r"\a{b}$c&d#e%f_g^h~i") == (
        r"\textbackslash{}a\{b\}\$c\&d\#e\%f\_g\textasciicircum{}h\textasciitilde{}i"
    )
