"""What the program talks about: tasks, questions, strategies, responses, target models, runs and scores."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def digest(*parts: str | bytes) -> bytes:
    """16-byte BLAKE2b digest of the parts, each with its length, so that no two lists of parts coincide."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part if isinstance(part, bytes) else part.encode("utf-8")
        state.update(len(raw).to_bytes(8, "little"))
        state.update(raw)
    return state.digest()


class ContextKind(StrEnum):
    """The three contexts that a response is scored behind."""

    PLAIN = "plain"
    SELF_ALIGNED = "self_aligned"
    ALONE = "alone"


class RunState(StrEnum):
    """The five stored states; paused, interrupted, stalled and waiting are derived."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: str
    content: str


def canonical_turns(turns: tuple[Turn, ...]) -> str:
    """The turns as JSON text that is equal exactly when the turns are."""
    return json.dumps([[turn.role, turn.content] for turn in turns], ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a task; `turns` ends with the turn that asks, `key` is the id the files gave it."""

    id: int
    position: int
    key: str | None
    turns: tuple[Turn, ...]
    answer: str | None

    @property
    def text(self) -> str:
        return self.turns[-1].content


@dataclass(frozen=True, slots=True)
class Task:
    id: int
    name: str
    questions: int


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way of producing responses: a teacher model with a prompt, or a human source."""

    id: int
    task: str
    name: str
    teacher: str = ""
    prompt: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    source: str = ""
    responses: int = 0
    updated_at: float = 0.0


def response_digest(text: str) -> bytes:
    """What a response's scores are known by."""
    return digest("response", text)


@dataclass(frozen=True, slots=True)
class Response:
    """A strategy's response to a question, byte for byte as imported."""

    id: int
    strategy: int
    question: int
    text: str

    @property
    def digest(self) -> bytes:
        return response_digest(self.text)


@dataclass(frozen=True, slots=True)
class Target:
    """The model that is going to be fine-tuned, as found on this machine."""

    name: str
    path: str
    weights_digest: str
    revision: str = ""
    adapter: str = ""
    adapter_digest: str = ""
    chat_template_digest: str = ""


@dataclass(frozen=True, slots=True)
class ScoreSpec:
    """Everything besides context and response that a score belongs to; specs that differ never share a ranking."""

    weights_digest: str
    quantization: str
    dtype: str
    revision: str = ""
    adapter_digest: str = ""
    chat_template_digest: str = ""
    template_options: tuple[tuple[str, str | bool | int | float], ...] = ()
    system: str | None = None
    control_tokens: str = "as_text"

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> ScoreSpec:
        values = json.loads(text)
        values["template_options"] = tuple((name, value) for name, value in values["template_options"])
        return ScoreSpec(**values)

    @property
    def digest(self) -> str:
        return digest("spec", self.to_json()).hex()


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Scores of one response's T tokens behind one context, from float32 logits.

    `log_probability` (T,) nats; of the plain context also `rank` (T,) from 1, `entropy` (T,) nats and
    `sum_of_squares` (T,), the sum of squared probabilities of each step; None for the other contexts. `redone_in` names
    the dtype that a response was computed in again because float16 overflowed.
    """

    log_probability: NDArray[np.float32]
    rank: NDArray[np.int32] | None = None
    entropy: NDArray[np.float32] | None = None
    sum_of_squares: NDArray[np.float32] | None = None
    redone_in: str = ""

    @property
    def tokens(self) -> int:
        return int(self.log_probability.shape[0])


@dataclass(frozen=True, slots=True)
class SampleError:
    """Why one response has no score behind one context: a short code and a sentence."""

    code: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The target model's own answer to a question; `question` is None where the task does not hold it."""

    text: str
    question: int | None = None
    finished: bool = True
    correct: bool | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RankRow:
    """One strategy's line of a ranking. `scores` maps metric ids to values with intervals.

    The controls: `mean_tokens` of a response, `accuracy` is the share of responses with the gold answer, `same_family`
    whether teacher and target model share a family; None where that is not known.
    """

    rank: int
    rank_low: int
    rank_high: int
    strategy: str
    n: int
    p_best: float
    p_value: float | None
    separable: bool
    scores: dict[str, Interval]
    difference: Interval | None = None
    mean_tokens: float | None = None
    accuracy: float | None = None
    same_family: bool | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The strategies of a run by one metric; best first. `left_out` maps strategies without a rank to why."""

    metric: str
    verdict: str
    questions: int
    rows: tuple[RankRow, ...]
    more_questions: int | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run was asked to do; stored with it, so that it can be repeated.

    `samples` None means all. `example_choice` is rotation or usefulness, `example_orders` over how many orders of the
    examples scores are averaged, `prompt_template` the text of a template of the user's. `answered` limits the pool of
    examples to the answers to the run's first so many questions. `valid` is the TASK/STRATEGY of the trusted pairs as
    it was named then, `valid_strategy` its row number, None in requests of earlier versions; `votes` and
    `vote_temperature` how the target model is sampled, `reward_model` a folder with its
    weights digest, `small_model_run` the run whose model is the small one. `chat_template` is the text of one that
    stands in for the model's own. `gpus` are the UUIDs of the GPUs that whoever asked could use, in the order in which
    `device` counts them.
    """

    model: str
    path: str
    metrics: tuple[str, ...]
    device: str = "auto"
    dtype: str = "float32"
    quantization: str = "none"
    adapter: str = ""
    system: str | None = None
    template_options: tuple[tuple[str, str | bool | int | float], ...] = ()
    control_tokens: str = "as_text"
    samples: int | None = 50
    seed: int | None = None
    examples: int = 2
    answer_filter: bool = True
    example_choice: str = "rotation"
    example_orders: int = 1
    prompt_template: str = ""
    answered: int | None = None
    until_decided: bool = False
    valid: str = ""
    valid_strategy: int | None = None
    votes: int = 15
    vote_temperature: float = 1.1
    reward_model: str = ""
    reward_model_digest: str = ""
    small_model_run: int | None = None
    chat_template: str = ""
    gpus: tuple[str, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> RunRequest:
        values = json.loads(text)
        values["metrics"] = tuple(values["metrics"])
        values["template_options"] = tuple((name, value) for name, value in values["template_options"])
        values["gpus"] = tuple(values.get("gpus", ()))
        return RunRequest(**values)

    @property
    def engine_key(self) -> tuple[object, ...]:
        """Runs with equal keys can share one loaded model."""
        return (
            self.path, self.device, self.dtype, self.quantization, self.adapter,
            self.system, self.template_options, self.control_tokens, self.chat_template, self.held_gpus,
        )  # fmt: skip

    @property
    def held_gpus(self) -> tuple[str, ...]:
        """UUIDs of the GPUs that the device is; none for the CPU, and where they are not known."""
        kind, _, number = self.device.partition(":")
        if kind != "cuda" or not number:
            return self.gpus if kind == "cuda" else ()
        return self.gpus[int(number) : int(number) + 1]


@dataclass(frozen=True, slots=True)
class Identity:
    """One process on one boot of one machine; `start` is its start time in clock ticks, so a reused pid differs."""

    host: str
    boot: str
    pid: int
    start: int


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the queue with its progress. `shown` is the state in the word that a user reads.

    `token_budget` is the one that the run was planned with, or what memory sufficed for since; 0 while unknown.
    """

    id: int
    task: str
    model: str
    request: RunRequest
    state: RunState
    shown: str
    want: str
    phase: str
    why: str
    fence: int
    attempt: int
    done: int
    total: int
    errors: int
    reused: int
    phase_done: int
    phase_total: int
    tokens_done: int
    tokens_total: int
    tokens_per_second: float
    token_budget: int
    peak_memory: int
    device: str
    engine: str
    log: str
    spec: int
    weights_digest: str
    strategies: tuple[str, ...]
    questions: int
    owner: Identity | None
    beat_at: float | None
    created_at: float
    started_at: float | None
    ended_at: float | None

    @property
    def share_done(self) -> float:
        """How much of the present phase is done, from 0 to 1: scoring in tokens, the others in their own units."""
        if self.state is RunState.DONE:
            return 1.0
        done, total = self.tokens_done, self.tokens_total
        if self.phase != "scoring" and self.phase_total:
            done, total = self.phase_done, self.phase_total
        return min(1.0, done / total) if total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the tokens left and the speed so far; None while unknown."""
        if self.state is not RunState.RUNNING or self.phase != "scoring" or self.tokens_per_second <= 0:
            return None
        return (self.tokens_total - self.tokens_done) / self.tokens_per_second


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a run; `at` in seconds since 1970, `level` info, warning or error."""

    id: int
    run: int
    at: float
    level: str
    text: str
