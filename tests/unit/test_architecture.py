"""What may import what. A linter cannot see a deferred import, so a fresh interpreter is asked as well."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "bitsandbytes", "accelerate", "peft", "numpy", "scipy", "pyarrow", "sqlite_utils")


def loaded_after(code: str, *suspects: str) -> list[str]:
    program = f"{code}\nimport sys\nprint(*[name for name in {suspects!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_the_app_starts_without_anything_heavy() -> None:
    assert loaded_after("import sap_tui.app", *HEAVY) == []


def test_help_does_not_even_load_textual() -> None:
    code = "import sap_tui.cli\nsap_tui.cli.build_parser().format_help()"
    assert loaded_after(code, "textual", "rich", "sqlite3", *HEAVY) == []


def test_the_runner_starts_without_torch() -> None:
    assert loaded_after("import core.jobs.runner", "textual", "rich", *HEAVY) == []


def test_only_the_engine_loads_torch() -> None:
    modules = [
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
        for package in ("core", "sap_tui")
        for path in (ROOT / package).rglob("*.py")
        if "hf" not in path.parts
    ]
    code = "import importlib\nfor name in " + repr(modules) + ": importlib.import_module(name)"
    assert loaded_after(code, "torch", "transformers", "bitsandbytes", "accelerate", "peft") == []


def test_core_never_loads_a_screen() -> None:
    modules = [
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
        for path in (ROOT / "core").rglob("*.py")
        if "hf" not in path.parts
    ]
    code = "import importlib\nfor name in " + repr(modules) + ": importlib.import_module(name)"
    assert loaded_after(code, "textual", "rich", "sap_tui") == []


def test_import_contracts_hold() -> None:
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("package", ["core", "sap_tui"])
def test_no_file_outgrows_its_room(package: str) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / package).rglob("*.py")}
    assert {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > 400} == {}
    app = ROOT / "sap_tui" / "app.py"
    assert lengths.get(app, 0) <= 250


def test_help_is_quick() -> None:
    """Under 8 times the start of a bare interpreter; the best of several starts, since machines are shared."""

    def best_of(*command: str) -> float:
        times = []
        for _ in range(7):
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], capture_output=True, check=True, cwd=ROOT)
            times.append(time.perf_counter() - started)
        return min(times)

    assert best_of("-m", "sap_tui.cli", "score", "--help") < 8 * best_of("-c", "pass")
