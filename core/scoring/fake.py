"""A deterministic engine without a model, for tests of the queue: its numbers mean nothing, its faults are on order."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.domain import SampleError, TokenScores, Turn, canonical_turns
from core.scoring.plan import GroupSize, pack
from core.scoring.protocol import Generation, Sampling, ScoringGroup

ENVIRONMENT_VARIABLE = "SAP_TUI_FAKE"
EXIT_TEMPORARY = 75
VOCABULARY = 256
ANSWERS_AT_ONCE = 16
# One in so many seeds gives another number than the greedy answer's.
DISSENTING = 5


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. Groups count from 1 in each process; texts name the responses that hold them.

    A response ends the process by exit code 75, SIGSEGV or SIGKILL, by an error of the device, or hangs it for good.
    A question that holds one of `answer_kill_on` ends the process when it is answered, by SIGKILL.
    `memory_tokens` are what memory suffices for in one forward pass: a larger one halves the token budget.
    `memory_taken` is a file: while it is there the model finds no memory. With `helper` the process has a child, told
    in the notes. `load_s` and `answer_s` are spent without a sign of life. `reward_shift` is added to every reward,
    which otherwise lies between 0 and 1, and `probe_shift` to the probe, which otherwise is 1 nat a token.
    """

    delay_s: float = 0.0
    exit_75_at_group: int = 0
    exit_75_on: tuple[str, ...] = ()
    crash_on: tuple[str, ...] = ()
    kill_on: tuple[str, ...] = ()
    device_error_on: tuple[str, ...] = ()
    hang_on: tuple[str, ...] = ()
    answer_kill_on: tuple[str, ...] = ()
    nonfinite: tuple[str, ...] = ()
    out_of_memory: tuple[str, ...] = ()
    max_context_tokens: int = 1 << 20
    token_budget: int = 500
    memory_tokens: int = 1 << 20
    memory_taken: str = ""
    helper: bool = False
    load_s: float = 0.0
    answer_s: float = 0.0
    reward_shift: float = 0.0
    probe_shift: float = 0.0

    @staticmethod
    def from_environment() -> Faults:
        """Faults from the JSON object in SAP_TUI_FAKE; none where it is unset or empty."""
        values: dict[str, Any] = json.loads(os.environ.get(ENVIRONMENT_VARIABLE) or "{}")
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return Faults(**(values | lists))


class FakeEngine:
    """Implements `core.scoring.protocol.Engine`; tokens are UTF-8 bytes, scores come from SHA-256."""

    tier = "fake"
    device = "cpu"
    notes: tuple[str, ...] = ()

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = Faults.from_environment() if faults is None else faults
        self._groups = 0
        if self._faults.memory_taken and os.path.exists(self._faults.memory_taken):
            raise MemoryError("The stand-in does not fit into the free memory.")
        time.sleep(self._faults.load_s)
        if self._faults.helper:
            self.notes = (f"helper {subprocess.Popen(['sleep', '600']).pid}",)
        self._token_budget = self._faults.token_budget

    @property
    def probe(self) -> tuple[float, ...]:
        return (self._faults.probe_shift - 1.0,) * 3

    @property
    def token_budget(self) -> int:
        return self._token_budget

    def limit_tokens(self, budget: int) -> None:
        self._token_budget = min(self._token_budget, budget)

    @property
    def max_context_tokens(self) -> int:
        return self._faults.max_context_tokens

    @property
    def versions(self) -> dict[str, str]:
        return {"fake": "1"}

    @property
    def control_tokens(self) -> tuple[str, ...]:
        return ("<|fake|>",)

    def encode_context(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        return tuple(canonical_turns(tuple(turns)).encode())

    def encode_response(self, text: str) -> tuple[int, ...]:
        return tuple(text.encode())

    def token_ends(self, text: str) -> tuple[int, ...]:
        lengths = enumerate(len(character.encode()) for character in text)
        return tuple(end for place, length in lengths for end in (*(place,) * (length - 1), place + 1))

    def score(self, groups: Sequence[ScoringGroup]) -> list[list[TokenScores | SampleError]]:
        sizes = [
            GroupSize(0 if group.keep else len(group.context), tuple(map(len, group.responses))) for group in groups
        ]
        while self._largest_pass(sizes) > self._faults.memory_tokens:
            self._token_budget //= 2
        return [self._score_group(group) for group in groups]

    def _largest_pass(self, sizes: Sequence[GroupSize]) -> int:
        """Tokens of the largest forward pass that could be smaller."""
        parts = [row for row in pack(sizes, self._token_budget) if len(row) > 1 or len(row[0].responses) > 1]
        return max((sum(part.tokens for part in row) for row in parts), default=0)

    def _score_group(self, group: ScoringGroup) -> list[TokenScores | SampleError]:
        self._groups += 1
        self._fail_process(group)
        time.sleep(self._faults.delay_s)
        return [self._score_one(group.context, response, group.detail) for response in group.responses]

    def generate(
        self,
        contexts: Sequence[tuple[int, ...]],
        max_new_tokens: int,
        on_answers: Callable[[Sequence[tuple[int, Generation]]], None],
        on_step: Callable[[], None] | None = None,
        sampling: Sampling | None = None,
    ) -> list[str]:
        seeds = sampling.seeds if sampling else (None,) * len(contexts)
        answers = [
            (index, _answer(context, max_new_tokens, seed))
            for index, (context, seed) in enumerate(zip(contexts, seeds, strict=True))
        ]
        for start in range(0, len(answers), ANSWERS_AT_ONCE):
            time.sleep(self._faults.delay_s + self._faults.answer_s)
            if any(
                _holds(context, self._faults.answer_kill_on) for context in contexts[start : start + ANSWERS_AT_ONCE]
            ):
                os.kill(os.getpid(), signal.SIGKILL)
            if on_step is not None:
                on_step()
            on_answers(answers[start : start + ANSWERS_AT_ONCE])
        return []

    def rest(self) -> None:
        """Nothing is held."""

    def peak_memory_bytes(self) -> int:
        return 1 << 20

    def memory_bytes(self) -> int:
        return 1 << 20

    def _fail_process(self, group: ScoringGroup) -> None:
        def holds(texts: tuple[str, ...]) -> bool:
            return any(_holds(response, texts) for response in group.responses)

        if holds(self._faults.exit_75_on) or self._groups == self._faults.exit_75_at_group:
            os._exit(EXIT_TEMPORARY)
        if holds(self._faults.crash_on):
            os.kill(os.getpid(), signal.SIGSEGV)
        if holds(self._faults.kill_on):
            os.kill(os.getpid(), signal.SIGKILL)
        if holds(self._faults.device_error_on):
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nAsked for by the test.")
        if holds(self._faults.hang_on):
            # No handler of Python's runs meanwhile, as in a driver that does not come back.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            time.sleep(3600)

    def _score_one(
        self, context: tuple[int, ...], response: tuple[int, ...], detail: bool
    ) -> TokenScores | SampleError:
        if not response:
            return SampleError("empty", "The response has no tokens.")
        if len(context) + len(response) > self.max_context_tokens:
            return SampleError("too_long", f"{len(context) + len(response)} tokens.")
        if _holds(response, self._faults.nonfinite):
            return SampleError("nonfinite", "Asked for by the test.")
        alone_too_large = len(context) + len(response) > self._faults.memory_tokens
        if alone_too_large or _holds(response, self._faults.out_of_memory):
            return SampleError("out_of_memory", "Asked for by the test.")
        draws = _draws(context, response)
        if not detail:
            return TokenScores(-4 * draws[0])
        rank = 1 + (draws[1] * VOCABULARY).astype(np.int32)
        return TokenScores(-4 * draws[0], rank, 3 * draws[2], draws[3])


class FakeRewardModel:
    """Implements `core.scoring.protocol.RewardModel`; rewards come from SHA-256."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = Faults.from_environment() if faults is None else faults

    @property
    def versions(self) -> dict[str, str]:
        return {"fake": "1"}

    def rewards(self, conversations: Sequence[tuple[tuple[Turn, ...], str]]) -> list[float | SampleError]:
        time.sleep(self._faults.delay_s)
        return [self._reward(canonical_turns(turns).encode(), response.encode()) for turns, response in conversations]

    def _reward(self, context: bytes, response: bytes) -> float | SampleError:
        if len(context) + len(response) > self._faults.max_context_tokens:
            return SampleError("too_long", f"{len(context) + len(response)} tokens.")
        if _holds(tuple(response), self._faults.nonfinite):
            return SampleError("nonfinite", "Asked for by the test.")
        drawn = int.from_bytes(hashlib.sha256(context + b"\xff" + response).digest()[:4], "little")
        return (1 + drawn) / (2 << 32) + self._faults.reward_shift


def _holds(response: tuple[int, ...], texts: tuple[str, ...]) -> bool:
    return any(text.encode() in bytes(response) for text in texts)


def _draws(context: tuple[int, ...], response: tuple[int, ...]) -> NDArray[np.float32]:
    """(4, T) float32 numbers in [0, 1) that depend on context, response and place only."""
    seed = hashlib.sha256(bytes(context) + b"\xff" + bytes(response)).digest()
    places = (hashlib.sha256(seed + place.to_bytes(4, "little")).digest() for place in range(len(response)))
    raw = np.frombuffer(b"".join(places), dtype=np.uint16).reshape(len(response), 16)
    return np.ascontiguousarray(raw[:, :4].T / np.float32(65536), dtype=np.float32)


def _answer(context: tuple[int, ...], max_new_tokens: int, seed: int | None) -> Generation:
    number = int.from_bytes(hashlib.sha256(bytes(context)).digest()[:2], "little") % 100
    if seed is not None and hashlib.sha256(bytes(context) + str(seed).encode()).digest()[0] % DISSENTING == 0:
        number += 1
    ids = tuple(f"It is {number}.\nFinal Answer: {number}".encode())
    kept = ids[:max_new_tokens]
    return Generation(bytes(kept).decode(), kept, finished=len(kept) == len(ids))
