"""A model that computes other numbers than at its first use is refused, until the user says that these are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.domain import RunState, ScoreSpec
from core.errors import RunError
from core.jobs.claim import claim_run
from core.run_work.probe import TOLERANCES, check_probe
from core.run_work.work import Worker
from core.scoring.fake import FakeEngine, Faults
from core.store.db import Writer
from sap_tui.cli import main
from tests.jobs.helpers import assert_sound, queue_run, run_now


def score_with(catalogue: Path, model: Path, **faults: float) -> int:
    run = queue_run(catalogue, model)
    engine = FakeEngine(Faults(**faults))  # type: ignore[arg-type]
    with Writer(catalogue) as writer:
        writer.connection.execute("DELETE FROM token_scores")
        writer.connection.execute("DELETE FROM scores")
        claim = claim_run(writer, run)
        assert claim is not None
        Worker(writer, claim, lambda *_: engine, lambda: False).work()
    assert_sound(catalogue)
    return run


def test_other_numbers_are_refused_until_the_first_are_forgotten(
    catalogue: Path, stand_in_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score_with(catalogue, stand_in_model)
    score_with(catalogue, stand_in_model, probe_shift=1e-6)
    with pytest.raises(RunError, match=r"first used here: 0\.2 nats") as caught:
        score_with(catalogue, stand_in_model, probe_shift=0.2)
    assert "doctor --forget-probes" in caught.value.hint
    assert main(["--catalogue", str(catalogue), "doctor", "--forget-probes"]) == 0
    assert "1 model" in capsys.readouterr().out
    assert run_now(catalogue, score_with(catalogue, stand_in_model, probe_shift=0.2)).state is RunState.DONE


@pytest.mark.parametrize(
    ("dtype", "quantization", "allowed"),
    [("float32", "none", 1e-4), ("bfloat16", "none", 3e-2), ("float32", "nf4", 3e-2), ("float16", "none", 5e-3)],
)
def test_how_much_may_differ_depends_on_the_precision(
    catalogue: Path, stand_in_model: Path, dtype: str, quantization: str, allowed: float
) -> None:
    spec = ScoreSpec("weights", quantization, dtype)
    row = run_now(catalogue, queue_run(catalogue, stand_in_model)).spec
    assert row is not None
    with Writer(catalogue) as writer, writer.transaction() as connection:
        check_probe(connection, row, spec, FakeEngine(Faults()))
        check_probe(connection, row, spec, FakeEngine(Faults(probe_shift=0.9 * allowed)))
        for shift in (1.1 * allowed, float("nan")):
            with pytest.raises(RunError):
                check_probe(connection, row, spec, FakeEngine(Faults(probe_shift=shift)))


def test_every_precision_has_its_tolerance() -> None:
    assert set(TOLERANCES) == {"float32", "bfloat16", "float16"}
