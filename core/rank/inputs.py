"""What metrics need beside surprisals, from the catalogue: an array, or why there is none and how to get it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from typing import TYPE_CHECKING

from core.domain import response_digest
from core.errors import NotFoundError, SapError
from core.metrics.base import Input
from core.metrics.needs import HOW_TO_GET
from core.rank.columns import column_contributions
from core.rank.compared import Compared
from core.rank.votes import VOTERS, count_votes, is_possible
from core.scoring.answers import gold_kind, is_correct
from core.scoring.prompts import context_digest
from core.store.answer_checks import answer_checks
from core.store.catalogue import turns_from_json, valid_strategy
from core.store.rewards import rewards
from core.store.runs import run_by_id
from core.store.score_columns import REWARD
from core.store.scores import mean_nll_of

if TYPE_CHECKING:
    from core.metrics.base import FloatArray


class Inputs:
    """The inputs of a run's metrics, each computed once; `notes` are what is worth knowing about them."""

    def __init__(self, compared: Compared) -> None:
        self.notes: list[str] = []
        self._compared = compared
        self._known: dict[Input, FloatArray | SapError] = {}

    def get(self, kind: Input) -> FloatArray | SapError:
        """The array of this input, or the error that says what is missing."""
        if kind not in self._known:
            try:
                self._known[kind] = self._compute(kind)
            except SapError as error:
                self._known[kind] = error
        return self._known[kind]

    def can_be_had(self, kind: Input) -> bool:
        """Whether there is an array, without computing what takes long."""
        if kind is Input.CORRECT:
            return bool(checkable_gold(self._compared))
        try:
            return is_possible(self._compared, kind) if kind in VOTERS else not isinstance(self.get(kind), SapError)
        except SapError:
            return False

    def _compute(self, kind: Input) -> FloatArray:
        if kind in VOTERS:
            passes, note = count_votes(self._compared, kind)
            self.notes.append(note)
            return passes
        return _COMPUTE[kind](self._compared)


def correct(compared: Compared) -> FloatArray:
    """Stored checks, and those made now of responses that were never judged."""
    gold = checkable_gold(compared)
    if not gold:
        raise SapError("No question has a gold answer that can be checked.", HOW_TO_GET[Input.CORRECT])
    pairs = {place: (key, gold[place[1]]) for place, key in compared.digests.items() if place[1] in gold}
    known = answer_checks(compared.reader, pairs.values())
    values = compared.unknown()
    unjudged = set()
    for place, pair in pairs.items():
        if pair in known:
            values[place] = _as_number(known[pair])
        else:
            unjudged.add(place)
    for column, texts in compared.responses() if unjudged else ():
        for row, text in enumerate(texts):
            if text is not None and (row, column) in unjudged:
                values[row, column] = _as_number(is_correct(text, gold[column]))
    return values


def checkable_gold(compared: Compared) -> dict[int, str]:
    """The gold answers that responses can be checked against, by column."""
    return {column: answer for column, answer in enumerate(compared.gold) if answer and gold_kind(answer) is not None}


def _as_number(is_right: bool | None) -> float:
    return nan if is_right is None else float(is_right)


def reward(compared: Compared) -> FloatArray:
    """What the run's reward model gave; of a run without one the task's column `reward`."""
    imported = column_contributions(compared, [REWARD]).get(REWARD)
    if imported is not None and imported.usable.any() and not compared.run.request.reward_model:
        return imported.numerator / imported.denominator
    pairs = {place: (compared.contexts[place[1]], key) for place, key in compared.digests.items()}
    found = rewards(compared.reader, compared.run.request.reward_model_digest, pairs.values())
    return _filled(compared, pairs, found, Input.REWARD, "There are no rewards for these responses.")


def own_nll(compared: Compared) -> FloatArray:
    """(1, Q) of the target model's own predictions."""
    import numpy as np

    pairs = {
        column: (compared.contexts[column], response_digest(text)) for column, text in compared.own_predictions.items()
    }
    found = mean_nll_of(compared.reader, compared.run.spec, pairs.values())
    if not found:
        raise SapError("The target model's own predictions have no scores.", HOW_TO_GET[Input.OWN_NLL])
    return np.array(
        [[found.get(pairs[column], nan) if column in pairs else nan for column in compared.columns.values()]]
    )


def valid_nll(compared: Compared) -> FloatArray:
    """(N,) of the trusted responses that have a score."""
    import numpy as np

    request = compared.run.request
    rows = compared.reader.execute(
        "SELECT questions.turns, responses.digest FROM responses JOIN questions ON questions.id = responses.question"
        " WHERE responses.strategy = ? ORDER BY questions.position",
        (valid_strategy(compared.reader, request),),
    )
    pairs = [(context_digest(turns_from_json(row[0])), row[1]) for row in rows]
    found = mean_nll_of(compared.reader, compared.run.spec, pairs)
    if not found:
        what = "The valid set has no scores under this model." if request.valid else "The run has no valid set."
        raise SapError(what, HOW_TO_GET[Input.VALID_NLL])
    return np.array([found[pair] for pair in pairs if pair in found])


def small_model_nll(compared: Compared) -> FloatArray:
    """(S, Q) of the same responses under the model of another run."""
    number = compared.run.request.small_model_run
    if number is None:
        raise SapError("The run names no run of a small model.", HOW_TO_GET[Input.SMALL_MODEL_NLL])
    try:
        spec = run_by_id(compared.reader, number).spec
    except NotFoundError as error:
        raise SapError(error.message, HOW_TO_GET[Input.SMALL_MODEL_NLL]) from error
    pairs = {place: (compared.contexts[place[1]], key) for place, key in compared.digests.items()}
    found = mean_nll_of(compared.reader, spec, pairs.values())
    return _filled(compared, pairs, found, Input.SMALL_MODEL_NLL, f"Run {number} has no scores of these responses.")


def _filled(
    compared: Compared,
    pairs: Mapping[tuple[int, int], tuple[bytes, bytes]],
    found: Mapping[tuple[bytes, bytes], float],
    kind: Input,
    missing: str,
) -> FloatArray:
    """(S, Q) of what was found of the pairs of context and response; SapError where that is nothing."""
    if not found:
        raise SapError(missing, HOW_TO_GET[kind])
    values = compared.unknown()
    for place, pair in pairs.items():
        values[place] = found.get(pair, nan)
    return values


_COMPUTE: Mapping[Input, Callable[[Compared], FloatArray]] = {
    Input.CORRECT: correct,
    Input.REWARD: reward,
    Input.OWN_NLL: own_nll,
    Input.VALID_NLL: valid_nll,
    Input.SMALL_MODEL_NLL: small_model_nll,
}
