"""The benchmark's own arithmetic, its gate and rounds, and that its page says what its data say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import peers, report
from benchmarks.cases import Case, CaseSpec, Group, read_case, write_case
from benchmarks.checks import BOUND_BROKEN, Check, checks
from benchmarks.contestants import ALL, Contestant
from benchmarks.cost import ModelShape, operations
from benchmarks.driver import MISSES_GATE, Entry, Race, Target
from benchmarks.gate import gate_for
from benchmarks.record import entry_row, read_records, short_rows
from tests.conftest import ROOT, TINY_MODEL

SHAPE = ModelShape(decoder=1000, head=70, attention=3)
SPEC = CaseSpec("small", "in-context", 2, 5, 3)
SMALL = Case([Group([1, 2, 3, 4, 5], [[6, 7, 8], [9, 10]], "", ["", ""])])


def test_the_page_is_made_from_its_data() -> None:
    records = read_records(ROOT / "docs" / "benchmarks.json")
    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == report.page(records)


def test_measurements_on_the_page_are_complete() -> None:
    record = read_records(ROOT / "docs" / "benchmarks.json")["cpu"]
    first = [row for row in record["rows"] if row["measurement"] == record["measurements"][0]]
    assert {row["contestant"] for row in first} == {one.name for one in ALL if not one.needs_cuda}
    timed = [row for row in record["rows"] if row["cpu_seconds"]]
    assert timed
    assert all(len(row["cpu_seconds"]) == len(row["wall_seconds"]) == record["rounds"] >= 3 for row in timed)


def counted(tokens_seen: list[int], logit_rows: int) -> int:
    """Operations counted token by token: each sees itself and so many before it."""
    return sum(2 * 1000 + 3 * (before + 1) for before in tokens_seen) + 2 * 70 * logit_rows


def test_operations_equal_those_counted_token_by_token() -> None:
    whole, response = [*range(8), *range(7)], [*range(7), *range(6)]
    assert operations(SHAPE, SMALL, "all anew") == counted(whole, logit_rows=15)
    assert operations(SHAPE, SMALL, "response logits") == counted(response, logit_rows=5)
    assert operations(SHAPE, SMALL, "context once") == counted([*range(5), 5, 6, 5], logit_rows=5)


def test_a_kept_context_costs_nothing() -> None:
    (group,) = SMALL.groups
    kept = Case([Group(group.context, group.responses, "", ["", ""], keep=True)])
    assert operations(SHAPE, kept, "context once") == counted([5, 6, 5], logit_rows=5)


def test_the_shape_counts_the_parameters_of_a_real_model() -> None:
    from safetensors import safe_open

    config = json.loads((TINY_MODEL / "config.json").read_text())
    with safe_open(TINY_MODEL / "model.safetensors", framework="numpy") as file:
        sizes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    layers = sum(size[0] * size[1] for name, size in sizes.items() if len(size) == 2 and ".layers." in name)
    shape = ModelShape.from_config(config)
    assert shape.decoder == layers
    assert shape.head == config["vocab_size"] * config["hidden_size"]


@pytest.fixture
def race_of(tmp_path: Path) -> Any:
    """Runs a race of entries on the small case; gives what was said of the rounds."""
    write_case(tmp_path / "small.json", SMALL)

    def run(entries: list[Entry], rounds: int = 3) -> list[str]:
        said: list[str] = []
        target = Target("no model", "cpu", "float32", "none")
        Race(entries, target, gate_for("float32", "none"), tmp_path).run(rounds, said.append)
        return [line.split(": ")[1] for line in said if "round" in line]

    return run


@pytest.fixture(autouse=True)
def constant_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.driver.REFERENCE", entry_of("reference").contestant)


def entry_of(name: str, code: str = "Constant", **options: Any) -> Entry:
    return Entry(Contestant(name, f"tests.unit.benchmark_contestants:{code}", options), SPEC)


def test_rounds_go_through_the_contestants_in_turns(race_of: Any) -> None:
    rounds = race_of([entry_of("A"), entry_of("B"), entry_of("C")])
    assert [line.split(", ")[0] for line in rounds] == list("ABCCBAABC")


def test_a_contestant_that_misses_the_gate_prints_no_time(race_of: Any, tmp_path: Path) -> None:
    within, beyond = entry_of("within", off=1e-5), entry_of("beyond", off=3e-5)
    race_of([beyond, within], rounds=1)
    assert len(within.cpu_seconds) == len(within.wall_seconds) == 1
    assert within.note == ""
    rows = [entry_row(entry, tmp_path, SHAPE) for entry in (within, beyond)]
    short = {row["contestant"]: row for row in short_rows(rows)}
    assert beyond.note == MISSES_GATE
    assert short["beyond"]["cpu_seconds"] is None
    assert short["beyond"]["max_abs_difference"] == pytest.approx(3e-5)
    assert short["within"]["cpu_seconds"] == within.cpu_seconds[0]
    assert short["within"]["peak_mb"] > 1
    assert (short["within"]["prompt_tokens"], short["within"]["response_tokens"]) == (5, 2)


def test_not_a_number_misses_the_gate(race_of: Any) -> None:
    entry = entry_of("nan", off=float("nan"))
    race_of([entry], rounds=1)
    assert entry.note == MISSES_GATE


def test_whoever_fails_says_why_and_the_others_go_on(race_of: Any) -> None:
    missing = entry_of("missing")
    missing.note = "could not be installed"
    unloadable, failing, sound = (
        entry_of("unloadable", "Unloadable"),
        entry_of("failing", fails_in_round=3),
        entry_of("A"),
    )
    race_of([missing, unloadable, failing, sound])
    assert missing.note == "could not be installed"
    assert unloadable.note == "ImportError: nothing to load"
    assert failing.note == "RuntimeError: no more"
    assert len(sound.cpu_seconds) == 3
    assert not missing.cpu_seconds
    assert not failing.cpu_seconds


def test_a_peer_that_cannot_be_installed_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "ENVIRONMENT", tmp_path)
    (tmp_path / "requirements.txt").write_text("./no-such-peer.whl")
    monkeypatch.setattr(peers, "REQUIREMENTS", tmp_path / "requirements.txt")
    found = peers.Peers()
    found.python = Path(sys.executable)
    found.install()
    assert "could not be installed" in found.why_missing("./no-such-peer.whl")
    assert found.why_missing("another") == ""


@pytest.mark.parametrize(
    ("measured", "is_floor", "verdict"),
    [(3.4, True, "reached"), (3.2, True, "missed"), (4.3, True, "reached"), (4.5, True, BOUND_BROKEN),
     (None, True, "not measured"), (3.2, False, "reached"), (3.3, False, "missed")],
)  # fmt: skip
def test_verdicts(measured: float | None, is_floor: bool, verdict: str) -> None:
    assert Check("speed", 3.3, is_floor, "{}", measured, 4.0).verdict == verdict


def row(contestant: str, case: str, seconds: list[float], operations: int) -> dict[str, Any]:
    return {"contestant": contestant, "case": case, "cpu_seconds": seconds, "wall_seconds": seconds,
        "operations": operations, "peak_bytes": 210, "load_peak_bytes": 200}  # fmt: skip


def test_ratios_are_those_of_medians_and_of_the_best_batch() -> None:
    rows = [
        row("paper loop", "in-context 6", [9.0, 8.0, 100.0], 500),
        row("lm-eval batch 1", "in-context 6", [8.0, 8.0, 8.0], 500),
        row("lm-eval batch S", "in-context 6", [6.0, 7.0, 5.0], 500),
        row("sap-tui packed", "in-context 6", [2.0, 1.0, 3.0], 100),
    ]
    record = {"device": "cpu", "rows": rows, "overhead": {"rounds": [{"wall_seconds": 4.0, "model_seconds": 3.0}]}}
    paper, lm_eval, twenty, growth, memory, job, outside = checks(record)
    assert (paper.measured, paper.bound) == (4.5, 5.0)
    assert lm_eval.measured == 3.0
    assert memory.measured == pytest.approx(1.05)
    assert outside.measured == 0.25
    assert [one.verdict for one in (twenty, growth, job)] == ["not measured"] * 3


def test_without_a_gpu_its_section_says_so_and_nothing_else() -> None:
    section = report.page({}).split("## GPU")[1].split("##")[0]
    assert section.strip() == "not measured on a GPU"


def test_cases_have_their_sizes_and_tokenize_alike_together(tmp_path: Path) -> None:
    from benchmarks.make_cases import CaseMaker

    maker = CaseMaker(TINY_MODEL)
    specs = [CaseSpec(kind, kind, 6, 200, 40) for kind in ("in-context", "whole job", "paper's job")]
    for spec in specs:
        write_case(tmp_path / f"{spec.name}.json", maker.make(spec))
    in_context, whole, paper = (read_case(tmp_path / f"{spec.name}.json") for spec in specs)
    (group,) = in_context.groups
    assert 190 <= len(group.context) <= 200
    lengths = [len(response) for response in group.responses]
    assert sum(lengths) == pytest.approx(6 * 40, rel=0.05)
    assert len(set(lengths)) == len({tuple(response) for response in group.responses}) == 6
    assert [(one.detail, one.keep) for one in whole.groups] == [(True, False), (False, False), (False, True)]
    assert [bool(one.context) for one in paper.groups] == [True, True, False, False]
    assert paper.scored_tokens() == 4 * sum(lengths) - 2 * 6


@pytest.mark.slow
def test_loops_and_engine_agree_in_a_run_of_the_benchmark(tmp_path: Path) -> None:
    """Everything for real but the peers: cases, reference, processes, gate, JSON."""
    command = [sys.executable, "-m", "benchmarks.scoring", "--quick", "--rounds", "1", "--scale", "0.1",
        "--model", str(TINY_MODEL), "--contestant", "paper loop", "--contestant", "sap-tui packed",
        "--json", str(tmp_path / "out.json")]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert [row["contestant"] for row in rows] == ["paper loop", "sap-tui packed"]
    for found in rows:
        assert found["cpu_seconds"] > 0
        assert found["wall_seconds"] > 0
        assert 0 < found["max_abs_difference"] < 1e-4
        assert found["strategies"] == 6


@pytest.mark.slow
def test_time_outside_the_model_is_measured_in_a_real_run() -> None:
    command = [sys.executable, "-m", "benchmarks.overhead", "3", "1"]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    (run,) = found["rounds"]
    assert 0 < run["model_seconds"] < run["wall_seconds"]
    assert run["scores"] == found["questions"] * found["strategies"] * 2 == 3 * 8 * 2
    assert run["errors"] == 0


def test_the_clock_counts_nested_calls_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.overhead import ModelClock

    times = iter([10.0, 13.0, 20.0, 21.0])
    monkeypatch.setattr("benchmarks.overhead.time.perf_counter", lambda: next(times))
    clock = ModelClock()
    for step in (clock.enter, clock.enter, clock.leave, clock.leave, clock.enter, clock.leave):
        step()
    assert clock.seconds == 4.0
