"""Report and agreement of a real run of the bundled tiny model, and the printed command that repeats the run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY_MODEL, end_processes
from tests.e2e.command_line import CommandLine
from tests.unit.test_run_report import Structure

SAMPLE = ROOT / "sample_data" / "arithmetic"
STRATEGIES = ("chatty", "terse", "step_by_step")
SYSTEM = 'Be brief.\n"Think" $HOME `first`'
TEMPLATE = "{{ question }}\n\n{% for example in examples %}\nLike this:\n{{ example }}\n{% endfor %}"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Three strategies of the bundled sample, nine questions, with options that are not the defaults."""
    folder = tmp_path_factory.mktemp("report")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    sap_tui = CommandLine(folder / "catalogue.db")
    sap_tui(
        "import", *(SAMPLE / f"{name}.jsonl" for name in STRATEGIES), "--task", "sums | <b>", "--teacher", "someone"
    )
    template = folder / "template.jinja"
    template.write_text(TEMPLATE)
    done = sap_tui(
        "score", "--task", "sums | <b>", "--model", TINY_MODEL, "--samples", "9", "--seed", "3", "--examples", "1",
        "--metric", "sap", "--metric", "nll", "--metric", "rsr", "--system", SYSTEM, "--prompt-template", template,
        "--no-answer-filter", "--strategy", "terse", "--strategy", "chatty", "--strategy", "step_by_step",
        "--device", "cpu", "--foreground", "--json",
    )  # fmt: skip
    assert json.loads(done)["state"] == "done"
    yield sap_tui
    end_processes(sap_tui.catalogue)


@pytest.fixture(scope="module")
def markdown(scored: CommandLine) -> str:
    file = scored.catalogue.with_name("report.md")
    assert scored("report", "--output", file) == ""
    return file.read_text()


def code_blocks(markdown: str) -> list[str]:
    """The indented blocks of the last section."""
    blocks = re.findall(r"(?:^ {4}.*\n)(?:(?: {4}.*)?\n(?= {4}))*(?:^ {4}.*\n)*", markdown, re.MULTILINE)
    return ["\n".join(line[4:] for line in block.splitlines()) for block in blocks]


def test_the_printed_command_finds_everything_scored(scored: CommandLine, markdown: str, tmp_path: Path) -> None:
    commands, template = code_blocks(markdown)
    assert template == TEMPLATE
    (tmp_path / "prompt-template.jinja").write_text(template)
    score, *others = commands.splitlines()
    shell = f'sap-tui() {{ {shlex.quote(sys.executable)} -m sap_tui.cli --catalogue "$CATALOGUE" "$@"; }}\n'
    said = subprocess.run(
        ["bash", "-c", f"{shell}{score} --dry-run --json"], capture_output=True, text=True, cwd=tmp_path, check=True,
        env={**os.environ, "CATALOGUE": str(scored.catalogue), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    found = json.loads(said.stdout)
    assert (found["samples"], found["reused"], found["to_score"]) == (54, 54, 0)
    assert others[0] == "sap-tui rank 1 --by sap"
    for command in others:
        arguments = shlex.split(command)[1:]
        scored(*(str(tmp_path / part) if part == "report.html" else part for part in arguments))
    assert (tmp_path / "report.html").exists()


def test_the_report_holds_the_numbers_of_the_ranking(scored: CommandLine, markdown: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = scored.run("report", "1", "--by", "nll", "--output", page)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == f"Written: {page}\n"
    shown = Structure(page.read_text())
    text = "".join(shown.text)
    ranking = json.loads(scored("rank", "1", "--by", "nll", "--format", "json"))
    for row in ranking["strategies"]:
        value = row["scores"]["nll"]
        assert f"{value['value']:.3f}" in text
        assert f"[{value['low']:.3f}, {value['high']:.3f}]" in text
    assert "sums | <b> under tiny-model" in text
    assert ("b", ()) not in shown.tags
    assert ranking["model"]["digest"] in text
    assert "torch" in text
    assert "9 of 200: of those that every strategy answered, drawn with seed 3" in text
    for words in ("someone", str(SAMPLE / "terse.jsonl"), "Agreement of metrics", "Ren, Chen, Liu: arXiv 2502.11779"):
        assert words in text, words
        assert words in markdown.replace("\\", ""), words


def test_agreement_of_the_metrics(scored: CommandLine) -> None:
    found = json.loads(scored("agree", "--json"))
    ids = [metric["id"] for metric in found["metrics"]]
    assert ids[:3] == ["sap", "nll", "rsr"]
    assert len(found["pairs"]) == len(ids) * (len(ids) - 1) / 2
    for leader in found["leaders"]:
        if len(leader["strategies"]) == 1 and leader["metric"] in ("sap", "nll", "rsr"):
            ranking = json.loads(scored("rank", "--by", leader["metric"], "--format", "json"))
            assert leader["strategies"] == [ranking["strategies"][0]["strategy"]]
            assert leader["separable"] == (ranking["verdict"] == "decided")
    text = scored("agree", "1", "--metric", "sap", "--metric", "nll", "--metric", "ifd")
    matrix = text.splitlines()[:3]
    assert matrix[0].split() == ["sap", "nll"]
    assert [line.split()[0] for line in matrix[1:]] == ["sap", "nll"]
    assert "ifd cannot be had" in text
    assert "--metric ifd" in text.replace("\n", "")
    listed = scored("agree", "--pairs")
    assert len(re.findall(r"^\w+, \w+ ", listed, re.MULTILINE)) == len(found["pairs"])
    assert all(len(line) <= 100 for line in scored("agree").splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("report", "1", "--output", "report.pdf"), 2, "neither in .md nor in .html"),
        (("report", "1", "--output", "report"), 2, "neither in .md nor in .html"),
        (("report", "77", "--output", "report.md"), 3, "no run 77"),
        (("report", "1", "--output", "/no/such/folder/report.md"), 1, "Cannot write"),
        (("report", "1", "--by", "magic", "--output", "report.md"), 2, "magic"),
        (("agree", "77"), 3, "no run 77"),
        (("agree", "1", "--metric", "magic"), 2, "magic"),
    ],
)
def test_wrong_use_is_one_line(scored: CommandLine, arguments: tuple[str, ...], code: int, words: str) -> None:
    result = scored.run(*arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path(arguments[-1]).exists()


def test_a_run_that_stopped_early_compares_what_reached_its_last_look(scored: CommandLine, tmp_path: Path) -> None:
    options = ("--task", "sums | <b>", "--model", TINY_MODEL, "--metric", "nll", "--device", "cpu")
    run = json.loads(scored("score", *options, "--until-decided", "--samples", "40", "--foreground", "--json"))["run"]
    ranking = json.loads(scored("rank", str(run), "--format", "json"))
    found = json.loads(scored("agree", str(run), "--json"))
    leader = found["leaders"][0]
    assert leader["strategies"] == [ranking["strategies"][0]["strategy"]]
    assert leader["separable"] == (ranking["verdict"] == "decided")
    assert leader["questions"] == ranking["questions"]
    assert {pair["strategies"] for pair in found["pairs"] if pair["metrics"][0] == "nll"} == {
        len(ranking["strategies"])
    }
    page = tmp_path / "early.html"
    scored("report", str(run), "--output", page)
    assert "Lan and DeMets" in page.read_text()
