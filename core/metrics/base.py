"""What a metric is: a declaration, and per-question contributions computed from the scores of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from core.domain import ContextKind
from core.errors import SapError
from core.text import visible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray: TypeAlias = NDArray[np.float64]
    IntArray: TypeAlias = NDArray[np.int64]
    BoolArray: TypeAlias = NDArray[np.bool_]

# Beyond it sums and squares over questions leave the range of a double.
LARGEST_CONTRIBUTION = 1e150


class Input(StrEnum):
    """What a metric may need beside surprisals. Arrays of S strategies and Q questions; NaN where unknown."""

    CORRECT = "correct"
    """(S, Q): 1 where the response's final answer equals the gold answer, else 0."""
    TARGET_VOTE = "target_vote"
    """(S, Q): 1 where the final answer is the one that most of the target model's sampled answers give, else 0."""
    STRATEGY_VOTE = "strategy_vote"
    """(S, Q): 1 where the final answer is the one that most of the strategies give, else 0."""
    REWARD = "reward"
    """(S, Q): the reward of the response, of a reward model or of an imported column."""
    OWN_NLL = "own_nll"
    """(1, Q): L of the target model's own prediction behind the question, nats per token."""
    VALID_NLL = "valid_nll"
    """(N,): L of the N trusted responses of the valid set behind their questions, nats per token."""
    SMALL_MODEL_NLL = "small_model_nll"
    """(S, Q): L of the response under a small model, nats per token."""


@dataclass(frozen=True, slots=True, eq=False)
class ResponseTokens:
    """The T tokens of one response behind its question.

    `surprisal` (T,) nats, `rank` (T,) from 1, `entropy` (T,) nats, `sum_of_squares` (T,) of each step's probabilities,
    `ends` (T,) the place in `text` behind each token, in characters; None where no metric asked for it.
    """

    text: str
    surprisal: FloatArray
    rank: FloatArray
    entropy: FloatArray
    sum_of_squares: FloatArray
    ends: IntArray | None = None


@dataclass(frozen=True, slots=True)
class SampleScore:
    """What one response got behind one context: its tokens, the sums of their surprisals (nats) and clipped ranks.

    NaN where it was to be scored and has no score.
    """

    strategy: str
    question: int
    context: ContextKind
    tokens: float
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
    """The scores of S strategies on Q questions in task order; `contexts` holds those that were scored.

    `token_values` has what `Metric.token_value` gave, by metric id, (S, Q), or the error that it ended in. `columns`
    has imported values, by name. `inputs` has what is known beside scores, or why it is not, as an error for the user.
    """

    strategies: tuple[str, ...]
    questions: tuple[int, ...]
    contexts: Mapping[ContextKind, ContextScores]
    token_values: Mapping[str, FloatArray | SapError] = field(default_factory=dict)
    columns: Mapping[str, Contributions] = field(default_factory=dict)
    inputs: Mapping[Input, FloatArray | SapError] = field(default_factory=dict)

    @classmethod
    def collect(cls, strategies: Sequence[str], questions: Sequence[int], scores: Iterable[SampleScore]) -> ScoreArrays:
        """The arrays of these scores; what is missing stays NaN. Scores of other strategies or questions: KeyError.

        Of several scores of one response behind one kind of context (orders of the examples) the mean, NaN with any.
        """
        import numpy as np

        rows = {name: row for row, name in enumerate(strategies)}
        columns = {question: column for column, question in enumerate(questions)}
        found: dict[ContextKind, list[tuple[float, ...]]] = {}
        for score in scores:
            rank_sum = np.nan if score.rank_sum is None else score.rank_sum
            place = rows[score.strategy], columns[score.question]
            found.setdefault(score.context, []).append((*place, score.tokens, score.nll_sum, rank_sum, 1))
        contexts = {}
        for context, values in found.items():
            table = np.array(values, dtype=np.float64)
            totals = np.zeros((len(rows), len(columns), 4))
            np.add.at(totals, tuple(table[:, :2].astype(np.int64).T), table[:, 2:])
            counts = np.where(totals[..., 3] > 0, totals[..., 3], np.nan)
            contexts[context] = ContextScores(*(totals[..., place] / counts for place in range(3)))
        return cls(tuple(strategies), tuple(questions), contexts)

    def mean_nll(self, context: ContextKind) -> FloatArray:
        """L behind this context: (S, Q), nats; all NaN if nothing was scored behind it."""
        import numpy as np

        if context not in self.contexts:
            return np.full((len(self.strategies), len(self.questions)), np.nan)
        return self.contexts[context].mean_nll()

    def input(self, kind: Input) -> FloatArray:
        """The array of this input; raises the SapError that says why it is missing and how to get it."""
        found = self.inputs.get(kind, SapError(f"There is no {kind.replace('_', ' ')} for these responses."))
        if isinstance(found, SapError):
            raise found
        return found

    def token_value(self, metric_id: str) -> FloatArray:
        """What the metric's `token_value` gave: (S, Q), all NaN without stored tokens; SapError where it failed."""
        import numpy as np

        found = self.token_values.get(metric_id, np.full((len(self.strategies), len(self.questions)), np.nan))
        if isinstance(found, SapError):
            raise found
        return found

    def column(self, name: str) -> Contributions:
        """The values of an imported column; all NaN where there is none of that name."""
        import numpy as np

        nothing = np.full((len(self.strategies), len(self.questions)), np.nan)
        return self.columns.get(name, Contributions(nothing, nothing))

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
        token_values = {
            name: found if isinstance(found, SapError) else found[rows] for name, found in self.token_values.items()
        }
        columns = {
            name: Contributions(each.numerator[rows], each.denominator[rows]) for name, each in self.columns.items()
        }
        inputs = {
            kind: found[rows] if not isinstance(found, SapError) and _is_per_strategy(kind) else found
            for kind, found in self.inputs.items()
        }
        return replace(
            self,
            strategies=tuple(strategies),
            contexts=contexts,
            token_values=token_values,
            columns=columns,
            inputs=inputs,
        )


def _is_per_strategy(kind: Input) -> bool:
    return kind not in (Input.OWN_NLL, Input.VALID_NLL)


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

    A strategy's score is the ratio of their sums over the questions used; without a denominator it is the mean, or
    with `statistic="median"` the median; `is_share` says that every response counts 0 or 1. Both functions may raise
    SapError: what is missing, and how to get it. `token_value` makes one number of a response's tokens, which
    `ScoreArrays.token_value` then has; `needs_token_ends` says that it reads the tokens' places in the text.
    `contested` is a sentence for metrics whose direction is not settled.
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
    inputs: tuple[Input, ...] = ()
    token_value: Callable[[ResponseTokens], float] | None = None
    needs_token_ends: bool = False
    statistic: Literal["mean", "median"] = "mean"
    is_share: bool = False
    contested: str = ""

    def contributions(self, arrays: ScoreArrays) -> Contributions:
        """Per response, with everything that is not a usable number (overflow too) made NaN.

        Raises SapError where the metric's inputs are missing or not usable, or where its functions fail.
        """
        import numpy as np

        if self.token_value is not None:
            arrays.token_value(self.id)
        numerator = self._computed(self.numerator, arrays)
        denominator = np.ones_like(numerator) if self.denominator is None else self._computed(self.denominator, arrays)
        usable = (np.abs(numerator) <= LARGEST_CONTRIBUTION) & (np.abs(denominator) <= LARGEST_CONTRIBUTION)
        return Contributions(np.where(usable, numerator, np.nan), np.where(usable, denominator, np.nan))

    def _computed(self, function: Callable[[ScoreArrays], FloatArray], arrays: ScoreArrays) -> FloatArray:
        """What a function of the metric gives, which may be a plugin's."""
        import numpy as np

        try:
            values = np.asarray(function(arrays), dtype=np.float64)
        except SapError:
            raise
        except Exception as error:
            raise failed(self, error) from error
        if values.shape != (len(arrays.strategies), len(arrays.questions)):
            raise SapError(f"The metric {visible(self.id)} gives an array of shape {values.shape}.", "Mend its plugin.")
        return values


def failed(metric: Metric, error: Exception) -> SapError:
    """What to say about an exception in a metric's own function."""
    reason = visible(f"{type(error).__name__}: {error}")[:200]
    return SapError(f"The metric {visible(metric.id)} fails: {reason}.", "Mend its plugin.")
