"""A chat template of unknown origin is rendered here first: in a process that may use little of anything.

The process, started as `python -m core.scoring.template_trial`, imports jinja2 alone, has an empty environment and
gets the template through its standard input.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import InputError, NotFoundError, RunError
from core.text import visible

CPU_SECONDS = 5
WALL_SECONDS = 9.0
MEMORY_BYTES = 2 << 30
"""Above what the process has when it begins with the template."""
LARGEST_TEMPLATE = 4 << 20

_TEXTS = ("How many are 14 and 28?", "They are 42.\n" * 40, "And <b>twice</b> that? \u00e9\u4e2d\U0001f600 {{ 7 * 7 }}")
_PROBES = (
    (("user", _TEXTS[0]),),
    (("system", _TEXTS[2]), ("user", _TEXTS[0])),
    (("user", _TEXTS[0]), ("assistant", _TEXTS[1]), ("user", _TEXTS[2])),
)
_COMMAND = [sys.executable, "-m", "core.scoring.template_trial"]
_TOO_SLOW = f"it computes for more than {CPU_SECONDS} seconds"
_TOO_LARGE = f"it takes more than {MEMORY_BYTES >> 30} GiB of memory"
GIVE_ONE = "Give another one with --chat-template FILE."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one probe: `error` is empty where it was rendered; `unsafe` says that no other probe matters."""

    error: str = ""
    unsafe: bool = False


def longest_rendering(content: int) -> int:
    """Characters that a conversation with so many characters of content may become."""
    return 4 * (content + (8 << 10))


def try_template(template: str, variables: Mapping[str, object]) -> None:
    """Render three small conversations in a limited process.

    Raises RunError where the template tries what its sandbox forbids, where it takes too long, too much memory or
    writes too much, and where it refuses all of them. `variables` are the special tokens and the template's options.
    """
    why = _refusal(template, json.dumps(dict(variables), sort_keys=True, default=str))
    if why:
        raise RunError(f"The model's chat template cannot be used: {why}.", GIVE_ONE)


def read_chat_template(path: Path) -> str:
    """The text of a template file. Raises NotFoundError or InputError."""
    if not path.is_file():
        raise NotFoundError(f"Chat template not found: {path}")
    if path.stat().st_size > LARGEST_TEMPLATE:
        raise InputError(f"{path} is too large for a chat template: {path.stat().st_size:,} bytes.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text.", "Save the template as UTF-8.") from error
    if not text.strip():
        raise InputError(f"{path} is empty.", "A chat template is Jinja that goes through messages.")
    return text


@lru_cache(maxsize=16)
def _refusal(template: str, variables: str) -> str:
    """Why the template is refused; empty where it is not."""
    if len(template) > LARGEST_TEMPLATE:
        return f"it has {len(template):,} characters"
    outcomes = _in_limited_process(json.dumps({"template": template, "variables": json.loads(variables)}))
    unsafe = next((outcome for outcome in outcomes if outcome.unsafe), None)
    if unsafe:
        return unsafe.error
    return outcomes[0].error if all(outcome.error for outcome in outcomes) else ""


def _in_limited_process(request: str) -> list[Outcome]:
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    try:
        done = subprocess.run(
            _COMMAND,
            input=request.encode("ascii"),
            capture_output=True,
            cwd="/",
            env={**environment, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            timeout=WALL_SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [Outcome(f"it was not rendered within {WALL_SECONDS:g} seconds", unsafe=True)]
    if done.returncode == 0:
        return [Outcome(**each) for each in json.loads(done.stdout)]
    if done.returncode == -signal.SIGXCPU:
        return [Outcome(_TOO_SLOW, unsafe=True)]
    if b"MemoryError" in done.stderr:
        return [Outcome(_TOO_LARGE, unsafe=True)]
    return [Outcome(f"the process that tries it ends with code {done.returncode}", unsafe=True)]


def main() -> int:
    """Render the probes of the request in standard input, under limits that begin after the imports."""
    request = json.loads(sys.stdin.buffer.read())
    _limit()
    outcomes = []
    for probe in _PROBES:
        outcome = _rendered(request["template"], probe, request["variables"])
        outcomes.append({"error": outcome.error, "unsafe": outcome.unsafe})
        if outcome.unsafe:
            break
    sys.stdout.write(json.dumps(outcomes))
    return 0


def _limit() -> None:
    import jinja2.ext
    import jinja2.sandbox  # noqa: F401

    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    memory = pages * resource.getpagesize() + MEMORY_BYTES
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = CPU_SECONDS + int(used.ru_utime + used.ru_stime)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # At the first limit the kernel sends SIGXCPU, at the second SIGKILL.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        resource.setrlimit(kind, (0, 0))


def _rendered(template: str, probe: tuple[tuple[str, str], ...], variables: dict[str, Any]) -> Outcome:
    import jinja2

    messages = [{"role": role, "content": text} for role, text in probe]
    content = sum(len(text) for _, text in probe) + sum(len(str(value)) for value in variables.values())
    try:
        values = {"tools": None, "documents": None, "add_generation_prompt": True, **variables}
        rendered = environment().from_string(template).render(messages=messages, **values)
    except (jinja2.exceptions.SecurityError, OverflowError) as error:
        return Outcome(f"it tries what is forbidden ({first_line(error)})", unsafe=True)
    except MemoryError:
        return Outcome(_TOO_LARGE, unsafe=True)
    except RecursionError:
        return Outcome("it calls itself without end", unsafe=True)
    except Exception as error:
        # A template may raise whatever it likes; the first line of it says enough.
        return Outcome(first_line(error))
    if len(rendered) > longest_rendering(content):
        return Outcome(f"it makes {len(rendered):,} characters of {content:,}", unsafe=True)
    return Outcome()


def first_line(error: Exception) -> str:
    """What an exception of a template says, as the end of a sentence."""
    lines = str(error).splitlines()
    return visible(lines[0] if lines else type(error).__name__).rstrip(".")[:200]


def environment() -> Any:
    """The sandbox that transformers renders chat templates in (utils.chat_template_utils), without importing it."""
    import jinja2
    import jinja2.ext
    import jinja2.sandbox

    class Generation(jinja2.ext.Extension):
        """The block that marks what an assistant wrote; its text is rendered as it stands."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.Scope(body, lineno=line)

    def raise_exception(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)

    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = to_json
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    return made


if __name__ == "__main__":
    sys.exit(main())
