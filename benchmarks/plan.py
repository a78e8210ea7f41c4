"""Which contestants run on which cases. Entries of one measurement are timed together, in turns."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cases import CaseSpec
from benchmarks.contestants import ALL, PACKED, PAPER, SHARED, Contestant

IN_CONTEXT = CaseSpec("in-context 6", "in-context", strategies=6, prompt_tokens=800, response_tokens=120)
IN_CONTEXT_20 = CaseSpec("in-context 20", "in-context", strategies=20, prompt_tokens=800, response_tokens=120)
GROWTH_6 = CaseSpec("growth 6", "in-context", strategies=6, prompt_tokens=1000, response_tokens=200)
GROWTH_48 = CaseSpec("growth 48", "in-context", strategies=48, prompt_tokens=1000, response_tokens=200)
JOB = CaseSpec("whole job", "whole job", strategies=6, prompt_tokens=800, response_tokens=120)
PAPER_JOB = CaseSpec("whole job of the paper", "paper's job", strategies=6, prompt_tokens=800, response_tokens=120)
LONG_8 = CaseSpec("long 8", "in-context", strategies=8, prompt_tokens=1500, response_tokens=250)


@dataclass(frozen=True, slots=True)
class Measurement:
    title: str
    pairs: tuple[tuple[Contestant, CaseSpec], ...]


def measurements(quick: bool, device: str) -> list[Measurement]:
    """In the order of the page's tables; `quick` leaves the first."""
    first = Measurement("In-context pass, 6 strategies", tuple((contestant, IN_CONTEXT) for contestant in ALL))
    if quick:
        return [first]
    more = [first, _TWENTY, _GROWTH, _WHOLE_JOB]
    return more if device == "cpu" else [*more, _LONG]


_TWENTY = Measurement(
    "In-context pass, 20 strategies",
    tuple((contestant, IN_CONTEXT_20) for contestant in (PAPER, PACKED, SHARED)),
)
_GROWTH = Measurement(
    "Growth from 6 to 48 strategies",
    ((PAPER, GROWTH_6), (PACKED, GROWTH_6), (SHARED, GROWTH_6), (PACKED, GROWTH_48), (SHARED, GROWTH_48)),
)
_WHOLE_JOB = Measurement(
    "Whole job, 6 strategies, predictions given", ((PAPER, PAPER_JOB), (PACKED, JOB), (SHARED, JOB))
)
_LONG = Measurement("Long prompt, 8 strategies", ((PAPER, LONG_8), (PACKED, LONG_8), (SHARED, LONG_8)))
