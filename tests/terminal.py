"""A program in a pseudo-terminal of its own, as sshd gives one: typed to, read from, and hung up on."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from pathlib import Path

import psutil

from tests.conftest import wait_until

_CONTROLS = re.compile(
    rb"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_].*?\x1b\\|\x1b\[[0-?]*[ -/]*[@-~]|\x1b.", re.DOTALL
)
ROWS, COLUMNS = 36, 120


class Terminal:
    """The program leads a session and a process group of its own on the terminal."""

    def __init__(self, command: list[str], folder: Path, *, controlling: bool = True) -> None:
        """Of a terminal that does not control the session nobody is told when it is hung up on."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
        }
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, start_new_session=True,
            env={**environment, "TERM": "xterm-256color"},
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None,
        )  # fmt: skip
        os.close(slave)
        self._output = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                read = os.read(self._master, 65536)
            except OSError:
                return
            if not read:
                return
            self._output += read

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def text(self) -> str:
        """Everything that was printed so far, without the sequences that move and colour."""
        return _CONTROLS.sub(b"", self._output).decode(errors="replace")

    def shows(self, words: str, seconds: float = 60.0) -> None:
        """Wait until the words were printed."""
        try:
            wait_until(lambda: words in self.text(), seconds, f"{words!r} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()[-3000:]}") from None

    def hang_up(self) -> None:
        """What happens when the connection drops: the master side is closed and the kernel sends SIGHUP."""
        os.close(self._master)

    def group(self) -> list[psutil.Process]:
        """The living processes of the program's process group."""
        return [process for process in psutil.process_iter() if _group_of(process) == self.process.pid]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def _group_of(process: psutil.Process) -> int:
    try:
        return -1 if process.status() == psutil.STATUS_ZOMBIE else os.getpgid(process.pid)
    except (ProcessLookupError, psutil.NoSuchProcess):
        return -1
