"""Everything that a whole day's work makes is its owner's alone, whatever the umask says."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from tests.conftest import end_processes, wait_until, write_strategy


def test_modes_of_all_files(tmp_path: Path, stand_in_model: Path) -> None:
    home, inputs = tmp_path / "home", tmp_path / "inputs"
    inputs.mkdir()
    home.mkdir(mode=0o700)
    catalogue = home / "deep" / "catalogue.db"
    for name, text in (("a", "It is {}."), ("b", "Well, {} it must be.")):
        write_strategy(inputs / f"{name}.jsonl", [text.format(2 * number) for number in range(8)])
    variables = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("DATA", "CONFIG", "CACHE", "STATE")}

    def sap_tui(*arguments: str | Path) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "sap_tui.cli", "--catalogue", catalogue, *arguments],
            capture_output=True, text=True, timeout=120, env={**os.environ, **variables}, umask=0,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    try:
        sap_tui("settings", "keep_warm_minutes", "0")
        sap_tui("import", inputs / "a.jsonl", inputs / "b.jsonl", "--task", "sums")
        sap_tui(
            *("score", "--task", "sums", "--model", stand_in_model, "--samples", "8", "--wait", "--device", "cpu"),
            *("--metric", "ppl", "--metric", "nll"),
        )
        sap_tui("rank", "--format", "csv", "--output", home / "ranking.csv")
        sap_tui("report", "1", "--output", home / "report.html")
        sap_tui("filter", "--task", "sums", "--strategy", "a", "--output", home / "data.jsonl")
        sap_tui("backup")
        state = catalogue.with_name("catalogue.db.d")
        wait_until(lambda: len(list((state / "backups").glob("*.db"))) == 2, what="the runner's backup and ours")
        found = {path.relative_to(home): stat.S_IMODE(path.lstat().st_mode) for path in home.rglob("*")}
    finally:
        end_processes(catalogue)
    names = {path.name for path in found}
    assert {"ranking.csv", "report.html", "data.jsonl", "config.toml", "runner.log", "in-use.lock"} <= names
    assert any(name.endswith("-attempt-1.log") for name in names)
    for path, mode in found.items():
        assert mode == (0o700 if (home / path).is_dir() else 0o600), path
