"""--output: the format by the file's ending, files replaced only when asked to, and databases never."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from sap_tui.cli import main
from tests.e2e.command_line import CommandLine
from tests.ui.test_outcomes import judged, unjudged

__all__ = ["judged", "unjudged"]
VERBS = [("rank", "1"), ("compare", "1", "chatty", "terse"), ("agree", "1"), ("converge", "1"), ("judge", "--run", "1")]


@pytest.mark.parametrize("arguments", VERBS, ids=lambda arguments: arguments[0])
def test_the_ending_says_the_format(
    arguments: tuple[str, ...], judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(*options: str) -> str:
        assert main(["--catalogue", str(judged), *arguments, *options]) == 0
        return capsys.readouterr().out

    as_json, as_csv, as_table = printed("--json"), printed("--format", "csv"), printed("--format", "table")
    assert len({as_json, as_csv, as_table, printed()}) == 3
    for name, text in (("a.json", as_json), ("a.csv", as_csv), ("b.CSV", as_csv), ("a.txt", as_table), ("a", as_table)):
        assert printed("--output", str(tmp_path / name)) == ""
        assert (tmp_path / name).read_text() == text, name
    printed("--json", "--output", str(tmp_path / "other.csv"))
    assert (tmp_path / "other.csv").read_text() == as_json


def test_markdown_and_latex_are_for_rankings(judged: Path, tmp_path: Path) -> None:
    command = CommandLine(judged)
    for ending, start in ((".md", "# Run 1"), (".tex", r"\begin{table}")):
        command("rank", "--output", tmp_path / f"ranking{ending}")
        assert (tmp_path / f"ranking{ending}").read_text().startswith(start)
        refused = command.run("agree", "--output", tmp_path / f"agreement{ending}")
        assert (refused.returncode, "table, json or csv" in refused.stderr) == (2, True)
        assert not (tmp_path / f"agreement{ending}").exists()
    assert command.run("rank", "--by-model", "--task", "arithmetic", "--output", tmp_path / "all.md").returncode == 2


@pytest.mark.parametrize("arguments", [*VERBS, ("report", "1")], ids=lambda arguments: arguments[0])
def test_a_file_is_only_replaced_when_forced(arguments: tuple[str, ...], judged: Path, tmp_path: Path) -> None:
    command, file = CommandLine(judged), tmp_path / "notes.md"
    form = () if arguments[0] == "report" else ("--format", "json")
    file.write_text("mine")
    file.chmod(0o644)
    refused = command.run(*arguments, *form, "--output", file)
    assert (refused.returncode, "--force" in refused.stderr, file.read_text()) == (1, True, "mine")
    command(*arguments, *form, "--output", file, "--force")
    assert file.read_text() != "mine"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "name", ["own.db", "own.db-wal", "own.db-journal", "own.db.wlock", "own.db.d/note.json", "link", "other.sqlite"]
)
def test_no_database_is_ever_replaced(
    name: str, judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, file = tmp_path / "own.db", str(tmp_path / name)
    with sqlite3.connect(judged) as source, sqlite3.connect(own) as target:
        source.backup(target)
    (tmp_path / "link").symlink_to(own)
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE t (x)")
    assert main(["--catalogue", str(own), "list"]) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    selected = ["filter", "--task", "arithmetic", "--strategy", "terse"]
    for arguments in (
        *([*verb, "--output", file] for verb in VERBS),
        [*selected, "--output", str(tmp_path / "data.json"), "--dataset-info", file],
    ):
        for force in ([], ["--force"]):
            capsys.readouterr()
            assert main(["--catalogue", str(own), *arguments, *force]) == 1, arguments
            assert "no output goes there" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_ranking_is_no_file_of_outcomes(judged: Path, tmp_path: Path) -> None:
    command = CommandLine(judged)
    for name, more in (("ranking.csv", ()), ("by_accuracy.csv", ("--by", "response_accuracy"))):
        command("rank", "1", "--output", tmp_path / name, *more)
        header = (tmp_path / name).read_text().splitlines()[0].split(",")
        assert (len(set(header)), header[-3:]) == (len(header), ["mean_tokens", "share_right", "same_family"])
        refused = command.run("outcomes", tmp_path / name, "--task", "arithmetic", "--model", "tiny-model")
        assert (refused.returncode, "no column 'accuracy'" in refused.stderr) == (1, True)


def test_the_mode_of_a_dataset_info_stays(judged: Path, tmp_path: Path) -> None:
    info = tmp_path / "dataset_info.json"
    info.write_text("{}")
    info.chmod(0o644)
    data = tmp_path / "data.json"
    CommandLine(judged)(
        "filter", "--task", "arithmetic", "--strategy", "terse", "--output", data, "--dataset-info", info
    )
    assert (stat.S_IMODE(info.stat().st_mode), stat.S_IMODE(data.stat().st_mode)) == (0o644, 0o600)
