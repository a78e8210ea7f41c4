"""Exports of a ranking: exact text, hostile names, whole files."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.domain import Interval, Ranking, RankRow
from core.errors import SapError
from core.export.files import export_path, write_atomically
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


@pytest.mark.parametrize("mode", [None, 0o600, 0o640, 0o644])
def test_write_replaces_the_whole_file_and_keeps_its_mode(tmp_path: Path, mode: int | None) -> None:
    path = tmp_path / "ranking.csv"
    if mode is not None:
        path.write_text("old")
        path.chmod(mode)
    write_atomically(path, "näme\n")
    assert path.read_bytes() == "näme\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == (mode or 0o600)
    assert os.listdir(tmp_path) == ["ranking.csv"]


def test_a_group_that_cannot_be_kept_gives_no_rights_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    path = tmp_path / "ranking.csv"
    path.write_text("old")
    path.chmod(0o664)
    fstat = os.fstat
    monkeypatch.setattr(os, "fchown", refused)
    monkeypatch.setattr(os, "fstat", lambda file: os.stat_result([*fstat(file)[:5], 12_345, *fstat(file)[6:10]]))
    write_atomically(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_write_follows_a_link(tmp_path: Path) -> None:
    link = tmp_path / "latest.csv"
    link.symlink_to("real.csv")
    write_atomically(link, "text")
    assert link.is_symlink()
    assert (tmp_path / "real.csv").read_text() == "text"


def test_write_to_a_name_of_greatest_length(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".csv")
    write_atomically(path, "text")
    assert path.read_text() == "text"


def test_a_failed_write_leaves_the_old_file_and_names_the_path(tmp_path: Path) -> None:
    path = tmp_path / "ranking.csv"
    path.write_text("old")
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from core.errors import SapError; from core.export.files import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomically(Path(sys.argv[1]), 'x' * 2000)\n"
        "except SapError as error: sys.exit(error.message)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert ended.stderr.startswith(f"Cannot write {path}: File too large")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["ranking.csv"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "ranking.csv"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SapError, match="No space left on device"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["ranking.csv"]


@pytest.mark.parametrize("name", ["missing/ranking.csv", ".", "a" * 256, "nul\0byte"])
def test_a_path_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SapError) as caught:
        write_atomically(tmp_path / name, "text")
    assert str(tmp_path) in caught.value.message
    assert "\0" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SapError, match="not a regular file"):
        write_atomically(pipe, "text")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_killed_writer_never_tears_the_file_and_its_leftovers_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "ranking.csv"
    code = (
        "import sys; from pathlib import Path; from core.export.files import write_atomically\n"
        "while True:\n"
        "    for letter in 'ab': write_atomically(Path(sys.argv[1]), letter * 3_000_000)"
    )
    for attempt in range(4):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            os.sched_yield()
        for _ in range(attempt * 5):
            path.stat()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        content = path.read_text()
        assert content in ("a" * 3_000_000, "b" * 3_000_000)
        path.unlink()
    old, young, foreign = (
        tmp_path / name for name in (".ranking.csv.o.sap-tmp", ".ranking.csv.y.sap-tmp", ".x.o.sap-tmp")
    )
    for leftover in (old, young, foreign):
        leftover.touch()
    for leftover in (old, foreign):
        os.utime(leftover, (0, 0))
    write_atomically(path, "text")
    assert not old.exists()
    assert young.exists()
    assert foreign.exists()


HOSTILE_NAMES = (
    "../../.bashrc", "/etc/passwd", "~", "\0", "CON", "nul.txt", "x" * 300, "-rf", ".hidden", "", "..", ".", "a/b\\c",
    "é" * 90, "../" * 40 + "x", "..\\..\\x", "~root/.ssh/authorized_keys", "$HOME/x", "`id`", "$(id)", "a;rm -rf x",
    "a|b", "a&b", "a>b", "a<b", "*", "?", "[a]", "{a,b}", "!x", "#x", "%2e%2e%2fx", "..%00/", "a\0b", "a\nb", "a\r\nb",
    "a\tb", "\x1b]0;x\x07", "\x7f", "\x9b31m", "\u202egpj.exe", "\u200b", "\ufeffx", "\ud800", "e\u0301", "Ａ／Ｂ",
    "\uff0e\uff0e\uff0fx", "PRN", "aux.z", "COM1", "lpt9.tar.gz", "con.", " leading", "trailing ", "trailing.", "C:\\x",
    "\\\\host\\share", "file:///etc/passwd", "a" * 119, "é" * 400, "👩‍👩‍👧", "--output=/etc/x", "-", "....//....//x",
)  # fmt: skip


def test_the_hostile_names_are_many() -> None:
    assert len(set(HOSTILE_NAMES)) >= 60


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
def test_an_exported_name_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    path = export_path(tmp_path, name, ".csv")
    assert path.parent == tmp_path
    assert path.resolve().is_relative_to(tmp_path)
    assert len(os.fsencode(path.name)) <= 120
    assert path.suffix == ".csv"
    assert path.name[0] not in "-."
    assert path.name.isascii()
    path.touch()


def test_a_plain_name_is_kept(tmp_path: Path) -> None:
    assert export_path(tmp_path, "gsm8k-run_7", ".csv").name == "gsm8k-run_7.csv"
