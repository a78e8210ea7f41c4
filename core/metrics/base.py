"""What a metric is: a declaration, and per-question contributions computed from the scores of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from core.domain import ContextKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray: TypeAlias = NDArray[np.float64]
    BoolArray: TypeAlias = NDArray[np.bool_]

# Beyond it sums and squares over questions leave the range of a double.
LARGEST_CONTRIBUTION = 1e150


@dataclass(frozen=True, slots=True)
class SampleScore:
    """What one response got behind one context: its tokens, the sums of their surprisals (nats) and clipped ranks."""

    strategy: str
    question: int
    context: ContextKind
    tokens: int
    nll_sum: float
    rank_sum: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ContextScores:
    """`SampleScore`s behind one context as arrays (S strategies, Q questions); NaN where a response has no score."""

    tokens: FloatArray
    nll_sum: FloatArray
    rank_sum: FloatArray

    def mean_nll(self) -> FloatArray:
        """L, the mean surprisal of a response's tokens: (S, Q), nats; NaN where there is no token."""
        import numpy as np

        return np.divide(self.nll_sum, self.tokens, out=np.full_like(self.nll_sum, np.nan), where=self.tokens > 0)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreArrays:
    """The scores of S strategies on Q questions in task order; `contexts` holds those that were scored."""

    strategies: tuple[str, ...]
    questions: tuple[int, ...]
    contexts: Mapping[ContextKind, ContextScores]

    @classmethod
    def collect(cls, strategies: Sequence[str], questions: Sequence[int], scores: Iterable[SampleScore]) -> ScoreArrays:
        """The arrays of these scores; what is missing stays NaN. Scores of other strategies or questions: KeyError."""
        import numpy as np

        rows = {name: row for row, name in enumerate(strategies)}
        columns = {question: column for column, question in enumerate(questions)}
        fields: dict[ContextKind, FloatArray] = {}
        for score in scores:
            if score.context not in fields:
                fields[score.context] = np.full((3, len(rows), len(columns)), np.nan)
            sums = score.tokens, score.nll_sum, np.nan if score.rank_sum is None else score.rank_sum
            fields[score.context][:, rows[score.strategy], columns[score.question]] = sums
        contexts = {context: ContextScores(*arrays) for context, arrays in fields.items()}
        return cls(tuple(strategies), tuple(questions), contexts)

    def mean_nll(self, context: ContextKind) -> FloatArray:
        """L behind this context: (S, Q), nats; all NaN if nothing was scored behind it."""
        import numpy as np

        if context not in self.contexts:
            return np.full((len(self.strategies), len(self.questions)), np.nan)
        return self.contexts[context].mean_nll()

    def tokens(self) -> FloatArray:
        """Tokens of every response: (S, Q), the same behind every context; NaN where it has no score at all."""
        import numpy as np

        counts = np.full((len(self.strategies), len(self.questions)), np.nan)
        for scores in self.contexts.values():
            counts = np.where(np.isnan(counts), scores.tokens, counts)
        return counts

    def select(self, strategies: Sequence[str]) -> ScoreArrays:
        """The same arrays with only these strategies, in the order given."""
        rows = [self.strategies.index(name) for name in strategies]
        contexts = {
            context: ContextScores(scores.tokens[rows], scores.nll_sum[rows], scores.rank_sum[rows])
            for context, scores in self.contexts.items()
        }
        return ScoreArrays(tuple(strategies), self.questions, contexts)


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """What every response adds to its strategy's score, sum(numerator) / sum(denominator) over questions.

    Both (S, Q), NaN where a response has no usable value.
    """

    numerator: FloatArray
    denominator: FloatArray

    @property
    def usable(self) -> BoolArray:
        """(S, Q): whether the response has a value."""
        import numpy as np

        return ~np.isnan(self.numerator)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's declaration. `numerator` and `denominator` map the scores to arrays (S, Q), NaN where undefined.

    A strategy's score is the ratio of their sums over the questions used; without a denominator it is the mean.
    """

    id: str
    label: str
    description: str
    direction: Literal["lower", "higher"]
    contexts: tuple[ContextKind, ...]
    source: str
    numerator: Callable[[ScoreArrays], FloatArray]
    denominator: Callable[[ScoreArrays], FloatArray] | None = None
    decimals: int = 3

    def contributions(self, arrays: ScoreArrays) -> Contributions:
        """Per response, with everything that is not a usable number (overflow too) made NaN."""
        import numpy as np

        numerator = self.numerator(arrays)
        denominator = np.ones_like(numerator) if self.denominator is None else self.denominator(arrays)
        usable = (np.abs(numerator) <= LARGEST_CONTRIBUTION) & (np.abs(denominator) <= LARGEST_CONTRIBUTION)
        return Contributions(np.where(usable, numerator, np.nan), np.where(usable, denominator, np.nan))
