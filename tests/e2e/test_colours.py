"""What reaches a terminal, byte for byte: no colour where none is wanted, and no more than the terminal has."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.settings import config_path

SGR = re.compile(rb"\x1b\[([0-9;]*)m")
REVERSE, BOLD = "7", "1"


def drawn(catalogue: Path, *keys: str, **environment: str) -> bytes:
    """All that the app writes to a terminal of 110 by 30 while these keys are pressed, one after another."""
    leader, follower = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in ("COLORTERM", "NO_COLOR", "TMUX")}
    command = [sys.executable, "-m", "sap_tui.cli", "--catalogue", str(catalogue)]
    settings = {"COLUMNS": "110", "LINES": "30", "TERM": "xterm-256color", **environment}
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env={**clean, **settings})
    os.close(follower)
    output = bytearray()
    try:
        read_until(leader, output, b"chatty")
        for key in keys:
            os.write(leader, key.encode())
            read_until(leader, output, b"", still=0.5)
        os.write(leader, b"q")
        read_until(leader, output, b"\x1b[?1049l")
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    return bytes(output)


def read_until(leader: int, output: bytearray, wanted: bytes, still: float = 30.0) -> None:
    """Read until these bytes came, or without any, until nothing comes for a while."""
    start, deadline = len(output), time.monotonic() + 30.0
    while time.monotonic() < deadline and not (wanted and wanted in output[start:]):
        if not select.select([leader], [], [], still)[0]:
            break
        try:
            output += os.read(leader, 65_536)
        except OSError:
            break


def codes(output: bytes) -> list[list[str]]:
    return [found.decode().split(";") for found in SGR.findall(output)]


def colours(output: bytes) -> set[str]:
    """Every colour that was set, as its code says it; the terminal's default is none."""
    found = set()
    for parts in codes(output):
        numbers = iter(parts)
        for number in numbers:
            if number in ("38", "48"):
                kind = next(numbers)
                count = 1 if kind == "5" else 3
                found.add(f"{kind}:" + ",".join(next(numbers) for _ in range(count)))
            elif re.fullmatch("3[0-7]|4[0-7]|9[0-7]|10[0-7]", number):
                found.add(number)
    return found


@pytest.mark.parametrize("theme", ["sap-dark", "sap-ansi"])
def test_where_no_colour_is_wanted_there_is_none_and_the_cursor_is_reversed(catalogue: Path, theme: str) -> None:
    config_path().write_text(f'theme = "{theme}"\n')
    output = drawn(catalogue, "2", "1", ",", "\x1b", NO_COLOR="1")
    assert colours(output) == set()
    assert any(REVERSE in parts for parts in codes(output))
    assert any(BOLD in parts for parts in codes(output))


def test_the_terminal_s_own_theme_sends_its_16_colours_alone(catalogue: Path) -> None:
    config_path().write_text('theme = "sap-ansi"\n')
    found = colours(drawn(catalogue, "2", "1", ",", "\x1b", COLORTERM="truecolor"))
    assert found
    assert all(":" not in colour for colour in found)


def test_a_terminal_that_promises_256_colours_gets_no_others(catalogue: Path) -> None:
    found = colours(drawn(catalogue, "2", "1"))
    assert found
    assert not [colour for colour in found if colour.startswith("2:")]
    assert [colour for colour in colours(drawn(catalogue, COLORTERM="truecolor")) if colour.startswith("2:")]
