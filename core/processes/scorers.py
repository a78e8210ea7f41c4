"""The scorers that live, as rows: which device each holds, and which of them only keep their model loaded.

A scorer never removes its own row: its memory is free when its process is gone, and until then the device is held.
Rows of dead processes mean nothing and are swept when the next row comes, or by a runner.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, replace

from core import clock
from core.domain import Identity, RunRequest, ScoreSpec
from core.processes.identity import end_group_of, is_alive, own_identity
from core.store.db import Writer
from core.store.runs import known_spec

Place = tuple[str, tuple[str, ...]]
"""A device, and the UUIDs of the GPUs that it is where they are known: numbers depend on who counts."""

_IS_ROW = "host = ? AND boot = ? AND pid = ? AND pid_start = ?"


@dataclass(frozen=True, slots=True)
class ScorerRow:
    """A scorer with its `sharing_key`; `idle_since` and `free_at`, as `clock.since_boot`, are None while it works."""

    identity: Identity
    device: str
    model: str
    key: str
    idle_since: float | None
    free_at: float | None

    @property
    def place(self) -> Place:
        return self.device, _gpus_of(self.key)


def sharing_key(spec: int, request: RunRequest) -> str:
    """Runs with equal keys can share one loaded model. The spec, a row's number, holds the digest of the weights: a
    folder whose files were replaced is another model."""
    return json.dumps([spec, *request.engine_key])


def place_of(request: RunRequest) -> Place:
    return request.device, request.held_gpus


def shares_device(place: Place, other_place: Place) -> bool:
    """Whether two devices have memory in common; `cuda` means every GPU."""
    (device, gpus), (other, other_gpus) = place, other_place
    if gpus and other_gpus:
        return not set(gpus).isdisjoint(other_gpus)
    return device == other or ("cuda" in (device, other) and device.startswith("cuda") and other.startswith("cuda"))


def living_scorers(reader: sqlite3.Connection) -> list[ScorerRow]:
    """The registered scorers whose process lives."""
    return [row for row in _rows(reader) if is_alive(row.identity)]


def idle_scorers(reader: sqlite3.Connection) -> list[ScorerRow]:
    """The living scorers that keep a model loaded without a run."""
    return [row for row in living_scorers(reader) if row.idle_since is not None]


def gpu_with_model(reader: sqlite3.Connection, spec: ScoreSpec, request: RunRequest) -> str | None:
    """The GPU on which an idle scorer keeps just the model that the request needs; None when there is none."""
    known = known_spec(reader, spec)
    if known is None:
        return None
    for scorer in idle_scorers(reader):
        same = sharing_key(known, replace(request, device=scorer.device)) == scorer.key
        if same and scorer.device.startswith("cuda"):
            return scorer.device
    return None


def register(writer: Writer, device: str, model: str, key: str) -> bool:
    """Take the device for this process; False when a living scorer holds it."""
    me = own_identity()
    with writer.transaction() as connection:
        _sweep(connection)
        if any(shares_device((device, _gpus_of(key)), row.place) for row in _rows(connection)):
            return False
        connection.execute(
            "INSERT INTO scorers (host, boot, pid, pid_start, device, model, engine_key) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*_columns(me), device, model, key),
        )
    return True


def sweep(writer: Writer) -> None:
    """Remove the rows of dead processes; writes nothing when there are none."""
    if all(is_alive(row.identity) for row in _rows(writer.connection)):
        return
    with writer.transaction() as connection:
        _sweep(connection)


def turn_idle(writer: Writer, seconds: float) -> None:
    """Say that this process keeps its model for so long and that others may ask it to end."""
    now = clock.since_boot()
    with writer.transaction() as connection:
        connection.execute(
            f"UPDATE scorers SET idle_since = ?, free_at = ? WHERE {_IS_ROW}",
            (now, now + seconds, *_columns(own_identity())),
        )


def turn_busy(writer: Writer) -> bool:
    """Say that this process works again; False when it was asked to end before."""
    with writer.transaction() as connection:
        changed = connection.execute(
            f"UPDATE scorers SET idle_since = NULL, free_at = NULL WHERE want = 'stay' AND {_IS_ROW}",
            _columns(own_identity()),
        ).rowcount
    return changed == 1


def may_stay(reader: sqlite3.Connection) -> bool:
    """Whether nobody asked this process to end."""
    row = reader.execute(f"SELECT want FROM scorers WHERE {_IS_ROW}", _columns(own_identity())).fetchone()
    return row is not None and row[0] == "stay"


def wish_end(connection: sqlite3.Connection) -> list[ScorerRow]:
    """Ask every idle scorer to end inside the caller's transaction; returns them."""
    asked = idle_scorers(connection)
    for row in asked:
        connection.execute(f"UPDATE scorers SET want = 'end' WHERE {_IS_ROW}", _columns(row.identity))
    return asked


def _rows(reader: sqlite3.Connection) -> list[ScorerRow]:
    rows = reader.execute("SELECT * FROM scorers").fetchall()
    return [
        ScorerRow(
            Identity(row["host"], row["boot"], row["pid"], row["pid_start"]),
            row["device"], row["model"], row["engine_key"], row["idle_since"], row["free_at"],
        )
        for row in rows
    ]  # fmt: skip


def _sweep(connection: sqlite3.Connection) -> None:
    """What is left of a dead scorer's process group holds memory that nobody else would free: it is ended too."""
    for row in _rows(connection):
        if not is_alive(row.identity):
            end_group_of(row.identity)
            connection.execute(f"DELETE FROM scorers WHERE {_IS_ROW}", _columns(row.identity))


def _gpus_of(key: str) -> tuple[str, ...]:
    """Keys of earlier versions end with something else."""
    with suppress(ValueError):
        found = json.loads(key)
        if isinstance(found, list) and found and isinstance(found[-1], list):
            return tuple(found[-1])
    return ()


def _columns(identity: Identity) -> tuple[str, str, int, int]:
    return identity.host, identity.boot, identity.pid, identity.start
