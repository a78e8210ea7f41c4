"""The other tools' environment: their own packages, and torch and transformers of the program's environment."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE / ".venv"
REQUIREMENTS = HERE / "requirements.txt"


class Peers:
    """Pinned peers, each installed on its own, so that one that fails leaves the others."""

    def __init__(self) -> None:
        self.python = ENVIRONMENT / "bin" / "python"
        self._why_missing: dict[str, str] = {}

    def install(self) -> None:
        """Make the environment and install what is not there; a second call with the same pins does nothing."""
        if not self.python.is_file():
            _make_environment()
        for requirement in REQUIREMENTS.read_text(encoding="utf-8").split():
            why = _install(self.python, requirement)
            if why:
                self._why_missing[_name(requirement)] = why

    def why_missing(self, peer: str) -> str:
        """Empty for a peer that is installed, and for one that nobody pinned."""
        return self._why_missing.get(peer, "")


def versions() -> dict[str, str]:
    """The pinned peers with their versions."""
    pins = REQUIREMENTS.read_text(encoding="utf-8").split()
    return {_name(pin): pin.partition("==")[2] for pin in pins}


def _make_environment() -> None:
    """Packages of the program's environment come behind the peers' own, so that all run on the same torch."""
    options = ["--system-site-packages"] if _sees_system_packages() else []
    subprocess.run([sys.executable, "-m", "venv", *options, str(ENVIRONMENT)], check=True)
    layout = {"base": str(ENVIRONMENT), "platbase": str(ENVIRONMENT)}
    own = Path(sysconfig.get_path("purelib", scheme="venv", vars=layout))
    (own / "program_environment.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")


def _sees_system_packages() -> bool:
    settings = Path(sys.prefix) / "pyvenv.cfg"
    return settings.is_file() and "include-system-site-packages = true" in settings.read_text(encoding="utf-8")


def _install(python: Path, requirement: str) -> str:
    """Why the requirement could not be installed; empty where it could. The program's torch is never replaced."""
    stamp = ENVIRONMENT / f".installed-{_name(requirement)}"
    constraint = f"torch=={importlib.metadata.version('torch')}\n"
    state = requirement + "\n" + constraint
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == state:
        return ""
    print(f"Installing {requirement} into {ENVIRONMENT}", file=sys.stderr)
    constraints = ENVIRONMENT / "constraints.txt"
    constraints.write_text(constraint, encoding="utf-8")
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(constraints)]
    done = subprocess.run([*command, requirement], capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["pip failed"]
        return f"could not be installed: {lines[-1]}"
    stamp.write_text(state, encoding="utf-8")
    return ""


def _name(requirement: str) -> str:
    return requirement.partition("==")[0].partition("[")[0]
