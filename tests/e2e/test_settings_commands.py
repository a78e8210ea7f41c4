"""sap-tui settings and keys, as a shell runs them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from core.settings import SETTINGS, config_path
from sap_tui.keys import ACTIONS
from tests.e2e.command_line import CommandLine


@pytest.fixture
def sap_tui(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "none.db")


def test_settings_are_listed_got_set_and_unset(sap_tui: CommandLine) -> None:
    config_path().write_text("# mine\n")
    assert sap_tui("settings", "samples") == "50\n"
    assert sap_tui("settings", "samples", "12") == "12\n"
    assert sap_tui("settings", "auto_resume", "on") == "true\n"
    assert config_path().read_text() == "# mine\nsamples = 12\nauto_resume = true\n"
    assert stat.S_IMODE(config_path().stat().st_mode) == 0o600
    listed = sap_tui("settings").splitlines()
    assert len(listed) == 1 + len(SETTINGS)
    assert next(line for line in listed if line.startswith("samples")).split()[:3] == ["samples", "12", "file"]
    assert sap_tui("settings", "samples", "--unset") == "50\n"
    assert config_path().read_text() == "# mine\nauto_resume = true\n"


def test_settings_as_json(sap_tui: CommandLine) -> None:
    config_path().write_text('theme = "puce"\nsamples = 3\nfoo = 1\n[keys]\nnew_rum = "N"\n')
    listed = json.loads(sap_tui("settings", "--json", code=2))
    assert listed["file"] == str(config_path())
    assert len(listed["problems"]) == 3
    by_name = {each["name"]: each for each in listed["settings"]}
    assert set(by_name) == set(SETTINGS)
    assert (by_name["samples"]["value"], by_name["samples"]["in_file"], by_name["samples"]["least"]) == (3, True, 1)
    assert by_name["theme"]["value"] == "sap-dark"
    assert "sap-light" in by_name["theme"]["allowed"]
    assert json.loads(sap_tui("settings", "examples", "--json", code=2))["default"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("sample",), 3, "There is no setting 'sample'. Perhaps: samples"),
        (("samples", "many"), 2, "samples must be a whole number, 1 or more."),
        (("quantization", "int3"), 2, "one of none, int8, nf4, fp4"),
        (("samples", "3", "--unset"), 2, "not both"),
        (("--unset",), 2, "needs the name"),
    ],
)
def test_wrong_use_is_one_line(sap_tui: CommandLine, arguments: tuple[str, ...], code: int, words: str) -> None:
    before = config_path().read_text()
    result = sap_tui.run("settings", *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert config_path().read_text() == before


def test_a_file_that_is_no_toml_is_named_with_its_line_and_not_touched(sap_tui: CommandLine) -> None:
    config_path().write_text("# mine\nsamples ==\n")
    result = sap_tui.run("settings", "theme", "sap-light")
    assert result.returncode == 2
    assert "not changed" in result.stderr
    result = sap_tui.run("settings")
    assert result.returncode == 2
    assert f"{config_path()}:2 cannot be read" in result.stderr
    assert "sap-dark" in result.stdout
    assert config_path().read_text() == "# mine\nsamples ==\n"


def test_hostile_text_of_the_file_does_not_reach_the_terminal(sap_tui: CommandLine) -> None:
    config_path().write_text(
        'model = "\\u001b[2J"\n"\\u001b[31m" = 1\n[keys]\n"\\u001b]0;x" = "N"\nnew_run = "\\u001b"\n'
    )
    for verb in (("settings",), ("settings", "model"), ("keys",)):
        result = sap_tui.run(*verb)
        assert "\x1b" not in result.stdout + result.stderr


def test_keys_as_they_are_in_force(sap_tui: CommandLine) -> None:
    config_path().write_text('[keys]\nnew_run = ["N", "f4"]\nquit = "i"\n')
    result = sap_tui.run("keys")
    assert result.returncode == 2
    assert f"{config_path()}:3: quit cannot have the key i" in result.stderr
    rows = [line for line in result.stdout.splitlines() if " new_run " in line]
    assert len(rows) == 3
    assert all("N f4 *" in row for row in rows)
    listed = json.loads(sap_tui("keys", "--json", code=2))
    assert {each["action"] for each in listed["keys"]} == {action.id for action in ACTIONS}
    assert [each["keys"] for each in listed["keys"] if each["changed"]] == [["N", "f4"]] * 3
    assert len(listed["problems"]) == 1
