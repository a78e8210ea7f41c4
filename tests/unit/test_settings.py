from __future__ import annotations

import math
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import NotFoundError, UsageError
from core.settings import SETTINGS, Settings, catalogue_path, config_path, read_config, settings_or_defaults
from sap_tui.config_file import changed_text, parsed, setting, write_setting

COMMENTED = """\
# mine
samples = 20  # few

[keys]  # other keys
new_run = "N"
[future]
unknown = [1, 2]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_defaults_without_a_file(tmp_path: Path) -> None:
    config = read_config(tmp_path / "config.toml")
    assert (config.settings, config.problems, config.keys) == (Settings(), (), {})


def test_a_file_overrides_defaults(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, 'model = "owner/name"\nsamples = 20\nrefresh_seconds = 1\n'))
    settings = config.settings
    assert (settings.model, settings.samples, settings.refresh_seconds) == ("owner/name", 20, 1)
    assert config.own == ("model", "samples", "refresh_seconds")
    assert config.problems == ()


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("\ncolour = 1", 2, "there is no setting 'colour'"),
        ('samples = "many"', 1, "samples must be a whole number, 1 or more; it is 'many'"),
        ("samples = 0", 1, "1 or more"),
        ("samples = true", 1, "whole number"),
        ("samples = 3.5", 1, "whole number"),
        ("model = 3", 1, "model must be a text"),
        ("auto_resume = 1", 1, "true or false"),
        ("# one\n\nsamples = ", 3, "cannot be read"),
        ("keep_warm_minutes = -1", 1, "0 to 1,000,000"),
        ("keep_warm_minutes = nan", 1, "a number"),
        ("keep_warm_minutes = inf", 1, "a number"),
        ("refresh_seconds = 0", 1, "from 0.05"),
        ("'theme' = 'puce'", 1, "one of sap-dark"),
        ('device = "tpu"', 1, "cuda:0"),
        ("keys = 3", 1, "must be a table"),
        ("[theme]\na = 1", 1, "theme must be one of"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line_and_its_default_holds(
    tmp_path: Path, content: str, line: int, words: str
) -> None:
    config = read_config(written(tmp_path, content))
    (problem,) = config.problems
    assert problem.startswith(f"{config.path}:{line}: " if "read" not in words else f"{config.path}:{line} ")
    assert words in problem
    assert config.settings == Settings()


def test_the_rest_of_a_file_with_a_wrong_line_applies(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, 'samples = "many"\nexamples = 3\nfoo = 1\n'))
    assert config.settings == Settings(examples=3)
    assert len(config.problems) == 2


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00", b"[" * 5000])
def test_no_bytes_of_a_file_keep_the_app_from_starting(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    assert read_config(path).settings == Settings()
    assert len(read_config(path).problems) == 1
    assert read_config(tmp_path).problems


def test_a_background_process_goes_on_with_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    config_path().write_text("colour = 1")
    assert settings_or_defaults() == Settings()
    assert "colour" in capsys.readouterr().err
    config_path().write_text("keep_warm_minutes = 3")
    assert settings_or_defaults().keep_warm_minutes == 3


def test_every_setting_accepts_its_default_and_says_what_it_is() -> None:
    for declared in SETTINGS.values():
        assert declared.accepts(declared.default), declared.name
        assert declared.rule.description.endswith(".")
        assert declared.wanted


def test_own_themes_and_those_named_in_the_settings_exist() -> None:
    from textual.theme import BUILTIN_THEMES

    from sap_tui.themes import THEMES

    assert set(SETTINGS["theme"].rule.allowed) <= {theme.name for theme in THEMES} | set(BUILTIN_THEMES)
    assert {theme.name for theme in THEMES} <= set(SETTINGS["theme"].rule.allowed)


def test_a_change_keeps_comments_order_and_what_it_does_not_know() -> None:
    config_path().write_text(COMMENTED)
    config = write_setting("theme", "sap-light")
    assert config.settings.theme == "sap-light"
    assert config_path().read_text() == COMMENTED.replace("few\n", 'few\ntheme = "sap-light"\n')
    write_setting("samples", 7)
    assert "samples = 7  # few\n" in config_path().read_text()
    write_setting("theme", None)
    write_setting("theme", None)
    assert config_path().read_text() == COMMENTED.replace("20", "7")
    assert stat.S_IMODE(config_path().stat().st_mode) == 0o600


def test_a_first_change_makes_the_file_and_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "config.toml"
    monkeypatch.setenv("SAP_TUI_CONFIG", str(path))
    write_setting("model", "owner/name")
    assert path.read_text() == 'model = "owner/name"\n'


def test_a_file_that_is_no_toml_is_left_alone() -> None:
    config_path().write_text("samples = ")
    with pytest.raises(UsageError, match="not changed"):
        write_setting("samples", 3)
    assert config_path().read_text() == "samples = "


def test_a_link_to_the_file_stays_a_link(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "dotfiles.toml").write_text("# mine\n")
    (tmp_path / "config.toml").symlink_to(tmp_path / "dotfiles.toml")
    monkeypatch.setenv("SAP_TUI_CONFIG", str(tmp_path / "config.toml"))
    write_setting("samples", 3)
    assert (tmp_path / "config.toml").is_symlink()
    assert (tmp_path / "dotfiles.toml").read_text() == "# mine\nsamples = 3\n"


names = some.sampled_from(sorted(SETTINGS))
texts = some.text(some.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
files = some.lists(
    some.sampled_from(
        [
            "# a comment",
            "",
            "samples = 20 # few",
            'model = "a"',
            "[keys]",
            "[[many]]",
            'new_run = ["n", "N"]',
            "x.y = 1",
        ]
    ),
    max_size=6,
)


@given(lines=files, name=some.sampled_from(["model", "on_done"]), text=texts, ending=some.sampled_from(["\n", "\r\n"]))
def test_any_change_of_any_file_changes_that_alone(lines: list[str], name: str, text: str, ending: str) -> None:
    before = ending.join(lines)
    try:
        old = tomllib.loads(before)
    except tomllib.TOMLDecodeError:
        return
    after = changed_text(before, name, text)
    assert tomllib.loads(after) == {**old, name: text}
    assert all(line in after for line in lines if line.startswith("#"))
    assert tomllib.loads(changed_text(after, name, None)) == {key: old[key] for key in old if key != name}


@given(name=names, value=some.one_of(some.booleans(), some.integers(), some.floats(), texts, some.none()))
def test_a_value_is_accepted_only_with_the_right_type_and_in_its_limits(name: str, value: Any) -> None:
    declared = SETTINGS[name]
    if declared.accepts(value):
        assert type(value) is declared.type or (declared.type is float and type(value) is int)
        assert not isinstance(value, float) or math.isfinite(value)
        assert parsed(declared, str(value)) == value


def test_what_is_typed_becomes_a_value_or_is_refused() -> None:
    assert parsed(SETTINGS["auto_resume"], "Yes") is True
    assert parsed(SETTINGS["samples"], "12") == 12
    assert parsed(SETTINGS["keep_warm_minutes"], "1.5") == 1.5
    for name, text in (("auto_resume", "perhaps"), ("samples", "1e3"), ("samples", "0"), ("quantization", "int3"),
                       ("examples", "0"), ("keep_warm_minutes", "nan"), ("device", "cuda:")):  # fmt: skip
        with pytest.raises(UsageError, match=name):
            parsed(SETTINGS[name], text)


def test_an_unknown_setting_is_answered_with_what_is_near() -> None:
    with pytest.raises(NotFoundError, match="Perhaps: samples"):
        setting("sample")


def test_the_catalogue_comes_from_option_then_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAP_TUI_CATALOGUE", str(tmp_path / "environment.db"))
    assert catalogue_path(str(tmp_path / "option.db")) == tmp_path / "option.db"
    assert catalogue_path() == tmp_path / "environment.db"
    monkeypatch.delenv("SAP_TUI_CATALOGUE")
    assert catalogue_path().name == "catalogue.db"
