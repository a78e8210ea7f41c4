"""sap-tui free, paths and doctor: the memory in use, where things lie, and whether machine and catalogue are sound."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from core.jobs.scorers import ScorerRow

LIBRARIES = ("torch", "transformers", "bitsandbytes", "accelerate", "peft", "textual", "sqlite-utils", "numpy")
LEAST_FREE_BYTES = 1 << 30
FREE_DEADLINE_SECONDS = 20.0


def add_parsers(verbs: Any) -> None:
    text = "free the memory of models that stay loaded after their runs"
    parser = verbs.add_parser("free", help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=free)
    parser = verbs.add_parser("paths", help="where catalogue, settings and logs lie", description="Paths in use.")
    parser.set_defaults(run=paths)
    parser = verbs.add_parser(
        "doctor", help="check this machine and the catalogue", description="Check this machine and the catalogue."
    )
    parser.set_defaults(run=doctor)


def free(arguments: argparse.Namespace) -> int:
    """Prints one line a model, once its process is gone; models at work are left alone."""
    from core.jobs.scorers import sweep, wish_end
    from core.store.db import Writer, prepare
    from core.text import visible

    prepare(arguments.catalogue)
    with Writer(arguments.catalogue) as writer:
        with writer.transaction() as connection:
            asked = wish_end(connection)
        for scorer in asked:
            _await_end(scorer)
            print(f"{visible(scorer.model)} is no longer loaded on {visible(scorer.device)}.")
        sweep(writer)
        if not asked:
            print(_nothing_to_free(writer.connection), file=sys.stderr)
    return 0


def _await_end(scorer: ScorerRow) -> None:
    import time

    from core.errors import RunError
    from core.jobs.identity import is_alive

    deadline = time.monotonic() + FREE_DEADLINE_SECONDS
    while is_alive(scorer.identity):
        if time.monotonic() > deadline:
            pid = scorer.identity.pid
            raise RunError(f"{scorer.model} is still loaded: process {pid} does not end.", f"End it: kill -9 {pid}")
        time.sleep(0.05)


def _nothing_to_free(reader: sqlite3.Connection) -> str:
    from core.jobs.scorers import living_scorers
    from core.text import visible

    names = ", ".join(visible(scorer.model) for scorer in living_scorers(reader))
    if names:
        return f"No model is loaded without a run. At work: {names} (pause or cancel its run)."
    return "No model is loaded."


def paths(arguments: argparse.Namespace) -> int:
    from core.settings import config_path, models_folder, state_folder

    print(f"catalogue  {arguments.catalogue}")
    print(f"logs       {state_folder(arguments.catalogue) / 'logs'}")
    print(f"settings   {config_path()}")
    print(f"models     {models_folder()}")
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Prints one line a finding; exit code 1 when something must be mended."""
    sound = True
    for fine, line in (*_machine(), *_catalogue(arguments.catalogue)):
        sound = sound and fine
        print(f"{'ok  ' if fine else 'BAD '} {line}")
    if not sound:
        print("Something must be mended, see the lines marked BAD.", file=sys.stderr)
    return 0 if sound else 1


def _machine() -> Iterator[tuple[bool, str]]:
    import platform
    import sqlite3
    from importlib.metadata import PackageNotFoundError, version

    from core.gpu import gpus, torch_cuda_version

    yield True, f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    for library in LIBRARIES:
        try:
            yield True, f"{library} {version(library)}"
        except PackageNotFoundError:
            yield False, f"{library} is not installed: pip install {library}"
    found = gpus()
    for gpu in found:
        yield True, f"{gpu.device} {gpu.name}, {gpu.free / 2**30:.1f} of {gpu.total / 2**30:.1f} GiB free"
    if not found:
        cuda = torch_cuda_version()
        yield True, "no GPU found, scoring runs on the CPU" if cuda else "torch is a CPU build, scoring runs on the CPU"


def _catalogue(catalogue: Path) -> Iterator[tuple[bool, str]]:
    import shutil

    from core.errors import SapError
    from core.jobs.launcher import runner_lives
    from core.store.check import problems
    from core.store.db import open_reader, schema_version

    if not catalogue.exists():
        yield True, f"no catalogue yet at {catalogue}"
        return
    free = shutil.disk_usage(catalogue.parent).free
    yield free > LEAST_FREE_BYTES, f"{free / 2**30:.1f} GiB free beside {catalogue}"
    try:
        found = problems(open_reader(catalogue))
        yield not found, f"catalogue {catalogue}, schema {schema_version(catalogue)}"
    except SapError as error:
        found = [str(error)]
    for problem in found:
        yield False, problem
    yield True, "a runner supervises the queue" if runner_lives(catalogue) else "no runner is needed at the moment"
