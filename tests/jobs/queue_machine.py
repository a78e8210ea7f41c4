"""The queue beside a small model of it in memory, driven by Hypothesis: whatever is done in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from core import clock
from core.domain import Identity, RunState
from core.errors import UsageError
from core.jobs.blame import MOST_IN_A_ROW, TRIES
from core.jobs.claim import (
    BARREN_LIMIT,
    Claim,
    Death,
    LostClaimError,
    beat,
    claim_run,
    finish,
    put_back,
    release,
    requeue_orphan,
    update_claimed,
)
from core.store.check import problems
from core.store.runs import delay_start, run_by_id, unfinished_runs, wish_cancel, wish_pause, wish_resume
from tests.jobs.world import TOKENS, World, add_run, empty_catalogue, plan, quick_writer

CHUNKS = 3
_TEMPLATE: list[Path] = []


@dataclass
class Model:
    """What a run should look like. Every chunk holds one sample; `tries` are those of the first open one."""

    state: str = "queued"
    want: str = "run"
    fence: int = 0
    owner: Identity | None = None
    phase: str = ""
    planned: bool = False
    barren: int = 0
    results: list[str] = field(default_factory=list)
    crashed_in_a_row: int = 0
    tries: int = 0

    def die(self, *, counts: bool) -> None:
        """The process is gone: what it scored is blamed, else it was an attempt without progress."""
        blamed = self.phase == "scoring" and self.planned and len(self.results) < CHUNKS
        if blamed:
            self.tries += 1
            if self.tries == 2 * TRIES:
                self.results.append("error")
                self.tries, self.crashed_in_a_row = 0, self.crashed_in_a_row + 1
        if counts:
            self.barren = 0 if blamed else self.barren + 1
            hopeless = blamed and self.crashed_in_a_row >= MOST_IN_A_ROW
            self.put_back("failed" if hopeless or self.barren >= BARREN_LIMIT else "queued")

    def hold(self, claim: Claim) -> None:
        """Let go of in the foreground it waits for its user."""
        if claim.in_foreground and self.want == "run":
            self.want = "pause"

    def put_back(self, state: str) -> None:
        self.state = "cancelled" if self.want == "cancel" else state
        self.fence += 1
        self.phase = ""


class Queue(RuleBasedStateMachine):
    """Everything that can happen to runs, by users, processes and the machine."""

    runs = Bundle("runs")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.folder = Path(tempfile.mkdtemp(prefix="queue-"))
        if not _TEMPLATE:
            _TEMPLATE.append(empty_catalogue(Path(tempfile.mkdtemp(prefix="queue-template-"))))
        path = self.folder / "catalogue.db"
        shutil.copy(_TEMPLATE[0], path)
        self.world = World(self.patch)
        self.writer = quick_writer(path)
        self.models: dict[int, Model] = {}

    def teardown(self) -> None:
        assert problems(self.writer.connection) == []
        self.writer.close()
        self.patch.undo()
        shutil.rmtree(self.folder)

    @initialize(target=runs)
    def first(self) -> int:
        return self.enqueue()

    @rule(target=runs)
    def enqueue(self) -> int:
        run = add_run(self.writer)
        self.models[run] = Model()
        return run

    @rule(run=runs)
    def pause(self, run: int) -> None:
        if self._wish(wish_pause, run, self.models[run].state in ("queued", "running")):
            self.models[run].want = "pause"

    @rule(run=runs)
    def cancel(self, run: int) -> None:
        model = self.models[run]
        if self._wish(wish_cancel, run, model.state in ("queued", "running")):
            model.want = "cancel"
            model.state = "cancelled" if model.state == "queued" else model.state

    @rule(run=runs)
    def resume(self, run: int) -> None:
        model = self.models[run]
        if self._wish(wish_resume, run, model.state != "done"):
            model.want, model.barren = "run", 0
            model.state = model.state if model.state == "running" else "queued"
            self._take_over_tries(run)

    def _wish(self, wish: Callable[..., None], run: int, is_possible: bool) -> bool:
        try:
            with self.writer.transaction() as connection:
                wish(connection, run)
        except UsageError:
            assert not is_possible
            return False
        assert is_possible
        return True

    def _take_over_tries(self, run: int) -> None:
        """A resume gives the chunk its tries again, not the sample."""
        row = self.writer.connection.execute(
            "SELECT chunks.tries + (SELECT max(tries) FROM run_items WHERE run = chunks.run AND chunk = chunks.number)"
            " FROM chunks WHERE run = ? AND fence IS NULL ORDER BY number LIMIT 1",
            (run,),
        ).fetchone()
        self.models[run].tries = row[0] if row else 0

    @rule(target=claims, run=runs, in_foreground=st.booleans())
    def claim(self, run: int, in_foreground: bool) -> object:
        """A new process tries to get the run, as the runner's scorer does or one in the foreground."""
        model, process = self.models[run], self.world.start()
        orphaned = model.state == "running" and not (model.owner and self.world.is_alive(model.owner))
        wanted = model.want == "run" or (in_foreground and model.want == "pause")
        with self.world.acting(process):
            owned = claim_run(self.writer, run, in_foreground=in_foreground)
        assert (owned is not None) == (wanted and (model.state == "queued" or orphaned))
        if owned is None:
            self.world.kill(process)
            return multiple()
        if orphaned and model.owner and model.owner.boot == clock.boot_id():
            model.die(counts=False)
        model.state, model.want, model.owner, model.phase = "running", "run", process, "starting"
        model.fence += 1
        assert owned.fence == model.fence
        return (process, owned)

    @rule(claim=claims)
    def plan(self, claim: tuple[Identity, Claim]) -> None:
        model = self.models[claim[1].run]
        if self.world.is_alive(claim[0]) and not model.planned:
            if self._holds(claim):
                plan(self.writer, claim[1], CHUNKS, 1)
                model.planned = True
            else:
                with pytest.raises(LostClaimError):
                    plan(self.writer, claim[1], CHUNKS, 1)

    @rule(claim=claims, phase=st.sampled_from(("loading", "scoring")))
    def begin(self, claim: tuple[Identity, Claim], phase: str) -> None:
        """A sign of life; whoever hears of a wish lets go."""
        process, owned = claim
        model = self.models[owned.run]
        if not self.world.is_alive(process):
            return
        if not self._holds(claim):
            with pytest.raises(LostClaimError):
                beat(self.writer, owned, phase=phase)
            return
        with self.writer.transaction() as connection:
            want = update_claimed(connection, owned, phase=phase)
        model.phase = phase
        assert want == model.want
        if want != "run":
            self.let_go(claim)

    @rule(claim=claims)
    def chunk(self, claim: tuple[Identity, Claim]) -> None:
        """The first open chunk gets its scores, or the run is done."""
        process, owned = claim
        model = self.models[owned.run]
        if not self.world.is_alive(process) or not model.planned:
            return
        left = len(model.results) < CHUNKS
        write = self._store_chunk if left else lambda owned: finish(self.writer, owned)
        if not self._holds(claim):
            with pytest.raises(LostClaimError):
                write(owned)
            return
        write(owned)
        if left:
            model.results.append("ok")
            model.tries = model.barren = model.crashed_in_a_row = 0
        else:
            model.state, model.phase = "done", ""

    def _store_chunk(self, owned: Claim) -> None:
        """What the scoring writes, less the scores."""
        with self.writer.transaction() as connection:
            number = connection.execute(
                "SELECT min(number) FROM chunks WHERE run = ? AND fence IS NULL", (owned.run,)
            ).fetchone()[0]
            before = run_by_id(connection, owned.run)
            update_claimed(connection, owned, done=before.done + 1, tokens_done=before.tokens_done + TOKENS, barren=0)
            connection.execute(
                "UPDATE chunks SET fence = ? WHERE run = ? AND number = ?", (owned.fence, owned.run, number)
            )
            connection.execute(
                "UPDATE run_items SET state = 'ok', fence = ? WHERE run = ? AND chunk = ? AND state = 'planned'",
                (owned.fence, owned.run, number),
            )
            connection.execute(
                "INSERT INTO scores (spec, context, response, tokens, nll_sum, engine)"
                " SELECT 1, context, response, 1, 1.0, '' FROM run_items WHERE run = ? AND chunk = ?",
                (owned.run, number),
            )
            connection.execute("INSERT INTO token_scores SELECT max(id), x'00' FROM scores")

    @rule(claim=consumes(claims))
    def let_go(self, claim: tuple[Identity, Claim]) -> None:
        process, owned = claim
        model = self.models[owned.run]
        if self.world.is_alive(process) and self._holds(claim):
            release(self.writer, owned)
            model.hold(owned)
            model.state, model.phase = "cancelled" if model.want == "cancel" else "queued", ""
        self.world.kill(process)

    @rule(claim=consumes(claims))
    def lose_the_device(self, claim: tuple[Identity, Claim]) -> None:
        """An error after which the process is good for nothing: it says so and ends."""
        process, owned = claim
        if self.world.is_alive(process) and self._holds(claim):
            put_back(self.writer, owned, Death("the device failed"))
            self.models[owned.run].hold(owned)
            self.models[owned.run].die(counts=True)
        self.world.kill(process)

    @rule(claim=consumes(claims))
    def crash(self, claim: tuple[Identity, Claim]) -> None:
        self.world.kill(claim[0])

    @rule(run=runs, times=st.integers(1, 5), is_seen=st.booleans())
    def die_while_scoring(self, run: int, times: int, is_seen: bool) -> None:
        """Processes that get to the same chunk and die of it; a runner may see that, or somebody takes the run over."""
        for _ in range(times):
            claim = self.claim(run, False)
            if not isinstance(claim, tuple):
                return
            self.plan(claim)
            self.begin(claim, "scoring")
            self.crash(claim)
            if is_seen:
                self.runner_looks(auto_resume=False)

    @rule(auto_resume=st.booleans())
    def runner_looks(self, auto_resume: bool) -> None:
        for run in unfinished_runs(self.writer.connection):
            if run.state is not RunState.RUNNING or run.owner is None:
                continue
            model, rebooted = self.models[run.id], run.owner.boot != clock.boot_id()
            changed = requeue_orphan(
                self.writer, run.id, run.owner, Death("gone"), rebooted=rebooted, auto_resume=auto_resume
            )
            assert changed == (not self.world.is_alive(run.owner))
            if changed and rebooted:
                model.barren = 0
                model.put_back("queued")
                if model.state == "queued" and not auto_resume:
                    model.want = "pause"
            elif changed:
                model.die(counts=True)

    @rule(run=runs, days=st.sampled_from((-400, -1, 1, 400)))
    def memory_is_short(self, run: int, days: int) -> None:
        """The run waits for its quarter of a minute, whatever becomes of the wall clock."""
        with self.writer.transaction() as connection:
            delay_start(connection, run, 15, "waiting for memory")
        model = self.models[run]
        if model.state == "queued":
            model.barren = 0
        before = self._shown()
        assert model.state != "queued" or "waiting" in before or model.want == "pause"
        self.world.set_wall_clock(days * 86_400)
        assert self._shown() == before

    @rule(seconds=st.floats(0.1, 4000))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule()
    def reboot(self) -> None:
        self.world.reboot()

    def _shown(self) -> list[str]:
        return [run_by_id(self.writer.connection, run).shown for run in self.models]

    def _holds(self, claim: tuple[Identity, Claim]) -> bool:
        model = self.models[claim[1].run]
        return model.state == "running" and model.fence == claim[1].fence

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        for number, model in self.models.items():
            run = run_by_id(self.writer.connection, number)
            assert (str(run.state), run.want, run.fence) == (model.state, model.want, model.fence)
            assert (run.done, run.errors) == (len(model.results), model.results.count("error"))
            barren = self.writer.connection.execute("SELECT barren FROM runs WHERE id = ?", (number,)).fetchone()[0]
            assert barren == model.barren
            if model.state == "running":
                assert run.owner == model.owner
