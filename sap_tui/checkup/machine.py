"""What of this machine matters: Python and its libraries, GPUs, SQLite, what logging out does, the clipboard."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

from sap_tui.checkup.finding import Finding, bad, ok, warn

NEEDED = ("torch", "transformers", "accelerate", "textual", "sqlite-utils", "numpy", "scipy", "jinja2")
OPTIONAL = {
    "bitsandbytes": "--quantization int8, nf4 and fp4 need it",
    "peft": "--adapter needs it",
}
SAFE_JINJA = (3, 1, 6)
# Two checkpoints that race a commit; fixed in this version.
SQLITE_WITHOUT_RESET_BUG = (3, 51, 3)
TMUX_SECONDS = 2.0


def machine() -> Iterator[Finding]:
    yield from _versions()
    yield from _gpus()
    yield from _sqlite()
    yield _logout()
    yield _clipboard()


def _versions() -> Iterator[Finding]:
    import platform

    yield ok("python", f"Python {platform.python_version()}")
    for library in NEEDED:
        found = _version(library)
        if found is None:
            yield bad(library, f"{library} is not installed", f"pip install {library}")
        elif library == "jinja2" and _numbers(found) < SAFE_JINJA:
            yield warn(library, f"jinja2 {found} has known holes in its sandbox", "pip install --upgrade jinja2")
        else:
            yield ok(library, f"{library} {found}")
    for library, purpose in OPTIONAL.items():
        found = _version(library)
        if found is None:
            yield warn(library, f"{library} is not installed; {purpose}", f"pip install {library}")
        else:
            yield ok(library, f"{library} {found}")


def _gpus() -> Iterator[Finding]:
    from core.gpu import driver_answers, gpus, torch_cuda_version

    cuda, found = torch_cuda_version(), gpus()
    for gpu in found:
        yield ok("gpu", f"{gpu.device} {gpu.name}, {gpu.free / 2**30:.1f} of {gpu.total / 2**30:.1f} GiB free")
    if not driver_answers():
        yield bad("gpu", "the NVIDIA driver does not answer", "restart this machine; until then: --device cpu")
    elif found:
        yield ok("cuda", f"torch is built for CUDA {cuda}")
    elif cuda is not None:
        yield ok("gpu", f"torch is built for CUDA {cuda}, but no GPU is found: scoring runs on the CPU")
    elif shutil.which("nvidia-smi"):
        yield warn("gpu", "there is an NVIDIA driver, but torch is a CPU build", "install a torch built for CUDA")
    else:
        yield ok("gpu", "torch is a CPU build, scoring runs on the CPU")


def _sqlite() -> Iterator[Finding]:
    import sqlite3

    text = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < SQLITE_WITHOUT_RESET_BUG:
        text += " (its log-reset bug is kept away by the write lock; let no other program write to the catalogue)"
    yield ok("sqlite", text)


def _logout() -> Finding:
    from core.lingering import WARNING, Logout, logout

    found = logout()
    if found is Logout.ENDS:
        said, _, remedy = WARNING.partition(": ")
        return warn("logout", said, remedy)
    if found is Logout.SPARES_SCOPES:
        return ok("logout", "runs outlive a logout, in a scope of their own")
    return ok("logout", "runs outlive a logout")


def _clipboard() -> Finding:
    """What can be told from here: whether a terminal takes OSC 52 shows only on its screen."""
    if "TMUX" in os.environ:
        setting = _tmux_clipboard()
        if setting == "off":
            return warn("clipboard", "tmux keeps copies to itself", "tmux set-option -g set-clipboard on")
        if setting:
            return ok("clipboard", f"copies go through tmux (set-clipboard {setting})")
        return warn("clipboard", "tmux does not answer, copies may be lost", "find them in the file that y names")
    if os.environ.get("STY"):
        return warn("clipboard", "GNU screen drops copies", "use tmux, or find them in the file that y names")
    if os.environ.get("TERM", "dumb") in ("dumb", "linux"):
        return ok("clipboard", "this terminal has no clipboard; what is copied is in the file that y names")
    return ok("clipboard", "copies are sent by OSC 52; a terminal that takes none leaves them in the file that y names")


def _tmux_clipboard() -> str:
    command = ["tmux", "show-options", "-gv", "set-clipboard"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TMUX_SECONDS).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _version(library: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
