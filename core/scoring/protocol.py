"""The interface between the worker and an engine that holds a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.domain import SampleError, TokenScores, Turn
from core.errors import UsageError

WITHOUT_TEMPLATE = (
    "The model has no chat template: its contexts are the question's text and a line break."
    " Give it one with --chat-template FILE if it was trained with one."
)


TOO_LARGE = "out_of_memory"
"""The code of a sample that memory does not suffice for, alone as it is."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How to load a target model.

    `device` is auto, cpu, cuda:N or cuda (spread over all GPUs); `dtype` float32, bfloat16 or float16;
    `tier` is auto, or the one way of computing to use (for benchmarks and tests). `chat_template` is the text of one
    that stands in for the model's own.
    """

    path: str
    device: str = "auto"
    dtype: str = "float32"
    quantization: str = "none"
    adapter: str = ""
    system: str | None = None
    template_options: tuple[tuple[str, str | bool | int | float], ...] = ()
    control_tokens: str = "as_text"
    chat_template: str = ""
    tier: str = "auto"


@dataclass(frozen=True, slots=True)
class ScoringGroup:
    """One context and responses to score behind it, as token ids.

    With `detail` the rank, entropy and sum of squared probabilities of every token are wanted too. `keep` says that
    the context comes again in later calls, so that what the model computed for it is worth keeping.
    """

    context: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...]
    detail: bool = False
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Generation:
    """An answer of the model: its text without special tokens, not stripped; `finished` is False at the limit."""

    text: str
    token_ids: tuple[int, ...]
    finished: bool


@dataclass(frozen=True, slots=True)
class Sampling:
    """Every token is drawn from softmax(logits / temperature), of all tokens; one seed per context.

    UsageError where the temperature is not above 0.
    """

    temperature: float
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise UsageError(f"The temperature must be a number above 0, not {self.temperature}.")


class Encoder(Protocol):
    """The tokenizer side of a target model; needs no weights."""

    @property
    def max_context_tokens(self) -> int:
        """Tokens that context and response together may have."""
        ...

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """What a text may hold that the tokenizer would take for a control token of the model."""
        ...

    def encode_context(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        """Token ids of the chat template with these turns and the generation prompt (methods: c(q))."""
        ...

    def encode_response(self, text: str) -> tuple[int, ...]:
        """Token ids of a response by itself, without special tokens."""
        ...

    def token_ends(self, text: str) -> tuple[int, ...]:
        """For each token of `encode_response(text)`, how many characters of the text it and those before it make.

        They never fall. A character of several tokens counts with its last one. The last end is len(text), unless the
        tokenizer drops what the text ends with.
        """
        ...


class Engine(Encoder, Protocol):
    """A loaded target model."""

    @property
    def tier(self) -> str:
        """How groups are computed, as the self-test allowed: `packed cascade`, `shared cache` or `one by one`."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about how this model is computed, in sentences: ways that were refused."""
        ...

    @property
    def probe(self) -> tuple[float, ...]:
        """Log-probabilities in nats of a fixed text's tokens, computed one by one when the model was loaded."""
        ...

    @property
    def token_budget(self) -> int:
        """Tokens that one forward pass may have on this device; halved for good when memory did not suffice."""
        ...

    def limit_tokens(self, budget: int) -> None:
        """Lower the token budget to one that an earlier attempt ended with; a higher one changes nothing."""
        ...

    @property
    def device(self) -> str: ...

    @property
    def versions(self) -> dict[str, str]:
        """Names and versions of the libraries that made the numbers."""
        ...

    def score(self, groups: Sequence[ScoringGroup]) -> list[list[TokenScores | SampleError]]:
        """Scores of each group's responses in their order."""
        ...

    def generate(
        self,
        contexts: Sequence[tuple[int, ...]],
        max_new_tokens: int,
        on_answers: Callable[[Sequence[tuple[int, Generation]]], None],
        on_step: Callable[[], None] | None = None,
        sampling: Sampling | None = None,
    ) -> list[str]:
        """Answers behind the contexts, greedy unless sampled; returns what the user should know about them.

        A sampled answer depends on its context, temperature and seed, not on what else is asked. `on_answers` gets
        answers with their contexts' indices as they are complete, in any order. A context with less room than
        `max_new_tokens` is answered within its room. `on_step` is called from time to time; what it raises ends the
        work. Raises MemoryError where memory does not suffice for one context alone.
        """
        ...

    def rest(self) -> None:
        """Give back all memory but the weights' until the next call."""
        ...

    def peak_memory_bytes(self) -> int: ...

    def memory_bytes(self) -> int:
        """Memory held at the moment: that of all its GPUs where the model is on some, else this process's."""
        ...


class RewardModel(Protocol):
    """A loaded model that says how good a response is."""

    @property
    def versions(self) -> dict[str, str]:
        """Names and versions of the libraries that made the numbers."""
        ...

    def rewards(self, conversations: Sequence[tuple[tuple[Turn, ...], str]]) -> list[float | SampleError]:
        """The reward of each question's turns with a response to them, in their order."""
        ...
