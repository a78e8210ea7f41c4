"""The bundled tiny model: killed and resumed it gives the same bits, in smaller passes nearly the same and says so."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

from core.store.db import Writer, open_reader, prepare
from core.store.importing import import_file
from core.store.scores import unpack_arrays
from core.submission.options import ScoreOptions
from core.submission.submit import prepare_submission, queue
from tests.conftest import ROOT, TINY_MODEL, wait_until
from tests.jobs.helpers import all_scores, run_now, start_scorer
from tests.torture.runs import Prepared, Watched, ending_of

KILLS = 6
STRATEGIES = ("chatty", "step_by_step", "terse")
SAMPLES = 60
LARGEST_DIFFERENCE = 1e-5


def test_the_tiny_model_killed(tmp_path: Path, figures: dict[str, object]) -> None:
    """a run of the bundled model, killed and resumed, against one that nobody disturbed"""
    queued = arithmetic(tmp_path)
    queued.expected = undisturbed(queued, tmp_path)
    moments = random.Random(0)
    kills = scores = equal = 0
    for number in count():
        watched = Watched(queued.copy(tmp_path / f"killed-{number}"), queued.run)
        kills += killed_till_done(watched, moments)
        found = all_scores(watched.catalogue, queued.run)
        scores += len(found)
        equal += sum(row == other for row, other in zip(found, queued.expected, strict=True))
        if kills >= KILLS:
            break
    figures.update({"kills": kills, "scores": scores, "scores with equal bits": equal})
    assert equal == scores > 0


def killed_till_done(watched: Watched, moments: random.Random) -> int:
    """Kill scorers soon after they made progress until the run is done; how many it were."""
    kills = 0
    while not watched.is_done:
        before = run_now(watched.catalogue, watched.run).done
        scorer = start_scorer(watched.catalogue, watched.run)
        wait_until(
            lambda: scorer.poll() is not None or run_now(watched.catalogue, watched.run).done > before,  # noqa: B023
            120,
            "progress",
        )
        kills += ending_of(scorer, moments.uniform(0, 0.1)) == -9
        assert watched.look() == []
    return kills


def test_the_tiny_model_in_smaller_passes(tmp_path: Path, figures: dict[str, object]) -> None:
    """the same run with half the token budget after its first chunks, as when memory does not suffice"""
    queued = arithmetic(tmp_path)
    queued.expected = undisturbed(queued, tmp_path)
    catalogue = queued.copy(tmp_path / "halved")
    scorer = start_scorer(catalogue, queued.run)
    wait_until(lambda: run_now(catalogue, queued.run).done > 0, 120, "the first chunk")
    scorer.kill()
    scorer.wait()
    before = run_now(catalogue, queued.run)
    with Writer(catalogue) as writer, writer.transaction() as connection:
        connection.execute("UPDATE runs SET token_budget = token_budget / 2 WHERE id = ?", (queued.run,))
    assert start_scorer(catalogue, queued.run).wait(300) == 0
    assert Watched(catalogue, queued.run).look() == []
    marks = smaller_passes(catalogue, queued.run)
    differences = {
        row[0]: largest_difference(row[-1], other[-1])
        for row, other in zip(all_scores(catalogue, queued.run), queued.expected, strict=True)
    }
    differing = {number for number, difference in differences.items() if difference > 0}
    largest = max(differences.values())
    figures.update(
        {"scores": len(differences), "before the halving": before.done, "marked": len(marks),
         "with other bits": len(differing), "with other bits and no mark": len(differing - marks),
         "largest relative difference": float(f"{largest:.1e}")}
    )  # fmt: skip
    assert len(marks) > 0
    assert differing <= marks
    assert largest <= LARGEST_DIFFERENCE


def arithmetic(folder: Path) -> Prepared:
    """A queued run of the bundled sample under the bundled model."""
    path = folder / "prepared.db"
    prepare(path)
    with Writer(path) as writer:
        for name in STRATEGIES:
            import_file(writer, ROOT / f"sample_data/arithmetic/{name}.jsonl", task="arithmetic", strategy=name)
    options = ScoreOptions(
        task="arithmetic", model=str(TINY_MODEL), samples=SAMPLES, device="cpu", answer_filter=False
    )  # fmt: skip
    with closing(open_reader(path)) as reader:
        submission = prepare_submission(reader, options)
    with Writer(path) as writer:
        return Prepared(path, queue(writer, submission))


def undisturbed(queued: Prepared, folder: Path) -> list[tuple[object, ...]]:
    copy = queued.copy(folder / "undisturbed")
    assert start_scorer(copy, queued.run).wait(300) == 0
    return all_scores(copy, queued.run)


def smaller_passes(catalogue: Path, run: int) -> set[int]:
    """The samples whose scores say that they come from a smaller forward pass than planned."""
    with closing(sqlite3.connect(catalogue)) as reader:
        rows = reader.execute(
            "SELECT number FROM run_items JOIN runs ON runs.id = run JOIN scores ON scores.spec = runs.spec"
            " AND scores.context = run_items.context AND scores.response = run_items.response"
            " WHERE run = ? AND instr(scores.engine, 'smaller pass')",
            (run,),
        ).fetchall()
    return {row[0] for row in rows}


def largest_difference(packed: object, other: object) -> float:
    """Largest relative difference of mean surprisals; 0 for equal bytes."""
    if packed == other:
        return 0.0
    assert isinstance(packed, bytes)
    assert isinstance(other, bytes)
    mean, other_mean = (unpack_arrays(each).log_probability.astype("f8").mean() for each in (packed, other))
    return max(abs(mean - other_mean) / abs(other_mean), 1e-300)
