"""Share of a run's wall time that is not spent in the model, from the model loaded to the last commit.

A run of the program as its worker does it, in this process, on the bundled sample and model and a catalogue in a
temporary folder. `python -m benchmarks.overhead QUESTIONS ROUNDS` prints what was measured as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.domain import Run
from core.jobs.claim import claim_run
from core.models import weights_digest
from core.run_work.loading import load
from core.run_work.work import Worker
from core.scoring.hf.engine import HuggingFaceEngine
from core.scoring.protocol import Engine
from core.store.db import Writer, open_reader, prepare
from core.store.importing import import_file
from core.store.predictions import import_predictions
from core.store.runs import run_by_id
from core.submission.options import ScoreOptions
from core.submission.submit import prepare_submission, queue

SAMPLE = Path(__file__).resolve().parents[1] / "sample_data"
MODEL = SAMPLE / "tiny-model"
EDITS: dict[str, Callable[[str], str]] = {
    "announced": lambda text: f"Here is how I get there.\n{text}",
    "in_capitals": str.upper,
}


class ModelClock:
    """Adds up the time inside the model: its forward passes, and the head with its log-softmax."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._entered = 0.0
        self._replaced: list[tuple[Any, Callable[..., Any]]] = []

    def enter(self, *_: object) -> None:
        if self._depth == 0:
            self._entered = time.perf_counter()
        self._depth += 1

    def leave(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._entered

    def watch(self, model: Any) -> None:
        for module in {model, model.get_decoder()}:
            module.register_forward_pre_hook(self.enter)
            module.register_forward_hook(self.leave)
        for name, module in list(sys.modules.items()):
            if name.startswith("core.scoring.hf.") and hasattr(module, "score_rows"):
                self._replaced.append((module, module.score_rows))
                module.score_rows = self._timed(module.score_rows)  # type: ignore[attr-defined]

    def release(self) -> None:
        """Give the modules their own head back."""
        for module, function in self._replaced:
            module.score_rows = function

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            self.enter()
            try:
                return function(*arguments, **options)
            finally:
                self.leave()

        return timed


class WatchedRun:
    """One run of all strategies on `questions` questions."""

    def __init__(self, folder: Path, questions: int) -> None:
        self._catalogue = folder / "catalogue.db"
        self._questions = questions
        self._clock = ModelClock()
        self._loaded_at = 0.0
        self._tier = ""

    def measure(self) -> dict[str, Any]:
        with Writer(self._catalogue) as writer:
            run = self._queue(writer)
            claim = claim_run(writer, run)
            assert claim
            Worker(writer, claim, self._load, lambda: False).work()
            wall = time.perf_counter() - self._loaded_at
            self._clock.release()
            done = run_by_id(writer.connection, run)
        return {"wall_seconds": wall, "model_seconds": self._clock.seconds, "tier": self._tier, "scores": done.done,
            "errors": done.errors}  # fmt: skip

    def _queue(self, writer: Writer) -> int:
        options = ScoreOptions("arithmetic", str(MODEL), samples=self._questions, device="cpu")
        return queue(writer, prepare_submission(open_reader(self._catalogue), options))

    def _load(self, run: Run, on_phase: Callable[[str], None]) -> Engine:
        engine = load(run, on_phase)
        self._tier = engine.tier
        assert isinstance(engine, HuggingFaceEngine)
        self._clock.watch(engine._model)
        self._loaded_at = time.perf_counter()
        return engine


def fill_catalogue(folder: Path) -> None:
    """Import the sample's strategies, simply edited ones, and predictions of the model."""
    prepare(folder / "catalogue.db")
    files = sorted((SAMPLE / "arithmetic").glob("*.jsonl"))
    base = next(file for file in files if file.stem == "step_by_step")
    edited = [_edited(base, folder / f"{name}.jsonl", edit) for name, edit in EDITS.items()]
    with Writer(folder / "catalogue.db") as writer:
        for file in [*files, *edited]:
            import_file(writer, file, task="arithmetic", strategy=file.stem)
        import_predictions(writer, base, task="arithmetic", weights_digest=weights_digest(MODEL))


def _edited(source: Path, target: Path, edit: Callable[[str], str]) -> Path:
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    lines = [json.dumps(row | {"response": edit(row["response"])}) + "\n" for row in rows]
    target.write_text("".join(lines), encoding="utf-8")
    return target


def measure_run(questions: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        fill_catalogue(Path(folder))
        return WatchedRun(Path(folder), questions).measure()


def main(questions: int, rounds: int) -> None:
    found = [measure_run(questions) for _ in range(rounds)]
    print(json.dumps({"questions": questions, "strategies": 6 + len(EDITS), "rounds": found}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
