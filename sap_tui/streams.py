"""The standard streams of a command: what is printed steers no terminal, and what cannot be is no fault of ours."""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from typing import Any

from core.errors import SapError
from core.text import GuardedStream, escaped_json, visible_lines

_JSON_ESCAPES = "sap-tui-json-escapes"


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Data that cannot be written is a SapError, talk is lost then; a pipe that its reader closed stays an OSError."""
    _open_closed()
    try:
        with redirect_stderr(_Talk(sys.stderr, visible_lines)), redirect_stdout(_Data(sys.stdout, str)):
            yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            _let_go(stream)


@contextmanager
def printing(form: str | None) -> Iterator[None]:
    """Print data in this form, None or "table" for a text; only in a text what the encoding lacks becomes a '?'."""
    if sys.stdout.errors == "strict":
        lossy = "replace" if form in (None, "table") else "backslashreplace"
        sys.stdout.reconfigure(errors=_JSON_ESCAPES if form == "json" else lossy)  # type: ignore[union-attr]
    with redirect_stdout(GuardedStream(sys.stdout, escaped_json)) if form == "json" else nullcontext():
        yield


class _Data(GuardedStream):
    def write(self, text: str) -> int:
        with _told():
            return super().write(text)

    def flush(self) -> None:
        with _told():
            self._stream.flush()


class _Talk(GuardedStream):
    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            raise
        except OSError:
            return len(text)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SapError(f"The output cannot be written: {error.strerror}.") from error


def _open_closed() -> None:
    """Let the numbers of streams that the caller closed lead nowhere, before a file of ours gets them."""
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w", encoding="utf-8"))


def _let_go(stream: Any) -> None:
    """What cannot be written must not be tried again when the interpreter ends."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _json_escapes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_JSON_ESCAPES, _json_escapes)
