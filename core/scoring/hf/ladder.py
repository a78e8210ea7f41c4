"""Which ways of computing a model may use: those that prove themselves on it when it is loaded, the fastest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.errors import RunError
from core.scoring.hf.cascade import PackedCascade
from core.scoring.hf.gate import agrees, gate_for, probe_of, reference_scores
from core.scoring.hf.limits import UNLIMITED
from core.scoring.hf.tiers import OneByOne, SharedCache, Tier
from core.scoring.protocol import EngineSettings

# A way that takes only samples shorter than this is not worth its self-test.
_SHORTEST_LIMIT = 256


@dataclass(slots=True)
class Ladder:
    """Tiers from the fastest to one by one. `refused` says in words which were not used and why.

    `probe` are the log-probabilities that one by one gives the tokens of the self-test's text.
    """

    tiers: list[Tier]
    probe: tuple[float, ...] = ()
    refused: list[str] = field(default_factory=list)

    def tier_for(self, tokens: int) -> Tier:
        """The fastest tier for a context and response of so many tokens together."""
        return next(tier for tier in self.tiers if tokens <= tier.longest)

    def forget(self) -> None:
        for tier in self.tiers:
            tier.forget()


def proven_ladder(model: Any, settings: EngineSettings, text_ids: tuple[int, ...]) -> Ladder:
    """Try the tiers on the model, with token ids of the probe's text. Raises RunError, MemoryError as the gate does.

    Once a tier takes samples of any length, slower ones but one by one are not tried.
    """
    reference = OneByOne(model)
    gate = gate_for(settings.quantization, settings.dtype, model.device.type)
    # The reference is tried on the probe in any case: a model that does not compute is found now.
    ((response,),) = reference_scores(reference, probe_of(model, text_ids, UNLIMITED)[1:2])
    ladder = Ladder([], tuple(response[0].tolist()))
    for make in _candidates(settings, model.device.type):
        tier = _made(make, model)
        if tier is None or tier.longest < _SHORTEST_LIMIT:
            continue
        probe = probe_of(model, text_ids, tier.longest)
        if agrees(tier, probe, reference_scores(reference, probe), gate):
            ladder.tiers.append(tier)
            if tier.longest >= UNLIMITED:
                break
        else:
            ladder.refused.append(f"the self-test refused the {tier.name} for this model")
    _check_wish(settings.tier, ladder)
    ladder.tiers.append(reference)
    return ladder


def _candidates(settings: EngineSettings, device: str) -> list[Callable[[Any], Tier]]:
    """Rows that share a call change each other in 8-bit products: there every response is computed alone."""
    alone = settings.quantization == "int8" or device == "cpu"
    known: dict[str, Callable[[Any], Tier]] = {
        PackedCascade.name: PackedCascade,
        SharedCache.name: lambda model: SharedCache(model, alone_in_call=alone),
    }
    if settings.quantization == "int8":
        del known[PackedCascade.name]
    return [make for name, make in known.items() if settings.tier in ("auto", name)]


def _made(make: Callable[[Any], Tier], model: Any) -> Tier | None:
    try:
        return make(model)
    except AttributeError:
        return None


def _check_wish(wish: str, ladder: Ladder) -> None:
    if wish not in ("auto", OneByOne.name) and [tier.name for tier in ladder.tiers] != [wish]:
        raise RunError(f"This model cannot be computed as {wish}.", "; ".join(ladder.refused))
