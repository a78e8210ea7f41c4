"""What the command line prints about hostile names and texts: nothing in it steers a terminal or hides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from core.text import GuardedStream, escaped_json, visible, visible_lines
from sap_tui.cli import main
from tests.conftest import end_processes
from tests.hostile import PAYLOADS, poisoned, scored_base

READING = (
    ("list",),
    ("task", "list"),
    ("runs",),
    *(("runs", str(run)) for run in (1, *range(3, len(PAYLOADS), 9))),
    ("rank", "1"),
    ("rank", "2", "--format", "markdown"),
    ("rank", "2", "--format", "latex"),
    ("outcomes",),
    ("judge",),
    ("metrics",),
    ("settings",),
    ("keys",),
    ("paths",),
    ("doctor",),
)
WITH_NAMES = (
    ("strategy", "show", "{task}", "{strategy}"),
    ("strategy", "responses", "{task}", "{strategy}"),
    ("compare", "2", "{strategy}", "{other}"),
    ("show", "2", "{strategy}", "1"),
    ("show", "2", "{strategy}", "1", "--tokens"),
    ("filter", "--task", "{task}", "--strategy", "{strategy}", "--dry-run"),
    ("column", "--task", "{task}"),
)
REFUSED = (
    ("rank", "{payload}"),
    ("list", "--task", "{payload}"),
    ("list", "{payload}"),
    ("{payload}",),
    ("import", "/no/{payload}"),
    ("import", "{payload}", "--map", "{payload}"),
    ("strategy", "show", "{payload}", "{payload}"),
    ("show", "2", "{payload}", "{payload}"),
    ("score", "--task", "sums", "--model", "/no/{payload}", "--metric", "{payload}"),
    ("score", "--task", "{payload}", "--model", "{payload}"),
    ("settings", "{payload}", "{payload}"),
    ("settings", "theme", "{payload}"),
)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("hostile")
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "sap-tui-stand-in"}')
    (model / "model.safetensors").write_bytes(b"no weights")
    path = poisoned(scored_base(folder, model), folder / "poisoned", str)
    yield path
    end_processes(path)


def printed(capsys: pytest.CaptureFixture[str], catalogue: Path, *arguments: str) -> tuple[int, str, str]:
    try:
        code = main(["--catalogue", str(catalogue), *arguments])
    except SystemExit as end:
        code = int(end.code or 0)
    return code, *capsys.readouterr()


def assert_clean(text: str, arguments: Sequence[str]) -> None:
    for line in text.split("\n"):
        assert visible(line, multiline=True) == line, (arguments, line)


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_what_is_read(command: tuple[str, ...], catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ([], ["--json"]):
        code, out, talk = printed(capsys, catalogue, *command, *form)
        assert code in ((0, 1, 2) if form else (0, 1))
        assert "Traceback" not in talk
        assert_clean(out + talk, command)
        assert out or talk
        if form and code == 0:
            assert [json.loads(line) for line in (out.splitlines() if command[0] == "runs" else [out])]


@pytest.mark.parametrize("command", WITH_NAMES, ids=" ".join)
def test_what_is_read_by_name(command: tuple[str, ...], catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = names_of(catalogue, capsys)
    for (task, strategy), (_, other) in zip(names[:12:3], names[1:13:3], strict=True):
        arguments = [part.format(task=task, strategy=strategy, other=other) for part in command]
        for form in ([], ["--json"]):
            code, out, talk = printed(capsys, catalogue, *arguments, *form)
            assert code in (0, 1, 2, 3)
            assert_clean(out + talk, arguments)
            assert out or talk


def names_of(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    """Tasks and strategies with responses, as JSON gives them back: byte for byte."""
    _, out, _ = printed(capsys, catalogue, "list", "--json")
    tasks = json.loads(out)
    found = [(task["task"], strategy["name"]) for task in tasks for strategy in task["strategies"]]
    assert {strategy[2:] for _, strategy in found} >= set(PAYLOADS)
    return [(task, strategy) for task, strategy in found if strategy[:2] in ("00", "01", *map(str, range(15, 60, 5)))]


@pytest.mark.parametrize("command", REFUSED, ids=" ".join)
def test_what_is_refused(command: tuple[str, ...], catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for payload in PAYLOADS:
        if "\0" in payload or len(payload) > 200 or payload.startswith("-"):
            continue
        arguments = [part.format(payload=payload) for part in command]
        code, out, talk = printed(capsys, catalogue, *arguments)
        assert code in (1, 2, 3) or command[0] == "settings"
        assert "Traceback" not in talk
        assert_clean(out + talk, arguments)


def test_imported_files_with_hostile_names_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue = tmp_path / "catalogue.db"
    folder = tmp_path / "files"
    folder.mkdir()
    for number, payload in enumerate(PAYLOADS):
        name = payload.replace("/", "_").replace("\0", "")[:40]
        rows = [{"id": payload, "question": payload or "q", "response": payload}, {payload: 1}, {"id": payload}]
        file = folder / f"{number}{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows) + payload.replace("\n", "") + "\n")
        for skip in ([], ["--skip-bad"]):
            code, out, talk = printed(
                capsys, catalogue, "import", str(file), "--task", f"t{number}", "--strategy", "s", *skip
            )
            assert code == (0 if skip else 1), talk
            # A line of progress begins anew with a carriage return of the program's own.
            assert_clean(out + talk.replace("\r", ""), [payload])
            assert f"{number}" in talk


def test_rankings_in_files_hold_no_control_character(catalogue: Path, tmp_path: Path) -> None:
    for name, command in (
        ("ranking.md", ("rank", "2", "--format", "markdown")),
        ("ranking.json", ("rank", "2", "--format", "json")),
    ):
        output = tmp_path / name
        assert main(["--catalogue", str(catalogue), *command, "--output", str(output)]) == 0
        text = output.read_text("utf-8")
        assert not any(ord(character) < 32 and character not in "\n\t" for character in text), name


def test_the_guards_of_streams() -> None:
    for payload in PAYLOADS:
        text = json.dumps({"value": payload}, ensure_ascii=False)
        escaped = escaped_json(text)
        assert json.loads(escaped) == {"value": payload}
        assert visible(escaped, multiline=True) == escaped
    assert visible_lines("  1,000 rows\r\x1b[2J") == "  1,000 rows\r␛[2J"
    written: list[str] = []

    class Stream:
        encoding = "utf-8"

        def write(self, text: str) -> None:
            written.append(text)

    guarded = GuardedStream(Stream(), visible)
    assert (guarded.write("\x1b"), written, guarded.encoding) == (1, ["␛"], "utf-8")


def test_the_logs_of_background_processes_are_guarded(tmp_path: Path) -> None:
    code = (
        "from core.text import guard_logs\n"
        "guard_logs()\n"
        "import logging, sys, warnings\n"
        "print('\\x1b]0;x\\x07\\u202e')\n"
        "logging.warning('\\x9b31m')\n"
        "warnings.warn('\\x1b[2J')\n"
        "raise ValueError('\\x1b]52;c;aGk=\\x07')\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, stderr=file, check=False, env=os.environ)
    text = log.read_text("utf-8")
    assert_clean(text, ["log"])
    assert text.count("␛") == 3
    assert "ValueError" in text
