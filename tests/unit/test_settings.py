from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import UsageError
from core.settings import Settings, catalogue_path, config_path, load_settings, settings_or_defaults


def test_defaults_without_a_file(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "config.toml") == Settings()


def test_a_file_overrides_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('model = "owner/name"\nsamples = 20\nrefresh_seconds = 1\n')
    settings = load_settings(file)
    assert (settings.model, settings.samples, settings.refresh_seconds) == ("owner/name", 20, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("colour = 1", "colour"),
        ('samples = "many"', "samples"),
        ("samples = ", "cannot be read"),
        ("keep_warm_minutes = -1", "0 or more"),
        ("keep_warm_minutes = nan", "0 or more"),
        ("keep_warm_minutes = inf", "0 or more"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(content)
    with pytest.raises(UsageError, match=words) as refused:
        load_settings(file)
    assert str(file) in str(refused.value)


def test_a_background_process_goes_on_with_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    config_path().write_text("colour = 1")
    assert settings_or_defaults() == Settings()
    assert "colour" in capsys.readouterr().err
    config_path().write_text("keep_warm_minutes = 3")
    assert settings_or_defaults().keep_warm_minutes == 3


def test_the_catalogue_comes_from_option_then_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAP_TUI_CATALOGUE", str(tmp_path / "environment.db"))
    assert catalogue_path(str(tmp_path / "option.db")) == tmp_path / "option.db"
    assert catalogue_path() == tmp_path / "environment.db"
    monkeypatch.delenv("SAP_TUI_CATALOGUE")
    assert catalogue_path().name == "catalogue.db"
