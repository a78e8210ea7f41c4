"""Symbolic comparison by math-verify, in a process of its own: an expression can keep it busy, or fill it, for ever.

The process, started as `python -m core.scoring.mathematics` when it is first needed, reads a pair of expressions a line
and answers each with true or false. It ends with its standard input, and so with whoever started it.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import select
import subprocess
import sys
import threading
import time
from functools import lru_cache
from typing import IO, Any

from core.errors import SapError

SECONDS = 3
"""For each of the steps that math-verify can interrupt: reading an expression and comparing two."""
MOST_SECONDS = 12.0
"""For all of them with those that it cannot, such as the power of two large numbers."""
START_SECONDS = 120.0
MEMORY_BYTES = 2 << 30
CPU_SECONDS = 3600
_COMMAND = [sys.executable, "-m", "core.scoring.mathematics"]


class Comparer:
    """The process, and one question to it at a time, from whatever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def equal(self, answer: str, gold: str) -> bool:
        """Whether both are the same mathematics; False where that is not found out in time."""
        with self._lock:
            process = self._started()
            try:
                verdict = self._asked(process, json.dumps([answer, gold]).encode("ascii") + b"\n")
            except BrokenPipeError:
                verdict = b""
            if not verdict.endswith(b"\n"):
                self._end()
        return verdict == b"true\n"

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
            self._process = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={**kept, "PYTHONSAFEPATH": "1"},
                bufsize=0,
            )
            if _line(self._process.stdout, START_SECONDS) != b"ready\n":
                self._end()
                raise SapError("math-verify cannot be started, which compares answers.", "Is it installed?")
        return self._process

    def _asked(self, process: subprocess.Popen[bytes], question: bytes) -> bytes:
        assert process.stdin is not None
        process.stdin.write(question)
        return _line(process.stdout, MOST_SECONDS)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def _line(stream: IO[bytes] | None, seconds: float) -> bytes:
    """What the process writes up to the end of a line; less where it ends or takes longer."""
    assert stream is not None
    deadline = time.monotonic() + seconds
    found = b""
    while not found.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(stream.fileno(), 4096) if ready else b""
        if not part:
            break
        found += part
    return found


_comparer = Comparer()


def equal_mathematics(answer: str, gold: str) -> bool:
    """Whether two expressions, in LaTeX or plain, are the same mathematics."""
    return _comparer.equal(answer, gold)


def _verdict(answer: str, gold: str) -> bool:
    from math_verify import verify

    return bool(verify(_parsed(gold), _parsed(answer), timeout_seconds=SECONDS))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Any:
    """What math-verify reads in an expression; many answers of a question are compared with each other."""
    from math_verify import parse

    return parse(text if "$" in text else f"${text}$", parsing_timeout=SECONDS)


def main() -> int:
    """Answer every line of standard input."""
    import math_verify  # noqa: F401

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    _limit()
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            verdict = _verdict(*json.loads(line))
        except Exception:
            # Whatever sympy says about an expression, it is not equal to another then.
            verdict = False
        print("true" if verdict else "false", flush=True)
    return 0


def _limit() -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        memory = int(file.read().split()[0]) * resource.getpagesize() + MEMORY_BYTES
    for kind, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (limit, limit))


if __name__ == "__main__":
    sys.exit(main())
