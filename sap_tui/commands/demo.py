"""sap-tui demo: the main job on the bundled sample, in a catalogue of its own that is made anew each time.

It ends with what fine-tuning on each metric's pick really gave.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from core.errors import SapError, UsageError

TASK = "arithmetic"
SAMPLES = 50


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser(
        "demo",
        help="the main job on the bundled sample",
        description="Import the bundled sample, score it with the bundled tiny model, show the ranking, and say what "
        "fine-tuning on each metric's pick gave.",
    )
    parser.add_argument("--plain", action="store_true", help="print the ranking instead of opening the app")
    parser.set_defaults(run=demo)


def demo(arguments: argparse.Namespace) -> int:
    catalogue = _fresh_catalogue(arguments.catalogue_option)
    sample = sample_data()
    _import_sample(catalogue, sample)
    run = _queue(catalogue, sample)
    from sap_tui.commands.progress import wait_for

    _say(f"Scoring {SAMPLES} questions of every strategy with {sample / 'tiny-model'}")
    if wait_for(catalogue, run) != "done":
        from core.store.db import open_reader
        from core.store.runs import run_by_id

        raise SapError(f"The demo's run failed: {run_by_id(open_reader(catalogue), run).why}", "See: sap-tui doctor")
    if arguments.plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _print_ranking(catalogue)
    _say(outcome_table(catalogue))
    from sap_tui.app import open_app

    return open_app(catalogue, screen="ranking", run=run)


def sample_data() -> Path:
    """The bundled sample: inside the installed package, or beside it in a clone."""
    import sap_tui

    package = Path(sap_tui.__file__).parent
    for folder in (package / "sample_data", package.parent / "sample_data"):
        if (folder / "tiny-model").is_dir():
            return folder
    raise SapError("The bundled sample is missing from this installation.", "Install sap-tui again.")


def _fresh_catalogue(option: str | None) -> Path:
    """A new file; the demo's earlier ones go, unless a runner still works on them."""
    if option:
        path = Path(option).expanduser().absolute()
        if path.exists():
            raise UsageError(f"{path} exists already.", "The demo makes a catalogue of its own; name a new file.")
        return path
    import shutil
    import tempfile

    import platformdirs

    from core.processes.launcher import runner_lives
    from core.settings import APP
    from core.text import visible

    folder = platformdirs.user_cache_path(APP) / "demo"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in folder.iterdir():
            if old.is_dir() and not runner_lives(old / "catalogue.db"):
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=folder)) / "catalogue.db"
    except OSError as error:
        raise SapError(
            f"The demo's catalogue cannot be made in {visible(str(folder))}: {error.strerror}.",
            "Name a new file for it: sap-tui --catalogue FILE demo",
        ) from error


def _import_sample(catalogue: Path, sample: Path) -> None:
    from core.store.db import Writer, prepare
    from core.store.importing import import_file
    from core.store.outcomes import import_outcomes

    prepare(catalogue)
    _say(f"Importing {sample / TASK}")
    with Writer(catalogue) as writer:
        for file in sorted((sample / TASK).glob("*.jsonl")):
            import_file(writer, file, task=TASK, strategy=file.stem, teacher="sample generator")
        import_outcomes(writer, sample / "outcomes.csv", task=TASK)


def _queue(catalogue: Path, sample: Path) -> int:
    from core.processes.launcher import ensure_runner
    from core.store.db import Writer, open_reader
    from core.submission.options import ScoreOptions
    from core.submission.submit import prepare_submission, queue

    options = ScoreOptions(task=TASK, model=str(sample / "tiny-model"), samples=SAMPLES, device="cpu")
    submission = prepare_submission(open_reader(catalogue), options)
    with Writer(catalogue) as writer:
        run = queue(writer, submission)
    ensure_runner(catalogue)
    return run


def _print_ranking(catalogue: Path) -> int:
    from core.rank import ranking_report
    from core.store.db import open_reader
    from sap_tui.commands.ranking_table import ranking_table

    sys.stdout.write(ranking_table(ranking_report(open_reader(catalogue))))
    print(f"\n{outcome_table(catalogue)}", flush=True)
    program = sys.argv[0] if sys.argv[0].endswith("sap-tui") else "sap-tui"
    _say(f"Open it in the app: {program} --catalogue {shlex.quote(str(catalogue))}")
    return 0


def outcome_table(catalogue: Path) -> str:
    """What fine-tuning on each metric's pick gave, in percent, the best first."""
    from core.judge import catalogue_pairs
    from core.judging.judgement import judge, picks
    from core.store.db import open_reader
    from sap_tui.commands.judgement_table import BEST_ONE, picks_table

    pairs, directions = catalogue_pairs(open_reader(catalogue), TASK)
    (pair,) = pairs.pairs
    judgement = judge(pairs, directions)
    picked = {metric: picks(pair, metric, directions[metric]) for metric in pair.scores}
    picked[BEST_ONE] = (pair.strategies[int(pair.outcomes.argmax())],)
    title = "What fine-tuning on each metric's pick gave (accuracy in %):"
    return "\n".join([title, *picks_table(judgement, picked)])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
