"""What logging out does to runs, as the machine's login manager answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core import lingering
from core.lingering import Logout, logout
from core.processes import launcher
from core.processes.launcher import ensure_runner, runner_lives

SESSION = "0::/user.slice/user-1000.slice/session-3.scope\n"


def put_program(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


class Machine:
    """Fake programs of systemd, the only ones on the PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self.cgroup = folder / "cgroup"
        self.asked = folder / "asked"
        monkeypatch.setenv("PATH", str(self.folder))
        monkeypatch.setattr(lingering, "CGROUP", self.cgroup)
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        self.put("systemd-run", "exit 0")

    def put(self, name: str, script: str) -> None:
        put_program(self.folder / name, f'echo {name} "$@" >> {self.asked}\n{script}')

    def answers(self, *, kills: str, lingers: str, cgroup: str = SESSION) -> None:
        self.cgroup.write_text(cgroup)
        self.put("busctl", kills)
        self.put("loginctl", lingers)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("kills", "lingers", "expected"),
    [
        ("echo b true", "echo no", Logout.ENDS),
        ("echo b true", "echo yes", Logout.SPARES_SCOPES),
        ("echo b false", "echo no", Logout.SPARES),
        ("echo b false", "echo yes", Logout.SPARES),
        ("echo b true", "exit 1", Logout.ENDS),
        ("exit 1", "echo no", Logout.SPARES),
        ("printf '\\377'", "echo no", Logout.SPARES),
    ],
)
def test_the_answers(machine: Machine, kills: str, lingers: str, expected: Logout) -> None:
    machine.answers(kills=kills, lingers=lingers)
    assert logout() is expected


def test_lingering_helps_only_with_a_scope(machine: Machine) -> None:
    machine.answers(kills="echo b true", lingers="echo yes")
    (machine.folder / "systemd-run").unlink()
    assert logout() is Logout.ENDS


@pytest.mark.parametrize("cgroup", ["0::/\n", "0::/user.slice/user-1000.slice/user@1000.service/tmux.scope\n", ""])
def test_nobody_is_asked_outside_a_session(machine: Machine, cgroup: str) -> None:
    machine.answers(kills="echo b true", lingers="echo no", cgroup=cgroup)
    assert logout() is Logout.SPARES
    assert not machine.asked.exists()


def test_a_machine_without_systemd(machine: Machine) -> None:
    machine.cgroup.write_text(SESSION)
    assert logout() is Logout.SPARES
    machine.cgroup.unlink()
    assert logout() is Logout.SPARES


def test_a_login_manager_that_hangs_is_not_waited_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "SECONDS", 0.2)
    machine.answers(kills="exec /bin/sleep 30", lingers="echo no")
    assert logout() is Logout.SPARES


@pytest.mark.parametrize("script", ['while [ "$1" != -- ]; do shift; done; shift; exec "$@"', "exit 1"])
def test_the_runner_gets_a_scope_or_does_without(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    asked = tmp_path / "asked"
    put_program(tmp_path / "systemd-run", f'echo "$@" >> {asked}\n{script}')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(launcher, "logout", lambda: Logout.SPARES_SCOPES)
    ensure_runner(catalogue)
    assert runner_lives(catalogue)
    assert asked.read_text().startswith("--user --scope --collect --quiet -- ")
