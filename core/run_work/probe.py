"""Whether a model still computes what it did when it was first used: damage that no file's size shows is found here."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from core.domain import ScoreSpec
from core.errors import RunError
from core.scoring.protocol import Engine
from core.store.probes import store_probe, stored_probe

# Mean difference in nats a token that other threads, cards or kernels may make.
TOLERANCES = {"float32": 1e-4, "float16": 5e-3, "bfloat16": 3e-2}
HINT = (
    "A weight file, the memory or the device may be damaged: compare the files with their source."
    " If the numbers of today are the right ones: sap-tui doctor --forget-probes"
)


def check_probe(connection: sqlite3.Connection, row: int, spec: ScoreSpec, engine: Engine) -> None:
    """Compare the loaded model's probe with the stored one, or store it as the first. Raises RunError."""
    kinds = sorted({device.partition(":")[0] for device in engine.device.split(", ")})
    name = "; ".join([*kinds, *(f"{library} {version}" for library, version in engine.versions.items())])
    before, now = stored_probe(connection, row, name), engine.probe
    if before is None:
        store_probe(connection, row, name, now)
        return
    allowed = TOLERANCES[spec.dtype] if spec.quantization == "none" else max(TOLERANCES.values())
    difference = _mean_difference(before, now)
    if not difference <= allowed:
        raise RunError(
            f"The model computes other numbers than when it was first used here: {difference:.2g} nats a token on the"
            f" text of the self-test, where {allowed:.0e} may be.",
            HINT,
        )


def _mean_difference(one: Sequence[float], other: Sequence[float]) -> float:
    if len(one) != len(other):
        return float("inf")
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / max(1, len(one))
